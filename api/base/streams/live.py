"""What live pages listen to: one hub a process, which finds out what has changed of what they show.

What has changed comes from the process's one listener at the database (``api.base.streams.watch``). Changes
without a notification (the progress of a backfill, how many depots have become stale, a row changed by hand)
are found by comparing change tokens, in one poll for all viewers of the process, which also shows whether the database
answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.base.streams.watch import EVERY_KIND, Watch
from domain.access.principals import EVERYWHERE, DepotScope
from domain.base.problems import Problem, ProblemCode
from runtime.supervision import SupervisedTask
from store.base.database import FAILURES, snapshot
from store.base.notifications.notify import ChangeKind
from store.simulation.change_tokens import (
    alarms_token,
    ask,
    backfill_list_token,
    backfill_tokens,
    depot_alarm_tokens,
    depot_tokens,
    fleet_status_token,
    fleet_token,
    import_list_token,
    import_tokens,
    run_list_token,
    run_tokens,
)

_log = structlog.get_logger("live")

INTERVAL = 0.5
"""Seconds between two polls for changes without a notification."""
AUDIT = 3.0
"""Seconds between two polls of what costs more, or is notified unless it was changed past the product."""
TIMEOUT = 5.0
"""Seconds after which a poll without an answer counts as an unavailable database."""


class Kind(StrEnum):
    """What can be watched. A page hears of a change as the event ``live-{kind}``."""

    FLEET = "fleet"
    """How many depots are in which provisioning state, and what their capabilities' statuses are."""
    DEPOT = "depot"
    """One depot: its configuration, its microgrid, its provisioning."""
    STATUS = "status"
    """The capabilities' statuses of one depot."""
    CAPACITY = "capacity"
    """What holds for the capacity of one depot's circuits."""
    PACKET = "packet"
    """The packets of one depot's gateways."""
    POWER_SOURCE = "power-source"
    """The readings of one depot's power sources."""
    DEPOT_ALARMS = "depot-alarms"
    """What of one depot needs attention."""
    ALARMS = "alarms"
    """Which depots need attention, and how many."""
    REMEDIATIONS = "remediations"
    """Which remediations are open."""
    BACKFILLS = "backfills"
    """The list of backfills."""
    BACKFILL = "backfill"
    """One backfill and how far it is."""
    IMPORTS = "imports"
    """The list of imports."""
    IMPORT = "import"
    """One import and how far it is."""
    RUNS = "runs"
    """The list of scenario runs."""
    RUN = "run"
    """One scenario run and how far it is."""


# What came and went between two polls leaves the tokens as they were: whoever read in between is told by these.
_OF_ALARMS = {ChangeKind.CONFIGURATION, ChangeKind.CAPACITY, ChangeKind.REMEDIATION}
_NOTIFIED_BY = {
    Kind.DEPOT_ALARMS: _OF_ALARMS,
    Kind.ALARMS: _OF_ALARMS,
    Kind.DEPOT: {ChangeKind.STRUCTURE, ChangeKind.CONFIGURATION},
    Kind.STATUS: {ChangeKind.STATUS},
    Kind.CAPACITY: {ChangeKind.CAPACITY},
    Kind.PACKET: {ChangeKind.PACKET},
    Kind.POWER_SOURCE: {ChangeKind.POWER_SOURCE},
    Kind.REMEDIATIONS: {ChangeKind.REMEDIATION, ChangeKind.CONFIGURATION},
}
"""The notifications that belong to each kind of topic."""
_OF_DEPOT = (Kind.DEPOT, Kind.STATUS, Kind.CAPACITY, Kind.PACKET, Kind.POWER_SOURCE)
_TOKENS_OF_ONE = {
    Kind.DEPOT_ALARMS: depot_alarm_tokens,
    Kind.BACKFILL: backfill_tokens,
    Kind.IMPORT: import_tokens,
    Kind.RUN: run_tokens,
}
_TOKENS_OF_ALL = {
    Kind.FLEET: fleet_token,
    Kind.BACKFILLS: backfill_list_token,
    Kind.IMPORTS: import_list_token,
    Kind.RUNS: run_list_token,
}
_OF_ONE = (*_OF_DEPOT, *_TOKENS_OF_ONE)


@dataclass(frozen=True)
class Topic:
    """One thing that is watched; written ``fleet`` or ``depot:{depot_id}``."""

    kind: Kind
    subject_id: UUID | None = None
    scope: DepotScope = EVERYWHERE
    """Of what is no single thing, the depots that are watched."""

    def __str__(self) -> str:
        return self.kind if self.subject_id is None else f"{self.kind}:{self.subject_id}"

    @staticmethod
    def parse(given: str) -> Topic:
        """Read a topic back.

        Raises:
            Problem: ``INVALID_REQUEST``.

        """
        kind, _, subject = given.partition(":")
        try:
            topic = Topic(Kind(kind), UUID(subject) if subject else None)
        except ValueError as error:
            raise Problem(ProblemCode.INVALID_REQUEST, f"Nothing called {given!r} can be watched.", "topic") from error
        if (topic.subject_id is not None) != (topic.kind in _OF_ONE):
            raise Problem(ProblemCode.INVALID_REQUEST, f"Nothing called {given!r} can be watched.", "topic")
        return topic


@dataclass(eq=False)
class Listener:
    """One page that listens. Its identity distinguishes it from others, not what it watches."""

    topics: frozenset[Topic]
    changed: set[Topic] = field(default_factory=set[Topic])
    away: bool = False
    """Whether the database cannot be asked."""
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when every change from now on will be noticed."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Wake who waits for something new."""
        self._woken.set()

    async def news(self) -> tuple[bool, set[Topic]]:
        """Wait for something new; answer whether the database is down, and what has changed."""
        await self._woken.wait()
        self._woken.clear()
        changed, self.changed = self.changed, set()
        return self.away, changed


class LiveHub:
    """Watches, on behalf of all listeners of this process, what at least one of them watches."""

    def __init__(self, engine: AsyncEngine, watch: Watch) -> None:
        self._engine = engine
        self._changes = watch
        self._listeners: set[Listener] = set()
        self._tokens: dict[Topic, str] = {}
        self._audited: dict[Topic, str] = {}
        self._audit_at = 0.0
        self._away = False
        self._watching: SupervisedTask | None = None
        self._wanted = asyncio.Event()

    @asynccontextmanager
    async def listen(self, topics: Iterable[Topic]) -> AsyncGenerator[Listener]:
        """Watch ``topics`` while the block runs, which begins when they are watched."""
        listener = Listener(frozenset(topics))
        self._listeners.add(listener)
        self._wanted.set()
        self._audit_at = 0.0  # what it watches has no token yet
        if self._watching is None:
            self._changes.subscribe(self._on_change)
            self._watching = SupervisedTask("live pages", self._watch)
            self._watching.start()
        try:
            await listener.watched.wait()
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self.close()

    async def close(self) -> None:
        """Watch no longer."""
        watching, self._watching = self._watching, None
        self._changes.unsubscribe(self._on_change)
        self._tokens.clear()
        self._audited.clear()
        if watching is not None:
            await watching.close()

    async def _watch(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self._poll()
            except FAILURES as error:
                if not self._away:
                    _log.warning("database away", error=str(error))
                self._notify(away=True)
            except Exception:  # noqa: BLE001 (the pages show it, and it is tried again, whatever it is)
                if not self._away:
                    _log.exception("unexpected error")
                self._notify(away=True)
            # A new listener need not wait for so long.
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._wanted.wait()

    def _on_change(self, depot_id: UUID | None, kinds: set[str]) -> None:
        for listener in self._listeners:
            mine = {topic for topic in listener.topics if _is_notified(topic, depot_id, kinds)}
            if mine:
                listener.changed |= mine
                listener.wake()

    async def _poll(self) -> None:
        listeners = set(self._listeners)
        topics = frozenset[Topic]().union(*(listener.topics for listener in listeners))
        now = asyncio.get_running_loop().time()
        audits = now >= self._audit_at
        if audits:
            self._audit_at = now + AUDIT
        async with asyncio.timeout(TIMEOUT), snapshot(self._engine) as connection:
            tokens = await _read_tokens(connection, topics)
            audited = await _audit_tokens(connection, topics) if audits else self._audited
        changed = _differing(self._tokens, tokens) | _differing(self._audited, audited)
        self._tokens, self._audited = tokens, audited
        self._notify(away=False, changed=changed)
        for listener in listeners:
            listener.watched.set()

    def _notify(self, *, away: bool, changed: set[Topic] | None = None) -> None:
        self._away = away
        for listener in self._listeners:
            mine = listener.topics & (changed or set())
            if mine or listener.away != away:
                listener.changed |= mine
                listener.away = away
                listener.wake()
            if away:
                listener.watched.set()


def _is_notified(topic: Topic, depot_id: UUID | None, kinds: set[str]) -> bool:
    notified_by = _NOTIFIED_BY.get(topic.kind, set())
    if EVERY_KIND not in kinds and not notified_by & kinds:
        return False
    if topic.subject_id is None:
        return depot_id is None or topic.scope.holds(depot_id)
    return depot_id is None or topic.subject_id == depot_id


def _differing(before: dict[Topic, str], after: dict[Topic, str]) -> set[Topic]:
    """What had a token and has another; what is new to the list has nothing that it differs from."""
    return {topic for topic in before.keys() & after.keys() if before[topic] != after[topic]}


def _ids(topics: frozenset[Topic], kind: Kind) -> list[UUID]:
    return [topic.subject_id for topic in topics if topic.kind is kind and topic.subject_id is not None]


async def _read_tokens(connection: AsyncConnection, topics: frozenset[Topic]) -> dict[Topic, str]:
    """Read the tokens of what changes without a notification. Without any, the database is asked all the same."""
    tokens: dict[Topic, str] = {}
    for kind, read in _TOKENS_OF_ONE.items():
        ids = _ids(topics, kind)
        if ids:
            tokens |= {Topic(kind, subject_id): "" for subject_id in ids}  # what does not exist has no token of its own
            tokens |= {Topic(kind, subject_id): token for subject_id, token in (await read(connection, ids)).items()}
    for kind, read_all in _TOKENS_OF_ALL.items():
        for topic in topics:
            if topic.kind is kind:
                tokens[topic] = await read_all(connection, topic.scope)
    if not tokens:
        await ask(connection)
    return tokens


async def _audit_tokens(connection: AsyncConnection, topics: frozenset[Topic]) -> dict[Topic, str]:
    depots = _ids(topics, Kind.DEPOT)
    tokens = {Topic(Kind.DEPOT, depot_id): "" for depot_id in depots}
    if depots:
        found = await depot_tokens(connection, depots)
        tokens |= {Topic(Kind.DEPOT, depot_id): token for depot_id, token in found.items()}
    for topic in topics:
        if topic.kind is Kind.FLEET:
            tokens[topic] = await fleet_status_token(connection, topic.scope)
        elif topic.kind is Kind.ALARMS:
            tokens[topic] = await alarms_token(connection, topic.scope)
    return tokens

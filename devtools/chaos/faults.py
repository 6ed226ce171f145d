"""Faults by seed: what is done to which part, for how long, and what comes next."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from cli.commands.up import ONE_OF_EACH, Processes
from devtools.chaos.stack import API, WORKER, Part, Stack, names_of


class FaultKind(StrEnum):
    """What is done to a part."""

    KILL = "kill"
    """SIGKILL, and a start some time later."""
    PAUSE = "pause"
    """SIGSTOP, and SIGCONT some time later."""
    RESTART = "restart"
    """An end in good order, and a start at once."""
    CUT = "cut"
    """``pg_terminate_backend`` of single connections."""


@dataclass(frozen=True)
class Fault:
    """One fault."""

    kind: FaultKind
    of: tuple[str, ...]
    """What it is done to, as reports call it: ``PostgreSQL``, ``one worker``, ``all APIs``."""
    parts: tuple[str, ...]
    """The processes."""
    seconds: float
    """How long it lasts; a restart lasts as long as it takes."""
    rest: float
    """Seconds of peace before it."""
    paused: tuple[str, ...] = ()
    """Parts that are paused meanwhile, so that others are killed with work in hand."""
    leaves_others: bool = False
    """Whether each of the parts has others of its kind that go on."""

    @property
    def name(self) -> str:
        """The kind and what it is done to."""
        meanwhile = f" while {' and '.join(self.paused)} is paused" if self.paused else ""
        return f"{self.kind} {' and '.join(self.of)}{meanwhile}"


@dataclass(frozen=True)
class _Choice:
    """A fault before it is said which processes it is done to."""

    kind: FaultKind
    of: tuple[str, ...]
    paused: tuple[str, ...] = ()
    is_of_all: bool = False
    """Of several processes of a kind: all at once, not one."""


_CHOICES = (
    _Choice(FaultKind.KILL, (WORKER,)),
    _Choice(FaultKind.KILL, (API,)),
    _Choice(FaultKind.KILL, ("Temporal",)),
    _Choice(FaultKind.KILL, ("PostgreSQL",)),
    _Choice(FaultKind.PAUSE, (WORKER,)),
    _Choice(FaultKind.PAUSE, (API,)),
    _Choice(FaultKind.PAUSE, ("Temporal",)),
    _Choice(FaultKind.PAUSE, ("PostgreSQL",)),
    _Choice(FaultKind.RESTART, (WORKER,)),
    _Choice(FaultKind.RESTART, (API,)),
    _Choice(FaultKind.RESTART, ("Temporal",)),
    _Choice(FaultKind.RESTART, ("PostgreSQL",)),
    _Choice(FaultKind.CUT, ("connections",)),
    _Choice(FaultKind.KILL, (WORKER, API)),
    _Choice(FaultKind.KILL, (WORKER, "Temporal")),
    _Choice(FaultKind.KILL, (WORKER,), ("PostgreSQL",)),
    _Choice(FaultKind.KILL, (API,), ("PostgreSQL",)),
)
_OF_ALL = (FaultKind.KILL, FaultKind.PAUSE)
"""What is also done to all processes of a kind at once, where there are several."""

_LONGEST_OF_TEMPORAL = 16
"""Seconds: longer than the product's calls of Temporal wait."""
_LONGEST_OF_ONE_WORKER = 20
"""Seconds of a pause: longer than a worker that says nothing keeps the broker's session."""
_WORK_COMES_IN = 1.0
"""Seconds of a pause before the kill: enough for every sender to send something, too few for the product to give up."""


def plan(seed: int, processes: Processes = ONE_OF_EACH) -> Iterator[Fault]:
    """Say which faults come, without end: each kind once, in a new order each time."""
    chance = random.Random(f"faults/{seed}")  # noqa: S311 (no secret)
    several = [kind for kind in (WORKER, API) if len(names_of(kind, processes)) > 1]
    while True:
        choices = [*_CHOICES, *(_Choice(kind, (of,), is_of_all=True) for of in several for kind in _OF_ALL)]
        chance.shuffle(choices)
        for choice in choices:
            yield _made(choice, chance, processes, several)


def _made(choice: _Choice, chance: random.Random, processes: Processes, several: Sequence[str]) -> Fault:
    called: list[str] = []
    parts: list[str] = []
    for kind in choice.of:
        names = names_of(kind, processes)
        if kind not in several:
            called.append(kind)
            parts += names
        elif choice.is_of_all:
            called.append(f"all {kind}s")
            parts += names
        else:
            called.append(f"one {kind}")
            parts.append(chance.choice(names))
    longest = 4
    if choice.of == ("Temporal",):
        longest = _LONGEST_OF_TEMPORAL
    elif choice.kind is FaultKind.PAUSE:
        longest = _LONGEST_OF_ONE_WORKER if called == [f"one {WORKER}"] else 8
    return Fault(
        choice.kind,
        tuple(called),
        tuple(parts),
        round(chance.uniform(0, longest), 2),
        round(chance.uniform(0.5, 2), 2),
        choice.paused,
        leaves_others=not choice.is_of_all and all(kind in several for kind in choice.of),
    )


async def inflict(stack: Stack, fault: Fault, seed: str, begun: asyncio.Event) -> float:
    """Do a fault, and undo it; answer when it had ended, by the monotonic clock.

    ``begun`` is set as soon as the parts are away.
    """
    if fault.kind is FaultKind.CUT:
        begun.set()
        await _cut(stack, fault.seconds, random.Random(seed))  # noqa: S311 (no secret)
        return time.monotonic()
    parts = [stack.parts[name] for name in fault.parts]
    if fault.kind is FaultKind.PAUSE:
        async with _paused(parts):
            begun.set()
            await asyncio.sleep(fault.seconds)
        return time.monotonic()
    if fault.kind is FaultKind.KILL:
        async with _paused([stack.parts[name] for name in fault.paused]):
            if fault.paused:
                await asyncio.sleep(_WORK_COMES_IN)
            await asyncio.gather(*(part.kill() for part in parts))
        begun.set()
        await asyncio.sleep(fault.seconds)
    else:
        await asyncio.gather(*(part.stop() for part in parts))
        begun.set()
    ended = time.monotonic()
    await asyncio.gather(*(part.start() for part in parts))
    return ended


@asynccontextmanager
async def _paused(parts: Sequence[Part]) -> AsyncGenerator[None]:
    """Keep parts from doing anything while the block runs."""
    for part in parts:
        part.pause()
    try:
        yield
    finally:
        for part in parts:
            part.go_on()


_CONNECTIONS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND usename <> current_user AND backend_type = 'client backend' ORDER BY pid
"""


async def _cut(stack: Stack, seconds: float, chance: random.Random) -> None:
    """Cut one connection of the product after the other."""
    connection = await asyncpg.connect(stack.postgres.database_url)
    try:
        ends = time.monotonic() + seconds
        while True:
            pids = [row["pid"] for row in await connection.fetch(_CONNECTIONS)]
            if pids:
                await connection.execute("SELECT pg_terminate_backend($1)", chance.choice(pids))
            if time.monotonic() >= ends:
                return
            await asyncio.sleep(0.2)
    finally:
        await connection.close()

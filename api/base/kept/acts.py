"""Acts that change nothing, for the journal: refusals and downloads, which anybody may repeat without end.

They are counted in memory and written once a minute, each who, what and where as one entry with its number of times. So
nobody fills the journal, or waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.types import Scope

from api.base.access import principal_of, refused_at
from domain.access.attempts import network_of
from domain.base.actor import Actor
from domain.base.problems import ProblemCode
from runtime.supervision import supervised
from store.access.journal import CountedAct, record_acts
from store.base.database import transaction
from store.base.origin import current_origin

_log = structlog.get_logger("journal")

EVERY = 60.0
"""Seconds between two writings."""
MOST = 200
"""Entries that one writing makes of acts of known people and programs, and as many of callers that nobody knows. What
is beyond is counted in one entry."""
NOBODY = Actor("unknown")
"""A caller whose proof was wrong."""
_OTHERS = Actor("others")
_KINDS = {
    ProblemCode.NOT_PERMITTED: "PERMISSION_REFUSED",
    ProblemCode.SIGN_IN_REFUSED: "SIGN_IN_REFUSED",
    ProblemCode.TOKEN_REFUSED: "BEARER_REFUSED",
}

_Key = tuple[bool, str, str, str, UUID | None]


class ActLog:
    """Counts acts until they are written."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._acts: dict[_Key, CountedAct] = {}

    async def run(self) -> None:
        """Write what was counted, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.flush()

    def note_problem(self, request: Request, code: ProblemCode) -> None:
        """Count a refusal, if it is one of rights or of a proof."""
        kind = _KINDS.get(code)
        if kind is not None:
            self.note(request.scope, kind, depot_id=refused_at(request.scope))

    def note(self, scope: Scope, kind: str, *, depot_id: UUID | None = None, subject_id: UUID | None = None) -> None:
        """Count an act of who makes a request. Nothing of what they sent is kept, but which route they asked for."""
        principal, origin, now = principal_of(scope), current_origin(), datetime.now(UTC)
        route = scope.get("route")
        place = "" if route is None else f"{scope['method']} {route.path_format}"
        subject = network_of(origin.client) if principal is None else principal.subject
        actor = NOBODY if principal is None else principal.actor
        self._add(
            (principal is not None, kind, subject, place, subject_id),
            CountedAct(
                actor, kind, place, 1, now, now, depot_id=depot_id, subject_id=subject_id,
                request_id=origin.request_id, client=origin.client,
            ),
        )  # fmt: skip

    def _add(self, key: _Key, act: CountedAct) -> None:
        known = key[0]
        if key not in self._acts and sum(each[0] is known for each in self._acts) >= MOST:
            key = (known, act.kind, "", "", None)
            act = replace(act, actor=_OTHERS, place="", depot_id=None, subject_id=None, request_id="", client="")
        before = self._acts.get(key)
        self._acts[key] = act if before is None else before.and_then(act)

    async def flush(self) -> None:
        """Write what was counted. What cannot be written now is counted on."""
        acts, self._acts = self._acts, {}
        if not acts:
            return
        try:
            async with transaction(self._engine, NOBODY) as connection:
                await record_acts(connection, list(acts.values()))
        except BaseException as error:
            later, self._acts = self._acts, acts
            for key, act in later.items():
                self._add(key, act)
            if not isinstance(error, Exception):
                raise
            _log.warning("not written to the journal yet", entries=len(acts), error=type(error).__name__)


@asynccontextmanager
async def open_acts(engine: AsyncEngine) -> AsyncGenerator[ActLog]:
    """Keep a log while the block runs; at its end everything is written."""
    log = ActLog(engine)
    async with supervised("acts", log.run):
        yield log
    await log.flush()

"""What was permitted once and goes on is judged anew when rights change: event streams, secrets kept in mind."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

from api.base.access import note_background, principal_of, prove_again
from domain.access.roles import Permission
from domain.base.problems import Problem, ProblemCode
from store.access.grants import CHANNEL, SECRETS
from store.base.notifications.listen import listen

_log = structlog.get_logger("access")

T = TypeVar("T")
Reader = tuple[str, str]
"""Who follows a stream: kind and subject of the principal."""

PROVE_EVERY = 60.0
"""Seconds after which who reads a stream is asked again at the latest, also where nothing was heard."""
PROVEN_AT_ONCE = 4
"""Streams whose readers are asked again at the same time: with thousands of them, requests have to get through, too."""
MOST_STREAMS = 500
"""Event streams that one principal follows at a time in one process: a page has one, a program one for each depot."""
_RETRY_AFTER = 10
"""Seconds after which a stream that was refused is asked for again."""


class RightsWatch:
    """Hears that who may do what has changed, for all of one process."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self._forgetting: list[Callable[[], None]] = []
        self._followed: Counter[Reader] = Counter()
        self.proving = asyncio.Semaphore(PROVEN_AT_ONCE)
        """Held while a reader is asked again."""
        self.hears = False
        """Whether it is connected: what changes is heard."""

    async def run(self, engine: AsyncEngine) -> None:
        """Listen until cancelled. What changed while the connection was lost may be anything."""
        await listen(engine, CHANNEL, self._hear, self._begin, self._end)

    def when_secrets_change(self, forget: Callable[[], None]) -> None:
        """Call this whenever secrets of gateways may have changed."""
        self._forgetting.append(forget)

    def _begin(self) -> None:
        self._hear(SECRETS)
        self.hears = True

    def _end(self) -> None:
        self.hears = False

    def _hear(self, payload: str) -> None:
        if payload == SECRETS:
            for forget in self._forgetting:
                forget()
        for changed in self._waiting:
            changed.set()

    def check_room(self, reader: Reader) -> None:
        """Refuse another stream to who follows as many as anybody may.

        Raises:
            Problem: ``TOO_MANY_STREAMS``.

        """
        if self._followed[reader] >= MOST_STREAMS:
            raise Problem(
                ProblemCode.TOO_MANY_STREAMS,
                f"You follow {MOST_STREAMS} event streams already, which is as many as anybody may.",
                retry_after=_RETRY_AFTER,
            )

    @contextmanager
    def following(self, reader: Reader) -> Generator[None]:
        """Count a stream while the block runs."""
        self._followed[reader] += 1
        try:
            yield
        finally:
            self._followed[reader] -= 1
            if not self._followed[reader]:
                del self._followed[reader]

    @contextmanager
    def changes(self) -> Generator[asyncio.Event]:
        """Set the event whenever rights change, while the block runs."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            yield changed
        finally:
            self._waiting.discard(changed)


class PermittedStream(EventSourceResponse):
    """A stream of events that ends when its reader no longer is who they were, or has other rights."""

    def __init__(
        self, request: Request, rights: RightsWatch, events: AsyncGenerator[ServerSentEvent], **options: Any
    ) -> None:
        """Take who asks, the events, and options of the library.

        Raises:
            Problem: ``TOO_MANY_STREAMS``.

        """
        principal = principal_of(request.scope)
        self._reader = ("", "") if principal is None else (principal.kind, principal.subject)
        self._rights = rights
        rights.check_room(self._reader)
        super().__init__(while_permitted(request, rights, events), **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until either side ends it."""
        with self._rights.following(self._reader):
            await super().__call__(scope, receive, send)


def next_proof(now: float) -> float:
    """When a reader is asked again: streams that began together, after a restart, are not asked together."""
    return now + PROVE_EVERY * random.uniform(0.5, 1)  # noqa: S311 (no secret)


async def while_permitted(request: Request, rights: RightsWatch, events: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """Pass a stream's events on, until who asked for it no longer is who they were, or has other rights.

    A reader whose stream has ended asks for it again, and is judged anew.
    """
    # That a stream goes on is no use of a session by anybody at it.
    note_background(request.scope)
    prove_at = next_proof(time.monotonic())
    with rights.changes() as changed:
        coming = asyncio.ensure_future(anext(events))
        change = asyncio.ensure_future(changed.wait())
        try:
            while True:
                until = max(prove_at - time.monotonic(), 0)
                await asyncio.wait({coming, change}, timeout=until, return_when=asyncio.FIRST_COMPLETED)
                # A proof ends in time as well, and nobody notifies of that.
                if change.done() or time.monotonic() >= prove_at:
                    # What came meanwhile is held back until it is known who reads it.
                    async with rights.proving:
                        changed.clear()
                        if not await _is_as_before(request):
                            return
                    prove_at = next_proof(time.monotonic())
                if change.done():
                    change = asyncio.ensure_future(changed.wait())
                if coming.done():
                    try:
                        event = coming.result()
                    except StopAsyncIteration:
                        return
                    yield event
                    coming = asyncio.ensure_future(anext(events))
        finally:
            for each in (coming, change):
                each.cancel()
            await asyncio.wait({coming, change})
            await events.aclose()


async def _is_as_before(request: Request) -> bool:
    before = principal_of(request.scope)
    try:
        now = await prove_again(request.scope)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not known who reads
        _log.info("event stream ended", error=type(error).__name__)
        return False
    if before is None or (now.kind, now.subject) != (before.kind, before.subject):
        return False
    # What bounds a token's grants counts as well.
    return now is before or all(now.scope(each) == before.scope(each) for each in Permission)

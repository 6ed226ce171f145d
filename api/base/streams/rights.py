"""What was permitted once and goes on is judged anew when rights change: event streams, secrets kept in mind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import structlog
from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.access import note_background, principal_of, prove_again
from domain.access.roles import Permission
from store.access.grants import CHANNEL, SECRETS
from store.base.notifications.listen import listen

_log = structlog.get_logger("access")

T = TypeVar("T")

PROVE_EVERY = 60.0
"""Seconds after which who reads a stream is asked again, also where nothing was heard."""


class RightsWatch:
    """Hears that who may do what has changed, for all of one process."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self._forgetting: list[Callable[[], None]] = []
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

    @contextmanager
    def changes(self) -> Generator[asyncio.Event]:
        """Set the event whenever rights change, while the block runs."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            yield changed
        finally:
            self._waiting.discard(changed)


async def while_permitted(request: Request, rights: RightsWatch, events: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """Pass a stream's events on, until who asked for it no longer is who they were, or has other rights.

    A reader whose stream has ended asks for it again, and is judged anew.
    """
    # That a stream goes on is no use of a session by anybody at it.
    note_background(request.scope)
    proven_at = time.monotonic()
    with rights.changes() as changed:
        coming = asyncio.ensure_future(anext(events))
        change = asyncio.ensure_future(changed.wait())
        try:
            while True:
                until = max(proven_at + PROVE_EVERY - time.monotonic(), 0)
                await asyncio.wait({coming, change}, timeout=until, return_when=asyncio.FIRST_COMPLETED)
                # A proof ends in time as well, and nobody notifies of that.
                if change.done() or time.monotonic() >= proven_at + PROVE_EVERY:
                    changed.clear()
                    if not await _is_as_before(request):
                        return
                    proven_at = time.monotonic()
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

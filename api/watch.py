"""Who watches a depot hears of its changes: one PostgreSQL listener a process, any number of watchers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from store.listen import listen
from store.notify import CHANNEL, read_payload

EVERY_KIND = "*"
"""Told when it is not known what was missed: look at everything."""


class Watcher:
    """One who watches a depot. What is told while it is busy is told once, however often it happened."""

    def __init__(self) -> None:
        self._kinds: set[str] = set()
        self._rung = asyncio.Event()

    def ring(self, kinds: set[str]) -> None:
        """Note that something changed."""
        self._kinds |= kinds
        self._rung.set()

    async def changed(self) -> set[str]:
        """Wait until something changed and answer the kinds of it."""
        await self._rung.wait()
        self._rung.clear()
        kinds, self._kinds = self._kinds, set()
        return kinds


class Watch:
    """The watchers of one process."""

    def __init__(self) -> None:
        self._watchers: dict[UUID, set[Watcher]] = defaultdict(set)

    @asynccontextmanager
    async def on(self, depot_id: UUID) -> AsyncGenerator[Watcher]:
        """Watch a depot while the block runs."""
        watcher = Watcher()
        self._watchers[depot_id].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[depot_id].discard(watcher)
            if not self._watchers[depot_id]:
                del self._watchers[depot_id]

    def hear(self, payload: str) -> None:
        """Pass on what PostgreSQL said."""
        for depot_id, kinds in read_payload(payload):
            if depot_id is None:
                self._ring_all(kinds)
            else:
                for watcher in self._watchers.get(depot_id, ()):
                    watcher.ring(kinds)

    def _ring_all(self, kinds: set[str]) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.ring(kinds)

    async def run(self, engine: AsyncEngine) -> None:
        """Listen until cancelled. After a lost connection everyone looks again."""
        await listen(engine, CHANNEL, self.hear, lambda: self._ring_all({EVERY_KIND}))

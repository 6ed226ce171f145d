"""Who watches a depot hears of its changes: one PostgreSQL listener a process, any number of watchers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.listen import listen
from store.base.notify import CHANNEL, read_payload

EVERY_KIND = "*"
"""Told when it is not known what was missed: look at everything."""

Ear = Callable[[UUID | None, set[str]], None]
"""Called with a depot, None for any, and the kinds of what changed of it."""


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
        self._ears: set[Ear] = set()

    def lend(self, ear: Ear) -> None:
        """Tell ``ear`` of all changes of all depots, at once and on the loop: it must not wait."""
        self._ears.add(ear)

    def take_back(self, ear: Ear) -> None:
        """Tell ``ear`` no longer."""
        self._ears.discard(ear)

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
        if not self._watchers and not self._ears:
            return
        for depot_id, kinds in read_payload(payload):
            self._tell(depot_id, kinds)

    def _tell(self, depot_id: UUID | None, kinds: set[str]) -> None:
        told = self._watchers.values() if depot_id is None else [self._watchers.get(depot_id, set[Watcher]())]
        for watchers in told:
            for watcher in watchers:
                watcher.ring(kinds)
        for ear in list(self._ears):
            ear(depot_id, kinds)

    async def run(self, engine: AsyncEngine) -> None:
        """Listen until cancelled. After a lost connection everyone looks again."""
        await listen(engine, CHANNEL, self.hear, lambda: self._tell(None, {EVERY_KIND}))

"""Notifies watchers of the changes of a depot: one PostgreSQL listener a process, any number of watchers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.notifications.listen import listen
from store.base.notifications.notify import CHANNEL, read_payload

EVERY_KIND = "*"
"""Sent when it is not known what was missed: read everything again."""

ChangeCallback = Callable[[UUID | None, set[str]], None]
"""Called with a depot, None for any, and the kinds of what changed of it."""


class Watcher:
    """A watcher of one depot. Changes that come while it is busy are debounced: it hears of each kind once."""

    def __init__(self) -> None:
        self._kinds: set[str] = set()
        self._notified = asyncio.Event()

    def notify(self, kinds: set[str]) -> None:
        """Note that something changed."""
        self._kinds |= kinds
        self._notified.set()

    async def changed(self) -> set[str]:
        """Wait until something changed and answer the kinds of it."""
        await self._notified.wait()
        self._notified.clear()
        kinds, self._kinds = self._kinds, set()
        return kinds


class Watch:
    """The watchers of one process."""

    def __init__(self) -> None:
        self._watchers: dict[UUID, set[Watcher]] = defaultdict(set)
        self._callbacks: set[ChangeCallback] = set()

    def subscribe(self, callback: ChangeCallback) -> None:
        """Call ``callback`` with all changes of all depots, at once and on the loop: it must not wait."""
        self._callbacks.add(callback)

    def unsubscribe(self, callback: ChangeCallback) -> None:
        """Call ``callback`` no longer."""
        self._callbacks.discard(callback)

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

    def dispatch(self, payload: str) -> None:
        """Pass a notification of PostgreSQL on."""
        if not self._watchers and not self._callbacks:
            return
        for depot_id, kinds in read_payload(payload):
            self._notify(depot_id, kinds)

    def _notify(self, depot_id: UUID | None, kinds: set[str]) -> None:
        watching = self._watchers.values() if depot_id is None else [self._watchers.get(depot_id, set[Watcher]())]
        for watchers in watching:
            for watcher in watchers:
                watcher.notify(kinds)
        for callback in list(self._callbacks):
            callback(depot_id, kinds)

    async def run(self, engine: AsyncEngine) -> None:
        """Listen until cancelled. After a lost connection everyone looks again."""
        await listen(engine, CHANNEL, self.dispatch, lambda: self._notify(None, {EVERY_KIND}))

"""Tasks that last as long as their process: a task that ends is started again, whatever ended it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

_log = structlog.get_logger("supervision")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_ASK_AGAIN = 30.0
"""Seconds after which work that was cancelled and goes on is cancelled once more; finishing what it has in hand takes
less."""
_STABLE = 30.0
"""Seconds after which work that ends begins with the first pause again."""


class SupervisedTask:
    """One piece of work, in a task that is started again whenever it ends.

    No second task waits for that, so there is nothing else that could end unnoticed.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self.starts = 0
        self.task: asyncio.Task[None] | None = None
        self._work = work
        self._pause = _FIRST_PAUSE
        self._begun = 0.0
        self._next: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Begin, for the first time or again."""
        self._begun = asyncio.get_running_loop().time()
        self.starts += 1
        self.task = asyncio.create_task(self._run(), name=self.name)
        self.task.add_done_callback(self._on_end)

    async def close(self) -> None:
        """End the work and wait until it has ended.

        It is asked again while it goes on: a cancellation that meets the end of something else may be taken for that.
        """
        self._closed = True
        if self._next is not None:
            self._next.cancel()
        while self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=_ASK_AGAIN)

    async def _run(self) -> None:
        await self._work()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._begun > _STABLE:
            self._pause = _FIRST_PAUSE
        _log.error("work ended, it begins again", work=self.name, after_seconds=self._pause, exc_info=error)
        self._next = loop.call_later(self._pause, self.start)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


@asynccontextmanager
async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> AsyncGenerator[SupervisedTask]:
    """Run ``work`` while the block runs. It is called again whenever it returns, fails or is cancelled."""
    found = SupervisedTask(name, work)
    found.start()
    try:
        yield found
    finally:
        await found.close()

"""What is asked of a server that may hang or be away: what it said last goes on being used while it is asked again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from domain.base.problems import Problem

_log = structlog.get_logger("remembered")

FRESH = 3600.0
"""Seconds after which it is asked again, beside those who go on with what is known."""
KEPT = 86_400.0
"""Seconds for which what is known is used at most, while no newer answer can be had."""
AGAIN = 10.0
"""Seconds between the end of one question and the next, whether it failed or did not say what somebody looks for."""

T = TypeVar("T")


class Remembered(Generic[T]):
    """One answer. However many look for it, it is asked for once at a time."""

    def __init__(
        self, name: str, ask: Callable[[], Awaitable[T]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take what the log calls it, and how it is asked for, which raises ``Problem`` where it cannot be had."""
        self._name = name
        self._ask = ask
        self._clock = clock
        self._known: tuple[T, float] | None = None
        """The last answer, and when it came."""
        self._failure: Problem | None = None
        """Why the last question failed; None: it did not."""
        self._ended_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def get(self, *, newer: bool = False) -> T:
        """The answer, if one is known at once; ``newer`` where the known one lacks what is looked for.

        Raises:
            Problem: none is known and none can be had, or no newer one.

        """
        if self._known is not None:
            age = self._clock() - self._known[1]
            if not newer and age <= KEPT:
                if age > FRESH and self._may_ask():
                    self._begin()
                return self._known[0]
            if newer and self._failure is None and not self._may_ask() and self._asking is None:
                return self._known[0]
        if self._asking is None and self._may_ask():
            self._begin()
        if self._asking is not None:
            # Whoever gives up waiting does not end the question of others.
            await asyncio.shield(self._asking)
        if self._failure is not None:
            # A new one each time: an error that is raised again grows by each place that it passes.
            raise Problem(self._failure.code, self._failure.detail)
        assert self._known is not None
        return self._known[0]

    async def close(self) -> None:
        """End a question that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _may_ask(self) -> bool:
        return self._asking is None and self._clock() - self._ended_at >= AGAIN

    def _begin(self) -> None:
        self._asking = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            found = await self._ask()
        except Problem as problem:
            self._failure = problem
            _log.warning("not asked anew", what=self._name, reason=problem.detail, known=self._known is not None)
        else:
            self._known, self._failure = (found, self._clock()), None
        finally:
            self._ended_at, self._asking = self._clock(), None

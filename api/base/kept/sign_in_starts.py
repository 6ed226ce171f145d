"""How many sign-ins one address begins: each is a row until somebody ends it, or its time is over."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import structlog

from api.base.kept.limiter import make_limiter
from domain.access.attempts import MOST_STARTED, WINDOW_SECONDS, network_of
from domain.base.problems import Problem, ProblemCode

if TYPE_CHECKING:
    from limits import RateLimitItemPerSecond

    from api.base.kept.exchange import Exchange
    from api.base.kept.limiter import Limiter

_log = structlog.get_logger("access")

_BEGUN = "sign-in begun"
"""What the processes tell each other."""


class SignInStarts:
    """Counts the sign-ins that each address begins in any API process, in a moving window."""

    def __init__(self, exchange: Exchange) -> None:
        self._limiter: Limiter | None = None
        self._exchange = exchange
        exchange.when_told(_BEGUN, tuple[str], self._hear)

    async def count(self, host: str) -> None:
        """Count one, unless its address has begun too many.

        Raises:
            Problem: ``TOO_MANY_SIGN_INS``.

        """
        limiter, where = await self._open(), network_of(host)
        if await limiter.hit(_most(), where):
            self._exchange.tell(_BEGUN, where)
            return
        _log.warning("too many sign-ins begun", client=where)
        window = await limiter.get_window_stats(_most(), where)
        raise Problem(
            ProblemCode.TOO_MANY_SIGN_INS,
            "Too many sign-ins were begun from this address.",
            retry_after=max(1, math.ceil(window.reset_time - time.time())),
        )

    async def _open(self) -> Limiter:
        if self._limiter is None:
            made = await asyncio.to_thread(make_limiter)
            self._limiter = self._limiter or made
        return self._limiter

    async def _hear(self, network: str) -> None:
        limiter = await self._open()
        await limiter.hit(_most(), network)


def _most() -> RateLimitItemPerSecond:
    from limits import RateLimitItemPerSecond

    return RateLimitItemPerSecond(MOST_STARTED, WINDOW_SECONDS, namespace="begun")

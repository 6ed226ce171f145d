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
    from api.base.kept.limiter import Limiter

_log = structlog.get_logger("access")


class SignInStarts:
    """Counts the sign-ins that each address begins, in a moving window."""

    def __init__(self) -> None:
        self._limiter: Limiter | None = None

    async def count(self, host: str) -> None:
        """Count one, unless its address has begun too many.

        Raises:
            Problem: ``TOO_MANY_SIGN_INS``.

        """
        from limits import RateLimitItemPerSecond

        if self._limiter is None:
            made = await asyncio.to_thread(make_limiter)
            self._limiter = self._limiter or made
        limit, where = RateLimitItemPerSecond(MOST_STARTED, WINDOW_SECONDS, namespace="begun"), network_of(host)
        if await self._limiter.hit(limit, where):
            return
        _log.warning("too many sign-ins begun", client=where)
        window = await self._limiter.get_window_stats(limit, where)
        raise Problem(
            ProblemCode.TOO_MANY_SIGN_INS,
            "Too many sign-ins were begun from this address.",
            retry_after=max(1, math.ceil(window.reset_time - time.time())),
        )

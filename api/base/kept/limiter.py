"""What counts by address: the library `limits`, in the memory of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from limits.aio.strategies import MovingWindowRateLimiter

    Limiter: TypeAlias = MovingWindowRateLimiter


def make_limiter() -> Limiter:
    """Make one. The library is imported when something is first counted: call it beside the loop."""
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    return MovingWindowRateLimiter(MemoryStorage())

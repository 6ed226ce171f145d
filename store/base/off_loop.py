"""Work for the processor that grows with what is stored or sent: in a thread, so that nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

FEW = 200
"""Items that are handled faster than a thread takes them over."""


async def off_loop(items: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do ``work``, which is about so many ``items``: at once where they are few, else while the event loop goes on.

    The interpreter gives the event loop its turn every few milliseconds while the thread computes.
    """
    if items <= FEW:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)

"""Telling Temporal that a long step is alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity

HEARTBEAT_EVERY = timedelta(seconds=2)


@asynccontextmanager
async def beating(every: timedelta = HEARTBEAT_EVERY) -> AsyncGenerator[None]:
    """Heartbeat while the block runs, so that a dead worker is noticed long before the step's time is up."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(every.total_seconds())

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

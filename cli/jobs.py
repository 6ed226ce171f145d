"""Watches a job of the API until it has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

from cli.client import Api, RefusedError, UnreachableError
from cli.errors import CommandFailedError
from cli.meter import Meter
from domain.base.jobs import JobState

_LONGEST_SILENCE = 120.0
"""Seconds that the API may be away while a job is watched: everything that is killed comes back."""
_AWAY = {"DATABASE_UNAVAILABLE", "DATABASE_BUSY", "TEMPORAL_UNAVAILABLE"}


async def watch_job(
    api: Api,
    path: str,
    job: dict[str, Any],
    console: Console,
    title: str,
    progress_of: Callable[[dict[str, Any]], tuple[int, int | None, str]],
    *,
    every: float = 0.25,
) -> dict[str, Any]:
    """Show how far a job is until it has ended; answer what the API says of it then.

    Args:
        api: The API.
        path: Where the job is read.
        job: The job as it was started.
        console: Where it is shown.
        title: What it is called there.
        progress_of: Tells of a job how much is done, of how much (None: nobody knows yet), and that in words.
        every: Seconds between two readings.

    Raises:
        CommandFailedError: the API is unavailable for too long. The job goes on by itself.

    """
    heard_at = time.monotonic()
    with Meter(console, title) as meter:
        while True:
            meter.show(*progress_of(job))
            if JobState(job["state"]).ended:
                return job
            await asyncio.sleep(every)
            try:
                job = await api.get(path)
                heard_at = time.monotonic()
            except CommandFailedError as error:
                away = isinstance(error, UnreachableError) or (isinstance(error, RefusedError) and error.code in _AWAY)
                if not away or time.monotonic() - heard_at > _LONGEST_SILENCE:
                    raise

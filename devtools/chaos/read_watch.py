"""Reads all of the time: how many fail around a fault, and how long nobody is answered."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import httpx

_EVERY = 0.1
"""Seconds from the beginning of one read to that of the next."""
_WAITS = 3.0
"""Seconds after which a read that is not answered has failed."""


@dataclass(frozen=True)
class ReadsSeen:
    """What became of the reads that ended in a span of time."""

    answered: int
    failed: int
    """Refused, broken off, answered with an error, or not answered in three seconds."""
    longest: float
    """The longest time without an answer, in seconds."""


class ReadWatch:
    """Begins a read ten times a second, whatever became of those before, each on a connection of its own.

    So it sees what a balancer or a client with timeouts sees that opens another connection: what was kept with a paused
    process would wait for it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._answered = self._failed = 0
        self._longest = 0.0
        self._last = time.monotonic()

    async def run(self) -> None:
        """Read until cancelled."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with (
            httpx.AsyncClient(timeout=_WAITS, limits=limits, trust_env=False) as client,
            asyncio.TaskGroup() as reads,
        ):
            while True:
                reads.create_task(self._read(client))
                await asyncio.sleep(_EVERY)

    async def _read(self, client: httpx.AsyncClient) -> None:
        try:
            is_answered = (await client.get(self._url)).is_success
        except httpx.HTTPError:
            is_answered = False
        if is_answered:
            self._note_gap()
            self._last = time.monotonic()
            self._answered += 1
        else:
            self._failed += 1

    def _note_gap(self) -> None:
        self._longest = max(self._longest, time.monotonic() - self._last)

    def take(self) -> ReadsSeen:
        """Say what became of the reads that ended since the last time."""
        self._note_gap()
        seen = ReadsSeen(self._answered, self._failed, self._longest)
        self._answered = self._failed = 0
        self._longest = 0.0
        return seen

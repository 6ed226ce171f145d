"""The step that reads stored packets into typed readings."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.monitoring.upkeep import ReadingFillReport, ReadingFillRequest
from store.monitoring.reading_fills import fill_page, read_fill_progress


class ReadingFillActivities:
    """Steps of the reading fill, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.fill_readings]

    @activity.defn
    async def fill_readings(self, request: ReadingFillRequest) -> ReadingFillReport:
        """Read page after page until nothing is left or the request's time is up.

        Each page is a transaction of its own and notes how far it came, so another try goes on there.
        """
        packets = gateways = 0
        until = time.monotonic() + request.round_seconds
        async with beating():
            while time.monotonic() < until:
                async with self._engine.begin() as connection:
                    page = await fill_page(connection)
                if page is None:
                    break
                packets += page.packets
                gateways += page.finished
            async with self._engine.connect() as connection:
                left = (await read_fill_progress(connection)).gateways_left
        return ReadingFillReport(packets, gateways, left)

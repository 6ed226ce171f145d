"""The steps that keep rollups right, and those that hold them against their readings."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.history.rollups import RollupCheckReport, RollupCheckRequest, RollupReport, RollupRequest
from store.history.rollup_checks import begin_check, check_page
from store.history.rollups import note_touched, read_backlog, roll_up_page


class RollupActivities:
    """Steps of the rollups, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.roll_up_readings, self.check_rollups]

    @activity.defn
    async def roll_up_readings(self, request: RollupRequest) -> RollupReport:
        """Note what changed, and roll up page after page until nothing is left or the request's time is up.

        Each page is a transaction of its own, so another try goes on where this one ended.
        """
        blocks = changed = 0
        until = time.monotonic() + request.round_seconds
        async with beating():
            async with self._engine.begin() as connection:
                await note_touched(connection)
            while time.monotonic() < until:
                async with self._engine.begin() as connection:
                    page = await roll_up_page(connection)
                if page is None:
                    break
                blocks += page.blocks
                changed += page.changed
            async with self._engine.connect() as connection:
                backlog = await read_backlog(connection)
        return RollupReport(blocks, changed, backlog.blocks, backlog.lag_seconds)

    @activity.defn
    async def check_rollups(self, request: RollupCheckRequest) -> RollupCheckReport:
        """Compare page after page until all is compared or the request's time is up; answer what it came to so far.

        Each page is a transaction of its own and notes how far it came, so another try goes on there.
        """
        assert request.check_id is not None
        until = time.monotonic() + request.round_seconds
        async with beating():
            async with self._engine.begin() as connection:
                await begin_check(
                    connection, request.check_id, request.requested_by, request.days, repair=request.repair
                )
            while True:
                async with self._engine.begin() as connection:
                    report = await check_page(connection, request.check_id)
                if report.finished or time.monotonic() >= until:
                    return report

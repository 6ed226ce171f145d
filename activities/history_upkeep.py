"""The step of the history's upkeep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.monitoring.upkeep import HistoryReport, HistoryRequest
from store.access.sessions import forget_sign_ins
from store.base.idempotency import forget_old_answers
from store.history.jobs.export_jobs import forget_files
from store.monitoring.history import keep_months
from store.site.fleet.import_jobs import forget_reports
from store.site.site_overview import forget_unknown_sensors


class HistoryUpkeepActivities:
    """Steps of the history's upkeep, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.keep_months]

    @activity.defn
    async def keep_months(self, request: HistoryRequest) -> HistoryReport:
        """Make and drop months in one transaction; forget what need not be kept longer. Again, nothing is left."""
        async with beating():
            async with self._engine.begin() as connection:
                await forget_old_answers(connection)
                await forget_sign_ins(connection)
                await forget_reports(connection)
                await forget_unknown_sensors(connection)
                await forget_files(connection)
            async with self._engine.begin() as connection:
                return await keep_months(connection, request)

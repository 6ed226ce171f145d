"""The step of the history's upkeep."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.upkeep import HistoryReport, HistoryRequest
from store.history import keep_months


class HistoryUpkeepActivities:
    """Steps of the history's upkeep, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def keep_months(self, request: HistoryRequest) -> HistoryReport:
        """Make and drop months in one transaction. Run twice, the second finds nothing to do."""
        async with beating(), self._engine.begin() as connection:
            return await keep_months(connection, request)

"""The step of the capacity watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from domain.monitoring.upkeep import WatchRound
from store.monitoring.capacity_upkeep import pass_deadlines, seconds_to_next_deadline
from store.site.fleet.fleet_list import add_counts_up, refresh_fleet_freshness

BATCH = 500
"""Circuits in one transaction: packets of their depots wait as long as it takes."""
MAX_BATCHES = 20
"""Transactions in one step, so that it stays a short one. Where more is due the next step follows at once."""


class CapacityWatchActivities:
    """Steps of the capacity watch, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.pass_due_deadlines]

    @activity.defn
    async def pass_due_deadlines(self) -> WatchRound:
        """Let the fail-safe take over wherever it is due, and say when it may be due next.

        The list of depots is brought up to date as well: which of them are fresh no more.

        Run twice, or by two at once, the second finds nothing due.
        """
        passed = 0
        for _ in range(MAX_BATCHES):
            async with self._engine.begin() as connection:
                due = await pass_deadlines(connection, BATCH)
            passed += due
            if due < BATCH:
                break
        for _ in range(MAX_BATCHES):
            async with self._engine.begin() as connection:
                refreshed = await refresh_fleet_freshness(connection, BATCH)
            if refreshed < BATCH:
                break
        async with self._engine.begin() as connection:
            await add_counts_up(connection)
        async with self._engine.connect() as connection:
            return WatchRound(passed, await seconds_to_next_deadline(connection))

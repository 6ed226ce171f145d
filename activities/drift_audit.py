"""The step of the drift audit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.base.actor import Actor
from domain.monitoring.upkeep import DRIFT_ACTOR, DriftReport, DriftRequest
from store.base.database import snapshot, transaction
from store.provisioning.drift import ask_for_repair, count_microgrids, drifted_depots

NAMED = 100
"""Depots that a report names."""


class DriftAuditActivities:
    """Steps of the drift audit, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.find_drift]

    @activity.defn
    async def find_drift(self, request: DriftRequest) -> DriftReport:
        """Compare all depots, and ask for a sync of those out of step where that is wanted.

        Run twice, a depot that waits for its sync already is not asked for again.
        """
        async with beating():
            suspects, microgrids = await self._look()
            if suspects:
                # Between a change and its sync a depot is out of step, and that is no drift.
                await asyncio.sleep(request.settle_seconds)
                still, microgrids = await self._look()
                suspects = suspects & still
            if request.repair:
                async with transaction(self._engine, Actor(DRIFT_ACTOR)) as connection:
                    await ask_for_repair(connection, sorted(suspects))
        return DriftReport(microgrids, len(suspects), sorted(suspects)[:NAMED], repairing=request.repair)

    async def _look(self) -> tuple[set[UUID], int]:
        async with snapshot(self._engine) as connection:
            return set(await drifted_depots(connection)), await count_microgrids(connection)

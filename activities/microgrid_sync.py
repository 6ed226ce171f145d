"""The steps of a sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from domain.base.actor import Actor
from domain.provisioning.outcomes import FailedSync, SyncRequest, SyncResult
from store.base.database import transaction
from store.provisioning.microgrids import note_failed_sync, reconcile_microgrid


class MicrogridSyncActivities:
    """Steps of the sync workflow, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.reconcile_depot, self.note_failure]

    @activity.defn
    async def reconcile_depot(self, request: SyncRequest) -> SyncResult:
        """Make the depot's microgrid follow its top-level circuits, in one transaction.

        Run twice, the second run finds nothing to change; its result then says ``UNCHANGED``.
        """
        async with transaction(self._engine, Actor(request.requested_by)) as connection:
            return await reconcile_microgrid(connection, Actor(request.requested_by), request.depot_id)

    @activity.defn
    async def note_failure(self, failed: FailedSync) -> None:
        """Note that the depot's sync failed for good, where an operator looks. Run twice, it says the same."""
        actor = Actor(failed.requested_by)
        async with transaction(self._engine, actor) as connection:
            await note_failed_sync(connection, actor, failed.depot_id, failed.failure)

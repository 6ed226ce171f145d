"""The one step of a sync."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from domain.actor import Actor
from domain.provisioning import SyncRequest, SyncResult
from store.database import transaction
from store.microgrids import reconcile_microgrid


class MicrogridSyncActivities:
    """Steps of the sync workflow, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def reconcile_depot(self, request: SyncRequest) -> SyncResult:
        """Make the depot's microgrid follow its top-level circuits, in one transaction.

        Run twice, the second run finds nothing to change; its result then says ``UNCHANGED``.
        """
        async with transaction(self._engine, Actor(request.requested_by)) as connection:
            return await reconcile_microgrid(connection, Actor(request.requested_by), request.depot_id)

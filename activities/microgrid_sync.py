"""The steps of a sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from domain.base.actor import Actor
from domain.provisioning.outcomes import FailedSync, SyncRequest, SyncResult
from store.base.database import transaction
from store.base.origin import Origin, coming_from
from store.provisioning.microgrids import note_failed_sync, reconcile_microgrid

_log = structlog.get_logger("sync")


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
        actor = Actor(request.requested_by)
        with coming_from(Origin(request.request_id or "")):
            async with transaction(self._engine, actor) as connection:
                result = await reconcile_microgrid(connection, actor, request.depot_id)
        _log.info("synced", reason=request.reason, outcome=result.outcome, version=result.version_after)
        return result

    @activity.defn
    async def note_failure(self, failed: FailedSync) -> None:
        """Note that the depot's sync failed for good, where an operator looks. Run twice, it says the same."""
        actor = Actor(failed.requested_by)
        with coming_from(Origin(failed.request_id or "")):
            async with transaction(self._engine, actor) as connection:
                await note_failed_sync(connection, actor, failed.depot_id, failed.failure)

"""The steps of a sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from domain.base.actor import Actor
from domain.provisioning.outcomes import FailedSync, SyncRequest, SyncResult
from runtime.observing.metrics import NAMESPACE
from runtime.observing.traces import continuing
from store.base.database import clock, transaction
from store.base.origin import Origin, coming_from
from store.provisioning.microgrids import note_failed_sync, reconcile_microgrid

_log = structlog.get_logger("sync")

_DELAYS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class SyncMetrics:
    """What syncs of this process came to, and how long changes waited for them."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.syncs = Counter(
            "syncs", "Syncs of a depot by what they came to", ["outcome"], NAMESPACE, registry=registry
        )
        self.delay = Histogram(
            "sync_delay_seconds",
            "From a change of a depot's circuits until its microgrid followed; of several, the first one",
            namespace=NAMESPACE, buckets=_DELAYS, registry=registry,
        )  # fmt: skip


class MicrogridSyncActivities:
    """Steps of the sync workflow, on one database."""

    def __init__(self, engine: AsyncEngine, metrics: SyncMetrics | None = None) -> None:
        """Without ``metrics`` nobody reads what the syncs came to."""
        self._engine = engine
        self._metrics = metrics or SyncMetrics(None)

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.reconcile_depot, self.note_failure]

    @activity.defn
    async def reconcile_depot(self, request: SyncRequest) -> SyncResult:
        """Make the depot's microgrid follow its top-level circuits, in one transaction.

        Run twice, the second run finds nothing to change; its result then says ``UNCHANGED``.
        """
        actor = Actor(request.requested_by)
        with coming_from(Origin(request.request_id or "")), continuing(request.traceparent, "reconcile"):
            async with transaction(self._engine, actor) as connection:
                result = await reconcile_microgrid(connection, actor, request.depot_id)
                # By the clock that stamped the change.
                now = None if request.changed_at is None else await clock(connection)
        self._metrics.syncs.labels(result.outcome).inc()
        if request.changed_at is not None and now is not None:
            self._metrics.delay.observe(max(0.0, (now - request.changed_at).total_seconds()))
        _log.info("synced", reason=request.reason, outcome=result.outcome, version=result.version_after)
        return result

    @activity.defn
    async def note_failure(self, failed: FailedSync) -> None:
        """Note that the depot's sync failed for good, where an operator looks. Run twice, it says the same."""
        actor = Actor(failed.requested_by)
        with coming_from(Origin(failed.request_id or "")):
            async with transaction(self._engine, actor) as connection:
                await note_failed_sync(connection, actor, failed.depot_id, failed.failure)

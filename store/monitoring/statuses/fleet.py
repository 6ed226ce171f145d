"""The capabilities' statuses of many depots at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.capabilities import Capability, CapabilityStatus
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.monitoring.freshness import EFFECTIVE_AT, IS_FRESH, STALE_AT, STATUS_JOINS, capabilities_and_thresholds


@dataclass(frozen=True)
class LatestCapabilityStatus:
    """The latest status of one capability of one depot, or that a device supplies it and sent none yet."""

    capability: Capability
    status: CapabilityStatus | None
    effective_at: datetime | None
    """When it counts as seen."""
    stale_at: datetime | None
    """The last moment at which its age lets it be fresh."""
    is_updated: bool
    """Whether an enabled device updates it."""
    is_fresh: bool
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""


_LATEST = text(f"""
    SELECT m.depot_id, k.capability, l.status, {EFFECTIVE_AT} AS effective_at, {STALE_AT} AS stale_at,
           o.sensor_action_id IS NOT NULL AS is_updated, coalesce({IS_FRESH}, false) AS is_fresh,
           l.scenario_run_id, {SCENARIO_OF.format("l.scenario_run_id")}
    FROM microgrids AS m
    CROSS JOIN unnest(CAST(:capabilities AS text[]), CAST(:thresholds AS interval[])) WITH ORDINALITY
        AS k (capability, threshold, n)
    {STATUS_JOINS}
    WHERE m.depot_id = ANY (CAST(:depot_ids AS uuid[])) AND m.retired_at IS NULL
          AND (l.status IS NOT NULL OR o.sensor_action_id IS NOT NULL)
    ORDER BY m.depot_id, k.n
""")  # noqa: S608 - constants


async def read_latest_statuses(
    connection: AsyncConnection, depot_ids: Collection[UUID]
) -> dict[UUID, tuple[LatestCapabilityStatus, ...]]:
    """Read the latest statuses of these depots; a capability that has none and that no device supplies is left out."""
    found: dict[UUID, tuple[LatestCapabilityStatus, ...]] = defaultdict(tuple)
    capabilities, thresholds = capabilities_and_thresholds()
    given = {"depot_ids": list(depot_ids), "capabilities": capabilities, "thresholds": thresholds}
    rows = await connection.execute(_LATEST, given)
    for depot_id, capability, status, *rest, run_id, scenario in rows:
        latest = LatestCapabilityStatus(
            Capability(capability),
            None if status is None else CapabilityStatus(status),
            *rest,
            simulated_by=SimulatedBy.of(run_id, scenario),
        )
        found[depot_id] += (latest,)
    return found

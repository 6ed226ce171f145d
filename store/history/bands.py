"""When a depot's capabilities were ON and OFF, by what was known of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.capabilities import Capability, CapabilityStatus
from domain.monitoring.packets import DEFAULT_PAST_WINDOW
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.monitoring.freshness import capabilities_and_thresholds


@dataclass(frozen=True)
class CapabilityPeriod:
    """A time for which a capability's status was known and stayed the same."""

    depot_id: UUID
    capability: Capability
    status: CapabilityStatus
    since: datetime
    until: datetime
    """When another status came, or the last one became stale; or the end of what was asked for."""
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""


# A status holds until the next one, as long as it is fresh. Of an earlier tenure nothing counts once a later one began,
# and what has no value changes nothing (domain.monitoring.capabilities).
_PERIODS = text(f"""
    WITH events AS (
        SELECT m.depot_id, e.capability, e.status, least(e.observed_at, e.received_at) AS at, e.observed_at,
               e.provider_event_ref AS ref, e.tenure, e.scenario_run_id,
               coalesce(make_interval(secs => t.seconds), CAST(k.threshold AS interval)) AS threshold
        FROM microgrids AS m
        CROSS JOIN unnest(CAST(:capabilities AS text[]), CAST(:thresholds AS interval[])) AS k (capability, threshold)
        LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
        CROSS JOIN LATERAL (
            SELECT * FROM capability_events
            WHERE microgrid_id = m.id AND capability = k.capability AND effect IN ('SHOWN', 'LATE')
              AND received_at >= CAST(:since AS timestamptz)
                                 - coalesce(make_interval(secs => t.seconds), CAST(k.threshold AS interval))
              AND received_at < CAST(:until AS timestamptz) + CAST(:late AS interval)
        ) AS e
        WHERE m.depot_id = ANY (CAST(:depot_ids AS uuid[])) AND least(e.observed_at, e.received_at) < :until
    ), counted AS (
        SELECT *, max(tenure) OVER (PARTITION BY depot_id, capability ORDER BY at, observed_at, ref) AS newest
        FROM events
    ), neighbours AS (
        SELECT *, lag(status) OVER place AS status_before,
               lag(scenario_run_id) OVER place AS run_before, lag(at) OVER place AS before, lead(at) OVER place AS next
        FROM counted WHERE tenure = newest
        WINDOW place AS (PARTITION BY depot_id, capability ORDER BY at, observed_at, ref)
    ), islands AS (
        SELECT *, count(*) FILTER (WHERE status_before IS DISTINCT FROM status OR at > before + threshold
                                         OR run_before IS DISTINCT FROM scenario_run_id)
                      OVER (PARTITION BY depot_id, capability ORDER BY at, observed_at, ref) AS island
        FROM neighbours
    )
    SELECT depot_id, capability, status, greatest(min(at), :since) AS since,
           least(max(least(coalesce(next, 'infinity'), at + threshold)), :until, clock_timestamp()) AS until,
           scenario_run_id, {SCENARIO_OF.format("scenario_run_id")}
    FROM islands
    GROUP BY depot_id, capability, status, island, scenario_run_id
    HAVING max(least(coalesce(next, 'infinity'), at + threshold)) > :since
    ORDER BY depot_id, capability, since
    LIMIT :limit
""")  # noqa: S608 - constants
_LATE = DEFAULT_PAST_WINDOW + timedelta(minutes=10)
MOST_PERIODS = 5_000
"""Periods that are read at once; a capability that changes as often as that is no band any more."""


async def read_capability_periods(
    connection: AsyncConnection, depot_ids: Collection[UUID], since: datetime, until: datetime
) -> tuple[list[CapabilityPeriod], bool]:
    """Read when the capabilities of these depots were ON and OFF, by measurement; and whether that is all of it."""
    capabilities, thresholds = capabilities_and_thresholds()
    given = {
        "capabilities": capabilities, "thresholds": thresholds, "depot_ids": list(depot_ids), "since": since,
        "until": until, "late": _LATE, "limit": MOST_PERIODS + 1,
    }  # fmt: skip
    rows = (await connection.execute(_PERIODS, given)).all()
    periods = [
        CapabilityPeriod(
            depot_id,
            Capability(capability),
            CapabilityStatus(status),
            begin,
            end,
            SimulatedBy.of(run_id, scenario),
        )
        for depot_id, capability, status, begin, end, run_id, scenario in rows[:MOST_PERIODS]
        if begin < end
    ]
    return periods, len(rows) <= MOST_PERIODS

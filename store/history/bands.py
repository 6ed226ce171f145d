"""When a depot's capabilities were ON and OFF, by what was known of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.rollups import RollupWidth
from domain.history.series import DELAYED_AFTER
from domain.monitoring.capabilities import CAPABILITIES, CAPABILITY_STATUSES, Capability, CapabilityStatus
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.history.rolling.band_statements import BANDS, LATE, ORDER, counted_events
from store.monitoring.freshness import capabilities_and_thresholds
from store.monitoring.statuses.transitions import AT, KINDS, said


class CapabilityPeriods(NamedTuple):
    """The times for which a capability's status was known and stayed the same. The lists belong together by place."""

    depot_id: UUID
    capability: Capability
    statuses: list[CapabilityStatus]
    since: list[datetime]
    until: list[datetime]
    """When another status came, or the last one became stale; or the end of what was asked for."""
    simulated_by: list[SimulatedBy | None]
    """The scenario run that sent it."""


# A status holds until the next one, as long as it is fresh. Of an earlier tenure nothing counts once a later one began,
# and what has no value changes nothing (domain.monitoring.capabilities). Segments of days and quarters of an hour stand
# for their events (domain.history.rollups), and the events follow from where everything is rolled up on. A segment that
# the window cuts needs no events: its status was known all along. One with a longer gap than the threshold does.
_SEEN_FROM = "(CAST(:since AS timestamptz) - p.threshold)"
_PERIODS = text(f"""
    WITH rolled AS MATERIALIZED (
        SELECT coalesce(date_bin('15 minutes', complete_at - CAST(:delay AS interval), 'epoch'), '-infinity')
                   AS quarters_until,
               coalesce(date_bin('1 day', complete_at - CAST(:delay AS interval), 'epoch'), '-infinity') AS days_until
        FROM band_mark WHERE :is_rolled
    ), places AS MATERIALIZED (
        SELECT p.*, coalesce(r.quarters_until, '-infinity') AS quarters_until,
               CASE WHEN :is_long THEN coalesce(r.days_until, '-infinity') ELSE '-infinity' END AS days_until,
               -- Of what came late under a later tenure, and was seen before all that is read.
               (SELECT max(e.tenure)
                FROM {KINDS} CROSS JOIN LATERAL (
                    SELECT e.tenure FROM capability_events AS e
                    WHERE {said("p.microgrid_id", "p.capability", "k.status", "k.simulated")}
                      AND {AT} >= {_SEEN_FROM} - {LATE} AND {AT} < {_SEEN_FROM}
                      AND e.received_at >= {_SEEN_FROM} - {LATE} AND e.received_at < {_SEEN_FROM} + {LATE}
                    ORDER BY e.tenure DESC LIMIT 1
                ) AS e) AS tenure_before
        FROM (
            SELECT m.depot_id, m.id AS microgrid_id, k.capability,
                   coalesce(make_interval(secs => t.seconds), CAST(k.threshold AS interval)) AS threshold
            FROM microgrids AS m
            CROSS JOIN unnest(CAST(:capabilities AS text[]), CAST(:thresholds AS interval[]))
                AS k (capability, threshold)
            LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
            WHERE m.depot_id = ANY (CAST(:depot_ids AS uuid[]))
        ) AS p LEFT JOIN rolled AS r ON true
    ), segments AS (
        SELECT p.depot_id, p.microgrid_id, p.capability, p.threshold, p.tenure_before, s.n, s.status, s.tenure,
               s.scenario_run_id, s.first_at, s.last_at, s.longest_gap
        FROM places AS p CROSS JOIN LATERAL (
            SELECT * FROM {BANDS[RollupWidth.DAY]} AS b
            WHERE b.microgrid_id = p.microgrid_id AND b.capability = p.capability
              AND b.begins_at > {_SEEN_FROM} - interval '1 day' AND b.begins_at < least(:until, p.days_until)
            UNION ALL
            SELECT * FROM {BANDS[RollupWidth.QUARTER]} AS b
            WHERE b.microgrid_id = p.microgrid_id AND b.capability = p.capability
              AND b.begins_at > {_SEEN_FROM} - interval '15 minutes' AND b.begins_at >= p.days_until
              AND b.begins_at < least(:until, p.quarters_until)
        ) AS s
        WHERE s.first_at < :until
    ), pieces AS (
        SELECT depot_id, capability, threshold, tenure_before, n, status, tenure, scenario_run_id, first_at, last_at,
               CAST(NULL AS timestamptz) AS observed_at, CAST(NULL AS text) COLLATE "C" AS provider_event_ref
        FROM segments WHERE longest_gap <= threshold
        UNION ALL
        SELECT s.depot_id, s.capability, s.threshold, s.tenure_before, s.n, s.status, s.tenure, s.scenario_run_id,
               {AT}, {AT}, e.observed_at, e.provider_event_ref
        FROM segments AS s CROSS JOIN LATERAL (
            SELECT * FROM capability_events AS e
            WHERE {said("s.microgrid_id", "s.capability", "s.status", "(s.scenario_run_id IS NOT NULL)")}
              AND e.scenario_run_id IS NOT DISTINCT FROM s.scenario_run_id AND e.tenure = s.tenure
              AND {AT} BETWEEN s.first_at AND s.last_at AND {AT} < :until
              AND e.received_at >= s.first_at AND e.received_at < s.last_at + {LATE}
            OFFSET 0
        ) AS e
        WHERE s.longest_gap > s.threshold
        UNION ALL
        SELECT p.depot_id, p.capability, p.threshold, p.tenure_before, 0, e.status, e.tenure, e.scenario_run_id,
               e.at, e.at, e.observed_at, e.provider_event_ref
        FROM places AS p CROSS JOIN LATERAL (
            {counted_events("p.microgrid_id", "p.capability", f"greatest(p.quarters_until, {_SEEN_FROM})", ":until")}
        ) AS e
    ), counted AS (
        SELECT *, greatest(tenure_before, max(tenure) OVER place) AS newest
        FROM pieces WINDOW place AS (PARTITION BY depot_id, capability ORDER BY {ORDER})
    ), neighbours AS (
        SELECT *, lag(status) OVER place AS status_before, lag(scenario_run_id) OVER place AS run_before,
               lag(last_at) OVER place AS before, lead(first_at) OVER place AS next
        FROM counted WHERE tenure = newest
        WINDOW place AS (PARTITION BY depot_id, capability ORDER BY {ORDER})
    ), islands AS (
        SELECT *, count(*) FILTER (WHERE status_before IS DISTINCT FROM status OR first_at > before + threshold
                                         OR run_before IS DISTINCT FROM scenario_run_id)
                      OVER (PARTITION BY depot_id, capability ORDER BY {ORDER}) AS island
        FROM neighbours
    ), periods AS (
        SELECT depot_id, capability, status, greatest(min(first_at), :since) AS since,
               least(max(least(coalesce(next, 'infinity'), last_at + threshold)), :until, clock_timestamp()) AS until,
               scenario_run_id
        FROM islands
        GROUP BY depot_id, capability, status, island, scenario_run_id
        HAVING max(least(coalesce(next, 'infinity'), last_at + threshold)) > :since
    ), shown AS (
        SELECT *, {SCENARIO_OF.format("scenario_run_id")}
        FROM periods WHERE since < until ORDER BY depot_id, capability, since LIMIT :limit
    )
    -- Lists: thousands of rows would take longer to read than they took to find.
    SELECT depot_id, capability, array_agg(status ORDER BY since) AS statuses, array_agg(since ORDER BY since) AS since,
           array_agg(until ORDER BY since) AS until, array_agg(scenario_run_id ORDER BY since) AS run_ids,
           array_agg(scenario ORDER BY since) AS scenarios
    FROM shown GROUP BY depot_id, capability ORDER BY depot_id, capability
""")  # noqa: S608 - constants
OF_EVENTS = timedelta(hours=2)
"""So much is read from the events alone: what came late is in it at once."""
OF_QUARTERS = timedelta(days=2)
"""So much is read without days: of a day that the window cuts all segments are read, however often it changed."""
MOST_PERIODS = 5_000
"""Periods that are read at once; a capability that changes as often as that is no band any more."""


async def read_capability_periods(
    connection: AsyncConnection, depot_ids: Collection[UUID], since: datetime, until: datetime
) -> tuple[list[CapabilityPeriods], bool]:
    """Read when the capabilities of these depots were ON and OFF, by measurement; and whether that is all of it.

    Of a window of more than two hours, what came more than five minutes late is in it once it is rolled up.
    """
    capabilities, thresholds = capabilities_and_thresholds()
    given = {
        "capabilities": capabilities, "thresholds": thresholds, "depot_ids": list(depot_ids), "since": since,
        "until": until, "delay": DELAYED_AFTER, "limit": MOST_PERIODS + 1,
        "is_rolled": until - since > OF_EVENTS, "is_long": until - since > OF_QUARTERS,
    }  # fmt: skip
    found = [
        CapabilityPeriods(
            row.depot_id,
            CAPABILITIES[row.capability],
            [CAPABILITY_STATUSES[each] for each in row.statuses],
            row.since,
            row.until,
            list(map(SimulatedBy.of, row.run_ids, row.scenarios)),
        )
        for row in await connection.execute(_PERIODS, given)
    ]
    complete = sum(len(each.since) for each in found) <= MOST_PERIODS
    if not complete:
        last = found[-1]
        for each in (last.statuses, last.since, last.until, last.simulated_by):
            each.pop()
    return [each for each in found if each.since], complete

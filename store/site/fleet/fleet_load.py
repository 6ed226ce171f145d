"""What the depots of a fleet draw, together and each, beside what they may draw."""

# ruff: noqa: S608 (what is put into the statements are constants)

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from store.access.narrowing import given_within, is_within

RECENT = timedelta(minutes=15)
"""A load that was measured longer ago is none of now."""


@dataclass(frozen=True)
class FleetLoad:
    """The last load of each depot that measured one lately, summed."""

    depots: int
    load_w: float
    capacity_w: float | None
    """Of the top-level circuits of these depots. None: no capacity is known."""
    simulated_depots: int
    """Those of which any of it is simulated."""


@dataclass(frozen=True)
class DepotLoad:
    """The last load of a depot that measured one lately."""

    load_w: float
    capacity_w: float | None
    """Of its top-level circuits. None: it is not known."""
    is_simulated: bool
    """Whether any of it is."""
    device_ids: tuple[UUID, ...]
    """Those that measure it."""


# What a power source gives is no load. A circuit below another one that is measured is in what that one draws.
#
# Nobody knows beforehand how many depots measured just now, PostgreSQL least of all: a plan for one of them, run with
# fifty thousand, must still read each once. So nothing here is joined that a wrong guess would compare pair by pair:
# what a table has is looked up by its key, row by row (a subquery with a LIMIT, an OFFSET or an aggregate is not turned
# into a join), and two results of this statement meet in a GROUP BY or a FULL JOIN, which can only sort or hash.
LOADS = """
    WITH RECURSIVE measured AS MATERIALIZED (
        SELECT d.depot_id, d.circuit_id, d.id AS device_id, r.watts, r.is_simulated,
               count(*) OVER (PARTITION BY d.depot_id) AS of_depot
        FROM sensor_sightings AS s
        JOIN devices AS d ON d.gateway_id = s.gateway_id AND d.sensor_id = s.sensor_id
        CROSS JOIN LATERAL (
            SELECT total_power_load AS watts, scenario_run_id IS NOT NULL AS is_simulated FROM device_readings
            WHERE device_id = d.id AND observed_at > now() - CAST(:recent AS interval) AND total_power_load IS NOT NULL
            ORDER BY observed_at DESC LIMIT 1
        ) AS r
        WHERE s.received_at > now() - CAST(:recent AS interval) AND d.circuit_id IS NOT NULL AND {within}
          AND NOT EXISTS (
            SELECT FROM power_source_readings AS p
            WHERE p.device_id = d.id AND p.measurand = 'TOTAL_POWER_LOAD' AND NOT p.released OFFSET 0)
    ), up (circuit_id, at) AS (
        SELECT DISTINCT circuit_id, circuit_id FROM measured WHERE of_depot > 1
        UNION ALL
        SELECT u.circuit_id, c.parent_id
        FROM up AS u CROSS JOIN LATERAL (SELECT parent_id FROM circuits WHERE id = u.at LIMIT 1) AS c
        WHERE c.parent_id IS NOT NULL
    ), nested AS (
        SELECT DISTINCT unnest(below) AS circuit_id
        FROM (
            SELECT array_agg(circuit_id) FILTER (WHERE circuit_id <> at) AS below
            FROM up GROUP BY at HAVING bool_or(circuit_id = at)
        ) AS of_measured
    ), loads AS (
        SELECT m.depot_id, sum(m.watts) AS watts, bool_or(m.is_simulated) AS is_simulated,
               array_agg(m.device_id) AS device_ids
        FROM measured AS m FULL JOIN nested AS n ON n.circuit_id = m.circuit_id
        WHERE n.circuit_id IS NULL
        GROUP BY m.depot_id
    ), loaded AS (
        SELECT l.depot_id, l.watts, c.watts AS capacity_w, l.device_ids,
               l.is_simulated OR coalesce(c.is_simulated, false) AS is_simulated
        FROM loads AS l CROSS JOIN LATERAL (
            SELECT sum(coalesce(h.capacity_w, c.rated_power_w)) AS watts,
                   bool_or(h.scenario_run_id IS NOT NULL) AS is_simulated
            FROM circuits AS c LEFT JOIN LATERAL (
                SELECT capacity_w, scenario_run_id FROM circuit_capacities WHERE circuit_id = c.id LIMIT 1
            ) AS h ON true
            WHERE c.depot_id = l.depot_id AND c.parent_id IS NULL
        ) AS c
    )
"""
"""Begins a statement: ``loaded`` has what each depot draws that measured it lately, and what it may draw.
``within`` is a condition on a device ``d``."""
FLEET_LOAD = f"""{LOADS}
    SELECT count(*), coalesce(sum(watts), 0), sum(capacity_w), count(*) FILTER (WHERE is_simulated) FROM loaded
"""
"""What all depots draw together."""
DEPOT_LOADS = f"""{LOADS}
    SELECT depot_id, watts AS load_w, capacity_w, is_simulated, device_ids FROM loaded
"""
"""What each depot draws."""


async def read_fleet_load(connection: AsyncConnection, scope: DepotScope) -> FleetLoad:
    """Read what the depots within ``scope`` draw, and what they may draw."""
    statement = text(FLEET_LOAD.format(within=is_within("d.depot_id", scope)))
    found = (await connection.execute(statement, {"recent": RECENT, **given_within(scope)})).one()
    return FleetLoad(*found)


async def read_depot_loads(connection: AsyncConnection, depot_ids: Collection[UUID]) -> dict[UUID, DepotLoad]:
    """Read what these depots draw, each; one that measured nothing lately is left out."""
    statement = text(DEPOT_LOADS.format(within="d.depot_id = ANY (CAST(:depot_ids AS uuid[]))"))
    rows = await connection.execute(statement, {"recent": RECENT, "depot_ids": list(depot_ids)})
    return {
        row.depot_id: DepotLoad(row.load_w, row.capacity_w, row.is_simulated, tuple(row.device_ids)) for row in rows
    }

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
LOADS = """
    WITH RECURSIVE measured AS MATERIALIZED (
        SELECT d.depot_id, d.circuit_id, sum(r.watts) AS watts, bool_or(r.is_simulated) AS is_simulated,
               array_agg(d.id) AS devices
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
            WHERE p.device_id = d.id AND p.measurand = 'TOTAL_POWER_LOAD' AND NOT p.released)
        GROUP BY d.depot_id, d.circuit_id
    ), above (circuit_id, parent_id) AS (
        SELECT m.circuit_id, c.parent_id FROM measured AS m JOIN circuits AS c ON c.id = m.circuit_id
        UNION ALL
        SELECT a.circuit_id, c.parent_id FROM above AS a JOIN circuits AS c ON c.id = a.parent_id
    ), counted AS (
        SELECT * FROM measured
        WHERE circuit_id NOT IN (
            SELECT a.circuit_id FROM above AS a JOIN measured AS m ON m.circuit_id = a.parent_id)
    ), loads AS (
        SELECT depot_id, sum(watts) AS watts, bool_or(is_simulated) AS is_simulated FROM counted GROUP BY depot_id
    ), capacities AS (
        SELECT c.depot_id, sum(coalesce(h.capacity_w, c.rated_power_w)) AS watts,
               bool_or(h.scenario_run_id IS NOT NULL) AS is_simulated
        FROM circuits AS c LEFT JOIN circuit_capacities AS h ON h.circuit_id = c.id
        WHERE c.parent_id IS NULL AND c.depot_id IN (SELECT depot_id FROM loads)
        GROUP BY c.depot_id
    )
"""
"""Begins a statement: ``loads`` has what each depot draws that measured it lately, ``capacities`` what it may draw.
``within`` is a condition on a device ``d``."""
_OF_FLEET = f"""{LOADS}
    SELECT count(*), coalesce(sum(l.watts), 0), sum(c.watts),
           count(*) FILTER (WHERE l.is_simulated OR c.is_simulated)
    FROM loads AS l LEFT JOIN capacities AS c USING (depot_id)
"""
_OF_DEPOTS = f"""{LOADS}
    SELECT l.depot_id, l.watts AS load_w, c.watts AS capacity_w,
           l.is_simulated OR coalesce(c.is_simulated, false) AS is_simulated,
           ARRAY(SELECT unnest(devices) FROM counted WHERE depot_id = l.depot_id) AS device_ids
    FROM loads AS l LEFT JOIN capacities AS c USING (depot_id)
"""


async def read_fleet_load(connection: AsyncConnection, scope: DepotScope) -> FleetLoad:
    """Read what the depots within ``scope`` draw, and what they may draw."""
    statement = text(_OF_FLEET.format(within=is_within("d.depot_id", scope)))
    found = (await connection.execute(statement, {"recent": RECENT, **given_within(scope)})).one()
    return FleetLoad(*found)


async def read_depot_loads(connection: AsyncConnection, depot_ids: Collection[UUID]) -> dict[UUID, DepotLoad]:
    """Read what these depots draw, each; one that measured nothing lately is left out."""
    statement = text(_OF_DEPOTS.format(within="d.depot_id = ANY (CAST(:depot_ids AS uuid[]))"))
    rows = await connection.execute(statement, {"recent": RECENT, "depot_ids": list(depot_ids)})
    return {
        row.depot_id: DepotLoad(row.load_w, row.capacity_w, row.is_simulated, tuple(row.device_ids)) for row in rows
    }

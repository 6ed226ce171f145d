"""What the meters of a depot measure now."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.site.routing import PowerSourceKind
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.site.fleet.fleet_load import RECENT


@dataclass(frozen=True)
class MeasuredPower:
    """The last power that a device measured, within the last 15 minutes."""

    watts: float
    """Drawn; negative: fed back. Of a power source: what it gives; negative: takes."""
    power_source_kind: PowerSourceKind | None = None
    """The power source that it measures; None: a load."""
    simulated_by: SimulatedBy | None = None


_NOW = text(f"""
    SELECT d.id, r.watts, r.scenario_run_id, {SCENARIO_OF.format("r.scenario_run_id")},
           (SELECT s.kind FROM power_source_readings AS p JOIN power_sources AS s ON s.id = p.power_source_id
            WHERE p.device_id = d.id AND p.measurand = 'TOTAL_POWER_LOAD' AND NOT p.released
            ORDER BY s.id LIMIT 1) AS power_source_kind
    FROM devices AS d
    JOIN sensor_sightings AS s ON s.gateway_id = d.gateway_id AND s.sensor_id = d.sensor_id
    CROSS JOIN LATERAL (
        SELECT total_power_load AS watts, scenario_run_id FROM device_readings
        WHERE device_id = d.id AND observed_at > now() - CAST(:recent AS interval) AND total_power_load IS NOT NULL
        ORDER BY observed_at DESC LIMIT 1
    ) AS r
    WHERE d.depot_id = :depot_id AND s.received_at > now() - CAST(:recent AS interval)
""")  # noqa: S608 - constants


async def read_powers(connection: AsyncConnection, depot_id: UUID) -> dict[UUID, MeasuredPower]:
    """Read what each device of a depot measures now, by its id; one that measured nothing lately is not in it."""
    rows = await connection.execute(_NOW, {"depot_id": depot_id, "recent": RECENT})
    return {
        row.id: MeasuredPower(
            row.watts,
            None if row.power_source_kind is None else PowerSourceKind(row.power_source_kind),
            SimulatedBy.of(row.scenario_run_id, row.scenario),
        )
        for row in rows
    }

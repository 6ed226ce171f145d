"""Why a controller may be trusted: when it was last heard from, and what its heartbeat said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.clocks import effective_at
from store.base.simulated import SCENARIO_OF, SimulatedBy


@dataclass(frozen=True)
class ControllerSigns:
    """The last that is known of a device that supplies capabilities or a capacity."""

    device_id: UUID
    name: str
    last_packet_at: datetime | None
    """When the last packet with it counts as measured; None: none is known."""
    heartbeat: str | None
    """The last ``HEARTBEAT_STATUS`` of the day before its last packet, as it was sent; None: it sent none."""
    heartbeat_at: datetime | None
    """When that was measured."""
    simulated_by: SimulatedBy | None
    """The scenario run that sent the last packet."""


_SIGNS = text(f"""
    SELECT d.id, d.name, s.observed_at, s.received_at, r.heartbeat_status, r.at AS heartbeat_at, p.scenario_run_id,
           {SCENARIO_OF.format("p.scenario_run_id")}
    FROM devices AS d
    LEFT JOIN sensor_sightings AS s ON s.gateway_id = d.gateway_id AND s.sensor_id = d.sensor_id
    LEFT JOIN packets AS p ON (p.gateway_id, p.observed_at, p.id, p.received_at)
                            = (s.gateway_id, s.observed_at, s.packet_id, s.received_at)
    LEFT JOIN LATERAL (
        SELECT heartbeat_status, least(observed_at, received_at) AS at FROM device_readings
        WHERE device_id = d.id AND observed_at BETWEEN s.observed_at - interval '1 day' AND s.observed_at
              AND heartbeat_status IS NOT NULL
        ORDER BY observed_at DESC LIMIT 1
    ) AS r ON true
    WHERE d.id = ANY (CAST(:device_ids AS uuid[]))
""")  # noqa: S608 - constants


async def read_signs(connection: AsyncConnection, device_ids: Collection[UUID]) -> dict[UUID, ControllerSigns]:
    """Read what is known of these devices, in one query."""
    if not device_ids:
        return {}
    rows = await connection.execute(_SIGNS, {"device_ids": list(device_ids)})
    return {
        row.id: ControllerSigns(
            row.id,
            row.name,
            None if row.observed_at is None else effective_at(row.observed_at, row.received_at),
            row.heartbeat_status,
            row.heartbeat_at,
            SimulatedBy.of(row.scenario_run_id, row.scenario),
        )
        for row in rows
    }

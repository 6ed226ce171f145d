"""What a list of gateways and devices says of each besides what it is: its devices, its actions, when it sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.sensor_actions import SensorActionKind
from store.device_reports import DEPTH
from store.tables import sensor_actions


@dataclass(frozen=True)
class GatewayStanding:
    """What is known of a gateway."""

    devices: int
    last_packet_at: datetime | None
    """The latest time of measurement of its packets; None: no packet of it is known."""


@dataclass(frozen=True)
class CarriedAction:
    """A sensor action that a device carries."""

    sensor_action_id: UUID
    action: SensorActionKind
    enabled: bool


_GATEWAYS = text("""
    SELECT g.id, (SELECT count(*) FROM devices AS d WHERE d.gateway_id = g.id) AS devices, p.observed_at
    FROM gateways AS g
    LEFT JOIN LATERAL (
        SELECT observed_at FROM packets WHERE gateway_id = g.id ORDER BY observed_at DESC LIMIT 1
    ) AS p ON true
    WHERE g.id = ANY (CAST(:ids AS uuid[]))
""")

# Every packet is taken apart once, however many devices its gateway has.
_LAST_PACKETS = text("""
    WITH wanted AS (
        SELECT id, gateway_id, sensor_id FROM devices WHERE id = ANY (CAST(:ids AS uuid[]))
    ), heard AS MATERIALIZED (
        SELECT g.gateway_id, p.observed_at, s.sensor ->> 'sensor_id' AS sensor_id
        FROM (SELECT DISTINCT gateway_id FROM wanted) AS g
        CROSS JOIN LATERAL (
            SELECT observed_at, document FROM packets
            WHERE gateway_id = g.gateway_id ORDER BY observed_at DESC, id DESC LIMIT :depth
        ) AS p
        CROSS JOIN LATERAL jsonb_array_elements(p.document -> 'sensors') AS s (sensor)
    )
    SELECT w.id, max(h.observed_at) AS observed_at
    FROM wanted AS w JOIN heard AS h ON h.gateway_id = w.gateway_id AND h.sensor_id = w.sensor_id
    GROUP BY w.id
""")
_UNKNOWN = text("""
    SELECT DISTINCT s.sensor ->> 'sensor_id' AS sensor_id, g.name AS gateway_name
    FROM gateways AS g
    CROSS JOIN LATERAL (
        SELECT document FROM packets WHERE gateway_id = g.id ORDER BY observed_at DESC, id DESC LIMIT :depth
    ) AS p
    CROSS JOIN LATERAL jsonb_array_elements(p.document -> 'sensors') AS s (sensor)
    WHERE g.depot_id = :depot_id AND NOT EXISTS (
        SELECT FROM devices AS d WHERE d.gateway_id = g.id AND d.sensor_id = s.sensor ->> 'sensor_id'
    )
    ORDER BY gateway_name, sensor_id LIMIT :limit
""")
_FIRST_LOOK = 5
"""Packets of a gateway that are looked through first: most devices are in each of them."""


async def read_gateway_standing(
    connection: AsyncConnection, gateway_ids: Collection[UUID]
) -> dict[UUID, GatewayStanding]:
    """Say how many devices these gateways have, and when each sent last."""
    if not gateway_ids:
        return {}
    rows = await connection.execute(_GATEWAYS, {"ids": list(gateway_ids)})
    return {row.id: GatewayStanding(row.devices, row.observed_at) for row in rows}


async def read_last_packets(connection: AsyncConnection, device_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Say when these devices were last in a packet, by its time of measurement; a silent one is left out.

    Silent is a device that was in none of the last ``DEPTH`` packets of its gateway.
    """
    found: dict[UUID, datetime] = {}
    for depth in (_FIRST_LOOK, DEPTH):
        missing = [device_id for device_id in device_ids if device_id not in found]
        if missing:
            rows = await connection.execute(_LAST_PACKETS, {"ids": missing, "depth": depth})
            found |= {row.id: row.observed_at for row in rows}
    return found


async def list_unknown_sensors(connection: AsyncConnection, depot_id: UUID, limit: int) -> list[tuple[str, str]]:
    """List sensors of the last packets that no device stands for: the sensor id, and the name of its gateway."""
    given = {"depot_id": depot_id, "depth": _FIRST_LOOK, "limit": limit}
    return [(row.sensor_id, row.gateway_name) for row in await connection.execute(_UNKNOWN, given)]


async def list_carried_actions(
    connection: AsyncConnection, device_ids: Collection[UUID]
) -> dict[UUID, list[CarriedAction]]:
    """List the sensor actions of these devices, by their kind; a device without one is left out."""
    found: dict[UUID, list[CarriedAction]] = defaultdict(list)
    if not device_ids:
        return found
    query = (
        select(sensor_actions.c.device_id, sensor_actions.c.id, sensor_actions.c.action, sensor_actions.c.enabled)
        .where(sensor_actions.c.device_id.in_(device_ids))
        .order_by(sensor_actions.c.action)
    )
    for row in await connection.execute(query):
        found[row.device_id].append(CarriedAction(row.id, SensorActionKind(row.action), row.enabled))
    return found

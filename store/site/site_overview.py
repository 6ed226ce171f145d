"""What a list of gateways and devices says of each besides what it is: its devices, its actions, when it sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.clocks import ahead, effective_at
from domain.site.sensor_actions import SensorActionKind
from store.base.arrays import is_one_of
from store.site.tables import sensor_actions


@dataclass(frozen=True)
class GatewayOverview:
    """What is known of a gateway."""

    devices: int
    last_packet_at: datetime | None
    """The latest effective time of its packets; None: none ever came."""
    clock_ahead: timedelta = timedelta()
    """How far its clock runs ahead, at least, by that packet."""


@dataclass(frozen=True)
class CarriedAction:
    """A sensor action that a device carries."""

    sensor_action_id: UUID
    action: SensorActionKind
    enabled: bool


@dataclass(frozen=True)
class UnknownSensor:
    """A sensor that packets have and that no device stands for."""

    gateway_id: UUID
    gateway_name: str
    sensor_id: str
    last_packet_at: datetime
    """The effective time of the last packet that it was in."""


# A packet without a sensor is none that a sensor was in.
_GATEWAYS = text("""
    SELECT g.id, (SELECT count(*) FROM devices AS d WHERE d.gateway_id = g.id) AS devices, p.observed_at, p.received_at
    FROM gateways AS g
    LEFT JOIN LATERAL (
        SELECT * FROM (
            SELECT observed_at, received_at FROM sensor_sightings WHERE gateway_id = g.id
            UNION ALL (
                SELECT observed_at, received_at FROM packets WHERE gateway_id = g.id ORDER BY observed_at DESC LIMIT 1
            )
        ) AS each
        ORDER BY least(observed_at, received_at) DESC, observed_at DESC LIMIT 1
    ) AS p ON true
    WHERE g.id = ANY (CAST(:ids AS uuid[]))
""")
_LAST_PACKETS = text("""
    SELECT d.id, least(s.observed_at, s.received_at) AS effective_at
    FROM devices AS d JOIN sensor_sightings AS s ON s.gateway_id = d.gateway_id AND s.sensor_id = d.sensor_id
    WHERE d.id = ANY (CAST(:ids AS uuid[]))
""")
_UNKNOWN = text("""
    SELECT g.id AS gateway_id, g.name AS gateway_name, s.sensor_id,
           least(s.observed_at, s.received_at) AS last_packet_at
    FROM gateways AS g JOIN sensor_sightings AS s ON s.gateway_id = g.id
    WHERE g.depot_id = :depot_id AND (CAST(:gateway_id AS uuid) IS NULL OR g.id = :gateway_id)
      AND s.received_at > now() - CAST(:recent AS interval) AND NOT EXISTS (
        SELECT FROM devices AS d WHERE d.gateway_id = g.id AND d.sensor_id = s.sensor_id
    )
    ORDER BY g.name, g.id, s.sensor_id LIMIT :limit
""")
# In the order in which packets write them, and past those that a packet writes now: those are not old.
_FORGET = text("""
    DELETE FROM sensor_sightings WHERE (gateway_id, sensor_id) IN (
        SELECT s.gateway_id, s.sensor_id FROM sensor_sightings AS s
        WHERE s.received_at < now() - CAST(:recent AS interval) AND NOT EXISTS (
            SELECT FROM devices AS d WHERE d.gateway_id = s.gateway_id AND d.sensor_id = s.sensor_id
        )
        ORDER BY s.gateway_id, s.sensor_id FOR UPDATE SKIP LOCKED
    )
""")
RECENT = timedelta(days=7)
"""A sensor that no device stands for is known for so long after the last packet that it was in."""
MOST_UNKNOWN = 500
"""Sensors of one gateway that no device stands for of which it is known that they were heard; more are not noted
(the trigger ``packets_sight_sensors``)."""


async def read_gateway_overview(
    connection: AsyncConnection, gateway_ids: Collection[UUID]
) -> dict[UUID, GatewayOverview]:
    """Say how many devices these gateways have, and when each sent last."""
    if not gateway_ids:
        return {}
    rows = await connection.execute(_GATEWAYS, {"ids": list(gateway_ids)})
    return {
        row.id: GatewayOverview(row.devices, None)
        if row.observed_at is None
        else GatewayOverview(
            row.devices, effective_at(row.observed_at, row.received_at), ahead(row.observed_at, row.received_at)
        )
        for row in rows
    }


async def read_last_packets(connection: AsyncConnection, device_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Say when these devices were last in a packet, by its effective time; one that never was is left out."""
    if not device_ids:
        return {}
    rows = await connection.execute(_LAST_PACKETS, {"ids": list(device_ids)})
    return {row.id: row.effective_at for row in rows}


async def list_unknown_sensors(
    connection: AsyncConnection, depot_id: UUID, limit: int, gateway_id: UUID | None = None
) -> list[UnknownSensor]:
    """List sensors of recent packets that no device stands for, by gateway and sensor id; of one gateway alone."""
    given = {"depot_id": depot_id, "gateway_id": gateway_id, "recent": RECENT, "limit": limit}
    return [UnknownSensor(**row) for row in (await connection.execute(_UNKNOWN, given)).mappings()]


async def forget_unknown_sensors(connection: AsyncConnection) -> None:
    """Forget the sensors that no device stands for and that nothing was heard of for a while."""
    await connection.execute(_FORGET, {"recent": RECENT})


async def list_carried_actions(
    connection: AsyncConnection, device_ids: Collection[UUID]
) -> dict[UUID, list[CarriedAction]]:
    """List the sensor actions of these devices, by their kind; a device without one is left out."""
    found: dict[UUID, list[CarriedAction]] = defaultdict(list)
    if not device_ids:
        return found
    query = (
        select(sensor_actions.c.device_id, sensor_actions.c.id, sensor_actions.c.action, sensor_actions.c.enabled)
        .where(is_one_of(sensor_actions.c.device_id, device_ids))
        .order_by(sensor_actions.c.action)
    )
    for row in await connection.execute(query):
        found[row.device_id].append(CarriedAction(row.id, SensorActionKind(row.action), row.enabled))
    return found

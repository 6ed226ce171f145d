"""A depot's configuration as a scenario run drives it: devices with their enabled actions, and where updates go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.site.circuit_capacity import CapacityPolicy
from domain.site.measurands import MeasurandKey
from domain.site.routing import PowerSource, PowerSourceKind, Routed, Routing
from domain.site.sensor_actions import SensorAction, SensorActionKind
from store.site.depots import depot_not_found


@dataclass(frozen=True)
class ConfiguredSensor:
    """A device of the depot."""

    device_id: UUID
    gateway_id: UUID
    gateway_name: str
    sensor_id: str
    circuit_id: UUID | None
    circuit_name: str | None
    actions: tuple[SensorAction, ...]
    """The enabled ones."""
    power_source_id: UUID | None
    """The power source that the device's updates go to; None where none is certain."""
    power_source_kind: PowerSourceKind | None


@dataclass(frozen=True)
class DepotConfiguration:
    """A depot's configuration."""

    depot_id: UUID
    microgrid_id: UUID | None
    """Of the active microgrid."""
    allows_simulation: bool
    is_retired: bool
    devices: tuple[ConfiguredSensor, ...]


_DEPOT = text("""
    SELECT m.id AS microgrid_id, d.allows_simulation, d.retired_at IS NOT NULL AS is_retired
    FROM depots AS d LEFT JOIN microgrids AS m ON m.depot_id = d.id AND m.retired_at IS NULL
    WHERE d.id = :depot_id
""")

_DEVICES = text("""
    SELECT d.id AS device_id, g.id AS gateway_id, g.name AS gateway_name, g.output_translation, d.sensor_id,
           d.circuit_id, c.name AS circuit_name, a.action, a.measurands, a.heartbeat_threshold_seconds,
           a.fail_safe_capacity_w
    FROM devices AS d
    JOIN gateways AS g ON g.id = d.gateway_id
    LEFT JOIN circuits AS c ON c.id = d.circuit_id
    LEFT JOIN sensor_actions AS a ON a.device_id = d.id AND a.enabled
    WHERE d.depot_id = :depot_id
    ORDER BY d.id, a.action
""")

_POWER_SOURCES = text("SELECT id, kind, circuit_id FROM power_sources WHERE depot_id = :depot_id ORDER BY id")


async def read_depot_configuration(connection: AsyncConnection, depot_id: UUID) -> DepotConfiguration:
    """Read a depot's configuration.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    depot = (await connection.execute(_DEPOT, {"depot_id": depot_id})).one_or_none()
    if depot is None:
        raise depot_not_found(depot_id)
    sources = [
        PowerSource(row.id, PowerSourceKind(row.kind), row.circuit_id)
        for row in await connection.execute(_POWER_SOURCES, {"depot_id": depot_id})
    ]
    rows: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in await connection.execute(_DEVICES, {"depot_id": depot_id}):
        rows[row.device_id].append(row)
    routing, kinds = Routing(sources), {source.power_source_id: source.kind for source in sources}
    return DepotConfiguration(
        depot_id,
        depot.microgrid_id,
        depot.allows_simulation,
        depot.is_retired,
        tuple(_device(each, routing, kinds) for each in rows.values()),
    )


def _device(rows: Sequence[Row[Any]], routing: Routing, kinds: Mapping[UUID, PowerSourceKind]) -> ConfiguredSensor:
    first = rows[0]
    found = routing.route(first.circuit_id, first.output_translation)
    power_source_id = found.power_source_id if isinstance(found, Routed) else None
    return ConfiguredSensor(
        first.device_id,
        first.gateway_id,
        first.gateway_name,
        first.sensor_id,
        first.circuit_id,
        first.circuit_name,
        tuple(_action(row) for row in rows if row.action is not None),
        power_source_id,
        None if power_source_id is None else kinds[power_source_id],
    )


def _action(row: Row[Any]) -> SensorAction:
    seconds = row.heartbeat_threshold_seconds
    policy = None if seconds is None else CapacityPolicy(timedelta(seconds=seconds), row.fail_safe_capacity_w)
    return SensorAction(SensorActionKind(row.action), tuple(MeasurandKey(key) for key in row.measurands), policy)

"""A microgrid's structure: its grid connections and all that hangs below them, as the depot has it now."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.provisioning.microgrids import MicrogridRecord, has_drifted, read_microgrid
from store.site.circuits import CircuitRecord, list_circuits
from store.site.tables import devices, gateways, power_sources


@dataclass(frozen=True)
class DeviceRecord:
    """A device of the depot."""

    device_id: UUID
    gateway_id: UUID
    gateway_name: str
    sensor_id: str
    name: str
    circuit_id: UUID | None


@dataclass(frozen=True)
class PowerSourceRecord:
    """A power source of the depot."""

    power_source_id: UUID
    kind: str
    name: str
    circuit_id: UUID | None


@dataclass(frozen=True)
class StructureRecord:
    """Everything that the structure is drawn from."""

    microgrid: MicrogridRecord
    circuits: list[CircuitRecord]
    """In the order of the tree."""
    devices: list[DeviceRecord]
    power_sources: list[PowerSourceRecord]
    drifted: bool
    """Whether the grid connections differ from the top-level circuits at this moment."""


async def read_structure(connection: AsyncConnection, microgrid_id: UUID) -> StructureRecord:
    """Read the structure of a microgrid, in five queries whatever its size.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``.

    """
    microgrid = await read_microgrid(connection, microgrid_id=microgrid_id)
    depot_id = microgrid.depot_id
    device_rows = await connection.execute(
        select(
            devices.c.id,
            devices.c.gateway_id,
            gateways.c.name,
            devices.c.sensor_id,
            devices.c.name,
            devices.c.circuit_id,
        )
        .join(gateways, gateways.c.id == devices.c.gateway_id)
        .where(devices.c.depot_id == depot_id)
        .order_by(devices.c.name, devices.c.id)
    )
    source_rows = await connection.execute(
        select(power_sources.c.id, power_sources.c.kind, power_sources.c.name, power_sources.c.circuit_id)
        .where(power_sources.c.depot_id == depot_id)
        .order_by(power_sources.c.name, power_sources.c.id)
    )
    return StructureRecord(
        microgrid,
        await list_circuits(connection, depot_id),
        [DeviceRecord(*row) for row in device_rows],
        [PowerSourceRecord(*row) for row in source_rows],
        await has_drifted(connection, microgrid),
    )

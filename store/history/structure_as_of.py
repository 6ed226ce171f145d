"""The structure of a microgrid as the product showed it at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.provisioning.reconcile import GridConnection, TopLevelCircuit, plan_reconcile
from store.base.off_loop import off_loop
from store.history.rows_as_of import NODES, REPLACED, check_as_of, depot_of_microgrid_as_of, rows_as_of
from store.provisioning.microgrids import NodeRecord
from store.provisioning.structure import DeviceRecord, PowerSourceRecord
from store.site.circuits import CircuitRecord, in_order


@dataclass(frozen=True)
class StructureAsOf:
    """Everything that the structure of a moment is drawn from."""

    microgrid_id: UUID
    depot_id: UUID
    version: int
    grid_connections: tuple[NodeRecord, ...]
    circuits: list[CircuitRecord]
    """In the order of the tree."""
    devices: list[DeviceRecord]
    power_sources: list[PowerSourceRecord]
    drifted: bool
    """Whether the grid connections differed from the top-level circuits."""


_VERSION = text(f"WITH {REPLACED} SELECT version FROM {rows_as_of('microgrids')} AS m WHERE id = :microgrid_id")  # noqa: S608
_NODES = text(f"""
    WITH {REPLACED} SELECT id, circuit_id, name, position FROM {NODES} AS n
    WHERE microgrid_id = :microgrid_id ORDER BY position
""")  # noqa: S608
_CIRCUITS = text(f"""
    WITH {REPLACED} SELECT id AS circuit_id, depot_id, parent_id, name, position, rated_power_w, version, created_at,
        created_by, updated_at, updated_by
    FROM {rows_as_of("circuits")} AS c
""")  # noqa: S608
_DEVICES = text(f"""
    WITH {REPLACED} SELECT d.id, d.gateway_id, g.name, d.sensor_id, d.name, d.circuit_id
    FROM {rows_as_of("devices")} AS d JOIN {rows_as_of("gateways")} AS g ON g.id = d.gateway_id ORDER BY d.name, d.id
""")  # noqa: S608
_POWER_SOURCES = text(f"""
    WITH {REPLACED} SELECT id, kind, name, circuit_id FROM {rows_as_of("power_sources")} AS p ORDER BY name, id
""")  # noqa: S608


async def read_structure_as_of(connection: AsyncConnection, microgrid_id: UUID, as_of: datetime) -> StructureAsOf:
    """Read the structure of a microgrid at a moment, in a fixed number of queries.

    Raises:
        Problem: ``AS_OF_OUT_OF_RANGE`` or ``MICROGRID_NOT_FOUND``.

    """
    await check_as_of(connection, as_of, structure=True)
    depot_id = await depot_of_microgrid_as_of(connection, microgrid_id, as_of)
    given = {"microgrid_id": microgrid_id, "depot_id": depot_id, "as_of": as_of}
    version = (await connection.execute(_VERSION, given)).scalar_one()
    nodes = tuple(NodeRecord(*row) for row in await connection.execute(_NODES, given))
    rows = (await connection.execute(_CIRCUITS, given)).mappings().all()
    circuits = await off_loop(len(rows), in_order, rows)
    devices = [DeviceRecord(*row) for row in await connection.execute(_DEVICES, given)]
    sources = [PowerSourceRecord(*row) for row in await connection.execute(_POWER_SOURCES, given)]
    top = [TopLevelCircuit(each.circuit_id, each.name) for each in circuits if each.parent_id is None]
    connections = [GridConnection(each.circuit_id, each.name, each.position) for each in nodes]
    plan = await off_loop(len(nodes) + len(top), plan_reconcile, connections, top)
    return StructureAsOf(microgrid_id, depot_id, version, nodes, circuits, devices, sources, bool(plan.rewrites))

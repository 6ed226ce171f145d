"""What a scenario run takes the place of: devices that really report, and what follows from them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.simulation.scenario_runs import REPORTED_LATELY


@dataclass(frozen=True)
class Overwritten:
    """What simulated packets of some devices overwrite."""

    devices: tuple[tuple[UUID, str, datetime | None], ...]
    """Id, name, and when the device last really reported; None: not lately."""
    capabilities: tuple[str, ...]
    """Capabilities that one of the devices supplies."""
    circuits: tuple[tuple[UUID, str], ...]
    """Id and name of the circuits whose capacity follows one of them."""

    @property
    def is_real(self) -> bool:
        """Whether one of the devices really reported lately."""
        return any(last_at is not None for _, _, last_at in self.devices)


_DEVICES = text("""
    SELECT d.id, d.name, r.at
    FROM devices AS d
    LEFT JOIN LATERAL (
        SELECT least(observed_at, received_at) AS at FROM device_readings
        WHERE device_id = d.id AND observed_at > now() - CAST(:lately AS interval) AND scenario_run_id IS NULL
        ORDER BY observed_at DESC LIMIT 1
    ) AS r ON true
    WHERE d.id = ANY (CAST(:device_ids AS uuid[]))
    ORDER BY d.name, d.id
""")
_CAPABILITIES = text("""
    SELECT DISTINCT o.capability
    FROM capability_owners AS o JOIN sensor_actions AS a ON a.id = o.sensor_action_id
    WHERE a.device_id = ANY (CAST(:device_ids AS uuid[])) ORDER BY o.capability
""")
_CIRCUITS = text("""
    SELECT c.id, c.name
    FROM circuit_capacities AS f JOIN sensor_actions AS a ON a.id = f.sensor_action_id
    JOIN circuits AS c ON c.id = f.circuit_id
    WHERE a.device_id = ANY (CAST(:device_ids AS uuid[])) ORDER BY c.name, c.id
""")


async def read_overwritten(connection: AsyncConnection, device_ids: Collection[UUID]) -> Overwritten:
    """Say what simulated packets of these devices overwrite."""
    given = {"device_ids": list(device_ids)}
    devices = (await connection.execute(_DEVICES, given | {"lately": REPORTED_LATELY})).all()
    capabilities = (await connection.execute(_CAPABILITIES, given)).scalars().all()
    circuits = (await connection.execute(_CIRCUITS, given)).all()
    return Overwritten(
        tuple((row.id, row.name, row.at) for row in devices),
        tuple(capabilities),
        tuple((row.id, row.name) for row in circuits),
    )

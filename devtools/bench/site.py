"""Depots with controllers for measuring, and the packets that their gateways send.

Each has a microgrid, a gateway, and a device that reports both capabilities and sets the capacity of its circuit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

PACKETS = "/api/telemetry/packets"
"""Where packets are sent."""
SENSOR = "mgc-1"
READINGS = 5
"""Measurands in a packet."""

_MAKE = """
INSERT INTO depots (name, timezone, created_by, updated_by)
SELECT 'Depot ' || n, 'UTC', 'bench', 'bench' FROM generate_series(1, :depots) AS n;
INSERT INTO circuits (depot_id, name, position, rated_power_w, created_by, updated_by)
SELECT id, 'Feed', 0, 1000000, 'bench', 'bench' FROM depots;
INSERT INTO microgrids (depot_id, created_by, updated_by) SELECT id, 'bench', 'bench' FROM depots;
INSERT INTO gateways (depot_id, name, created_by, updated_by) SELECT id, 'Gateway', 'bench', 'bench' FROM depots;
INSERT INTO devices (depot_id, gateway_id, sensor_id, name, circuit_id, created_by, updated_by)
SELECT g.depot_id, g.id, 'mgc-1', 'Controller', c.id, 'bench', 'bench'
FROM gateways AS g JOIN circuits AS c USING (depot_id);
INSERT INTO sensor_actions (depot_id, device_id, action, measurands, created_by, updated_by)
SELECT depot_id, id, 'UPDATE_MICROGRID_STATE', '{LIMIT_PEAK_SHAVING,LIMIT_DER_EXPORT}', 'bench', 'bench' FROM devices;
INSERT INTO sensor_actions (depot_id, device_id, action, measurands, heartbeat_threshold_seconds, created_by,
                            updated_by)
SELECT depot_id, id, 'UPDATE_CIRCUIT_CAPACITY',
       '{AVAILABLE_CHARGING_CAPACITY,HEARTBEAT_STATUS,FAIL_SAFE_CAPACITY}', :threshold, 'bench', 'bench' FROM devices;
INSERT INTO circuit_capacities (circuit_id, depot_id, sensor_action_id, mode, since, deadline,
                                heartbeat_threshold_seconds)
SELECT d.circuit_id, d.depot_id, a.id, 'AWAITING', now(), now() + make_interval(secs => :threshold), :threshold
FROM devices AS d JOIN sensor_actions AS a ON a.device_id = d.id AND a.action = 'UPDATE_CIRCUIT_CAPACITY';
DELETE FROM outbox
"""


class DepotIds(NamedTuple):
    """The ids of one depot's parts."""

    gateway_id: UUID
    depot_id: UUID
    microgrid_id: UUID
    device_id: UUID
    circuit_id: UUID


async def make_sites(connection: AsyncConnection, depots: int, threshold_seconds: float = 600) -> None:
    """Make ``depots`` depots, whose controllers may be silent for ``threshold_seconds``."""
    await connection.execute(text("SELECT set_config('manage.importing', 'on', true)"))
    for statement in _MAKE.split(";"):
        given = {"depots": depots, "threshold": float(threshold_seconds)}
        wanted = {name: value for name, value in given.items() if f":{name}" in statement}
        await connection.execute(text(statement), wanted)


async def read_sites(connection: AsyncConnection) -> list[DepotIds]:
    """Read what ``make_sites`` made."""
    rows = await connection.execute(
        text("""
            SELECT d.gateway_id, d.depot_id, m.id, d.id, d.circuit_id
            FROM devices AS d JOIN microgrids AS m USING (depot_id) ORDER BY d.gateway_id
        """)
    )
    return [DepotIds(*row) for row in rows]


def packet_template(site: DepotIds) -> str:
    """A packet with ``%d`` for its time. Its statuses are the same each time, its time is not."""
    values: list[tuple[str, float | str, str | None]] = [
        ("LIMIT_PEAK_SHAVING", "true", None),
        ("LIMIT_DER_EXPORT", "false", None),
        ("AVAILABLE_CHARGING_CAPACITY", 187_500.0, "W"),
        ("HEARTBEAT_STATUS", "ok", None),
        ("FAIL_SAFE_CAPACITY", 40_000.0, "W"),
    ]
    assert len(values) == READINGS
    document = {
        "device_id": str(site.gateway_id),
        "timestamp": "%d",
        "manufacturer": "Bench",
        "model": "MGC",
        "serial_number": "0001",
        "firmware": "1.0",
        "sensors": [
            {
                "sensor_id": SENSOR,
                "measurands": [{"key": key, "value": value, "unit": unit} for key, value, unit in values],
            }
        ],
    }
    return json.dumps(document).replace('"%d"', "%d")


def packet_answers(site: DepotIds) -> str:
    """What the sensor actions answer to such a packet, of the size that the product stores."""
    measurand = '{"measurand": "LIMIT_PEAK_SHAVING", "outcome": "APPLIED", "code": null}'
    action = (
        f'{{"sensor_id": "{SENSOR}", "device_id": "{site.device_id}", "sensor_action_id": "{uuid4()}", '
        '"action": "UPDATE_MICROGRID_STATE", "outcome": "APPLIED", "code": null, "measurands": [%s], "rule": null, '
        f'"target_id": "{site.microgrid_id}"}}'
    )
    return f"[{action % ', '.join([measurand] * 2)}, {action % ''}]"


def packets_body(sites: Sequence[DepotIds], first: int, count: int) -> str:
    """A request with one packet, or an array, of as many sites in turn, from the one at ``first`` on."""
    packets = [packet_template(sites[(first + n) % len(sites)]) for n in range(count)]
    return packets[0] if count == 1 else f"[{','.join(packets)}]"

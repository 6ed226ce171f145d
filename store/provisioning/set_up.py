"""What of a depot's set-up is done, read in one statement."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.provisioning.set_up import SetUpFacts
from domain.site.sensor_actions import SensorActionKind

# Each is the first row of an index, however much a depot has.
_FACTS = text("""
    SELECT
        EXISTS (SELECT FROM circuits AS c WHERE c.depot_id = d.id AND c.parent_id IS NULL) AS has_circuits,
        EXISTS (SELECT FROM microgrids AS m WHERE m.depot_id = d.id AND m.retired_at IS NULL) AS has_microgrid,
        EXISTS (SELECT FROM gateways AS g WHERE g.depot_id = d.id) AS has_gateway,
        (SELECT g.id FROM gateways AS g
         WHERE g.depot_id = d.id AND NOT EXISTS (SELECT FROM gateway_secrets AS s WHERE s.gateway_id = g.id)
         ORDER BY g.id LIMIT 1) AS without_secret,
        (SELECT v.id FROM devices AS v WHERE v.depot_id = d.id ORDER BY v.id LIMIT 1) AS device_id,
        (SELECT a.device_id FROM sensor_actions AS a WHERE a.depot_id = d.id AND a.enabled
         ORDER BY a.id LIMIT 1) AS acting_device_id,
        EXISTS (SELECT FROM sensor_actions AS a WHERE a.depot_id = d.id AND a.action = :binding) AS has_binding,
        EXISTS (SELECT FROM devices AS v JOIN sensor_sightings AS s
                ON s.gateway_id = v.gateway_id AND s.sensor_id = v.sensor_id
                WHERE v.depot_id = d.id) AS was_heard
    FROM depots AS d WHERE d.id = :depot_id AND d.retired_at IS NULL
""")


async def read_set_up(connection: AsyncConnection, depot_id: UUID) -> SetUpFacts | None:
    """Read what is stored of a depot that its set-up follows from; None: it is retired, or there is none."""
    given = {"depot_id": depot_id, "binding": SensorActionKind.UPDATE_MICROGRID_STATE}
    row = (await connection.execute(_FACTS, given)).mappings().one_or_none()
    return None if row is None else SetUpFacts(**row)

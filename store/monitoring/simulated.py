"""When what devices measured was simulated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.base.simulated import SCENARIO_OF, SimulatedBy


@dataclass(frozen=True)
class SimulatedReadings:
    """The readings of one device that one scenario run sent."""

    since: datetime
    until: datetime
    simulated_by: SimulatedBy


# An index has the simulated readings alone: who has none costs nothing.
_SIMULATED = text(f"""
    SELECT device_id, since, until, run_id, {SCENARIO_OF.format("run_id")}
    FROM (
        SELECT r.device_id, r.scenario_run_id AS run_id, min(r.at) AS since, max(r.at) AS until
        FROM unnest(CAST(:device_ids AS uuid[])) AS d (id)
        CROSS JOIN LATERAL (
            SELECT device_id, scenario_run_id, least(observed_at, received_at) AS at FROM device_readings
            WHERE device_id = d.id AND scenario_run_id IS NOT NULL AND observed_at >= :since
              AND observed_at < CAST(:until AS timestamptz) + CAST(:margin AS interval)
        ) AS r
        WHERE r.at >= :since AND r.at < :until
        GROUP BY r.device_id, r.scenario_run_id
    ) AS found
    ORDER BY device_id, since, run_id
""")  # noqa: S608 - constants
_MARGIN = timedelta(minutes=10)
"""A clock runs ahead by less, at most."""


async def read_simulated(
    connection: AsyncConnection, device_ids: Collection[UUID], since: datetime, until: datetime
) -> dict[UUID, list[SimulatedReadings]]:
    """Say which readings of these devices, measured from ``since`` on and before ``until``, scenario runs sent."""
    found: dict[UUID, list[SimulatedReadings]] = defaultdict(list)
    given = {"device_ids": list(device_ids), "since": since, "until": until, "margin": _MARGIN}
    for device_id, first, last, run_id, scenario in await connection.execute(_SIMULATED, given):
        found[device_id].append(SimulatedReadings(first, last, SimulatedBy(run_id, scenario or "")))
    return found

"""To which depots things belong: what the paths of routes name, looked up in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_TABLES = {
    "circuit_id": "circuits",
    "microgrid_id": "microgrids",
    "gateway_id": "gateways",
    "device_id": "devices",
    "power_source_id": "power_sources",
    "sensor_action_id": "sensor_actions",
    "binding_id": "sensor_actions",
    "remediation_id": "remediations",
    "run_id": "scenario_runs",
    "other_id": "scenario_runs",
}
"""Where the things are, by what the parameters of paths, and the fields of bodies, are called. Each has its depot."""


async def depots_of(connection: AsyncConnection, things: Mapping[str, UUID]) -> dict[str, UUID | None]:
    """Find the depot of each thing, by the name of its parameter; None: there is no such thing.

    A depot, ``depot_id``, is its own, whether it exists or not.
    """
    looked_up = {name: thing for name, thing in things.items() if name != "depot_id"}
    found: dict[str, UUID | None] = {**things, **dict.fromkeys(looked_up)}
    if looked_up:
        each = " UNION ALL ".join(
            f"SELECT '{name}', depot_id FROM {_TABLES[name]} WHERE id = :{name}"  # noqa: S608 - constants
            for name in looked_up
        )
        found.update((name, depot_id) for name, depot_id in await connection.execute(text(each), looked_up))
    return found

"""Microgrids that do not follow their depots' circuits, over all depots at once."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.upkeep import DRIFT_FOUND

# A depot without a microgrid has not drifted: it waits for its first sync or for the backfill. One that waits in the
# outbox will be in step without anyone's help.
_DRIFTED = text("""
    WITH watched AS (
        SELECT id AS microgrid_id, depot_id FROM microgrids AS m
        WHERE retired_at IS NULL AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.depot_id = m.depot_id)
    ), wanted AS (
        SELECT c.depot_id, c.id AS circuit_id, c.name,
               row_number() OVER (PARTITION BY c.depot_id ORDER BY c.position) - 1 AS place
        FROM watched JOIN circuits AS c USING (depot_id)
        WHERE c.parent_id IS NULL
    ), stored AS (
        SELECT w.depot_id, n.circuit_id, n.name, n.position AS place
        FROM watched AS w JOIN microgrid_nodes AS n USING (microgrid_id)
    )
    SELECT DISTINCT depot_id
    FROM wanted AS w FULL JOIN stored AS s USING (depot_id, circuit_id)
    WHERE (w.name, w.place) IS DISTINCT FROM (s.name, s.place)
    ORDER BY depot_id
""")
_COUNT = text("SELECT count(*) FROM microgrids WHERE retired_at IS NULL")
# The function is the outbox's own, which the triggers use.
_ASK = text("SELECT request_sync(CAST(:depots AS uuid[]), :reason)")


async def drifted_depots(connection: AsyncConnection) -> list[UUID]:
    """Find every depot whose grid connections are not its top-level circuits, in their order and by their names."""
    return list((await connection.execute(_DRIFTED)).scalars())


async def count_microgrids(connection: AsyncConnection) -> int:
    """Count the microgrids that are compared."""
    return (await connection.execute(_COUNT)).scalar_one()


async def ask_for_repair(connection: AsyncConnection, depots: Collection[UUID]) -> None:
    """Ask for a sync of each depot, as the transaction's actor. Asking twice makes a sync that finds nothing."""
    if depots:
        await connection.execute(_ASK, {"depots": list(depots), "reason": DRIFT_FOUND})

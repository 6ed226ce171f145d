"""A legacy fleet of any size, made inside the database: for measuring and for tests."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Every tenth depot has no top-level circuit; the others have one to three, and one circuit below the first.
_DEPOTS = text("""
    INSERT INTO depots (id, name, timezone, created_by, updated_by)
    SELECT gen_random_uuid(), 'Depot ' || n, 'UTC', 'legacy', 'legacy' FROM generate_series(1, :depots) AS n
""")
_TOPS = text("""
    INSERT INTO circuits (depot_id, name, position, rated_power_w, created_by, updated_by)
    SELECT d.id, 'Feed ' || place, place, 1000000, 'legacy', 'legacy'
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM depots WHERE created_by = 'legacy') AS d,
         generate_series(0, (d.n % 3)::integer) AS place
    WHERE d.n % 10 <> 0
""")
_BELOW = text("""
    INSERT INTO circuits (depot_id, parent_id, name, position, rated_power_w, created_by, updated_by)
    SELECT depot_id, id, 'Board', 0, 250000, 'legacy', 'legacy'
    FROM circuits WHERE parent_id IS NULL AND position = 0 AND created_by = 'legacy'
""")


async def seed_legacy(connection: AsyncConnection, depots: int) -> None:
    """Add ``depots`` unprovisioned depots; one in ten has no top-level circuit."""
    await connection.execute(text("SELECT set_config('manage.importing', 'on', true)"))
    await connection.execute(_DEPOTS, {"depots": depots})
    await connection.execute(_TOPS)
    await connection.execute(_BELOW)

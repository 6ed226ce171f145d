"""Change tokens: short texts that differ as soon as something that is watched has changed."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from store.access.narrowing import given_within, is_within
from store.site.fleet.fleet_list import count_fleet

_DEPOTS = text("""
    SELECT d.id, concat_ws('/', d.name, d.provisioning, m.id, m.version, m.synced_at,
        (SELECT max(c.id) FROM changes AS c WHERE c.depot_id = d.id),
        (SELECT md5(string_agg(concat_ws(':', n.circuit_id, n.position, n.name), ',' ORDER BY n.position))
         FROM microgrid_nodes AS n WHERE n.microgrid_id = m.id))
    FROM depots AS d LEFT JOIN microgrids AS m ON m.depot_id = d.id AND m.retired_at IS NULL
    WHERE d.id = ANY (CAST(:ids AS uuid[]))
""")
# xmin is the transaction that wrote a row last: a pause and a resume between two looks are seen by it.
_BACKFILLS = text("""
    SELECT b.id, concat_ws('/', b.xmin,
        (SELECT count(*) FROM backfill_pages AS p WHERE p.backfill_id = b.id))
    FROM backfills AS b WHERE b.id = ANY (CAST(:ids AS uuid[]))
""")
_NEWEST_STATUS = text("SELECT max(received_at) FROM capability_latest")
_NEWEST_STATUS_WITHIN = text("""
    SELECT max(l.received_at) FROM microgrids AS m JOIN capability_latest AS l ON l.microgrid_id = m.id
    WHERE m.depot_id = ANY (CAST(:within AS uuid[])) AND m.retired_at IS NULL
""")
_ALL_BACKFILLS = text("""
    SELECT concat_ws('/', count(*), count(finished_at),
        string_agg(xmin::text, ',' ORDER BY id) FILTER (WHERE finished_at IS NULL),
        (SELECT count(*) FROM backfill_pages AS p JOIN backfills AS b ON b.id = p.backfill_id
         WHERE b.finished_at IS NULL))
    FROM backfills
""")

_RUNS = text("""
    SELECT r.id, r.xmin::text FROM scenario_runs AS r WHERE r.id = ANY (CAST(:ids AS uuid[]))
""")
_ALL_RUNS = """
    SELECT concat_ws('/', count(*), count(finished_at),
        string_agg(xmin::text, ',' ORDER BY id) FILTER (WHERE finished_at IS NULL))
    FROM scenario_runs WHERE {within}
"""


async def depot_tokens(connection: AsyncConnection, depot_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of depots: their names, provisioning, circuits and microgrids."""
    return {row[0]: row[1] for row in await connection.execute(_DEPOTS, {"ids": list(depot_ids)})}


async def backfill_tokens(connection: AsyncConnection, backfill_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of backfills: what was written of them last, and how many of their pages are done."""
    return {row[0]: row[1] for row in await connection.execute(_BACKFILLS, {"ids": list(backfill_ids)})}


async def fleet_token(connection: AsyncConnection, scope: DepotScope) -> str:
    """Read the change token of the fleet within ``scope``: how many depots are in which provisioning state."""
    return str((await count_fleet(connection, scope=scope)).by_provisioning())


async def fleet_status_token(connection: AsyncConnection, scope: DepotScope) -> str:
    """Read the change token of the statuses within ``scope``: the newest, and how many depots are how fresh."""
    newest = _NEWEST_STATUS if scope.everywhere else _NEWEST_STATUS_WITHIN
    found = (await connection.execute(newest, given_within(scope))).scalar_one()
    return f"{found}/{(await count_fleet(connection, scope=scope)).by_freshness()}"


async def backfill_list_token(connection: AsyncConnection, _: DepotScope) -> str:
    """Read the change token of the list of backfills, which concern all depots, and how far those that run are."""
    return str((await connection.execute(_ALL_BACKFILLS)).scalar_one())


async def run_tokens(connection: AsyncConnection, run_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of scenario runs: what was written of them last."""
    return {row[0]: row[1] for row in await connection.execute(_RUNS, {"ids": list(run_ids)})}


async def run_list_token(connection: AsyncConnection, scope: DepotScope) -> str:
    """Read the change token of the list of scenario runs within ``scope``, and how far those that go on are."""
    query = text(_ALL_RUNS.format(within=is_within("depot_id", scope)))
    return str((await connection.execute(query, given_within(scope))).scalar_one())


async def ask(connection: AsyncConnection) -> None:
    """Ask for nothing: an answer says that the database is there."""
    await connection.execute(text("SELECT 1"))

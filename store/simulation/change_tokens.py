"""Change tokens: short texts that differ as soon as something that is watched has changed."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from store.access.narrowing import given_within, within
from store.base.jobs.change_tokens import job_list_token, job_tokens
from store.provisioning.tables import backfill_pages, backfills
from store.simulation.tables import scenario_runs
from store.site.fleet.fleet_alarms import WORST, count_alarms, list_worst
from store.site.fleet.fleet_list import count_fleet
from store.site.tables import imports

_DEPOTS = text("""
    SELECT d.id, concat_ws('/', d.name, d.provisioning, m.id, m.version, m.synced_at,
        (SELECT max(c.id) FROM changes AS c WHERE c.depot_id = d.id),
        (SELECT md5(string_agg(concat_ws(':', n.circuit_id, n.position, n.name), ',' ORDER BY n.position))
         FROM microgrid_nodes AS n WHERE n.microgrid_id = m.id))
    FROM depots AS d LEFT JOIN microgrids AS m ON m.depot_id = d.id AND m.retired_at IS NULL
    WHERE d.id = ANY (CAST(:ids AS uuid[]))
""")
_DEPOT_ALARMS = text("SELECT depot_id, md5(k::text) FROM depot_alarms AS k WHERE depot_id = ANY (CAST(:ids AS uuid[]))")
_NEWEST_STATUS = text("SELECT max(received_at) FROM capability_latest")
_NEWEST_STATUS_WITHIN = text("""
    SELECT max(l.received_at) FROM microgrids AS m JOIN capability_latest AS l ON l.microgrid_id = m.id
    WHERE m.depot_id = ANY (CAST(:within AS uuid[])) AND m.retired_at IS NULL
""")


async def depot_tokens(connection: AsyncConnection, depot_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of depots: their names, provisioning, circuits and microgrids."""
    return {row[0]: row[1] for row in await connection.execute(_DEPOTS, {"ids": list(depot_ids)})}


async def depot_alarm_tokens(connection: AsyncConnection, depot_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of depots' alarms; a depot without an alarm is left out."""
    return {row[0]: row[1] for row in await connection.execute(_DEPOT_ALARMS, {"ids": list(depot_ids)})}


async def alarms_token(connection: AsyncConnection, scope: DepotScope) -> str:
    """Read the change token of the alarms within ``scope``: how many there are, and those of the worst depots."""
    worst = await list_worst(connection, scope, WORST)
    told = [(each.depot_id, each.depot_name, each.alarms) for each in worst]
    return f"{await count_alarms(connection, scope)}/{hash(tuple(told))}"


async def backfill_tokens(connection: AsyncConnection, backfill_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of backfills: what was written of them last, and how many of their pages are done."""
    return await job_tokens(connection, backfills, backfill_ids, backfill_pages.c.backfill_id)


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
    return await job_list_token(connection, backfills, part_of=backfill_pages.c.backfill_id)


async def import_tokens(connection: AsyncConnection, import_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of imports: what was written of them last."""
    return await job_tokens(connection, imports, import_ids)


async def import_list_token(connection: AsyncConnection, _: DepotScope) -> str:
    """Read the change token of the list of imports, which concern all depots, and how far those that go on are."""
    return await job_list_token(connection, imports)


async def run_tokens(connection: AsyncConnection, run_ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the change tokens of scenario runs: what was written of them last."""
    return await job_tokens(connection, scenario_runs, run_ids)


async def run_list_token(connection: AsyncConnection, scope: DepotScope) -> str:
    """Read the change token of the list of scenario runs within ``scope``, and how far those that go on are."""
    return await job_list_token(connection, scenario_runs, within(scenario_runs.c.depot_id, scope))


async def ask(connection: AsyncConnection) -> None:
    """Ask for nothing: an answer says that the database is there."""
    await connection.execute(text("SELECT 1"))

"""How runs and backfills stand, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Table, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Uuid

from domain.base.job_endings import RowStatus
from store.provisioning.tables import backfills
from store.simulation.tables import scenario_runs

Standings = dict[UUID, tuple[RowStatus, timedelta | None]]
"""Of each id: how its row stands, and how long ago it ended."""


async def run_standings(connection: AsyncConnection, run_ids: Sequence[UUID]) -> Standings:
    """Say how scenario runs stand."""
    return await _standings(connection, scenario_runs, run_ids)


async def backfill_standings(connection: AsyncConnection, backfill_ids: Sequence[UUID]) -> Standings:
    """Say how backfills stand."""
    return await _standings(connection, backfills, backfill_ids)


async def _standings(connection: AsyncConnection, table: Table, ids: Sequence[UUID]) -> Standings:
    columns = table.c
    query = select(columns.id, (func.now() - columns.finished_at).label("since")).where(
        columns.id == any_(bindparam("ids", list(ids), ARRAY(Uuid)))
    )
    ended = {row.id: row.since for row in await connection.execute(query)}

    def standing(row_id: UUID) -> tuple[RowStatus, timedelta | None]:
        if row_id not in ended:
            return RowStatus.ABSENT, None
        since = ended[row_id]
        return RowStatus.OPEN if since is None else RowStatus.ENDED, since

    return {each: standing(each) for each in ids}

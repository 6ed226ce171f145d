"""The statuses of the rows of runs and backfills, many in one query."""

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

RowStatuses = dict[UUID, tuple[RowStatus, timedelta | None]]
"""By id: the row's status, and how long ago it ended."""


async def run_statuses(connection: AsyncConnection, run_ids: Sequence[UUID]) -> RowStatuses:
    """Read the statuses of scenario runs."""
    return await _statuses(connection, scenario_runs, run_ids)


async def backfill_statuses(connection: AsyncConnection, backfill_ids: Sequence[UUID]) -> RowStatuses:
    """Read the statuses of backfills."""
    return await _statuses(connection, backfills, backfill_ids)


async def _statuses(connection: AsyncConnection, table: Table, ids: Sequence[UUID]) -> RowStatuses:
    columns = table.c
    query = select(columns.id, (func.now() - columns.finished_at).label("since")).where(
        columns.id == any_(bindparam("ids", list(ids), ARRAY(Uuid)))
    )
    ended = {row.id: row.since for row in await connection.execute(query)}

    def status_of(row_id: UUID) -> tuple[RowStatus, timedelta | None]:
        if row_id not in ended:
            return RowStatus.ABSENT, None
        since = ended[row_id]
        return RowStatus.OPEN if since is None else RowStatus.ENDED, since

    return {each: status_of(each) for each in ids}

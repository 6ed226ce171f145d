"""Short texts that differ as soon as a job, or the list of a kind's jobs, has changed."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    ScalarSelect,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Uuid


def _written(table: Table) -> Column[str]:
    # xmin is the transaction that wrote a row last: a pause and a resume between two looks are seen by it.
    return cast(literal_column(f"{table.name}.xmin"), Text)  # pyright: ignore[reportReturnType]


async def job_tokens(
    connection: AsyncConnection, table: Table, job_ids: Collection[UUID], part_of: Column[UUID] | None = None
) -> dict[UUID, str]:
    """Make the token of each job that there is.

    Args:
        connection: A connection.
        table: The kind's table.
        job_ids: The jobs.
        part_of: Of a table that gets a row with each part of a job's work: the column of the job's id.

    """
    parts: list[ScalarSelect[int]] = []
    if part_of is not None:
        parts.append(select(func.count()).where(part_of == table.c.id).correlate(table).scalar_subquery())
    query = select(table.c.id, func.concat_ws("/", _written(table), *parts)).where(
        table.c.id == any_(bindparam("ids", list(job_ids), ARRAY(Uuid)))
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


async def job_list_token(
    connection: AsyncConnection,
    table: Table,
    listed: ColumnElement[bool] | None = None,
    *,
    part_of: Column[UUID] | None = None,
) -> str:
    """Make the token of the list of a kind's jobs, of all or of those ``listed``, and of how far the open ones are."""
    is_open = table.c.finished_at.is_(None)
    parts: list[ScalarSelect[int]] = []
    if part_of is not None:
        jobs = table.alias()
        of_open = select(func.count()).join_from(part_of.table, jobs, jobs.c.id == part_of)
        parts.append(of_open.where(jobs.c.finished_at.is_(None)).scalar_subquery())
    written = func.string_agg(_written(table), aggregate_order_by(literal_column("','"), table.c.id)).filter(is_open)
    query = select(func.concat_ws("/", func.count(), func.count(table.c.finished_at), written, *parts))
    query = query.select_from(table)
    return str((await connection.execute(query if listed is None else query.where(listed))).scalar_one())

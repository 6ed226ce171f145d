"""The row of a job: read, listed, held, its state written, the status of many read at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import Select, Table, any_, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Uuid

from domain.base.job_endings import RowStatus
from domain.base.jobs import JobKind, JobState

QueryT = TypeVar("QueryT", bound=Select[*tuple[Any, ...]])

JobTable: TypeAlias = Table
"""The table of a kind of job, for whoever only hands it on to these statements."""
RowStatuses = dict[UUID, tuple[RowStatus, timedelta | None]]
"""Of each id: the status of its row, and how long ago it ended."""

_LOCK_NOT_AVAILABLE = "55P03"


class ContinuedElsewhereError(RuntimeError):
    """Another try of the same step of a job has stored something meanwhile."""


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """What is read of every job; a kind adds what is its own."""

    job_id: UUID
    depot_id: UUID | None
    """The depot that it is about; None: it is about all of them."""
    state: JobState
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: str | None
    read_at: datetime
    """When this was read, by the database's clock."""


def newest_first(query: QueryT, table: Table, *, before: UUID | None, limit: int, only_open: bool = False) -> QueryT:
    """Sort jobs from the newest, beginning before the id ``before``; all, or those that have not ended."""
    query = query.order_by(table.c.id.desc()).limit(limit)
    if only_open:
        query = query.where(table.c.finished_at.is_(None))
    return query if before is None else query.where(table.c.id < before)


async def hold_open(connection: AsyncConnection, table: Table, kind: JobKind, job_id: UUID) -> None:
    """Keep a job from ending until this transaction has.

    Raises:
        Problem: the kind's ``not_found`` or ``not_running``.

    """
    # As weak as the lock of a foreign key: a pause is noted meanwhile, an end waits.
    query = select(table.c.state).where(table.c.id == job_id).with_for_update(key_share=True, read=True)
    state = (await connection.execute(query)).scalar_one_or_none()
    if state is None:
        raise kind.missing(job_id)
    if JobState(state).ended:
        raise kind.not_controllable(JobState(state))


async def lock_job(connection: AsyncConnection, table: Table, job_id: UUID, *, within: timedelta | None = None) -> bool:
    """Lock a job, so that nobody holds it open; False: somebody still does after this time."""
    query = select(table.c.id).where(table.c.id == job_id).with_for_update()
    if within is None:
        await connection.execute(query)
        return True
    try:
        async with connection.begin_nested():
            wait = {"wait": f"{within // timedelta(milliseconds=1)}ms"}
            await connection.execute(text("SELECT set_config('lock_timeout', :wait, true)"), wait)
            await connection.execute(query)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


async def set_job_state(
    connection: AsyncConnection,
    table: Table,
    job_id: UUID,
    state: JobState,
    failure: str | None = None,
    *,
    only_from: JobState | None = None,
    result: Mapping[str, object] | None = None,
) -> bool:
    """Note that a job is paused, goes on or has ended. An end is final: answers whether this was noted.

    Args:
        connection: In a transaction.
        table: The kind's table.
        job_id: The job.
        state: Its state from now on.
        failure: Why it did not complete.
        only_from: Nothing is noted where the job is in another state by now.
        result: Further columns that an end fills.

    """
    change = (
        update(table)
        .where(table.c.id == job_id, table.c.finished_at.is_(None))
        .values(state=state, failure=failure, finished_at=func.now() if state.ended else None, **(result or {}))
        .returning(table.c.id)
    )
    noted = await connection.execute(change if only_from is None else change.where(table.c.state == only_from))
    return noted.one_or_none() is not None


async def row_statuses(connection: AsyncConnection, table: Table, job_ids: Sequence[UUID]) -> RowStatuses:
    """Tell the status of the rows of jobs."""
    query = select(table.c.id, (func.now() - table.c.finished_at).label("since")).where(
        table.c.id == any_(bindparam("ids", list(job_ids), ARRAY(Uuid)))
    )
    ended = {row.id: row.since for row in await connection.execute(query)}

    def status_of(job_id: UUID) -> tuple[RowStatus, timedelta | None]:
        if job_id not in ended:
            return RowStatus.ABSENT, None
        since = ended[job_id]
        return RowStatus.OPEN if since is None else RowStatus.ENDED, since

    return {each: status_of(each) for each in job_ids}

"""The end of an export: its file is kept for a while where it is whole, and removed where it is not."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.job_endings import Act
from domain.base.jobs import JobState
from domain.history.export_jobs import EXPORT, ExportProgress
from reconciliation.reconcile import Jobs, ended_from_outside, state_it_says
from reconciliation.workflow_descriptions import WorkflowDescription
from store.base.changes import record_change
from store.base.jobs.rows import lock_job, set_job_state
from store.history.jobs.export_jobs import ExportRecord, list_exports, read_export, remove_file
from store.history.tables import exports

_LOCKED_WITHIN = timedelta(seconds=1)


async def close_export(
    connection: AsyncConnection, actor: Actor, export_id: UUID, state: JobState, failure: str | None = None
) -> JobState:
    """Note how an export ended; the first end stands. Answers how it is noted.

    Args:
        connection: In the transaction of whoever ends it.
        actor: Whoever that is.
        export_id: The export.
        state: How it ended. Where its file is not whole, COMPLETED is FAILED.
        failure: Why.

    Raises:
        Problem: ``EXPORT_NOT_FOUND``.

    """
    await lock_job(connection, exports, export_id)
    record = await read_export(connection, export_id)
    if state is JobState.COMPLETED and record.expires_at is None:
        state = JobState.FAILED
        failure = "Its file is not whole in this database, which was restored from an earlier backup."
    if await set_job_state(connection, exports, export_id, state, failure):
        if state is not JobState.COMPLETED:
            await remove_file(connection, export_id)
        detail = {"rows": record.rows_done, **record.selection.as_detail()}
        await record_change(
            connection, actor, EXPORT.event(state), depot_id=record.depot_id, subject_id=export_id, detail=detail
        )
    return state


async def _end(
    connection: AsyncConnection, record: ExportRecord, act: Act, workflow: WorkflowDescription[ExportProgress]
) -> None:
    # A slice that is under way may take long. Whoever comes next ends it.
    if not await lock_job(connection, exports, record.job_id, within=_LOCKED_WITHIN):
        return
    if act is Act.END_AS_IT_SAYS:
        state, failure = state_it_says(workflow), None
    else:
        state, failure = ended_from_outside(act, workflow)
    await close_export(connection, EXPORT.monitor, record.job_id, state, failure)


async def _set_state(connection: AsyncConnection, record: ExportRecord, state: JobState) -> bool:
    return await set_job_state(connection, exports, record.job_id, state, only_from=record.state)


EXPORTS = Jobs(
    kind=EXPORT,
    table=exports,
    result_type=ExportProgress,
    progress_type=ExportProgress,
    read=read_export,
    list=list_exports,
    set_state=_set_state,
    end=_end,
)

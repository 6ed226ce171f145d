"""The end of an import: what it stored held against what it says, and its file removed, whoever ends it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.job_endings import Act
from domain.base.jobs import JobState
from domain.site.imports.import_jobs import IMPORT, ImportProgress
from reconciliation.reconcile import Jobs, ended_from_outside, state_it_says
from reconciliation.workflow_descriptions import WorkflowDescription
from store.base.changes import record_change
from store.base.jobs.rows import lock_job, set_job_state
from store.site.fleet.import_jobs import ImportRecord, list_imports, read_import, remove_file
from store.site.tables import imports

_LOCKED_WITHIN = timedelta(seconds=1)


async def close_import(
    connection: AsyncConnection, actor: Actor, import_id: UUID, state: JobState, failure: str | None = None
) -> JobState:
    """Note how an import ended and remove its file; the first end stands. Answers how it is noted.

    Args:
        connection: In the transaction of whoever ends it.
        actor: Whoever that is.
        import_id: The import.
        state: How it ended. Where not all of it is stored, COMPLETED is FAILED.
        failure: Why.

    Raises:
        Problem: ``IMPORT_NOT_FOUND``.

    """
    await lock_job(connection, imports, import_id)
    record = await read_import(connection, import_id)
    if state is JobState.COMPLETED and record.unchanged is None:
        state = JobState.FAILED
        failure = (
            "Not all that it stored is in this database: it was restored from an earlier backup. "
            "Import the same file again: it stores what is missing, and nothing twice."
        )
    if await set_job_state(connection, imports, import_id, state, failure):
        await remove_file(connection, import_id)
        detail = {
            "file": record.file_name,
            "stored": sum(record.stored.values()),
            "refused": sum(record.refused.values()),
        }
        await record_change(connection, actor, IMPORT.event(state), subject_id=import_id, detail=detail)
    return state


async def _end(
    connection: AsyncConnection, record: ImportRecord, act: Act, workflow: WorkflowDescription[ImportProgress]
) -> None:
    # A batch that is under way may take long. Whoever comes next ends it.
    if not await lock_job(connection, imports, record.job_id, within=_LOCKED_WITHIN):
        return
    if act is Act.END_AS_IT_SAYS:
        state, failure = state_it_says(workflow), None
    else:
        state, failure = ended_from_outside(act, workflow)
    await close_import(connection, IMPORT.monitor, record.job_id, state, failure)


async def _set_state(connection: AsyncConnection, record: ImportRecord, state: JobState) -> bool:
    return await set_job_state(connection, imports, record.job_id, state, only_from=record.state)


IMPORTS = Jobs(
    kind=IMPORT,
    table=imports,
    result_type=ImportProgress,
    progress_type=ImportProgress,
    read=read_import,
    list=list_imports,
    set_state=_set_state,
    end=_end,
)

"""The end of a backfill: what it did held against what it says, whoever ends it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.job_endings import Act
from domain.base.jobs import JobState
from domain.provisioning.backfill import BACKFILL, BackfillProgress
from reconciliation.reconcile import Jobs, ended_from_outside, state_it_says
from reconciliation.workflow_descriptions import WorkflowDescription
from store.base.changes import record_change
from store.base.jobs.rows import lock_job, set_job_state
from store.provisioning.backfills import BackfillRecord, count_pages, list_backfills, read_backfill
from store.provisioning.tables import backfills

_LOCKED_WITHIN = timedelta(seconds=1)


async def close_backfill(
    connection: AsyncConnection,
    actor: Actor,
    backfill_id: UUID,
    state: JobState,
    failure: str | None = None,
    *,
    pages: int | None = None,
) -> JobState:
    """Note how a backfill ended; the first end stands. Answers how it is noted.

    Args:
        connection: In the transaction of whoever ends it.
        actor: Whoever that is.
        backfill_id: The backfill.
        state: How it ended. Where pages are missing, COMPLETED is FAILED.
        failure: Why.
        pages: How many pages its workflow finished; None: nobody can say.

    """
    await lock_job(connection, backfills, backfill_id)
    if state is JobState.COMPLETED and pages is not None:
        missing = pages - await count_pages(connection, backfill_id)
        if missing > 0:
            state = JobState.FAILED
            failure = (
                f"{missing} of its {pages} pages are not in this database: it was restored from an earlier backup. "
                "Start another backfill: it does what is missing, and nothing twice."
            )
    if await set_job_state(connection, backfills, backfill_id, state, failure):
        await record_change(connection, actor, BACKFILL.event(state), subject_id=backfill_id)
    return state


async def _end(
    connection: AsyncConnection, backfill: BackfillRecord, act: Act, workflow: WorkflowDescription[BackfillProgress]
) -> None:
    # A page that is under way may take long. Whoever comes next ends it.
    if await lock_job(connection, backfills, backfill.job_id, within=_LOCKED_WITHIN):
        state, failure, pages = _ending(act, workflow)
        await close_backfill(connection, BACKFILL.monitor, backfill.job_id, state, failure, pages=pages)


def _ending(act: Act, workflow: WorkflowDescription[BackfillProgress]) -> tuple[JobState, str | None, int | None]:
    if act is Act.END_AS_IT_SAYS and workflow.result is not None:
        # The result says what was done, the search attribute whether somebody cancelled it.
        return state_it_says(workflow), None, workflow.result.next_page
    return *ended_from_outside(act, workflow), None


async def _set_state(connection: AsyncConnection, backfill: BackfillRecord, state: JobState) -> bool:
    return await set_job_state(connection, backfills, backfill.job_id, state, only_from=backfill.state)


BACKFILLS = Jobs(
    kind=BACKFILL,
    table=backfills,
    result_type=BackfillProgress,
    progress_type=BackfillProgress,
    read=read_backfill,
    list=list_backfills,
    set_state=_set_state,
    end=_end,
)

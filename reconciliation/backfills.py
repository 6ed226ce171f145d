"""The end of a backfill, whoever ends it: what the workflow reports is checked against the pages in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client

from domain.base.actor import Actor
from domain.base.job_endings import Act, why_ended
from domain.base.jobs import JobState
from domain.provisioning.backfill import BACKFILL, BackfillProgress
from reconciliation.reconcile import READ_WITHIN, Kind, ReconciledRow, reconcile
from reconciliation.workflow_descriptions import WorkflowDescription
from store.base.changes import record_change
from store.base.database import transaction
from store.provisioning.backfills import BackfillRecord, count_pages, lock_backfill, read_backfill, set_backfill_state

MONITOR = Actor("system:backfill-monitor")
"""Who ends a backfill whose workflow did not."""

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
    await lock_backfill(connection, backfill_id)
    if state is JobState.COMPLETED and pages is not None:
        missing = pages - await count_pages(connection, backfill_id)
        if missing > 0:
            state = JobState.FAILED
            failure = (
                f"{missing} of its {pages} pages are not in this database: it was restored from an earlier backup. "
                "Start another backfill: it does what is missing, and nothing twice."
            )
    if await set_backfill_state(connection, backfill_id, state, failure):
        await record_change(connection, actor, f"BACKFILL_{state}", subject_id=backfill_id)
    return state


async def reconcile_backfills(
    engine: AsyncEngine, client: Client, backfills: Sequence[BackfillRecord], within: timedelta = READ_WITHIN
) -> list[ReconciledRow[BackfillRecord]]:
    """Compare backfills with their workflows, and end those whose workflow is gone."""

    async def end(
        backfill: BackfillRecord, act: Act, description: WorkflowDescription[BackfillProgress]
    ) -> BackfillRecord:
        async with transaction(engine, MONITOR) as connection:
            # A page that is under way may take long. Whoever comes next ends it.
            if await lock_backfill(connection, backfill.backfill_id, within=_LOCKED_WITHIN):
                state, failure, pages = _ending(act, description)
                await close_backfill(connection, MONITOR, backfill.backfill_id, state, failure, pages=pages)
            return await read_backfill(connection, backfill.backfill_id)

    kind = Kind[BackfillRecord, BackfillProgress](
        lambda backfill: BACKFILL.workflow_id(backfill.backfill_id), BackfillProgress, end
    )
    return await reconcile(client, backfills, kind, within)


def _ending(act: Act, description: WorkflowDescription[BackfillProgress]) -> tuple[JobState, str | None, int | None]:
    if act is Act.END_AS_IT_SAYS and description.result is not None:
        # The result says what was done, the search attribute whether somebody cancelled it.
        cancelled = description.outcome == JobState.CANCELLED
        return JobState.CANCELLED if cancelled else JobState.COMPLETED, None, description.result.next_page
    if act is Act.END_CANCELLED:
        return JobState.CANCELLED, why_ended(description.status), None
    return JobState.FAILED, why_ended(description.status, description.failure), None

"""Jobs whose workflows have ended without them are ended, too: the same for all kinds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client

from domain.base.job_endings import Act, RowStatus, WorkflowStatus, act_on, why_ended
from domain.base.jobs import JobKind, JobState
from reconciliation.workflow_descriptions import WorkflowDescription, describe_workflows
from store.base.database import transaction
from store.base.jobs.rows import JobRecord, JobTable

READ_WITHIN = timedelta(seconds=2)
"""So long somebody who reads waits for Temporal, for one row or for a list of them."""

RecordT = TypeVar("RecordT", bound=JobRecord)
ResultT = TypeVar("ResultT")


class Progress(Protocol):
    """What the query ``progress`` of every job's workflow answers."""

    @property
    def paused(self) -> bool:
        """Whether it waits to be resumed."""
        ...


def state_it_says(workflow: WorkflowDescription[Any]) -> JobState:
    """Say how a workflow that completed ended its job: it completes where somebody cancelled it, too."""
    return JobState.CANCELLED if workflow.outcome == JobState.CANCELLED else JobState.COMPLETED


def ended_from_outside(act: Act, workflow: WorkflowDescription[Any]) -> tuple[JobState, str]:
    """Say how a job is noted whose workflow ended without saying how, and why."""
    state = JobState.CANCELLED if act is Act.END_CANCELLED else JobState.FAILED
    return state, why_ended(workflow.status, workflow.failure)


class List(Protocol[RecordT]):
    """Lists the jobs of a kind, the newest first."""

    async def __call__(
        self, connection: AsyncConnection, *, before: UUID | None, limit: int, only_open: bool = False
    ) -> list[RecordT]:
        """List those before an id; all, or those that have not ended."""
        ...


@dataclass(frozen=True)
class Jobs(Generic[RecordT, ResultT]):
    """The jobs of one kind: what reading, controlling and reconciling them needs to know."""

    kind: JobKind
    table: JobTable
    result_type: type[ResultT]
    """What their workflows return."""
    progress_type: type[Progress]
    """What the query ``progress`` of their workflows answers."""
    read: Callable[[AsyncConnection, UUID], Awaitable[RecordT]]
    list: List[RecordT]
    set_state: Callable[[AsyncConnection, RecordT, JobState], Awaitable[bool]]
    """Set the state of a job that goes on, unless it has changed since; answers whether it was set."""
    end: Callable[[AsyncConnection, RecordT, Act, WorkflowDescription[ResultT]], Awaitable[object]]
    """End a job that is open, in a transaction of the kind's monitor, unless it has ended or is worked on."""


@dataclass(frozen=True)
class ReconciledRow(Generic[RecordT]):
    """A row that was held against its workflow."""

    record: RecordT
    confirmed: bool
    """False: the row is open and may have ended, because Temporal did not answer or work on it is still under way."""
    workflow: WorkflowStatus | None = None
    """None: the row had ended, and nobody asked."""
    ended_here: bool = False
    """Whether this ended it."""


async def reconcile(
    engine: AsyncEngine,
    client: Client,
    jobs: Jobs[RecordT, ResultT],
    rows: Sequence[RecordT],
    within: timedelta = READ_WITHIN,
) -> list[ReconciledRow[RecordT]]:
    """Hold rows against their workflows and end those that must; answer all of them in the same order."""
    asked = [jobs.kind.workflow_id(row.job_id) for row in rows if not row.state.ended]
    found = await describe_workflows(client, asked, jobs.result_type, within)
    return [await _reconcile_row(engine, jobs, row, found.get(jobs.kind.workflow_id(row.job_id))) for row in rows]


async def read_reconciled(
    engine: AsyncEngine, client: Client, jobs: Jobs[RecordT, Any], job_id: UUID
) -> ReconciledRow[RecordT]:
    """Read a job; one whose workflow is gone without having said so is ended.

    Raises:
        Problem: the kind's ``not_found``.

    """
    async with engine.connect() as connection:
        record = await jobs.read(connection, job_id)
    return (await reconcile(engine, client, jobs, [record]))[0]


async def _reconcile_row(
    engine: AsyncEngine, jobs: Jobs[RecordT, ResultT], row: RecordT, workflow: WorkflowDescription[ResultT] | None
) -> ReconciledRow[RecordT]:
    if workflow is None:
        return ReconciledRow(row, confirmed=True)
    act = act_on(RowStatus.OPEN, workflow.status, row.read_at - row.requested_at)
    if act is Act.LEAVE:
        return ReconciledRow(row, workflow.status is not WorkflowStatus.UNREPORTED, workflow.status)
    async with transaction(engine, jobs.kind.monitor) as connection:
        await jobs.end(connection, row, act, workflow)
        after = await jobs.read(connection, row.job_id)
    return ReconciledRow(after, confirmed=after.state.ended, workflow=workflow.status, ended_here=after.state.ended)

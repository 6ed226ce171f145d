"""Backfills: start, watch, pause, resume, cancel, and what was found for each depot."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep
from api.base.idempotency import ONCE, OnceDep
from api.base.jobs.service import JobsDep, JobService, control_responses
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.temporal import temporal_calls
from api.base.types import BackfillId, Body, Cursor, Limit, decode_cursor, encode_cursor
from domain.base.jobs import JobControl, JobState
from domain.base.problems import ProblemCode
from domain.provisioning.backfill import (
    BACKFILL,
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    BackfillInput,
    BackfillOutcome,
    BackfillRequest,
)
from reconciliation.backfills import BACKFILLS
from reconciliation.reconcile import ReconciledRow
from store.base.changes import record_change
from store.provisioning.backfills import BackfillRecord, insert_backfill, list_outcomes, read_backfill
from workflows.launch import start_backfill

router = APIRouter(prefix="/api/backfills", tags=["backfills"], route_class=StrictRoute)


class BackfillCreate(Body):
    """How to run a backfill."""

    dry_run: bool = Field(default=False, description="Only say what would be done.")
    page_size: int = Field(default=DEFAULT_PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE, description="Depots in one transaction.")


class Backfill(BaseModel):
    """A backfill and how far it is."""

    backfill_id: UUID
    dry_run: bool
    page_size: int
    state: JobState
    depots_total: int | None = Field(description="Depots when it began; null before they are counted.")
    depots_done: int
    outcomes: dict[BackfillOutcome, int] = Field(description="Depots by outcome; in a dry run what would be done.")
    rate_per_second: float | None = Field(description="Depots a second from the start to the last finished page.")
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: str | None
    state_confirmed: bool = Field(
        description="False: Temporal did not answer, so a backfill that is shown as going on may have ended."
    )
    workflow_url: str | None = Field(description="The run in Temporal's UI.")

    @staticmethod
    def of(row: ReconciledRow[BackfillRecord], jobs: JobService) -> Backfill:
        """The backfill as it is stored, held against its workflow."""
        record = row.record
        done = record.counts.depots
        rate = None
        if record.started_at is not None and record.last_page_at is not None:
            seconds = (record.last_page_at - record.started_at).total_seconds()
            rate = done / seconds if seconds > 0 else None
        total = record.depots_total
        extended = Extended(
            record,
            backfill_id=record.job_id,
            # Depots that were created while it ran are in its pages, too.
            depots_total=None if total is None else max(total, done),
            depots_done=done,
            outcomes=record.counts.by_outcome(),
            rate_per_second=rate,
            state_confirmed=row.confirmed,
            workflow_url=jobs.workflow_url(BACKFILL, record.job_id),
        )
        return Backfill.model_validate(extended, from_attributes=True)


class BackfillPage(BaseModel):
    """Backfills, the newest first."""

    items: list[Backfill]
    next_cursor: str | None


class Outcome(BaseModel):
    """What a backfill found for one depot."""

    depot_id: UUID
    depot_name: str
    outcome: BackfillOutcome
    microgrid_id: UUID | None


class OutcomePage(BaseModel):
    """Outcomes by depot id."""

    items: list[Outcome]
    next_cursor: str | None


@router.post(
    "", status_code=status.HTTP_202_ACCEPTED, responses=problem_responses(*ONCE, ProblemCode.TEMPORAL_UNAVAILABLE)
)
async def start(body: BackfillCreate, actor: ActorDep, jobs: JobsDep, once: OnceDep) -> Backfill:
    """Start a backfill. It goes on by itself; read it to watch it. Running it again creates nothing twice."""
    request = BackfillRequest(uuid7(), body.dry_run, body.page_size, actor.name)

    async def make(connection: AsyncConnection) -> Backfill:
        await insert_backfill(connection, request)
        await record_change(connection, actor, BACKFILL.event("requested"), subject_id=request.backfill_id)
        # Inside the transaction: where Temporal is down, nothing was asked. Should the commit fail after a
        # start, the workflow's first step stores the backfill itself.
        async with temporal_calls():
            await start_backfill(jobs.client, jobs.settings.task_queue, BackfillInput(request))
        record = await read_backfill(connection, request.backfill_id)
        return Backfill.of(ReconciledRow(record, confirmed=True), jobs)

    return await once.create(jobs.engine, actor, body, Backfill, make)


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(jobs: JobsDep, cursor: Cursor = None, limit: Limit = 100) -> BackfillPage:
    """List backfills, the newest first."""
    rows, more = await jobs.list(BACKFILLS, cursor, limit)
    return BackfillPage(items=[Backfill.of(row, jobs) for row in rows], next_cursor=more)


@router.get("/{backfill_id}", responses=problem_responses(ProblemCode.BACKFILL_NOT_FOUND))
async def read(backfill_id: BackfillId, jobs: JobsDep) -> Backfill:
    """Read how far a backfill is."""
    return Backfill.of(await jobs.read(BACKFILLS, backfill_id), jobs)


@router.get(
    "/{backfill_id}/outcomes",
    responses=problem_responses(ProblemCode.BACKFILL_NOT_FOUND, ProblemCode.INVALID_CURSOR),
)
async def outcomes(
    backfill_id: BackfillId,
    engine: EngineDep,
    outcome: Annotated[BackfillOutcome | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> OutcomePage:
    """List what was found for each depot, by depot id.

    While the backfill runs, the list ends where a depot is not done yet: following the cursor misses none.
    """
    after = decode_cursor(cursor, tuple[UUID])
    async with engine.connect() as connection:
        # The state is read first: what is there when it has ended is all there will be.
        ended = (await read_backfill(connection, backfill_id)).state.ended
        found = await list_outcomes(
            connection, backfill_id, outcome=outcome, after=after[0] if after else None, limit=limit + 1, ended=ended
        )
    items = found[:limit]
    more = encode_cursor(items[-1].depot_id) if len(found) > limit else None
    return OutcomePage(
        items=[Outcome.model_validate(record, from_attributes=True) for record in items], next_cursor=more
    )


_CONTROL = control_responses(BACKFILL)


@router.post("/{backfill_id}/pause", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def pause(backfill_id: BackfillId, actor: ActorDep, jobs: JobsDep) -> Backfill:
    """Pause a backfill after the pages that are in flight."""
    return Backfill.of(await jobs.control(BACKFILLS, backfill_id, JobControl.PAUSE, actor), jobs)


@router.post("/{backfill_id}/resume", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def resume(backfill_id: BackfillId, actor: ActorDep, jobs: JobsDep) -> Backfill:
    """Let a paused backfill go on."""
    return Backfill.of(await jobs.control(BACKFILLS, backfill_id, JobControl.RESUME, actor), jobs)


@router.post("/{backfill_id}/cancel", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def cancel(backfill_id: BackfillId, actor: ActorDep, jobs: JobsDep) -> Backfill:
    """End a backfill after the pages that are in flight. What was provisioned stays."""
    return Backfill.of(await jobs.control(BACKFILLS, backfill_id, JobControl.CANCEL, actor), jobs)

"""The step of the run audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.heartbeat import beating
from domain.base.actor import Actor
from domain.base.job_endings import Act, WorkflowStatus, act_on
from domain.base.jobs import JobKind, JobState
from domain.monitoring.upkeep import RunAuditReport, RunAuditRequest
from domain.provisioning.backfill import BACKFILL, BackfillProgress
from domain.simulation.scenario_runs import SCENARIO_RUN, ScenarioRunProgress
from reconciliation.backfills import MONITOR as BACKFILL_MONITOR
from reconciliation.backfills import reconcile_backfills
from reconciliation.reconcile import ReconciledRow, Row
from reconciliation.scenario_runs import MONITOR as RUN_MONITOR
from reconciliation.scenario_runs import reconcile_runs
from reconciliation.workflow_descriptions import ask_all
from store.base.database import transaction
from store.provisioning.backfills import BackfillRecord, list_backfills, set_backfill_state
from store.simulation.row_statuses import RowStatuses, backfill_statuses, run_statuses
from store.simulation.scenario_runs import RunRecord, list_runs, set_run_state

_ANSWER_WITHIN = timedelta(seconds=30)
"""For a page of rows."""
_CALL_WITHIN = timedelta(seconds=5)

RowT = TypeVar("RowT", bound=Row)


class _Progress(Protocol):
    @property
    def paused(self) -> bool: ...


class _Lists(Protocol[RowT]):
    async def __call__(
        self, connection: AsyncConnection, *, only_open: bool, before: UUID | None, limit: int
    ) -> list[RowT]: ...


@dataclass(frozen=True)
class _Kind(Generic[RowT]):
    """What the audit needs to know of scenario runs or of backfills."""

    job: JobKind
    monitor: Actor
    """Who notes what their workflows did not."""
    id_of: Callable[[RowT], UUID]
    progress: type[_Progress]
    """What the workflow's query ``progress`` answers."""
    list_rows: _Lists[RowT]
    reconcile: Callable[[AsyncEngine, Client, Sequence[RowT], timedelta], Awaitable[list[ReconciledRow[RowT]]]]
    note_pause: Callable[[AsyncConnection, RowT, bool], Awaitable[bool]]
    """Note whether it is paused, unless the row has changed since; answers whether it was noted."""
    statuses: Callable[[AsyncConnection, Sequence[UUID]], Awaitable[RowStatuses]]


async def _note_run(connection: AsyncConnection, run: RunRecord, paused: bool) -> bool:
    state = JobState.PAUSED if paused else JobState.RUNNING
    return await set_run_state(connection, run, state, only_from=run.state)


async def _note_backfill(connection: AsyncConnection, backfill: BackfillRecord, paused: bool) -> bool:
    state = JobState.PAUSED if paused else JobState.RUNNING
    return await set_backfill_state(connection, backfill.backfill_id, state, only_from=backfill.state)


_RUNS = _Kind[RunRecord](
    SCENARIO_RUN,
    RUN_MONITOR,
    lambda run: run.run_id,
    ScenarioRunProgress,
    list_runs,
    reconcile_runs,
    _note_run,
    run_statuses,
)
_BACKFILLS = _Kind[BackfillRecord](
    BACKFILL,
    BACKFILL_MONITOR,
    lambda backfill: backfill.backfill_id,
    BackfillProgress,
    list_backfills,
    reconcile_backfills,
    _note_backfill,
    backfill_statuses,
)


class RunAuditActivities:
    """Steps of the run audit, on one database and one Temporal."""

    def __init__(self, engine: AsyncEngine, client: Client) -> None:
        self._engine = engine
        self._client = client

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.settle_all]

    @activity.defn
    async def settle_all(self, request: RunAuditRequest) -> RunAuditReport:
        """Reconcile rows and workflows that disagree. Idempotent: run twice, the second finds nothing to do."""
        async with beating():
            runs = await self._reconcile(_RUNS, request.page_size)
            fills = await self._reconcile(_BACKFILLS, request.page_size)
            noted = await self._note_pauses(_RUNS, runs) + await self._note_pauses(_BACKFILLS, fills)
            stopped = await self._stop_strays(_RUNS, request.page_size)
            stopped += await self._stop_strays(_BACKFILLS, request.page_size)
        both = [*runs, *fills]
        return RunAuditReport(len(both), sum(each.ended_here for each in both), noted, stopped)

    async def _reconcile(self, kind: _Kind[RowT], page_size: int) -> list[ReconciledRow[RowT]]:
        done: list[ReconciledRow[RowT]] = []
        before: UUID | None = None
        while True:
            async with self._engine.connect() as connection:
                page = await kind.list_rows(connection, only_open=True, before=before, limit=page_size)
            if not page:
                return done
            done += await kind.reconcile(self._engine, self._client, page, _ANSWER_WITHIN)
            before = kind.id_of(page[-1])

    async def _note_pauses(self, kind: _Kind[RowT], reconciled: Sequence[ReconciledRow[RowT]]) -> int:
        """Correct rows whose paused or running state differs from their workflow's: a restored row may be behind."""
        going_on = {
            kind.job.workflow_id(kind.id_of(each.record)): each.record
            for each in reconciled
            if each.workflow is WorkflowStatus.RUNNING
        }
        noted = 0
        for workflow_id, paused in (await self._paused(list(going_on), kind.progress)).items():
            row = going_on[workflow_id]
            if paused is not row.state.paused:
                async with transaction(self._engine, kind.monitor) as connection:
                    noted += await kind.note_pause(connection, row, paused)
        return noted

    async def _paused(self, workflow_ids: Sequence[str], progress: type[_Progress]) -> dict[str, bool]:
        """Ask running workflows whether they are paused; one that does not answer is left out."""

        async def ask(workflow_id: str) -> bool | None:
            try:
                handle = self._client.get_workflow_handle(workflow_id)
                answer: _Progress = await handle.query("progress", result_type=progress, rpc_timeout=_CALL_WITHIN)
            except (RPCError, WorkflowQueryFailedError):
                return None
            return answer.paused

        answers = await ask_all(workflow_ids, ask, _ANSWER_WITHIN)
        return {workflow_id: paused for workflow_id, paused in answers.items() if paused is not None}

    async def _stop_strays(self, kind: _Kind[RowT], page_size: int) -> int:
        """Ask workflows to end whose row has ended, or is not there: nobody can see or steer them."""
        queue = activity.info().task_queue
        query = f"JobKind = '{kind.job.name}' AND ExecutionStatus = 'Running' AND TaskQueue = '{queue}'"
        started: dict[UUID, datetime] = {}
        stopped = 0
        async for found in self._client.list_workflows(query, page_size=page_size):
            with suppress(ValueError):
                started[UUID(found.id.rpartition("/")[2])] = found.start_time
            if len(started) >= page_size:
                stopped += await self._stop(kind, started)
                started = {}
        return stopped + await self._stop(kind, started)

    async def _stop(self, kind: _Kind[RowT], started: dict[UUID, datetime]) -> int:
        async with self._engine.connect() as connection:
            rows = await kind.statuses(connection, list(started))
        now = datetime.now(UTC)
        strays = [
            kind.job.workflow_id(each)
            for each, (row, since) in rows.items()
            if act_on(row, WorkflowStatus.RUNNING, since or now - started[each]) is Act.STOP_WORKFLOW
        ]
        return sum((await ask_all(strays, self._cancel, _ANSWER_WITHIN)).values())

    async def _cancel(self, workflow_id: str) -> bool:
        try:
            await self._client.get_workflow_handle(workflow_id).signal("cancel", rpc_timeout=_CALL_WITHIN)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                # It has ended meanwhile.
                return False
            raise
        return True

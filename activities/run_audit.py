"""The step of the run audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.heartbeat import beating
from domain.base.job_endings import Act, WorkflowStatus, act_on
from domain.base.jobs import JobState
from domain.monitoring.upkeep import RunAuditReport, RunAuditRequest
from reconciliation.jobs import ALL_JOBS
from reconciliation.reconcile import Jobs, Progress, ReconciledRow, RecordT, reconcile
from reconciliation.workflow_descriptions import ask_all
from runtime.workers.queues import Work, queue_of
from store.base.database import transaction
from store.base.jobs.rows import row_statuses

_ANSWER_WITHIN = timedelta(seconds=30)
"""For a page of rows."""
_CALL_WITHIN = timedelta(seconds=5)


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
        """Bring rows and workflows that disagree to an end. Run twice, the second finds nothing to do."""
        found: list[ReconciledRow[Any]] = []
        noted = stopped = 0
        async with beating():
            for jobs in ALL_JOBS:
                reconciled = await self._reconcile(jobs, request.page_size)
                noted += await self._note_pauses(jobs, reconciled)
                stopped += await self._stop_strays(jobs, request.page_size)
                found += reconciled
        return RunAuditReport(len(found), sum(each.ended_here for each in found), noted, stopped)

    async def _reconcile(self, jobs: Jobs[RecordT, Any], page_size: int) -> list[ReconciledRow[RecordT]]:
        done: list[ReconciledRow[RecordT]] = []
        before: UUID | None = None
        while True:
            async with self._engine.connect() as connection:
                page = await jobs.list(connection, only_open=True, before=before, limit=page_size)
            if not page:
                return done
            done += await reconcile(self._engine, self._client, jobs, page, _ANSWER_WITHIN)
            before = page[-1].job_id

    async def _note_pauses(self, jobs: Jobs[RecordT, Any], reconciled: Sequence[ReconciledRow[RecordT]]) -> int:
        """Bring rows that say paused, or running, to what their workflows say: a restored row may be behind."""
        running = {
            jobs.kind.workflow_id(each.record.job_id): each.record
            for each in reconciled
            if each.workflow is WorkflowStatus.RUNNING
        }
        noted = 0
        for workflow_id, paused in (await self._paused(list(running), jobs.progress_type)).items():
            row = running[workflow_id]
            if paused is not row.state.paused:
                async with transaction(self._engine, jobs.kind.monitor) as connection:
                    noted += await jobs.set_state(connection, row, JobState.PAUSED if paused else JobState.RUNNING)
        return noted

    async def _paused(self, workflow_ids: Sequence[str], progress_type: type[Progress]) -> dict[str, bool]:
        """Ask running workflows whether they are paused; one that does not answer is left out."""

        async def ask(workflow_id: str) -> bool | None:
            try:
                handle = self._client.get_workflow_handle(workflow_id)
                progress: Progress = await handle.query("progress", result_type=progress_type, rpc_timeout=_CALL_WITHIN)
            except (RPCError, WorkflowQueryFailedError):
                return None
            return progress.paused

        answers = await ask_all(workflow_ids, ask, _ANSWER_WITHIN)
        return {workflow_id: paused for workflow_id, paused in answers.items() if paused is not None}

    async def _stop_strays(self, jobs: Jobs[Any, Any], page_size: int) -> int:
        """Ask workflows to end whose row has ended, or is not there: nobody can see or steer them."""
        # The audit is on the product's own queue, and jobs are on any of the product's.
        queues = ", ".join(f"'{queue_of(activity.info().task_queue, work)}'" for work in Work)
        query = f"JobKind = '{jobs.kind.name}' AND ExecutionStatus = 'Running' AND TaskQueue IN ({queues})"
        started: dict[UUID, datetime] = {}
        stopped = 0
        async for found in self._client.list_workflows(query, page_size=page_size):
            with suppress(ValueError):
                started[UUID(found.id.rpartition("/")[2])] = found.start_time
            if len(started) >= page_size:
                stopped += await self._stop(jobs, started)
                started = {}
        return stopped + await self._stop(jobs, started)

    async def _stop(self, jobs: Jobs[Any, Any], started: dict[UUID, datetime]) -> int:
        async with self._engine.connect() as connection:
            rows = await row_statuses(connection, jobs.table, list(started))
        now = datetime.now(UTC)
        strays = [
            jobs.kind.workflow_id(each)
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

"""The step of the run audit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.heartbeat import beating
from domain.backfill import BACKFILL_KIND, BackfillProgress, BackfillState, backfill_workflow_id
from domain.endings import Act, WorkflowStanding, act_on
from domain.scenario_runs import SCENARIO_KIND, ScenarioRunProgress, ScenarioRunState, scenario_run_workflow_id
from domain.upkeep import RunAuditReport, RunAuditRequest
from settlement.backfills import MONITOR as BACKFILL_MONITOR
from settlement.backfills import settle_backfills
from settlement.look import ask_all
from settlement.scenario_runs import MONITOR as RUN_MONITOR
from settlement.scenario_runs import settle_runs
from settlement.settle import Settled
from store.backfills import BackfillRecord, list_backfills, set_backfill_state
from store.database import transaction
from store.scenario_runs import RunRecord, list_runs, set_run_state
from store.standings import backfill_standings, run_standings

_LOOK_WITHIN = timedelta(seconds=30)
"""For a page of rows."""
_CALL_WITHIN = timedelta(seconds=5)


class _Progress(Protocol):
    @property
    def paused(self) -> bool: ...


class RunAuditActivities:
    """Steps of the run audit, on one database and one Temporal."""

    def __init__(self, engine: AsyncEngine, client: Client) -> None:
        self._engine = engine
        self._client = client

    @activity.defn
    async def settle_all(self, request: RunAuditRequest) -> RunAuditReport:
        """Bring rows and workflows that disagree to an end. Run twice, the second finds nothing to do."""
        async with beating():
            runs = await self._settle_runs(request.page_size)
            fills = await self._settle_backfills(request.page_size)
            noted = await self._note_pauses_of_runs(runs) + await self._note_pauses_of_backfills(fills)
            stopped = await self._stop_strays(SCENARIO_KIND, request.page_size)
            stopped += await self._stop_strays(BACKFILL_KIND, request.page_size)
        both = [*runs, *fills]
        return RunAuditReport(len(both), sum(each.ended_here for each in both), noted, stopped)

    async def _settle_runs(self, page_size: int) -> list[Settled[RunRecord]]:
        done: list[Settled[RunRecord]] = []
        before: UUID | None = None
        while True:
            async with self._engine.connect() as connection:
                page = await list_runs(connection, only_open=True, before=before, limit=page_size)
            if not page:
                return done
            done += await settle_runs(self._engine, self._client, page, _LOOK_WITHIN)
            before = page[-1].run_id

    async def _settle_backfills(self, page_size: int) -> list[Settled[BackfillRecord]]:
        done: list[Settled[BackfillRecord]] = []
        before: UUID | None = None
        while True:
            async with self._engine.connect() as connection:
                page = await list_backfills(connection, only_open=True, before=before, limit=page_size)
            if not page:
                return done
            done += await settle_backfills(self._engine, self._client, page, _LOOK_WITHIN)
            before = page[-1].backfill_id

    async def _note_pauses_of_runs(self, runs: Sequence[Settled[RunRecord]]) -> int:
        """Bring rows that say paused, or running, to what their workflows say: a restored row may be behind."""
        noted = 0
        going_on = {
            scenario_run_workflow_id(each.record.run_id): each.record
            for each in runs
            if each.workflow is WorkflowStanding.RUNNING
        }
        for workflow_id, paused in (await self._paused(list(going_on), ScenarioRunProgress)).items():
            run, state = going_on[workflow_id], ScenarioRunState.PAUSED if paused else ScenarioRunState.RUNNING
            if state is not run.state:
                async with transaction(self._engine, RUN_MONITOR) as connection:
                    noted += await set_run_state(connection, run, state, only_from=run.state)
        return noted

    async def _note_pauses_of_backfills(self, fills: Sequence[Settled[BackfillRecord]]) -> int:
        noted = 0
        going_on = {
            backfill_workflow_id(each.record.backfill_id): each.record
            for each in fills
            if each.workflow is WorkflowStanding.RUNNING
        }
        for workflow_id, paused in (await self._paused(list(going_on), BackfillProgress)).items():
            found, state = going_on[workflow_id], BackfillState.PAUSED if paused else BackfillState.RUNNING
            if state is not found.state:
                async with transaction(self._engine, BACKFILL_MONITOR) as connection:
                    noted += await set_backfill_state(connection, found.backfill_id, state, only_from=found.state)
        return noted

    async def _paused(self, workflow_ids: Sequence[str], kind: type[_Progress]) -> dict[str, bool]:
        """Ask running workflows whether they are paused; one that does not answer is left out."""

        async def ask(workflow_id: str) -> bool | None:
            try:
                handle = self._client.get_workflow_handle(workflow_id)
                progress: _Progress = await handle.query("progress", result_type=kind, rpc_timeout=_CALL_WITHIN)
            except (RPCError, WorkflowQueryFailedError):
                return None
            return progress.paused

        told = await ask_all(workflow_ids, ask, _LOOK_WITHIN)
        return {workflow_id: paused for workflow_id, paused in told.items() if paused is not None}

    async def _stop_strays(self, kind: str, page_size: int) -> int:
        """Ask workflows to end whose row has ended, or is not there: nobody can see or steer them."""
        queue = activity.info().task_queue
        query = f"JobKind = '{kind}' AND ExecutionStatus = 'Running' AND TaskQueue = '{queue}'"
        started: dict[UUID, datetime] = {}
        stopped = 0
        async for found in self._client.list_workflows(query, page_size=page_size):
            with suppress(ValueError):
                started[UUID(found.id.rpartition("/")[2])] = found.start_time
            if len(started) >= page_size:
                stopped += await self._stop(kind, started)
                started = {}
        return stopped + await self._stop(kind, started)

    async def _stop(self, kind: str, started: dict[UUID, datetime]) -> int:
        of_runs = kind == SCENARIO_KIND
        async with self._engine.connect() as connection:
            rows = await (run_standings if of_runs else backfill_standings)(connection, list(started))
        now = datetime.now(UTC)
        name = scenario_run_workflow_id if of_runs else backfill_workflow_id
        strays = [
            name(each)
            for each, (row, since) in rows.items()
            if act_on(row, WorkflowStanding.RUNNING, since or now - started[each]) is Act.STOP_WORKFLOW
        ]
        return sum((await ask_all(strays, self._cancel, _LOOK_WITHIN)).values())

    async def _cancel(self, workflow_id: str) -> bool:
        try:
            await self._client.get_workflow_handle(workflow_id).signal("cancel", rpc_timeout=_CALL_WITHIN)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                # It has ended meanwhile.
                return False
            raise
        return True

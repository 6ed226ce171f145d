"""How the workflows are started and signalled: ids, queues, options and search attributes in one place.

``task_queue`` is the product's throughout; each kind of work has its own, named after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.base.jobs import JobKind
from domain.history.export_jobs import EXPORT, ExportInput
from domain.history.rollups import RollupCheckRequest
from domain.provisioning.backfill import BACKFILL, BackfillInput, BackfillProgress
from domain.provisioning.outcomes import SyncRequest, SyncResult
from domain.simulation.scenario_runs import SCENARIO_RUN, EndedRun, ScenarioRunInput
from domain.site.imports.import_jobs import IMPORT, ImportInput
from runtime.search_attributes import DEPOT_ID, JOB_KIND
from runtime.workers.queues import Work, queue_of
from workflows.backfill import BackfillWorkflow
from workflows.microgrid_sync import MicrogridSyncWorkflow
from workflows.rollup_check import RollupCheckWorkflow
from workflows.scenario_run import ScenarioRunWorkflow
from workflows.transfers.export import ExportWorkflow
from workflows.transfers.fleet_import import ImportWorkflow

WorkflowT = TypeVar("WorkflowT")
InputT = TypeVar("InputT")

SYNC_KIND = "SYNC"
ROLLUP_CHECK_KIND = "ROLLUP_CHECK"

SYNC_TASK_TIMEOUT = timedelta(seconds=3)
"""After so long the task of a sync that a killed worker held goes to another worker.

Temporal's default is 10 s. A pass may well take longer: while it runs, its worker extends the task.
"""


def sync_workflow_id(depot_id: UUID) -> str:
    """Name the entity workflow that syncs a depot."""
    return f"microgrid-sync/{depot_id}"


def _sync_attributes(depot_id: UUID) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(DEPOT_ID, str(depot_id)), SearchAttributePair(JOB_KIND, SYNC_KIND)]
    )


async def signal_sync(client: Client, task_queue: str, request: SyncRequest, *, rpc_timeout: timedelta) -> None:
    """Tell a depot's sync workflow that circuits changed; start it where it does not run."""
    await client.start_workflow(
        MicrogridSyncWorkflow.run,
        request,
        id=sync_workflow_id(request.depot_id),
        task_queue=queue_of(task_queue, Work.SYNCS),
        start_signal=MicrogridSyncWorkflow.circuits_changed.__name__,
        start_signal_args=[request],
        task_timeout=SYNC_TASK_TIMEOUT,
        search_attributes=_sync_attributes(request.depot_id),
        static_summary=f"{request.reason} by {request.requested_by}",
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        rpc_timeout=rpc_timeout,
    )


ATTEMPT = timedelta(seconds=5)
"""So long the server has to take an update on before it is asked again."""


async def resync(client: Client, task_queue: str, request: SyncRequest, *, timeout: timedelta) -> SyncResult:
    """Run one pass of a depot's sync and wait for its result, by the workflow that every change goes through.

    Where a change of circuits comes at the very moment at which the workflow would take the request up, the server
    drops the request, and says so or answers nothing. Then it is made again, under the same id: what the server has
    after all is not done twice.

    Raises:
        RPCError, RuntimeError: Temporal cannot be reached, or refuses.
        TimeoutError: no result within ``timeout``, whatever became of the request.
        WorkflowUpdateFailedError: the sync failed for good; its cause says why.

    """
    task = asyncio.current_task()
    update_id = str(uuid4())
    async with asyncio.timeout(timeout.total_seconds()):
        while True:
            try:
                return await _resync_once(client, task_queue, request, update_id)
            except RPCError as error:
                if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                    raise
                await asyncio.sleep(0.02)
            except WorkflowUpdateRPCTimeoutOrCancelledError as error:
                # The time is over, or the caller is gone: it is told in the same way as one attempt's end.
                if task is None or task.cancelling():
                    raise TimeoutError from error


async def _resync_once(client: Client, task_queue: str, request: SyncRequest, update_id: str) -> SyncResult:
    start = WithStartWorkflowOperation(
        MicrogridSyncWorkflow.run,
        request,
        id=sync_workflow_id(request.depot_id),
        task_queue=queue_of(task_queue, Work.SYNCS),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        task_timeout=SYNC_TASK_TIMEOUT,
        search_attributes=_sync_attributes(request.depot_id),
        static_summary=f"{request.reason} by {request.requested_by}",
    )
    try:
        return await client.execute_update_with_start_workflow(
            MicrogridSyncWorkflow.resync, request, id=update_id, start_workflow_operation=start, rpc_timeout=ATTEMPT
        )
    except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
        # The operation keeps the same error for whoever asks it; unread, it would be logged as lost.
        with suppress(Exception):
            await start.workflow_handle()
        raise


async def start_backfill(client: Client, task_queue: str, given: BackfillInput) -> None:
    """Start a backfill. Starting the same one again changes nothing."""
    request = given.request
    summary = f"{'Dry run of the backfill' if request.dry_run else 'Backfill'} by {request.requested_by}"
    await _start_job(client, task_queue, BACKFILL, request.backfill_id, BackfillWorkflow.run, given, summary)


def backfill_handle(client: Client, backfill_id: UUID) -> WorkflowHandle[BackfillWorkflow, BackfillProgress]:
    """Take hold of a backfill's workflow."""
    return client.get_workflow_handle_for(BackfillWorkflow.run, BACKFILL.workflow_id(backfill_id))


async def start_scenario_run(client: Client, task_queue: str, given: ScenarioRunInput) -> None:
    """Start a scenario run. Starting the same one again changes nothing."""
    request = given.request
    summary = f"{request.scenario} by {request.requested_by}"
    depot = SearchAttributePair(DEPOT_ID, str(request.depot_id))
    await _start_job(
        client,
        task_queue,
        SCENARIO_RUN,
        request.run_id,
        ScenarioRunWorkflow.run,
        given,
        summary,
        work=Work.SIMULATION,
        attributes=[depot],
    )


def scenario_run_handle(client: Client, run_id: UUID) -> WorkflowHandle[ScenarioRunWorkflow, EndedRun]:
    """Take hold of a scenario run's workflow."""
    return client.get_workflow_handle_for(ScenarioRunWorkflow.run, SCENARIO_RUN.workflow_id(run_id))


async def start_import(client: Client, task_queue: str, given: ImportInput) -> None:
    """Start an import. Starting the same one again changes nothing."""
    request = given.request
    summary = f"{request.file_name} by {request.requested_by}"
    await _start_job(client, task_queue, IMPORT, request.import_id, ImportWorkflow.run, given, summary)


async def start_export(client: Client, task_queue: str, given: ExportInput) -> None:
    """Start an export. Starting the same one again changes nothing."""
    request = given.request
    summary = f"{request.kind} as {request.file_format} by {request.requested_by}"
    await _start_job(client, task_queue, EXPORT, request.export_id, ExportWorkflow.run, given, summary)


async def start_rollup_check(client: Client, task_queue: str, request: RollupCheckRequest) -> None:
    """Start a check of rollups. Starting the same one again changes nothing."""
    await client.start_workflow(
        RollupCheckWorkflow.run,
        request,
        id=f"rollup-check/{request.check_id}",
        task_queue=queue_of(task_queue, Work.JOBS),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=TypedSearchAttributes([SearchAttributePair(JOB_KIND, ROLLUP_CHECK_KIND)]),
        static_summary=f"Check of the rollups by {request.requested_by}",
        rpc_timeout=timedelta(seconds=10),
    )


async def _start_job(
    client: Client,
    task_queue: str,
    kind: JobKind,
    job_id: UUID,
    run: Callable[[WorkflowT, InputT], Awaitable[Any]],
    given: InputT,
    summary: str,
    *,
    work: Work = Work.JOBS,
    attributes: Sequence[SearchAttributePair[str]] = (),
) -> None:
    await client.start_workflow(
        run,
        given,
        id=kind.workflow_id(job_id),
        task_queue=queue_of(task_queue, work),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=TypedSearchAttributes([*attributes, SearchAttributePair(JOB_KIND, kind.name)]),
        static_summary=summary,
        rpc_timeout=timedelta(seconds=10),
    )

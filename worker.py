"""The worker: a process that runs the workflows, their activities and the relay.

The one place that reads the settings, opens what these share (`Resources`), and registers what each subject brings:
its workflow, the activities, and the schedule that starts it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.backfill import BackfillActivities
from activities.capacity_watch import CapacityWatchActivities
from activities.drift_audit import DriftAuditActivities
from activities.heartbeat import HEARTBEAT_EVERY
from activities.history_upkeep import HistoryUpkeepActivities
from activities.manage_api import ManageApi
from activities.microgrid_sync import MicrogridSyncActivities, SyncMetrics
from activities.reading_fill import ReadingFillActivities
from activities.rollups import RollupActivities
from activities.run_audit import RunAuditActivities
from activities.scenario_run import ScenarioRunActivities
from activities.steps import Steps
from activities.transfers.export import ExportActivities
from activities.transfers.fleet_import import ImportActivities
from domain.access.secrets import BITS, SecretKind, digest_of, make_secret
from domain.history.rollups import RollupCheckRequest, RollupRequest
from domain.monitoring.upkeep import DriftRequest, HistoryRequest, ReadingFillRequest, RunAuditRequest, WatchInput
from relay import Relay
from runtime.begin import begin
from runtime.observing.metrics import CONTENT_TYPE, PoolCollector, measuring_lag, metrics_text, new_registry, registered
from runtime.observing.traces import begin_traces, end_traces
from runtime.secrets.bearer import bears
from runtime.secrets.keys import PayloadKeys
from runtime.settings import Settings
from runtime.supervision import supervised
from runtime.temporal import connect, ensure_search_attributes
from runtime.workers.queues import EVERY_WORK, Work, queue_of
from runtime.workers.versions import Takeover, as_version, this_version
from store.access.worker_tokens import create_worker_token
from store.base.database import JOB, pool_limit, pool_use
from store.base.liveness import open_database
from telemetry.accounts import keeping_accounts
from telemetry.mqtt import subscribing
from workflows.backfill import BackfillWorkflow
from workflows.capacity_watch import CapacityWatchWorkflow
from workflows.drift_audit import DriftAuditWorkflow
from workflows.history_upkeep import HistoryUpkeepWorkflow
from workflows.microgrid_sync import MicrogridSyncWorkflow
from workflows.reading_fill import ReadingFillWorkflow
from workflows.reading_rollup import ReadingRollupWorkflow
from workflows.rollup_check import RollupCheckWorkflow
from workflows.run_audit import RunAuditWorkflow
from workflows.scenario_run import ScenarioRunWorkflow
from workflows.schedules import Plan, ensure_schedules
from workflows.transfers.export import ExportWorkflow
from workflows.transfers.fleet_import import ImportWorkflow

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = structlog.get_logger("worker")

_LOOK_AT_SCHEDULES = 300
"""Seconds in which a Temporal that lost them has its schedules again."""

_STICKY_WAIT = timedelta(seconds=3)
"""So long a workflow's task waits for the worker that remembers the workflow, before any other may replay it."""

_SHARES = {Work.SYNCS: 0.2, Work.JOBS: 0.4, Work.SIMULATION: 0.2}
"""Of the connections that the process may have, how many steps of each kind run at once: a step uses one.

What is left is for the syncs, whose steps are local activities, and for the relay: however many jobs and runs wait for
a lock or an answer, a sync finds a connection.
"""
_LOCAL_SLOTS = {Work.SYNCS: 50, Work.JOBS: 10, Work.SIMULATION: 10}


@dataclass(frozen=True)
class Resources:
    """What a worker's activities and its relay share."""

    engine: AsyncEngine
    client: Client
    api: ManageApi
    """Through which scenario runs do what a person would do."""
    task_queue: str
    """The product's, after which the queue of each kind of work is named."""
    registry: CollectorRegistry | None = None
    """Of what is told to Prometheus; None: nothing is."""
    serves: frozenset[Work] = EVERY_WORK
    """The kinds of work whose queues this process serves."""
    version: WorkerDeploymentVersion | None = None
    """Of the worker, as Temporal is told; None: it has none."""


async def make_token(engine: AsyncEngine) -> str:
    """Make a token by which this process proves to the API that it is the worker."""
    token = make_secret(SecretKind.WORKER, secrets.token_bytes(BITS // 8))
    async with engine.begin() as connection:
        await create_worker_token(connection, digest_of(token))
    return token


@asynccontextmanager
async def open_resources(
    engine: AsyncEngine,
    client: Client,
    *,
    task_queue: str,
    api_url: str,
    registry: CollectorRegistry | None = None,
    serves: frozenset[Work] = EVERY_WORK,
    version: WorkerDeploymentVersion | None = None,
) -> AsyncGenerator[Resources]:
    """Keep open, while the block runs, what the worker opens itself. ``api_url`` is where it finds the API."""
    api = ManageApi(api_url, partial(make_token, engine))
    try:
        yield Resources(engine, client, api, task_queue, registry, serves, version)
    finally:
        await api.close()


@dataclass(frozen=True)
class _Subject:
    """What one subject brings to the worker."""

    workflow: type
    work: Work
    """On whose queue the workflow is started."""
    activities: Callable[[Resources], Sequence[Callable[..., Any]]]
    """Makes the activities that the workflow calls."""
    schedule: Plan | None = None
    """What starts it, unless somebody does."""


_SUBJECTS = (
    _Subject(
        MicrogridSyncWorkflow,
        Work.SYNCS,
        lambda given: MicrogridSyncActivities(given.engine, SyncMetrics(given.registry)).every(),
    ),
    _Subject(BackfillWorkflow, Work.JOBS, lambda given: BackfillActivities(given.engine).every()),
    _Subject(ImportWorkflow, Work.JOBS, lambda given: ImportActivities(given.engine).every()),
    _Subject(ExportWorkflow, Work.JOBS, lambda given: ExportActivities(given.engine).every()),
    _Subject(
        ScenarioRunWorkflow, Work.SIMULATION, lambda given: ScenarioRunActivities(given.engine, given.api).every()
    ),
    _Subject(
        CapacityWatchWorkflow,
        Work.SYNCS,
        lambda given: CapacityWatchActivities(given.engine).every(),
        Plan(
            "capacity-watch",
            "CAPACITY_WATCH",
            "Has the fail-safe take over where a controller falls silent; runs on and on",
            timedelta(minutes=1),
            CapacityWatchWorkflow.run,
            WatchInput(),
        ),
    ),
    _Subject(
        HistoryUpkeepWorkflow,
        Work.JOBS,
        lambda given: HistoryUpkeepActivities(given.engine).every(),
        Plan(
            "history-upkeep",
            "HISTORY_UPKEEP",
            "Makes the history's months ahead, drops the old ones",
            timedelta(days=1),
            HistoryUpkeepWorkflow.run,
            HistoryRequest(),
        ),
    ),
    _Subject(
        DriftAuditWorkflow,
        Work.SYNCS,
        lambda given: DriftAuditActivities(given.engine).every(),
        Plan(
            "drift-audit",
            "DRIFT_AUDIT",
            "Compares all microgrids with their circuits",
            timedelta(hours=1),
            DriftAuditWorkflow.run,
            DriftRequest(),
        ),
    ),
    _Subject(
        ReadingFillWorkflow,
        Work.JOBS,
        lambda given: ReadingFillActivities(given.engine).every(),
        Plan(
            "reading-fill",
            "READING_FILL",
            "Reads packets that came before their device into its history",
            timedelta(minutes=5),
            ReadingFillWorkflow.run,
            ReadingFillRequest(),
        ),
    ),
    _Subject(
        ReadingRollupWorkflow,
        Work.JOBS,
        lambda given: RollupActivities(given.engine).every(),
        Plan(
            "reading-rollup",
            "READING_ROLLUP",
            "Rolls readings up by minute, quarter of an hour and day",
            timedelta(minutes=5),
            ReadingRollupWorkflow.run,
            RollupRequest(),
        ),
    ),
    _Subject(
        RollupCheckWorkflow,
        Work.JOBS,
        lambda _: [],
        Plan(
            "rollup-check",
            "ROLLUP_CHECK",
            "Holds the rollups of the last days against their readings, and makes them right",
            timedelta(days=1),
            RollupCheckWorkflow.run,
            RollupCheckRequest(),
        ),
    ),
    _Subject(
        RunAuditWorkflow,
        Work.SYNCS,
        lambda given: RunAuditActivities(given.engine, given.client).every(),
        Plan(
            "run-audit",
            "RUN_AUDIT",
            "Ends scenario runs, backfills, imports and exports whose workflow is gone",
            timedelta(minutes=1),
            RunAuditWorkflow.run,
            RunAuditRequest(),
        ),
    ),
)
WORKFLOWS = [each.workflow for each in _SUBJECTS]
"""Every workflow of the product; the replay test takes the same list."""


def plans(*given: object) -> list[Plan]:
    """List the schedules of the product; a request in ``given`` takes the place of the usual one of its type."""
    requests = {type(each): each for each in given}
    usual = [(each.schedule, each.work) for each in _SUBJECTS if each.schedule is not None]
    return [replace(plan, work=work, given=requests.get(type(plan.given), plan.given)) for plan, work in usual]


def make_workers(resources: Resources) -> list[Worker]:
    """Wire the workflows and their activities onto the queues that this process serves, a worker a queue."""
    subjects = [(subject, subject.activities(resources)) for subject in _SUBJECTS]
    return [_make_worker(resources, work, subjects) for work in Work if work in resources.serves]


def _make_worker(
    resources: Resources, work: Work, subjects: Sequence[tuple[_Subject, Sequence[Callable[..., Any]]]]
) -> Worker:
    # The queue of the syncs was the only one: what a release from before started there, of any kind, is finished there.
    served = [(subject, steps) for subject, steps in subjects if work in (Work.SYNCS, subject.work)]
    return Worker(
        resources.client,
        task_queue=queue_of(resources.task_queue, work),
        workflows=[subject.workflow for subject, _ in served],
        activities=[each for _, steps in served for each in steps],
        interceptors=[Steps()],
        max_concurrent_activities=activity_slots(work, pool_limit(resources.engine)),
        max_concurrent_local_activities=_LOCAL_SLOTS[work],
        # With its heartbeat a step hears that it is to stop.
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        graceful_shutdown_timeout=timedelta(seconds=10),
        sticky_queue_schedule_to_start_timeout=_STICKY_WAIT,
        deployment_config=None if resources.version is None else as_version(resources.version),
    )


def activity_slots(work: Work, connections: int) -> int:
    """Say how many steps of a kind of work run at once in a process that may have so many connections."""
    return max(1, int(connections * _SHARES[work]))


@asynccontextmanager
async def running(workers: Sequence[Worker]) -> AsyncGenerator[None]:
    """Run workers while the block runs. All are told to end at once, so that none waits for the steps of another."""
    async with AsyncExitStack() as stack:
        for each in workers:
            await stack.enter_async_context(each)
        try:
            yield
        finally:
            await asyncio.gather(*(each.shutdown() for each in workers))


@asynccontextmanager
async def working(resources: Resources) -> AsyncGenerator[None]:
    """Run the workers while the block runs, and the relay with the syncs that it asks for."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(make_workers(resources)))
        if Work.SYNCS in resources.serves:
            relay = Relay(resources.engine, resources.client, resources.task_queue)
            await stack.enter_async_context(supervised("relay", relay.run))
        yield


async def _keep_schedules(client: Client, settings: Settings) -> None:
    """Bring the schedules to what the settings want, and make anew, later, those that were lost."""
    wanted = plans(
        HistoryRequest(
            months_kept=settings.history_months,
            journal_months_kept=settings.journal_months,
            rollup_months_kept=settings.rollup_months,
        ),
        DriftRequest(repair=settings.drift_repair),
    )
    brought = False
    while True:
        try:
            await ensure_schedules(client, settings.task_queue, wanted, missing_only=brought)
            brought = True
        except (RPCError, RuntimeError) as error:
            _log.warning("schedules not made yet", error=str(error))
        await asyncio.sleep(_LOOK_AT_SCHEDULES if brought else 5)


async def _connect_when_there(keys: PayloadKeys) -> Client:
    while True:
        try:
            client = await connect(keys)
            await ensure_search_attributes(client)
        except (RPCError, RuntimeError) as error:
            _log.warning("Temporal away", error=str(error))
            await asyncio.sleep(1)
        else:
            return client


async def _work_until(
    stop: asyncio.Event, settings: Settings, engine: AsyncEngine, registry: CollectorRegistry
) -> None:
    stopping = asyncio.create_task(stop.wait())
    connecting = asyncio.create_task(_connect_when_there(settings.keys_of_payloads))
    await asyncio.wait([stopping, connecting], return_when=asyncio.FIRST_COMPLETED)
    if not connecting.done():
        connecting.cancel()
        return
    client = await connecting
    version = this_version(settings.task_queue)
    serves = settings.worker_queues
    takeover = Takeover(client, settings.task_queue, version.build_id, registry, takes_over=Work.SYNCS in serves)
    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(
            open_resources(
                engine,
                client,
                task_queue=settings.task_queue,
                api_url=settings.api_url,
                registry=registry,
                serves=serves,
                version=version,
            )
        )
        await stack.enter_async_context(working(resources))
        await stack.enter_async_context(supervised("version", takeover.run))
        if Work.SYNCS in serves:
            await stack.enter_async_context(supervised("schedules", lambda: _keep_schedules(client, settings)))
        _log.info("working", task_queue=settings.task_queue, queues=sorted(serves), build_id=version.build_id)
        await stopping
        _log.info("stopping")


def _for_bearers(app: WSGIApplication, token: SecretStr) -> WSGIApplication:
    """Let only those in who have the token, where there is one."""
    if not token.get_secret_value():
        return app

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if bears(environ.get("HTTP_AUTHORIZATION", ""), token):
            return app(environ, start_response)
        headers = [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain"), ("Cache-Control", "no-store")]
        start_response("401 Unauthorized", headers)
        return [b"The token of MANAGE_METRICS_TOKEN is needed.\n"]

    return guarded


def _metrics_app(registry: CollectorRegistry) -> WSGIApplication:
    def answer(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        text = metrics_text(registry)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store")])
        return [text]

    return answer


@asynccontextmanager
async def _serving(settings: Settings, registry: CollectorRegistry) -> AsyncGenerator[None]:
    """Serve the process's figures to Prometheus while the block runs; port 0: nowhere. Without a token: to anybody."""
    host, port, token = settings.metrics_host, settings.metrics_port, settings.metrics_token
    if not port:
        yield
        return

    async def serve() -> None:
        # It has nothing to show before it knows whom it may.
        server, thread = start_http_server(port, host, registry=CollectorRegistry())
        server.set_app(_for_bearers(_metrics_app(registry), token))
        try:
            while thread.is_alive():  # noqa: ASYNC110 (no event signals the end of a thread)
                await asyncio.sleep(1)
        finally:
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            thread.join()

    async with supervised("metrics", serve):
        yield


async def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what runs and stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    registry = new_registry()
    # Packets need no Temporal, so they are taken while it is down.
    async with (
        open_database(
            settings.database_url.get_secret_value(), pool_size=settings.database_pool_size, timeouts=JOB
        ) as database,
        _serving(settings, registry),
        measuring_lag(registry),
        keeping_accounts(database.engine, settings),
        subscribing(database.engine, settings, registry),
    ):
        pool = PoolCollector(partial(pool_use, database.engine), pool_limit(database.engine))
        with registered(registry, pool):
            await _work_until(stop, settings, database.engine, registry)


if __name__ == "__main__":
    # The guard keeps the workflow sandbox, which imports this module again, from starting a second worker.
    _settings = begin()
    begin_traces("manage-worker")
    try:
        asyncio.run(main(_settings))
    except BaseException as _error:  # noqa: BLE001 - whatever it is, the process ends
        _log.critical("the worker ended by an error", exc_info=_error)
        _exit_code = 1
    else:
        _exit_code = 0
    end_traces()
    # All is closed. Threads of Temporal's runtime live on, and one that reports to a Python which is being taken down
    # aborts the process: it ends here, before that.
    logging.shutdown()
    os._exit(_exit_code)

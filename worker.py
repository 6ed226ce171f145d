"""The worker: one process that runs the workflows, their activities and the relay."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.backfill import BackfillActivities
from activities.manage_api import ManageApi
from activities.microgrid_sync import MicrogridSyncActivities
from activities.scenario_run import ScenarioRunActivities
from relay import Relay
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings
from runtime.temporal import connect, ensure_search_attributes
from store.database import make_engine
from workflows.backfill import BackfillWorkflow
from workflows.microgrid_sync import MicrogridSyncWorkflow
from workflows.scenario_run import ScenarioRunWorkflow

_log = structlog.get_logger("worker")

WORKFLOWS = [MicrogridSyncWorkflow, BackfillWorkflow, ScenarioRunWorkflow]
"""Every workflow of the product; the replay test takes the same list."""


def make_worker(client: Client, engine: AsyncEngine, task_queue: str, api: ManageApi | None = None) -> Worker:
    """Wire the workflows and activities onto one task queue; scenario runs find the API at ``api``."""
    syncs = MicrogridSyncActivities(engine)
    backfills = BackfillActivities(engine)
    runs = ScenarioRunActivities(engine, api or ManageApi(Settings().api_url))
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=[
            syncs.reconcile_depot,
            backfills.begin,
            backfills.plan,
            backfills.run_page,
            backfills.note_state,
            backfills.end,
            runs.play_steps,
            runs.note_run_state,
            runs.finish_run,
        ],
        max_concurrent_activities=20,
        max_concurrent_local_activities=50,
        graceful_shutdown_timeout=timedelta(seconds=10),
    )


@asynccontextmanager
async def working(
    client: Client, engine: AsyncEngine, task_queue: str, *, api_url: str | None = None
) -> AsyncGenerator[None]:
    """Run worker and relay while the block runs. ``api_url`` is where scenario runs find the API."""
    api = ManageApi(api_url or Settings().api_url)
    try:
        async with make_worker(client, engine, task_queue, api):
            relaying = asyncio.create_task(Relay(engine, client, task_queue).run())
            try:
                yield
            finally:
                relaying.cancel()
                with suppress(asyncio.CancelledError):
                    await relaying
    finally:
        await api.close()


async def _connect_when_there() -> Client:
    while True:
        try:
            client = await connect()
            await ensure_search_attributes(client)
        except (RPCError, RuntimeError) as error:
            _log.warning("Temporal away", error=str(error))
            await asyncio.sleep(1)
        else:
            return client


async def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what runs and stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = make_engine(settings.database_url, pool_size=settings.database_pool_size)
    try:
        client = await _connect_when_there()
        async with working(client, engine, settings.task_queue, api_url=settings.api_url):
            _log.info("working", task_queue=settings.task_queue)
            await stop.wait()
            _log.info("stopping")
    finally:
        await engine.dispose()


if __name__ == "__main__":
    # The guard keeps the workflow sandbox, which imports this module again, from starting a second worker.
    _settings = load_settings()
    configure_logs(_settings.log_format)
    asyncio.run(main(_settings))

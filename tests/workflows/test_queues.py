"""Each kind of work has its own queue and its own slots: however much of one waits, a sync does not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.manage_api import ManageApi, UnavailableError
from devtools.legacy_fleet import seed_legacy
from domain.provisioning.backfill import BACKFILL, BackfillInput, BackfillRequest
from domain.provisioning.outcomes import SyncRequest
from runtime.settings import Settings, load_settings
from runtime.workers.queues import EVERY_WORK, Work
from store.base.database import make_engine, pool_limit
from tests.domain.documents import table
from tests.factories.scenario_sites import begin, ended, make_depots
from tests.helpers.live import http_client, make_worker, serving
from tests.helpers.support import ACTOR, add_circuit, drifted_depots, follows, make_depot, synced, until
from worker import Resources, activity_slots, make_token, working
from workflows.backfill import BackfillWorkflow
from workflows.launch import backfill_handle, resync, signal_sync, start_backfill, sync_workflow_id

_PATIENCE = timedelta(seconds=60)
_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def _request(page_size: int = 1) -> BackfillRequest:
    return BackfillRequest(uuid4(), dry_run=False, page_size=page_size, requested_by=ACTOR.name)


class SilentApi(ManageApi):
    """An API that takes packets and does not answer until it is let."""

    def __init__(self, url: str, engine: AsyncEngine) -> None:
        super().__init__(url, partial(make_token, engine))
        self.answers = asyncio.Event()
        self.waiting = 0

    async def post_packets(self, run_id: UUID, packets: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        if not self.answers.is_set():
            self.waiting += 1
            await self.answers.wait()
            raise UnavailableError("the answer was lost")
        return await super().post_packets(run_id, packets)


async def test_a_sync_waits_neither_for_jobs_nor_for_the_simulation(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str
) -> None:
    # A small pool, so that few steps fill it.
    busy = make_engine(database_url, pool_size=5)
    jobs, runs = (activity_slots(work, pool_limit(busy)) for work in (Work.JOBS, Work.SIMULATION))
    async with (
        serving(Settings(database_url=SecretStr(database_url), task_queue=task_queue)) as address,
        http_client(address) as api,
    ):
        depot_id = await make_depot(engine, "Feed 1", name="Free")
        silent = SilentApi(address, engine)
        async with engine.connect() as held, working(Resources(busy, client, silent, task_queue)):
            await synced(engine, depot_id)
            simulated = await make_depots(address, runs + 1)
            run_ids = [await begin(api, each, "quick-look") for each in simulated]
            async with engine.begin() as connection:
                await seed_legacy(connection, 2 * pool_limit(busy))
            others = [str(depot_id), *simulated]
            await held.execute(
                text("SELECT FROM depots WHERE id::text <> ALL (:others) FOR UPDATE"), {"others": others}
            )
            request = _request()
            await start_backfill(client, task_queue, BackfillInput(request, pages_in_flight=pool_limit(busy)))

            async def all_slots_are_taken() -> bool:
                async with engine.connect() as connection:
                    waiting = (await connection.execute(_WAITING)).scalar_one()
                return waiting == jobs and silent.waiting == runs

            await until(all_slots_are_taken)
            await add_circuit(engine, depot_id, "Feed 2")
            await synced(engine, depot_id)
            asked = SyncRequest(depot_id, ACTOR.name, "RESYNC")
            assert (await resync(client, task_queue, asked, timeout=_PATIENCE)).outcome == "UNCHANGED"
            assert await all_slots_are_taken()
            await held.rollback()
            silent.answers.set()
            progress = await backfill_handle(client, request.backfill_id).result()
            assert progress.next_page > jobs
            for run_id in run_ids:
                assert (await ended(api, run_id))["outcome"] == "PASSED"
            async with engine.connect() as connection:
                assert await drifted_depots(connection) == []
        await silent.close()
    await busy.dispose()


async def test_a_process_serves_the_kinds_of_work_that_it_is_told(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    depot_id = await make_depot(engine, "Feed 1")
    request = _request()
    async with make_worker(client, engine, task_queue, serves=frozenset({Work.JOBS, Work.SIMULATION})):
        await signal_sync(client, task_queue, SyncRequest(depot_id, ACTOR.name, "TEST"), rpc_timeout=_PATIENCE)
        await start_backfill(client, task_queue, BackfillInput(request))
        await backfill_handle(client, request.backfill_id).result()
        history = await client.get_workflow_handle(sync_workflow_id(depot_id)).fetch_history()
        assert not any(each.HasField("workflow_task_started_event_attributes") for each in history.events)
    async with make_worker(client, engine, task_queue, serves=frozenset({Work.SYNCS})):
        await client.get_workflow_handle(sync_workflow_id(depot_id)).result()
    assert await follows(engine, depot_id)


async def test_what_was_started_when_there_was_one_queue_goes_on(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    async with engine.begin() as connection:
        await seed_legacy(connection, 20)
    request = _request(page_size=5)
    handle = await client.start_workflow(
        BackfillWorkflow.run,
        # It continues as new on the way, and stays there.
        BackfillInput(request, pages_a_run=2),
        id=BACKFILL.workflow_id(request.backfill_id),
        task_queue=task_queue,
    )
    async with make_worker(client, engine, task_queue, serves=frozenset({Work.SYNCS})):
        progress = await handle.result()
    assert progress.counts.created == 18
    assert (await handle.describe()).task_queue == task_queue


@pytest.mark.parametrize("connections", [2, 6, 20, 200])
def test_slots_leave_connections_to_the_syncs(connections: int) -> None:
    slots = [activity_slots(work, connections) for work in Work]
    assert min(slots) >= 1
    assert sum(slots) <= max(len(slots), 0.8 * connections)


def test_the_documentation_says_how_many() -> None:
    documented = {row[0]: row[3].split(",")[0] for row in table("../operations.md", "kind of work")}
    usual = 2 * Settings().database_pool_size
    assert documented == {work.value: str(activity_slots(work, usual)) for work in Work}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, EVERY_WORK),
        ("jobs", {Work.JOBS}),
        (" simulation , jobs,jobs", {Work.JOBS, Work.SIMULATION}),
        ("syncs,jobs,simulation", EVERY_WORK),
    ],
)
def test_the_settings_say_which(given: str | None, wanted: frozenset[Work], monkeypatch: pytest.MonkeyPatch) -> None:
    if given is not None:
        monkeypatch.setenv("MANAGE_WORKER_QUEUES", given)
    assert load_settings().worker_queues == wanted


@pytest.mark.parametrize("given", ["", ",", "sync", "jobs,JOBS", "jobs;simulation", "<b>", "jobs\x00"])
def test_settings_that_name_no_kind_of_work_are_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"worker_queues": given})

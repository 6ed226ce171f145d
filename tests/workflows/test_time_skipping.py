"""What takes hours in the field, on the server that skips time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from uuid import uuid4

import pytest_asyncio
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.backfill import BackfillActivities
from activities.capacity_watch import CapacityWatchActivities
from activities.microgrid_sync import MicrogridSyncActivities
from devtools.legacy_fleet import seed_legacy
from domain.monitoring.upkeep import WatchInput, WatchRound
from domain.provisioning.backfill import BackfillInput, BackfillRequest, OutcomeCounts, PageRequest
from domain.provisioning.outcomes import SyncOutcome, SyncRequest, SyncResult
from runtime.search_attributes import SEARCH_ATTRIBUTES
from store.base.database import make_engine
from store.site.tables import microgrids
from tests.conftest import executable
from tests.factories.capacities import capacity_site, expire, state
from tests.helpers.support import ACTOR, assert_follows, make_depot
from workflows.backfill import BackfillWorkflow
from workflows.capacity_watch import CapacityWatchWorkflow
from workflows.microgrid_sync import MicrogridSyncWorkflow

QUEUE = "time-skipping"
AWAY_FOR = 40
"""Tries that find no database. With the pauses between them that is several minutes of the workflow's time."""


@pytest_asyncio.fixture
async def environment() -> AsyncGenerator[WorkflowEnvironment]:
    """A Temporal test server that skips time while workflows only wait."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=executable("temporal-test-server"), data_converter=pydantic_data_converter
    ) as started:
        await started.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=started.client.namespace,
                search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            )
        )
        yield started


class _Flaky:
    """The real steps, on a database that cannot be reached for the first tries."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.there = engine
        self.gone = make_engine("postgresql:///gone?host=/nowhere")
        self.tries = 0

    def engine(self) -> AsyncEngine:
        self.tries += 1
        return self.gone if self.tries <= AWAY_FOR else self.there

    @activity.defn
    async def reconcile_depot(self, request: SyncRequest) -> SyncResult:
        return await MicrogridSyncActivities(self.engine()).reconcile_depot(request)

    @activity.defn
    async def pass_due_deadlines(self) -> WatchRound:
        return await CapacityWatchActivities(self.engine()).pass_due_deadlines()

    @activity.defn
    async def run_page(self, request: PageRequest) -> OutcomeCounts:
        return await BackfillActivities(self.engine()).run_page(request)


async def test_a_backfill_outlasts_a_database_that_is_away(
    engine: AsyncEngine, environment: WorkflowEnvironment
) -> None:
    async with engine.begin() as connection:
        await seed_legacy(connection, 50)
    flaky, steps = _Flaky(engine), BackfillActivities(engine)
    request = BackfillRequest(uuid4(), dry_run=False, page_size=20, requested_by=ACTOR.name)
    async with Worker(
        environment.client,
        task_queue=QUEUE,
        workflows=[BackfillWorkflow],
        activities=[flaky.run_page, steps.prepare, steps.note_state, steps.end],
    ):
        began = await environment.get_current_time()
        progress = await environment.client.execute_workflow(
            BackfillWorkflow.run, BackfillInput(request), id=f"backfill/{request.backfill_id}", task_queue=QUEUE
        )
        passed = await environment.get_current_time() - began
    assert progress.counts == OutcomeCounts(created=45, no_top_level_circuits=5)
    assert flaky.tries > AWAY_FOR
    # The pauses grow to ten seconds; three pages share them.
    assert passed.total_seconds() > 60
    async with engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(microgrids))).scalar_one() == 45
    await flaky.gone.dispose()


async def test_a_sync_outlasts_a_database_that_is_away(engine: AsyncEngine, environment: WorkflowEnvironment) -> None:
    depot_id = await make_depot(engine, "A")
    flaky = _Flaky(engine)
    async with Worker(
        environment.client, task_queue=QUEUE, workflows=[MicrogridSyncWorkflow], activities=[flaky.reconcile_depot]
    ):
        result = await environment.client.execute_workflow(
            MicrogridSyncWorkflow.run,
            SyncRequest(depot_id, ACTOR.name, "CIRCUITS_CHANGED"),
            id=f"microgrid-sync/{depot_id}",
            task_queue=QUEUE,
        )
    assert result is not None
    assert result.outcome is SyncOutcome.CREATED
    assert flaky.tries == AWAY_FOR + 1
    await assert_follows(engine, depot_id)
    await flaky.gone.dispose()


async def test_a_watch_outlasts_a_database_that_is_away(engine: AsyncEngine, environment: WorkflowEnvironment) -> None:
    site = await capacity_site(engine)
    await expire(engine, site.circuit_ids[0])
    flaky = _Flaky(engine)
    async with Worker(
        environment.client, task_queue=QUEUE, workflows=[CapacityWatchWorkflow], activities=[flaky.pass_due_deadlines]
    ):
        handle = await environment.client.start_workflow(
            CapacityWatchWorkflow.run, WatchInput(), id="capacity-watch", task_queue=QUEUE
        )
        await environment.sleep(timedelta(minutes=10))
        assert flaky.tries > AWAY_FOR
        assert (await state(engine, site.circuit_ids[0]))["mode"] == "FAIL_SAFE"
        assert await handle.query(CapacityWatchWorkflow.passed) == 1
        await handle.terminate()
    await flaky.gone.dispose()


async def test_a_quiet_hour_keeps_every_history_short(environment: WorkflowEnvironment) -> None:
    looks = 0

    @activity.defn
    async def pass_due_deadlines() -> WatchRound:
        # What the step answers is the database's; how often it is asked is what counts here.
        nonlocal looks
        looks += 1
        return WatchRound(passed=0, next_in_seconds=90.0)

    async with Worker(
        environment.client, task_queue=QUEUE, workflows=[CapacityWatchWorkflow], activities=[pass_due_deadlines]
    ):
        handle = await environment.client.start_workflow(
            CapacityWatchWorkflow.run, WatchInput(), id="capacity-watch", task_queue=QUEUE
        )
        await environment.sleep(timedelta(hours=1))
        first = handle.first_execution_run_id
        now = (await environment.client.get_workflow_handle("capacity-watch").describe()).run_id
        assert now != first
        history = await environment.client.get_workflow_handle("capacity-watch", run_id=first).fetch_history()
        await environment.client.get_workflow_handle("capacity-watch").terminate()
    # Every five seconds; a run of 500 looks is a few thousand events.
    assert 715 <= looks <= 725
    assert len(history.events) < 10_000

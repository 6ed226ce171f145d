"""Where a controller falls silent the fail-safe takes over by itself, whatever was down meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleDescription, WorkflowExecution
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment

from activities import capacity_watch
from activities.capacity_watch import CapacityWatchActivities
from domain.monitoring.upkeep import DriftRequest, HistoryRequest, WatchInput
from runtime.search_attributes import JOB_KIND, OUTCOME
from runtime.temporal import connect
from runtime.workers.queues import Work
from store.monitoring.capacity_upkeep import pass_deadlines
from tests.factories.capacities import capacity_site, expire, state, steps
from tests.factories.packets import send
from tests.factories.sites import MadeDepot, packet
from tests.helpers.live import make_worker
from tests.helpers.support import database_away, until
from worker import plans
from workflows.capacity_watch import CapacityWatchWorkflow
from workflows.schedules import Plan, ensure_schedules

FAST = WatchInput(longest_wait_seconds=0.2)


@pytest_asyncio.fixture
async def wanted(client: Client) -> AsyncGenerator[list[Plan]]:
    """The product's schedules under names of this test alone, gone at its end with what they started."""
    mark = uuid4().hex[:8]
    made = [
        replace(plan, schedule_id=f"{plan.schedule_id}-{mark}")
        for plan in plans(HistoryRequest(), DriftRequest(settle_seconds=0), FAST)
    ]
    yield made
    for plan in made:
        with suppress(RPCError):
            await client.get_schedule_handle(plan.schedule_id).delete()
        for run in await runs_of(client, plan):
            with suppress(RPCError):
                await client.get_workflow_handle(run.id).terminate()


async def runs_of(client: Client, plan: Plan, status: str = "Running") -> list[WorkflowExecution]:
    """The workflows of a schedule, as an operator finds them."""
    query = f"WorkflowId STARTS_WITH '{plan.schedule_id}' AND ExecutionStatus = '{status}'"
    return [run async for run in client.list_workflows(query)]


async def described(client: Client, plan: Plan) -> ScheduleDescription:
    return await client.get_schedule_handle(plan.schedule_id).describe()


async def follow(api: httpx.AsyncClient, engine: AsyncEngine) -> MadeDepot:
    """A site whose circuit follows a controller that was heard just now."""
    site = await capacity_site(engine)
    await send(api, packet(site, AVAILABLE_CHARGING_CAPACITY=250_000, HEARTBEAT_STATUS="ok"))
    return site


async def fell_back(engine: AsyncEngine, site: MadeDepot) -> dict[str, Any]:
    """Wait until the fail-safe holds."""

    async def check() -> dict[str, Any] | None:
        held = await state(engine, site.circuit_ids[0])
        return held if held["mode"] == "FAIL_SAFE" else None

    return await until(check)


async def is_running(client: Client, plan: Plan) -> bool:
    return await runs_of(client, plan) != []


async def test_the_fail_safe_takes_over_after_an_outage_of_the_worker(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    watch = wanted[0]
    first, second = await follow(api, engine), await follow(api, engine)
    async with make_worker(client, engine, task_queue):
        await ensure_schedules(client, task_queue, [watch])
        await expire(engine, first.circuit_ids[0])
        await fell_back(engine, first)
    # No worker runs while the other deadline comes.
    await expire(engine, second.circuit_ids[0])
    due = (await state(engine, second.circuit_ids[0]))["deadline"]
    assert (await state(engine, second.circuit_ids[0]))["mode"] == "CONTROLLER"
    async with make_worker(client, engine, task_queue):
        held = await fell_back(engine, second)
        (run,) = await runs_of(client, watch)

        async def says_so() -> bool:
            found = await client.get_workflow_handle(run.id).describe()
            return found.typed_search_attributes.get(OUTCOME) == "FAIL_SAFE_TAKEN"

        await until(says_so)
        assert run.typed_search_attributes[JOB_KIND] == "CAPACITY_WATCH"
    # It holds since the deadline, and not since the worker is back.
    assert (held["since"], held["reason"], held["capacity_w"]) == (due, "NO_PACKET", 40_000)
    fallen = ("FAIL_SAFE", "NO_PACKET", 40_000)
    assert await steps(engine) == [("CONTROLLER", None, 250_000)] * 2 + [fallen] * 2


async def test_a_watch_that_was_ended_is_started_again(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    watch = replace(wanted[0], every=timedelta(seconds=1))
    site = await follow(api, engine)
    async with make_worker(client, engine, task_queue):
        await ensure_schedules(client, task_queue, [watch])
        await until(lambda: is_running(client, watch))
        (before,) = await runs_of(client, watch)
        await client.get_workflow_handle(before.id).terminate("by an operator's mistake")

        async def another() -> bool:
            return [run.id for run in await runs_of(client, watch)] not in ([], [before.id])

        await until(another)
        await expire(engine, site.circuit_ids[0])
        await fell_back(engine, site)


async def test_one_watch_runs_at_a_time_also_across_its_runs(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    given = WatchInput(rounds_a_run=3, longest_wait_seconds=0.2)
    watch = replace(wanted[0], every=timedelta(seconds=1), given=given)
    site = await follow(api, engine)
    async with make_worker(client, engine, task_queue):
        await ensure_schedules(client, task_queue, [watch])
        await expire(engine, site.circuit_ids[0])
        await fell_back(engine, site)

        async def continued_often() -> bool:
            return len(await runs_of(client, watch, "ContinuedAsNew")) >= 5

        await until(continued_often)
        runs = [*await runs_of(client, watch), *await runs_of(client, watch, "ContinuedAsNew")]
        # The schedule would have started others in these seconds.
        assert len({run.id for run in runs}) == 1
        assert await client.get_workflow_handle(runs[0].id).query(CapacityWatchWorkflow.passed) == 1


async def test_a_watch_outlasts_a_database_that_is_away(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str, wanted: list[Plan],
    postgres_url: str, database_url: str,
) -> None:  # fmt: skip
    site = await follow(api, engine)
    await expire(engine, site.circuit_ids[0])
    async with make_worker(client, engine, task_queue):
        async with database_away(postgres_url, database_url):
            await ensure_schedules(client, task_queue, [wanted[0]])
            await until(lambda: is_running(client, wanted[0]))
        await fell_back(engine, site)


async def test_many_deadlines_pass_in_steps_that_stay_short(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity_watch, "BATCH", 2)
    monkeypatch.setattr(capacity_watch, "MAX_BATCHES", 3)
    sites = [await capacity_site(engine) for _ in range(8)]
    await expire(engine, *(site.circuit_ids[0] for site in sites[:7]))
    activities = CapacityWatchActivities(engine)
    first = await ActivityEnvironment().run(activities.pass_due_deadlines)
    # One is due still: the next look follows at once.
    assert (first.passed, first.next_in_seconds) == (6, 0)
    second = await ActivityEnvironment().run(activities.pass_due_deadlines)
    assert second.passed == 1
    assert second.next_in_seconds is not None
    assert 0 < second.next_in_seconds <= 120
    await expire(engine, sites[7].circuit_ids[0])
    assert (await ActivityEnvironment().run(activities.pass_due_deadlines)).next_in_seconds is None


async def test_two_watches_at_once_take_over_once(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await follow(api, engine)
    await expire(engine, site.circuit_ids[0])
    async with engine.begin() as one, engine.begin() as other:
        assert await pass_deadlines(one, 10) == 1
        waiting = pass_deadlines(other, 10)
        await one.commit()
        await waiting
    assert await steps(engine) == [("CONTROLLER", None, 250_000), ("FAIL_SAFE", "NO_PACKET", 40_000)]


# The schedules


async def test_the_schedules_run_what_they_are_for(
    engine: AsyncEngine, client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    async with make_worker(client, engine, task_queue):
        await ensure_schedules(client, task_queue, wanted)
        for plan, status, outcome in zip(
            wanted,
            ("Running", *("Completed",) * 6),
            ("QUIET", "UNCHANGED", "IN_STEP", "NOTHING_TO_DO", "UP_TO_DATE", "EQUAL", "IN_STEP"),
            strict=True,
        ):

            async def is_found(plan: Plan = plan, status: str = status, outcome: str = outcome) -> bool:
                found = await runs_of(client, plan, status)
                return any(
                    run.typed_search_attributes.get(JOB_KIND) == plan.kind
                    and run.typed_search_attributes.get(OUTCOME) == outcome
                    for run in found
                )

            await until(is_found)


async def test_making_the_schedules_again_changes_nothing(
    engine: AsyncEngine, client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    await ensure_schedules(client, task_queue, wanted)
    before = [(await described(client, plan)).schedule for plan in wanted]
    await until(lambda: is_running(client, wanted[0]))
    await ensure_schedules(client, task_queue, wanted)
    after = [(await described(client, plan)).schedule for plan in wanted]
    assert [each.spec for each in after] == [each.spec for each in before]
    assert [each.state for each in after] == [each.state for each in before]
    assert len(await runs_of(client, wanted[0])) == 1


async def test_each_schedule_starts_on_the_queue_of_its_work_and_moves_there_when_upgraded(
    client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    # A release from before had one queue for all.
    await ensure_schedules(client, task_queue, [replace(plan, work=Work.SYNCS) for plan in wanted])
    await ensure_schedules(client, task_queue, wanted)
    actions = [(await described(client, plan)).schedule.action for plan in wanted]
    jobs = f"{task_queue}-jobs"
    queues = [each.task_queue for each in actions if isinstance(each, ScheduleActionStartWorkflow)]
    assert queues == [task_queue, jobs, task_queue, jobs, jobs, jobs, task_queue]


async def test_a_schedule_follows_the_code_and_keeps_an_operators_pause(
    client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    audit = wanted[2]
    await ensure_schedules(client, task_queue, [audit])
    await client.get_schedule_handle(audit.schedule_id).pause(note="until Monday")

    async def ran() -> int:
        return (await described(client, audit)).info.num_actions

    async def began() -> bool:
        return await ran() == 1

    await until(began)
    await ensure_schedules(client, task_queue, [replace(audit, every=timedelta(hours=2))])
    found = await described(client, audit)
    assert (found.schedule.state.paused, found.schedule.state.note) == (True, "until Monday")
    assert [each.every for each in found.schedule.spec.intervals] == [timedelta(hours=2)]
    assert found.info.num_actions == 1


async def test_a_schedule_that_was_lost_is_made_again_and_the_others_are_left_alone(
    client: Client, task_queue: str, wanted: list[Plan]
) -> None:
    upkeep, audit = wanted[1:3]
    await ensure_schedules(client, task_queue, wanted)
    await client.get_schedule_handle(audit.schedule_id).delete()
    before = (await described(client, upkeep)).info.last_updated_at
    await ensure_schedules(client, task_queue, wanted, missing_only=True)
    assert (await described(client, audit)).schedule.spec.intervals[0].every == timedelta(hours=1)
    assert (await described(client, upkeep)).info.last_updated_at == before


async def test_without_temporal_it_is_said_in_a_way_that_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, task_queue: str, wanted: list[Plan]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with pytest.raises((RPCError, RuntimeError)):
        await ensure_schedules(await connect(lazy=True), task_queue, wanted)

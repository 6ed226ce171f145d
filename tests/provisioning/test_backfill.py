"""The backfill on a real dev server and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus

from activities.backfill import BackfillActivities
from devtools.legacy_fleet import seed_legacy
from domain.base.jobs import JobState
from domain.provisioning.backfill import (
    BACKFILL,
    BackfillInput,
    BackfillRequest,
    OutcomeCounts,
    PageBounds,
    PageRequest,
    PlanRequest,
)
from runtime.search_attributes import JOB_KIND, OUTCOME
from store.base.database import transaction
from store.base.jobs.rows import set_job_state
from store.provisioning.backfills import begin_backfill, plan_pages, run_page
from store.provisioning.tables import backfill_outcomes, backfill_pages, backfills, outbox
from store.site.tables import depots, microgrids
from tests.factories.backfills import begin, reached, read
from tests.helpers.live import working
from tests.helpers.support import ACTOR, drifted_depots, make_depot, until
from workflows.backfill import BackfillWorkflow
from workflows.launch import backfill_handle, start_backfill


async def seed(engine: AsyncEngine, count: int) -> None:
    async with engine.begin() as connection:
        await seed_legacy(connection, count)


async def figures(engine: AsyncEngine) -> tuple[int, int, int]:
    """Count microgrids, depots with two active ones, and depots out of step among the provisioned."""
    async with engine.connect() as connection:
        total = (await connection.execute(select(func.count()).select_from(microgrids))).scalar_one()
        double = await connection.execute(
            text("SELECT count(*) FROM (SELECT 1 FROM microgrids GROUP BY depot_id HAVING count(*) > 1) AS twice")
        )
        return total, double.scalar_one(), len(await drifted_depots(connection))


@asynccontextmanager
async def held(engine: AsyncEngine) -> AsyncGenerator[None]:
    """Hold every depot's lock, so that no page can finish while the block runs."""
    async with engine.begin() as connection:
        await connection.execute(text("SELECT 1 FROM depots FOR UPDATE"))
        yield


@pytest.mark.acceptance("COR-8.1", "COR-8.12")
async def test_every_depot_with_a_top_level_circuit_gets_one_microgrid(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 500)
    async with working(client, engine, task_queue):
        backfill_id = await begin(api, page_size=60)
        done = await reached(api, backfill_id, "COMPLETED")
    assert done["outcomes"] == {"CREATED": 450, "ALREADY_PROVISIONED": 0, "NO_TOP_LEVEL_CIRCUITS": 50}
    assert (done["depots_total"], done["depots_done"]) == (500, 500)
    assert await figures(engine) == (450, 0, 0)
    async with engine.connect() as connection:
        states = await connection.execute(
            select(depots.c.provisioning, depots.c.provisioning_code, func.count()).group_by(
                depots.c.provisioning, depots.c.provisioning_code
            )
        )
        assert sorted(map(tuple, states), key=str) == [
            ("FAILED", "NO_TOP_LEVEL_CIRCUITS", 50),
            ("PROVISIONED", None, 450),
        ]
        asked = (await connection.execute(select(func.count()).select_from(outbox))).scalar_one()
    assert asked == 0
    described = await client.get_workflow_handle(BACKFILL.workflow_id(UUID(backfill_id))).describe()
    assert described.status is WorkflowExecutionStatus.COMPLETED
    assert described.typed_search_attributes[JOB_KIND] == "BACKFILL"
    assert described.typed_search_attributes[OUTCOME] == "COMPLETED"


async def test_the_outcomes_are_listed_by_depot_and_by_outcome(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 50)
    async with working(client, engine, task_queue):
        backfill_id = await begin(api)
        await reached(api, backfill_id, "COMPLETED")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (
            await api.get(
                f"/api/backfills/{backfill_id}/outcomes", params={"limit": 7} | ({"cursor": cursor} if cursor else {})
            )
        ).json()
        seen += [each["depot_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(set(seen))
    assert len(seen) == 50
    failed = await api.get(f"/api/backfills/{backfill_id}/outcomes", params={"outcome": "NO_TOP_LEVEL_CIRCUITS"})
    assert [each["microgrid_id"] for each in failed.json()["items"]] == [None] * 5
    assert failed.json()["items"][0]["depot_name"].startswith("Depot ")


async def test_a_small_backfill_waits_for_its_one_page_alone(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 10)
    async with working(client, engine, task_queue):
        backfill_id = await begin(api)
        await reached(api, backfill_id, "COMPLETED")
        history = await backfill_handle(client, UUID(backfill_id)).fetch_history()
    scheduled = [each.activity_task_scheduled_event_attributes for each in history.events]
    assert [each.activity_type.name for each in scheduled if each.activity_id] == ["run_page"]


async def test_depots_are_counted_once_though_a_backfill_begins_twice(engine: AsyncEngine) -> None:
    await seed(engine, 5)
    steps = BackfillActivities(engine)
    request = PlanRequest(BackfillRequest(uuid4(), False, 2, ACTOR.name), 0, None, 50)
    first = await steps.prepare(request)
    await make_depot(engine, "Feed 1")
    again = await steps.prepare(request)
    assert (first.depots_total, again.depots_total) == (5, 5)
    assert [(each.page, each.after) for each in first.pages] == [
        (0, None),
        (1, first.pages[0].upto),
        (2, first.pages[1].upto),
    ]


@pytest.mark.acceptance("COR-8.1", "COR-8.11")
async def test_running_it_again_creates_nothing(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 100)
    async with working(client, engine, task_queue):
        await reached(api, await begin(api), "COMPLETED")
        async with engine.connect() as connection:
            before = (await connection.execute(select(microgrids).order_by(microgrids.c.id))).all()
        done = await reached(api, await begin(api), "COMPLETED")
        async with engine.connect() as connection:
            after = (await connection.execute(select(microgrids).order_by(microgrids.c.id))).all()
    assert done["outcomes"] == {"CREATED": 0, "ALREADY_PROVISIONED": 90, "NO_TOP_LEVEL_CIRCUITS": 10}
    assert before == after


async def test_a_dry_run_tells_and_changes_nothing(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 100)
    async with working(client, engine, task_queue):
        done = await reached(api, await begin(api, dry_run=True, page_size=30), "COMPLETED")
    assert done["outcomes"] == {"CREATED": 90, "ALREADY_PROVISIONED": 0, "NO_TOP_LEVEL_CIRCUITS": 10}
    assert await figures(engine) == (0, 0, 90)
    async with engine.connect() as connection:
        states = (await connection.execute(select(depots.c.provisioning).distinct())).scalars().all()
    assert states == ["PENDING"]


async def test_pause_holds_and_resume_goes_on(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 300)
    async with working(client, engine, task_queue):
        async with held(engine):
            backfill_id = await begin(api, page_size=10)
            assert (await api.post(f"/api/backfills/{backfill_id}/pause")).status_code == 202
        paused = await reached(api, backfill_id, "PAUSED")
        # The pages that were in flight are finished; no further one begins.
        handle = backfill_handle(client, UUID(backfill_id))

        async def settled() -> int | None:
            progress = await handle.query(BackfillWorkflow.progress)
            return progress.next_page if progress.counts.depots == progress.next_page * 10 else None

        begun = await until(settled)
        assert begun < 30
        assert paused["depots_total"] == 300
        assert (await handle.query(BackfillWorkflow.progress)).paused
        assert (await api.post(f"/api/backfills/{backfill_id}/resume")).status_code == 202
        done = await reached(api, backfill_id, "COMPLETED")
    assert done["depots_done"] == 300
    assert await figures(engine) == (270, 0, 0)


async def test_cancel_ends_it_and_keeps_what_was_done(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 300)
    async with working(client, engine, task_queue):
        async with held(engine):
            backfill_id = await begin(api, page_size=10)
            assert (await api.post(f"/api/backfills/{backfill_id}/cancel")).status_code == 202
        done = await reached(api, backfill_id, "CANCELLED")
        refused = await api.post(f"/api/backfills/{backfill_id}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "BACKFILL_NOT_RUNNING")
    made, double, _ = await figures(engine)
    assert made == done["outcomes"]["CREATED"] < 270
    assert double == 0


async def test_cancelling_the_workflow_itself_is_told_as_well(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 100)
    async with working(client, engine, task_queue):
        async with held(engine):
            backfill_id = await begin(api, page_size=10)
            await backfill_handle(client, UUID(backfill_id)).cancel()
        await reached(api, backfill_id, "CANCELLED")


async def test_a_terminated_workflow_is_not_shown_as_running(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    backfill_id = await begin(api)
    assert (await read(api, backfill_id))["state"] == "RUNNING"
    await backfill_handle(client, UUID(backfill_id)).terminate()
    shown = await reached(api, backfill_id, "FAILED")
    assert shown["failure"] == "Its workflow was terminated."


async def test_continue_as_new_loses_and_doubles_nothing(engine: AsyncEngine, client: Client, task_queue: str) -> None:
    await seed(engine, 300)
    request = BackfillRequest(uuid4(), dry_run=False, page_size=2, requested_by=ACTOR.name)
    async with working(client, engine, task_queue):
        await start_backfill(client, task_queue, BackfillInput(request, pages_a_run=50))
        progress = await backfill_handle(client, request.backfill_id).result()
    assert progress.counts == OutcomeCounts(created=270, no_top_level_circuits=30)
    assert progress.next_page == 150
    runs = [run async for run in client.list_workflows(f"WorkflowId = '{BACKFILL.workflow_id(request.backfill_id)}'")]
    assert len(runs) == 3 + 1
    assert await figures(engine) == (270, 0, 0)


@pytest.mark.acceptance("COR-8.10")
async def test_it_runs_beside_live_changes_and_creations(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await seed(engine, 400)
    async with engine.connect() as connection:
        legacy = (await connection.execute(select(depots.c.id).order_by(depots.c.id))).scalars().all()
    async with working(client, engine, task_queue):
        backfill_id = await begin(api, page_size=20)

        async def live(number: int) -> None:
            await make_depot(engine, "A", "B", name=f"New {number}")
            depot_id = legacy[number * 13]
            await api.post(f"/api/depots/{depot_id}/circuits", json={"name": f"Live {number}", "position": 0})
            await api.post(f"/api/depots/{legacy[number * 11 + 3]}/microgrid/resync")

        await asyncio.gather(*(live(number) for number in range(30)))
        await reached(api, backfill_id, "COMPLETED")

        async def in_step() -> bool:
            async with engine.connect() as connection:
                waiting = (await connection.execute(select(func.count()).select_from(outbox))).scalar_one()
                return waiting == 0 and await drifted_depots(connection) == []

        await until(in_step)
    _, double, drifted = await figures(engine)
    assert (double, drifted) == (0, 0)
    async with engine.connect() as connection:
        pending = await connection.execute(
            select(func.count()).select_from(depots).where(depots.c.provisioning == "PENDING")
        )
        assert pending.scalar_one() == 0


async def test_a_page_that_runs_twice_answers_what_it_did_first(engine: AsyncEngine) -> None:
    await seed(engine, 40)
    request = BackfillRequest(uuid4(), dry_run=False, page_size=40, requested_by=ACTOR.name)
    page = PageRequest(request, PageBounds(0, None, UUID(int=2**128 - 1)))

    async def run() -> OutcomeCounts:
        async with transaction(engine, ACTOR) as connection:
            return await run_page(connection, page)

    async with transaction(engine, ACTOR) as connection:
        assert await begin_backfill(connection, request) == 40
    first = await run()
    assert first == OutcomeCounts(created=36, no_top_level_circuits=4)
    assert await run() == first
    async with engine.connect() as connection:
        for table, rows in ((backfill_pages, 1), (backfill_outcomes, 40), (microgrids, 36)):
            assert (await connection.execute(select(func.count()).select_from(table))).scalar_one() == rows


async def test_who_follows_the_outcomes_of_a_running_backfill_misses_none(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await seed(engine, 40)
    request = BackfillRequest(uuid4(), dry_run=False, page_size=10, requested_by=ACTOR.name)
    async with transaction(engine, ACTOR) as connection:
        await begin_backfill(connection, request)
        pages = await plan_pages(connection, PlanRequest(request, 0, None, 4))
    assert [page.page for page in pages] == [0, 1, 2, 3]

    async def listed(outcome: str = "") -> list[str]:
        wanted = {"outcome": outcome} if outcome else {}
        answer = await api.get(f"/api/backfills/{request.backfill_id}/outcomes", params=wanted)
        return [item["depot_id"] for item in answer.json()["items"]]

    expected: list[str] = []
    # Pages are worked on at the same time, so they finish in any order.
    for place, whole in ((2, 0), (0, 10), (3, 10), (1, 40)):
        async with transaction(engine, ACTOR) as connection:
            await run_page(connection, PageRequest(request, pages[place]))
        found = await listed()
        assert len(found) == whole
        assert found[: len(expected)] == expected
        expected = found
        assert set(await listed("NO_TOP_LEVEL_CIRCUITS")) <= set(found)


async def test_what_a_cancelled_backfill_did_is_listed_whatever_is_missing(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await seed(engine, 20)
    request = BackfillRequest(uuid4(), dry_run=False, page_size=10, requested_by=ACTOR.name)
    async with transaction(engine, ACTOR) as connection:
        await begin_backfill(connection, request)
        pages = await plan_pages(connection, PlanRequest(request, 0, None, 2))
        await run_page(connection, PageRequest(request, pages[1]))
        await set_job_state(connection, backfills, request.backfill_id, JobState.CANCELLED)
    answer = await api.get(f"/api/backfills/{request.backfill_id}/outcomes")
    assert len(answer.json()["items"]) == 10


async def test_steering_an_unknown_backfill_is_not_found(api: httpx.AsyncClient) -> None:
    for word in ("pause", "resume", "cancel"):
        answer = await api.post(f"/api/backfills/{uuid4()}/{word}")
        assert (answer.status_code, answer.json()["code"]) == (404, "BACKFILL_NOT_FOUND")

"""Scenario runs and backfills end, whatever became of their rows or of their workflows, on a real Temporal server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.backfill import BackfillActivities
from activities.run_audit import RunAuditActivities
from domain.base import job_endings
from domain.base.jobs import JobState
from domain.base.problems import Problem
from domain.monitoring.upkeep import RunAuditReport, RunAuditRequest
from domain.provisioning.backfill import (
    BACKFILL,
    BackfillProgress,
    BackfillRequest,
    EndRequest,
    OutcomeCounts,
    PageBounds,
    PageRequest,
)
from domain.simulation.scenario_runs import SCENARIO_RUN, EndedRun, RunOutcome, RunTargets, ScenarioRunRequest
from reconciliation.scenario_runs import close_evidence
from runtime.search_attributes import JOB_KIND, OUTCOME
from runtime.settings import Settings
from runtime.workers.queues import Work, queue_of
from sim_scenarios.evidence.evidence import sha256_of
from store.base.database import transaction
from store.provisioning.backfills import insert_backfill
from store.provisioning.tables import backfill_pages, backfills
from store.simulation.scenario_runs import NewRun, insert_run
from store.simulation.tables import scenario_run_steps, scenario_runs
from tests.conftest import temporal_server
from tests.factories.equipped_depots import problem
from tests.factories.scenario_sites import allow_simulation, begin, ended, evidence_of, make_depots, read, run_scenario
from tests.helpers.live import http_client, make_worker, serving, working
from tests.helpers.support import ACTOR, make_depot, until


@pytest.fixture(scope="module")
def temporal_address() -> Iterator[str]:
    """A server of this file's own, which deletes workflows soon.

    It does so once it has noted that what they had to do is done, which a server does each half minute by itself. With
    this setting starts that come with an update fail, so the server of the other tests does not have it.
    """
    with temporal_server("--dynamic-config-value", 'history.transferProcessorUpdateAckInterval="100ms"') as address:
        yield address


STEPS = 3
HEAD = json.dumps({"record": "run", "steps": STEPS})
STEP = json.dumps({"record": "step", "packets": [], "checks": []})
_, _, WHOLE = close_evidence(HEAD, [STEP] * STEPS)


@workflow.defn(name="Ends", sandboxed=False)
class Ends:
    """Stands in for the workflow of a run or a backfill, and ends as it is told."""

    def __init__(self) -> None:
        self.cancelled = False

    @workflow.run
    async def run(self, how: str, result: Any, outcome: str) -> Any:
        if how == "COMPLETED":
            workflow.upsert_search_attributes([OUTCOME.value_set(outcome)])
            return result
        if how == "FAILED":
            raise ApplicationError("no space left on the device")
        if how == "CONTINUED":
            workflow.continue_as_new(args=["RUNNING", result, outcome])
        await workflow.wait_condition(lambda: self.cancelled)
        return result

    @workflow.signal
    def cancel(self) -> None:
        self.cancelled = True


@dataclass(frozen=True)
class Row:
    """A run or a backfill that a test made."""

    kind: str
    row_id: UUID
    path: str

    @property
    def workflow_id(self) -> str:
        return (SCENARIO_RUN if self.kind == "run" else BACKFILL).workflow_id(self.row_id)


async def make_row(engine: AsyncEngine, kind: str, state: str, *, done: int = STEPS, old: bool = True) -> Row:
    """Store a run or a backfill in a state, with so many of its three steps or pages done."""
    ended_now = {"state": state, "finished_at": text("now() - interval '1 minute'")}
    if kind == "backfill":
        request = BackfillRequest(uuid4(), dry_run=False, page_size=10, requested_by="tester")
        async with transaction(engine, ACTOR) as connection:
            await insert_backfill(connection, request)
            for page in range(done):
                await connection.execute(
                    insert(backfill_pages).values(
                        backfill_id=request.backfill_id, page=page, upto=uuid4(),
                        created=10, already_provisioned=0, no_top_level_circuits=0,
                    )
                )  # fmt: skip
            values: dict[str, Any] = ended_now if state == "CANCELLED" else {"state": state}
            values |= {"requested_at": text("now() - interval '1 minute'")} if old else {}
            await connection.execute(update(backfills).where(backfills.c.id == request.backfill_id).values(**values))
        return Row(kind, request.backfill_id, "/api/backfills")
    depot_id = await make_depot(engine, "Feed", name=f"Depot {uuid4()}")
    await allow_simulation(engine, depot_id)
    run = ScenarioRunRequest(uuid4(), depot_id, "quick-look", STEPS, 0.0, "tester")
    async with transaction(engine, ACTOR) as connection:
        await insert_run(
            connection,
            NewRun(run, "Quick look", "", "0" * 64, None, 1, {}, RunTargets(), [], HEAD),
        )
        for step in range(done):
            await connection.execute(
                insert(scenario_run_steps).values(
                    run_id=run.run_id, step=step, stamp_ms=step, record=STEP, sent_at=text("now()")
                )
            )
        values = ended_now | {"outcome": "INCOMPLETE"} if state == "CANCELLED" else {"state": state}
        values |= {"requested_at": text("now() - interval '1 minute'"), "steps_done": done} if old else {}
        await connection.execute(update(scenario_runs).where(scenario_runs.c.id == run.run_id).values(**values))
    return Row(kind, run.run_id, "/api/scenario-runs")


def result_of(kind: str, state: str = "COMPLETED") -> Any:
    """What the workflow of a whole run or backfill answers."""
    if kind == "backfill":
        return BackfillProgress(30, OutcomeCounts(30), next_page=STEPS)
    return EndedRun(JobState(state), RunOutcome.PASSED, sha256_of(WHOLE))


async def bring_about(client: Client, queue: str, row: Row, status: str, said: str = "COMPLETED") -> None:
    """Have the row's workflow stand like this."""
    if status in ("NEVER_WAS", "UNREPORTED"):
        return
    kind = "SCENARIO" if row.kind == "run" else "BACKFILL"
    handle = await client.start_workflow(
        Ends.run,
        args=[status.replace("DELETED", "COMPLETED"), result_of(row.kind, said), said],
        id=row.workflow_id,
        task_queue=queue,
        search_attributes=TypedSearchAttributes([SearchAttributePair(JOB_KIND, kind)]),
        execution_timeout=timedelta(seconds=1) if status == "TIMED_OUT" else None,
    )
    if status == "TERMINATED":
        await handle.terminate()
    elif status == "CANCELLED":
        await handle.cancel()
    elif status == "CONTINUED":
        await until(lambda: continued(client, row))
        await delete(client, row)
        return
    await until(lambda: has_status(handle, status))
    if status == "DELETED":
        await delete(client, row)


async def has_status(handle: WorkflowHandle[Any, Any], status: str) -> bool:
    wanted = {"DELETED": "COMPLETED", "CANCELLED": "CANCELED"}.get(status, status)
    return (await handle.describe()).status is WorkflowExecutionStatus[wanted]


async def continued(client: Client, row: Row) -> bool:
    found = client.list_workflows(f"WorkflowId = '{row.workflow_id}'")
    return {each.status async for each in found} == {
        WorkflowExecutionStatus.CONTINUED_AS_NEW, WorkflowExecutionStatus.RUNNING,
    }  # fmt: skip


async def delete(client: Client, row: Row) -> None:
    """Delete the last execution of a workflow, and wait until it is gone."""
    handle = client.get_workflow_handle(row.workflow_id)
    run_id = (await handle.describe()).run_id
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=row.workflow_id, run_id=run_id),
        )
    )

    async def gone() -> bool:
        try:
            return (await handle.describe()).run_id != run_id
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND

    await until(gone)


async def listed(api: httpx.AsyncClient, row: Row) -> dict[str, Any]:
    page = (await api.get(row.path)).raise_for_status().json()
    name = "run_id" if row.kind == "run" else "backfill_id"
    return next(each for each in page["items"] if each[name] == str(row.row_id))


async def audit(engine: AsyncEngine, client: Client, queue: str, page_size: int = 200) -> RunAuditReport:
    """Run the step alone."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, task_queue=queue)
    return await environment.run(RunAuditActivities(engine, client).settle_all, RunAuditRequest(page_size))


@pytest.fixture
async def ends(client: Client, task_queue: str) -> AsyncGenerator[None]:
    async with Worker(client, task_queue=task_queue, workflows=[Ends]):
        yield


PAIRS = {
    "RUNNING": (None, ""),
    "COMPLETED": ("COMPLETED", None),
    "FAILED": ("FAILED", "Its workflow failed: no space left on the device"),
    "CANCELLED": ("CANCELLED", "Its workflow was cancelled."),
    "TERMINATED": ("FAILED", "Its workflow was terminated."),
    "TIMED_OUT": ("FAILED", "Its workflow timed out."),
    "CONTINUED": ("FAILED", "Temporal does not know its workflow."),
    "DELETED": ("FAILED", "Temporal does not know its workflow."),
    "NEVER_WAS": ("FAILED", "Temporal does not know its workflow."),
}
"""How a row that is open ends, and why, by how its workflow stands; None: it goes on."""


@pytest.mark.parametrize("seen_by", ["read", "list", "audit"])
@pytest.mark.parametrize("kind", ["run", "backfill"])
@pytest.mark.parametrize("status", list(PAIRS))
@pytest.mark.usefixtures("ends")
async def test_each_pair_comes_to_its_end(
    api: httpx.AsyncClient,
    engine: AsyncEngine,
    client: Client,
    task_queue: str,
    kind: str,
    status: str,
    seen_by: str,
) -> None:
    state, why = PAIRS[status]
    rows = [await make_row(engine, kind, each) for each in ("RUNNING", "PAUSED", "CANCELLED")]
    await asyncio.gather(*(bring_about(client, task_queue, row, status) for row in rows))
    if seen_by == "audit":
        report = await audit(engine, client, task_queue)
        assert (report.looked_at, report.ended) == (2, 2 if state else 0)
        # Of the three that run, one has a row that ended before.
        assert report.stopped == (status == "RUNNING")
    for row, before in zip(rows, ("RUNNING", "PAUSED", "CANCELLED"), strict=True):
        if seen_by == "list":
            shown = await listed(api, row)
        elif seen_by == "read":
            shown = (await api.get(f"{row.path}/{row.row_id}")).json()
        else:
            async with engine.connect() as connection:
                table = "scenario_runs" if kind == "run" else "backfills"
                found = await connection.execute(text(f"SELECT * FROM {table} WHERE id = '{row.row_id}'"))
                shown = {"state_confirmed": True, **found.mappings().one()}
        if before == "CANCELLED" or state is None:
            assert (shown["state"], shown["failure"]) == (before, None)
        else:
            assert (shown["state"], shown["failure"]) == (state, why)
            assert shown["finished_at"] is not None
        assert shown["state_confirmed"] is True


@pytest.mark.parametrize("kind", ["run", "backfill"])
async def test_a_row_that_is_only_starting_is_left(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str, kind: str
) -> None:
    row = await make_row(engine, kind, "RUNNING", old=False)
    assert (await listed(api, row))["state"] == "RUNNING"
    assert (await audit(engine, client, task_queue)).ended == 0
    refused = await api.post(f"{row.path}/{row.row_id}/cancel")
    assert problem(refused)[0] == 409
    assert "only starting" in refused.json()["detail"]


@pytest.mark.parametrize("said", ["COMPLETED", "CANCELLED"])
@pytest.mark.parametrize("kind", ["run", "backfill"])
@pytest.mark.usefixtures("ends")
async def test_a_workflow_that_ended_is_believed_as_far_as_its_work_is_there(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str, kind: str, said: str
) -> None:
    whole, behind = await make_row(engine, kind, "RUNNING"), await make_row(engine, kind, "RUNNING", done=1)
    for row in (whole, behind):
        await bring_about(client, task_queue, row, "COMPLETED", said)
    shown = await listed(api, whole)
    assert (shown["state"], shown["failure"]) == (said, None)
    if kind == "run":
        assert (shown["outcome"], shown["evidence_sha256"]) == ("PASSED", sha256_of(WHOLE))
    shown = await listed(api, behind)
    # A cancelled backfill says of nobody's depots that they were done.
    state = "CANCELLED" if (kind, said) == ("backfill", "CANCELLED") else "FAILED"
    assert shown["state"] == state
    assert state == "CANCELLED" or "restored from an earlier backup" in shown["failure"]


@pytest.mark.parametrize("kind", ["run", "backfill"])
async def test_without_temporal_rows_are_shown_as_they_are_and_that_is_said(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    rows = [await make_row(engine, kind, "RUNNING") for _ in range(40)]
    over = await make_row(engine, kind, "CANCELLED")
    page = "/scenarios" if kind == "run" else "/backfills"
    async with (
        serving(Settings(database_url=SecretStr(database_url))) as address,
        http_client(address) as api,
    ):
        for row, expected in ((rows[0], ("RUNNING", False)), (over, ("CANCELLED", True))):
            shown = await listed(api, row)
            assert (shown["state"], shown["state_confirmed"]) == expected
        one = (await api.get(f"{rows[0].path}/{rows[0].row_id}")).json()
        assert (one["state"], one["state_confirmed"]) == ("RUNNING", False)
        assert "Temporal does not answer" in (await api.get(page)).text


async def test_a_namespace_that_is_not_there_ends_nothing(
    engine: AsyncEngine, client: Client, task_queue: str, temporal_address: str
) -> None:
    for kind in ("run", "backfill"):
        await make_row(engine, kind, "RUNNING")
    elsewhere = await Client.connect(temporal_address, namespace="not-here", lazy=True)
    with pytest.raises(RPCError):
        await audit(engine, elsewhere, task_queue)
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT state FROM scenario_runs UNION ALL SELECT state FROM backfills"))
        assert found.scalars().all() == ["RUNNING", "RUNNING"]


async def test_many_lost_rows_end_page_by_page(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    for _ in range(7):
        await make_row(engine, "backfill", "PAUSED")
    for _ in range(5):
        await make_row(engine, "run", "RUNNING", done=0)
    report = await audit(engine, client, task_queue, page_size=2)
    assert (report.looked_at, report.ended, report.outcome) == (12, 12, "SETTLED")
    report = await audit(engine, client, task_queue, page_size=2)
    assert (report.looked_at, report.ended, report.outcome) == (0, 0, "IN_STEP")


async def test_everybody_who_looks_at_once_sees_one_end(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    for kind in ("run", "backfill"):
        row = await make_row(engine, kind, "RUNNING")
        answers = await asyncio.gather(*(api.get(f"{row.path}/{row.row_id}") for _ in range(12)))
        assert len({answer.text for answer in answers}) == 1
        async with engine.connect() as connection:
            query = text(f"SELECT actor, action FROM changes WHERE subject_id = '{row.row_id}'")
            told = (await connection.execute(query)).all()
        assert len(told) == 1
        assert told[0].action in ("SCENARIO_RUN_FAILED", "BACKFILL_FAILED")


# The database alone is restored


@asynccontextmanager
async def restored(engine: AsyncEngine, *tables: str) -> AsyncGenerator[None]:
    """Set these tables back, at the end of the block, to what they were at its beginning."""
    async with engine.begin() as connection:
        for name in tables:
            await connection.execute(text(f"CREATE TABLE backup_{name} AS SELECT * FROM {name}"))
    yield
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for name in reversed(tables):
            await connection.execute(text(f"DELETE FROM {name}"))
        for name in tables:
            await connection.execute(text(f"INSERT INTO {name} SELECT * FROM backup_{name}"))
            await connection.execute(text(f"DROP TABLE backup_{name}"))


RUN_TABLES = ("scenario_runs", "scenario_run_steps")
BACKFILL_TABLES = ("backfills", "backfill_pages", "backfill_outcomes")


@pytest.mark.parametrize("seen_by", ["start", "list", "audit"])
async def test_a_depot_whose_run_was_set_back_runs_scenarios_again(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str, seen_by: str
) -> None:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with (
        serving(settings) as address,
        http_client(address) as api,
        working(client, engine, task_queue, api_url=address),
    ):
        (depot_id,) = await make_depots(address, 1)
        run_id = await begin(api, depot_id, "quick-look", time_scale=0.01)

        async def sent_some() -> bool:
            return (await read(api, run_id))["steps_done"] >= 1

        await until(sent_some)
        async with restored(engine, *RUN_TABLES):
            assert (await ended(api, run_id))["outcome"] == "PASSED"
        if seen_by == "list":
            page = await api.get("/api/scenario-runs")
            assert page.json()["items"][0]["state"] == "FAILED"
        elif seen_by == "audit":

            async def is_ended() -> bool:
                # The row says that the run has ended a moment before its workflow has.
                return (await audit(engine, client, task_queue)).ended == 1

            await until(is_ended)
        run, _ = await run_scenario(api, depot_id, "quick-look")
        assert run["outcome"] == "PASSED"
        before = await read(api, run_id)
        assert (before["state"], before["outcome"]) == ("FAILED", "INCOMPLETE")
        assert "restored from an earlier backup" in before["failure"]
        assert sha256_of(await evidence_of(api, run_id)) == before["evidence_sha256"]
        # The refusal tells the truth.
        refused = await api.post(f"/api/scenario-runs/{run_id}/cancel")
        assert (problem(refused), refused.json()["detail"]) == (
            (409, "RUN_NOT_RUNNING"), "This run has ended: FAILED.",
        )  # fmt: skip


async def test_a_run_that_is_set_back_while_it_runs_plays_the_rest_again(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str
) -> None:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as address, http_client(address) as api:
        async with working(client, engine, task_queue, api_url=address):
            (depot_id,) = await make_depots(address, 1)
            _, expected = await run_scenario(api, depot_id, "quick-look")
            run_id = await begin(api, depot_id, "quick-look", time_scale=0.01)
        async with restored(engine, *RUN_TABLES), working(client, engine, task_queue, api_url=address):

            async def sent_some() -> bool:
                return (await read(api, run_id))["steps_done"] >= 2

            await until(sent_some)
        async with working(client, engine, task_queue, api_url=address):
            assert (await ended(api, run_id))["outcome"] == "PASSED"
            assert await evidence_of(api, run_id) == expected


async def test_a_backfill_that_was_set_back_ends(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    for number in range(6):
        await make_depot(engine, "Feed", name=f"Depot {number}")
    made = (await api.post("/api/backfills", json={"page_size": 2})).json()
    row = Row("backfill", UUID(made["backfill_id"]), "/api/backfills")

    async def completed() -> bool:
        return (await listed(api, row))["state"] == "COMPLETED"

    async with working(client, engine, task_queue):
        async with restored(engine, *BACKFILL_TABLES):
            await until(completed)
        shown = await listed(api, row)
        assert (shown["state"], shown["depots_done"]) == ("FAILED", 0)
        assert shown["failure"].startswith("3 of its 3 pages are not in this database")
        # Another one does what is missing.
        made = (await api.post("/api/backfills", json={"page_size": 2})).json()
        row = replace(row, row_id=UUID(made["backfill_id"]))
        await until(completed)


async def test_a_backfill_whose_pages_were_set_back_while_it_ran_says_so(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    for number in range(6):
        await make_depot(engine, "Feed", name=f"Depot {number}")
    made = (await api.post("/api/backfills", json={"page_size": 2})).json()
    row = Row("backfill", UUID(made["backfill_id"]), "/api/backfills")
    await api.post(f"/api/backfills/{row.row_id}/pause")
    async with restored(engine, *BACKFILL_TABLES), engine.begin() as held, make_worker(client, engine, task_queue):
        # One page gets through; the rest waits for the last depot.
        await held.execute(text("SELECT 1 FROM depots ORDER BY id DESC LIMIT 1 FOR UPDATE"))
        await api.post(f"/api/backfills/{row.row_id}/resume")

        async def some() -> bool:
            return (await listed(api, row))["depots_done"] >= 2

        await until(some)
    async with make_worker(client, engine, task_queue):

        async def over() -> dict[str, Any] | None:
            shown = await listed(api, row)
            return shown if shown["finished_at"] else None

        shown = await until(over)
    assert shown["state"] == "FAILED"
    assert "of its 3 pages are not in this database" in shown["failure"]
    described = await client.get_workflow_handle(row.workflow_id).describe()
    assert described.typed_search_attributes[OUTCOME] == "FAILED"


# The row has ended, or was never there, and the workflow goes on


@pytest.mark.parametrize("kind", ["run", "backfill"])
@pytest.mark.usefixtures("ends")
async def test_a_workflow_without_a_row_is_asked_to_end(
    engine: AsyncEngine, client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    absent = Row(kind, uuid4(), "")
    queue = queue_of(task_queue, Work.SIMULATION if kind == "run" else Work.JOBS)
    other = Row(kind, uuid4(), "")

    async def stopped() -> bool:
        return (await audit(engine, client, task_queue)).stopped == 1

    async with Worker(client, task_queue=queue, workflows=[Ends]):
        await bring_about(client, queue, absent, "RUNNING")
        await bring_about(client, f"{task_queue}-other", other, "RUNNING")
        # It may be that its row is only being written.
        assert (await audit(engine, client, task_queue)).stopped == 0
        monkeypatch.setattr(job_endings, "GRACE", timedelta(0))
        await until(stopped)
        await client.get_workflow_handle(absent.workflow_id).result()
    # Somebody else's stays.
    assert await has_status(client.get_workflow_handle(other.workflow_id), "RUNNING")
    await client.get_workflow_handle(other.workflow_id).terminate()


@pytest.mark.parametrize("fate", ["ended", "forgotten"])
async def test_no_page_is_done_for_a_backfill_that_has_ended(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient, fate: str
) -> None:
    await make_depot(engine, "Feed")
    made = (await api.post("/api/backfills", json={})).json()
    row = Row("backfill", UUID(made["backfill_id"]), "/api/backfills")
    request = BackfillRequest(row.row_id, dry_run=False, page_size=10, requested_by="tester")
    async with engine.begin() as connection:
        if fate == "ended":
            done = {"state": JobState.CANCELLED, "finished_at": text("now()")}
            await connection.execute(update(backfills).where(backfills.c.id == row.row_id).values(**done))
        else:
            await connection.execute(text("DELETE FROM backfills"))
    page = PageRequest(request, PageBounds(0, None, UUID(int=2**128 - 1)))
    with pytest.raises(Problem) as refused:
        await ActivityEnvironment().run(BackfillActivities(engine).run_page, page)
    assert refused.value.code == ("BACKFILL_NOT_RUNNING" if fate == "ended" else "BACKFILL_NOT_FOUND")
    if fate == "ended":
        # Its workflow does not try for ever.
        async with make_worker(client, engine, task_queue):
            with pytest.raises(WorkflowFailureError):
                await client.get_workflow_handle(row.workflow_id).result()
    async with engine.connect() as connection:
        made_there = await connection.execute(text("SELECT count(*) FROM microgrids"))
        assert made_there.scalar_one() == 0


async def test_an_end_waits_for_the_page_that_is_under_way(engine: AsyncEngine) -> None:
    row = await make_row(engine, "backfill", "RUNNING", done=0)
    await make_depot(engine, "Feed")
    request = BackfillRequest(row.row_id, dry_run=False, page_size=10, requested_by="tester")
    steps = BackfillActivities(engine)
    async with engine.begin() as held:
        await held.execute(text("SELECT 1 FROM depots FOR UPDATE"))
        page = asyncio.create_task(
            ActivityEnvironment().run(steps.run_page, PageRequest(request, PageBounds(0, None, UUID(int=2**128 - 1))))
        )
        await until(lambda: waiting(engine, 1))
        end = asyncio.create_task(ActivityEnvironment().run(steps.end, EndRequest(request, JobState.CANCELLED)))
        await until(lambda: waiting(engine, 2))
    assert (await page).created == 1
    assert await end == JobState.CANCELLED


async def waiting(engine: AsyncEngine, count: int) -> bool:
    async with engine.connect() as connection:
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return (await connection.execute(query)).scalar_one() == count


# Paused or not


async def test_a_pause_that_a_restored_row_does_not_know_is_noted(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await make_depot(engine, "Feed")
    made = (await api.post("/api/backfills", json={})).json()
    row = Row("backfill", UUID(made["backfill_id"]), "/api/backfills")
    await api.post(f"/api/backfills/{row.row_id}/pause")

    async def shows(state: str) -> bool:
        return (await listed(api, row))["state"] == state

    async with working(client, engine, task_queue):
        async with restored(engine, "backfills"):
            await until(lambda: shows("PAUSED"))
        assert await shows("RUNNING")
        assert (await audit(engine, client, task_queue)).noted == 1
        assert await shows("PAUSED")
        assert (await audit(engine, client, task_queue)).noted == 0
        await api.post(f"/api/backfills/{row.row_id}/resume")
        await until(lambda: shows("COMPLETED"))


def test_all_pairs_are_in_the_documentation() -> None:
    told = (Path(__file__).parent.parent.parent / "docs" / "system-design" / "ends.md").read_text()
    for status in job_endings.WorkflowStatus:
        assert f"| {status} |" in told

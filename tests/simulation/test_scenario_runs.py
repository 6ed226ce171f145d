"""Scenario runs on the product itself: through packet ingest over HTTP, looked at over HTTP, evidence to the byte."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn
from uuid import UUID, uuid4
from xml.etree.ElementTree import fromstring

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client

from activities import scenario_run
from activities.manage_api import ManageApi, UnavailableError
from cli.client import Api
from cli.commands.simulation_site import provision
from domain.simulation.scenario_runs import SCENARIO_RUN, ScenarioRunInput, ScenarioRunRequest
from runtime.search_attributes import DEPOT_ID, JOB_KIND, OUTCOME
from runtime.settings import Settings
from sim_scenarios.evidence.evidence import read_evidence
from sim_scenarios.runs.library import preset_names, preset_text
from store.base.database import transaction
from store.simulation.run_steps import StepTakenOverError, list_stamps, renew_stamps, store_stamps
from store.simulation.scenario_runs import read_run
from tests.factories.equipped_depots import problem
from tests.factories.scenario_sites import (
    HEARTBEAT_SECONDS,
    allow_simulation,
    begin,
    ended,
    evidence_of,
    make_depots,
    read,
    run_scenario,
)
from tests.factories.sites import controller_site
from tests.helpers.live import http_client, make_worker, serving, working
from tests.helpers.support import ACTOR, until
from worker import make_token
from workflows.launch import scenario_run_handle
from workflows.scenario_run import ScenarioRunWorkflow


@dataclass(frozen=True)
class Product:
    """The product on a real port."""

    api: httpx.AsyncClient
    address: str
    client: Client
    engine: AsyncEngine
    task_queue: str

    def working(self) -> AbstractAsyncContextManager[None]:
        """Its worker."""
        return working(self.client, self.engine, self.task_queue, api_url=self.address)


@pytest_asyncio.fixture
async def product(engine: AsyncEngine, client: Client, database_url: str, task_queue: str) -> AsyncGenerator[Product]:
    """The product without a worker."""
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as address, http_client(address) as api:
        yield Product(api, address, client, engine, task_queue)


@pytest_asyncio.fixture
async def live(product: Product) -> AsyncGenerator[httpx.AsyncClient]:
    """The product with its worker."""
    async with product.working():
        yield product.api


BARE = {"name": "Bare", "timezone": "Etc/UTC", "allows_simulation": True, "circuits": [{"name": "Feed"}]}


def unmet(evidence: bytes) -> list[str]:
    """The expectations that failed."""
    return [each["words"] for step in read_evidence(evidence).steps for each in step["checks"] if not each["passed"]]


@pytest.mark.acceptance("COR-40.1", "COR-40.6", "COR-40.7", "COR-40.8", "COR-40.9")
async def test_every_preset_passes_twice_with_the_same_bytes(live: httpx.AsyncClient) -> None:
    names = preset_names()
    depots = await make_depots(str(live.base_url), len(names))
    gateways = (await live.get("/api/gateways", params={"limit": 500})).json()["items"]
    assert [each["site_model_name"] for each in gateways] == [None] * len(names)

    # A packet that waits longer for its turn than the heartbeat threshold is stale, as it should be.
    places = asyncio.Semaphore(4)

    async def twice(name: str, depot_id: str) -> None:
        async with places:
            first, one = await run_scenario(live, depot_id, name)
            second, other = await run_scenario(live, depot_id, name)
        assert unmet(one) == []
        assert (first["state"], first["outcome"], first["failure"]) == ("COMPLETED", "PASSED", None)
        assert one == other
        assert first["evidence_sha256"] == second["evidence_sha256"] == hashlib.sha256(one).hexdigest()

    await asyncio.gather(*(twice(name, depot_id) for name, depot_id in zip(names, depots, strict=True)))


@pytest.mark.acceptance("COR-40.5")
async def test_what_exercises_the_circuit_always_has_heartbeat_and_capacity(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    for name in ("heartbeat", "unavailable"):
        run, evidence = await run_scenario(live, depot_id, name)
        assert run["outcome"] == "PASSED"
        # As the product itself stored them.
        gateway_id = (await live.get("/api/gateways", params={"depot_id": depot_id})).json()["items"][0]["gateway_id"]
        where = {"gateway_id": gateway_id, "limit": len(read_evidence(evidence).steps)}
        for packet in (await live.get("/api/telemetry/packets", params=where)).json()["items"]:
            sensors = {each["sensor_id"]: each["measurands"] for each in packet["document"]["sensors"]}
            answered = [each for each in packet["actions"] if each["action"] == "UPDATE_CIRCUIT_CAPACITY"]
            assert len(answered) == 1
            keys = {each["key"] for each in sensors[answered[0]["sensor_id"]]}
            assert {"AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS"} <= keys


@pytest.mark.acceptance("COR-40.4")
async def test_each_row_of_the_truth_table_is_a_step_that_the_product_was_asked_about(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    _, evidence = await run_scenario(live, depot_id, "bess-operational-mode")
    rows: dict[str, str] = {}
    for step in read_evidence(evidence).steps[:8]:
        checks = {each["subject"]: each for each in step["checks"]}
        asked = checks["power_source/BESS_OPERATIONAL_MODE"]
        assert asked["passed"]
        assert asked["actual"] == step["downstream"]["power_source"]["BESS_OPERATIONAL_MODE"]
        rows[step["name"]] = asked["actual"]
    assert len(rows) == 8
    assert sorted(rows.values()) == ["automatic", "charging", "discharging", "error", "error", "error", "error", "idle"]


# Faults


class LossyApi(ManageApi):
    """An API whose answers get lost, or that is not reached, once for every request; or that everything is slow to."""

    def __init__(self, product: Product, fault: str) -> None:
        super().__init__(product.address, partial(make_token, product.engine))
        self.fault = fault
        self.seen: set[str] = set()
        self.faults = 0

    def once(self, key: str) -> bool:
        first = key not in self.seen
        self.seen.add(key)
        self.faults += first
        return first

    async def post_packets(self, run_id: UUID, packets: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        # A step that is tried again has other timestamps, and is the same step.
        key = json.dumps([{**each, "timestamp": None} for each in packets])
        if self.fault == "not reached" and self.once(key):
            raise UnavailableError("not reached")
        answers = await super().post_packets(run_id, packets)
        if self.fault == "answer lost" and self.once(key):
            raise UnavailableError("the answer was lost")
        return answers

    async def circuit_capacity(self, circuit_id: Any) -> dict[str, Any]:
        if self.fault == "slow" and self.once(str(len(self.seen) % 4)):
            # Longer than the heartbeat threshold: what held when the packets came has passed by now.
            await asyncio.sleep(HEARTBEAT_SECONDS + 0.2)
        return await super().circuit_capacity(circuit_id)


@pytest.mark.acceptance("COR-40.9")
@pytest.mark.parametrize("fault", ["answer lost", "not reached", "slow"])
async def test_a_fault_changes_no_byte(product: Product, fault: str) -> None:
    names = ("late-repeated-shuffled", "heartbeat-silence", "quick-look", "soc-sweep")
    api = product.api
    async with product.working():
        depots = await make_depots(product.address, len(names))
        undisturbed = await asyncio.gather(*(run_scenario(api, depots[n], name) for n, name in enumerate(names)))
    lossy = LossyApi(product, fault)
    async with make_worker(product.client, product.engine, product.task_queue, lossy):
        disturbed = await asyncio.gather(*(run_scenario(api, depots[n], name) for n, name in enumerate(names)))
    await lossy.close()
    assert lossy.faults > 3
    for (expected_run, expected), (run, evidence) in zip(undisturbed, disturbed, strict=True):
        assert run["outcome"] == expected_run["outcome"] == "PASSED"
        assert evidence == expected


async def test_a_step_that_was_held_up_before_it_was_sent_changes_no_byte(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with product.working():
        depot_id, other_id = await make_depots(product.address, 2)
        _, expected = await run_scenario(product.api, depot_id, "quick-look")
        behind_ms = round((HEARTBEAT_SECONDS + 1) * 1000)
        real = scenario_run.store_stamps
        stored: list[dict[int, int]] = []

        async def store(connection: AsyncConnection, run_id: UUID, stamps: dict[int, int]) -> None:
            await real(connection, run_id, stamps)
            # So long the commit took.
            monkeypatch.setattr(scenario_run, "_now_ms", lambda: time.time_ns() // 1_000_000)
            stored.append(stamps)

        monkeypatch.setattr(scenario_run, "_now_ms", lambda: time.time_ns() // 1_000_000 - behind_ms)
        monkeypatch.setattr(scenario_run, "store_stamps", store)
        run, evidence = await run_scenario(product.api, other_id, "quick-look")
    async with product.engine.connect() as connection:
        kept = await list_stamps(connection, UUID(run["run_id"]))
    assert kept[0].stamp_ms - stored[0][0] >= behind_ms
    assert (run["outcome"], evidence == expected) == ("PASSED", True)


async def test_a_try_that_was_taken_over_takes_no_new_stamp(product: Product) -> None:
    async with product.working():
        (depot_id,) = await make_depots(product.address, 1)
        run_id = UUID(await begin(product.api, depot_id, "quick-look"))
        await ended(product.api, str(run_id))
    # Far beyond the last step, where nothing is recorded.
    async with transaction(product.engine, ACTOR) as connection:
        await store_stamps(connection, run_id, {900: 1, 901: 2})
        await store_stamps(connection, run_id, {900: 5, 901: 6})
    with pytest.raises(StepTakenOverError):
        async with transaction(product.engine, ACTOR) as connection:
            await renew_stamps(connection, run_id, {900: 1, 901: 2}, {900: 11, 901: 12})
    async with transaction(product.engine, ACTOR) as connection:
        await renew_stamps(connection, run_id, {900: 5, 901: 6}, {900: 11, 901: 12})


async def test_evidence_is_written_once(product: Product) -> None:
    async with product.working():
        (depot_id,) = await make_depots(product.address, 1)
        run, evidence = await run_scenario(product.api, depot_id, "quick-look")
    for change in ("UPDATE scenario_run_steps SET record = '{}'", "DELETE FROM scenario_run_steps"):
        with pytest.raises(DBAPIError, match="written once"):
            async with product.engine.begin() as connection:
                await connection.execute(text(change))
    assert await evidence_of(product.api, run["run_id"]) == evidence


# Steering


SLOW = {"time_scale": 0.01}
"""Of peak-shaving: more than half a second a step."""


async def steps_done(api: httpx.AsyncClient, run_id: str, wanted: int) -> int:
    async def check() -> int | None:
        done: int = (await read(api, run_id))["steps_done"]
        return done if done >= wanted else None

    return await until(check)


async def in_state(api: httpx.AsyncClient, run_id: str, state: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        run = await read(api, run_id)
        return run if run["state"] == state else None

    return await until(check)


async def test_a_run_is_paused_and_goes_on_with_the_same_evidence(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    _, expected = await run_scenario(live, depot_id, "quick-look")
    run_id = await begin(live, depot_id, "quick-look", time_scale=0.02)
    await steps_done(live, run_id, 1)
    assert (await live.post(f"/api/scenario-runs/{run_id}/pause")).status_code == 202
    paused = await in_state(live, run_id, "PAUSED")
    assert paused["outcome"] is None
    assert paused["steps_done"] < paused["steps_total"]
    # Longer than the heartbeat threshold, so that the circuit has its fail-safe in between.
    capacity = await until(lambda: fail_safe(live, depot_id))
    assert capacity["reason"] == "NO_PACKET"
    assert (await read(live, run_id))["steps_done"] == paused["steps_done"]
    assert (await live.post(f"/api/scenario-runs/{run_id}/resume")).status_code == 202
    assert (await ended(live, run_id))["outcome"] == "PASSED"
    assert await evidence_of(live, run_id) == expected
    refused = await live.post(f"/api/scenario-runs/{run_id}/pause")
    assert problem(refused) == (409, "RUN_NOT_RUNNING")


async def fail_safe(api: httpx.AsyncClient, depot_id: str) -> dict[str, Any] | None:
    circuits = (await api.get(f"/api/depots/{depot_id}/circuits")).json()["items"]
    held = [each["capacity"] for each in circuits if each["capacity"] is not None]
    return held[0] if held[0]["mode"] == "FAIL_SAFE" else None


async def test_a_cancelled_run_keeps_what_it_proved(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    run_id = await begin(live, depot_id, "peak-shaving", **SLOW)
    await steps_done(live, run_id, 2)
    partial = read_evidence(await evidence_of(live, run_id))
    assert partial.result["outcome"] == "INCOMPLETE"
    # One at a time in a depot.
    refused = await live.post("/api/scenario-runs", json={"depot_id": depot_id, "scenario": "quick-look"})
    assert problem(refused) == (409, "RUN_IN_PROGRESS")
    assert refused.json()["context"] == {"run_id": run_id}
    assert (await live.post(f"/api/scenario-runs/{run_id}/cancel")).status_code == 202
    run = await ended(live, run_id)
    assert (run["state"], run["outcome"]) == ("CANCELLED", "INCOMPLETE")
    evidence = await evidence_of(live, run_id)
    found = read_evidence(evidence)
    assert found.sha256 == run["evidence_sha256"]
    assert found.steps[: len(partial.steps)] == partial.steps
    assert found.result["steps"] == run["steps_done"] < run["steps_total"]
    report = await live.get(f"/api/scenario-runs/{run_id}/report.xml")
    assert fromstring(report.content).attrib["errors"] == "1"
    # The depot is free again.
    assert (await run_scenario(live, depot_id, "quick-look"))[0]["outcome"] == "PASSED"


async def test_the_time_scale_changes_no_byte(live: httpx.AsyncClient) -> None:
    depots = await make_depots(str(live.base_url), 3)
    found = await asyncio.gather(
        *(
            run_scenario(live, depot, "quick-look", time_scale=scale)
            for depot, scale in zip(depots, (0, 0.004, 0.02), strict=True)
        )
    )
    assert len({evidence for _, evidence in found}) == 1
    assert [run["outcome"] for run, _ in found] == ["PASSED"] * 3


async def test_a_long_run_continues_as_new(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    async with product.working():
        (depot_id,) = await make_depots(product.address, 1)
        _, expected = await run_scenario(product.api, depot_id, "quick-look")
    run_id = await begin(product.api, depot_id, "quick-look", time_scale=0.001)
    # Nobody has begun with it: start it again, with a history of one step each.
    await scenario_run_handle(product.client, UUID(run_id)).terminate()
    async with product.engine.connect() as connection:
        record = await read_run(connection, UUID(run_id))
    request = ScenarioRunRequest(
        record.run_id, record.depot_id, record.scenario, record.steps_total, record.time_scale, record.requested_by
    )
    await product.client.start_workflow(
        ScenarioRunWorkflow.run,
        ScenarioRunInput(request, plays_a_run=1),
        id=SCENARIO_RUN.workflow_id(record.run_id),
        task_queue=product.task_queue,
    )
    async with product.working():
        assert (await ended(product.api, run_id))["outcome"] == "PASSED"
    assert await evidence_of(product.api, run_id) == expected
    runs = [
        run async for run in product.client.list_workflows(f"WorkflowId = '{SCENARIO_RUN.workflow_id(record.run_id)}'")
    ]
    assert len(runs) > 4


# Refusals


async def test_a_depot_that_lacks_what_is_driven_is_refused_with_what_to_do(live: httpx.AsyncClient) -> None:
    made = await live.post("/api/depots", json=BARE)
    depot_id = made.json()["depot_id"]
    body = {"depot_id": depot_id, "scenario": "quick-look"}
    refused = await live.post("/api/scenario-runs", json=body)
    assert problem(refused) == (409, "SCENARIO_NOT_CONFIGURED")
    assert {each["code"] for each in refused.json()["context"]["missing"]} >= {"NO_CONTROLLER"}
    assert all(each["to_do"] for each in refused.json()["context"]["missing"])
    # Without a controller there is nothing to send.
    assert problem(await live.post("/api/scenario-runs", json={**body, "force": True})) == (
        409, "SCENARIO_NOT_CONFIGURED",
    )  # fmt: skip
    async with Api(str(live.base_url)) as api:
        done = await provision(api, depot_id)
        assert len(done) > 5
        assert await provision(api, depot_id) == []
    run, evidence = await run_scenario(live, depot_id, "quick-look")
    assert run["outcome"] == "PASSED", unmet(evidence)


async def test_what_is_missing_may_be_left_out_by_force(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    controller = next(
        each
        for each in (await live.get("/api/devices", params={"depot_id": depot_id})).json()["items"]
        if each["sensor_id"] == "mgc-1"
    )
    actions = (await live.get(f"/api/devices/{controller['device_id']}/sensor-actions")).json()["items"]
    state = next(each for each in actions if each["action"] == "UPDATE_POWER_SOURCE_STATE")
    await live.patch(f"/api/sensor-actions/{state['sensor_action_id']}", json={"enabled": False})
    body = {"depot_id": depot_id, "scenario": "quick-look"}
    assert problem(await live.post("/api/scenario-runs", json=body)) == (409, "SCENARIO_NOT_CONFIGURED")
    run, evidence = await run_scenario(live, depot_id, "quick-look", force=True)
    assert [each["code"] for each in run["warnings"]] == ["NO_ACTION", "THRESHOLD_TOO_SHORT"]
    assert run["outcome"] == "FAILED"
    assert all(words.startswith("power_source") for words in unmet(evidence))
    report = fromstring((await live.get(f"/api/scenario-runs/{run['run_id']}/report.xml")).content)
    assert int(report.attrib["failures"]) == run["checks_failed"] == len(unmet(evidence))


async def test_a_wrong_scenario_is_refused_with_lines(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    text = preset_text("heartbeat").replace("every: 60s", "every: 7q")
    refused = await live.post("/api/scenario-runs", json={"depot_id": depot_id, "text": text})
    assert problem(refused) == (422, "INVALID_SCENARIO")
    (found,) = refused.json()["context"]["violations"]
    assert (found["line"], found["pointer"], found["code"]) == (8, "/every", "WRONG_FORM")
    unknown = {"depot_id": depot_id, "scenario": "nowhere"}
    assert problem(await live.post("/api/scenario-runs", json=unknown)) == (404, "SCENARIO_NOT_FOUND")
    nowhere = {"depot_id": str(uuid4()), "scenario": "quick-look"}
    assert problem(await live.post("/api/scenario-runs", json=nowhere)) == (404, "DEPOT_NOT_FOUND")
    both = {"depot_id": depot_id, "scenario": "quick-look", "text": text}
    assert problem(await live.post("/api/scenario-runs", json=both)) == (422, "INVALID_REQUEST")
    assert problem(await live.get(f"/api/scenario-runs/{uuid4()}/evidence")) == (404, "RUN_NOT_FOUND")


async def test_without_temporal_no_run_is_left_behind(
    database_url: str, monkeypatch: pytest.MonkeyPatch, engine: AsyncEngine
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    site = await controller_site(engine)
    await allow_simulation(engine, site.depot_id)
    async with (
        serving(Settings(database_url=SecretStr(database_url))) as address,
        http_client(address) as api,
    ):
        body = {"depot_id": str(site.depot_id), "scenario": "quick-look", "force": True}
        assert problem(await api.post("/api/scenario-runs", json=body, timeout=30)) == (503, "TEMPORAL_UNAVAILABLE")
        assert (await api.get("/api/scenario-runs")).json()["items"] == []


async def test_a_run_whose_gateway_goes_ends_and_says_why(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    run_id = await begin(live, depot_id, "peak-shaving", **SLOW)
    await steps_done(live, run_id, 1)
    gateway_id = (await live.get("/api/gateways", params={"depot_id": depot_id})).json()["items"][0]["gateway_id"]
    await live.delete(f"/api/gateways/{gateway_id}", params={"cascade": True})
    run = await ended(live, run_id)
    assert (run["state"], run["outcome"]) == ("FAILED", "INCOMPLETE")
    assert "UNKNOWN_DEVICE" in run["failure"]


async def test_a_run_whose_workflow_is_gone_is_ended(live: httpx.AsyncClient, product: Product) -> None:
    (depot_id,) = await make_depots(product.address, 1)
    run_id = await begin(live, depot_id, "peak-shaving", **SLOW)
    await steps_done(live, run_id, 1)
    await scenario_run_handle(product.client, UUID(run_id)).terminate()
    # It does not stand in the way of the next one.
    assert (await run_scenario(live, depot_id, "quick-look"))[0]["outcome"] == "PASSED"
    run = await read(live, run_id)
    assert (run["state"], run["outcome"], run["failure"]) == ("FAILED", "INCOMPLETE", "Its workflow was terminated.")
    assert hashlib.sha256(await evidence_of(live, run_id)).hexdigest() == run["evidence_sha256"]


# What is left of it


async def test_a_run_is_read_in_every_form(live: httpx.AsyncClient, product: Product) -> None:
    (depot_id,) = await make_depots(product.address, 1)
    run, evidence = await run_scenario(live, depot_id, "quick-look", seed=7)
    run_id = run["run_id"]
    other, _ = await run_scenario(live, depot_id, "quick-look", seed=8)

    answer = await live.get(f"/api/scenario-runs/{run_id}/evidence")
    digest = hashlib.sha256(evidence).hexdigest()
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert (answer.headers["etag"], answer.headers["x-evidence-sha256"]) == (f'"{digest}"', digest)
    assert b64encode(bytes.fromhex(digest)).decode() in answer.headers["repr-digest"]

    pages: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await live.get(f"/api/scenario-runs/{run_id}/steps", params={"limit": 2, **cursor})).json()
        pages += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [each["record"] for each in pages] == list(read_evidence(evidence).steps)

    html = await live.get(f"/api/scenario-runs/{run_id}/report.html")
    assert digest in html.text
    assert "sandbox" in html.headers["content-security-policy"]
    report = fromstring((await live.get(f"/api/scenario-runs/{run_id}/report.xml")).content)
    assert report.attrib["failures"] == "0"
    assert int(report.attrib["tests"]) == run["checks_passed"]

    same = (await live.get(f"/api/scenario-runs/{run_id}/diff/{run_id}")).json()
    assert (same["same"], same["items"]) == (True, [])
    differs = (await live.get(f"/api/scenario-runs/{run_id}/diff/{other['run_id']}")).json()
    assert not differs["same"]
    assert {"record": "run", "field": "/seed", "first": 7, "second": 8}.items() <= differs["items"][0].items()

    listed = (await live.get("/api/scenario-runs", params={"depot_id": depot_id})).json()["items"]
    assert [each["run_id"] for each in listed] == [other["run_id"], run_id]
    assert listed[1] == await read(live, run_id)
    described = await scenario_run_handle(product.client, UUID(run_id)).describe()
    attributes = described.typed_search_attributes
    assert (attributes[JOB_KIND], attributes[DEPOT_ID], attributes[OUTCOME]) == ("SCENARIO", depot_id, "PASSED")


async def test_the_presets_are_listed(live: httpx.AsyncClient) -> None:
    found = (await live.get("/api/scenarios")).json()["items"]
    assert [each["name"] for each in found] == list(preset_names())
    one = (await live.get("/api/scenarios/quick-look")).json()
    assert one["text"] == preset_text("quick-look")
    assert (one["steps"], one["duration"], one["needs"]) == (5, "4m", ["controller", "meter"])
    assert problem(await live.get("/api/scenarios/nowhere")) == (404, "SCENARIO_NOT_FOUND")


async def test_a_run_that_is_asked_for_twice_is_one(product: Product) -> None:
    async with product.working():
        (depot_id,) = await make_depots(product.address, 1)
    mine = {"idempotency-key": str(uuid4())}
    body = {"depot_id": depot_id, "scenario": "heartbeat"}
    first, again = [await product.api.post("/api/scenario-runs", json=body, headers=mine) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 202), again.text
    run_id = first.json()["run_id"]
    assert again.json()["run_id"] == run_id
    # Whoever lost the answer before the workflow was started has it started by asking again.
    handle = scenario_run_handle(product.client, UUID(run_id))
    await handle.terminate()
    assert (await product.api.post("/api/scenario-runs", json=body, headers=mine)).json()["run_id"] == run_id
    assert [each["run_id"] for each in (await product.api.get("/api/scenario-runs")).json()["items"]] == [run_id]
    other = await product.api.post("/api/scenario-runs", json=body | {"seed": 7}, headers=mine)
    assert other.status_code in (409, 422)


async def test_a_run_that_could_not_begin_leaves_its_key_unused(
    product: Product, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with product.working():
        (depot_id,) = await make_depots(product.address, 1)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    settings = Settings(database_url=SecretStr(database_url))
    mine = {"idempotency-key": str(uuid4())}
    body = {"depot_id": depot_id, "scenario": "heartbeat"}
    async with serving(settings) as address, http_client(address) as api:
        for _ in range(2):
            answer = await api.post("/api/scenario-runs", json=body, headers=mine)
            assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORAL_UNAVAILABLE")
        assert (await api.get("/api/scenario-runs")).json()["items"] == []
    assert (await product.api.post("/api/scenario-runs", json=body, headers=mine)).status_code == 202


@pytest.mark.parametrize("step", ["read_script", "store_stamps", "write_records"])
async def test_a_step_that_cannot_succeed_is_tried_once_and_ends_the_run(
    product: Product, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    tries = 0

    async def fail(*_: object, **__: object) -> NoReturn:
        nonlocal tries
        tries += 1
        raise TypeError("unsupported operand")

    async with product.working():
        (depot_id,) = await make_depots(product.address, 1)
        monkeypatch.setattr(f"activities.scenario_run.{step}", fail)
        run_id = await begin(product.api, depot_id, "quick-look")
        run = await ended(product.api, run_id)
        assert (run["state"], run["outcome"], tries) == ("FAILED", "INCOMPLETE", 1)
        assert "unsupported operand" in run["failure"]
        page = (await product.api.get(f"/scenario-runs/{run_id}", headers={"accept": "text/html"})).text
        assert "The run was aborted." in page
        assert "unsupported operand" in page
        # Nothing of it stands in the way of the next.
        monkeypatch.undo()
        _, evidence = await run_scenario(product.api, depot_id, "quick-look")
        assert unmet(evidence) == []

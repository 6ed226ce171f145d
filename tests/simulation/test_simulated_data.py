"""All that packets of a run bring about says which run it was, until what is no simulated one has taken its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from alembic import command
from pydantic import SecretStr
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.access.principals import LOCAL_PRINCIPAL, WORKER_PRINCIPAL, Grant
from domain.access.roles import Role
from runtime.settings import Settings
from store.migrate import alembic_config, upgrade
from store.simulation.tables import scenario_runs
from tests.access.sites import WHO, asked_as, person, told
from tests.factories.packets import PATH
from tests.factories.scenario_sites import make_depots, run_scenario
from tests.factories.sites import controller_site, milliseconds, packet
from tests.helpers.live import http_client, serving, working

TABLES = (
    "packets", "device_readings", "capability_events", "capability_latest", "capacity_events", "circuit_capacities",
    "power_source_readings",
)  # fmt: skip


@pytest_asyncio.fixture
async def live(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str
) -> AsyncGenerator[httpx.AsyncClient]:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with (
        serving(settings) as there,
        working(client, engine, task_queue, api_url=there),
        http_client(there) as api,
    ):
        yield api


async def runs_in(engine: AsyncEngine, table: str, where: str = "true") -> set[UUID | None]:
    """The runs that rows of a table say they are of; None: there are rows of none."""
    async with engine.connect() as connection:
        query = text(f"SELECT DISTINCT scenario_run_id FROM {table} WHERE {where}")
        return set((await connection.execute(query)).scalars())


async def send(
    api: httpx.AsyncClient,
    gateway_id: str,
    *,
    outcome: str = "APPLIED",
    **sensors: Mapping[str, tuple[Any, str | None]],
) -> None:
    """Send a packet as the depot's real gateway does."""
    body = {
        "device_id": gateway_id,
        "timestamp": milliseconds(),
        "sensors": [
            {
                "sensor_id": sensor_id.replace("_", "-"),
                "measurands": [{"key": key, "value": value, "unit": unit} for key, (value, unit) in given.items()],
            }
            for sensor_id, given in sensors.items()
        ],
    }
    answer = (await api.post(PATH, json=[body])).json()["items"][0]
    assert {each["outcome"] for each in answer["actions"]} >= {outcome}, answer


async def test_what_a_run_sends_is_marked_until_real_values_replace_it(
    live: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    run, _ = await run_scenario(live, depot_id, "quick-look")
    run_id = UUID(run["run_id"])
    for table in TABLES:
        # Before the first packet of the run, its circuit waited for one.
        where = "mode <> 'AWAITING'" if table == "capacity_events" else "true"
        assert await runs_in(engine, table, where) == {run_id}, table
    gateway_id = (await live.get("/api/gateways", params={"depot_id": depot_id})).json()["items"][0]["gateway_id"]

    # Another run takes the place of the first; the histories have both.
    second, _ = await run_scenario(live, depot_id, "quick-look", seed=2)
    for table in ("capability_latest", "circuit_capacities", "power_source_readings"):
        assert await runs_in(engine, table) == {UUID(second["run_id"])}, table
    assert await runs_in(engine, "packets") == {run_id, UUID(second["run_id"])}

    # The real controller reports one of two capabilities, and nothing of the circuit yet.
    await send(live, gateway_id, mgc_1={"LIMIT_PEAK_SHAVING": ("true", None), "SOC": (50, "%")})
    assert await runs_in(engine, "capability_latest", "capability = 'PEAK_SHAVING'") == {None}
    assert await runs_in(engine, "capability_latest", "capability = 'DER'") == {UUID(second["run_id"])}
    assert await runs_in(engine, "power_source_readings", "measurand = 'SOC'") == {None}
    assert await runs_in(engine, "power_source_readings", "measurand <> 'SOC'") == {UUID(second["run_id"])}
    assert await runs_in(engine, "circuit_capacities") == {UUID(second["run_id"])}
    given = {"HEARTBEAT_STATUS": ("ok", None), "AVAILABLE_CHARGING_CAPACITY": (500_000, "W")}
    await send(live, gateway_id, mgc_1={**given, "LIMIT_DER_EXPORT": ("false", None)})
    assert await runs_in(engine, "capability_latest") == {None}
    assert await runs_in(engine, "circuit_capacities") == {None}
    latest = "at = (SELECT max(at) FROM capacity_events)"
    assert await runs_in(engine, "capacity_events", latest) == {None}
    assert None in await runs_in(engine, "packets")


async def test_where_devices_really_report_a_run_needs_the_depots_name(live: httpx.AsyncClient) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    # What a run sent is no real report.
    await run_scenario(live, depot_id, "quick-look")
    await run_scenario(live, depot_id, "quick-look")
    gateway_id = (await live.get("/api/gateways", params={"depot_id": depot_id})).json()["items"][0]["gateway_id"]
    await send(live, gateway_id, mgc_1={"SOC": (50, "%")})
    body = {"depot_id": depot_id, "scenario": "quick-look"}
    for given in ({}, {"confirm_depot_name": "Another depot"}):
        refused = await live.post("/api/scenario-runs", json=body | given)
        assert told(refused) == (409, "SIMULATION_NOT_CONFIRMED")
    context = refused.json()["context"]
    last = {each["name"]: each["last_real_at"] is not None for each in context["devices"]}
    assert last["Simulated microgrid controller"] is True
    assert sum(last.values()) == 1
    assert context["capabilities"] == ["DER", "PEAK_SHAVING"]
    assert [each["name"] for each in context["circuits"]] == ["Charging"]
    run, _ = await run_scenario(live, depot_id, "quick-look", confirm_depot_name="Simulation depot 0")
    assert run["outcome"] == "PASSED"


async def test_the_migration_marks_what_runs_had_sent(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str
) -> None:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with (
        serving(settings) as there,
        working(client, engine, task_queue, api_url=there),
        http_client(there) as api,
    ):
        (depot_id,) = await make_depots(there, 1)
        await run_scenario(api, depot_id, "quick-look")
        await run_scenario(api, depot_id, "quick-look", seed=2)
    site = await controller_site(engine)
    async with engine.connect() as connection:
        marked = [(await connection.execute(text(_MARKS.format(table)))).all() for table in TABLES]
    await engine.dispose()
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), "0022")
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO packets (gateway_id, depot_id, observed_at, received_at, document, answers)
                SELECT :gateway_id, :depot_id, now(), now(), '{}', '[]'
            """),
            {"gateway_id": site.gateway_id, "depot_id": site.depot_id},
        )
    await asyncio.to_thread(upgrade, database_url)
    async with engine.connect() as connection:
        for table, before in zip(TABLES, marked, strict=True):
            after = (await connection.execute(text(_MARKS.format(table)))).all()
            expected = [*before, (None, 1)] if table == "packets" else before
            assert after == expected, table
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text("UPDATE packets SET scenario_run_id = NULL"))


_MARKS = "SELECT scenario_run_id, count(*) FROM {} GROUP BY 1 ORDER BY 1 NULLS LAST"


async def test_the_end_of_what_is_simulated_is_an_event_of_the_capacity_by_itself(
    live: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    await run_scenario(live, depot_id, "quick-look")
    circuits = (await live.get(f"/api/depots/{depot_id}/circuits")).json()["items"]
    (circuit,) = [each["circuit_id"] for each in circuits if each["name"] == "Charging"]
    held = (await live.get(f"/api/circuits/{circuit}/capacity")).json()
    assert held["mode"] == "CONTROLLER"
    gateway_id = (await live.get("/api/gateways", params={"depot_id": depot_id})).json()["items"][0]["gateway_id"]
    given = {"HEARTBEAT_STATUS": ("ok", None), "AVAILABLE_CHARGING_CAPACITY": (held["capacity_w"], "W")}
    await send(live, gateway_id, mgc_1=given)
    async with engine.connect() as connection:
        query = text("SELECT mode, capacity_w, scenario_run_id IS NULL FROM capacity_events ORDER BY at DESC, id DESC")
        steps = [tuple(row) for row in await connection.execute(query)]
    # The same capacity, and no simulated one any more.
    assert steps[:2] == [("CONTROLLER", held["capacity_w"], True), ("CONTROLLER", held["capacity_w"], False)]


async def test_nobody_but_the_worker_sends_packets_of_a_run_and_it_sends_no_others(
    live: httpx.AsyncClient, engine: AsyncEngine, database_url: str
) -> None:
    depot_id, other = await make_depots(str(live.base_url), 2)
    run, _ = await run_scenario(live, depot_id, "quick-look")
    run_id = run["run_id"]
    gateways = {
        each: (await live.get("/api/gateways", params={"depot_id": each})).json()["items"][0]["gateway_id"]
        for each in (depot_id, other)
    }
    site = await controller_site(engine)
    mine = packet(site, LIMIT_PEAK_SHAVING="true") | {"device_id": gateways[depot_id]}
    principals = {
        "worker": WORKER_PRINCIPAL,
        "local": LOCAL_PRINCIPAL,
        "person": person(Grant(Role.ADMINISTRATOR), Grant(Role.GATEWAY)),
    }
    async with asked_as(database_url, principals) as caller:

        async def claim(who: str, run: str | None, given: dict[str, Any]) -> tuple[int, str | None]:
            headers = {WHO: who} | ({"Scenario-Run": run} if run is not None else {})
            return told(await caller.post(PATH, json=given, headers=headers))

        for who in ("local", "person"):
            assert await claim(who, run_id, mine) == (403, "NOT_PERMITTED")
            assert (await claim(who, None, mine))[0] == 200
        assert await claim("worker", None, mine) == (403, "NOT_PERMITTED")
        assert await claim("worker", "a run", mine) == (403, "NOT_PERMITTED")
        # A run that has ended sends nothing more.
        assert await claim("worker", run_id, mine) == (409, "RUN_NOT_RUNNING")
        async with engine.begin() as connection:
            going_on = {"state": "RUNNING", "finished_at": None, "outcome": None}
            await connection.execute(update(scenario_runs).values(**going_on))
        assert await claim("worker", run_id, mine | {"device_id": gateways[other]}) == (403, "FOREIGN_GATEWAY")
        assert (await claim("worker", run_id, mine))[0] == 200
    async with engine.connect() as connection:
        query = "SELECT scenario_run_id::text FROM packets WHERE gateway_id = :id ORDER BY id DESC LIMIT 3"
        sent = (await connection.execute(text(query), {"id": gateways[depot_id]})).scalars().all()
    assert sent == [run_id, None, None]


async def test_a_remediation_says_by_whose_packet_it_was_seen_last(
    live: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    (depot_id,) = await make_depots(str(live.base_url), 1)
    devices = (await live.get("/api/devices", params={"depot_id": depot_id})).json()["items"]
    (controller,) = [each for each in devices if each["sensor_id"] == "mgc-1"]
    # Without a circuit the capacity goes nowhere.
    await live.patch(f"/api/devices/{controller['device_id']}", json={"circuit_id": None})
    run, _ = await run_scenario(live, depot_id, "quick-look", force=True)
    assert await runs_in(engine, "remediations") == {UUID(run["run_id"])}
    given = {"HEARTBEAT_STATUS": ("ok", None), "AVAILABLE_CHARGING_CAPACITY": (500_000, "W")}
    await send(live, controller["gateway_id"], outcome="REMEDIATION", mgc_1=given)
    assert await runs_in(engine, "remediations") == {None}

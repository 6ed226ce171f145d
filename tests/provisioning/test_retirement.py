"""Depots are retired with their microgrids and brought back; never two active microgrids, whatever races."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from domain.provisioning.backfill import BackfillRequest, OutcomeCounts, PageBounds, PageRequest
from domain.provisioning.outcomes import SyncOutcome, SyncResult
from domain.site.circuit_capacity import CapacityPolicy
from store.base.database import transaction
from store.provisioning.backfills import begin_backfill, run_page
from store.provisioning.microgrids import reconcile_microgrid
from store.provisioning.retirement import restore_depot, retire_depot
from store.site.circuits import create_circuit, delete_circuit
from tests.factories.equipped_depots import problem
from tests.factories.fleet_lines import circuit, encode, post
from tests.factories.sites import MadeDepot, add_action, controller_site, packet
from tests.helpers.journal import journal
from tests.helpers.support import ACTOR, active_microgrids, assert_follows, circuits_of, make_depot

PACKETS = "/api/telemetry/packets"


async def site_that_reports(engine: AsyncEngine, api: httpx.AsyncClient) -> MadeDepot:
    """Make a site whose controller sent a packet, and whose circuit follows it."""
    site = await controller_site(engine)
    await add_action(
        engine,
        site,
        "UPDATE_CIRCUIT_CAPACITY",
        "AVAILABLE_CHARGING_CAPACITY",
        "HEARTBEAT_STATUS",
        policy=CapacityPolicy(timedelta(seconds=60), 10_000.0),
        follows=site.circuit_ids[0],
    )
    sent = await api.post(PACKETS, json=report(site))
    assert sent.status_code == 200, sent.text
    return site


def report(site: MadeDepot) -> dict[str, object]:
    return packet(
        site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false", AVAILABLE_CHARGING_CAPACITY=50_000.0,
        HEARTBEAT_STATUS="OK",
    )  # fmt: skip


async def act(api: httpx.AsyncClient, depot_id: object, what: str) -> dict[str, object]:
    answer = await api.post(f"/api/depots/{depot_id}/{what}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def sync(engine: AsyncEngine, depot_id: UUID) -> SyncResult:
    async with transaction(engine, ACTOR) as connection:
        return await reconcile_microgrid(connection, ACTOR, depot_id)


async def listed(api: httpx.AsyncClient, **by: str) -> list[str]:
    return [each["depot_id"] for each in (await api.get("/api/depots", params=by)).json()["items"]]


async def test_a_depot_is_retired_with_its_microgrid_and_comes_back_with_it(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site = await site_that_reports(engine, api)
    depot = f"/api/depots/{site.depot_id}"
    retired = await api.post(f"{depot}/retire", headers={"If-Match": '"1"'})
    assert retired.headers["etag"] == '"2"'
    assert retired.json()["retired_at"] is not None
    assert retired.json()["microgrid_id"] is None
    assert problem(await api.get(f"{depot}/microgrid")) == (404, "MICROGRID_NOT_FOUND")
    # Again it is the same; and another version is refused.
    assert (await act(api, site.depot_id, "retire"))["version"] == 2
    assert problem(await api.post(f"{depot}/restore", headers={"If-Match": '"1"'})) == (412, "VERSION_CONFLICT")
    assert await active_microgrids(engine, site.depot_id) == []

    # It is in the list of the retired alone; counts and metrics leave it out.
    assert await listed(api) == await listed(api, search="arrow") == []
    assert (
        await listed(api, retired="true") == await listed(api, retired="true", search="ARROW") == [str(site.depot_id)]
    )
    assert await listed(api, retired="true", search="malvern") == []
    page = (await api.get("/depots")).text
    assert "No depots yet" in page
    assert "Retired" in page

    back = await act(api, site.depot_id, "restore")
    assert (back["version"], back["retired_at"], back["microgrid_id"]) == (3, None, str(site.microgrid_id))
    assert (await act(api, site.depot_id, "restore"))["version"] == 3
    assert await listed(api) == [str(site.depot_id)]
    assert await listed(api, retired="true") == []
    assert (await sync(engine, site.depot_id)).outcome is SyncOutcome.UNCHANGED
    assert (await assert_follows(engine, site.depot_id)).microgrid_id == site.microgrid_id
    # What it showed last is there again.
    latest = (await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status")).json()
    assert [each["status"] for each in latest["items"]] == ["ON", "OFF"]
    assert (await api.post(PACKETS, json=report(site))).status_code == 200
    of_microgrid = {"microgrid_id": str(site.microgrid_id)}
    assert [entry for entry in await journal(engine, str(site.depot_id)) if entry[0] != "DEPOT_CREATED"] == [
        ("DEPOT_RETIRED", "local-administrator", of_microgrid),
        ("DEPOT_RESTORED", "local-administrator", of_microgrid),
    ]


async def test_packets_and_changes_of_a_retired_depot_are_refused(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await site_that_reports(engine, api)
    other = await site_that_reports(engine, api)
    await act(api, site.depot_id, "retire")
    assert problem(await api.post(PACKETS, json=report(site))) == (409, "DEPOT_RETIRED")
    both = (await api.post(PACKETS, json=[report(site), report(other)])).json()["items"]
    assert [each["problem"] and each["problem"]["code"] for each in both] == ["DEPOT_RETIRED", None]
    stored = (await api.get(PACKETS, params={"gateway_id": str(site.gateway_id)})).json()["items"]
    assert len(stored) == 1

    device, of_depot = site.devices["mgc-1"], {"depot_id": str(site.depot_id), "name": "X"}
    action = site.actions["mgc-1", "UPDATE_MICROGRID_STATE"]
    status = {
        "capability": "DER",
        "value": True,
        "observed_at": datetime.now(UTC).isoformat(),
        "provider_event_ref": "1",
    }
    refused = [
        await api.patch(f"/api/depots/{site.depot_id}", json={"name": "Renamed"}),
        await api.post(f"/api/depots/{site.depot_id}/circuits", json={"name": "Feed"}),
        await api.patch(f"/api/circuits/{site.circuit_ids[0]}", json={"name": "Renamed"}),
        await api.delete(f"/api/circuits/{site.circuit_ids[0]}"),
        await api.post("/api/gateways", json=of_depot),
        await api.patch(f"/api/gateways/{site.gateway_id}", json={"name": "Renamed"}),
        await api.post("/api/power-sources", json={**of_depot, "kind": "BATTERY"}),
        await api.patch(f"/api/devices/{device}", json={"name": "Renamed"}),
        await api.delete(f"/api/devices/{device}"),
        await api.patch(f"/api/sensor-actions/{action}", json={"enabled": False}),
        await api.post(f"/api/depots/{site.depot_id}/microgrid/resync"),
        await api.post(f"/api/microgrids/{site.microgrid_id}/capability-status", json=status),
        await api.patch(f"/api/microgrids/{site.microgrid_id}/freshness-thresholds", json={"thresholds": {"DER": 9}}),
    ]
    assert [problem(answer) for answer in refused] == [(409, "DEPOT_RETIRED")] * len(refused)
    # Its history is read as before.
    assert (await api.get(f"/api/depots/{site.depot_id}/circuits")).status_code == 200
    history = await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status/history")
    assert len(history.json()["items"]) == 2
    of_circuit = (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity/history")).json()["items"]
    assert of_circuit[-1]["mode"] == "RELEASED"


async def test_nothing_waits_for_the_controller_of_a_retired_depot(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await site_that_reports(engine, api)
    # A packet that the configuration stops, so that something is open.
    await add_action(engine, site, "UPDATE_POWER_SOURCE_LOAD", "TOTAL_POWER_LOAD")
    assert (await api.post(PACKETS, json=packet(site, TOTAL_POWER_LOAD=7.0))).status_code == 200
    assert len((await api.get("/api/remediations", params={"state": "OPEN"})).json()["items"]) == 1
    await act(api, site.depot_id, "retire")
    assert (await api.get("/api/remediations", params={"state": "OPEN"})).json()["items"] == []
    followed = text("SELECT count(*) FROM circuit_capacities WHERE depot_id = :depot_id")
    async with engine.connect() as connection:
        assert (await connection.execute(followed, {"depot_id": site.depot_id})).scalar_one() == 0
    # It follows again, and waits for a first packet, as a new one does.
    await act(api, site.depot_id, "restore")
    capacity = (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity")).json()
    assert capacity["mode"] == "AWAITING"


async def test_an_import_and_a_backfill_leave_it_alone(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await site_that_reports(engine, api)
    await act(api, site.depot_id, "retire")
    fresh = await make_depot(engine, "A", name="In service")
    landed = await post(api, encode([circuit(str(site.depot_id)), circuit(str(fresh))]))
    assert landed["refused_by_code"] == {"DEPOT_RETIRED": 1}
    assert landed["refusals"][0]["field"] == "depot_id"
    request = BackfillRequest(uuid4(), dry_run=False, page_size=40, requested_by=ACTOR.name)
    async with transaction(engine, ACTOR) as connection:
        assert await begin_backfill(connection, request) == 1
        page = PageRequest(request, PageBounds(0, None, UUID(int=2**128 - 1)))
        assert await run_page(connection, page) == OutcomeCounts(created=1)
    result = await sync(engine, site.depot_id)
    assert result.outcome is SyncOutcome.DEPOT_RETIRED
    assert result.in_words() == "The depot is retired, and its microgrid with it."
    assert await active_microgrids(engine, site.depot_id) == []


async def test_a_depot_without_a_microgrid_comes_back_without_one(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, "A")
    await act(api, depot_id, "retire")
    await act(api, depot_id, "restore")
    assert await active_microgrids(engine, depot_id) == []
    await sync(engine, depot_id)
    await assert_follows(engine, depot_id)


_RUN = text("""
    INSERT INTO scenario_runs (scenario, title, document, digest, depot_id, seed, time_scale, bindings, targets,
                               warnings, run_record, state, steps_total, requested_by)
    VALUES ('quick-look', 'Quick look', '', '', :depot_id, 1, 0, '{}', '{}', '[]', '{}', 'RUNNING', 5, 'tester')
""")


async def test_runs_and_retirement_exclude_each_other(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    running, retired = await make_depot(engine, "A"), await make_depot(engine, "A", name="Other")
    for depot_id in (running, retired):
        await api.patch(f"/api/depots/{depot_id}", json={"allows_simulation": True})
    async with engine.begin() as connection:
        await connection.execute(_RUN, {"depot_id": running})
    assert problem(await api.post(f"/api/depots/{running}/retire")) == (409, "RUN_IN_PROGRESS")
    await act(api, retired, "retire")
    body = {"depot_id": str(retired), "scenario": "quick-look", "force": True}
    assert problem(await api.post("/api/scenario-runs", json=body)) == (409, "DEPOT_RETIRED")
    unknown = await api.post(f"/api/depots/{uuid4()}/retire")
    assert problem(unknown) == (404, "DEPOT_NOT_FOUND")


_ACTIVE = text("SELECT depot_id, count(*) FROM microgrids WHERE retired_at IS NULL GROUP BY depot_id")


async def try_to(engine: AsyncEngine, do: Callable[..., Awaitable[object]], *args: object) -> None:
    """Do something in a transaction of its own; whether the depot is retired by then is the race's matter."""
    try:
        async with transaction(engine, ACTOR) as connection:
            await do(connection, ACTOR, *args)
    except Problem as refused:
        assert refused.code in (ProblemCode.DEPOT_RETIRED, ProblemCode.CIRCUIT_NOT_FOUND)


async def cut(engine: AsyncEngine, depot_id: UUID) -> None:
    # Two stay, so that there is always something to make a microgrid of.
    found = await circuits_of(engine, depot_id)
    if len(found) > 3:
        await try_to(engine, partial(delete_circuit, cascade=False), found[-1].circuit_id)


async def fill(engine: AsyncEngine) -> None:
    request = BackfillRequest(uuid4(), dry_run=False, page_size=40, requested_by=ACTOR.name)
    async with transaction(engine, ACTOR) as connection:
        await begin_backfill(connection, request)
    async with transaction(engine, ACTOR) as connection:
        await run_page(connection, PageRequest(request, PageBounds(0, None, UUID(int=2**128 - 1))))


async def watch(engine: AsyncEngine, done: asyncio.Event) -> int:
    """Look until it is done; answer how often."""
    looks = 0
    while not done.is_set():
        async with engine.connect() as connection:
            assert {active for _, active in await connection.execute(_ACTIVE)} <= {1}
        looks += 1
    return looks


@pytest.mark.acceptance("COR-8.10")
async def test_never_two_active_microgrids_whatever_races(engine: AsyncEngine) -> None:
    depots = [await make_depot(engine, "A", "B", name=f"Depot {n}") for n in range(3)]
    done = asyncio.Event()
    watcher = asyncio.create_task(watch(engine, done))
    for number in range(8):
        steps = [fill(engine)]
        for depot_id in depots:
            steps += [
                try_to(engine, retire_depot, depot_id),
                try_to(engine, create_circuit, depot_id, {"name": "C"}),
                try_to(engine, reconcile_microgrid, depot_id),
                try_to(engine, restore_depot, depot_id),
                try_to(engine, reconcile_microgrid, depot_id),
                try_to(engine, retire_depot if number % 2 else restore_depot, depot_id),
                cut(engine, depot_id),
            ]
        await asyncio.gather(*steps)
    done.set()
    assert await watcher > 0
    for depot_id in depots:
        # Whatever came last: a retired depot has none, and one in service has one that follows its circuits.
        await try_to(engine, retire_depot, depot_id)
        assert await active_microgrids(engine, depot_id) == []
        await try_to(engine, restore_depot, depot_id)
        await sync(engine, depot_id)
        assert len(await active_microgrids(engine, depot_id)) == 1
        await assert_follows(engine, depot_id)

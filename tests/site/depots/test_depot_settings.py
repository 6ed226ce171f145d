"""The settings of a depot: name, time zone, whether scenarios may run on it; with version and journal."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from tests.factories.equipped_depots import made, problem
from tests.helpers.journal import journal
from tests.helpers.support import make_depot

ACTOR = "local-administrator"


async def make(api: httpx.AsyncClient, **more: object) -> dict[str, object]:
    return await made(await api.post("/api/depots", json={"name": "Malvern", "timezone": "America/Toronto", **more}))


async def test_a_new_depot_allows_no_simulation_unless_it_is_said(api: httpx.AsyncClient) -> None:
    assert (await make(api))["allows_simulation"] is False
    assert (await make(api, allows_simulation=True))["allows_simulation"] is True


async def test_settings_change_with_version_and_journal(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    depot = await make(api)
    path = f"/api/depots/{depot['depot_id']}"
    read = await api.get(path)
    assert (read.headers["etag"], read.json()["version"]) == ('"1"', 1)
    given = {"name": "Leslie", "timezone": "Europe/Berlin", "allows_simulation": True}
    changed = await api.patch(path, json=given, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    assert changed.json() == (await api.get(path)).json()
    assert {name: changed.json()[name] for name in given} == given
    # The same again makes no version and no entry; nor does what is left out.
    assert (await api.patch(path, json={**given})).json()["version"] == 2
    assert (await api.patch(path, json={})).json()["version"] == 2
    stale = await api.patch(path, json={"name": "Birchmount"}, headers={"If-Match": '"1"'})
    assert problem(stale) == (412, "VERSION_CONFLICT")
    told = {
        "name": ["Malvern", "Leslie"], "timezone": ["America/Toronto", "Europe/Berlin"],
        "allows_simulation": [False, True],
    }  # fmt: skip
    assert stale.json()["context"]["current"]["name"] == "Leslie"
    assert stale.json()["context"]["changes"][0]["fields"] == told
    assert await journal(engine, str(depot["depot_id"])) == [
        ("DEPOT_CREATED", ACTOR, {}),
        ("DEPOT_CHANGED", ACTOR, told),
    ]
    # The list, its search and its order follow the name.
    assert [each["name"] for each in (await api.get("/api/depots?search=leslie")).json()["items"]] == ["Leslie"]
    assert (await api.get("/api/depots?search=malvern")).json()["items"] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": " "}, "INVALID_NAME"),
        ({"timezone": "Mars/Olympus"}, "INVALID_TIMEZONE"),
        ({"name": None}, "INVALID_REQUEST"),
        ({"allows_simulation": None}, "INVALID_REQUEST"),
        ({"provisioning": "PROVISIONED"}, "INVALID_REQUEST"),
    ],
)
async def test_what_is_wrong_is_refused(api: httpx.AsyncClient, given: dict[str, object], code: str) -> None:
    depot = await make(api)
    assert problem(await api.patch(f"/api/depots/{depot['depot_id']}", json=given)) == (422, code)


async def test_of_two_at_once_one_is_told(api: httpx.AsyncClient) -> None:
    depot = await make(api)
    path = f"/api/depots/{depot['depot_id']}"
    answers = await asyncio.gather(
        *(api.patch(path, json={"name": name}, headers={"If-Match": '"1"'}) for name in ("One", "Other"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_what_provisions_a_depot_is_no_new_version(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, "Feed")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE depots SET provisioning = 'PROVISIONED', updated_by = 'sync'"))
    assert (await api.get(f"/api/depots/{depot_id}")).json()["version"] == 1


async def test_a_run_is_refused_where_simulation_is_not_allowed(
    engine: AsyncEngine, api: httpx.AsyncClient, client: Client
) -> None:
    depot_id = await make_depot(engine, "Feed")
    body = {"depot_id": str(depot_id), "scenario": "quick-look", "force": True}
    refused = await api.post("/api/scenario-runs", json=body)
    assert problem(refused) == (409, "SIMULATION_NOT_ALLOWED")
    # A permission given for one depot is none for another.
    other = await make_depot(engine, "Feed", name="Other")
    await api.patch(f"/api/depots/{other}", json={"allows_simulation": True})
    assert problem(await api.post("/api/scenario-runs", json=body)) == (409, "SIMULATION_NOT_ALLOWED")
    await api.patch(f"/api/depots/{depot_id}", json={"allows_simulation": True})
    assert problem(await api.post("/api/scenario-runs", json=body)) == (409, "SCENARIO_NOT_CONFIGURED")


_RUN = text("""
    INSERT INTO scenario_runs (scenario, title, document, digest, depot_id, seed, time_scale, bindings, targets,
                               warnings, run_record, state, steps_total, requested_by)
    VALUES ('quick-look', 'Quick look', '', '', :depot_id, 1, 0, '{}', '{}', '[]', '{}', 'RUNNING', 5, 'tester')
    RETURNING id
""")


async def test_simulation_is_not_disallowed_under_a_run(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id: UUID = await make_depot(engine, "Feed")
    path = f"/api/depots/{depot_id}"
    await api.patch(path, json={"allows_simulation": True})
    async with engine.begin() as connection:
        run_id = (await connection.execute(_RUN, {"depot_id": depot_id})).scalar_one()
    refused = await api.patch(path, json={"allows_simulation": False, "name": "Renamed"})
    assert problem(refused) == (409, "RUN_IN_PROGRESS")
    assert refused.json()["context"] == {"run_id": str(run_id)}
    assert (await api.get(path)).json()["version"] == 2
    assert (await api.patch(path, json={"name": "Renamed"})).json()["version"] == 3

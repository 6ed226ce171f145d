"""A creating request under an ``Idempotency-Key`` creates once, whatever becomes of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.history_upkeep import HistoryUpkeepActivities
from api.main import create_app
from cli.client import Api
from domain.monitoring.upkeep import HistoryRequest
from runtime.settings import Settings
from tests.factories.sites import controller_site
from tests.helpers.databases import ended_committing, without_standby

DEPOT = {"name": "Arrow Road", "timezone": "America/Toronto", "circuits": [{"name": "Feed"}]}


def key(value: str | None = None) -> dict[str, str]:
    return {"idempotency-key": value or str(uuid4())}


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def depots(api: httpx.AsyncClient) -> list[str]:
    return [each["name"] for each in (await api.get("/api/depots")).json()["items"]]


async def test_the_same_request_gets_the_same_answer(api: httpx.AsyncClient) -> None:
    mine = key()
    first = await api.post("/api/depots", json=DEPOT, headers=mine)
    again = await api.post("/api/depots", json=DEPOT, headers=mine)
    quoted = await api.post("/api/depots", json=DEPOT, headers=key(f'"{mine["idempotency-key"]}"'))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert quoted.json() == first.json()
    assert await depots(api) == ["Arrow Road"]
    assert (await api.post("/api/depots", json=DEPOT, headers=key())).json()["depot_id"] != first.json()["depot_id"]


async def test_another_request_under_the_key_is_refused(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    mine = key()
    depot_id = (await api.post("/api/depots", json=DEPOT, headers=mine)).json()["depot_id"]
    other = await api.post("/api/depots", json=DEPOT | {"name": "Other"}, headers=mine)
    assert told(other) == (422, "IDEMPOTENCY_KEY_REUSED")
    elsewhere = await api.post(f"/api/depots/{depot_id}/circuits", json={"name": "B"}, headers=mine)
    assert told(elsewhere) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await depots(api) == ["Arrow Road"]


async def test_a_refused_request_leaves_its_key_unused(api: httpx.AsyncClient) -> None:
    mine = key()
    assert (await api.post("/api/depots", json=DEPOT | {"timezone": "Mars/Olympus"}, headers=mine)).status_code == 422
    nowhere = await api.post(f"/api/depots/{uuid4()}/circuits", json={"name": "B"}, headers=mine)
    assert told(nowhere) == (404, "DEPOT_NOT_FOUND")
    assert (await api.post("/api/depots", json=DEPOT, headers=mine)).status_code == 201


@pytest.mark.parametrize("value", ["", "x" * 256, "two words", "tab\tbed", "\x7f"])
async def test_a_key_that_is_none_is_refused(api: httpx.AsyncClient, value: str) -> None:
    answer = await api.post("/api/depots", json=DEPOT, headers={"idempotency-key": value})
    assert told(answer) == (422, "INVALID_REQUEST")
    assert await depots(api) == []


async def test_two_at_once_make_one(api: httpx.AsyncClient) -> None:
    mine = key()
    answers = await asyncio.gather(*(api.post("/api/depots", json=DEPOT, headers=mine) for _ in range(8)))
    assert {each.status_code for each in answers} <= {201, 409}
    assert len({each.json()["depot_id"] for each in answers if each.status_code == 201}) == 1
    assert {each.json()["code"] for each in answers if each.status_code == 409} <= {"IDEMPOTENCY_KEY_IN_USE"}
    assert await depots(api) == ["Arrow Road"]


async def test_an_answer_that_is_lost_after_the_commit_is_given_again(
    postgres_url: str, api: httpx.AsyncClient
) -> None:
    mine = key()
    async with without_standby(postgres_url) as server:
        sent = asyncio.create_task(api.post("/api/depots", json=DEPOT, headers=mine))
        await ended_committing(server)
        assert told(await sent) == (503, "OUTCOME_UNKNOWN")
    again = await api.post("/api/depots", json=DEPOT, headers=mine)
    assert again.status_code == 201
    assert [each["depot_id"] for each in (await api.get("/api/depots")).json()["items"]] == [again.json()["depot_id"]]


async def test_every_creating_route_takes_a_key(database_url: str, api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    document = (await api.get("/openapi.json")).json()
    takes = {
        path
        for path, methods in document["paths"].items()
        for each in methods.get("post", {}).get("parameters", [])
        if each["in"] == "header" and each["name"].lower() == "idempotency-key"
    }
    creates = {
        path for path, methods in document["paths"].items() if "201" in methods.get("post", {}).get("responses", {})
    }
    # Their answers are secrets, which are stored nowhere.
    of_secrets = {"/api/tokens", "/api/gateways/{gateway_id}/secrets"}
    assert of_secrets <= creates
    jobs = {"/api/backfills", "/api/scenario-runs", "/api/rollups/check", "/api/imports", "/api/exports"}
    assert (creates - of_secrets) | jobs == takes
    assert len(creates) >= 8
    for path in takes:
        codes = str(document["paths"][path]["post"]["responses"])
        for code in ("IDEMPOTENCY_KEY_IN_USE", "IDEMPOTENCY_KEY_REUSED", "OUTCOME_UNKNOWN"):
            assert code in codes, path
    site = await controller_site(engine)
    bodies: list[tuple[str, dict[str, Any]]] = [
        (f"/api/depots/{site.depot_id}/circuits", {"name": "Twice"}),
        ("/api/gateways", {"depot_id": str(site.depot_id), "name": "Twice"}),
        ("/api/devices", {"gateway_id": str(site.gateway_id), "name": "Twice", "sensor_id": "twice"}),
        ("/api/power-sources", {"depot_id": str(site.depot_id), "name": "Twice", "kind": "BATTERY"}),
        ("/api/backfills", {"dry_run": True}),
    ]
    for path, body in bodies:
        mine = key()
        first, again = [await api.post(path, json=body, headers=mine) for _ in range(2)]
        assert first.status_code in (201, 202), (path, first.text)
        assert (first.status_code, first.json()) == (again.status_code, again.json()), path
    assert len((await api.get("/api/backfills")).json()["items"]) == 1


async def test_a_form_that_is_sent_twice_makes_one(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    page = (await api.get("/depots/new")).text
    given = page.split('name="idempotency_key" value="')[1].split('"')[0]
    form = {"name": "Arrow Road", "timezone": "UTC", "idempotency_key": given}
    answers = await asyncio.gather(*(api.post("/depots/new", data=form) for _ in range(2)))
    assert {each.status_code for each in answers} == {303}
    assert len({each.headers["location"] for each in answers}) == 1
    assert await depots(api) == ["Arrow Road"]
    other = await api.post("/depots/new", data=form | {"name": "Other"}, headers={"accept": "text/html"})
    assert other.status_code == 422
    assert "This form was sent before" in other.text


async def test_every_form_that_creates_has_a_key_of_its_own(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    device = next(iter(site.devices.values()))
    seen: set[str] = set()
    forms = (
        "/depots/new", "/backfills", "/scenarios", f"/depots/{site.depot_id}/circuits/new",
        f"/depots/{site.depot_id}/gateways/new", f"/depots/{site.depot_id}/devices/new",
        f"/depots/{site.depot_id}/power-sources/new", f"/depots/{site.depot_id}/controllers/new",
        f"/devices/{device}/sensor-actions/new?action=UPDATE_POWER_SOURCE_LOAD",
    )  # fmt: skip
    for path in forms * 2:
        page = await api.get(path, headers={"hx-request": "true"} if path.endswith("/new") else {})
        assert page.status_code == 200, (path, page.text)
        given = page.text.split('name="idempotency_key" value="')[1].split('"')[0]
        assert given not in seen, path
        seen.add(given)


async def test_answers_are_kept_for_a_day_and_then_forgotten(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    old, young = key(), key()
    for mine in (old, young):
        await api.post("/api/depots", json=DEPOT, headers=mine)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = :key"),
            {"key": old["idempotency-key"]},
        )
    for _ in range(2):
        await ActivityEnvironment().run(HistoryUpkeepActivities(engine).keep_months, HistoryRequest())
    async with engine.connect() as connection:
        kept = (await connection.execute(text("SELECT key FROM idempotency_keys"))).scalars().all()
    assert kept == [young["idempotency-key"]]


@asynccontextmanager
async def losing(database_url: str, answers: list[str]) -> AsyncGenerator[Api]:
    """The command line's API, whose first answers are lost on the way back, as ``answers`` says."""
    app = create_app(Settings(database_url=SecretStr(database_url)))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    class Losing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await transport.handle_async_request(request)
            if request.method == "POST" and answers:
                answers.pop()
                raise httpx.ReadError("the connection was lost", request=request)
            return response

    async with app.router.lifespan_context(app), Api("http://localhost", transport=Losing()) as api:
        yield api


async def test_the_commands_ask_again_for_an_answer_that_was_lost(database_url: str, client: Client) -> None:
    assert client.namespace == "default"
    async with losing(database_url, ["lost", "lost"]) as api:
        made = await api.create("/api/depots", DEPOT)
        found = await api.get("/api/depots")
        assert [each["depot_id"] for each in found["items"]] == [made["depot_id"]]

"""Every route, asked by every role at its own depot, at a foreign one and for what does not exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.access.principals import Grant
from domain.access.roles import PERMISSIONS, Permission, Role
from domain.access.routes import PARAMETERS, Reach
from tests.access.routes import STREAMS, RouteOf, all_routes
from tests.access.sites import WHO, asked_as, depot_with_everything, missing, person, read_only, told

_HIDDEN = {str(code) for code in PARAMETERS.values()}
FOREIGN = "Hidden Valley"


async def ask(
    caller: httpx.AsyncClient, who: str, route: RouteOf, ids: Mapping[str, UUID], **query: str
) -> httpx.Response:
    more = {
        "backfill_id": missing()["depot_id"],
        "export_id": missing()["depot_id"],
        "grant_id": missing()["depot_id"],
        "import_id": missing()["depot_id"],
        "session_id": missing()["depot_id"],
        "person_id": missing()["depot_id"],
        "secret_id": missing()["depot_id"],
        "token_id": missing()["depot_id"],
        "view_id": missing()["depot_id"],
        "name": "quick-look",
        "kind": "readings",
        "digest": "0",
        "question": "delete",
        "word": "x",
        "capability": "DER",
    }
    path = re.sub(r":\w+\}", "}", route.path).format_map({**more, **ids})
    # Under one id, because a refusal names its request: nothing else may tell two refusals apart.
    headers = {WHO: who, "accept": "application/json", "x-request-id": "asked"}
    return await caller.request(route.method, path, params=query, headers=headers)


@pytest.mark.usefixtures("client")
async def test_every_route_asks_for_its_permission_at_its_depot(engine: AsyncEngine, database_url: str) -> None:
    # What is permitted is really asked for, but nothing is changed.
    own, foreign = await depot_with_everything(engine, "Own Yard"), await depot_with_everything(engine, FOREIGN)
    nothing = missing()
    principals = {role.value: person(Grant(role, own["depot_id"])) for role in Role}
    wrong: list[str] = []

    def expect(what: str, route: RouteOf, role: Role, answer: httpx.Response, *, as_expected: bool) -> None:
        if not as_expected:
            wrong.append(f"{role} at {what}: {route} answered {told(answer)}")

    async with asked_as(read_only(database_url), principals) as caller:
        for route in all_routes():
            access = route.access
            for role in Role:
                may = access.permission is None or access.permission in PERMISSIONS[role]
                sees = Permission.VIEW in PERMISSIONS[role]
                if access.reach is Reach.DEPOT:
                    there, gone = await ask(caller, role, route, foreign), await ask(caller, role, route, nothing)
                    expect("a foreign depot", route, role, there, as_expected=told(there)[1] in _HIDDEN)
                    expect("nothing", route, role, gone, as_expected=gone.content == there.content)
                if may and route.name in STREAMS:
                    continue
                here = await ask(caller, role, route, own)
                refused = told(here)[1] == "NOT_PERMITTED"
                hidden = access.reach is Reach.DEPOT and told(here)[1] in _HIDDEN
                if access.reach is Reach.FLEET or (not may and access.reach is not Reach.NARROWED):
                    hides = access.reach is Reach.DEPOT and not sees
                    expect("its own depot", route, role, here, as_expected=hidden if hides else refused)
                else:
                    expect("its own depot", route, role, here, as_expected=not (refused or hidden))

    assert wrong == []


async def test_lists_hold_nothing_of_a_foreign_depot(engine: AsyncEngine, database_url: str, client: Client) -> None:
    own, foreign = await depot_with_everything(engine, "Own Yard"), await depot_with_everything(engine, FOREIGN)
    secrets = [FOREIGN, *(str(each) for each in foreign.values())]
    principals = {role.value: person(Grant(role, own["depot_id"])) for role in Role} | {"nobody": person()}
    narrowed = [each for each in all_routes() if each.access.reach is Reach.NARROWED]
    queries = [
        {},
        *({name: str(foreign[name])} for name in ("depot_id", "gateway_id", "microgrid_id")),
        {"search": "Hidden", "depot": "Hidden", "state": "ALL"},
    ]

    async with asked_as(database_url, principals) as caller:
        for route in narrowed:
            for who in principals:
                for query in queries:
                    answer = await ask(caller, who, route, own, **query)
                    found = [each for each in secrets if each in answer.text.replace(str(query), "")]
                    # What was asked for may be said again, such as a filter's own value.
                    assert set(found) <= {*query.values()}, (route, who, query)
                    assert answer.status_code < 500, (route, who, query)


async def test_whoever_sees_both_depots_finds_both(engine: AsyncEngine, database_url: str, client: Client) -> None:
    own, foreign = await depot_with_everything(engine, "Own Yard"), await depot_with_everything(engine, FOREIGN)
    grants = [Grant(Role.VIEWER, each["depot_id"]) for each in (own, foreign)]
    lists = ["/api/depots", "/api/gateways", "/api/devices", "/api/power-sources", "/api/controller-bindings",
             "/api/remediations", "/api/scenario-runs"]  # fmt: skip

    async with asked_as(database_url, {"one": person(grants[0]), "both": person(*grants)}) as caller:
        for path in lists:
            counts = [len((await caller.get(path, headers={WHO: who})).json()["items"]) for who in ("one", "both")]
            assert counts[1] == 2 * counts[0] > 0, path


async def test_a_cursor_leads_into_no_foreign_depot(engine: AsyncEngine, database_url: str, client: Client) -> None:
    own, foreign = await depot_with_everything(engine, "Own Yard"), await depot_with_everything(engine, FOREIGN)
    principals = {"all": person(Grant(Role.VIEWER)), "one": person(Grant(Role.VIEWER, own["depot_id"]))}

    async with asked_as(database_url, principals) as caller:
        for path in ("/api/depots", "/api/gateways", "/api/devices", "/api/remediations", "/api/scenario-runs"):
            first = (await caller.get(path, params={"limit": 1}, headers={WHO: "all"})).json()
            cursor = {"cursor": first["next_cursor"]}
            answer = await caller.get(path, params=cursor, headers={WHO: "one"})
            assert answer.status_code == 200
            assert str(foreign["depot_id"]) not in answer.text, path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/gateways", {"name": "G"}),
        ("/api/power-sources", {"name": "P", "kind": "BATTERY"}),
        ("/api/devices", {"name": "D", "sensor_id": "s-1"}),
        ("/api/scenario-runs", {"scenario": "quick-look"}),
        ("/api/controller-bindings", {"capabilities": ["PEAK_SHAVING"], "enabled": True}),
        ("/api/controller-bindings/validate", {"capabilities": ["PEAK_SHAVING"], "enabled": True}),
    ],
)
async def test_a_body_names_no_foreign_depot(
    engine: AsyncEngine, database_url: str, client: Client, path: str, body: dict[str, object]
) -> None:
    own, foreign = await depot_with_everything(engine, "Own Yard"), await depot_with_everything(engine, FOREIGN)
    both = [Grant(role, own["depot_id"]) for role in (Role.CONFIGURATOR, Role.QA)]
    principals = {"own": person(*both), "sees": person(*both, Grant(Role.VIEWER, foreign["depot_id"]))}
    key = "device_id" if "bindings" in path else "gateway_id" if "devices" in path else "depot_id"

    async with asked_as(read_only(database_url), principals) as caller:

        async def send(who: str, ids: Mapping[str, UUID]) -> tuple[int, str | None]:
            return told(await caller.post(path, json={**body, key: str(ids[key])}, headers={WHO: who}))

        assert await send("own", foreign) == await send("own", missing()) == (404, PARAMETERS[key])
        assert await send("sees", foreign) == (403, "NOT_PERMITTED")
        assert (await send("own", own))[1] not in ("NOT_PERMITTED", PARAMETERS[key])

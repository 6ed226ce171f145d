"""Pages offer nothing that their reader may not do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.access.principals import Grant
from domain.access.roles import Role
from domain.access.routes import Reach, is_offered
from domain.history.exports import ExportKind
from tests.access.routes import RouteOf, all_routes
from tests.access.sites import WHO, asked_as, depot_with_everything, person

PEOPLE = [role for role in Role if role is not Role.GATEWAY]
_ADDRESS = re.compile(r'(hx-get|hx-post|href)="(/[^"?#]*)')
_CONVERTOR = re.compile(r"\{(\w+)(:\w+)?\}")


def led_to(html: str) -> Iterator[RouteOf]:
    """The routes to which a page leads."""
    forms = [
        (route, re.compile(_CONVERTOR.sub(lambda m: ".+" if m[2] == ":file" else "[^/]+", route.path)))
        for route in all_routes()
    ]
    for kind, address in _ADDRESS.findall(html):
        method = "POST" if kind == "hx-post" else "GET"
        fitting = [route for route, form in forms if form.fullmatch(address) and route.method == method]
        yield from fitting[:1]


@pytest.mark.parametrize("role", PEOPLE)
async def test_pages_lead_only_to_what_is_permitted(
    engine: AsyncEngine, database_url: str, client: Client, role: Role
) -> None:
    ids = await depot_with_everything(engine, "Own Yard")
    named: dict[str, object] = {**ids, "kind": ExportKind.READINGS}
    who = person(Grant(role, ids["depot_id"]))
    pages = [
        each for each in all_routes()
        if each.method == "GET" and each.name.startswith("page_") and is_offered(each.access, who, ids["depot_id"])
        and each.access.reach is not Reach.FLEET
        # There are sessions only with a provider (tests/pages/access/test_sign_in_pages.py).
        and each.name != "page_sessions"
    ]  # fmt: skip
    wrong: list[str] = []

    async with asked_as(database_url, {"who": who}) as caller:
        for page in pages:
            answer = await caller.get(page.path.format_map(named), headers={WHO: "who", "accept": "text/html"})
            assert answer.status_code in (200, 303), page
            wrong += [
                f"{page} leads to {route}"
                for route in led_to(answer.text)
                if not is_offered(route.access, who, ids["depot_id"])
            ]

    assert wrong == []


async def test_who_may_change_a_depot_is_offered_to(engine: AsyncEngine, database_url: str, client: Client) -> None:
    ids = await depot_with_everything(engine, "Own Yard")
    address = f"/depots/{ids['depot_id']}/devices"
    principals = {role.value: person(Grant(role, ids["depot_id"])) for role in (Role.VIEWER, Role.CONFIGURATOR)}

    async with asked_as(database_url, principals) as caller:
        offered = {who: "Add gateway" in (await caller.get(address, headers={WHO: who})).text for who in principals}

    assert offered == {"viewer": False, "configurator": True}

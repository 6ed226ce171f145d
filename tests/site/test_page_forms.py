"""A page's form may hold anything: what is wrong is said beside its field, and nothing ends in an error of ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import FormData

from api.ui import pages
from domain.access.grants import GranteeKind
from domain.access.roles import Role
from tests.factories.equipped_depots import STATE, add_action, make_equipped_depot
from tests.helpers.answers import HTMX, error_of

DIGITS = "9" * 5_000
"""More digits than Python reads as a number."""
NO_TEXTS = ("\x00", "\ud7ff\uffff")
HOSTILE = (
    "",
    " ",
    "abc",
    "1",
    "-1",
    "0",
    "1e999",
    "nan",
    DIGITS,
    "\u0669",
    "\u00b2",
    *NO_TEXTS,
    "x" * 300,
)
HOSTILE_IN_ADDRESSES = ("", "\x00", "\u202e", DIGITS, "9999-12-31T23:59:59-14:00")
CHOICES = {"kind": GranteeKind.PERSON, "role": Role.VIEWER, "reach": "all", "format": "csv", "action": "below"}
"""What the choices of a form may be, so that what stands beside them is looked at."""
_WAITING = {"live", "binding_listen"}
_BUTTONS = {
    "/depots/{depot_id}/microgrid/resync",
    "/backfills/{backfill_id}/{word}",
    "/scenario-runs/{run_id}/{word}",
    "/remediations/{remediation_id}/resolve",
}


@pytest.mark.parametrize("parent_id", ["1", "abc", "\x00", DIGITS, "x" * 300])
async def test_a_parent_that_is_no_id_is_said_beside_the_field(
    engine: AsyncEngine, api: httpx.AsyncClient, parent_id: str
) -> None:
    equipped = await make_equipped_depot(engine, api)
    for path in ("", f"/{equipped.circuits[0]}"):
        given = {"name": "abc", "parent_id": parent_id}
        answer = await api.post(f"/depots/{equipped.depot_id}/circuits{path}", data=given, headers=HTMX)
        assert answer.status_code == 422
        assert error_of(answer.text, "circuit-parent_id") == "Choose one of these."


@pytest.mark.parametrize("place", ["abc", "-1", DIGITS, str(2**31)])
async def test_a_place_that_is_none_is_said_beside_the_field(
    engine: AsyncEngine, api: httpx.AsyncClient, place: str
) -> None:
    equipped = await make_equipped_depot(engine, api)
    there = f"/depots/{equipped.depot_id}/circuits/{equipped.circuits[0]}"
    answer = await api.post(there, data={"name": "Feed 1", "place": place}, headers=HTMX)
    assert answer.status_code == 422
    assert error_of(answer.text, "circuit-place")


async def test_all_that_is_wrong_is_said_at_once(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    given = {"name": " ", "kilowatts": "-3", "parent_id": "1"}
    page = (await api.post(f"/depots/{equipped.depot_id}/circuits", data=given, headers=HTMX)).text
    assert error_of(page, "circuit-name") == "A name must not be blank."
    assert "above 0" in error_of(page, "circuit-kilowatts")
    assert error_of(page, "circuit-parent_id") == "Choose one of these."
    given = {"name": "", "gateway_id": "1", "sensor_id": "one", "controller": "x" * 300}
    page = (await api.post(f"/depots/{equipped.depot_id}/devices", data=given, headers=HTMX)).text
    assert error_of(page, "device-name") == "A name must not be blank."
    assert error_of(page, "device-gateway_id") == "Choose one of these."
    assert error_of(page, "device-controller") == "Has at most 100 characters."


@pytest.mark.parametrize("number", [DIGITS, "-1", "1.5", "\u00b2", ""])
async def test_a_number_of_any_length_is_looked_at(api: httpx.AsyncClient, number: str) -> None:
    page = (await api.post("/backfills", data={"mode": "dry", "page_size": number}, headers=HTMX)).text
    assert error_of(page, "page-size").startswith("A whole number from 1 to ")
    page = (await api.post("/scenarios", data={"seed": number}, headers=HTMX)).text
    assert error_of(page, "seed") == "A whole number from 0 up."
    answer = await api.post("/depots/new/circuits", data={"action": "below", "place": number}, headers=HTMX)
    assert answer.status_code == 200
    lines = {"circuit_name": "Feed", "circuit_kilowatts": "", "circuit_level": number}
    answer = await api.post("/depots/new", data={"name": "", "timezone": "", **lines}, headers=HTMX)
    assert answer.status_code == 422


def routes_of(method: str) -> list[APIRoute]:
    """The routes of all pages that answer a method, but for those that wait for what comes."""
    routers = [getattr(module, "router", None) for module in vars(pages).values()]
    routes = [route for router in routers if isinstance(router, APIRouter) for route in router.routes]
    found = [each for each in routes if isinstance(each, APIRoute) and method in (each.methods or ())]
    return [each for each in found if each.name not in _WAITING]


def forms() -> list[str]:
    """The paths of all forms of the pages that have fields."""
    return sorted({each.path for each in routes_of("POST")} - _BUTTONS)


def query_names(dependant: Dependant) -> set[str]:
    """What a route takes from the query of its address, itself or by what it depends on."""
    own = {each.alias for each in dependant.query_params}
    return own.union(*(query_names(each) for each in dependant.dependencies))


def fill(path: str, known: dict[str, str]) -> str:
    """Put ids into a path: of what there is, else of nothing."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: known.get(match[1], str(uuid4())), path)


async def everything(engine: AsyncEngine, api: httpx.AsyncClient) -> dict[str, str]:
    """Make a depot; the ids of what it has, by what the parameters of paths are called."""
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], STATE)
    source = await api.post("/api/power-sources", json={"depot_id": equipped.depot_id, "kind": "SOLAR", "name": "Roof"})
    return {
        "depot_id": equipped.depot_id,
        "circuit_id": equipped.circuits[1],
        "gateway_id": equipped.gateway_id,
        "device_id": equipped.devices[0],
        "power_source_id": source.json()["power_source_id"],
        "sensor_action_id": action["sensor_action_id"],
        "binding_id": action["sensor_action_id"],
        "question": "enable",
        "kind": "readings",
    }


def names_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Keep the names of the fields that the product looks for in forms."""
    asked: set[str] = set()
    for method in ("get", "getlist"):
        real: Callable[..., Any] = getattr(FormData, method)

        def look(form: FormData, name: str, *more: Any, real: Callable[..., Any] = real) -> Any:
            asked.add(name)
            return real(form, name, *more)

        monkeypatch.setattr(FormData, method, look)
    return asked


async def test_no_form_ends_in_an_error_of_ours(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = names_that_are_asked_for(monkeypatch)
    known = await everything(engine, api)
    paths = [fill(path, known) for path in forms()]
    assert f"/depots/{known['depot_id']}/circuits/{known['circuit_id']}" in paths
    for path in (each for each in paths if not each.endswith(("/delete", "/retirement"))):
        await api.post(path, headers=HTMX)
    assert {"name", "who", "since", "circuit_level"} <= asked
    # What deletes comes last, so that the others find something.
    for path in sorted(paths, key=lambda path: path.endswith("/delete")):
        query = {"action": "UPDATE_CIRCUIT_CAPACITY"} if path.endswith("/sensor-actions") else None
        for value in HOSTILE:
            for chosen in ({}, CHOICES) if value in NO_TEXTS else ({},):
                given = dict.fromkeys([*asked, *(f"was_{each}" for each in asked)], value) | chosen
                answer = await api.post(path, data=given, params=query, headers=HTMX)
                assert answer.status_code < 500, (path, value, answer.text)
        for address in ("http://[zz", "http://[::1]:x"):
            answer = await api.post(path, data={"name": "abc"}, headers={**HTMX, "hx-current-url": address})
            assert answer.status_code < 500, (path, address, answer.text)


async def test_no_address_of_a_page_ends_in_an_error_of_ours(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    known = await everything(engine, api)
    tried = 0
    for route in routes_of("GET"):
        for name in sorted(query_names(route.dependant)):
            for value in HOSTILE_IN_ADDRESSES:
                answer = await api.get(fill(route.path, known), params={name: value}, headers=HTMX)
                assert answer.status_code < 500, (route.path, name, value, answer.text)
                tried += 1
    assert tried > 500

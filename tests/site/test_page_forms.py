"""A page's form may hold anything: what is wrong is said beside its field, and nothing ends in an error of ours."""

from __future__ import annotations

import re
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute, APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine

from api.ui import pages
from tests.factories.equipped_depots import STATE, add_action, make_equipped_depot
from tests.helpers.answers import HTMX, error_of

DIGITS = "9" * 5_000
"""More digits than Python reads as a number."""
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
    "\x00",
    "\ud7ff\uffff",
    "x" * 300,
)
FIELDS = (
    "name", "kilowatts", "parent_id", "place", "gateway_id", "sensor_id", "circuit_id", "controller", "kind",
    "site_model_name", "output_translation", "measurands", "heartbeat_threshold_seconds", "fail_safe_capacity_w",
    "enabled", "version", "device_id", "capabilities", "page_size", "mode", "scenario", "depot", "seed", "speed",
    "timezone", "circuit_name", "circuit_kilowatts", "circuit_level", "action", "agree", "consent", "cascade",
    "idempotency_key", "was_name", "was_kilowatts", "was_parent_id", "was_place", "was_gateway_id", "was_sensor_id",
    "was_circuit_id", "was_controller", "was_kind", "was_site_model_name", "was_output_translation",
)  # fmt: skip
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


def forms() -> list[str]:
    """The paths of all forms of the pages that have fields."""
    routers = [getattr(module, "router", None) for module in vars(pages).values()]
    routes = [route for router in routers if isinstance(router, APIRouter) for route in router.routes]
    return sorted(
        {each.path for each in routes if isinstance(each, APIRoute) and "POST" in (each.methods or ())} - _BUTTONS
    )


async def test_no_form_ends_in_an_error_of_ours(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], STATE)
    source = await api.post("/api/power-sources", json={"depot_id": equipped.depot_id, "kind": "SOLAR", "name": "Roof"})
    known = {
        "depot_id": equipped.depot_id,
        "circuit_id": equipped.circuits[1],
        "gateway_id": equipped.gateway_id,
        "device_id": equipped.devices[0],
        "power_source_id": source.json()["power_source_id"],
        "sensor_action_id": action["sensor_action_id"],
        "binding_id": action["sensor_action_id"],
        "question": "enable",
    }
    paths = [re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: known.get(match[1], str(uuid4())), path) for path in forms()]
    assert f"/depots/{equipped.depot_id}/circuits/{equipped.circuits[1]}" in paths
    # What deletes comes last, so that the others find something.
    for path in sorted(paths, key=lambda path: path.endswith("/delete")):
        query = {"action": "UPDATE_CIRCUIT_CAPACITY"} if path.endswith("/sensor-actions") else None
        for value in HOSTILE:
            answer = await api.post(path, data=dict.fromkeys(FIELDS, value), params=query, headers=HTMX)
            assert answer.status_code < 500, (path, value, answer.text)
        for address in ("http://[zz", "http://[::1]:x"):
            answer = await api.post(path, data={"name": "abc"}, headers={**HTMX, "hx-current-url": address})
            assert answer.status_code < 500, (path, address, answer.text)

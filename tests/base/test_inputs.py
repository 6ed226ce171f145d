"""Texts and times as they come from outside, through every way in: one form, and never an unexpected error."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.circuit_capacity import CapacityPolicy
from runtime.settings import Settings
from store.base.database import transaction
from tests.factories.sites import add_action, add_device, controller_site, make_site, milliseconds, packet
from tests.helpers.answers import problem
from tests.helpers.support import ACTOR

NO_MOMENTS = [
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59.999-05:00",
    "0001-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
]
SOME_ID = "018f4e6c-0000-7000-8000-000000000000"


def cursor(*key: object) -> str:
    """A cursor that nobody was given."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


@pytest.mark.parametrize("moment", NO_MOMENTS)
async def test_a_time_at_the_end_of_the_calendar_is_refused_wherever_it_is_given(
    api: httpx.AsyncClient, engine: AsyncEngine, moment: str
) -> None:
    site = await controller_site(engine)
    body = {"capability": "DER", "value": True, "observed_at": moment, "provider_event_ref": "one"}
    posted = await api.post(f"/api/microgrids/{site.microgrid_id}/capability-status", json=body)
    assert problem(posted) == (422, "INVALID_REQUEST")
    (error,) = posted.json()["errors"]
    assert (error["field"], error["code"]) == ("observed_at", "TIME_OUT_OF_RANGE")
    assert "1970" in error["detail"]
    for path, name in [
        (f"/api/circuits/{site.circuit_ids[0]}/capacity/history", "since"),
        (f"/api/circuits/{site.circuit_ids[0]}/capacity/history", "until"),
        (f"/api/depots/{site.depot_id}/load", "since"),
        (f"/api/depots/{site.depot_id}/load", "until"),
        (f"/api/controller-bindings/{SOME_ID}/next-packet", "after"),
    ]:
        asked = await api.get(path, params={name: moment})
        assert problem(asked) == (422, "INVALID_REQUEST")
        assert [(each["field"], each["code"]) for each in asked.json()["errors"]] == [(name, "TIME_OUT_OF_RANGE")]
    page = await api.get(f"/depots/{site.depot_id}/controllers/{SOME_ID}/listen", params={"after": moment})
    assert page.status_code == 422


@pytest.mark.parametrize("moment", [*NO_MOMENTS, "2026-01-01T00:00:00"])
async def test_a_time_in_a_cursor_is_judged_as_any_other(
    api: httpx.AsyncClient, engine: AsyncEngine, moment: str
) -> None:
    site = await make_site(engine)
    for path, params in [
        (f"/api/circuits/{site.circuit_ids[0]}/capacity/history", {}),
        ("/api/telemetry/packets", {"gateway_id": str(site.gateway_id)}),
    ]:
        asked = await api.get(path, params=params | {"cursor": cursor(moment, SOME_ID)})
        assert problem(asked) == (422, "INVALID_CURSOR")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**200])
async def test_a_number_in_a_cursor_is_one_that_the_database_has(api: httpx.AsyncClient, number: int) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    lists = [
        path
        for path, operations in paths.items()
        if "{" not in path and any(each["name"] == "cursor" for each in operations.get("get", {}).get("parameters", ()))
    ]
    assert len(lists) > 10
    for path in [*lists, "/journal/rows"]:
        for key in ((number,), (number, SOME_ID)):
            asked = await api.get(path, params={"cursor": cursor(*key)})
            assert asked.status_code == 422, (path, key, asked.text)


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "9999-12-31T19:00:00-04:59"])
async def test_the_first_and_the_last_moment_can_be_asked_for(
    api: httpx.AsyncClient, engine: AsyncEngine, moment: str
) -> None:
    site = await make_site(engine)
    for name in ("since", "until"):
        path = f"/api/circuits/{site.circuit_ids[0]}/capacity/history"
        assert (await api.get(path, params={name: moment})).status_code == 200
        load = await api.get(f"/api/depots/{site.depot_id}/load", params={name: moment})
        assert load.status_code in (200, 422)


async def test_two_ways_to_write_a_name_are_one_name(api: httpx.AsyncClient) -> None:
    for name in ("école", "e\u0301cole", "e\u0301co\u200ble"):
        made = await api.post("/api/depots", json={"name": name, "timezone": "Europe/Paris"})
        assert made.json()["name"] == "école"
    for term in ("éco", "e\u0301co", "É", "e\u0301\u200bco"):
        found = (await api.get("/api/depots", params={"search": term})).json()
        assert [each["name"] for each in found["items"]] == ["école"] * 3
        page = await api.get("/depots", params={"search": term})
        assert page.text.count(">école<") >= 3
    assert problem(await api.get("/api/depots", params={"search": "a\u202eb"})) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "text", ["\u202e", "\u2028", "\u200b", "\u3164", "\u2800", "a\u202eb", "a\ufffe", "a\x1bb", "a\x85b"]
)
async def test_a_text_that_shows_nothing_or_misleads_is_refused_everywhere(
    api: httpx.AsyncClient, engine: AsyncEngine, text: str
) -> None:
    site = await controller_site(engine)
    device = site.devices["mgc-1"]
    named: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/depots", {"name": text, "timezone": "UTC"}),
        ("POST", "/api/depots", {"name": "A", "timezone": "UTC", "circuits": [{"name": text}]}),
        ("POST", f"/api/depots/{site.depot_id}/circuits", {"name": text}),
        ("PATCH", f"/api/circuits/{site.circuit_ids[0]}", {"name": text}),
        ("POST", "/api/gateways", {"depot_id": str(site.depot_id), "name": text}),
        ("POST", "/api/gateways", {"depot_id": str(site.depot_id), "name": "A", "site_model_name": text}),
        ("PATCH", f"/api/devices/{device}", {"name": text}),
        ("POST", "/api/power-sources", {"depot_id": str(site.depot_id), "name": text, "kind": "SOLAR"}),
    ]
    for method, path, body in named:
        assert problem(await api.request(method, path, json=body)) == (422, "INVALID_NAME"), path
    sensor = await api.patch(f"/api/devices/{device}", json={"sensor_id": text})
    assert problem(sensor) == (422, "INVALID_REQUEST")
    now = datetime.now(UTC).isoformat()
    event = {"capability": "DER", "value": True, "observed_at": now, "provider_event_ref": text}
    path = f"/api/microgrids/{site.microgrid_id}/capability-status"
    assert problem(await api.post(path, json=event)) == (422, "INVALID_EVENT_REF")
    form = await api.post("/depots/new", data={"name": text, "timezone": "UTC"})
    assert form.status_code == 422


@pytest.mark.parametrize("zone", ["localtime", "Factory", "posixrules", "right/UTC", "Mars/Olympus", "utc"])
async def test_a_depot_lies_in_a_zone_of_the_database(api: httpx.AsyncClient, zone: str) -> None:
    body = {"name": "Arrow Road", "timezone": zone}
    assert problem(await api.post("/api/depots", json=body)) == (422, "INVALID_TIMEZONE")
    assert (await api.post("/depots/new", data=body)).status_code == 422
    line = {"type": "depot", "id": SOME_ID, **body}
    report = await api.post("/api/depots/import", content=json.dumps(line) + "\n")
    assert "INVALID_TIMEZONE" in report.text


async def test_a_depot_of_an_earlier_version_may_lie_in_a_zone_that_is_none(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    async with transaction(engine, ACTOR) as connection:
        await connection.execute(sql("UPDATE depots SET timezone = 'Factory'"))
    for path in ("", "/load", "/microgrid", "/devices", "/controllers"):
        page = await api.get(f"/depots/{site.depot_id}{path}", follow_redirects=True)
        assert page.status_code == 200, path
    assert (await api.get("/depots")).status_code == 200


NUMBERS = [
    ("1e-400", "NUMBER_TOO_SMALL"),
    ("-1e-20000", "NUMBER_TOO_SMALL"),
    ("1e400", "NUMBER_NOT_FINITE"),
    ("1e20000", "NUMBER_NOT_FINITE"),
    ("NaN", "NUMBER_NOT_FINITE"),
    ("0e99999999999", "NUMBER_TOO_LONG"),
    ("0e-16000", "NUMBER_TOO_LONG"),
    ("0." + "1" * 16_500, "NUMBER_TOO_LONG"),
    ("1" * 16_500, "NUMBER_TOO_LONG"),
]


PLACES = ("/sensors/0/measurands/0/value", "/note", "/sensors/0/note", "/sensors/0/measurands/0/note")


def with_number(document: dict[str, Any], place: str, number: str) -> str:
    """A packet with a number at a place, as it is written."""
    inner: Any = document
    *way, last = (int(step) if step.isdecimal() else step for step in place.split("/")[1:])
    for step in way:
        inner = inner[step]
    inner[last] = "NUMBER"
    return json.dumps(document).replace('"NUMBER"', number)


async def test_a_number_that_no_double_carries_is_refused_alone_as_in_an_array(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    good = json.dumps(packet(site, None, LIMIT_DER_EXPORT="true"))
    for place in PLACES:
        for number, code in NUMBERS:
            raw = with_number(packet(site, None, LIMIT_PEAK_SHAVING="true"), place, number)
            alone = await api.post("/api/telemetry/packets", content=raw)
            assert problem(alone) == (422, "INVALID_PACKET")
            (error,) = alone.json()["errors"]
            assert (error["field"], error["code"]) == (place[1:].replace("/", "."), code)
            together = (await api.post("/api/telemetry/packets", content=f"[{raw}, {good}]")).json()["items"]
            assert [each["status"] for each in together] == ["REFUSED", "ACCEPTED"]
            assert together[0]["problem"]["errors"] == [error]


async def test_what_is_stored_is_what_was_judged_alone_as_in_an_array(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    await add_device(engine, site, "Zähler", site.circuit_ids[0])
    document = packet(site, None, "Za\u0308hler", TOTAL_POWER_LOAD=0, SOME_POWER=0)
    document |= {
        "numbers": ["N1", "N2", "N3", "N4", "N5", "N6"],
        "model": "A\u0301",
        "note": "A\u0301",
    }
    texts = {
        "N1": "0.1000000000000000055511151231257827", "N2": "9007199254740993", "N3": "-0.0", "N4": "0.000000e+00",
        "N5": "5e-324", "N6": "1.7976931348623157e308",
    }  # fmt: skip
    for escaped in (True, False):
        raw = json.dumps(document, ensure_ascii=escaped)
        for name, number in texts.items():
            raw = raw.replace(f'"{name}"', number)
        for body in (raw, f"[{raw}]"):
            answer = await api.post("/api/telemetry/packets", content=body.encode())
            assert answer.status_code == 200, answer.text
            assert answer.json()["items"][0]["unknown_sensors"] == []
    found = (await api.get("/api/telemetry/packets", params={"gateway_id": str(site.gateway_id)})).json()["items"]
    assert len(found) == 4
    for each in found:
        stored = each["document"]
        *others, largest = stored["numbers"]
        assert others == [0.1, 9007199254740993, 0, 0, 5e-324]
        assert float(largest) == 1.7976931348623157e308
        assert stored["sensors"][0]["sensor_id"] == "Zähler"
        # What the contract does not know stays as it came.
        assert (stored["model"], stored["note"]) == ("Á", "A\u0301")


@pytest.mark.parametrize("number", [4294967295, 65535, 65535.0, 32767, 1.7e308, 1.0e9 + 1, -1, -32768])
async def test_a_register_without_a_value_is_never_what_may_be_drawn(
    api: httpx.AsyncClient, engine: AsyncEngine, number: float
) -> None:
    site = await make_site(engine)
    await add_device(engine, site, circuit_id=site.circuit_ids[0])
    await add_action(
        engine, site, "UPDATE_CIRCUIT_CAPACITY", "AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS",
        "FAIL_SAFE_CAPACITY", policy=CapacityPolicy(fail_safe_w=5_000), follows=site.circuit_ids[0],
    )  # fmt: skip
    now = milliseconds()

    async def held_after(at: int, **said: float) -> dict[str, Any]:
        sent = packet(site, at, HEARTBEAT_STATUS="ok", **said)
        assert (await api.post("/api/telemetry/packets", json=sent)).status_code == 200
        return (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity")).json()

    held = await held_after(now - 2, AVAILABLE_CHARGING_CAPACITY=400_000, FAIL_SAFE_CAPACITY=number)
    assert (held["mode"], held["capacity_w"]) == ("CONTROLLER", 400_000)
    held = await held_after(now - 1, AVAILABLE_CHARGING_CAPACITY=number)
    assert (held["mode"], held["reason"], held["capacity_w"]) == ("FAIL_SAFE", "CAPACITY_UNREADABLE", 5_000)
    held = await held_after(now, AVAILABLE_CHARGING_CAPACITY=number, FAIL_SAFE_CAPACITY=-0.0)
    assert (held["basis"], str(held["capacity_w"])) == ("FAIL_SAFE_RECEIVED", "0.0")


@pytest.mark.parametrize("text", ["\u202e", "a\x1bb", "a\ufffe", "\u3164", "a\nb"])
async def test_a_packet_holds_no_text_that_misleads(api: httpx.AsyncClient, engine: AsyncEngine, text: str) -> None:
    site = await controller_site(engine)
    good = packet(site, None, LIMIT_PEAK_SHAVING="true")
    for bad, field in [
        (packet(site, None, text, LIMIT_PEAK_SHAVING="true"), "sensors.0.sensor_id"),
        (packet(site, None, STATE=text), "sensors.0.measurands.0.value"),
        (packet(site, None, **{text: 1}), "sensors.0.measurands.0.key"),
        (good | {"manufacturer": text}, "manufacturer"),
        (good | {"firmware": text}, "firmware"),
    ]:
        for escaped in (True, False):
            raw = json.dumps(bad, ensure_ascii=escaped)
            refused = await api.post("/api/telemetry/packets", content=raw.encode())
            assert problem(refused) == (422, "INVALID_PACKET")
            assert [(each["field"], each["code"]) for each in refused.json()["errors"]] == [(field, "TEXT_NOT_ALLOWED")]
    kept = await api.post("/api/telemetry/packets", json=good | {"log": "a\nb\x1b"})
    assert kept.status_code == 200


async def test_a_scenario_with_a_text_that_no_report_can_hold_is_refused(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    for escape in (r"\0", r"\x1b", r"\uFFFE"):
        body = {"depot_id": str(site.depot_id), "text": f'scenario: mine\ntitle: "ends {escape} here"\n'}
        refused = await api.post("/api/scenario-runs", json=body)
        assert problem(refused) == (422, "INVALID_SCENARIO")
        assert [each["code"] for each in refused.json()["errors"]] == ["TEXT_NOT_ALLOWED"]


@pytest.mark.parametrize("client_id", ["a\x1b", "a\nb", "a\u202eb", "e\u0301"])
def test_whoever_acts_for_the_broker_has_a_name_that_can_be_shown(client_id: str) -> None:
    with pytest.raises(ValidationError, match="actor"):
        Settings(mqtt_client_id=client_id)

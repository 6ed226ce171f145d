"""Controller bindings over HTTP: one truth with sensor actions, every refusal, conflicts, a switch under traffic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.controllers import BrokenTableError, controller_tables, load_tables
from store.monitoring.tables import capability_events, packets
from tests.factories.equipped_depots import (
    CAPACITY,
    LOAD_ACTION,
    STATE,
    add_action,
    add_device,
    add_gateway,
    made,
    problem,
)
from tests.factories.sites import CONTROLLER, MadeDepot, make_site, milliseconds, packet
from tests.factories.sites import add_device as insert_device
from tests.helpers.support import until

PATH = "/api/controller-bindings"
SEND = "/api/telemetry/packets"
NOBODY = "00000000-0000-7000-8000-000000000000"
BOTH = ["PEAK_SHAVING", "DER"]


async def two_controllers(engine: AsyncEngine) -> tuple[MadeDepot, str, str]:
    """A provisioned depot with two controllers that may be bound."""
    site = await make_site(engine)
    a, b = [str(await insert_device(engine, site, sensor)) for sensor in (CONTROLLER, "mgc-2")]
    return site, a, b


async def bind(api: httpx.AsyncClient, site: MadeDepot, device_id: str, **more: Any) -> dict[str, Any]:
    body = {"microgrid_id": str(site.microgrid_id), "device_id": device_id, "capabilities": BOTH}
    return await made(await api.post(PATH, json={**body, **more}))


def codes(answer: httpx.Response) -> list[tuple[str, str]]:
    assert problem(answer) == (422, "INVALID_CONTROLLER_BINDING")
    return [(each["field"], each["code"]) for each in answer.json()["errors"]]


async def test_a_binding_is_the_sensor_action_seen_from_the_microgrid(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, b = await two_controllers(engine)
    binding = await bind(api, site, a)
    assert (binding["microgrid_id"], binding["depot_id"]) == (str(site.microgrid_id), str(site.depot_id))
    assert binding["device"] == {
        "device_id": a, "name": f"Device {CONTROLLER}", "sensor_id": CONTROLLER, "controller": None,
        "gateway_id": str(site.gateway_id), "gateway_name": "Gateway",
    }  # fmt: skip
    assert [(each["capability"], each["measurand"], each["owned"]) for each in binding["capabilities"]] == [
        ("PEAK_SHAVING", "LIMIT_PEAK_SHAVING", True),
        ("DER", "LIMIT_DER_EXPORT", True),
    ]
    assert (binding["enabled"], binding["version"], binding["last_packet"]) == (True, 1, None)
    action_path = f"/api/sensor-actions/{binding['binding_id']}"
    action = (await api.get(action_path)).json()
    assert (action["device_id"], action["measurands"]) == (a, ["LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT"])
    # What is changed on either side is seen from the other.
    assert (await api.patch(action_path, json={"measurands": ["LIMIT_DER_EXPORT"]})).is_success
    path = f"{PATH}/{binding['binding_id']}"
    seen = (await api.get(path)).json()
    assert ([each["capability"] for each in seen["capabilities"]], seen["version"]) == (["DER"], 2)
    assert (await api.post(f"{path}/disable")).json()["enabled"] is False
    assert (await api.get(action_path)).json()["enabled"] is False
    other = await add_action(api, b, STATE)
    listed = (await api.get(PATH, params={"depot_id": str(site.depot_id)})).json()
    assert [each["binding_id"] for each in listed["items"]] == [binding["binding_id"], other["sensor_action_id"]]
    assert (await api.delete(path)).status_code == 204
    assert problem(await api.get(action_path)) == (404, "SENSOR_ACTION_NOT_FOUND")
    assert problem(await api.get(path)) == (404, "BINDING_NOT_FOUND")


async def test_another_sensor_action_is_no_binding(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    _, a, _ = await two_controllers(engine)
    action = await add_action(api, a, LOAD_ACTION)
    path = f"{PATH}/{action['sensor_action_id']}"
    for answer in (
        await api.get(path),
        await api.patch(path, json={"enabled": False}),
        await api.delete(path),
        await api.post(f"{path}/enable"),
        await api.post(f"{path}/disable"),
        await api.get(f"{path}/history"),
        await api.post(f"{PATH}/validate", json={"binding_id": action["sensor_action_id"]}),
    ):
        assert problem(answer) == (404, "BINDING_NOT_FOUND")
    assert problem(await api.post(f"{PATH}/validate", json={"binding_id": "one"})) == (422, "INVALID_REQUEST")
    assert problem(await api.patch(f"{PATH}/validate", json={})) == (405, "METHOD_NOT_ALLOWED")


async def test_bindings_are_listed_by_depot_and_microgrid_page_by_page(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, b = await two_controllers(engine)
    here = [await bind(api, site, a), await bind(api, site, b, enabled=False)]
    other, c, _ = await two_controllers(engine)
    there = await bind(api, other, c)
    first = (await api.get(PATH, params={"limit": 2})).json()
    assert [each["binding_id"] for each in first["items"]] == [each["binding_id"] for each in here]
    rest = (await api.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [each["binding_id"] for each in rest["items"]] == [there["binding_id"]]
    assert rest["next_cursor"] is None
    for name, value in (("depot_id", other.depot_id), ("microgrid_id", other.microgrid_id)):
        found = (await api.get(PATH, params={name: str(value)})).json()["items"]
        assert [each["binding_id"] for each in found] == [there["binding_id"]]
    assert (await api.get(PATH, params={"microgrid_id": NOBODY})).json()["items"] == []


@pytest.mark.acceptance("COR-39.4")
async def test_everything_that_is_wrong_is_told_at_once_and_a_dry_run_says_the_same(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, b = await two_controllers(engine)
    elsewhere, c, _ = await two_controllers(engine)
    bare = await make_site(engine, provisioned=False)
    bare_device = str(await insert_device(engine, bare))
    first = await bind(api, site, a)
    revision = (await add_device(api, str(site.gateway_id), "mgc-3"))["device_id"]
    assert (await api.patch(f"/api/devices/{revision}", json={"controller": "bba-1-no-peak-shaving"})).is_success
    here = str(site.microgrid_id)
    bound = {"microgrid_id": here, "device_id": a, "capabilities": ["DER"], "enabled": False}
    cases: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({}, [("microgrid_id", "SITE_MISSING"), ("device_id", "DEVICE_MISSING"),
              ("capabilities", "CAPABILITIES_MISSING")]),
        ({"depot_id": NOBODY, "device_id": NOBODY, "capabilities": ["DER"]},
         [("depot_id", "DEPOT_NOT_FOUND"), ("device_id", "DEVICE_NOT_FOUND")]),
        ({"microgrid_id": NOBODY, "device_id": b, "capabilities": ["DER"], "enabled": None},
         [("enabled", "WRONG_TYPE"), ("microgrid_id", "MICROGRID_NOT_FOUND")]),
        ({"microgrid_id": here, "depot_id": str(elsewhere.depot_id), "device_id": str(site.gateway_id),
          "capabilities": BOTH},
         [("depot_id", "MICROGRID_NOT_IN_DEPOT"), ("device_id", "DEVICE_WITHOUT_SENSOR"),
          ("capabilities.0", "CAPABILITY_OWNED"), ("capabilities.1", "CAPABILITY_OWNED")]),
        ({"microgrid_id": here, "device_id": c, "capabilities": BOTH, "enabled": False},
         [("device_id", "DEVICE_NOT_IN_DEPOT")]),
        ({"depot_id": str(bare.depot_id), "device_id": bare_device, "capabilities": ["DER", "SOLAR"]},
         [("capabilities.1", "UNKNOWN_CAPABILITY"), ("depot_id", "MICROGRID_NOT_PROVISIONED")]),
        (bound, [("device_id", "ALREADY_BOUND")]),
        ({"microgrid_id": here, "device_id": revision, "capabilities": BOTH},
         [("capabilities.0", "UNSUPPORTED_BY_REVISION"), ("capabilities.1", "CAPABILITY_OWNED")]),
    ]  # fmt: skip
    for body, expected in cases:
        refused = await api.post(PATH, json=body)
        assert codes(refused) == expected, body
        tried = (await api.post(f"{PATH}/validate", json=body)).json()
        assert (tried["valid"], tried["errors"]) == (False, refused.json()["errors"]), body
    owned = await api.post(PATH, json={"microgrid_id": here, "device_id": b, "capabilities": ["DER"]})
    assert f'supplied by the device "Device {CONTROLLER}"' in owned.json()["errors"][0]["detail"]
    assert {each["binding_id"] for each in owned.json()["context"]["owners"]} == {first["binding_id"]}
    assert (await api.post(PATH, json=bound)).json()["context"] == {"binding_id": first["binding_id"]}
    assert len((await api.get(PATH)).json()["items"]) == 1
    assert problem(await api.post(PATH, json=[])) == (422, "INVALID_REQUEST")


@pytest.mark.acceptance("COR-39.4")
async def test_a_revision_is_held_to_wherever_it_is_configured(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site, a, b = await two_controllers(engine)
    assert problem(await api.patch(f"/api/devices/{a}", json={"controller": "bba-9"})) == (422, "UNKNOWN_CONTROLLER")
    body = {"gateway_id": str(site.gateway_id), "sensor_id": "x", "name": "X", "controller": "bba-9"}
    refused = await api.post("/api/devices", json=body)
    assert problem(refused) == (422, "UNKNOWN_CONTROLLER")
    assert refused.json()["errors"][0]["field"] == "controller"
    assert (await made(await api.post("/api/devices", json={**body, "controller": "bba-1"})))["controller"] == "bba-1"
    binding = await bind(api, site, a)
    no_peak = {"controller": "bba-1-no-peak-shaving"}
    refused = await api.patch(f"/api/devices/{a}", json=no_peak)
    assert problem(refused) == (409, "UNSUPPORTED_BY_REVISION")
    assert refused.json()["context"] == {"binding_id": binding["binding_id"], "measurands": ["LIMIT_PEAK_SHAVING"]}
    path = f"{PATH}/{binding['binding_id']}"
    assert (await api.patch(path, json={"capabilities": ["DER"]})).is_success
    assert (await api.patch(f"/api/devices/{a}", json=no_peak)).json()["controller"] == "bba-1-no-peak-shaving"
    assert codes(await api.patch(path, json={"capabilities": ["DER", "PEAK_SHAVING"]})) == [
        ("capabilities.1", "UNSUPPORTED_BY_REVISION")
    ]
    # The sensor action is the same thing, so it is held to the same.
    action = f"/api/sensor-actions/{binding['binding_id']}"
    assert (await api.patch(f"/api/devices/{b}", json=no_peak)).is_success
    for answer in (
        await api.patch(action, json={"measurands": STATE["measurands"]}),
        await api.post(f"/api/devices/{b}/sensor-actions", json=STATE),
    ):
        assert problem(answer) == (422, "INVALID_SENSOR_ACTION")
        assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [
            ("measurands", "UNSUPPORTED_BY_REVISION")
        ]
    assert (await api.patch(action, json={"enabled": False})).is_success


def test_the_shipped_tables_are_the_controllers_that_devices_may_be(tmp_path: Path) -> None:
    assert list(controller_tables()) == ["bba-1", "bba-1-no-peak-shaving"]
    for text, said in (("[", "is no YAML"), ("controller: x", "WRONG_FORM")):
        (tmp_path / "broken.yaml").write_text(text)
        with pytest.raises(BrokenTableError, match=said):
            load_tables(tmp_path)


async def test_a_dry_run_shows_what_saving_would_do_and_changes_nothing(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, b = await two_controllers(engine)
    binding = await bind(api, site, a)

    async def tried(**change: Any) -> dict[str, Any]:
        answer = await api.post(f"{PATH}/validate", json={"binding_id": binding["binding_id"], **change})
        assert answer.status_code == 200
        return answer.json()

    moved = await tried(device_id=b)
    assert moved["valid"]
    assert [(each["capability"], each["effect"], each["after_device_id"]) for each in moved["effects"]] == [
        ("PEAK_SHAVING", "MOVES", b),
        ("DER", "MOVES", b),
    ]
    assert [(each["field"], each["code"]) for each in moved["warnings"]] == [("device_id", "DEVICE_NEVER_SENT")]
    assert [each["effect"] for each in (await tried(enabled=False))["effects"]] == ["STOPS", "STOPS"]
    assert [each["effect"] for each in (await tried(capabilities=["DER"]))["effects"]] == ["STOPS", "STAYS"]
    stale = await tried(version=7)
    assert [(each["field"], each["code"]) for each in stale["errors"]] == [("version", "VERSION_CONFLICT")]
    assert (await api.get(f"{PATH}/{binding['binding_id']}")).json() == binding


async def test_the_second_of_two_editors_sees_what_changed_who_and_when(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, b = await two_controllers(engine)
    binding = await bind(api, site, a)
    path = f"{PATH}/{binding['binding_id']}"
    assert (await api.patch(path, json={"capabilities": ["DER"], "version": 1})).is_success
    assert (await api.patch(path, json={"device_id": b, "enabled": False, "version": 2})).is_success
    refused = await api.patch(path, json={"capabilities": ["PEAK_SHAVING"], "version": 1})
    assert problem(refused) == (409, "VERSION_CONFLICT")
    context = refused.json()["context"]
    current = context["current"]
    assert (current["version"], current["device_id"], current["capabilities"], current["enabled"]) == (
        3, b, ["DER"], False,
    )  # fmt: skip
    assert [(each["actor"], each["fields"]) for each in context["changes"]] == [
        ("local-administrator", {"device_id": [a, b], "enabled": [True, False]}),
        ("local-administrator", {"capabilities": [BOTH, ["DER"]]}),
    ]
    assert all(each["at"] for each in context["changes"])
    for answer in (
        await api.post(f"{path}/disable", params={"version": 1}),
        await api.post(f"{path}/enable", params={"version": 2}),
        await api.delete(path, params={"version": 2}),
    ):
        assert problem(answer) == (409, "VERSION_CONFLICT")
    # Applied again on what holds now.
    assert (await api.patch(path, json={"capabilities": ["PEAK_SHAVING"], "version": 3})).json()["version"] == 4
    # What changes nothing leaves the version alone.
    assert (await api.patch(path, json={"version": 4, "enabled": False})).json()["version"] == 4
    history = (await api.get(f"{path}/history", params={"limit": 3})).json()
    assert [each["what"] for each in history["items"]] == ["CHANGED"] * 3
    rest = (await api.get(f"{path}/history", params={"cursor": history["next_cursor"]})).json()["items"]
    assert [(each["what"], each["actor"]) for each in rest] == [("CREATED", "local-administrator")]
    assert rest[0]["fields"] == [
        {"field": "device_id", "before": None, "after": a},
        {"field": "capabilities", "before": None, "after": BOTH},
        {"field": "enabled", "before": None, "after": True},
    ]


async def test_a_binding_shows_what_its_device_sent_and_nothing_as_current_that_it_does_not_supply(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, _ = await two_controllers(engine)
    binding = await bind(api, site, a)
    path = f"{PATH}/{binding['binding_id']}"
    sent = milliseconds()
    documents = [
        packet(site, sent - 1, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT=None),
        packet(site, sent, LIMIT_PEAK_SHAVING="false", SOC=50),
        packet(site, sent + 1, "mgc-2", LIMIT_PEAK_SHAVING="true"),
    ]
    assert (await api.post(SEND, json=documents)).is_success
    seen = (await api.get(path)).json()
    peak, der = seen["capabilities"]
    assert (peak["last_value"]["value"], peak["last_value"]["status"], peak["freshness"]) == ("false", "OFF", "FRESH")
    assert (der["last_value"]["value"], der["last_value"]["status"]) == (None, None)
    assert peak["last_value"]["observed_at"] == seen["last_packet"]["observed_at"]
    assert (await api.post(f"{path}/disable")).is_success
    off = (await api.get(path)).json()
    assert off["capabilities"][0]["last_value"] == peak["last_value"]
    assert [(each["owned"], each["freshness"], each["age_seconds"]) for each in off["capabilities"]] == [
        (False, None, None)
    ] * 2
    reported = (await api.get(f"/api/devices/{a}/measurands")).json()["items"]
    assert [(each["key"], each["value"]) for each in reported] == [
        ("LIMIT_PEAK_SHAVING", "false"), ("LIMIT_DER_EXPORT", None), ("SOC", 50),
    ]  # fmt: skip


async def test_what_each_action_resolves_to_is_what_its_next_packet_does(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, _ = await two_controllers(engine)
    for config, more in ((STATE, {"enabled": False}), (LOAD_ACTION, {}), (CAPACITY, {})):
        await add_action(api, a, config, **more)
    values: dict[str, Any] = {
        "TOTAL_POWER_LOAD": 5, "AVAILABLE_CHARGING_CAPACITY": 5, "HEARTBEAT_STATUS": "ok", "LIMIT_DER_EXPORT": "true",
    }  # fmt: skip

    async def resolved() -> dict[str, dict[str, Any]]:
        items = (await api.get(f"/api/devices/{a}/resolution")).json()["items"]
        (answer,) = (await api.post(SEND, json=packet(site, None, **values))).json()["items"]
        did = {each["action"]: each for each in answer["actions"]}
        for each in items:
            act = did[each["action"]]
            if each["state"] == "OFF":
                assert act["code"] == "DISABLED"
            elif each["state"] == "REMEDIATION":
                assert (act["outcome"], act["code"]) == ("REMEDIATION", each["remediation"]["code"])
            else:
                assert (act["target_id"], act["rule"]) == (each["target_id"], each["rule"])
        return {each["action"]: each for each in items}

    before = await resolved()
    assert {name: each["state"] for name, each in before.items()} == {
        "UPDATE_CIRCUIT_CAPACITY": "REMEDIATION",
        "UPDATE_MICROGRID_STATE": "OFF",
        "UPDATE_POWER_SOURCE_LOAD": "REMEDIATION",
    }
    assert before["UPDATE_CIRCUIT_CAPACITY"]["remediation"]["code"] == "DEVICE_WITHOUT_CIRCUIT"
    assert before["UPDATE_POWER_SOURCE_LOAD"]["remediation"]["to_do"].startswith("Add the power source")
    source = {"depot_id": str(site.depot_id), "kind": "BATTERY"}
    for name in ("One", "Two"):
        await made(await api.post("/api/power-sources", json={**source, "name": name}))
    several = (await resolved())["UPDATE_POWER_SOURCE_LOAD"]["remediation"]
    assert (several["code"], [each["name"] for each in several["candidates"]]) == ("SEVERAL_BATTERIES", ["One", "Two"])
    roof = {**source, "kind": "SOLAR", "name": "Roof", "circuit_id": str(site.circuit_ids[0])}
    await made(await api.post("/api/power-sources", json=roof))
    assert (await api.patch(f"/api/devices/{a}", json={"circuit_id": roof["circuit_id"]})).is_success
    after = await resolved()
    load, capacity = after["UPDATE_POWER_SOURCE_LOAD"], after["UPDATE_CIRCUIT_CAPACITY"]
    assert (load["target_name"], load["rule"]) == ("Roof", "LINKED_CIRCUIT")
    assert (capacity["target_name"], capacity["target"]) == ("Feed 1", "CIRCUIT")
    assert problem(await api.get(f"/api/devices/{NOBODY}/resolution")) == (404, "DEVICE_NOT_FOUND")
    assert problem(await api.get(f"/api/devices/{NOBODY}/measurands")) == (404, "DEVICE_NOT_FOUND")


async def test_a_switch_under_traffic_loses_no_packet_and_never_writes_to_the_old_owner_after_it(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site, a, b = await two_controllers(engine)
    second = (await add_gateway(api, str(site.depot_id)))["gateway_id"]
    c = (await add_device(api, second, CONTROLLER))["device_id"]
    binding = await bind(api, site, a)
    base = milliseconds() - 60_000
    counter = iter(range(60_000))
    sent: list[int] = []
    going = True

    async def sender(sensor_id: str, gateway_id: str) -> None:
        while going:
            moment = base + next(counter)
            document = packet(site, moment, sensor_id, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false")
            document["device_id"] = gateway_id
            answer = await api.post(SEND, json=document)
            assert answer.status_code == 200
            sent.append(moment)

    async def events() -> list[Any]:
        query = select(capability_events.c.id, capability_events.c.source_device_id).order_by(capability_events.c.id)
        async with engine.connect() as connection:
            return list((await connection.execute(query)).all())

    order: list[str] = [a]
    marks: list[UUID] = []
    """The last event that was there when a change had committed."""

    async def owner_wrote() -> bool:
        since = marks[-1] if marks else UUID(int=0)
        return any(each.id > since and str(each.source_device_id) == order[-1] for each in await events())

    here = str(site.gateway_id)
    sources = ((CONTROLLER, here), ("mgc-2", here), (CONTROLLER, second))
    senders = [asyncio.create_task(sender(*source)) for source in sources for _ in range(3)]
    path = f"{PATH}/{binding['binding_id']}"
    for device_id in (b, c, a, b):
        await until(owner_wrote)
        assert (await api.patch(path, json={"device_id": device_id})).status_code == 200
        marks.append((await events())[-1].id)
        order.append(device_id)
    await until(owner_wrote)
    going = False
    await asyncio.gather(*senders)
    found = await events()
    # Ids are made under the lock, in the order of acceptance: each device wrote in its own stretch, and nowhere else.
    writers = [str(each.source_device_id) for each in found]
    assert [device for place, device in enumerate(writers) if place == 0 or writers[place - 1] != device] == order
    for mark, old in zip(marks, order, strict=False):
        assert next(str(each.source_device_id) for each in found if each.id > mark) != old
    async with engine.connect() as connection:
        stored = (await connection.execute(select(packets.c.observed_at))).scalars().all()
    assert sorted(round(each.timestamp() * 1000) for each in stored) == sorted(sent)
    assert len(set(sent)) == len(sent)

"""Gateways, devices and power sources: made, changed, linked, deleted; what is refused, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from store.site.tables import power_source_readings
from tests.factories.equipped_depots import (
    CAPACITY,
    STATE,
    add_action,
    add_device,
    add_gateway,
    all_pages,
    made,
    make_equipped_depot,
    problem,
)
from tests.helpers.journal import journal
from tests.helpers.support import make_depot

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


async def test_a_gateway_lives_and_its_journal_tells_it(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = str(await make_depot(engine, "Feed"))
    gateway = await add_gateway(api, depot_id, name=" Gateway ")
    assert gateway["name"] == "Gateway"
    assert (gateway["site_model_name"], gateway["output_translation"]) == (None, None)
    assert gateway["created_by"] == gateway["updated_by"] == "local-administrator"
    path = f"/api/gateways/{gateway['gateway_id']}"
    assert (await api.get(path)).json() == gateway
    named = {"power_source_id": str(uuid4()), "more": [1, 2.5, None, {"deep": True}]}
    changed = (await api.patch(path, json={"site_model_name": "BBA-1", "output_translation": named})).json()
    assert (changed["name"], changed["site_model_name"], changed["output_translation"]) == ("Gateway", "BBA-1", named)
    assert changed["updated_at"] > gateway["updated_at"]
    assert (await api.patch(path, json={})).json() == changed
    assert (await api.patch(path, json={"name": "Gateway", "output_translation": named})).json() == changed
    cleared = (await api.patch(path, json={"site_model_name": None, "output_translation": None})).json()
    assert (cleared["site_model_name"], cleared["output_translation"]) == (None, None)
    assert (await api.delete(path)).status_code == 204
    assert problem(await api.get(path)) == (404, "GATEWAY_NOT_FOUND")
    who = "local-administrator"
    assert await journal(engine, gateway["gateway_id"]) == [
        ("GATEWAY_CREATED", who, {"name": [None, "Gateway"]}),
        ("GATEWAY_CHANGED", who, {"site_model_name": [None, "BBA-1"], "output_translation": [None, named]}),
        ("GATEWAY_CHANGED", who, {"site_model_name": ["BBA-1", None], "output_translation": [named, None]}),
        ("GATEWAY_DELETED", who, {"name": ["Gateway", None], "with_devices": 0, "with_secrets": 0}),
    ]


async def test_true_and_one_are_different_output_translations(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    gateway = await add_gateway(api, str(await make_depot(engine)), output_translation={"a": 1})
    changed = await api.patch(f"/api/gateways/{gateway['gateway_id']}", json={"output_translation": {"a": True}})
    assert changed.json()["output_translation"]["a"] is True
    *_, (action, _, detail) = await journal(engine, gateway["gateway_id"])
    assert action == "GATEWAY_CHANGED"
    assert json.dumps(detail) == '{"output_translation": [{"a": 1}, {"a": true}]}'


UNKEEPABLE = [
    ('"text"', "INVALID_REQUEST", "output_translation"),
    ("[]", "INVALID_REQUEST", "output_translation"),
    ('{"a": {"b": NaN}}', "INVALID_OUTPUT_TRANSLATION", "output_translation.a.b"),
    ('{"a": 1e999}', "INVALID_OUTPUT_TRANSLATION", "output_translation.a"),
    ('{"a": 1e-400}', "INVALID_OUTPUT_TRANSLATION", "output_translation.a"),
    ('{"a": [0, -1e-20000]}', "INVALID_OUTPUT_TRANSLATION", "output_translation.a.1"),
    ('{"a": 0e99999999999}', "INVALID_OUTPUT_TRANSLATION", "output_translation.a"),
    ('{"a": ' + "7" * 16_500 + "}", "INVALID_OUTPUT_TRANSLATION", "output_translation.a"),
    ('{"a": 1, "a": 2}', "INVALID_OUTPUT_TRANSLATION", "output_translation"),
    ('{"a": {"b": 1, "b": 1}}', "INVALID_OUTPUT_TRANSLATION", "output_translation.a"),
    ('{"a": "\\u0000"}', "INVALID_OUTPUT_TRANSLATION", "output_translation.a"),
    ('{"\\ud800": 1}', "INVALID_OUTPUT_TRANSLATION", "output_translation"),
    ('{"a": ' + "[" * 60 + "]" * 60 + "}", "INVALID_OUTPUT_TRANSLATION", None),
]


async def test_an_output_translation_that_cannot_be_kept_is_refused(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    depot_id = await make_depot(engine)
    for content, code, field in UNKEEPABLE:
        answer = await api.post(
            "/api/gateways",
            content=f'{{"depot_id": "{depot_id}", "name": "Gateway", "output_translation": {content}}}',
            headers={"content-type": "application/json"},
        )
        assert problem(answer) == (422, code), content
        (error,) = answer.json()["errors"]
        assert field is None or error["field"] == field
    assert (await api.get("/api/gateways")).json()["items"] == []


async def test_lists_are_paged_and_filtered(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    here, there = str(await make_depot(engine)), str(await make_depot(engine))
    gateways = [await add_gateway(api, depot_id) for depot_id in (here, there, here, here)]
    assert await all_pages(api, "/api/gateways") == gateways
    assert await all_pages(api, "/api/gateways", depot_id=here) == [gateways[0], *gateways[2:]]
    first, second = gateways[0]["gateway_id"], gateways[1]["gateway_id"]
    devices = [await add_device(api, gateway, f"s{n}") for n, gateway in enumerate([first, second, first, first])]
    assert await all_pages(api, "/api/devices") == devices
    assert await all_pages(api, "/api/devices", depot_id=there) == [devices[1]]
    assert await all_pages(api, "/api/devices", gateway_id=first) == [devices[0], *devices[2:]]
    sources = [
        await made(await api.post("/api/power-sources", json={"depot_id": depot, "kind": "SOLAR", "name": "Roof"}))
        for depot in (here, there, here, here)
    ]
    assert await all_pages(api, "/api/power-sources") == sources
    assert await all_pages(api, "/api/power-sources", depot_id=here) == [sources[0], *sources[2:]]
    for path in ("/api/gateways", "/api/devices", "/api/power-sources", "/api/remediations"):
        assert (await api.get(path, params={"depot_id": str(uuid4())})).json() == {"items": [], "next_cursor": None}
        assert problem(await api.get(path, params={"cursor": "nonsense"})) == (422, "INVALID_CURSOR")
        assert problem(await api.get(path, params={"depot_id": "x"})) == (422, "INVALID_REQUEST")


async def test_a_device_is_made_linked_moved_and_deleted(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    device = (await api.get(f"/api/devices/{equipped.devices[0]}")).json()
    assert (device["depot_id"], device["gateway_name"], device["circuit_name"]) == (
        equipped.depot_id,
        "Gateway",
        "Feed 1",
    )
    path = f"/api/devices/{equipped.devices[0]}"
    moved = (await api.patch(path, json={"circuit_id": equipped.circuits[1], "name": "Controller"})).json()
    assert (moved["circuit_name"], moved["name"], moved["sensor_id"]) == ("Feed 2", "Controller", "one")
    assert (await api.patch(path, json={"circuit_id": equipped.circuits[1]})).json() == moved
    other = await add_gateway(api, equipped.depot_id, name="Other")
    assert (await api.patch(path, json={"gateway_id": other["gateway_id"]})).json()["gateway_name"] == "Other"
    assert (await api.patch(path, json={"circuit_id": None})).json()["circuit_id"] is None
    assert (await api.delete(path)).status_code == 204
    assert problem(await api.get(path)) == (404, "DEVICE_NOT_FOUND")
    made_, linked, _, unlinked, gone = await journal(engine, equipped.devices[0])
    assert made_[::2] == (
        "DEVICE_CREATED",
        {
            "gateway_id": [None, equipped.gateway_id],
            "sensor_id": [None, "one"],
            "name": [None, "Device one"],
            "circuit_id": [None, equipped.circuits[0]],
        },
    )
    assert linked[2] == {"circuit_id": list(equipped.circuits), "name": ["Device one", "Controller"]}
    assert unlinked[2] == {"circuit_id": [equipped.circuits[1], None]}
    assert gone[0] == "DEVICE_DELETED"
    assert gone[2]["name"] == ["Controller", None]


async def test_devices_are_searched_by_name_and_sensor_id(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = str(await make_depot(engine, "Feed"))
    east, west = [(await add_gateway(api, depot_id))["gateway_id"] for _ in range(2)]
    made_ids = [
        (await add_device(api, gateway_id, sensor_id))["device_id"]
        for gateway_id, sensor_id in ((east, "EM_1"), (east, "em%2"), (west, "em_3"))
    ]
    for parameters, places in (
        ({"search": "em_"}, [0, 2]),
        ({"search": "DEVICE EM%"}, [1]),
        ({"search": "em", "gateway_id": east}, [0, 1]),
        ({"search": ""}, [0, 1, 2]),
        ({"search": "mgc"}, []),
    ):
        found = await all_pages(api, "/api/devices", depot_id=depot_id, **parameters)
        assert [each["device_id"] for each in found] == [made_ids[place] for place in places]


async def test_wrong_devices_are_refused(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped, elsewhere = await make_equipped_depot(engine, api), await make_equipped_depot(engine, api)
    body = {"gateway_id": equipped.gateway_id, "sensor_id": "three", "name": "Three"}
    path = f"/api/devices/{equipped.devices[1]}"
    for wrong, expected in (
        ({"sensor_id": "one"}, (409, "SENSOR_ID_TAKEN")),
        ({"circuit_id": elsewhere.circuits[0]}, (422, "CIRCUIT_NOT_IN_DEPOT")),
        ({"circuit_id": str(uuid4())}, (422, "CIRCUIT_NOT_IN_DEPOT")),
        ({"sensor_id": ""}, (422, "INVALID_REQUEST")),
        ({"sensor_id": " \t"}, (422, "INVALID_REQUEST")),
        ({"sensor_id": "a\u0000"}, (422, "INVALID_REQUEST")),
        ({"sensor_id": "x" * 201}, (422, "INVALID_REQUEST")),
        ({"sensor_id": None}, (422, "INVALID_REQUEST")),
        ({"name": " "}, (422, "INVALID_NAME")),
        ({"name": None}, (422, "INVALID_REQUEST")),
        ({"gateway_id": None}, (422, "INVALID_REQUEST")),
        ({"depot_id": equipped.depot_id}, (422, "INVALID_REQUEST")),
    ):
        assert problem(await api.post("/api/devices", json={**body, **wrong})) == expected, wrong
        assert problem(await api.patch(path, json=wrong)) == expected, wrong
    for gateway_id in (elsewhere.gateway_id, str(uuid4())):
        assert problem(await api.patch(path, json={"gateway_id": gateway_id})) == (422, "GATEWAY_NOT_IN_DEPOT")
    missing = {**body, "gateway_id": str(uuid4())}
    assert problem(await api.post("/api/devices", json=missing)) == (404, "GATEWAY_NOT_FOUND")
    assert len((await api.get("/api/devices", params={"depot_id": equipped.depot_id})).json()["items"]) == 2
    # The same sensor id in another gateway is another sensor; moving it there would make them one.
    other = (await add_gateway(api, equipped.depot_id))["gateway_id"]
    twin = await add_device(api, other, "one")
    taken = await api.patch(f"/api/devices/{twin['device_id']}", json={"gateway_id": equipped.gateway_id})
    assert problem(taken) == (409, "SENSOR_ID_TAKEN")
    assert taken.json()["context"] == {"device_id": equipped.devices[0], "device_name": "Device one"}


async def test_a_gateway_goes_with_its_devices_only_when_asked(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], STATE)
    path = f"/api/gateways/{equipped.gateway_id}"
    refused = await api.delete(path)
    assert problem(refused) == (409, "GATEWAY_HAS_DEVICES")
    assert refused.json()["context"] == {"devices": 2}
    assert (await api.delete(path, params={"cascade": True})).status_code == 204
    for gone, code in (
        (path, "GATEWAY_NOT_FOUND"),
        (f"/api/devices/{equipped.devices[1]}", "DEVICE_NOT_FOUND"),
        (f"/api/sensor-actions/{action['sensor_action_id']}", "SENSOR_ACTION_NOT_FOUND"),
    ):
        assert problem(await api.get(gone)) == (404, code)
    # The capabilities are free again.
    gateway = await add_gateway(api, equipped.depot_id)
    device = await add_device(api, gateway["gateway_id"], "one")
    await add_action(api, device["device_id"], STATE)


async def test_a_power_source_shows_its_latest_readings(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    body = {"depot_id": equipped.depot_id, "kind": "BATTERY", "name": "Battery", "circuit_id": equipped.circuits[0]}
    source = await made(await api.post("/api/power-sources", json=body))
    assert (source["circuit_name"], source["readings"]) == ("Feed 1", [])
    same = {"observed_at": NOW, "received_at": NOW, "device_id": UUID(equipped.devices[0])}
    same["power_source_id"] = UUID(source["power_source_id"])
    async with engine.begin() as connection:
        await connection.execute(
            insert(power_source_readings),
            [
                {**same, "measurand": "SOC", "value_number": 0.0, "value_text": None},
                {**same, "measurand": "DEVICE_POWER_STATE", "value_number": None, "value_text": "on"},
            ],
        )
    path = f"/api/power-sources/{source['power_source_id']}"
    found = (await api.get(path)).json()
    at = "2025-03-01T12:00:00Z"
    stamped = {
        "observed_at": at,
        "received_at": at,
        "effective_at": at,
        "clock_ahead_seconds": 0.0,
        "simulated_by": None,
    }
    assert found["readings"] == [
        {"measurand": "DEVICE_POWER_STATE", "value": "on", "unit": None, "device_id": equipped.devices[0], **stamped},
        {"measurand": "SOC", "value": 0.0, "unit": "%", "device_id": equipped.devices[0], **stamped},
    ]
    assert (await api.get("/api/power-sources", params={"depot_id": equipped.depot_id})).json()["items"] == [found]
    changed = (await api.patch(path, json={"kind": "GENERATOR", "circuit_id": None})).json()
    assert (changed["kind"], changed["circuit_id"], changed["readings"]) == ("GENERATOR", None, found["readings"])
    assert (await api.patch(path, json={"name": "Battery"})).json() == changed
    elsewhere = await make_equipped_depot(engine, api)
    for wrong, expected in (
        ({"circuit_id": elsewhere.circuits[0]}, (422, "CIRCUIT_NOT_IN_DEPOT")),
        ({"kind": "WIND"}, (422, "INVALID_REQUEST")),
        ({"kind": None}, (422, "INVALID_REQUEST")),
        ({"name": ""}, (422, "INVALID_NAME")),
    ):
        assert problem(await api.post("/api/power-sources", json={**body, **wrong})) == expected
        assert problem(await api.patch(path, json=wrong)) == expected
    assert (await api.get(path)).json() == changed
    assert (await api.delete(path)).status_code == 204
    assert problem(await api.get(path)) == (404, "POWER_SOURCE_NOT_FOUND")
    assert [action for action, _, _ in await journal(engine, source["power_source_id"])] == [
        "POWER_SOURCE_CREATED", "POWER_SOURCE_CHANGED", "POWER_SOURCE_DELETED",
    ]  # fmt: skip


NOT_THERE = [
    ("GET", "/api/gateways/{}", "GATEWAY_NOT_FOUND"),
    ("PATCH", "/api/gateways/{}", "GATEWAY_NOT_FOUND"),
    ("DELETE", "/api/gateways/{}", "GATEWAY_NOT_FOUND"),
    ("GET", "/api/devices/{}", "DEVICE_NOT_FOUND"),
    ("PATCH", "/api/devices/{}", "DEVICE_NOT_FOUND"),
    ("DELETE", "/api/devices/{}", "DEVICE_NOT_FOUND"),
    ("GET", "/api/devices/{}/sensor-actions", "DEVICE_NOT_FOUND"),
    ("POST", "/api/devices/{}/sensor-actions", "DEVICE_NOT_FOUND"),
    ("GET", "/api/power-sources/{}", "POWER_SOURCE_NOT_FOUND"),
    ("PATCH", "/api/power-sources/{}", "POWER_SOURCE_NOT_FOUND"),
    ("DELETE", "/api/power-sources/{}", "POWER_SOURCE_NOT_FOUND"),
    ("GET", "/api/sensor-actions/{}", "SENSOR_ACTION_NOT_FOUND"),
    ("PATCH", "/api/sensor-actions/{}", "SENSOR_ACTION_NOT_FOUND"),
    ("DELETE", "/api/sensor-actions/{}", "SENSOR_ACTION_NOT_FOUND"),
    ("POST", "/api/remediations/{}/resolve", "REMEDIATION_NOT_FOUND"),
    ("GET", "/api/circuits/{}/capacity", "CIRCUIT_NOT_FOUND"),
    ("GET", "/api/circuits/{}/capacity/history", "CIRCUIT_NOT_FOUND"),
]


async def test_what_is_not_there_is_not_found_and_declared(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    for method, path, code in NOT_THERE:
        answer = await api.request(method, path.format(uuid4()), json={} if method in ("POST", "PATCH") else None)
        assert problem(answer) == (404, code), (method, path)
        (declared,) = [methods for name, methods in document["paths"].items() if _same_path(name, path)]
        assert code in declared[method.lower()]["responses"]["404"]["description"]


def _same_path(template: str, path: str) -> bool:
    return re.sub(r"\{\w+\}", "{}", template) == path


async def test_every_refusal_of_the_configuration_is_declared(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()

    def declared(method: str, path: str) -> str:
        responses = document["paths"][path][method]["responses"]
        return " ".join(each["description"] for status, each in responses.items() if status >= "400")

    for method, path, codes in (
        ("post", "/api/gateways", "DEPOT_NOT_FOUND INVALID_NAME INVALID_OUTPUT_TRANSLATION"),
        ("delete", "/api/gateways/{gateway_id}", "GATEWAY_HAS_DEVICES"),
        ("post", "/api/devices", "GATEWAY_NOT_FOUND CIRCUIT_NOT_IN_DEPOT SENSOR_ID_TAKEN"),
        ("patch", "/api/devices/{device_id}", "CIRCUIT_NOT_IN_DEPOT GATEWAY_NOT_IN_DEPOT SENSOR_ID_TAKEN"),
        ("post", "/api/power-sources", "DEPOT_NOT_FOUND CIRCUIT_NOT_IN_DEPOT"),
        ("patch", "/api/power-sources/{power_source_id}", "CIRCUIT_NOT_IN_DEPOT"),
        (
            "post",
            "/api/devices/{device_id}/sensor-actions",
            "INVALID_SENSOR_ACTION SENSOR_ACTION_EXISTS CAPABILITY_OWNED",
        ),
        (
            "patch",
            "/api/sensor-actions/{sensor_action_id}",
            "INVALID_SENSOR_ACTION VERSION_CONFLICT CAPABILITY_OWNED",
        ),
        ("get", "/api/gateways", "INVALID_CURSOR"),
        ("get", "/api/devices", "INVALID_CURSOR"),
        ("get", "/api/power-sources", "INVALID_CURSOR"),
        ("get", "/api/remediations", "INVALID_CURSOR"),
        ("get", "/api/circuits/{circuit_id}/capacity/history", "INVALID_CURSOR"),
    ):
        for code in codes.split():
            assert f"`{code}`" in declared(method, path), (method, path, code)


async def test_two_devices_of_one_sensor_id_at_once(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    gateway = await add_gateway(api, str(await make_depot(engine)))
    body = {"gateway_id": gateway["gateway_id"], "sensor_id": "meter", "name": "Meter"}
    answers = await asyncio.gather(*(api.post("/api/devices", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    refused = [problem(answer) for answer in answers if answer.status_code == 409]
    assert set(refused) == {(409, "SENSOR_ID_TAKEN")}


async def test_a_deleted_circuit_leaves_its_devices_unlinked_by_who_deleted_it(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    await add_action(api, equipped.devices[0], CAPACITY)
    before = (await api.get(f"/api/devices/{equipped.devices[0]}")).json()
    assert (await api.delete(f"/api/circuits/{equipped.circuits[0]}")).status_code == 204
    after = (await api.get(f"/api/devices/{equipped.devices[0]}")).json()
    assert (after["circuit_id"], after["circuit_name"]) == (None, None)
    assert after["updated_at"] > before["updated_at"]

"""Sensor actions through the API: the schemas, what is taken, what is refused and how, races, owners."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.tables import changes
from store.site.tables import capability_owners
from tests.factories.equipped_depots import CAPACITY, STATE, add_action, make_equipped_depot, problem

EXAMPLES = [
    STATE,
    {"action": "UPDATE_POWER_SOURCE_STATE", "measurands": ["BESS_OPERATIONAL_MODE", "SOC"]},
    {"action": "UPDATE_POWER_SOURCE_LOAD", "measurands": ["TOTAL_POWER_LOAD"]},
    CAPACITY,
]


async def owners(engine: AsyncEngine) -> dict[str, str]:
    async with engine.connect() as connection:
        rows = await connection.execute(select(capability_owners.c.capability, capability_owners.c.sensor_action_id))
    return {capability: str(action) for capability, action in rows}


@pytest.mark.acceptance("COR-9.3")
async def test_the_schemas_describe_what_the_one_configuration_flow_takes(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    schemas = (await api.get("/api/sensor-action-schemas")).json()["items"]
    assert [each["action"] for each in schemas] == [example["action"] for example in EXAMPLES]
    assert schemas[0]["title"] == "Update Microgrid State"
    equipped = await make_equipped_depot(engine, api)
    for schema, example in zip(schemas, EXAMPLES, strict=True):
        Draft202012Validator.check_schema(schema["json_schema"])
        Draft202012Validator(schema["json_schema"]).validate(example)
        action = await add_action(api, equipped.devices[0], example)
        assert action["measurands"] != []
        assert set(action["measurands"]) == set(example["measurands"])
    listed = (await api.get(f"/api/devices/{equipped.devices[0]}/sensor-actions")).json()
    assert [each["action"] for each in listed["items"]] == sorted(example["action"] for example in EXAMPLES)
    assert listed["next_cursor"] is None
    (state,) = [each for each in listed["items"] if each["action"] == "UPDATE_MICROGRID_STATE"]
    assert state["capabilities"] == ["PEAK_SHAVING", "DER"]
    assert await owners(engine) == dict.fromkeys(("PEAK_SHAVING", "DER"), state["sensor_action_id"])


async def test_an_action_is_read_changed_and_deleted(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], CAPACITY)
    assert (action["enabled"], action["version"], action["heartbeat_threshold_seconds"]) == (True, 1, 120)
    assert (action["fail_safe_capacity_w"], action["capabilities"]) == (None, [])
    path = f"/api/sensor-actions/{action['sensor_action_id']}"
    assert (await api.get(path)).json() == action
    keys = ["FAIL_SAFE_CAPACITY", "HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY"]
    changed = (await api.patch(path, json={"measurands": keys, "fail_safe_capacity_w": 5_000, "version": 1})).json()
    assert changed["measurands"] == ["AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS", "FAIL_SAFE_CAPACITY"]
    assert (changed["fail_safe_capacity_w"], changed["heartbeat_threshold_seconds"], changed["version"]) == (
        5_000,
        120,
        2,
    )
    # What changes nothing leaves the version alone, whatever the order of the measurands; a form gives the action, too.
    same = {"action": "UPDATE_CIRCUIT_CAPACITY", "measurands": keys, "enabled": True, "version": 2}
    assert (await api.patch(path, json=same)).json() == changed
    assert (await api.patch(path, json={"version": None})).json() == changed
    off = (await api.patch(path, json={"enabled": False, "fail_safe_capacity_w": None})).json()
    assert (off["enabled"], off["fail_safe_capacity_w"], off["version"]) == (False, None, 3)
    assert (await api.delete(path)).status_code == 204
    assert problem(await api.get(path)) == (404, "SENSOR_ACTION_NOT_FOUND")
    async with engine.connect() as connection:
        query = (
            select(changes.c.action, changes.c.actor, changes.c.detail)
            .where(changes.c.subject_id == UUID(action["sensor_action_id"]))
            .order_by(changes.c.id)
        )
        rows = (await connection.execute(query)).all()
    assert [row.action for row in rows] == [
        "SENSOR_ACTION_CREATED", "SENSOR_ACTION_CHANGED", "SENSOR_ACTION_CHANGED", "SENSOR_ACTION_DELETED",
    ]  # fmt: skip
    assert {row.actor for row in rows} == {"local-administrator"}
    assert rows[0].detail["action"] == [None, "UPDATE_CIRCUIT_CAPACITY"]
    assert rows[1].detail == {
        "measurands": [action["measurands"], changed["measurands"]],
        "fail_safe_capacity_w": [None, 5_000],
    }
    assert rows[2].detail == {"enabled": [True, False], "fail_safe_capacity_w": [5_000, None]}


WRONG_NEW: list[tuple[dict[str, Any], set[tuple[str, str]]]] = [
    ({}, {("action", "UNKNOWN_ACTION")}),
    ({"action": "NONE", "enabled": 1}, {("action", "UNKNOWN_ACTION"), ("enabled", "WRONG_TYPE")}),
    ({**STATE, "measurands": []}, {("measurands", "MEASURANDS_MISSING")}),
    (
        {
            "action": "UPDATE_CIRCUIT_CAPACITY",
            "measurands": ["SOC", "HEARTBEAT_STATUS", "HEARTBEAT_STATUS"],
            "heartbeat_threshold_seconds": 1,
            "fail_safe_capacity_w": "much",
            "colour": "red",
            "enabled": None,
        },
        {
            ("measurands.0", "MEASURAND_NOT_TAKEN"),
            ("measurands.2", "MEASURAND_REPEATED"),
            ("measurands", "MEASURAND_REQUIRED"),
            ("heartbeat_threshold_seconds", "SETTING_OUT_OF_RANGE"),
            ("fail_safe_capacity_w", "WRONG_TYPE"),
            ("colour", "UNKNOWN_FIELD"),
            ("enabled", "WRONG_TYPE"),
        },
    ),
    ({**STATE, "heartbeat_threshold_seconds": 60}, {("heartbeat_threshold_seconds", "UNKNOWN_FIELD")}),
    ({**STATE, "version": 1}, {("version", "UNKNOWN_FIELD")}),
]
WRONG_CHANGES: list[tuple[dict[str, Any], set[tuple[str, str]]]] = [
    ({"action": "UPDATE_MICROGRID_STATE"}, {("action", "ACTION_FIXED")}),
    ({"measurands": None}, {("measurands", "MEASURANDS_MISSING")}),
    ({"heartbeat_threshold_seconds": None}, {("heartbeat_threshold_seconds", "WRONG_TYPE")}),
    (
        {"action": 5, "measurands": ["HEARTBEAT_STATUS"], "fail_safe_capacity_w": -1, "enabled": "no", "version": "1"},
        {
            ("action", "ACTION_FIXED"),
            ("measurands", "MEASURAND_REQUIRED"),
            ("fail_safe_capacity_w", "SETTING_OUT_OF_RANGE"),
            ("enabled", "WRONG_TYPE"),
            ("version", "WRONG_TYPE"),
        },
    ),
]


async def test_a_refusal_names_everything_that_is_wrong(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], CAPACITY)
    base, path = (
        f"/api/devices/{equipped.devices[1]}/sensor-actions",
        f"/api/sensor-actions/{action['sensor_action_id']}",
    )
    for method, where, cases in (("POST", base, WRONG_NEW), ("PATCH", path, WRONG_CHANGES)):
        for body, expected in cases:
            answer = await api.request(method, where, json=body)
            assert problem(answer) == (422, "INVALID_SENSOR_ACTION"), body
            errors = answer.json()["errors"]
            assert Counter((each["field"], each["code"]) for each in errors) == Counter(expected), body
            assert all(each["detail"] for each in errors)
        assert problem(await api.request(method, where, json=[])) == (422, "INVALID_REQUEST")
    assert (await api.get(base)).json()["items"] == []
    assert (await api.get(path)).json() == action


async def test_a_device_has_one_action_of_a_kind(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    base = f"/api/devices/{equipped.devices[0]}/sensor-actions"
    load = EXAMPLES[2]
    answers = await asyncio.gather(*(api.post(base, json=load) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    (first,) = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {problem(answer) for answer in refused} == {(409, "SENSOR_ACTION_EXISTS")}
    assert refused[0].json()["context"] == {"sensor_action_id": first["sensor_action_id"]}


@pytest.mark.acceptance("COR-9.3")
async def test_a_capability_has_one_owner_in_a_depot(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    one, two = equipped.devices
    peak = await add_action(api, one, STATE, measurands=["LIMIT_PEAK_SHAVING"])
    refused = await api.post(f"/api/devices/{two}/sensor-actions", json=STATE)
    assert problem(refused) == (409, "CAPABILITY_OWNED")
    document = refused.json()
    assert 'The device "Device one" publishes PEAK_SHAVING.' in document["detail"]
    assert document["context"] == {
        "owners": [
            {
                "capability": "PEAK_SHAVING",
                "sensor_action_id": peak["sensor_action_id"],
                "device_id": one,
                "device_name": "Device one",
            }
        ]
    }
    assert [(error["field"], error["code"]) for error in document["errors"]] == [("measurands", "CAPABILITY_OWNED")]
    # Switched off it owns nothing, so it may stand ready.
    ready = await add_action(api, two, STATE, enabled=False)
    path = f"/api/sensor-actions/{ready['sensor_action_id']}"
    assert problem(await api.patch(path, json={"enabled": True})) == (409, "CAPABILITY_OWNED")
    assert (await api.patch(path, json={"enabled": True, "measurands": ["LIMIT_DER_EXPORT"]})).status_code == 200
    assert await owners(engine) == {
        "PEAK_SHAVING": peak["sensor_action_id"],
        "DER": ready["sensor_action_id"],
    }
    assert problem(await api.patch(path, json={"measurands": STATE["measurands"]})) == (409, "CAPABILITY_OWNED")
    assert (await api.patch(f"/api/sensor-actions/{peak['sensor_action_id']}", json={"enabled": False})).is_success
    assert (await api.patch(path, json={"measurands": STATE["measurands"]})).is_success
    assert await owners(engine) == dict.fromkeys(("PEAK_SHAVING", "DER"), ready["sensor_action_id"])
    # Another depot has owners of its own.
    other = await make_equipped_depot(engine, api)
    await add_action(api, other.devices[0], STATE)
    assert (await api.delete(f"/api/devices/{two}")).status_code == 204
    assert (await api.patch(f"/api/sensor-actions/{peak['sensor_action_id']}", json={"enabled": True})).is_success


async def test_of_two_claims_at_once_one_wins(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    paths = [f"/api/devices/{device}/sensor-actions" for device in equipped.devices]
    for _ in range(5):
        answers = await asyncio.gather(*(api.post(path, json=STATE) for path in paths))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        (refused,) = [answer for answer in answers if answer.status_code == 409]
        assert problem(refused) == (409, "CAPABILITY_OWNED")
        (won,) = [answer.json()["sensor_action_id"] for answer in answers if answer.status_code == 201]
        assert await owners(engine) == dict.fromkeys(("PEAK_SHAVING", "DER"), won)
        assert (await api.delete(f"/api/sensor-actions/{won}")).status_code == 204
        assert await owners(engine) == {}


async def test_of_two_changes_of_one_version_one_wins(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], CAPACITY)
    path = f"/api/sensor-actions/{action['sensor_action_id']}"
    for round_ in range(1, 6):
        bodies = [{"heartbeat_threshold_seconds": 10 * round_ + n, "version": round_} for n in (0, 1)]
        answers = await asyncio.gather(*(api.patch(path, json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        (refused,) = [answer for answer in answers if answer.status_code == 409]
        (won,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert problem(refused) == (409, "VERSION_CONFLICT")
        current = refused.json()["context"]["current"]
        assert {name: won[name] for name in current} == current
        assert (current["version"], current["fail_safe_capacity_w"]) == (round_ + 1, None)
        assert refused.json()["errors"][0]["field"] == "version"
    # Without a version the last one counts.
    answers = await asyncio.gather(*(api.patch(path, json={"fail_safe_capacity_w": n}) for n in (1, 2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await api.get(path)).json()["version"] == 8


async def test_the_bodies_are_described_in_the_api_document(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()

    def body(path: str, method: str) -> dict[str, Any]:
        return document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"] | {
            "components": document["components"]
        }

    create = Draft202012Validator(body("/api/devices/{device_id}/sensor-actions", "post"))
    change = Draft202012Validator(body("/api/sensor-actions/{sensor_action_id}", "patch"))
    for example in EXAMPLES:
        assert create.is_valid({**example, "enabled": False})
        assert change.is_valid({**example, "version": 3})
    assert not create.is_valid({**STATE, "heartbeat_threshold_seconds": 10})
    assert not change.is_valid({"colour": "red"})

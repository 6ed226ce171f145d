"""Remediations through the API: listed in words and with names, closed by hand or with what they are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.types import encode_cursor
from domain.site.remediations import RemediationCode
from store.base.tables import changes
from store.site.tables import remediations
from tests.factories.equipped_depots import (
    CAPACITY,
    LOAD_ACTION,
    EquippedDepot,
    add_action,
    add_device,
    all_pages,
    made,
    make_equipped_depot,
    problem,
)

START = datetime(2025, 3, 1, 12, tzinfo=UTC)


async def stop(
    engine: AsyncEngine, equipped: EquippedDepot, action: dict[str, Any], code: str, candidates: list[str] | None = None
) -> str:
    """Open a remediation, as packet ingest does."""
    values = {
        "depot_id": UUID(equipped.depot_id),
        "gateway_id": UUID(equipped.gateway_id),
        "device_id": UUID(action["device_id"]),
        "sensor_action_id": UUID(action["sensor_action_id"]),
        "action": action["action"],
        "code": code,
        "candidates": [UUID(each) for each in candidates or []],
        "opened_at": START,
        "last_seen_at": START + timedelta(minutes=2),
        "times": 3,
    }
    async with engine.begin() as connection:
        query = insert(remediations).values(**values).returning(remediations.c.id)
        return str((await connection.execute(query)).scalar_one())


async def test_a_remediation_says_what_to_do(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], LOAD_ACTION)
    battery = await made(
        await api.post("/api/power-sources", json={"depot_id": equipped.depot_id, "kind": "BATTERY", "name": "West"})
    )
    gone = str(uuid4())
    opened = await stop(engine, equipped, action, "SEVERAL_BATTERIES", [battery["power_source_id"], gone])
    (found,) = (await api.get("/api/remediations")).json()["items"]
    words = RemediationCode.SEVERAL_BATTERIES
    assert found == {
        "remediation_id": opened,
        "state": "OPEN",
        "code": "SEVERAL_BATTERIES",
        "what": words.what,
        "to_do": words.to_do,
        "severity": "LOW",
        "mends": ["LINK_DEVICE", "CHANGE_OUTPUT_TRANSLATION"],
        # The depot has one battery by now, which takes the load of any device.
        "mended": True,
        "depot_id": equipped.depot_id,
        "depot_name": "Arrow Road",
        "gateway_id": equipped.gateway_id,
        "gateway_name": "Gateway",
        "device_id": equipped.devices[0],
        "device_name": "Device one",
        "circuit_id": equipped.circuits[0],
        "sensor_action_id": action["sensor_action_id"],
        "action": "UPDATE_POWER_SOURCE_LOAD",
        "action_title": "Update Power Source Load",
        "candidates": [
            {"power_source_id": battery["power_source_id"], "name": "West"},
            {"power_source_id": gone, "name": None},
        ],
        "since": "2025-03-01T12:00:00Z",
        "last_seen_at": "2025-03-01T12:02:00Z",
        "times": 3,
        "closed_at": None,
        "closed_by": None,
        "simulated_by": None,
    }


async def test_resolving_closes_once_and_says_who(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], LOAD_ACTION)
    opened = await stop(engine, equipped, action, "NO_POWER_SOURCE")
    closed = (await api.post(f"/api/remediations/{opened}/resolve")).json()
    assert (closed["state"], closed["closed_by"]) == ("CLOSED", "local-administrator")
    assert closed["closed_at"] is not None
    assert (await api.post(f"/api/remediations/{opened}/resolve")).json() == closed
    async with engine.connect() as connection:
        query = select(changes.c.actor).where(changes.c.action == "REMEDIATION_RESOLVED")
        assert (await connection.execute(query)).scalars().all() == ["local-administrator"]
    # The next packet that is stopped opens another.
    again = await stop(engine, equipped, action, "NO_POWER_SOURCE")
    assert [each["remediation_id"] for each in (await api.get("/api/remediations")).json()["items"]] == [again]


async def test_remediations_are_listed_by_state_and_depot_the_newest_first(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    plants = [await make_equipped_depot(engine, api) for _ in range(2)]
    opened: list[str] = []
    for equipped in plants:
        for device in equipped.devices:
            action = await add_action(api, device, LOAD_ACTION)
            opened.append(await stop(engine, equipped, action, "NO_POWER_SOURCE"))
    assert (await api.post(f"/api/remediations/{opened[1]}/resolve")).is_success
    here = plants[0].depot_id

    async def listed(**parameters: str) -> list[str]:
        return [each["remediation_id"] for each in await all_pages(api, "/api/remediations", **parameters)]

    assert await listed() == await listed(state="OPEN") == [opened[3], opened[2], opened[0]]
    assert await listed(state="CLOSED") == [opened[1]]
    assert await listed(state="ALL") == opened[::-1]
    assert await listed(state="ALL", depot_id=here) == [opened[1], opened[0]]
    assert await listed(depot_id=here) == [opened[0]]
    assert problem(await api.get("/api/remediations", params={"state": "HALF"})) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize("how", ["action switched off", "action deleted", "device deleted", "gateway deleted"])
async def test_what_no_packet_can_mend_any_more_is_closed(
    engine: AsyncEngine, api: httpx.AsyncClient, how: str
) -> None:
    equipped = await make_equipped_depot(engine, api)
    action, other = [await add_action(api, device, LOAD_ACTION) for device in equipped.devices]
    mended = await stop(engine, equipped, action, "NO_POWER_SOURCE")
    stays = await stop(engine, equipped, other, "NO_POWER_SOURCE")
    path = f"/api/sensor-actions/{action['sensor_action_id']}"
    if how == "action switched off":
        assert (await api.patch(path, json={"enabled": False})).is_success
    elif how == "action deleted":
        assert (await api.delete(path)).is_success
    elif how == "device deleted":
        assert (await api.delete(f"/api/devices/{equipped.devices[0]}")).is_success
    else:
        assert (await api.delete(f"/api/gateways/{equipped.gateway_id}?cascade=true")).is_success
    closed = (await api.get("/api/remediations", params={"state": "CLOSED"})).json()["items"]
    expected = [stays, mended] if how == "gateway deleted" else [mended]
    assert [each["remediation_id"] for each in closed] == expected
    assert {each["closed_by"] for each in closed} == {"local-administrator"}
    if how == "gateway deleted":
        # What it was about is gone, and so are the names.
        assert (closed[0]["gateway_name"], closed[0]["device_name"], closed[0]["depot_name"]) == (
            None, None, "Arrow Road",
        )  # fmt: skip


async def test_open_ones_come_with_the_worst_first(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    opened: dict[str, str] = {}
    for code in RemediationCode:
        device = await add_device(api, equipped.gateway_id, code.value)
        opened[code] = await stop(engine, equipped, await add_action(api, device["device_id"], LOAD_ACTION), code)

    found = await all_pages(api, "/api/remediations")

    ranks = [RemediationCode(each["code"]).severity.rank for each in found]
    assert ranks == sorted(ranks)
    assert {each["remediation_id"] for each in found} == set(opened.values())
    low = [each["remediation_id"] for each in found if each["severity"] == "LOW"]
    assert low == sorted(low, reverse=True)
    # What is closed is history: the newest first, whatever its severity was.
    assert [each["remediation_id"] for each in await all_pages(api, "/api/remediations", state="ALL")] == sorted(
        opened.values(), reverse=True
    )


@pytest.mark.parametrize("rank", [-1, 0, 4, 10**30, "HIGH", None])
async def test_a_cursor_of_no_severity_is_refused(api: httpx.AsyncClient, rank: object) -> None:
    cursor = encode_cursor(rank, uuid4())
    assert problem(await api.get("/api/remediations", params={"cursor": cursor})) == (422, "INVALID_CURSOR")


async def test_what_is_mended_waits_for_a_packet(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[1], CAPACITY)
    other = await add_action(api, equipped.devices[0], LOAD_ACTION)
    opened = await stop(engine, equipped, action, "DEVICE_WITHOUT_CIRCUIT")
    stays = await stop(engine, equipped, other, "NO_POWER_SOURCE")

    async def mended() -> dict[str, bool | None]:
        found = (await api.get("/api/remediations", params={"state": "ALL"})).json()["items"]
        return {each["remediation_id"]: each["mended"] for each in found}

    assert await mended() == {opened: False, stays: False}
    device = f"/api/devices/{equipped.devices[1]}"
    assert (await api.patch(device, json={"circuit_id": equipped.circuits[1]})).is_success
    assert await mended() == {opened: True, stays: False}
    # Broken again before a packet came.
    assert (await api.patch(device, json={"circuit_id": None})).is_success
    assert await mended() == {opened: False, stays: False}
    assert (await api.post(f"/api/remediations/{opened}/resolve")).json()["mended"] is None
    assert await mended() == {opened: None, stays: False}


async def test_what_another_thing_stops_now_is_not_mended(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    first, second = [await add_action(api, device, CAPACITY) for device in equipped.devices]
    await stop(engine, equipped, second, "DEVICE_WITHOUT_CIRCUIT")
    # The circuit that it is linked to follows the first one.
    linked = await api.patch(f"/api/devices/{equipped.devices[1]}", json={"circuit_id": equipped.circuits[0]})
    assert linked.is_success
    (found,) = (await api.get("/api/remediations")).json()["items"]
    assert found["mended"] is False
    assert (await api.delete(f"/api/sensor-actions/{first['sensor_action_id']}")).is_success
    (found,) = (await api.get("/api/remediations")).json()["items"]
    assert found["mended"] is True


async def test_one_without_its_gateway_or_device_is_never_mended(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], CAPACITY)
    await stop(engine, equipped, {**action, "device_id": str(uuid4())}, "DEVICE_WITHOUT_CIRCUIT")
    (found,) = (await api.get("/api/remediations")).json()["items"]
    assert (found["mended"], found["device_name"], found["circuit_id"]) == (False, None, None)

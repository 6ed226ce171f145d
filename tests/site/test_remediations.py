"""Remediations through the API: listed in words and with names, closed by hand or with what they are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.remediations import RemediationCode
from store.base.tables import changes
from store.site.tables import remediations
from tests.factories.equipped_depots import (
    LOAD_ACTION,
    EquippedDepot,
    add_action,
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
        "depot_id": equipped.depot_id,
        "depot_name": "Arrow Road",
        "gateway_id": equipped.gateway_id,
        "gateway_name": "Gateway",
        "device_id": equipped.devices[0],
        "device_name": "Device one",
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

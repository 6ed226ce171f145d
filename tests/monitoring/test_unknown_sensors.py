"""The sensors that were heard and have no device, through the API."""

from __future__ import annotations

from uuid import uuid4

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories.equipped_depots import add_device, make_equipped_depot, problem
from tests.factories.sites import milliseconds


async def test_sensors_that_packets_have_are_listed_until_they_have_a_device(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped, other = await make_equipped_depot(engine, api), await make_equipped_depot(engine, api)
    odd = ["<b>bold</b>", "\u00e4 1", "new"]
    stamp = milliseconds()
    for gateway_id, sensors in ((equipped.gateway_id, [*odd, "one"]), (other.gateway_id, ["elsewhere"])):
        document = {
            "device_id": gateway_id,
            "timestamp": stamp,
            "sensors": [{"sensor_id": each, "measurands": []} for each in sensors],
        }
        (await api.post("/api/telemetry/packets", json=document)).raise_for_status()
    path = f"/api/gateways/{equipped.gateway_id}/unknown-sensors"

    async def unknown() -> list[str]:
        return [each["sensor_id"] for each in (await api.get(path)).json()["items"]]

    assert sorted(await unknown()) == sorted(odd)
    await add_device(api, equipped.gateway_id, "new")
    assert sorted(await unknown()) == sorted(odd[:2])
    assert problem(await api.get(f"/api/gateways/{uuid4()}/unknown-sensors")) == (404, "GATEWAY_NOT_FOUND")

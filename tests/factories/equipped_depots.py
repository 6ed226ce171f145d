"""A depot with equipment, made through the API as a person makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.helpers.support import circuits_of, make_depot

CAPACITY = {
    "action": "UPDATE_CIRCUIT_CAPACITY",
    "measurands": ["AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS"],
}
LOAD_ACTION = {"action": "UPDATE_POWER_SOURCE_LOAD", "measurands": ["TOTAL_POWER_LOAD"]}
STATE = {"action": "UPDATE_MICROGRID_STATE", "measurands": ["LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT"]}


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of a problem, after its form was checked."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    return answer.status_code, document["code"]


async def made(answer: httpx.Response) -> dict[str, Any]:
    """What was made."""
    assert answer.status_code == 201, answer.text
    return answer.json()


@dataclass(frozen=True)
class EquippedDepot:
    """A depot with two circuits, a gateway and two devices."""

    depot_id: str
    circuits: tuple[str, str]
    gateway_id: str
    devices: tuple[str, str]
    """The first is linked to the first circuit, the second to none."""


async def add_gateway(api: httpx.AsyncClient, depot_id: str, **more: Any) -> dict[str, Any]:
    """Add a gateway."""
    return await made(await api.post("/api/gateways", json={"depot_id": depot_id, "name": "Gateway", **more}))


async def add_device(
    api: httpx.AsyncClient, gateway_id: str, sensor_id: str, circuit_id: str | None = None
) -> dict[str, Any]:
    """Add a device named like its sensor."""
    body = {"gateway_id": gateway_id, "sensor_id": sensor_id, "name": f"Device {sensor_id}", "circuit_id": circuit_id}
    return await made(await api.post("/api/devices", json=body))


async def add_action(api: httpx.AsyncClient, device_id: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Configure a sensor action."""
    return await made(await api.post(f"/api/devices/{device_id}/sensor-actions", json={**config, **more}))


async def make_equipped_depot(engine: AsyncEngine, api: httpx.AsyncClient) -> EquippedDepot:
    """Make a depot with equipment."""
    depot_id = await make_depot(engine, "Feed 1", "Feed 2")
    first, second = [str(circuit.circuit_id) for circuit in await circuits_of(engine, depot_id)]
    gateway = await add_gateway(api, str(depot_id))
    one = await add_device(api, gateway["gateway_id"], "one", first)
    two = await add_device(api, gateway["gateway_id"], "two")
    return EquippedDepot(str(depot_id), (first, second), gateway["gateway_id"], (one["device_id"], two["device_id"]))


async def all_pages(api: httpx.AsyncClient, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Read a list to its end, two items at a time."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        where = {**parameters, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await api.get(path, params=where)).json()
        assert len(page["items"]) <= 2
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items

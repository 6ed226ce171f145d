"""How far a depot is set up, through the API: from an empty depot to its first packet."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.provisioning.set_up import SetUpStep
from runtime.settings import Settings
from store.base.database import transaction
from store.provisioning.microgrids import reconcile_microgrid
from store.provisioning.set_up import read_set_up
from tests.access.sites import PROVIDER
from tests.factories.equipped_depots import CAPACITY, add_action, add_device, add_gateway, problem
from tests.factories.sites import milliseconds
from tests.helpers.support import ACTOR, make_depot


async def set_up(api: httpx.AsyncClient, depot_id: object) -> tuple[list[str], str | None]:
    """The steps that are done, and the next one."""
    found = (await api.get(f"/api/depots/{depot_id}/set-up")).json()
    return [each["step"] for each in found["items"] if each["done"]], found["next_step"]


async def test_a_depot_is_set_up_step_by_step(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine)
    assert await set_up(api, depot_id) == ([], "CIRCUITS")
    circuit = (await api.post(f"/api/depots/{depot_id}/circuits", json={"name": "Feed"})).json()["circuit_id"]
    done = ["CIRCUITS"]
    assert await set_up(api, depot_id) == (done, "MICROGRID")
    async with transaction(engine, ACTOR) as connection:
        await reconcile_microgrid(connection, ACTOR, depot_id)
    done.append("MICROGRID")
    assert await set_up(api, depot_id) == (done, "GATEWAY")
    gateway_id = (await add_gateway(api, str(depot_id)))["gateway_id"]
    done.append("GATEWAY")
    assert await set_up(api, depot_id) == (done, "DEVICES")
    # A packet of a sensor that no device stands for is no packet of a device.
    await send(api, gateway_id, "mgc-1")
    assert await set_up(api, depot_id) == (done, "DEVICES")
    device_id = (await add_device(api, gateway_id, "em-1", circuit))["device_id"]
    done.append("DEVICES")
    assert await set_up(api, depot_id) == (done, "SENSOR_ACTIONS")
    action = await add_action(api, device_id, CAPACITY, enabled=False)
    assert await set_up(api, depot_id) == (done, "SENSOR_ACTIONS")
    path = f"/api/sensor-actions/{action['sensor_action_id']}"
    assert (await api.patch(path, json={"enabled": True})).is_success
    done.append("SENSOR_ACTIONS")
    assert await set_up(api, depot_id) == (done, "FIRST_PACKET")
    await send(api, gateway_id, "em-1")
    assert await set_up(api, depot_id) == ([*done, "FIRST_PACKET"], None)
    # What is taken away opens its step again.
    assert (await api.delete(path)).is_success
    assert (await set_up(api, depot_id))[1] == "SENSOR_ACTIONS"


async def send(api: httpx.AsyncClient, gateway_id: str, sensor_id: str) -> None:
    value = {"key": "TOTAL_POWER_LOAD", "value": 1000, "unit": "W"}
    sensors = [{"sensor_id": sensor_id, "measurands": [value]}]
    document = {"device_id": gateway_id, "timestamp": milliseconds(), "sensors": sensors}
    (await api.post("/api/telemetry/packets", json=document)).raise_for_status()


async def test_a_retired_depot_has_no_set_up(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, "Feed")
    assert (await api.post(f"/api/depots/{depot_id}/retire")).is_success
    assert await set_up(api, depot_id) == ([], None)
    async with engine.connect() as connection:
        assert await read_set_up(connection, depot_id) is None
        assert await read_set_up(connection, uuid4()) is None


async def test_a_depot_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    assert problem(await api.get(f"/api/depots/{uuid4()}/set-up")) == (404, "DEPOT_NOT_FOUND")


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({}, False),
        (PROVIDER, True),
        ({**PROVIDER, "client_certificate_header": "x-cert", "client_certificate_networks": ["10.0.0.0/8"]}, False),
    ],
)
def test_a_secret_is_needed_where_nobody_is_believed_unasked(given: dict[str, Any], *, needed: bool) -> None:
    assert Settings(**given).needs_gateway_secrets is needed


async def test_the_first_gateway_without_a_secret_is_named(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, "Feed")
    first, second = [(await add_gateway(api, str(depot_id)))["gateway_id"] for _ in range(2)]

    async def without() -> str:
        async with engine.connect() as connection:
            facts = await read_set_up(connection, depot_id)
        assert facts is not None
        return str(facts.without_secret)

    assert await without() == first
    (await api.post(f"/api/gateways/{first}/secrets")).raise_for_status()
    assert await without() == second
    (await api.post(f"/api/gateways/{second}/secrets")).raise_for_status()
    assert await without() == "None"
    assert SetUpStep.GATEWAY_SECRET not in (await set_up(api, depot_id))[0]

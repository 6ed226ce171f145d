"""Consent to a deletion holds for what was shown, and for nothing that came since; the same for every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories.equipped_depots import (
    CAPACITY,
    LOAD_ACTION,
    STATE,
    EquippedDepot,
    add_action,
    add_device,
    made,
    make_equipped_depot,
    problem,
)
from tests.helpers.journal import journal

Call = Callable[[httpx.AsyncClient, EquippedDepot, str], Awaitable[object]]


async def circuit_of(api: httpx.AsyncClient, equipped: EquippedDepot) -> str:
    await made(
        await api.post(
            f"/api/depots/{equipped.depot_id}/circuits", json={"name": "Leaf 1", "parent_id": equipped.circuits[0]}
        )
    )
    return f"/api/circuits/{equipped.circuits[0]}"


async def gateway_of(_: httpx.AsyncClient, equipped: EquippedDepot) -> str:
    return f"/api/gateways/{equipped.gateway_id}"


async def device_of(api: httpx.AsyncClient, equipped: EquippedDepot) -> str:
    await add_action(api, equipped.devices[0], LOAD_ACTION)
    return f"/api/devices/{equipped.devices[0]}"


async def source_of(api: httpx.AsyncClient, equipped: EquippedDepot) -> str:
    body = {"depot_id": equipped.depot_id, "kind": "SOLAR", "name": "Roof", "circuit_id": equipped.circuits[0]}
    return f"/api/power-sources/{(await made(await api.post('/api/power-sources', json=body)))['power_source_id']}"


async def action_of(api: httpx.AsyncClient, equipped: EquippedDepot) -> str:
    return f"/api/sensor-actions/{(await add_action(api, equipped.devices[0], CAPACITY))['sensor_action_id']}"


async def leaf_comes(api: httpx.AsyncClient, equipped: EquippedDepot, _: str) -> None:
    body = {"name": "Leaf 2", "parent_id": equipped.circuits[0]}
    await made(await api.post(f"/api/depots/{equipped.depot_id}/circuits", json=body))


async def circuit_moves_in(api: httpx.AsyncClient, equipped: EquippedDepot, _: str) -> None:
    answer = await api.patch(f"/api/circuits/{equipped.circuits[1]}", json={"parent_id": equipped.circuits[0]})
    assert answer.status_code == 200


async def device_is_linked(api: httpx.AsyncClient, equipped: EquippedDepot, _: str) -> None:
    answer = await api.patch(f"/api/devices/{equipped.devices[1]}", json={"circuit_id": equipped.circuits[0]})
    assert answer.status_code == 200


async def renamed(api: httpx.AsyncClient, _: EquippedDepot, path: str) -> None:
    assert (await api.patch(path, json={"name": "Another"})).status_code == 200


async def device_comes(api: httpx.AsyncClient, equipped: EquippedDepot, _: str) -> None:
    await add_device(api, equipped.gateway_id, "three")


async def device_goes(api: httpx.AsyncClient, equipped: EquippedDepot, _: str) -> None:
    assert (await api.delete(f"/api/devices/{equipped.devices[1]}")).status_code == 204


async def action_comes(api: httpx.AsyncClient, equipped: EquippedDepot, _: str) -> None:
    await add_action(api, equipped.devices[0], CAPACITY)


async def load_is_routed(api: httpx.AsyncClient, equipped: EquippedDepot, _: str) -> None:
    await add_action(api, equipped.devices[0], LOAD_ACTION)


async def switched_off(api: httpx.AsyncClient, _: EquippedDepot, path: str) -> None:
    assert (await api.patch(path, json={"enabled": False})).status_code == 200


MEANWHILE: list[tuple[Any, Any]] = [
    (circuit_of, leaf_comes),
    (circuit_of, circuit_moves_in),
    (circuit_of, device_is_linked),
    (circuit_of, renamed),
    (gateway_of, device_comes),
    (gateway_of, device_goes),
    (gateway_of, action_comes),
    (gateway_of, renamed),
    (device_of, action_comes),
    (device_of, renamed),
    (source_of, load_is_routed),
    (source_of, renamed),
    (action_of, switched_off),
]


@pytest.mark.parametrize(("make", "meanwhile"), MEANWHILE, ids=lambda step: step.__name__)
async def test_what_came_meanwhile_is_not_agreed_to(
    engine: AsyncEngine,
    api: httpx.AsyncClient,
    make: Callable[[httpx.AsyncClient, EquippedDepot], Awaitable[str]],
    meanwhile: Call,
) -> None:
    equipped = await make_equipped_depot(engine, api)
    path = await make(api, equipped)
    shown = (await api.get(f"{path}/deletion")).json()
    assert (await api.get(f"{path}/deletion")).json() == shown
    await meanwhile(api, equipped, path)
    given = {"cascade": "true", "consent": shown["consent"]}
    answer = await api.delete(path, params=given)
    assert problem(answer) == (409, "DELETION_CHANGED")
    now = (await api.get(f"{path}/deletion")).json()
    assert answer.json()["context"] == now
    assert now["consent"] != shown["consent"]
    # To agree to what is there now is enough, and the journal says who did.
    assert (await api.delete(path, params=given | {"consent": now["consent"]})).status_code == 204
    assert problem(await api.delete(path, params=given))[0] == 404
    assert problem(await api.get(f"{path}/deletion"))[0] == 404
    action, actor, _ = (await journal(engine, path.rpartition("/")[2]))[-1]
    assert (action.rpartition("_")[2], actor) == ("DELETED", "local-administrator")


async def test_a_deletion_says_what_goes_and_what_stays(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    path = await circuit_of(api, equipped)
    await source_of(api, equipped)
    told = (await api.get(f"{path}/deletion")).json()["affected"]
    assert [(each["kind"], each["name"], each["effect"]) for each in told] == [
        ("CIRCUIT", "Feed 1", "DELETED"),
        ("CIRCUIT", "Leaf 1", "DELETED"),
        ("DEVICE", "Device one", "UNLINKED"),
        ("POWER_SOURCE", "Roof", "UNLINKED"),
    ]


async def test_deleting_a_circuit_names_the_actions_that_stop(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    path = f"/api/circuits/{equipped.circuits[0]}"
    for action in (CAPACITY, LOAD_ACTION, STATE):
        await add_action(api, equipped.devices[0], action)

    async def actions() -> list[tuple[str, str]]:
        told = (await api.get(f"{path}/deletion")).json()["affected"]
        return [(each["name"], each["effect"]) for each in told if each["kind"] == "SENSOR_ACTION"]

    stopped = ("Device one, Update Circuit Capacity", "STOPPED")
    assert await actions() == [stopped]
    # What finds its power source by the circuit looks for another one; the microgrid's state has no circuit.
    await source_of(api, equipped)
    assert await actions() == [stopped, ("Device one, Update Power Source Load", "REROUTED")]


async def test_consent_is_no_cascade_and_what_is_elsewhere_does_not_matter(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    path = await circuit_of(api, equipped)
    consent = (await api.get(f"{path}/deletion")).json()["consent"]
    await made(await api.post(f"/api/depots/{equipped.depot_id}/circuits", json={"name": "Feed 0", "position": 0}))
    assert problem(await api.delete(path, params={"consent": consent})) == (409, "CIRCUIT_HAS_CHILDREN")
    assert problem(await api.delete(path, params={"consent": "", "cascade": True})) == (409, "DELETION_CHANGED")
    assert (await api.delete(path, params={"consent": consent, "cascade": True})).status_code == 204


async def test_a_circuit_that_comes_at_once_goes_only_if_it_was_agreed_to(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    path = await circuit_of(api, equipped)
    consent = (await api.get(f"{path}/deletion")).json()["consent"]
    body = {"name": "Leaf 2", "parent_id": equipped.circuits[0]}
    deleted, added = await asyncio.gather(
        api.delete(path, params={"consent": consent, "cascade": True}),
        api.post(f"/api/depots/{equipped.depot_id}/circuits", json=body),
    )
    # Whoever came first, the other is told; never both.
    assert (deleted.status_code, added.status_code) in ((204, 422), (409, 201))

"""The lock that configuration and packets share, and what is told when a change has committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from store.base.locks import lock_sites
from store.base.notifications.notify import CHANNEL, notify, payloads
from store.site.site_changes import configuration_change
from tests.factories.equipped_depots import (
    CAPACITY,
    LOAD_ACTION,
    STATE,
    add_action,
    add_device,
    add_gateway,
    made,
    make_equipped_depot,
)
from tests.helpers.support import ACTOR, make_depot, until

WAITING = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'"
)


async def waiting(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(WAITING)).scalar_one()


async def test_every_change_of_the_configuration_waits_for_packets_that_hold_the_site(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    spare = await add_gateway(api, equipped.depot_id)
    spare_device = await add_device(api, equipped.gateway_id, "spare")
    source = await made(
        await api.post("/api/power-sources", json={"depot_id": equipped.depot_id, "kind": "SOLAR", "name": "Roof"})
    )
    spare_source = await made(
        await api.post("/api/power-sources", json={"depot_id": equipped.depot_id, "kind": "SOLAR", "name": "Spare"})
    )
    action = await add_action(api, equipped.devices[0], STATE)
    spare_action = await add_action(api, equipped.devices[1], CAPACITY)
    actions, of = "/api/sensor-actions", "sensor_action_id"
    bindings = "/api/controller-bindings"
    changes: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "/api/gateways", {"depot_id": equipped.depot_id, "name": "New"}),
        ("PATCH", f"/api/gateways/{equipped.gateway_id}", {"name": "Other"}),
        ("DELETE", f"/api/gateways/{spare['gateway_id']}", None),
        ("POST", "/api/devices", {"gateway_id": equipped.gateway_id, "sensor_id": "new", "name": "New"}),
        ("PATCH", f"/api/devices/{equipped.devices[0]}", {"circuit_id": None}),
        ("DELETE", f"/api/devices/{spare_device['device_id']}", None),
        ("POST", "/api/power-sources", {"depot_id": equipped.depot_id, "kind": "BATTERY", "name": "New"}),
        ("PATCH", f"/api/power-sources/{source['power_source_id']}", {"name": "Other"}),
        ("DELETE", f"/api/power-sources/{spare_source['power_source_id']}", None),
        ("POST", f"/api/devices/{equipped.devices[1]}/sensor-actions", LOAD_ACTION),
        ("PATCH", f"{actions}/{action[of]}", {"enabled": False}),
        ("DELETE", f"{actions}/{spare_action[of]}", None),
        ("PATCH", f"{bindings}/{action[of]}", {"capabilities": ["DER"]}),
        ("POST", f"{bindings}/{action[of]}/disable", None),
        ("DELETE", f"{bindings}/{action[of]}", None),
        ("POST", f"/api/depots/{equipped.depot_id}/circuits", {"name": "New"}),
        ("PATCH", f"/api/circuits/{equipped.circuits[0]}", {"name": "Other"}),
        ("DELETE", f"/api/circuits/{equipped.circuits[1]}", None),
    ]
    elsewhere = await make_depot(engine)
    for method, path, body in changes:
        async with engine.begin() as connection:
            await lock_sites(connection, [UUID(equipped.depot_id), uuid4()])
            answer = asyncio.create_task(api.request(method, path, json=body))
            await until(lambda: _is_waiting(engine))
            assert not answer.done(), (method, path)
            # Another depot waits for nobody.
            assert (await api.post("/api/gateways", json={"depot_id": str(elsewhere), "name": "New"})).is_success
        assert (await answer).is_success, (method, path)


async def _is_waiting(engine: AsyncEngine) -> bool:
    return await waiting(engine) == 1


async def test_packets_of_many_depots_lock_in_one_order(engine: AsyncEngine) -> None:
    depots = [uuid4() for _ in range(20)]

    async def take(order: list[UUID]) -> None:
        for _ in range(20):
            async with engine.begin() as connection:
                await lock_sites(connection, order)

    async with asyncio.timeout(60):
        await asyncio.gather(take(depots), take(depots[::-1]), take(depots[10:] + depots[:10]))


async def test_a_lock_of_no_depots_is_none(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await lock_sites(connection, ())
        held = await connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
        assert held.scalar_one() == 0


@asynccontextmanager
async def listening(database_url: str) -> AsyncGenerator[asyncio.Queue[str]]:
    heard: asyncio.Queue[str] = asyncio.Queue()

    def hear(_: object, __: int, ___: str, payload: object) -> None:
        heard.put_nowait(str(payload))

    connection = await asyncpg.connect(database_url)
    try:
        await connection.add_listener(CHANNEL, hear)
        yield heard
    finally:
        await connection.close()


async def test_a_change_is_told_when_it_is_committed(
    engine: AsyncEngine, api: httpx.AsyncClient, database_url: str
) -> None:
    equipped = await make_equipped_depot(engine, api)
    async with listening(database_url) as heard:
        action = await add_action(api, equipped.devices[0], CAPACITY)
        assert await heard.get() == f"{equipped.depot_id} CAPACITY CONFIGURATION"
        path = f"/api/sensor-actions/{action['sensor_action_id']}"
        assert (await api.patch(path, json={"enabled": "no"})).status_code == 422
        assert (await api.patch(path, json={"enabled": True})).status_code == 200
        # Neither a refusal nor a change of nothing was told: the next that is heard is this one.
        assert (await api.patch(path, json={"heartbeat_threshold_seconds": 90})).status_code == 200
        assert await heard.get() == f"{equipped.depot_id} CONFIGURATION"
        assert (await api.delete(f"/api/circuits/{equipped.circuits[0]}")).status_code == 204
        assert await heard.get() == f"{equipped.depot_id} CAPACITY CONFIGURATION"
        assert heard.empty()


async def test_what_follows_from_a_block_follows_once_and_last(
    engine: AsyncEngine, api: httpx.AsyncClient, database_url: str
) -> None:
    equipped = await make_equipped_depot(engine, api)
    depot_id = UUID(equipped.depot_id)
    done: list[str] = []

    async def deferred() -> None:
        done.append("deferred")

    async with listening(database_url) as heard:
        async with engine.begin() as connection, configuration_change(connection, ACTOR, depot_id):
            # Held before the block begins, whatever it does then.
            held = await connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
            assert held.scalar_one() == 1
        with pytest.raises(Problem):
            async with engine.begin() as connection, configuration_change(connection, ACTOR, depot_id) as change:
                await change.record("GATEWAY_CHANGED", UUID(equipped.gateway_id))
                change.defer(deferred)
                raise Problem(ProblemCode.GATEWAY_HAS_DEVICES, "No.")
        assert done == []
        async with engine.begin() as connection, configuration_change(connection, ACTOR, depot_id) as change:
            change.defer(deferred)
            await change.record("GATEWAY_CHANGED", UUID(equipped.gateway_id))
            await change.record("GATEWAY_CHANGED", UUID(equipped.gateway_id))
            done.append("block")
        assert await heard.get() == f"{equipped.depot_id} CONFIGURATION"
        assert done == ["block", "deferred"]
        assert heard.empty()


async def test_many_changes_are_told_in_payloads_that_postgresql_takes(engine: AsyncEngine, database_url: str) -> None:
    changes = {uuid4(): {"CAPACITY", "CONFIGURATION"} for _ in range(500)}
    changes[uuid4()] = set()
    told = list(payloads(changes))
    assert all(len(payload.encode()) < 7_900 for payload in told)
    assert len(told) == 4
    expected = [f"{depot_id} CAPACITY CONFIGURATION" for depot_id, kinds in changes.items() if kinds]
    assert [each for payload in told for each in payload.split(";")] == expected
    assert list(payloads({})) == []
    async with listening(database_url) as heard:
        async with engine.begin() as connection:
            await notify(connection, changes)
            await notify(connection, {})
        assert [await heard.get() for _ in told] == told

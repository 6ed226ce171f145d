"""The overview of a fleet by the API: what needs attention, and what depots draw beside what they may draw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.monitoring.overview import read
from domain.access.principals import EVERYWHERE, NOWHERE, DepotScope
from domain.site.routing import PowerSourceKind
from store.monitoring.powers import MeasuredPower, read_powers
from store.site.fleet.fleet_load import FleetLoad, read_depot_loads, read_fleet_load
from store.site.tables import circuits
from tests.factories.capacities import capacity_site, expire
from tests.factories.packets import send
from tests.factories.sites import (
    MADE,
    MadeDepot,
    add_action,
    add_device,
    add_power_source,
    controller_site,
    make_site,
    milliseconds,
    open_remediation,
    packet,
)
from tests.helpers.counting import statements_of


async def rate(engine: AsyncEngine, circuit_id: UUID, watts: float | None) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(circuits).where(circuits.c.id == circuit_id).values(rated_power_w=watts))


async def below(engine: AsyncEngine, site: MadeDepot, circuit_id: UUID) -> UUID:
    """Add a circuit below another one."""
    row = insert(circuits).values(depot_id=site.depot_id, parent_id=circuit_id, name="Bay", position=0, **MADE)
    async with engine.begin() as connection:
        return (await connection.execute(row.returning(circuits.c.id))).scalar_one()


async def load(engine: AsyncEngine, scope: DepotScope = EVERYWHERE) -> FleetLoad:
    async with engine.connect() as connection:
        return await read_fleet_load(connection, scope)


async def test_an_empty_fleet_needs_nothing(api: httpx.AsyncClient) -> None:
    found = (await api.get("/api/overview")).json()
    assert found.pop("worst") == []
    assert set(found.values()) == {0}
    assert (await api.get("/api/overview/load")).json() == {
        "depots": 0, "load_w": 0, "capacity_w": None, "simulated_depots": 0,
    }  # fmt: skip


async def test_the_overview_names_the_worst_with_why_and_since_when(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    stopped, silent = await controller_site(engine), await capacity_site(engine)
    for _ in range(2):
        await open_remediation(engine, stopped, at)
    await expire(engine, *silent.circuit_ids)
    found: dict[str, Any] = (await api.get("/api/overview")).json()
    assert (found["depots"], found["in_alarm"], found["open_remediations"], found["remediation_depots"]) == (2, 1, 2, 1)
    (worst,) = found["worst"]
    assert worst["depot_id"] == str(stopped.depot_id)
    told = {"priority": 2, "since": at.isoformat().replace("+00:00", "Z")}
    assert {name: worst[name] for name in told} == told
    assert worst["alarms"] == [
        {"kind": "REMEDIATION_OPEN", "count": 2, "mended_at": "REMEDIATIONS", "simulated_by": None, **told}
    ]
    # Of one depot it is told at once, also what nobody has noted yet.
    told_of = (await api.get(f"/api/depots/{silent.depot_id}/alarms")).json()["items"]
    assert [each["kind"] for each in told_of] == ["CONTROLLER_SILENT", "FAIL_SAFE"]
    missing = await api.get(f"/api/depots/{uuid4()}/alarms")
    assert (missing.status_code, missing.json()["code"]) == (404, "DEPOT_NOT_FOUND")


async def test_it_costs_the_same_number_of_statements_at_any_size(engine: AsyncEngine) -> None:
    counted: list[int] = []
    for _ in range(2):
        for _ in range(3):
            await open_remediation(engine, await make_site(engine), datetime.now(UTC))
        with statements_of(engine) as seen:
            assert len((await read(engine, EVERYWHERE)).worst) == 3 * (len(counted) + 1)
        counted.append(seen.count)
    assert counted[0] == counted[1]


async def test_the_load_of_depots_beside_what_they_may_draw(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    one, other = await make_site(engine, feeds=2), await capacity_site(engine)
    quiet = await make_site(engine)
    for circuit_id, watts in zip(one.circuit_ids, (100_000, 50_000), strict=True):
        await rate(engine, circuit_id, watts)
    await rate(engine, quiet.circuit_ids[0], 1e6)
    bay = await below(engine, one, one.circuit_ids[0])
    for name, circuit_id in (("top", one.circuit_ids[0]), ("second", one.circuit_ids[1]), ("bay", bay)):
        await add_device(engine, one, name, circuit_id=circuit_id)
    now = milliseconds()
    await send(api, packet(one, now - 2_000, "top", TOTAL_POWER_LOAD=1_000))
    # The last one counts, and what is below a circuit that is measured is in it.
    await send(api, packet(one, now - 1_000, "top", TOTAL_POWER_LOAD=60_000))
    await send(api, packet(one, now, "bay", TOTAL_POWER_LOAD=20_000))
    assert await load(engine) == FleetLoad(1, 60_000, 150_000, 0)
    await send(api, packet(one, now, "second", TOTAL_POWER_LOAD=5_000))
    # A circuit that follows its controller may draw what that says.
    well = {"AVAILABLE_CHARGING_CAPACITY": 80_000, "HEARTBEAT_STATUS": "ok"}
    await send(api, packet(other, now, TOTAL_POWER_LOAD=70_000, **well))
    assert await load(engine) == FleetLoad(2, 135_000, 230_000, 0)
    assert await load(engine, DepotScope.of(other.depot_id)) == FleetLoad(1, 70_000, 80_000, 0)
    # Each by itself, with the devices that measure it.
    async with engine.connect() as connection:
        each = await read_depot_loads(connection, [one.depot_id, other.depot_id, quiet.depot_id, uuid4()])
        assert await read_depot_loads(connection, []) == {}
    assert {depot_id: (own.load_w, own.capacity_w, own.is_simulated) for depot_id, own in each.items()} == {
        one.depot_id: (65_000, 150_000, False), other.depot_id: (70_000, 80_000, False),
    }  # fmt: skip
    assert set(each[one.depot_id].device_ids) == {one.devices["top"], one.devices["second"]}
    assert await load(engine, NOWHERE) == FleetLoad(0, 0, None, 0)


async def test_what_a_battery_gives_is_no_load(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await make_site(engine, feeds=2)
    await add_power_source(engine, site, circuit_id=site.circuit_ids[0])
    for name, circuit_id in zip(("bess", "grid"), site.circuit_ids, strict=True):
        await add_device(engine, site, name, circuit_id=circuit_id)
    await add_action(engine, site, "UPDATE_POWER_SOURCE_LOAD", "TOTAL_POWER_LOAD", sensor_id="bess")
    await send(api, packet(site, milliseconds(), "bess", TOTAL_POWER_LOAD=50_000))
    assert (await load(engine)).depots == 0
    await send(api, packet(site, milliseconds(), "grid", TOTAL_POWER_LOAD=70_000))
    found = await load(engine)
    assert (found.depots, found.load_w) == (1, 70_000)
    series = (await api.get(f"/api/depots/{site.depot_id}/load")).json()["series"]
    assert {each["device_name"]: each["power_source_kind"] for each in series} == {
        "Device bess": "BATTERY", "Device grid": None,
    }  # fmt: skip
    async with engine.connect() as connection:
        powers = await read_powers(connection, site.depot_id)
    assert powers == {
        site.devices["bess"]: MeasuredPower(50_000, PowerSourceKind.BATTERY),
        site.devices["grid"]: MeasuredPower(70_000),
    }


async def test_a_load_that_was_measured_long_ago_is_none_of_now(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await make_site(engine)
    await add_device(engine, site, circuit_id=site.circuit_ids[0])
    await send(api, packet(site, milliseconds() - 20 * 60_000, TOTAL_POWER_LOAD=60_000))
    assert (await load(engine)).depots == 0
    async with engine.connect() as connection:
        assert await read_powers(connection, site.depot_id) == {}

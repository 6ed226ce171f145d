"""The circuit's capacity follows its controller, and falls back by itself when the controller is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.monitoring.capacity_upkeep import pass_deadlines, seconds_to_next_deadline
from tests.factories.capacities import ACTION, KEYS, POLICY, capacity_site, expire, state, steps
from tests.factories.packets import send
from tests.factories.sites import add_action, add_device, milliseconds, packet


async def pass_all(engine: AsyncEngine) -> int:
    """Let every deadline that has come pass."""
    async with engine.begin() as connection:
        return await pass_deadlines(connection, 1000)


async def seconds_until(connection: AsyncConnection, moment: datetime) -> float:
    """How long it is until a moment, by the database's clock."""
    left = text("SELECT extract(epoch FROM CAST(:moment AS timestamptz) - clock_timestamp())")
    return float((await connection.execute(left, {"moment": moment})).scalar_one())


@pytest.mark.acceptance("COR-40.5")
async def test_the_controller_sets_the_capacity_while_its_heartbeat_is_ok(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await capacity_site(engine)
    (circuit_id,) = site.circuit_ids
    now = milliseconds()
    (item,) = await send(
        api, packet(site, now, AVAILABLE_CHARGING_CAPACITY=250_000, HEARTBEAT_STATUS="ok", FAIL_SAFE_CAPACITY=30_000)
    )
    (action,) = item["actions"]
    assert (action["action"], action["outcome"], action["target_id"]) == (ACTION, "APPLIED", str(circuit_id))
    held = await state(engine, circuit_id)
    assert (held["mode"], held["capacity_w"], held["basis"], held["reason"]) == (
        "CONTROLLER", 250_000, "AVAILABLE_CHARGING_CAPACITY", None,
    )  # fmt: skip
    await send(api, packet(site, now + 1000, AVAILABLE_CHARGING_CAPACITY=180_000, HEARTBEAT_STATUS="timeout"))
    held = await state(engine, circuit_id)
    assert (held["mode"], held["reason"], held["capacity_w"], held["basis"], held["deadline"]) == (
        "FAIL_SAFE", "HEARTBEAT_TIMEOUT", 30_000, "FAIL_SAFE_RECEIVED", None,
    )  # fmt: skip
    await send(api, packet(site, now + 2000, AVAILABLE_CHARGING_CAPACITY=200_000, HEARTBEAT_STATUS="ok"))
    assert (await state(engine, circuit_id))["capacity_w"] == 200_000
    assert await steps(engine) == [
        ("CONTROLLER", None, 250_000), ("FAIL_SAFE", "HEARTBEAT_TIMEOUT", 30_000), ("CONTROLLER", None, 200_000),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("measurands", "code"),
    [
        ({"AVAILABLE_CHARGING_CAPACITY": 1}, "INCOMPLETE"),
        ({"HEARTBEAT_STATUS": "ok"}, "INCOMPLETE"),
        ({"SOC": 5}, "NO_MEASURAND"),
    ],
)
async def test_a_packet_that_proves_nothing_changes_nothing(
    api: httpx.AsyncClient, engine: AsyncEngine, measurands: dict[str, Any], code: str
) -> None:
    site = await capacity_site(engine)
    before = await state(engine, site.circuit_ids[0])
    (item,) = await send(api, packet(site, **measurands))
    assert (item["actions"][0]["outcome"], item["actions"][0]["code"]) == ("IGNORED", code)
    assert await state(engine, site.circuit_ids[0]) == before


async def test_the_fail_safe_takes_over_when_no_packet_comes(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await capacity_site(engine)
    (circuit_id,) = site.circuit_ids
    await send(api, packet(site, AVAILABLE_CHARGING_CAPACITY=250_000, HEARTBEAT_STATUS="ok"))
    assert await pass_all(engine) == 0
    held = await state(engine, circuit_id)
    async with engine.connect() as connection:
        before = await seconds_until(connection, held["deadline"])
        left = await seconds_to_next_deadline(connection)
        after = await seconds_until(connection, held["deadline"])
    assert left is not None
    assert before >= left >= after
    await expire(engine, circuit_id)
    due = (await state(engine, circuit_id))["deadline"]
    assert await pass_all(engine) == 1
    held = await state(engine, circuit_id)
    assert (held["mode"], held["reason"], held["capacity_w"], held["basis"]) == (
        "FAIL_SAFE", "NO_PACKET", 40_000, "FAIL_SAFE_CONFIGURED",
    )  # fmt: skip
    # It holds since the deadline, not since somebody looked; looking again changes nothing.
    assert held["since"] == due
    assert await pass_all(engine) == 0
    assert await steps(engine) == [("CONTROLLER", None, 250_000), ("FAIL_SAFE", "NO_PACKET", 40_000)]


async def test_a_deadline_that_nobody_heeded_is_a_step_before_the_packet(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await capacity_site(engine)
    (circuit_id,) = site.circuit_ids
    now = milliseconds()
    await send(api, packet(site, now, AVAILABLE_CHARGING_CAPACITY=250_000, HEARTBEAT_STATUS="ok"))
    await expire(engine, circuit_id)
    await send(api, packet(site, now + 1000, AVAILABLE_CHARGING_CAPACITY=240_000, HEARTBEAT_STATUS="ok"))
    assert await steps(engine) == [
        ("CONTROLLER", None, 250_000), ("FAIL_SAFE", "NO_PACKET", 40_000), ("CONTROLLER", None, 240_000),
    ]  # fmt: skip


async def test_a_device_without_a_circuit_and_a_circuit_of_another_are_remediations(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await capacity_site(engine)
    await add_device(engine, site, "mgc-2")
    await add_action(engine, site, ACTION, *KEYS, sensor_id="mgc-2", policy=POLICY)
    await add_device(engine, site, "mgc-3", circuit_id=site.circuit_ids[0])
    await add_action(engine, site, ACTION, *KEYS, sensor_id="mgc-3", policy=POLICY)
    before = await state(engine, site.circuit_ids[0])
    for sensor_id, code in (("mgc-2", "DEVICE_WITHOUT_CIRCUIT"), ("mgc-3", "CIRCUIT_FOLLOWS_ANOTHER_DEVICE")):
        sent = packet(site, milliseconds(), sensor_id, AVAILABLE_CHARGING_CAPACITY=1, HEARTBEAT_STATUS="ok")
        (item,) = await send(api, sent)
        assert (item["actions"][0]["outcome"], item["actions"][0]["code"]) == ("REMEDIATION", code)
    assert await state(engine, site.circuit_ids[0]) == before


async def test_many_deadlines_pass_in_few_steps(engine: AsyncEngine) -> None:
    sites = [await capacity_site(engine) for _ in range(12)]
    circuit_ids = [site.circuit_ids[0] for site in sites]
    await expire(engine, *circuit_ids[:9])
    async with engine.begin() as connection:
        assert await pass_deadlines(connection, 5) == 5
    async with engine.begin() as connection:
        assert await pass_deadlines(connection, 5) == 4
    modes = [(await state(engine, circuit_id))["mode"] for circuit_id in circuit_ids]
    assert modes == ["FAIL_SAFE"] * 9 + ["AWAITING"] * 3
    assert datetime.now(UTC) < (await state(engine, circuit_ids[-1]))["deadline"]

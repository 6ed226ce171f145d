"""A gateway's clock that runs ahead, and what is handed over from one device to another: through packet ingest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.circuit_capacity import CapacityPolicy
from store.base.database import transaction
from store.site.site_changes import apply_configuration_change
from tests.factories.folds import assert_latest_is_the_fold, assert_since_is_the_fold
from tests.factories.packets import latest, send
from tests.factories.sites import (
    MadeDepot,
    add_action,
    add_device,
    add_power_source,
    controller_site,
    make_site,
    milliseconds,
    packet,
)
from tests.helpers.support import ACTOR

AHEAD = timedelta(minutes=4)
POLICY = CapacityPolicy(timedelta(minutes=2), 10_000)
CAPACITY_KEYS = ("HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY", "FAIL_SAFE_CAPACITY")


def stamp(lead: timedelta = timedelta()) -> int:
    return milliseconds(datetime.now(UTC) + lead)


async def circuit_site(engine: AsyncEngine) -> MadeDepot:
    """A site whose one circuit follows the controller."""
    site = await make_site(engine)
    await add_device(engine, site, circuit_id=site.circuit_ids[0])
    await add_action(engine, site, "UPDATE_CIRCUIT_CAPACITY", *CAPACITY_KEYS, policy=POLICY)
    async with transaction(engine, ACTOR) as connection:
        await apply_configuration_change(connection, site.depot_id)
    return site


def answers(item: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["outcome"], each["code"]) for each in item["actions"]]


def told(item: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["outcome"], each["code"]) for each in item["actions"][0]["measurands"]]


async def test_after_a_stamp_ahead_right_packets_are_shown_at_once(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    await send(api, packet(site, stamp(AHEAD), LIMIT_PEAK_SHAVING="true"))
    peak = (await latest(api, site))["PEAK_SHAVING"]
    assert (peak["status"], peak["freshness"], peak["effective_at"]) == ("ON", "FRESH", peak["received_at"])
    assert datetime.fromisoformat(peak["effective_at"]) <= datetime.now(UTC)
    assert 235 < peak["clock_ahead_seconds"] <= 240
    assert peak["age_seconds"] < 60
    assert datetime.fromisoformat(peak["stale_at"]) == datetime.fromisoformat(peak["received_at"]) + timedelta(
        minutes=5
    )
    (item,) = await send(api, packet(site, stamp(), LIMIT_PEAK_SHAVING="false"))
    assert told(item) == [("APPLIED", None)]
    peak = (await latest(api, site))["PEAK_SHAVING"]
    assert (peak["status"], peak["clock_ahead_seconds"]) == ("OFF", 0)
    # What was measured before all that is truly late.
    (item,) = await send(api, packet(site, stamp(-AHEAD), LIMIT_PEAK_SHAVING="true"))
    assert told(item) == [("IGNORED", "LATE")]
    await assert_latest_is_the_fold(engine)
    await assert_since_is_the_fold(engine)


async def test_a_lost_connection_is_heeded_after_a_stamp_ahead(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await circuit_site(engine)
    said = {"HEARTBEAT_STATUS": "ok", "AVAILABLE_CHARGING_CAPACITY": 90_000}
    (item,) = await send(api, packet(site, stamp(AHEAD), **said))
    assert answers(item) == [("APPLIED", None)]
    (item,) = await send(api, packet(site, stamp(), HEARTBEAT_STATUS="connection_lost"))
    assert answers(item) == [("APPLIED", None)]
    held = (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity")).json()
    assert (held["mode"], held["reason"], held["capacity_w"]) == ("FAIL_SAFE", "CONNECTION_LOST", 10_000)
    (item,) = await send(api, packet(site, stamp(), **said))
    assert answers(item) == [("APPLIED", None)]
    held = (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity")).json()
    assert (held["mode"], held["capacity_w"]) == ("CONTROLLER", 90_000)


async def test_a_packet_ahead_that_is_sent_again_counts_once(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await circuit_site(engine)
    battery = await add_power_source(engine, site)
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC")
    first = packet(site, stamp(AHEAD), HEARTBEAT_STATUS="ok", AVAILABLE_CHARGING_CAPACITY=90_000, SOC=50)
    await send(api, [first, first])
    second = packet(site, stamp(), HEARTBEAT_STATUS="connection_lost", SOC=60)
    await send(api, second)
    for again in (first, [first, second, first]):
        for item in await send(api, again):
            assert {code for _, code in answers(item)} == {"LATE"}
    held = (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity")).json()
    assert held["reason"] == "CONNECTION_LOST"
    (soc,) = (await api.get(f"/api/power-sources/{battery}")).json()["readings"]
    assert soc["value"] == 60


async def test_packets_that_are_measured_too_long_ago_are_not_told_as_none(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await circuit_site(engine)
    said = {"HEARTBEAT_STATUS": "ok", "AVAILABLE_CHARGING_CAPACITY": 90_000}
    await send(api, packet(site, stamp(-AHEAD), **said))
    held = (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity")).json()
    assert (held["mode"], held["reason"]) == ("FAIL_SAFE", "NO_PACKET")
    assert held["message"].startswith("Packets come, but each was measured longer ago than the heartbeat threshold")


# Hand-overs


async def hand_over(api: httpx.AsyncClient, engine: AsyncEngine, site: MadeDepot, sensor_id: str, key: str) -> UUID:
    """Delete the device that has the action and let a new one, with a sensor of its own, take its place."""
    old = next(iter(site.devices.values()))
    carried = (await api.get(f"/api/devices/{old}/sensor-actions")).json()["items"]
    assert (await api.delete(f"/api/devices/{old}")).status_code == 204
    new = await add_device(engine, site, sensor_id, site.circuit_ids[0])
    for action in carried:
        policy = POLICY if action["action"] == "UPDATE_CIRCUIT_CAPACITY" else None
        await add_action(engine, site, action["action"], key, sensor_id=sensor_id, policy=policy)
    async with transaction(engine, ACTOR) as connection:
        await apply_configuration_change(connection, site.depot_id)
    return new


async def test_after_a_hand_over_the_old_devices_status_is_in_nobodys_way(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    await send(api, packet(site, stamp(AHEAD), LIMIT_PEAK_SHAVING="true"))
    new = await hand_over(api, engine, site, "mgc-2", "LIMIT_PEAK_SHAVING")
    # Its clock runs behind: it counts all the same, because what was before is not its own.
    (item,) = await send(api, packet(site, stamp(-AHEAD), "mgc-2", LIMIT_PEAK_SHAVING="false"))
    assert told(item) == [("APPLIED", None)]
    peak = (await latest(api, site))["PEAK_SHAVING"]
    assert (peak["status"], peak["source_device_id"], peak["owner_device_id"]) == ("OFF", str(new), str(new))
    await assert_latest_is_the_fold(engine)
    await assert_since_is_the_fold(engine)


async def test_a_device_that_is_switched_off_and_on_again_goes_on(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    await send(api, packet(site, stamp(), LIMIT_PEAK_SHAVING="true"))
    path = f"/api/sensor-actions/{site.actions['mgc-1', 'UPDATE_MICROGRID_STATE']}"
    for enabled in (False, True):
        action = (await api.get(path)).json()
        assert (await api.patch(path, json={"enabled": enabled, "version": action["version"]})).status_code == 200
    (item,) = await send(api, packet(site, stamp(-AHEAD), LIMIT_PEAK_SHAVING="false"))
    assert told(item) == [("IGNORED", "LATE")]
    await assert_latest_is_the_fold(engine)
    await assert_since_is_the_fold(engine)


async def test_another_sensor_under_a_devices_name_begins_anew(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    await add_power_source(engine, site)
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC")
    await add_action(engine, site, "UPDATE_CIRCUIT_CAPACITY", *CAPACITY_KEYS, policy=POLICY)
    async with transaction(engine, ACTOR) as connection:
        await apply_configuration_change(connection, site.depot_id)
    said: dict[str, Any] = {"LIMIT_PEAK_SHAVING": "true", "SOC": 40, "HEARTBEAT_STATUS": "error"}
    await send(api, packet(site, stamp(), **said))
    answer = await api.patch(f"/api/devices/{site.devices['mgc-1']}", json={"sensor_id": "mgc-9"})
    assert answer.status_code == 200, answer.text
    (item,) = await send(api, packet(site, stamp(-timedelta(minutes=1)), "mgc-9", **said))
    assert {outcome for outcome, _ in answers(item)} == {"APPLIED"}
    await assert_latest_is_the_fold(engine)
    await assert_since_is_the_fold(engine)


@pytest.mark.parametrize("how", ["deleted", "switched off", "takes the measurand no longer"])
async def test_a_meter_that_is_gone_does_not_block_its_successor(
    api: httpx.AsyncClient, engine: AsyncEngine, how: str
) -> None:
    site = await make_site(engine)
    battery = await add_power_source(engine, site)
    await add_device(engine, site, "old")
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC", "DEVICE_POWER_STATE", sensor_id="old")
    await add_device(engine, site, "new")
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC", sensor_id="new")
    await send(api, packet(site, stamp(AHEAD), "old", SOC=80))
    behind = packet(site, stamp(-AHEAD), "new", SOC=20)
    (item,) = await send(api, behind)
    # While both measure it, the newer reading counts.
    assert told(item) == [("IGNORED", "LATE")]
    path = f"/api/sensor-actions/{site.actions['old', 'UPDATE_POWER_SOURCE_STATE']}"
    version = (await api.get(path)).json()["version"]
    if how == "deleted":
        answer = await api.delete(f"/api/devices/{site.devices['old']}")
    else:
        change = {"enabled": False} if how == "switched off" else {"measurands": ["DEVICE_POWER_STATE"]}
        answer = await api.patch(path, json={**change, "version": version})
    assert answer.is_success, answer.text
    (item,) = await send(api, packet(site, stamp(-AHEAD), "new", SOC=21))
    assert told(item) == [("APPLIED", None)]
    (soc,) = (await api.get(f"/api/power-sources/{battery}")).json()["readings"]
    assert (soc["value"], soc["device_id"]) == (21, str(site.devices["new"]))
    # From there on, order counts again.
    (item,) = await send(api, packet(site, stamp(-2 * AHEAD), "new", SOC=22))
    assert told(item) == [("IGNORED", "LATE")]


async def test_hand_overs_and_wrong_clocks_at_once_come_to_the_fold(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    binding = site.actions["mgc-1", "UPDATE_MICROGRID_STATE"]
    await add_device(engine, site, "mgc-2")

    async def sender(sensor_id: str, lead: timedelta) -> None:
        for step in range(12):
            value = "true" if step % 2 else "false"
            await send(api, packet(site, stamp(lead) + step % 5, sensor_id, LIMIT_PEAK_SHAVING=value))

    async def owner() -> None:
        for place in range(6):
            device_id = site.devices[("mgc-2", "mgc-1")[place % 2]]
            version = (await api.get(f"/api/controller-bindings/{binding}")).json()["version"]
            answer = await api.patch(
                f"/api/controller-bindings/{binding}", json={"device_id": str(device_id), "version": version}
            )
            assert answer.status_code == 200, answer.text

    await asyncio.gather(
        sender("mgc-1", AHEAD), sender("mgc-2", -AHEAD), sender("mgc-2", timedelta()), sender("mgc-1", -AHEAD), owner()
    )
    await assert_latest_is_the_fold(engine)
    await assert_since_is_the_fold(engine)
    async with engine.connect() as connection:
        epoch = (await connection.execute(text("SELECT max(tenure) FROM capability_tenures"))).scalar_one()
    assert epoch == 6

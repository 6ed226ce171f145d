"""What the filter of depots, its counts and its rows say of freshness is what each depot's status says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.monitoring.capabilities import Capability
from domain.monitoring.freshness import DepotFreshness
from store.monitoring.statuses.fleet import read_latest_statuses
from store.site.fleet.fleet_list import count_fleet
from store.site.tables import capability_owners
from tests.factories.packets import latest, send
from tests.factories.sites import MadeDepot, add_action, add_device, make_site, milliseconds, packet

KEYS = {"PEAK_SHAVING": "LIMIT_PEAK_SHAVING", "DER": "LIMIT_DER_EXPORT"}
SENSORS = {"PEAK_SHAVING": "peak", "DER": "der"}
# Before it was reported, how many seconds before it came (below 0: ahead), and what became of its device afterwards.
REPORTED = (None, -240, 0, 250, 400)
BECAME = ("kept", "device deleted", "action deleted", "disabled", "disabled and enabled", "handed over", "taken over")
STATES = [(None, "kept"), (None, "never bound"), *product(REPORTED[1:], BECAME)]


async def become(api: httpx.AsyncClient, engine: AsyncEngine, site: MadeDepot, capability: str, became: str) -> None:
    sensor_id, key = SENSORS[capability], KEYS[capability]
    action = f"/api/sensor-actions/{site.actions[sensor_id, 'UPDATE_MICROGRID_STATE']}"

    async def switch(*, enabled: bool) -> None:
        version = (await api.get(action)).json()["version"]
        assert (await api.patch(action, json={"enabled": enabled, "version": version})).status_code == 200

    if became == "device deleted":
        assert (await api.delete(f"/api/devices/{site.devices[sensor_id]}")).status_code == 204
    elif became == "action deleted":
        assert (await api.delete(action)).status_code == 204
    elif became.startswith("disabled"):
        await switch(enabled=False)
        if became == "disabled and enabled":
            await switch(enabled=True)
    elif became in {"handed over", "taken over"}:
        await switch(enabled=False)
        await add_device(engine, site, f"{sensor_id}-2")
        await add_action(engine, site, "UPDATE_MICROGRID_STATE", key, sensor_id=f"{sensor_id}-2")
        if became == "taken over":
            await send(api, packet(site, milliseconds() - 400_000, f"{sensor_id}-2", **{key: "false"}))


async def make(api: httpx.AsyncClient, engine: AsyncEngine, states: dict[str, tuple[int | None, str]]) -> MadeDepot:
    site = await make_site(engine)
    for capability, (ago, became) in states.items():
        sensor_id = SENSORS[capability]
        if became == "never bound":
            continue
        await add_device(engine, site, sensor_id)
        await add_action(engine, site, "UPDATE_MICROGRID_STATE", KEYS[capability], sensor_id=sensor_id)
        if ago is not None:
            stamp = milliseconds(datetime.now(UTC) - timedelta(seconds=ago))
            await send(api, packet(site, stamp, sensor_id, **{KEYS[capability]: "true"}))
        await become(api, engine, site, capability, became)
    return site


async def filtered(api: httpx.AsyncClient) -> dict[UUID, str]:
    found: dict[UUID, str] = {}
    for freshness in DepotFreshness:
        page = (await api.get("/api/depots", params={"freshness": freshness, "limit": 500})).json()
        assert page["next_cursor"] is None
        for each in page["items"]:
            assert UUID(each["depot_id"]) not in found
            found[UUID(each["depot_id"])] = freshness
    return found


async def test_filter_counts_rows_and_status_agree_in_every_state(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    # Each state of one capability beside a fresh one and beside itself, so that either may be the worse.
    sites = [await make(api, engine, {"PEAK_SHAVING": state, "DER": (0, "kept")}) for state in STATES]
    sites += [await make(api, engine, {"PEAK_SHAVING": state, "DER": state}) for state in STATES[::3]]
    sites.append(await make_site(engine, provisioned=False))
    by_filter = await filtered(api)
    async with engine.connect() as connection:
        rows = await read_latest_statuses(connection, [site.depot_id for site in sites])
        counts = (await count_fleet(connection)).by_freshness()
    expected: dict[UUID, str] = {}
    for site in sites:
        shown = {} if site.microgrid_id is None else await latest(api, site)
        told = [each["freshness"] for each in shown.values()] or [None]
        worst = DepotFreshness.NONE if None in told else max(map(DepotFreshness, told), key=["FRESH", "STALE"].index)
        expected[site.depot_id] = worst
        found = rows.get(site.depot_id, ())
        in_row = {each.capability: "FRESH" if each.is_fresh else "STALE" for each in found if each.status}
        waiting = {each.capability for each in found if each.status is None and each.is_updated}
        assert waiting == {
            name for name, each in shown.items() if each["status"] is None and each["owner_device_id"] is not None
        }
        assert in_row == {name: each["freshness"] for name, each in shown.items() if each["status"]}
        for each in shown.values():
            if each["owner_device_id"] is None and each["status"]:
                assert each["freshness"] == "STALE"
    assert by_filter == expected
    assert counts == {each: list(expected.values()).count(each) for each in DepotFreshness}
    assert set(expected.values()) == set(DepotFreshness)


@pytest.mark.parametrize("capability", Capability)
async def test_whoever_sends_a_capability_s_measurand_supplies_it(engine: AsyncEngine, capability: Capability) -> None:
    site = await make_site(engine)
    await add_device(engine, site, "mgc")
    action_id = await add_action(engine, site, "UPDATE_MICROGRID_STATE", capability.measurand, sensor_id="mgc")
    async with engine.connect() as connection:
        owners = await connection.execute(select(capability_owners.c.capability, capability_owners.c.sensor_action_id))
    assert [tuple(row) for row in owners] == [(capability, action_id)]


_ANOTHER = """
    CREATE OR REPLACE FUNCTION known_capabilities()
    RETURNS TABLE (capability text, measurand text, threshold interval, is_expected boolean)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT * FROM (VALUES
            ('PEAK_SHAVING', 'LIMIT_PEAK_SHAVING', interval '5 minutes', true),
            ('DER', 'LIMIT_DER_EXPORT', interval '5 minutes', true),
            ('ANOTHER', 'SOC', interval '5 minutes', false)
        ) AS known (capability, measurand, threshold, is_expected)
    $$
"""


async def test_a_capability_that_is_not_expected_counts_only_where_a_device_supplies_it(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make(api, engine, {"PEAK_SHAVING": (0, "kept"), "DER": (0, "kept")})
    fresh = text("SELECT depot_fresh_until(:depot_id) > clock_timestamp()")
    async with engine.connect() as connection:
        await connection.execute(text(_ANOTHER))
        given = {"depot_id": site.depot_id, "id": site.actions["peak", "UPDATE_MICROGRID_STATE"]}
        assert (await connection.execute(fresh, given)).scalar_one() is True
        owned = "UPDATE sensor_actions SET measurands = measurands || '{SOC}' WHERE id = :id"
        await connection.execute(text(owned), given)
        # It has an owner now, and no status yet.
        assert (await connection.execute(fresh, given)).scalar_one() is None
        await connection.rollback()

"""The load of a depot over time: buckets, series, capacity periods; and how fresh depots are as a whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine

from api.monitoring.load import LONGEST_SPAN
from domain.history.buckets import MOST_POINTS, bucket_for
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from store.base.database import transaction
from store.site.fleet.fleet_list import count_fleet
from tests.factories.load_sites import held, make_load_site, measure, read
from tests.factories.sites import MadeDepot, add_action, add_device, controller_site, make_site, milliseconds, packet
from tests.factories.stored_packets import ask_for_fill, fill
from tests.helpers.support import ACTOR


@pytest.mark.parametrize("seconds", [1, 599, 600, 3_600, 21_600, 86_400, 604_800, LONGEST_SPAN.total_seconds()])
def test_a_series_never_has_more_points_than_a_chart_can_show(seconds: float) -> None:
    width = bucket_for(timedelta(seconds=seconds)).total_seconds()
    assert width >= 1
    assert seconds / width + 1 <= MOST_POINTS or width == 1


async def test_what_a_meter_measured_is_averaged_by_buckets(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine, feeds=2)
    await add_device(engine, site, "em-1", site.circuit_ids[0])
    await add_device(engine, site, "em-2")
    await add_device(engine, site, "silent", site.circuit_ids[1])
    # Two packets in one bucket of six hours (60 seconds wide), one in the next.
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
    at = [milliseconds(minute + timedelta(seconds=s)) for s in (5, 15, 65)]
    wrong_unit = packet(site, at[2], "em-2", TOTAL_POWER_LOAD=1)
    wrong_unit["sensors"][0]["measurands"][0]["unit"] = "kW"
    sent = [
        packet(site, at[0], "em-1", TOTAL_POWER_LOAD=1000, VOLTAGE=230),
        packet(site, at[1], "em-1", TOTAL_POWER_LOAD=-2000.5),
        packet(site, at[2], "em-1", TOTAL_POWER_LOAD=500),
        packet(site, at[0], "em-2", TOTAL_POWER_LOAD=7),
        packet(site, at[1], "em-2", TOTAL_POWER_LOAD=None),
        packet(site, at[1] + 1, "unknown-sensor", TOTAL_POWER_LOAD=9),
        packet(site, at[1] + 2, "silent", VOLTAGE=230),
        wrong_unit,
    ]
    assert (await api.post("/api/telemetry/packets", json=sent)).status_code == 200
    load = await read(api, site.depot_id)
    assert load["bucket_seconds"] == 60
    begin = minute.timestamp()
    assert [(each["last_w"], datetime.fromisoformat(each["last_at"])) for each in load["series"]] == [
        (500.0, minute + timedelta(seconds=65)),
        (7.0, minute + timedelta(seconds=5)),
    ]
    assert [{k: v for k, v in each.items() if not k.startswith("last_")} for each in load["series"]] == [
        {
            "device_id": str(site.devices["em-1"]),
            "device_name": "Device em-1",
            "circuit_id": str(site.circuit_ids[0]),
            "circuit_name": "Feed 1",
            "power_source_kind": None,
            "times": [begin, begin + 60],
            # Weighted by time: 1 kW for 10 seconds, the other for 50.
            "avg_w": [-1500.4, 500.0],
            "min_w": [-2000.5, 500.0],
            "max_w": [1000.0, 500.0],
            "simulated": [],
        },
        {
            "device_id": str(site.devices["em-2"]),
            "device_name": "Device em-2",
            "circuit_id": None,
            "circuit_name": None,
            "power_source_kind": None,
            "times": [begin],
            "avg_w": [7.0],
            "min_w": [7.0],
            "max_w": [7.0],
            "simulated": [],
        },
    ]
    assert load["capacities"] == []


async def test_what_cannot_be_a_load_breaks_no_chart_and_is_not_drawn(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """Numbers that no double holds, which an earlier version stored, and those that say that there is no value."""
    site = await make_site(engine, feeds=1)
    await add_device(engine, site, "em-1", site.circuit_ids[0])
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
    numbers = [
        "1000", "1e-400", "-1e-16000", "1e400", "1.7e308", "1.7e308", "-1.7e308", "4294967295", "65535", "65535.0",
        "32767", "-32768", "2000", "0." + "1" * 16_000, "-0.0",
    ]  # fmt: skip
    async with transaction(engine, ACTOR) as connection:
        for second, number in enumerate(numbers):
            at = minute + timedelta(seconds=second)
            whole = packet(site, milliseconds(at), "em-1", TOTAL_POWER_LOAD=123456)
            document = json.dumps(whole).replace("123456", number)
            await connection.execute(
                sql(
                    "INSERT INTO packets (id, gateway_id, depot_id, observed_at, received_at, document, answers) "
                    "VALUES (uuidv7(), :gateway, :depot, :at, now(), CAST(:document AS jsonb), '[]')"
                ),
                {
                    "gateway": site.gateway_id,
                    "depot": site.depot_id,
                    "at": at,
                    "document": document,
                },
            )
        await ask_for_fill(connection, site.gateway_id)
    await fill(engine)
    (series,) = (await read(api, site.depot_id))["series"]
    assert (series["min_w"], series["max_w"]) == ([0.0], [2000.0])
    # 1000 and 2000 for a second each, three that are next to nothing, and the last for a quarter of an hour.
    assert series["avg_w"] == [round(3000 / 905, 1)]
    assert str(series["last_w"]) == "0.0"
    for path in (f"/api/telemetry/packets?gateway_id={site.gateway_id}", f"/depots/{site.depot_id}/load"):
        assert (await api.get(path)).status_code == 200


async def test_a_week_of_packets_is_no_more_than_a_chart_shows(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine, feeds=1)
    await add_device(engine, site, "em-1", site.circuit_ids[0])
    await measure(engine, site, feeds=1, span=timedelta(days=7), step=timedelta(minutes=5))
    until = datetime.now(UTC)
    load = await read(api, site.depot_id, since=(until - timedelta(days=7)).isoformat(), until=until.isoformat())
    (series,) = load["series"]
    assert 300 < len(series["times"]) <= MOST_POINTS
    assert series["times"] == sorted(set(series["times"]))
    for least, mean, most in zip(series["min_w"], series["avg_w"], series["max_w"], strict=True):
        assert least <= mean + 0.05
        assert mean <= most + 0.05


async def test_what_held_for_a_circuit_is_told_in_periods(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine, feeds=3)

    def hours(n: float) -> timedelta:
        return timedelta(hours=n)

    await held(
        engine, site, 0, (hours(9), "CONTROLLER", None, 9e5), (hours(3), "FAIL_SAFE", "NO_PACKET", 1e5),
        (hours(2), "CONTROLLER", None, 5e5), (hours(1), "CONTROLLER", None, 5e5),
    )  # fmt: skip
    await held(engine, site, 1, (hours(5), "CONTROLLER", None, 2e5), (hours(4), "RELEASED", None, 0))
    # It followed nothing in this time any more.
    await held(engine, site, 2, (hours(9), "CONTROLLER", None, 2e5), (hours(8), "RELEASED", None, 0))
    load = await read(api, site.depot_id)
    first, second = load["capacities"]
    assert [(p["mode"], p["reason"], p["capacity_w"]) for p in first["periods"]] == [
        ("CONTROLLER", None, 9e5),
        ("FAIL_SAFE", "NO_PACKET", 1e5),
        ("CONTROLLER", None, 5e5),
    ]
    # Without a hole, from the beginning to the end of what was asked for.
    assert first["periods"][0]["since"] == load["since"]
    assert first["periods"][-1]["until"] == load["until"]
    assert [p["until"] for p in first["periods"][:-1]] == [p["since"] for p in first["periods"][1:]]
    assert first["periods"][1]["message"].startswith("No packet with a newer measurement has come for longer")
    assert [(p["mode"], p["capacity_w"]) for p in second["periods"]] == [("CONTROLLER", 2e5)]
    assert second["periods"][0]["until"] != load["until"]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+13:00"),
    ],
)
async def test_a_time_that_cannot_be_drawn_is_refused(
    api: httpx.AsyncClient, engine: AsyncEngine, since: str, until: str
) -> None:
    site = await make_site(engine)
    answer = await api.get(f"/api/depots/{site.depot_id}/load", params={"since": since, "until": until})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_of_a_depot_that_does_not_exist_nothing_is_told(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/depots/018f4e6c-0000-7000-8000-000000000000/load")
    assert (answer.status_code, answer.json()["code"]) == (404, "DEPOT_NOT_FOUND")


async def test_the_queries_of_a_chart_are_as_many_for_many_circuits(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    made = await make_load_site(engine, feeds=4)
    load = await read(api, made.site.depot_id)
    assert [each["device_name"] for each in load["series"]] == [f"Device em-{n}" for n in (1, 2, 3, 4)]
    assert [each["circuit_name"] for each in load["capacities"]] == [f"Feed {n}" for n in (1, 2, 3, 4)]


async def _reported(engine: AsyncEngine, api: httpx.AsyncClient, *, both: bool = True, ago: float = 0) -> MadeDepot:
    site = await controller_site(engine)
    values = {"LIMIT_PEAK_SHAVING": "true", **({"LIMIT_DER_EXPORT": "false"} if both else {})}
    at = milliseconds(datetime.now(UTC) - timedelta(seconds=ago))
    answer = await api.post("/api/telemetry/packets", json=[packet(site, at, **values)])
    assert answer.status_code == 200
    return site


async def test_a_depot_is_as_fresh_as_the_worse_of_its_capabilities(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    fresh = await _reported(engine, api)
    old = await _reported(engine, api, ago=301)
    half = await _reported(engine, api, both=False)
    bare = await make_site(engine, provisioned=False)
    own = await _reported(engine, api, ago=301)
    await api.patch(
        f"/api/microgrids/{own.microgrid_id}/freshness-thresholds",
        json={"thresholds": {"PEAK_SHAVING": 9000, "DER": 9000}},
    )
    strict = await _reported(engine, api, ago=20)
    await api.patch(f"/api/microgrids/{strict.microgrid_id}/freshness-thresholds", json={"thresholds": {"DER": 10}})
    silent = await _reported(engine, api)
    actions = (await api.get(f"/api/devices/{silent.devices['mgc-1']}/sensor-actions")).json()["items"]
    answer = await api.patch(
        f"/api/sensor-actions/{actions[0]['sensor_action_id']}",
        json={"enabled": False, "version": actions[0]["version"]},
    )
    assert answer.status_code == 200, answer.text
    wanted = {
        "FRESH": {fresh.depot_id, own.depot_id},
        "STALE": {old.depot_id, strict.depot_id, silent.depot_id},
        "NONE": {half.depot_id, bare.depot_id},
    }
    for freshness, depot_ids in wanted.items():
        page = (await api.get("/api/depots", params={"freshness": freshness})).json()
        assert {UUID(each["depot_id"]) for each in page["items"]} == depot_ids
    async with engine.connect() as connection:
        counts = (await count_fleet(connection)).by_freshness()
        assert {name.value: number for name, number in counts.items()} == {"FRESH": 2, "STALE": 3, "NONE": 2}
        provisioned = (await count_fleet(connection, "arrow")).by_freshness(ProvisioningState.PROVISIONED)
        assert provisioned[DepotFreshness.NONE] == 1
        assert (await count_fleet(connection, "%_")).depots == {}
    both = await api.get("/api/depots", params={"freshness": "NONE", "provisioning": "PENDING", "search": "ARROW"})
    assert [each["depot_id"] for each in both.json()["items"]] == [str(bare.depot_id)]
    assert (await api.get("/api/depots", params={"freshness": "fresh"})).status_code == 422
    # By pages, without one twice and without one left out.
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"freshness": "STALE", "limit": "1", **({"cursor": cursor} if cursor else {})}
        page = (await api.get("/api/depots", params=query)).json()
        seen += [each["depot_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(map(str, wanted["STALE"]))


async def test_a_capability_that_is_split_between_devices_is_updated_by_either(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine)
    for sensor_id, key in (("a", "LIMIT_PEAK_SHAVING"), ("b", "LIMIT_DER_EXPORT")):
        await add_device(engine, site, sensor_id)
        await add_action(engine, site, "UPDATE_MICROGRID_STATE", key, sensor_id=sensor_id)
        await api.post("/api/telemetry/packets", json=[packet(site, None, sensor_id, **{key: "true"})])
    page = (await api.get("/api/depots", params={"freshness": "FRESH"})).json()
    assert [each["depot_id"] for each in page["items"]] == [str(site.depot_id)]

"""A chart draws what was measured, once, and where nothing was measured it draws nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.history.buckets import bucket_begin, bucket_for
from tests.factories.load_sites import measure, read
from tests.factories.packets import send
from tests.factories.rollups import roll_up
from tests.factories.sites import MadeDepot, add_device, make_site, milliseconds, packet

NOW = datetime.now(UTC).replace(second=0, microsecond=0)


async def meter(engine: AsyncEngine, *sensors: str) -> MadeDepot:
    """A site with meters on its one circuit."""
    site = await make_site(engine)
    for sensor_id in sensors or ("em-1",):
        await add_device(engine, site, sensor_id, site.circuit_ids[0])
    return site


# A reading counts once


def at(minutes: float) -> int:
    return milliseconds(NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize("times", [1, 3, 100])
@pytest.mark.parametrize("together", [True, False])
async def test_a_packet_that_is_sent_again_does_not_change_the_mean(
    api: httpx.AsyncClient, engine: AsyncEngine, times: int, *, together: bool
) -> None:
    site = await meter(engine)
    first = packet(site, at(20), "em-1", TOTAL_POWER_LOAD=100_000)
    sent = [first, packet(site, at(19.9), "em-1", TOTAL_POWER_LOAD=0), *[first] * times]
    for body in [sent] if together else sent[:10]:
        await send(api, body)
    (series,) = (await read(api, site.depot_id))["series"]
    # The first for 6 seconds, the other for a quarter of an hour.
    assert (series["avg_w"], series["min_w"], series["max_w"]) == ([round(600_000 / 906, 1)], [0], [100_000])
    assert series["last_w"] == 0


async def test_another_value_for_the_same_time_does_not_count(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await meter(engine, "em-1", "em-2")
    for value in (100_000, 7, None, 8):
        await send(api, packet(site, at(10), "em-1", TOTAL_POWER_LOAD=value))
    # The same time of another sensor is another reading, and the first had no value here.
    for value in (None, 5):
        await send(api, packet(site, at(10), "em-2", TOTAL_POWER_LOAD=value))
    (series,) = (await read(api, site.depot_id))["series"]
    assert (series["device_name"], series["avg_w"]) == ("Device em-1", [100_000])


async def test_the_list_of_packets_says_which_came_before(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await meter(engine, "em-1", "em-2")
    sent = [
        packet(site, at(10), "em-1", TOTAL_POWER_LOAD=1, VOLTAGE=230),
        packet(site, at(10), "em-2", TOTAL_POWER_LOAD=1),
        packet(site, at(10), "em-1", CURRENT=4),
        packet(site, at(10), "em-1", TOTAL_POWER_LOAD=1, VOLTAGE=230),
        packet(site, at(10), "em-1", TOTAL_POWER_LOAD=2, VOLTAGE=230),
        packet(site, at(9), "em-1", TOTAL_POWER_LOAD=1, VOLTAGE=230),
    ]
    ids = [(await send(api, body))[0]["packet_id"] for body in sent]
    found = (await api.get("/api/telemetry/packets", params={"gateway_id": str(site.gateway_id)})).json()["items"]
    told = {each["packet_id"]: (each["repeat"], each["repeat_of"]) for each in found}
    assert [told[each] for each in ids] == [
        (None, None), (None, None), (None, None), ("REPEATED", ids[0]), ("CONFLICTING", ids[0]), (None, None),
    ]  # fmt: skip


async def test_a_stamp_ahead_is_drawn_where_it_came(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await meter(engine)
    now = datetime.now(UTC)
    await send(api, packet(site, milliseconds(now + timedelta(minutes=4)), "em-1", TOTAL_POWER_LOAD=9))
    (series,) = (await read(api, site.depot_id))["series"]
    assert now <= datetime.fromisoformat(series["last_at"]) <= datetime.now(UTC)


# Rollups


async def test_a_load_is_the_same_from_rollups_and_readings(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await meter(engine, "em-1", "em-2", "silent")
    end = bucket_begin(NOW - timedelta(hours=1), timedelta(minutes=5))
    await measure(engine, site, feeds=2, span=timedelta(hours=20), step=timedelta(seconds=15), until=end)
    window = {"since": (end - timedelta(days=1)).isoformat(), "until": end.isoformat()}
    async with engine.begin() as connection:
        # An outage of one of them.
        await connection.execute(
            text("DELETE FROM device_readings WHERE device_id = :id AND observed_at BETWEEN :since AND :until"),
            {"id": site.devices["em-2"], "since": end - timedelta(hours=9), "until": end - timedelta(hours=7)},
        )
    from_readings = await read(api, site.depot_id, **window)
    assert [len(each["times"]) for each in from_readings["series"]] == [240, 217]
    assert [len(gaps(each)) for each in from_readings["series"]] == [0, 1]
    await roll_up(engine)
    assert await read(api, site.depot_id, **window) == from_readings
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE reading_minutes SET total_power_load_most = 1e9"))
    for each in (await read(api, site.depot_id, **window))["series"]:
        assert {most for most in each["max_w"] if most is not None} == {1e9}, "rollups are what is read"


# Gaps


def gaps(series: dict[str, Any]) -> list[tuple[float, float]]:
    """The buckets before and after each gap."""
    times, values = series["times"], series["avg_w"]
    assert times == sorted(set(times))
    nulls = [place for place, value in enumerate(values) if value is None]
    assert nulls == [place for place, value in enumerate(series["min_w"]) if value is None]
    assert nulls == [place for place, value in enumerate(series["max_w"]) if value is None]
    return [(times[place - 1], times[place + 1]) for place in nulls]


WINDOWS = {
    # span: how often the meter sends, the outage's beginning and end before the end of the window
    "1h": (3600, 10, 1800, 1500),
    "6h": (21_600, 60, 9000, 7200),
    "24h": (86_400, 60, 40_000, 30_000),
    "7d": (604_800, 300, 300_000, 200_000),
    "7d, 15 minutes": (604_800, 900, 300_000, 290_000),
    "1h, 15 minutes": (3600, 300, 2400, 600),
}


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


async def outage(engine: AsyncEngine, site: MadeDepot, feeds: int, window: tuple[int, int, int, int]) -> None:
    """Store the packets of a window with an outage: ``feeds`` meters were silent for a while, then came back."""
    span, step, begins, ends = window
    before = NOW - seconds(begins)
    await measure(engine, site, feeds=feeds, span=seconds(span - begins), step=seconds(step), until=before)
    await measure(engine, site, feeds=feeds, span=seconds(ends), step=seconds(step), until=NOW)


async def drawn(api: httpx.AsyncClient, depot_id: UUID, span: int) -> list[dict[str, Any]]:
    since = NOW - seconds(span)
    load = await read(api, depot_id, since=since.isoformat(), until=(NOW + seconds(1)).isoformat())
    return load["series"]


@pytest.mark.parametrize("name", WINDOWS)
async def test_an_outage_is_a_gap_of_a_meter_that_is_alone(
    api: httpx.AsyncClient, engine: AsyncEngine, name: str
) -> None:
    site = await meter(engine)
    await outage(engine, site, 1, WINDOWS[name])
    (series,) = await drawn(api, site.depot_id, WINDOWS[name][0])
    span, step, begins, ends = WINDOWS[name]
    ((first, last),) = gaps(series)
    width = bucket_for(seconds(span + 1)).total_seconds()
    assert 0 <= (NOW - seconds(begins)).timestamp() - first < step + width
    assert -width < last - (NOW - seconds(ends)).timestamp() < step


@pytest.mark.parametrize("name", ["1h", "24h", "7d"])
async def test_a_gap_is_one_of_the_meter_that_was_silent(
    api: httpx.AsyncClient, engine: AsyncEngine, name: str
) -> None:
    site = await meter(engine, "em-1", "em-2")
    span, step, begins, ends = WINDOWS[name]
    # Both until the outage and after it, the first one alone meanwhile.
    await outage(engine, site, 2, WINDOWS[name])
    await measure(
        engine,
        site,
        feeds=1,
        span=seconds(begins - ends - 2 * step),
        step=seconds(step),
        until=NOW - seconds(ends + step),
    )
    alone, silent = await drawn(api, site.depot_id, span)
    assert gaps(alone) == []
    assert len(gaps(silent)) == 1


async def test_both_meters_have_the_gap_of_their_gateway(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await meter(engine, "em-1", "em-2")
    await outage(engine, site, 2, WINDOWS["24h"])
    first, second = await drawn(api, site.depot_id, 86_400)
    assert gaps(first) == gaps(second) != []


@pytest.mark.parametrize(("step", "span"), [(900, 3600), (3600, 86_400), (60, 3600), (1, 3600), (7200, 604_800)])
async def test_a_meter_that_sends_seldom_has_no_gaps(
    api: httpx.AsyncClient, engine: AsyncEngine, step: int, span: int
) -> None:
    site = await meter(engine)
    await measure(engine, site, feeds=1, span=seconds(span), step=seconds(step), until=NOW)
    (series,) = await drawn(api, site.depot_id, span)
    assert gaps(series) == []


async def test_two_readings_far_apart_are_not_joined(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await meter(engine)
    for minutes in (300, 0.5):
        await measure(engine, site, feeds=1, span=seconds(0), step=seconds(60), until=NOW - timedelta(minutes=minutes))
    (series,) = await drawn(api, site.depot_id, 21_600)
    assert len(gaps(series)) == 1

"""Series of what devices measured: buckets, means by time, gaps, delayed and faulty readings, what held beside them."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.access.principals import Grant
from domain.access.roles import Role
from domain.site.measurands import MeasurandKey
from tests.access.sites import WHO, asked_as, person, told
from tests.factories.history.readings import fill_readings
from tests.factories.load_sites import held
from tests.factories.packets import send
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

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BEGIN = NOW - 2 * HOUR


def at(seconds: float) -> int:
    return milliseconds(BEGIN + timedelta(seconds=seconds))


async def read(api: httpx.AsyncClient, *series: str, **query: str) -> dict[str, Any]:
    window = {"since": BEGIN.isoformat(), "until": NOW.isoformat()}
    answer = await api.get("/api/series", params={"series": list(series), **window, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def meter(engine: AsyncEngine) -> tuple[MadeDepot, str]:
    site = await make_site(engine)
    return site, f"device:{await add_device(engine, site, 'em-1', site.circuit_ids[0])}"


async def test_a_mean_is_weighted_by_time(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    # Buckets of two hours are 15 seconds wide. 3 s of 100, 9 s of 200, and of the last one until the next bucket's.
    for second, value in ((0, 100), (3, 200), (12, 600), (18, 50)):
        await send(api, packet(site, at(second), "em-1", TOTAL_POWER_LOAD=value))
    (series,) = (await read(api, f"{device}:TOTAL_POWER_LOAD"))["series"]
    assert series["times"] == [BEGIN.timestamp(), BEGIN.timestamp() + 15]
    assert series["mean"] == [pytest.approx((3 * 100 + 9 * 200 + 6 * 600) / 18, abs=1e-5), 50]
    assert (series["min"], series["max"]) == ([100, 50], [600, 50])
    assert (series["last"], series["counts"]) == ([600, 50], [3, 1])
    assert datetime.fromisoformat(series["last_at"]) == BEGIN + timedelta(seconds=18)


async def test_a_reading_counts_for_a_quarter_of_an_hour_at_most(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    # A bucket of a week is 20 minutes wide: 5 minutes of 100, then 15 of 200, though nothing comes for an hour.
    begin = NOW - 3 * HOUR
    for minutes, value in ((0, 100), (5, 200), (70, 1)):
        await send(api, packet(site, milliseconds(begin + timedelta(minutes=minutes)), "em-1", VOLTAGE=value))
    answer = await read(api, f"{device}:VOLTAGE", since=(NOW - timedelta(days=7)).isoformat())
    (series,) = answer["series"]
    assert answer["bucket_seconds"] == 1800
    assert series["mean"][0] == pytest.approx((5 * 100 + 15 * 200) / 20, abs=1e-5)


async def test_what_comes_after_the_window_says_how_long_its_last_reading_counts(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site, device = await meter(engine)
    for second, value in ((0, 100), (10, 200), (11, 999)):
        await send(api, packet(site, at(second), "em-1", TOTAL_POWER_LOAD=value))
    until = (BEGIN + timedelta(seconds=11)).isoformat()
    # Buckets are 15 seconds wide.
    since = (NOW - 4 * HOUR).isoformat()
    (series,) = (await read(api, f"{device}:TOTAL_POWER_LOAD", since=since, until=until))["series"]
    # What is measured at the window's end is no longer in it, at its beginning it is.
    assert (series["mean"], series["max"]) == ([pytest.approx((10 * 100 + 200) / 11, abs=1e-5)], [200])
    (series,) = (await read(api, f"{device}:TOTAL_POWER_LOAD", since=until))["series"]
    assert series["counts"] == [3], "the bucket that `since` lies in is whole"


async def test_what_is_sent_again_counts_once(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    first = packet(site, at(1), "em-1", SOC=80)
    await send(api, [first, first, packet(site, at(2), "em-1", SOC=60), packet(site, at(1), "em-1", SOC=1), first])
    (series,) = (await read(api, f"{device}:SOC"))["series"]
    assert (series["counts"], series["min"], series["max"], series["last"]) == ([2], [60], [80], [60])


async def test_an_outage_is_a_gap(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    step = timedelta(seconds=10)
    for since, until in ((BEGIN, BEGIN + HOUR / 2), (BEGIN + HOUR, NOW)):
        await fill_readings(
            engine, site.devices["em-1"], MeasurandKey.SOC, since=since, until=until, step=step, middle=50, swing=5
        )
    (series,) = (await read(api, f"{device}:SOC"))["series"]
    (gap,) = [place for place, value in enumerate(series["mean"]) if value is None]
    assert series["times"][gap - 1] == BEGIN.timestamp() + 1785
    assert series["times"][gap + 1] == BEGIN.timestamp() + 3600
    assert [series[name][gap] for name in ("min", "max", "last", "counts", "delayed")] == [None, None, None, 0, 0]
    assert sum(series["counts"]) == 3 * 180
    assert all(low <= mean <= high for low, mean, high in zip(series["min"], series["mean"], series["max"], strict=True)
               if mean is not None)  # fmt: skip


async def test_what_came_delayed_or_could_not_be_used_is_told(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    # What was measured two hours ago comes now.
    await send(api, packet(site, at(1), "em-1", SOC=80))
    await send(api, packet(site, at(2), "em-1", SOC=None))
    await send(api, packet(site, at(20), "em-1", SOC=400))
    await send(api, packet(site, at(21), "em-1", SOC=None))
    await send(api, packet(site, milliseconds(), "em-1", SOC=70))
    until = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    (series,) = (await read(api, f"{device}:SOC", until=until))["series"]
    assert series["delayed"][0] == 1
    assert series["delayed"][-1] == 0
    begin = BEGIN.timestamp()
    # A width of three hours at most is 30 seconds or less; the first two may share a bucket.
    told_of = list(zip(*(series["faults"][name] for name in ("codes", "counts")), strict=True))
    assert sorted(told_of) in (
        [("VALUE_OUT_OF_RANGE", 1), ("VALUE_UNAVAILABLE", 1), ("VALUE_UNAVAILABLE", 1)],
        [("VALUE_OUT_OF_RANGE", 1), ("VALUE_UNAVAILABLE", 2)],
    )
    assert series["faults"]["times"][0] == begin
    assert series["mean"][0] == 80


async def test_a_bucket_without_a_value_that_can_be_used_has_none(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    for second, value in ((1, 80), (16, None), (31, 60)):
        await send(api, packet(site, at(second), "em-1", SOC=value))
    (series,) = (await read(api, f"{device}:SOC"))["series"]
    assert (series["mean"], series["last"], series["counts"]) == ([80, None, 60], [80, None, 60], [1, 0, 1])


async def test_two_measurands_have_their_own_units_and_texts_have_words(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site, device = await meter(engine)
    values: dict[str, Any] = {"SOC": 80, "VOLTAGE": 230, "DEVICE_POWER_STATE": "on", "LIMIT_DER_EXPORT": "true"}
    await send(api, packet(site, at(1), "em-1", **values))
    answer = await read(api, *(f"{device}:{key}" for key in (*values, "CURRENT")))
    found = {each["measurand"]: each for each in answer["series"]}
    assert list(found) == [*values, "CURRENT"]
    assert [each["unit"] for each in answer["series"]] == ["%", "V", None, None, "A"]
    kinds = [each["kind"] for each in answer["series"]]
    assert kinds == ["NUMBER", "NUMBER", "TEXT", "BOOLEAN_TEXT", "NUMBER"]
    assert [each["last"] for each in answer["series"]] == [[80], [230], ["on"], ["true"], []]
    assert found["DEVICE_POWER_STATE"]["mean"] == [None]
    assert found["CURRENT"]["times"] == []
    assert found["CURRENT"]["last_at"] is None


async def test_a_stamp_ahead_is_placed_where_it_came(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    now = datetime.now(UTC)
    await send(api, packet(site, milliseconds(now + timedelta(minutes=4)), "em-1", SOC=9))
    until = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    (series,) = (await read(api, f"{device}:SOC", until=until))["series"]
    assert now <= datetime.fromisoformat(series["last_at"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("day", "hours"), [(datetime(2026, 10, 25, tzinfo=UTC), 25), (datetime(2026, 3, 29, tzinfo=UTC), 23)]
)
async def test_a_day_of_changing_clocks_is_as_long_as_it_is(
    api: httpx.AsyncClient, engine: AsyncEngine, day: datetime, hours: int
) -> None:
    site, device = await meter(engine)
    since = day - HOUR * (2 if hours == 25 else 1)
    until = since + hours * HOUR
    await months_of(engine, since, until)
    await fill_readings(
        engine, site.devices["em-1"], MeasurandKey.SOC, since=since, until=until, step=timedelta(minutes=5), middle=50,
        swing=5,
    )  # fmt: skip
    (series,) = (await read(api, f"{device}:SOC", since=since.isoformat(), until=until.isoformat()))["series"]
    assert len(series["times"]) == hours * 12
    assert None not in series["mean"]


async def months_of(engine: AsyncEngine, *moments: datetime) -> None:
    """Make the months of readings that these moments lie in, where there are none."""
    async with engine.begin() as connection:
        for moment in moments:
            first = moment.replace(day=1, hour=0)
            following = (first + timedelta(days=32)).replace(day=1)
            name = f"device_readings_{first:%Y_%m}"
            await connection.execute(
                sql(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF device_readings "
                    f"FOR VALUES FROM ('{first.isoformat()}') TO ('{following.isoformat()}')")
            )  # fmt: skip


# What is chosen


async def test_a_circuit_shows_one_of_its_meters_and_says_that_there_are_more(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine)
    for sensor_id in ("em-2", "em-1", "silent"):
        await add_device(engine, site, sensor_id, site.circuit_ids[0])
    for sensor_id, value in (("em-1", 5), ("em-2", 7)):
        await send(api, packet(site, at(1), sensor_id, TOTAL_POWER_LOAD=value))
    circuit = f"circuit:{site.circuit_ids[0]}"
    load, soc = (await read(api, f"{circuit}:TOTAL_POWER_LOAD", f"{circuit}:SOC"))["series"]
    assert (load["name"], load["device_name"], load["other_devices"], load["mean"]) == ("Feed 1", "Device em-1", 1, [5])
    assert (soc["device_id"], soc["times"]) == (None, [])


async def test_a_power_source_shows_the_device_that_updates_it(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    await add_device(engine, site, "bess-1", site.circuit_ids[0])
    source_id = await add_power_source(engine, site, "BATTERY", site.circuit_ids[0])
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC", sensor_id="bess-1")
    await send(api, packet(site, at(1), "bess-1", SOC=55, VOLTAGE=700))
    found = (await read(api, f"power-source:{source_id}:SOC", f"power-source:{source_id}:VOLTAGE"))["series"]
    assert [(each["name"], each["device_name"], each["mean"]) for each in found] == [
        ("A battery", "Device bess-1", [55]),
        ("A battery", "Device bess-1", [700]),
    ]


async def test_numbers_are_compressed_quickly(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device = await meter(engine)
    for second in range(0, 600, 15):
        await send(api, packet(site, at(second), "em-1", TOTAL_POWER_LOAD=second))
    window = {"since": BEGIN.isoformat(), "until": NOW.isoformat()}
    query = {"series": f"{device}:TOTAL_POWER_LOAD", **window}
    plain = await api.get("/api/series", params=query, headers={"accept-encoding": "identity"})
    async with api.stream("GET", "/api/series", params=query, headers={"accept-encoding": "gzip"}) as packed:
        content = b"".join([piece async for piece in packed.aiter_raw()])
    # It says in its head that it was made by the fastest way (RFC 1952, 2.3.1: XFL).
    assert content[8] == 4
    assert gzip.decompress(content) == plain.content


async def test_nine_series_are_refused_and_so_is_what_is_none(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    _, device = await meter(engine)
    keys = list(MeasurandKey)

    async def refusal(*series: str, **query: str) -> tuple[int, str]:
        answer = await api.get("/api/series", params={"series": list(series), **query})
        return answer.status_code, answer.json().get("code")

    assert await refusal(*(f"{device}:{key}" for key in keys[:9])) == (422, "TOO_MANY_SERIES")
    assert await refusal(*(f"{device}:{key}" for key in keys[:8])) == (200, None)
    assert await refusal() == (422, "INVALID_REQUEST")
    assert await refusal(f"{device}:soc") == (422, "INVALID_REQUEST")
    for subject, code in (("device", "DEVICE"), ("circuit", "CIRCUIT"), ("power-source", "POWER_SOURCE")):
        assert await refusal(f"{subject}:{uuid4()}:SOC") == (404, f"{code}_NOT_FOUND")
    for since in (NOW + HOUR, NOW - timedelta(days=368)):
        window = {"since": since.isoformat(), "until": NOW.isoformat()}
        assert await refusal(f"{device}:SOC", **window) == (422, "INVALID_REQUEST")


async def test_what_is_of_a_foreign_depot_does_not_exist(
    engine: AsyncEngine, database_url: str, client: Client
) -> None:
    own, foreign = await controller_site(engine), await controller_site(engine)
    principals = {"own": person(Grant(Role.VIEWER, own.depot_id)), "all": person(Grant(Role.VIEWER))}

    def series(site: MadeDepot) -> dict[str, str]:
        return {"DEVICE": f"device:{site.devices['mgc-1']}:SOC", "CIRCUIT": f"circuit:{site.circuit_ids[0]}:SOC"}

    async with asked_as(database_url, principals) as caller:

        async def ask(who: str, *chosen: str) -> tuple[int, str | None]:
            return told(await caller.get("/api/series", params={"series": list(chosen)}, headers={WHO: who}))

        assert (await ask("own", *series(own).values()))[0] == 200
        assert (await ask("all", *series(own).values(), *series(foreign).values()))[0] == 200
        for name, chosen in series(foreign).items():
            assert await ask("own", series(own)["DEVICE"], chosen) == (404, f"{name}_NOT_FOUND")


# What held beside it


async def test_capabilities_are_on_and_off_as_long_as_that_was_known(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    device = f"device:{site.devices['mgc-1']}"
    # Each minute ON, ON, OFF; what comes late has its place; then nothing: five minutes later it is stale.
    for minute, value in ((0, "true"), (2, "false"), (1, "true"), (3, None), (30, "true")):
        await send(api, packet(site, at(60 * minute), LIMIT_PEAK_SHAVING=value))
    (band,) = (await read(api, f"{device}:SOC"))["capabilities"]

    def minutes(moments: list[str]) -> list[float]:
        return [(datetime.fromisoformat(each) - BEGIN).total_seconds() / 60 for each in moments]

    assert (band["capability"], band["statuses"]) == ("PEAK_SHAVING", ["ON", "OFF", "ON"])
    assert (minutes(band["since"]), minutes(band["until"])) == ([0, 2, 30], [2, 7, 35])
    # A window's ends cut it.
    ends = {"since": (BEGIN + timedelta(minutes=1)).isoformat(), "until": (BEGIN + timedelta(minutes=5)).isoformat()}
    (band,) = (await read(api, f"{device}:SOC", **ends))["capabilities"]
    assert (minutes(band["since"]), minutes(band["until"])) == ([1, 2], [2, 5])


async def test_the_mode_of_the_circuits_of_what_is_chosen_is_told(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine, feeds=2)
    device_id = await add_device(engine, site, "em-1", site.circuit_ids[0])
    now = datetime.now(UTC)
    for feed in range(2):
        await held(engine, site, feed, (HOUR, "CONTROLLER", None, 4e5), (HOUR / 2, "FAIL_SAFE", "NO_PACKET", 1e5))
    answer = await read(api, f"device:{device_id}:SOC", until=now.isoformat())
    (circuit,) = answer["circuits"]
    assert circuit["circuit_name"] == "Feed 1"
    assert [each["mode"] for each in circuit["periods"]] == ["CONTROLLER", "FAIL_SAFE"]

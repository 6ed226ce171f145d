"""Bands of capabilities: the same from the rollup and from all events, whatever came, however late."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.history.rollups import SEGMENT_GAP, RollupWidth
from domain.monitoring.capabilities import Capability
from store.base.database import plan_once
from store.history.bands import MOST_PERIODS, read_capability_periods
from store.history.tables import band_mark, bands
from tests.factories.history.capability_events import (
    Band,
    Event,
    add_events,
    bands_of,
    random_events,
    set_threshold,
)
from tests.factories.rollups import NOON, check_rollups, roll_up
from tests.factories.sites import MadeDepot, make_site

MIDNIGHT = NOON.replace(hour=0)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


async def read(connection: AsyncConnection, site: MadeDepot, since: datetime, until: datetime) -> list[Band]:
    periods, complete = await read_capability_periods(connection, [site.depot_id], since, until)
    assert complete
    return [
        (status.value, begin, end, run and run.run_id)
        for each in periods
        if each.capability is Capability.DER
        for status, begin, end, run in zip(each.statuses, each.since, each.until, each.simulated_by, strict=True)
    ]


async def rows_read(connection: AsyncConnection, tables: str) -> int:
    """Count the rows that were read of tables of such names in the transaction that runs."""
    read = """
        SELECT CAST(coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) AS bigint)
        FROM pg_stat_xact_user_tables WHERE starts_with(relname, :tables)
    """
    return (await connection.execute(text(read), {"tables": tables})).scalar_one()


@asynccontextmanager
async def of_events_alone(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection on which nothing is rolled up."""
    async with engine.connect() as connection:
        await connection.execute(update(band_mark).values(complete_at=None))
        yield connection
        await connection.rollback()


async def assert_same(engine: AsyncEngine, site: MadeDepot, events: list[Event], *windows: tuple[datetime, datetime],
                      threshold: timedelta) -> None:  # fmt: skip
    """The bands from the rollup are those of all events in one statement, and those that the rule makes one by one."""
    for since, until in windows:
        wanted = bands_of(events, since, until, threshold)
        async with of_events_alone(engine) as connection:
            assert await read(connection, site, since, until) == wanted
        async with engine.connect() as connection:
            assert await read(connection, site, since, until) == wanted


async def segments(engine: AsyncEngine, width: RollupWidth) -> list[Any]:
    table = bands[width]
    async with engine.connect() as connection:
        return list(await connection.execute(select(table).order_by(*table.primary_key.columns)))


@pytest.mark.parametrize("seed", range(8))
async def test_bands_are_the_same_from_the_rollup_and_from_all_events(engine: AsyncEngine, seed: int) -> None:
    chance = random.Random(seed)
    site = await make_site(engine)
    assert site.microgrid_id is not None
    step = chance.choice([20, 90, 400])
    events = random_events(chance, MIDNIGHT - 30 * HOUR, MIDNIGHT + 31 * HOUR, step, [uuid4(), uuid4()])
    given = list(events)
    chance.shuffle(given)
    for n in range(3):
        # In any order, and rolled up in between.
        await add_events(engine, site.microgrid_id, "DER", given[n::3])
        await roll_up(engine, HOUR * chance.choice([1, 150]))
    assert await roll_up(engine) == 0
    cut = [MIDNIGHT + timedelta(seconds=chance.randint(-100_000, 100_000)) for _ in range(6)]
    windows = [(min(pair), max(pair)) for pair in zip(cut[::2], cut[1::2], strict=True)]
    windows += [(MIDNIGHT - 40 * HOUR, MIDNIGHT + 30 * HOUR), (MIDNIGHT - 3 * HOUR, MIDNIGHT), (cut[0], cut[0] + HOUR)]
    for seconds in (300.0, 1.0, 45.0, 299.0, 3600.0, 200_000.0):
        await set_threshold(engine, site.microgrid_id, "DER", seconds)
        await assert_same(engine, site, events, *windows, threshold=timedelta(seconds=seconds))


async def test_a_day_of_one_status_is_one_segment(engine: AsyncEngine) -> None:
    site = await make_site(engine)
    assert site.microgrid_id is not None
    # Silent for five minutes, and for six.
    minutes = [n for n in range(24 * 60) if not 600 < n < 605 and not 704 < n < 710]
    events = [Event(MIDNIGHT + n * MINUTE, MIDNIGHT + n * MINUTE) for n in minutes]
    await add_events(engine, site.microgrid_id, "DER", events)
    await add_events(engine, site.microgrid_id, "PEAK_SHAVING", events[:1])
    await roll_up(engine)
    days = await segments(engine, RollupWidth.DAY)
    assert [(row.capability, row.n, row.longest_gap) for row in days] == [
        ("DER", 1, SEGMENT_GAP), ("DER", 2, MINUTE), ("PEAK_SHAVING", 1, timedelta()),
    ]  # fmt: skip
    assert len(await segments(engine, RollupWidth.QUARTER)) == 24 * 4 + 1


async def test_what_came_late_changes_its_quarter_and_its_day_alone(engine: AsyncEngine) -> None:
    site = await make_site(engine)
    assert site.microgrid_id is not None
    await add_events(
        engine, site.microgrid_id, "DER", [Event(MIDNIGHT + n * MINUTE, MIDNIGHT + n * MINUTE) for n in range(100)]
    )
    await roll_up(engine)
    before = await segments(engine, RollupWidth.QUARTER)
    late = Event(MIDNIGHT + 20.5 * MINUTE, MIDNIGHT + 30 * HOUR, "OFF")
    await add_events(engine, site.microgrid_id, "DER", [late])
    # Three segments of what was one, in the quarter and in the day; the first is shorter, two are new.
    assert await roll_up(engine) == 6
    after = await segments(engine, RollupWidth.QUARTER)
    assert [row for row in after if row.begins_at != MIDNIGHT + 15 * MINUTE] == [
        row for row in before if row.begins_at != MIDNIGHT + 15 * MINUTE
    ]


async def test_a_long_window_reads_no_event_of_what_is_rolled_up(engine: AsyncEngine) -> None:
    site = await make_site(engine)
    assert site.microgrid_id is not None
    events = [Event(MIDNIGHT + n * MINUTE / 2, MIDNIGHT + n * MINUTE / 2) for n in range(4 * 24 * 60)]
    await add_events(engine, site.microgrid_id, "DER", events)
    await roll_up(engine)
    async with engine.connect() as connection:
        await connection.execute(text("UPDATE band_quarters SET status = 'OFF'"))
        await connection.execute(text("UPDATE band_days SET status = 'OFF'"))
        for until, status in ((MIDNIGHT + 20 * HOUR, "OFF"), (MIDNIGHT + 47 * HOUR, "OFF"), (MIDNIGHT + HOUR, "ON")):
            found = await read(connection, site, MIDNIGHT, until)
            assert found == [(status, MIDNIGHT, until, None)]
        # Under a shorter threshold than their gap, the events say when it was known.
        await connection.execute(text("UPDATE band_quarters SET status = 'ON'"))
        await connection.execute(
            text("INSERT INTO freshness_thresholds VALUES (:id, 'DER', 29, now(), 'tester')"),
            {"id": site.microgrid_id},
        )
        found = await read(connection, site, MIDNIGHT, MIDNIGHT + 3 * HOUR)
        assert len(found) == 360
        assert found[1] == ("ON", events[1].at, events[1].at + timedelta(seconds=29), None)


@pytest.mark.parametrize("days", [7, 366])
async def test_bands_of_many_months_look_at_no_month_as_a_whole(engine: AsyncEngine, days: int) -> None:
    site = await make_site(engine)
    assert site.microgrid_id is not None
    events = [Event(MIDNIGHT + n * MINUTE / 2, MIDNIGHT + n * MINUTE / 2) for n in range(24 * 60)]
    for capability in ("DER", "PEAK_SHAVING"):
        await add_events(engine, site.microgrid_id, capability, events)
    await roll_up(engine)
    end = MIDNIGHT + 24 * HOUR
    async with engine.connect() as connection:
        await connection.execute(text("ANALYZE capability_events, band_quarters, band_days"))
        for is_planned_once in (False, True):
            if is_planned_once:
                await plan_once(connection)
            events_before, bands_before = [await rows_read(connection, each) for each in ("capability_e", "band_")]
            assert await read(connection, site, end - timedelta(days=days), end)
            # The last event before the window is looked for, of each capability and kind, for its tenure.
            assert await rows_read(connection, "capability_e") - events_before <= 8
            assert 0 < await rows_read(connection, "band_") - bands_before < 2 * (2 * 24 * 4 + 2)


async def test_what_is_too_much_is_cut_and_said(engine: AsyncEngine) -> None:
    site = await make_site(engine)
    assert site.microgrid_id is not None
    changing = [
        Event(MIDNIGHT + timedelta(seconds=15 * n), MIDNIGHT + timedelta(seconds=15 * n), ("ON", "OFF")[n % 2])
        for n in range(MOST_PERIODS + 1)
    ]
    await add_events(engine, site.microgrid_id, "DER", changing)
    await roll_up(engine)
    async with engine.connect() as connection:
        (periods,), complete = await read_capability_periods(
            connection, [site.depot_id], MIDNIGHT, MIDNIGHT + 30 * HOUR
        )  # fmt: skip
    assert not complete
    assert periods.since == [each.at for each in changing[:MOST_PERIODS]]
    assert {len(each) for each in (periods.statuses, periods.until, periods.simulated_by)} == {MOST_PERIODS}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {} SET longest_gap = '0'", "DELETE FROM {}", "UPDATE {} SET last_at = last_at + interval '1 second'",
        "UPDATE {} SET n = n + 1",
        "INSERT INTO {} SELECT uuidv7(), capability, begins_at, n, status, 0, NULL, first_at, last_at, '0' FROM {}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("width", bands)
async def test_a_check_finds_what_differs_from_the_events_and_makes_it_right(
    engine: AsyncEngine, width: RollupWidth, change: str
) -> None:
    site = await make_site(engine)
    assert site.microgrid_id is not None
    events = [Event(NOON + n * MINUTE, NOON + n * MINUTE) for n in (0, 1, 2)]
    await add_events(engine, site.microgrid_id, "DER", [*events, Event(NOON + 30 * HOUR, NOON + 30 * HOUR)])
    await roll_up(engine)
    assert (await check_rollups(engine)).differences == 0
    right = await segments(engine, width)
    async with engine.begin() as connection:
        await connection.execute(text(change.format(bands[width].name, bands[width].name)))
    wrong = await segments(engine, width)
    assert wrong != right
    counted = await check_rollups(engine, repair=False, page=1)
    assert counted.differences > 0
    assert await segments(engine, width) == wrong
    assert (await check_rollups(engine)).differences == counted.differences
    assert [row for row in await segments(engine, width) if row.begins_at < MIDNIGHT + 24 * HOUR] == [
        row for row in right if row.begins_at < MIDNIGHT + 24 * HOUR
    ]
    assert (await check_rollups(engine)).differences == 0


async def test_what_is_still_to_be_rolled_up_is_no_difference(engine: AsyncEngine) -> None:
    site = await make_site(engine)
    assert site.microgrid_id is not None
    await add_events(engine, site.microgrid_id, "DER", [Event(NOON, NOON), Event(NOON + 30 * HOUR, NOON + 30 * HOUR)])
    await roll_up(engine)
    await add_events(engine, site.microgrid_id, "DER", [Event(NOON + MINUTE, NOON + MINUTE, "OFF")])
    before = await segments(engine, RollupWidth.DAY)
    assert (await check_rollups(engine)).differences == 0
    assert await segments(engine, RollupWidth.DAY) == before
    assert await roll_up(engine) == 2


async def test_a_month_whose_events_are_dropped_is_left(engine: AsyncEngine) -> None:
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    at = first - HOUR
    microgrid_id: UUID = uuid4()
    await add_events(engine, microgrid_id, "DER", [Event(at, at)])
    await roll_up(engine)
    before = await segments(engine, RollupWidth.DAY)
    assert len(before) == 1
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP TABLE capability_events_{at:%Y_%m}"))
    assert (await check_rollups(engine, days=None)).differences == 0
    assert await segments(engine, RollupWidth.DAY) == before


async def test_without_anything_there_are_no_bands(engine: AsyncEngine) -> None:
    site = await make_site(engine)
    assert await roll_up(engine) == 0
    async with engine.connect() as connection:
        assert await read(connection, site, MIDNIGHT, MIDNIGHT + 30 * HOUR) == []
        assert await read_capability_periods(connection, [], MIDNIGHT, MIDNIGHT + 30 * HOUR) == ([], True)

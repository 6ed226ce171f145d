"""Series of long windows are read from rollups, and are the same as from the readings themselves."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.history.series import Selection, SeriesSubject
from domain.site.measurands import MeasurandKey
from store.history.rollup_statements import TABLES
from store.history.series import Series, read_series
from store.history.sources import SeriesSource
from store.history.tables import rollup_mark
from store.monitoring.device_readings import column_of
from store.monitoring.tables import device_readings
from tests.factories.rollups import roll_up
from tests.helpers.counting import statements_of

KEYS = (MeasurandKey.TOTAL_POWER_LOAD, MeasurandKey.LIMIT_DER_EXPORT, MeasurandKey.HEARTBEAT_STATUS, MeasurandKey.SOC)
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
MIDNIGHT = NOW.replace(hour=0, minute=0)
SAMPLES: dict[MeasurandKey, list[Any]] = {
    MeasurandKey.TOTAL_POWER_LOAD: [-3.5, 0.0, 0.1, 7e5], MeasurandKey.SOC: [0.0, 50.25, 100.0],
    MeasurandKey.LIMIT_DER_EXPORT: [True, False], MeasurandKey.HEARTBEAT_STATUS: ["ok", "error"],
}  # fmt: skip


async def fill(engine: AsyncEngine, chance: random.Random, since: datetime, step: float) -> UUID:
    """A device that sends each ``step`` seconds or so, with gaps, faults, what comes late, and a clock ahead."""
    device_id, rows, at = uuid4(), list[dict[str, Any]](), since
    while True:
        at += timedelta(seconds=chance.choice([1, 1, 1, 1.5, 0.25]) * step)
        if chance.random() < 0.01:
            at += timedelta(hours=chance.choice([0.3, 1, 5]))
        if at >= NOW:
            break
        row: dict[str, Any] = {column_of(key): chance.choice(SAMPLES[key]) for key in KEYS}
        faulty = [key for key in KEYS if chance.random() < 0.1]
        row |= {column_of(key): None for key in KEYS if key in faulty or chance.random() < 0.1}
        faults = {key.value: chance.choice(["VALUE_UNAVAILABLE", "WRONG_UNIT"]) for key in faulty}
        came = min(at + timedelta(seconds=chance.choice([0.2, 0.2, 0.2, -30, 4000])), NOW)
        rows.append(row | {"device_id": device_id, "observed_at": at, "received_at": came, "faults": faults})
    async with engine.begin() as connection:
        await connection.execute(device_readings.insert(), rows)
    return device_id


def sources(device_id: UUID) -> list[SeriesSource]:
    return [
        SeriesSource(
            Selection(SeriesSubject.DEVICE, device_id, key), "", device_id, "", "UTC", None, device_id, "", 0
        )
        for key in KEYS
    ]  # fmt: skip


async def read(
    engine: AsyncEngine, device_id: UUID, since: datetime, until: datetime, width: timedelta
) -> list[Series]:
    async with engine.connect() as connection:
        return await read_series(connection, sources(device_id), since, until, width)


async def both(
    engine: AsyncEngine, device_id: UUID, since: datetime, until: datetime, width: timedelta
) -> tuple[list[Series], list[Series]]:
    """The series from rollups, and from the readings alone."""
    rolled = await read(engine, device_id, since, until, width)
    async with engine.connect() as connection:
        await connection.execute(update(rollup_mark).values(complete_at=None))
        of_readings = await read_series(connection, sources(device_id), since, until, width)
        await connection.rollback()
    return rolled, of_readings


def assert_same(rolled: list[Series], of_readings: list[Series]) -> None:
    for found, wanted in zip(rolled, of_readings, strict=True):
        # A mean is rounded to six places, of sums in another order.
        assert found.mean == [None if mean is None else pytest.approx(mean, rel=1e-9, abs=2e-6) for mean in wanted.mean]
        found.mean = wanted.mean
        assert found == wanted


@pytest.mark.parametrize("step", [20, 200, 1500])
@pytest.mark.parametrize("minutes", [1, 10, 15, 60, 1440])
async def test_a_series_is_the_same_from_rollups_and_readings(engine: AsyncEngine, step: float, minutes: int) -> None:
    chance = random.Random(step * minutes)
    since = NOW - timedelta(days=1, hours=4) if step == 20 else NOW - timedelta(days=3)
    device_id = await fill(engine, chance, since, step)
    await roll_up(engine)
    width = timedelta(minutes=minutes)
    begin = MIDNIGHT - timedelta(days=2)
    # The last reading of all holds until now, which goes on between the two.
    for until in (NOW - timedelta(minutes=20), MIDNIGHT - timedelta(hours=7, minutes=3)):
        assert_same(*await both(engine, device_id, begin, until, width))


async def test_what_came_since_is_in_the_series_at_once(engine: AsyncEngine) -> None:
    device_id = await fill(engine, random.Random(1), NOW - timedelta(hours=30), 30)
    await roll_up(engine)
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        await connection.execute(
            device_readings.insert().values(
                device_id=device_id, observed_at=now, received_at=now, total_power_load=123.0
            )
        )  # fmt: skip
    since = MIDNIGHT - timedelta(days=2)
    rolled, of_readings = await both(engine, device_id, since, now + timedelta(seconds=1), timedelta(minutes=15))
    assert rolled[0].last[-1] == 123
    assert rolled[0].last_at == of_readings[0].last_at == now


@pytest.mark.parametrize(("width", "tables"), [(30, 0), (300, 1), (1800, 2), (86400, 3)])
async def test_a_long_window_reads_rollups(engine: AsyncEngine, width: int, tables: int) -> None:
    device_id = await fill(engine, random.Random(2), NOW - timedelta(hours=60), 30)
    await roll_up(engine)
    with statements_of(engine) as seen:
        await read(engine, device_id, MIDNIGHT - timedelta(days=2), NOW, timedelta(seconds=width))
    used = {table for table in TABLES.values() for each in seen.texts if table in each}
    assert len(used) == tables

"""Small trends: the last value of each half hour, drawn with its gaps and said in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.ui.base.sparks import draw_spark
from domain.site.measurands import MeasurandKey
from store.history.trends.sparks import POINTS, read_sparks
from tests.factories.history.readings import fill_readings
from tests.factories.sites import add_device, make_site

NOW = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)


async def test_each_half_hour_has_its_last_value(engine: AsyncEngine) -> None:
    site = await make_site(engine)
    device, silent = await add_device(engine, site, "bess-1"), await add_device(engine, site, "bess-2")
    half = timedelta(minutes=30)
    # Readings at the full hour and half an hour later, and one more at its end; none in the last two hours.
    begin = NOW.replace(minute=0) - timedelta(hours=5)
    await fill_readings(
        engine, device, MeasurandKey.SOC, since=begin, until=begin + 6 * half, step=half, middle=40, swing=0
    )
    await fill_readings(
        engine, device, MeasurandKey.SOC, since=begin + 0.9 * half, until=begin + half, step=half, middle=70, swing=0
    )
    wanted = [(device, MeasurandKey.SOC), (device, MeasurandKey.DEVICE_POWER_STATE), (silent, MeasurandKey.SOC)]
    async with engine.connect() as connection:
        found = await read_sparks(connection, wanted, NOW)
        assert await read_sparks(connection, [], NOW) == {}
    assert list(found) == [(device, MeasurandKey.SOC)]
    (values,) = found.values()
    assert len(values) == POINTS
    assert [value for value in values if value is not None] == [70, 40, 40, 40, 40, 40]
    assert values[-5:] == [None] * 5


@pytest.mark.parametrize(
    ("values", "path", "text"),
    [
        ([1, None, 3], "M3.0 21.0h0.01M93.0 3.0h0.01", "last 24 hours: 1 % to 3 %, 3 % at last, with gaps"),
        ([1, 3, 2], "M3.0 21.0L48.0 3.0L93.0 12.0", "last 24 hours: 1 % to 3 %, 2 % at last"),
        ([5, 5], "M3.0 12.0L93.0 12.0", "last 24 hours: 5 % throughout"),
    ],
)
def test_a_gap_is_no_line(values: list[float | None], path: str, text: str) -> None:
    spark = draw_spark(MeasurandKey.SOC, values)
    assert (spark.path, spark.text) == (path, f"State of charge of the battery, {text}")


def test_watts_are_said_in_kilowatts() -> None:
    assert "1.5 kW throughout" in draw_spark(MeasurandKey.TOTAL_POWER_LOAD, [1500]).text

"""Which values the Trends page shows: another day's beside today's, a break where nothing is known, what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from domain.site.measurands import MeasurandKey
from tests.factories.history.readings import fill_readings
from tests.factories.sites import add_device, make_site, milliseconds, packet
from tests.helpers.support import until
from tests.pages.conftest import RunningProduct, Visitor
from tests.pages.helpers.load import send
from tests.pages.helpers.trends import ZONE, address_of, between, columns_of, is_drawn, query_of, rows_of

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
_TITLE = "Device em-1: Total active power, kW"
_IS_INKED = """([place, time]) => {
    const chart = document.querySelector("trend-chart");
    const { plot } = chart.plots[0];
    const ink = chart.colours().series[place].match(/[0-9.]+/g).map(Number);
    const { top, height } = plot.bbox;
    // A copy: a canvas that is read often is drawn slowly from then on.
    const copy = new OffscreenCanvas(1, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(plot.ctx.canvas, -Math.round(plot.valToPos(time, "x", true)), -top);
    const { data } = copy.getImageData(0, 0, 1, height);
    const pixels = Array.from({ length: height }, (_, row) => data.subarray(4 * row, 4 * row + 3));
    return pixels.some((pixel) => pixel.every((value, channel) => Math.abs(value - ink[channel]) < 48));
}"""


def evening() -> tuple[datetime, datetime]:
    """Two hours that are over: the evening at the depot, and already the next day where its visitor is."""
    end = datetime.now(UTC).replace(hour=2, minute=0, second=0, microsecond=0)
    if end > datetime.now(UTC):
        end -= timedelta(days=1)
    return end - 2 * HOUR, end


def days_before(moment: datetime, days: int) -> datetime:
    """The same time of day at the depot."""
    return (moment.astimezone(ZONE) - timedelta(days=days)).astimezone(UTC)


async def is_inked(page: Page, place: int, moment: datetime) -> bool:
    """Whether the first chart draws anything in the colour of a series at a time."""
    return await page.evaluate(_IS_INKED, [place, moment.timestamp()])


async def test_another_days_values_stand_beside_those_of_this_one(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_site(product.engine)
    meter = await add_device(product.engine, site, "em-1", site.circuit_ids[0])
    since, end = evening()
    # Each day has values of its own, the day before another one in each hour.
    for days, begin, hours, watts in ((0, since, 2, 100e3), (1, since, 1, 40e3), (1, since + HOUR, 1, 60e3),
                                      (3, since, 2, 70e3)):  # fmt: skip
        first = days_before(begin, days)
        await fill_readings(product.engine, meter, MeasurandKey.TOTAL_POWER_LOAD, since=first,
                            until=first + hours * HOUR, step=MINUTE, middle=watts, swing=0)  # fmt: skip
    address = address_of(f"device:{meter}:TOTAL_POWER_LOAD", **between(since, end))
    page = await visitor.open(address, size=(1360, 900))
    await is_drawn(page)
    await page.get_by_text("As a table").click()
    heads = page.get_by_role("region", name="Series as a table").locator("thead th")
    line = page.locator(".trend-window")
    times = [since.timestamp() + 60 * minute for minute in range(120)]
    assert [row[1:] for row in await rows_of(page)] == [["100"]] * 120

    await page.get_by_label("Compare with").select_option("the day before")
    await expect(line).to_contain_text("Dashed: the day before.")
    await expect(heads).to_have_text([f"From ({ZONE})", _TITLE, f"{_TITLE}, the day before"])
    shown = await columns_of(page)
    assert (shown[0], shown[1]) == (times, pytest.approx([100] * 120))
    assert shown[4] == pytest.approx([40] * 60 + [60] * 60)
    plot = "document.querySelector('trend-chart').plots[0].plot"
    assert await page.evaluate(f"{plot}.series.map(({{ dash }}) => (dash ?? []).length)") == [0, 0, 0, 0, 2, 0, 0]
    assert [row[1:] for row in await rows_of(page)] == [["100", "60"]] * 60 + [["100", "40"]] * 60

    # Another one by its date, as it is at the depot.
    today = (end - MINUTE).astimezone(ZONE).date()
    day = page.get_by_label("Day", exact=True)
    await expect(day).to_be_hidden()
    await page.get_by_label("Compare with").select_option("other")
    await expect(day).to_have_value(str(today - timedelta(days=1)))
    await expect(day).to_have_attribute("max", str(today - timedelta(days=1)))
    await day.fill(str(today - timedelta(days=3)))
    for opened in (page, None):
        again = opened or await visitor.open(page.url, size=(1360, 900))
        await is_drawn(again)
        await expect(again.locator(".trend-window")).to_contain_text("Dashed: 3 days before.")
        await expect(again.get_by_label("Compare with")).to_have_value("other")
        await expect(again.get_by_label("Day", exact=True)).to_have_value(str(today - timedelta(days=3)))
        assert query_of(again)["compare"] == ["3"]
        shown = await columns_of(again)
        assert (shown[0], shown[4]) == (times, pytest.approx([70] * 120))
    await expect(heads).to_have_text([f"From ({ZONE})", _TITLE, f"{_TITLE}, 3 days before"])
    assert [row[1:] for row in await rows_of(page)] == [["100", "70"]] * 120


async def test_a_line_breaks_where_nothing_is_known(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_site(product.engine)
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    since = end - 3 * HOUR
    silent, again = since + HOUR, since + 2 * HOUR
    # Beside a meter with an outage another one, which measures between its times and all along.
    meters: list[str] = []
    for sensor_id, watts, spans in (
        ("em-1", 50e3, ((since, silent), (again, end))),
        ("em-2", 100e3, ((since + MINUTE / 2, end),)),
    ):
        device_id = await add_device(product.engine, site, sensor_id, site.circuit_ids[0])
        meters.append(f"device:{device_id}:TOTAL_POWER_LOAD")
        for first, last in spans:
            await fill_readings(product.engine, device_id, MeasurandKey.TOTAL_POWER_LOAD, since=first, until=last,
                                step=MINUTE, middle=watts, swing=0)  # fmt: skip
    page = await visitor.open(address_of(*meters, **between(since, end)), size=(1360, 900))
    await is_drawn(page)
    await expect(page.locator(".trend-chosen li").nth(0).locator(".trend-quality")).to_have_text("1 gap")
    await expect(page.locator(".trend-chosen li").nth(1).locator(".trend-quality")).to_have_text("")
    times, broken, _, _, whole, _, _ = await columns_of(page)
    last_before = silent - MINUTE
    halves = [since + n * MINUTE / 2 for n in range(360)]
    assert times == [half.timestamp() for n, half in enumerate(halves) if n % 2 or not silent <= half < again]
    for time, one, other in zip(times, broken, whole, strict=True):
        own = time % 60 == 0
        inside = last_before.timestamp() < time < again.timestamp()
        assert one == (None if inside else 50 if own else "across"), time
        assert other == ("across" if own else 100), time
    before, within = since + HOUR / 2, since + 3 * HOUR / 2

    async def has_line() -> bool:
        return await is_inked(page, 0, before)

    await until(has_line, seconds=30)
    assert not await is_inked(page, 0, within)
    assert await is_inked(page, 1, before)
    assert await is_inked(page, 1, within)

    # Alone, too, it says what it measured where it did, and nothing in all of the outage.
    page = await visitor.open(address_of(meters[0], **between(since, end)), size=(1360, 900))
    await is_drawn(page)
    box = await page.locator(".chart .u-over").bounding_box()
    assert box is not None
    told = page.locator(".trend-chosen li output")
    for hours, said in ((0.8, "50 kW"), (1.2, "·"), (1.8, "·"), (2.2, "50 kW")):
        await page.mouse.move(box["x"] + box["width"] * hours / 3, box["y"] + 20)
        await expect(page.locator(".trend-window")).to_contain_text("At the cursor:")
        await expect(told).to_have_text(said)


async def test_what_cannot_be_used_is_told_in_the_list_and_the_table(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_site(product.engine)
    device_id = await add_device(product.engine, site, "em-1", site.circuit_ids[0])
    # Each in a bucket of its own: those of an hour are ten seconds wide.
    first = int(datetime.now(UTC).timestamp()) // 10 * 10 - 60
    sent: list[dict[str, Any]] = [
        {"SOC": 80, "DEVICE_POWER_STATE": "on"},
        {"SOC": 400, "DEVICE_POWER_STATE": "perhaps"},
        {"SOC": "much"},
        {"SOC": 70},
        {"SOC": None},
        {"SOC": 60},
    ]
    packets = [
        packet(site, milliseconds(datetime.fromtimestamp(first + 10 * place, UTC)), "em-1", **values)
        for place, values in enumerate(sent)
    ]
    packets[3]["sensors"][0]["measurands"][0]["unit"] = "W"
    await send(product, *packets)
    page = await visitor.open(
        address_of(f"device:{device_id}:SOC", f"device:{device_id}:DEVICE_POWER_STATE", range="1h"), size=(1360, 900)
    )
    await is_drawn(page)
    told = page.locator(".trend-chosen li .trend-quality")
    soc = "1 unavailable, 1 out of range, 1 of the wrong kind, 1 in the wrong unit"
    await expect(told).to_have_text([soc, "1 with an unknown text"])
    await page.get_by_text("As a table").click()
    assert [row[1:3] for row in reversed(await rows_of(page))] == [
        ["80", "on"],
        ["1 out of range", "1 with an unknown text"],
        ["1 of the wrong kind", "·"],
        ["1 in the wrong unit", "·"],
        ["1 unavailable", "·"],
        ["60", "·"],
    ]

"""The Trends page on a week that a scenario sent, as the demo writes it: seen on desktop and phone, and told apart."""

from __future__ import annotations

import re
from uuid import UUID

from playwright.async_api import expect

from cli.client import Api
from cli.commands.simulation_site import everything, simulation_depot
from cli.demo.fleet import make_ready
from cli.demo.past import PastRun, write_past
from cli.demo.scenario import demo_scenario
from tests.factories.sites import milliseconds
from tests.helpers.support import ACTOR
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import send
from tests.pages.helpers.looking import is_wider_than_the_screen, picture
from tests.pages.helpers.trends import address_of, columns_of, is_drawn, rows_of

WEEK = 7 * 24
_EVERY = 600
"""Seconds between two packets, as the demo has them of the past; a bucket of a week holds three."""
_ON = """() => {
    const rows = [...document.querySelectorAll(".band-row")];
    const limit = rows.find((row) => row.querySelector(".band-title").textContent === "DER export limit");
    return [...limit.querySelectorAll(".band-on")].map((part) => parseFloat(part.style.left));
}"""
"""Where the export limit came on in its band, in percent of the time shown."""
_LEAST_ROOM = """() => Math.min(...[...document.querySelectorAll(".trend-chosen > li")].map(
    (each) => each.querySelector(".trend-name").clientWidth / each.clientWidth))"""
"""The least share of its line that a series' name has."""


async def test_a_week_of_a_scenario_is_seen(product: RunningProduct, visitor: Visitor) -> None:
    async with Api(product.url) as api:
        depot_id = await simulation_depot(api, "Busy")
        await make_ready(api, depot_id)
        devices = {each["sensor_id"]: each for each in await everything(api, "/api/devices", depot_id=depot_id)}
    week = demo_scenario("demo-busy", 0, days=7, every=_EVERY)
    await write_past(product.engine, ACTOR, [PastRun(UUID(depot_id), week)])
    chosen = [
        f"device:{devices[sensor_id]['device_id']}:{measurand}"
        for sensor_id, measurand in (
            ("grid-meter", "TOTAL_POWER_LOAD"), ("mgc-1", "AVAILABLE_CHARGING_CAPACITY"), ("mgc-1", "SOC"),
        )
    ]  # fmt: skip
    for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        page = await visitor.open(address_of(*chosen, range="7d"), size=size)
        await is_drawn(page)
        await expect(page.locator(".chart h3")).to_have_text(["kW", "%"])
        # All of it, without a gap: a value for each half hour, and different ones.
        for chart, lines in ((0, 2), (1, 1)):
            times, *columns = await columns_of(page, chart)
            for line in range(lines):
                mean = columns[3 * line]
                assert None not in mean
                assert len(times) in range(2 * WEEK - 1, 2 * WEEK + 2)
                assert len(set(mean)) > WEEK / 8
        await expect(page.locator(".trend-chosen .trend-quality")).to_have_text(["simulated"] * 3)
        note = page.locator(".simulated-notes li")
        await expect(note).to_have_text(re.compile("^Simulated by scenario demo-busy, "))
        await expect(note.get_by_role("link")).to_have_attribute("href", re.compile("^/scenario-runs/"))
        titles = page.locator(".band-title")
        await expect(titles).to_have_text(["Peak shaving", "DER export limit", "Capacity of Charging"])
        rows = page.locator(".band-row")
        # All of it was known: no holes between the packets.
        await expect(rows.nth(0).locator(".band")).to_have_count(1)
        await expect(rows.nth(0).locator(".band-on")).to_have_text("ON")
        await expect(rows.nth(2).locator(".band-controller").first).to_be_attached()
        await expect(rows.nth(2).locator(".band-fail-safe")).to_have_count(0)
        # Each day at twelve of the scenario's, which ended a step before now.
        hours = [percent / 100 * WEEK for percent in await page.evaluate(_ON)]
        assert [int(hour // 24) for hour in hours] == list(range(7))
        assert all(11.5 < hour % 24 < 12 for hour in hours), hours
        assert not await is_wider_than_the_screen(page)
        # Names have room beside their values and times.
        assert await page.evaluate(_LEAST_ROOM) > 0.4
        await picture(page, f"trends-scenario-week-{name}")

    # What the device really measures is told apart from it, in the list and in the table.
    measurands = [{"key": "SOC", "value": 42, "unit": "%"}]
    await send(product, {
        "device_id": devices["mgc-1"]["gateway_id"],
        "timestamp": milliseconds(),
        "sensors": [{"sensor_id": "mgc-1", "measurands": measurands}],
    })  # fmt: skip
    page = await visitor.open(address_of(chosen[2], range="1h"), size=DESKTOP)
    await is_drawn(page)
    await expect(page.locator(".trend-chosen output")).to_have_text("42 %")
    await expect(page.locator(".trend-chosen .trend-quality")).to_have_text("simulated")
    await page.get_by_text("As a table").click()
    real, *simulated = [row[1] for row in await rows_of(page)]
    assert real == "42"
    assert len(simulated) in range(4, 7)
    assert all(re.fullmatch(r"[0-9.]+, simulated", each) for each in simulated), simulated

"""The load page leads to the exports of its depot, and Trends to those of what is shown."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from urllib.parse import urlencode

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.factories.history.trend_sites import make_trend_site
from tests.factories.load_sites import make_load_site
from tests.factories.sites import make_site
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look


async def test_the_last_day_is_exported_from_the_load_page(product: RunningProduct, visitor: Visitor) -> None:
    made = await make_load_site(product.engine, feeds=1)
    page = await visitor.open(f"/depots/{made.site.depot_id}/load", size=PHONE)
    await page.get_by_text("Export the last day").click()
    await look(page, "exports-phone")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Readings of all devices (CSV)").click()
    file = await download.value
    assert file.suggested_filename.startswith("readings-")
    rows = list(csv.DictReader(io.StringIO((await file.path()).read_text())))
    assert {row["device"] for row in rows} == {"Device em-1"}
    assert len(rows) > 400
    for name in ("Capability history (CSV)", "Capacity history (CSV)", "Remediations (CSV)"):
        async with page.expect_download():
            await page.get_by_role("link", name=name).click()
    async with page.expect_download() as parquet:
        await page.get_by_role("link", name="Parquet (Readings of all devices)").click()
    assert (await parquet.value).suggested_filename.endswith(".parquet")


@pytest.mark.parametrize("where", ["load", "trends"])
async def test_what_moves_when_the_charts_come_cannot_be_pressed_before(
    product: RunningProduct, visitor: Visitor, where: str
) -> None:
    site = await make_trend_site(product.engine)
    chosen = urlencode({"series": f"device:{site.devices['em-1']}:TOTAL_POWER_LOAD"})
    path, data = {
        "load": (f"/depots/{site.depot_id}/load", r"/load\?since"),
        "trends": (f"/trends?{chosen}", r"/api/series\?"),
    }[where]
    page = await visitor.open("/depots", size=PHONE)
    answer = await _held(page, data)
    await page.goto(path)
    chart = page.locator(f"{'load' if where == 'load' else 'trend'}-chart:defined")
    below = [chart.get_by_text("As a table"), chart.locator(".exports summary")]
    await expect(chart).to_have_attribute("aria-busy", "true")
    for each in below:
        await expect(each).to_be_attached()
        await expect(each).to_be_hidden()
    answer.set()
    for each in below:
        await expect(each).to_be_visible()
    await expect(chart.locator(".chart canvas").first).to_be_visible()


async def test_where_there_is_no_load_nothing_moves_when_it_is_asked_for_again(
    product: RunningProduct, visitor: Visitor
) -> None:
    site = await make_site(product.engine, feeds=1)
    page = await visitor.open(f"/depots/{site.depot_id}/load", size=PHONE)
    await expect(page.get_by_text("No meter of this depot sent its load in this time.")).to_be_visible()
    answer = await _held(page, r"/load\?since")
    chart = page.locator("load-chart")
    await page.get_by_role("radio", name="24 h").check()
    await expect(chart).to_have_attribute("aria-busy", "true")
    assert await chart.locator(".charts").evaluate("each => each.offsetHeight") == 0
    answer.set()
    await expect(chart).not_to_have_attribute("aria-busy", "true")


async def test_load_is_shown_where_it_is_asked_for_again_before_it_is_here(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await make_load_site(product.engine, feeds=1)
    page = await visitor.open("/depots", size=PHONE)
    asked: asyncio.Queue[Route] = asyncio.Queue()
    await page.route(re.compile(r"/load\?since"), asked.put)
    await page.goto(f"/depots/{made.site.depot_id}/load")
    first = await asked.get()
    await page.evaluate("document.dispatchEvent(new Event('live-capacity'))")
    second = await asked.get()
    chart = page.locator("load-chart")
    await first.continue_()
    await expect(chart.locator(".chart canvas")).to_be_visible()
    await expect(chart.locator(".exports summary")).to_be_visible()
    await expect(chart).to_have_attribute("aria-busy", "true")
    await second.continue_()
    await expect(chart).not_to_have_attribute("aria-busy", "true")


async def test_trends_are_shown_where_they_are_asked_for_again_before_they_are_here(
    product: RunningProduct, visitor: Visitor
) -> None:
    site = await make_trend_site(product.engine)
    page = await visitor.open("/depots", size=PHONE)
    asked: asyncio.Queue[Route] = asyncio.Queue()
    await page.route("**/api/series?*", asked.put)
    await page.goto(f"/trends?series=device:{site.devices['em-1']}:TOTAL_POWER_LOAD&range=1h")
    first = await asked.get()
    await page.evaluate("document.dispatchEvent(new Event('live-packet'))")
    second = await asked.get()
    chart, note = page.locator("trend-chart"), page.locator(".chart-note")
    await first.continue_()
    await expect(chart.locator(".chart canvas")).to_be_visible()
    await expect(chart).to_have_attribute("aria-busy", "true")
    # What was asked for last is not there, and that is still said when the charts are drawn anew.
    visitor.expected = ("503",)
    await second.fulfill(status=503, body="{}")
    await expect(note).to_contain_text("The series could not be read. What is shown was read up to")
    await page.evaluate("document.documentElement.dataset.theme = 'dark'")
    await expect(page.locator("html[data-theme=dark] .trend-window")).to_be_visible()
    await expect(note.get_by_role("button", name="Try again")).to_be_visible()
    await note.get_by_role("button", name="Try again").click()
    third = await asked.get()
    # An answer for another time than the one that is chosen by now is not shown.
    await page.get_by_role("radio", name="6 h", exact=True).check()
    fourth = await asked.get()
    async with page.expect_response(re.compile("/api/series")) as late:
        await third.continue_()
    await (await late.value).finished()
    await expect(note.get_by_role("button", name="Try again")).to_be_visible()
    await fourth.continue_()
    await expect(note).to_have_text("")
    await expect(chart).not_to_have_attribute("aria-busy", "true")


async def test_what_trends_show_is_exported(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine)
    chosen = [("series", f"device:{site.devices['em-1']}:TOTAL_POWER_LOAD"), ("range", "6h")]
    page = await visitor.open(f"/trends?{urlencode(chosen)}", size=PHONE)
    await expect(page.locator("trend-chart:not([aria-busy]) .chart canvas").first).to_be_visible()
    await page.get_by_text("Export what is shown").click()
    await look(page, "trends-exports-phone")
    readings = page.get_by_role("link", name="Readings (CSV)")
    rows = await _downloaded(page, readings)
    assert {row["device_id"] for row in rows} == {str(site.devices["em-1"])}
    assert "TOTAL_POWER_LOAD [W]" in rows[0]
    assert "SOC [%]" not in rows[0]
    # The links follow the time that is shown.
    await page.get_by_role("radio", name="1 h", exact=True).check()
    await expect(page.locator("trend-chart:not([aria-busy]) .trend-window")).to_be_visible()
    fewer = await _downloaded(page, readings)
    assert 0 < len(fewer) < len(rows) / 3
    for name in ("Capability history of", "Capacity history of"):
        await _downloaded(page, page.get_by_role("link", name=re.compile(rf"^{name} .+ \(CSV\)$")))
    async with page.expect_download() as parquet:
        await page.get_by_role("link", name="Parquet (Readings)").click()
    assert (await parquet.value).suggested_filename.endswith(".parquet")


async def _held(page: Page, data: str) -> asyncio.Event:
    """Hold what a chart asks for until the event is set."""
    answer = asyncio.Event()

    async def hold(route: Route) -> None:
        await answer.wait()
        await route.continue_()

    await page.route(re.compile(data), hold)
    return answer


async def _downloaded(page: Page, link: Locator) -> list[dict[str, str]]:
    async with page.expect_download() as download:
        await link.click()
    return list(csv.DictReader(io.StringIO((await (await download.value).path()).read_text())))

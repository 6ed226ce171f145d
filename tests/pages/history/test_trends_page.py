"""The Trends page: choose, zoom by keyboard and mouse, compare, the link, the table, live, on a phone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from playwright.async_api import Route, expect
from sqlalchemy import text

from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with
from tests.factories.history.trend_sites import make_trend_site
from tests.factories.sites import milliseconds, packet
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, send
from tests.pages.helpers.looking import is_wider_than_the_screen, look
from tests.pages.helpers.trends import address, is_drawn, query_of, series_of, window


@pytest.mark.parametrize(("name", "size"), [("desktop", (1360, 900)), ("phone", PHONE)])
async def test_a_week_of_a_depot_is_seen(
    product: RunningProduct, visitor: Visitor, name: str, size: tuple[int, int]
) -> None:
    site = await make_trend_site(product.engine)
    page = await visitor.open(address(site, range="7d", compare="1"), size=size)
    await is_drawn(page)
    await expect(page.locator(".chart")).to_have_count(2)
    await expect(page.locator(".chart h3")).to_have_text(["kW", "%"])
    meter, battery = page.locator(".trend-chosen li").nth(0), page.locator(".trend-chosen li").nth(1)
    await expect(meter.locator(".trend-quality")).to_have_text("1 gap")
    await expect(battery.locator(".trend-quality")).to_contain_text(re.compile(r"^120 delayed, 60 unavailable$"))
    titles = page.locator(".band-title")
    await expect(titles).to_have_text(["Peak shaving", "DER export limit", "Capacity of Feed 1"])
    await expect(page.locator(".band-track").nth(2)).to_have_attribute(
        "aria-label", re.compile("Fail-safe: Connection")
    )
    await look(page, f"trends-{name}")


async def test_series_are_chosen_by_search_and_taken_off(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=3))
    await make_depot_with(product.engine, name="Elsewhere")
    page = await visitor.open("/trends")
    await expect(page.get_by_text("Nothing is chosen yet")).to_be_visible()
    depot = page.get_by_role("searchbox", name="Search depots by name")
    await depot.fill("arrow")
    await expect(page.locator(".found-depots li")).to_have_count(1)
    await page.locator(".found-depots").get_by_role("button", name="Arrow Road").click()
    thing = page.get_by_role("searchbox", name="Search in Arrow Road")
    await thing.fill("charge bess")
    await page.get_by_role("button", name="Add State of charge of the battery of Device bess-1").click()
    await is_drawn(page)
    await expect(page.locator(".trend-chosen li")).to_have_count(1)
    assert query_of(page)["series"] == [series_of(site)[1]]
    await page.get_by_role("button", name="Add Total active power of Feed 1").click()
    await expect(page.locator(".trend-chosen li")).to_have_count(2)
    await is_drawn(page)
    await page.get_by_role("button", name="Take Device bess-1").click()
    await expect(page.locator(".trend-chosen li")).to_have_count(1)
    assert query_of(page)["series"] == [f"circuit:{site.circuit_ids[0]}:TOTAL_POWER_LOAD"]
    await page.get_by_role("button", name="Other depots").click()
    await expect(page.locator(".found-depots li")).to_have_count(2)


async def test_circuits_of_one_name_are_told_by_what_is_above_them(product: RunningProduct, visitor: Visitor) -> None:
    panel = NewCircuit("Panel", None, ())
    feeds = (NewCircuit("Feed 1", None, (panel,)), NewCircuit("Feed 2", None, (NewCircuit("Panel", None, (panel,)),)))
    depot_id = await make_depot_with(product.engine, *feeds)
    page = await visitor.open(f"/trends?depot={depot_id}")
    found = page.locator(".found-thing p").filter(has=page.locator("strong", has_text="Panel"))
    await expect(found).to_have_text(["Panel Feed 1", "Panel Feed 2", "Panel Feed 2 \u203a Panel"])
    await look(page, "trends-places")
    # So are those that are chosen.
    async with product.engine.connect() as connection:
        query = text("SELECT id FROM circuits WHERE depot_id = :depot_id AND name = 'Panel' ORDER BY id")
        panels = (await connection.execute(query, {"depot_id": depot_id})).scalars().all()
    chosen = urlencode([("series", f"circuit:{each}:TOTAL_POWER_LOAD") for each in panels])
    for size in (DESKTOP, PHONE):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.goto(f"/trends?{chosen}")
        told = page.locator(".trend-name .quiet-text")
        depot = (await page.locator("#finder-title").inner_text()).strip()
        expected = ["Feed 1", "Feed 2", "Feed 2 \u203a Panel"]
        assert sorted(await told.all_inner_texts()) == [f"{depot}, {each}" for each in expected]
        for each in expected:
            button = page.get_by_role("button", name=f"Take Panel, {each}, Total active power, off", exact=True)
            await expect(button).to_have_count(1)
        await look(page, f"trends-chosen-places-{size[0]}")


async def test_time_is_moved_by_keyboard_and_the_link_holds_it(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(days=2))
    page = await visitor.open(address(site, range="24h"))
    await is_drawn(page)
    room = page.get_by_role("group", name="Charts")
    await room.focus()
    await page.keyboard.press("+")
    begin, end = await window(page)
    assert end - begin == pytest.approx(12 * 3600, abs=30)
    # Zoomed in at its right edge it still goes on.
    assert query_of(page)["range"] == ["43200s"]
    await page.keyboard.press("ArrowLeft")
    earlier, edge = await window(page)
    assert edge == pytest.approx(end - 3 * 3600, abs=30)
    await expect(page.locator("trend-chart")).not_to_have_attribute("aria-busy", "true")
    await page.get_by_label("Compare with").select_option("the day before")
    await expect(page.locator(".trend-window")).to_contain_text("Dashed: the day before")
    query = query_of(page)
    assert datetime.fromisoformat(query["since"][0]).timestamp() == pytest.approx(earlier, abs=1)
    assert query["compare"] == ["1"]
    again = await visitor.open(page.url)
    await is_drawn(again)
    assert await window(again) == pytest.approx((earlier, edge), abs=1)
    await expect(again.get_by_label("Compare with")).to_have_value("1")
    await expect(again.locator(".trend-window")).to_contain_text("Dashed: the day before")
    # Adding a series keeps the time.
    await again.get_by_role("button", name="Add State of charge of the battery of A battery").click()
    await expect(again.locator(".trend-chosen li")).to_have_count(3)
    kept = datetime.fromisoformat(query_of(again)["since"][0])
    assert kept == datetime.fromisoformat(query["since"][0])
    await again.get_by_role("group", name="Charts").press("End")
    assert "since" not in query_of(again)


async def test_a_drag_zooms_in(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(days=2))
    page = await visitor.open(address(site, range="24h"))
    await is_drawn(page)
    before = await window(page)
    plot = await page.locator(".chart .u-over").first.bounding_box()
    assert plot is not None
    x, y = plot["x"] + plot["width"] / 4, plot["y"] + plot["height"] / 2
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + plot["width"] / 4, y, steps=4)
    await page.mouse.up()
    begin, end = await window(page)
    assert end - begin == pytest.approx((before[1] - before[0]) / 4, rel=0.03)
    assert begin == pytest.approx(before[0] + (before[1] - before[0]) / 4, abs=1200)
    assert "since" in query_of(page)


async def test_the_right_edge_is_live(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=2))
    page = await visitor.open(address(site, range="1h"))
    await is_drawn(page)
    await is_live(page)
    await send(product, packet(site, milliseconds(), "em-1", TOTAL_POWER_LOAD=987_000))
    await expect(page.locator(".trend-chosen li").first.locator("output")).to_have_text("987 kW")


async def test_the_table_says_what_the_charts_show(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(days=3))
    since = (datetime.now(UTC) - timedelta(hours=60)).replace(minute=0, second=0, microsecond=0)
    window = {"since": since.isoformat(), "until": (since + timedelta(hours=36)).isoformat()}
    page = await visitor.open("/trends", size=(1360, 900))
    async with page.expect_response(re.compile("/api/series")) as response:
        await page.goto(address(site, **window))
    load, soc = (await (await response.value).json())["series"]
    await page.get_by_text("As a table").click()
    table = page.get_by_role("region", name="Series as a table").get_by_role("table")
    heads = table.locator("thead th")
    await expect(heads.nth(1)).to_have_text("Device em-1: Total active power, kW")
    await expect(heads.nth(2)).to_have_text("Device bess-1: State of charge of the battery, %")
    shown = [await row.locator("td").all_inner_texts() for row in await table.locator("tbody tr").all()]
    assert len(shown) == 50
    last = load["mean"][-1] / 1000
    assert float(shown[0][0].split(" ")[0]) == pytest.approx(last, rel=0.01)
    assert float(shown[0][1].split(" ")[0]) == pytest.approx(soc["mean"][-1], rel=0.01)
    pages = page.get_by_role("group", name="Pages of the table")
    words: set[str] = set()
    while await pages.get_by_role("button", name="Earlier rows").is_enabled():
        await pages.get_by_role("button", name="Earlier rows").click()
        words |= {
            text for text in await table.locator("tbody td").all_inner_texts() if text[:1].isalpha() or "un" in text
        }
    assert "gap" in words
    assert any("unavailable" in each for each in words)
    assert {"ON", "OFF", "Controller"} <= words
    assert any(each.startswith("Fail-safe") for each in words)


async def test_what_cannot_be_shown_is_said(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=1))
    device = f"device:{site.devices['em-1']}"
    keys = ["TOTAL_POWER_LOAD", "CURRENT", "VOLTAGE", "FREQUENCY", "LINE_VOLTAGE", "SOC", "TOTAL_POWER_FACTOR",
            "TOTAL_REACTIVE_POWER", "TOTAL_APPARENT_POWER"]  # fmt: skip
    query = "&".join(f"series={each}" for each in [f"device:{uuid4()}:SOC", *(f"{device}:{key}" for key in keys)])
    page = await visitor.open(f"/trends?{query}")
    await expect(page.get_by_text("1 chosen series cannot be shown.")).to_be_visible()
    await expect(page.get_by_text("8 series are shown at most.")).to_be_visible()
    await expect(page.locator(".trend-chosen li")).to_have_count(8)
    full = page.get_by_role("button", name="Add State of charge of the battery of Feed 1")
    await expect(full).to_be_disabled()
    await expect(full).to_have_css("opacity", "0.35")
    await expect(
        page.get_by_text("8 series are shown, which is the most. Take one off to add another.")
    ).to_be_visible()
    page = await visitor.open(f"/trends?series={device}:VOLTAGE")
    await expect(page.locator(".chart-note")).to_have_text("None of these was measured in this time.")


async def test_a_failure_is_said_and_asked_again(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=1))
    visitor.expected = ("503",)
    page = await visitor.open(address(site))
    await is_drawn(page)

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, body="{}")

    await page.route("**/api/series?*", refuse)
    await page.get_by_label("7 d").check()
    await expect(page.locator(".chart-note")).to_contain_text(
        "The series could not be read. What is shown was read up to"
    )
    await page.unroute("**/api/series?*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".chart-note")).to_have_text("")
    assert not await is_wider_than_the_screen(page)


async def test_an_hour_that_comes_twice_has_two_names(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=1))
    page = await visitor.open(address(site), size=(1360, 900))
    await is_drawn(page)
    days = await page.evaluate("""async () => {
        const { onOtherDay } = await import(document.querySelector("script[src*='trend-chart']").src.replace(
            "trend-chart", "zones"));
        const at = Date.UTC(2026, 9, 25, 12);
        return [onOtherDay("Europe/Berlin", at, -1) - at, onOtherDay("Europe/Berlin", at, -7) - at,
                onOtherDay("Europe/Berlin", at, 1) - at];
    }""")
    # On the day before, clocks were an hour ahead of what they are now.
    assert [each / 3_600_000 for each in days] == [-25, -169, 24]


async def test_small_trends_lead_to_the_whole_one(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=30))
    await send(product, packet(site, milliseconds(), "bess-1", SOC=50))
    page = await visitor.open(f"/depots/{site.depot_id}/devices")
    await look(page, "devices-with-trends")
    await page.locator(".power-sources").get_by_role("link", name=re.compile("State of charge.*last 24 hours")).click()
    await is_drawn(page)
    await expect(page.locator(".trend-chosen li")).to_contain_text(["A battery"])
    for name, size in (("desktop", (1360, 900)), ("phone", PHONE)):
        page = await visitor.open(f"/devices/{site.devices['bess-1']}", size=size)
        small = page.get_by_role("link", name=re.compile("State of charge.*last 24 hours"))
        await expect(small).to_be_visible()
        await look(page, f"device-with-trends-{name}")
    await small.click()
    await is_drawn(page)
    assert query_of(page)["series"] == [series_of(site)[1]]


async def test_the_load_page_leads_to_its_meters(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=3))
    page = await visitor.open(f"/depots/{site.depot_id}/load?range=1h")
    link = page.get_by_role("link", name="In trends")
    await expect(link).to_have_attribute("href", re.compile("series=device"))
    await link.click()
    await is_drawn(page)
    query = query_of(page)
    assert (query["series"], query["range"]) == ([series_of(site)[0]], ["1h"])
    await page.goto(f"/depots/{site.depot_id}/load")
    await page.locator(".depot-head").get_by_role("link", name="Trends").click()
    await expect(page.get_by_role("heading", name="Arrow Road")).to_be_visible()

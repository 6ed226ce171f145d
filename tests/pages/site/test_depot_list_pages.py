"""The list of depots in trouble, in a real browser: the worst first, with what is wrong and since when."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import text, update

from store.base.database import transaction
from store.monitoring.capacity_upkeep import pass_deadlines
from store.site.depots import update_depot
from store.site.tables import circuits
from tests.factories.capacities import capacity_site, expire
from tests.factories.depots import make_depot_with, make_fleet
from tests.factories.sites import add_device, controller_site, make_site, milliseconds, open_remediation, packet
from tests.helpers.support import ACTOR
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, send
from tests.pages.helpers.looking import look

SIZES = {"desktop": DESKTOP, "phone": PHONE}


@pytest.mark.parametrize("size", SIZES)
async def test_depots_in_trouble_are_listed_the_worst_first(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    for name in ("Depot 10", "Depot 2", "Depot 2"):
        # Without a circuit it cannot be provisioned.
        depot_id = await make_depot_with(product.engine, name=name)
        async with transaction(product.engine, ACTOR) as connection:
            labels = {"region": "Ontario", "tags": ["night shift", "north"]}
            await update_depot(connection, ACTOR, depot_id, labels)
    page = await visitor.open("/depots", size=SIZES[size])
    names = page.locator("#rows .row-link")
    await expect(page.locator("#rows .badge")).to_have_text(["Failed"] * 3)
    await expect(names).to_have_text(["Depot 2", "Depot 2", "Depot 10"])
    await expect(page.locator("#rows th .id")).to_have_count(2)
    await look(page, f"depots-in-trouble-{size}")
    await page.goto("/depots?alarm=PROVISIONING_FAILED")
    await expect(page.locator("#list caption")).to_have_text("Depots, the worst first")
    await expect(names).to_have_count(3)
    await expect(page.locator("#rows lasting-time")).to_have_count(3)


async def in_every_state(product: RunningProduct) -> None:
    """Depots in trouble of several kinds, and one that is well."""
    now = datetime.now(UTC)
    for name, minutes in (("Older", 90), ("Newer", 5)):
        site = await controller_site(product.engine)
        await open_remediation(product.engine, site, now - timedelta(minutes=minutes))
        await rename(product, site.depot_id, name)
    silent = await capacity_site(product.engine)
    await rename(product, silent.depot_id, "Silent")
    await expire(product.engine, *silent.circuit_ids)
    async with product.engine.begin() as connection:
        await pass_deadlines(connection, 10)
    well = await controller_site(product.engine)
    await send(product, packet(well, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    await rename(product, well.depot_id, "Well")


async def rename(product: RunningProduct, depot_id: UUID, name: str) -> None:
    async with transaction(product.engine, ACTOR) as connection:
        await update_depot(connection, ACTOR, depot_id, {"name": name})


async def test_the_list_is_sorted_by_its_headings_and_keeps_its_filters(
    product: RunningProduct, visitor: Visitor
) -> None:
    await in_every_state(product)
    page = await visitor.open("/depots?search=e")
    names = page.locator("#rows .row-link")
    await expect(names).to_have_text(["Newer", "Older", "Silent", "Well"])
    headings = page.get_by_role("columnheader")
    await headings.get_by_role("link", name="Remediations").click()
    await expect(names).to_have_text(["Older", "Newer", "Silent", "Well"])
    await expect(page).to_have_url(f"{product.url}/depots?search=e&sort=REMEDIATIONS")
    await expect(page.get_by_role("columnheader", name="Remediations")).to_have_attribute("aria-sort", "ascending")
    await headings.get_by_role("link", name="Remediations").press("Enter")
    await expect(names).to_have_text(["Well", "Silent", "Newer", "Older"])
    await expect(page.get_by_role("columnheader", name="Remediations")).to_have_attribute("aria-sort", "descending")
    # A filter keeps the order, and the order a filter.
    await page.get_by_role("link", name="Remediation open").click()
    await expect(names).to_have_text(["Newer", "Older"])
    await page.get_by_role("searchbox").fill("older")
    await expect(names).to_have_text(["Older"])
    await expect(page).to_have_url(
        f"{product.url}/depots?search=older&alarm=REMEDIATION_OPEN&sort=REMEDIATIONS&descending=true"
    )
    await page.goto("/depots?sort=WORST")
    await expect(names.first).to_have_text("Silent")
    await expect(page.locator("#sort-worst")).to_have_attribute("aria-current", "true")
    # A trend is no order.
    titles = await headings.all_inner_texts()
    assert titles == [
        "Depot", "Provisioning", "Status", "Fail-safe", "Remediations", "Load", "Last 6 hours", "Time zone"
    ]  # fmt: skip
    sorting = await headings.get_by_role("link").all_inner_texts()
    assert sorting == [title for title in titles if title != "Last 6 hours"]


@pytest.mark.parametrize("size", SIZES)
async def test_the_list_is_sorted_without_a_script(
    product: RunningProduct, visitor: Visitor, browser: Browser, size: str
) -> None:
    await in_every_state(product)
    width, height = SIZES[size]
    page = await browser.new_page(java_script_enabled=False, viewport={"width": width, "height": height})
    await page.goto(f"{product.url}/depots")
    where = page.get_by_role("navigation", name="Sort") if size == "phone" else page.get_by_role("columnheader")
    await where.get_by_role("link", name="Remediations").click()
    await expect(page.locator("#rows .row-link")).to_have_text(["Older", "Newer", "Silent", "Well"])
    await where.get_by_role("link", name="Remediations").click()
    await expect(page.locator("#rows .row-link")).to_have_text(["Well", "Silent", "Newer", "Older"])
    await page.close()
    await look(await visitor.open("/depots?sort=WORST", size=SIZES[size]), f"depots-worst-{size}")


@pytest.mark.parametrize("size", SIZES)
async def test_each_depot_shows_its_load_against_its_capacity(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    below, above, quiet = [await make_site(product.engine) for _ in range(3)]
    async with product.engine.begin() as connection:
        await connection.execute(update(circuits).values(rated_power_w=250_000))
    for site, watts in ((below, 120_000), (above, 300_000)):
        await add_device(product.engine, site, circuit_id=site.circuit_ids[0])
        for minutes in (90, 45, 0):
            at = milliseconds() - minutes * 60_000
            await send(product, packet(site, at, TOTAL_POWER_LOAD=watts - minutes * 100))
    for site, name in ((below, "Below"), (above, "Above"), (quiet, "Quiet")):
        await rename(product, site.depot_id, name)
    page = await visitor.open("/depots", size=SIZES[size])
    loads = page.locator("#rows .load-now")
    await expect(loads).to_have_text(
        ["300.0 of 250.0 kW Above its capacity", "120.0 of 250.0 kW", "not measured"], use_inner_text=True
    )
    await expect(loads.get_by_role("progressbar", name="Load of Below against its capacity")).to_have_attribute(
        "value", "120000.0"
    )
    trends = page.locator("#rows .spark")
    await expect(trends).to_have_count(2)
    await expect(trends.last).to_have_accessible_name(
        re.compile("Total active power, last 6 hours: 111 kW to 120 kW, 120 kW at last.*Show in trends")
    )
    await look(page, f"depots-load-{size}")
    await trends.last.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Trends")
    # The overview's figure leads to the list in the order of the loads, which says of when it is.
    await page.goto("/")
    await page.locator("#figure-load").click()
    await expect(page).to_have_url(f"{product.url}/depots?sort=LOAD")
    await expect(page.locator("#rows .row-link")).to_have_text(["Above", "Below", "Quiet"])
    await expect(page.locator("#ordered-at")).to_contain_text(re.compile(r"In the order of the loads of"))
    await look(await visitor.open("/depots?sort=LOAD", size=SIZES[size]), f"depots-by-load-{size}")
    share = page.get_by_role("navigation", name="Sort").get_by_role("link", name="Share of capacity")
    await share.click()
    await share.click()
    await expect(page.locator("#rows .row-link")).to_have_text(["Quiet", "Below", "Above"])


async def test_a_simulated_load_is_marked_in_the_list(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_site(product.engine)
    await add_device(product.engine, site, circuit_id=site.circuit_ids[0])
    await send(product, packet(site, TOTAL_POWER_LOAD=80_000))
    async with product.engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("UPDATE device_readings SET scenario_run_id = uuidv7()"))
    page = await visitor.open("/depots")
    await expect(page.locator("#rows .load-now")).to_contain_text("Simulated")


@pytest.mark.parametrize("size", SIZES)
async def test_after_back_the_depot_that_was_opened_has_the_focus(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    await make_fleet(product.engine, 60)
    visitor.expected = ("404",)  # they have no microgrid
    page = await visitor.open("/depots", size=SIZES[size])
    link = page.get_by_role("link", name="Depot 00040", exact=True)
    await link.scroll_into_view_if_needed()
    before = await page.evaluate("scrollY")
    assert before > 0
    await link.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Depot 00040")
    await page.go_back()
    await expect(link).to_be_focused()
    await expect(link).to_be_in_viewport()
    # What follows what changes leaves it there.
    await is_live(page)
    await make_depot_with(product.engine, name="Yard beyond the others")
    await expect(page.locator("#rows .row-link")).to_have_count(61)
    await expect(link).to_be_focused()
    await expect(link).to_be_in_viewport()


async def test_a_row_far_down_is_found_again(product: RunningProduct, visitor: Visitor) -> None:
    await make_fleet(product.engine, 450)
    visitor.expected = ("404",)  # they have no microgrid
    page = await visitor.open("/depots")
    rows = page.locator("#rows .row-link")
    while await rows.count() < 400:
        shown = await rows.count()
        await page.get_by_role("button", name="Load more depots").scroll_into_view_if_needed()
        await expect(rows.nth(shown)).to_be_attached()
    link = page.get_by_role("link", name="Depot 00370")
    await link.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Depot 00370")
    await page.go_back()
    await expect(link).to_be_focused()
    await expect(link).to_be_in_viewport()


async def test_a_filter_that_was_chosen_keeps_the_focus(product: RunningProduct, visitor: Visitor) -> None:
    await make_fleet(product.engine, 60)
    page = await visitor.open("/depots")
    chosen = page.get_by_role("link", name="Pending")
    await chosen.press("Enter")
    await expect(page).to_have_url(f"{product.url}/depots?provisioning=PENDING")
    await expect(chosen).to_be_focused()
    heading = page.get_by_role("columnheader").get_by_role("link", name="Time zone")
    for _ in range(2):
        await heading.press("Enter")
        await expect(heading).to_be_focused()
    await expect(page.get_by_role("columnheader", name="Time zone")).to_have_attribute("aria-sort", "descending")
    # A page that is opened anew begins at its top.
    await page.goto("/depots")
    await expect(page.locator("#rows .row-link").first).to_be_visible()
    assert await page.evaluate("document.activeElement === document.body")

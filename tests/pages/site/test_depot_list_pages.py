"""The list of depots in trouble, in a real browser: the worst first, with what is wrong and since when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from playwright.async_api import Browser, expect

from store.base.database import transaction
from store.monitoring.capacity_upkeep import pass_deadlines
from store.site.depots import update_depot
from tests.factories.capacities import capacity_site, expire
from tests.factories.depots import make_depot_with
from tests.factories.sites import controller_site, open_remediation, packet
from tests.helpers.support import ACTOR
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import send
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
    # Every heading sorts but those that say so by having no link.
    titles = await headings.all_inner_texts()
    assert titles == ["Depot", "Provisioning", "Status", "Fail-safe", "Remediations", "Time zone"]
    assert await headings.get_by_role("link").count() == len(titles)


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

"""Saved views in a real browser: saved from the list, opened by one click, renamed, replaced and deleted."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from store.base.database import transaction
from store.site.depots import update_depot
from tests.factories.depots import make_depot_with
from tests.helpers.live import http_client
from tests.helpers.support import ACTOR
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, look

SIZES = {"desktop": DESKTOP, "phone": PHONE}
WITHOUT_SPACES = "a" * 200


async def make_depots(product: RunningProduct) -> None:
    for name, tags in (("Yard", ["north"]), ("Quay", ["south"])):
        depot_id = await make_depot_with(product.engine, name=name)
        async with transaction(product.engine, ACTOR) as connection:
            await update_depot(connection, ACTOR, depot_id, {"tags": tags})


async def save_as(page: Page, name: str) -> None:
    await page.get_by_role("link", name="Save this view").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Save this view")
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_role("button", name="Save").press("Enter")


async def use_views(page: Page, url: str) -> None:
    """Save, open, replace, rename and delete a view, with or without a script."""
    views = page.get_by_role("navigation", name="Saved views")
    names = page.locator("#rows .row-link")
    await save_as(page, "Northern")
    # It leads back to the list, where it is the view that one sees.
    await expect(page).to_have_url(f"{url}/depots?tag=north")
    await expect(views.get_by_role("link", name="Northern")).to_have_attribute("aria-current", "true")
    await expect(views.get_by_role("link", name="Save this view")).to_have_count(0)
    await page.goto(f"{url}/depots")
    await expect(names).to_have_count(2)
    await views.get_by_role("link", name="Northern").click()
    await expect(names).to_have_text(["Yard"])
    # The same name again: what would be replaced is said first.
    await page.goto(f"{url}/depots?tag=south&sort=STATUS")
    await save_as(page, "northern")
    await expect(page.get_by_role("alert").filter(has_text="Not saved")).to_contain_text("It says: Tag: north.")
    await page.get_by_role("button", name="Replace").click()
    await expect(page).to_have_url(f"{url}/depots?tag=south&sort=STATUS")
    await expect(names).to_have_text(["Quay"])
    await views.get_by_role("link", name="1 saved view").click()
    row = page.locator("#rows tr")
    await expect(row).to_contain_text("Tag: south, Sorted by: Status")
    await row.get_by_role("textbox").fill("\u200b")
    await row.get_by_role("button", name="Rename").click()
    await expect(row.locator(".field-error")).to_contain_text("must not")
    await row.get_by_role("textbox").fill("Southern")
    await row.get_by_role("button", name="Rename").click()
    await expect(row.get_by_role("link", name="Southern")).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
async def test_views_are_saved_opened_replaced_renamed_and_deleted(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    await make_depots(product)
    visitor.expected = ("409", "422")
    page = await visitor.open("/depots?tag=north", size=SIZES[size])
    await use_views(page, product.url)
    await page.get_by_role("button", name="Delete Southern").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("You have no saved view")).to_be_visible()


async def test_views_need_no_script(product: RunningProduct, browser: Browser) -> None:
    await make_depots(product)
    page = await browser.new_page(java_script_enabled=False)
    await page.goto(f"{product.url}/depots?tag=north")
    await use_views(page, product.url)
    await page.get_by_role("button", name="Delete Southern").click()
    await expect(page.get_by_text("You have no saved view")).to_be_visible()
    await page.close()


@pytest.mark.parametrize("size", SIZES)
async def test_many_views_with_long_names_fit(product: RunningProduct, visitor: Visitor, size: str) -> None:
    async with http_client(product.url) as api:
        for name in (WITHOUT_SPACES, "<b>Bold</b> & co", *(f"View {place}" for place in range(12))):
            body = {"name": name, "filters": {"search": name[:200]}}
            (await api.post("/api/views", json=body)).raise_for_status()
    page = await visitor.open("/depots", size=SIZES[size])
    views = page.get_by_role("navigation", name="Saved views")
    await expect(views.get_by_role("link")).to_have_count(13)
    await expect(views.get_by_role("link").first).to_have_text("<b>Bold</b> & co")
    await look(page, f"saved-views-above-the-list-{size}")
    page = await visitor.open("/depots/views", size=SIZES[size])
    await expect(page.locator("#rows tr")).to_have_count(14)
    await look(page, f"saved-views-{size}")
    page = await visitor.open(f"/depots/views/new?search={WITHOUT_SPACES}", size=SIZES[size])
    assert not await is_wider_than_the_screen(page)


async def test_two_tabs_change_one_view(product: RunningProduct, visitor: Visitor) -> None:
    async with http_client(product.url) as api:
        (await api.post("/api/views", json={"name": "Mine", "filters": {"tag": "a"}})).raise_for_status()
    visitor.expected = ("422",)
    first, second = await visitor.open("/depots/views"), await visitor.open("/depots/views")
    await first.get_by_role("textbox").fill("Ours")
    await first.get_by_role("button", name="Rename").click()
    await expect(first.get_by_role("link", name="Ours")).to_be_visible()
    await second.get_by_role("textbox").fill("Theirs")
    await second.get_by_role("button", name="Rename").click()
    await expect(second.locator(".field-error")).to_contain_text("has changed since it was read")
    await first.get_by_role("button", name="Delete Ours").click()
    await first.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(first.get_by_text("You have no saved view")).to_be_visible()
    await second.get_by_role("button", name="Rename").click()
    await expect(second.get_by_role("alert").filter(has_text="There is no saved view")).to_be_visible()

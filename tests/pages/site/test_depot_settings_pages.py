"""The settings of a depot on its pages, and how the list of depots is filtered by them."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.factories.depots import make_depot_with
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look

SIZES = {"desktop": DESKTOP, "phone": PHONE}


@pytest.mark.parametrize("size", SIZES)
async def test_depots_are_filed_under_regions_and_tags_and_found_by_them(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    visitor.expected = ("404",)  # nothing makes microgrids here
    malvern = await make_depot_with(product.engine, name="Malvern")
    await make_depot_with(product.engine, name="Arrow Road")
    page = await visitor.open(f"/depots/{malvern}/devices", size=SIZES[size])
    await page.get_by_role("button", name="Settings").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Region").fill("x" * 101)
    await dialog.get_by_label("Tags").fill("north, \u202eshift")
    visitor.expected = ("404", "422")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.locator("#depot-region-error")).to_contain_text("A region has at most 100 characters")
    await expect(dialog.locator("#depot-tags-error")).to_contain_text("A tag must not hold a character that changes")
    await dialog.get_by_label("Region").fill("Ontario, east of the river and beyond the hills")
    await dialog.get_by_label("Tags").fill("night shift, north, , North")
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.locator(".depot-facts .label")).to_have_text(
        ["Ontario, east of the river and beyond the hills", "night shift", "north"]
    )
    await look(page, f"depot-labels-{size}")
    await page.get_by_role("link", name="north").click()
    rows = page.locator("#rows > tr")
    await expect(rows).to_have_count(1)
    await expect(page.locator("#by-provisioning a").first).to_have_text("All 1")
    assert page.url.endswith("?tag=north")
    await look(page, f"depots-by-tag-{size}")
    await page.get_by_role("searchbox").fill("arrow")
    await expect(page.get_by_text("No depots match")).to_be_visible()
    await page.get_by_role("searchbox").fill("")
    await expect(rows).to_have_count(1)
    await page.get_by_role("link", name="Remove this filter").click()
    await expect(rows).to_have_count(2)

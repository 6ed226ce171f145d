"""The links of every page: a row on a wide screen, on a narrow one a menu that works without a mouse or a script."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.factories.sites import controller_site
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, look

NARROW = (320, 640)
_CUT = """
    (row) => [...document.querySelectorAll(`${row} a`)].filter((link) => {
        const { left, right } = link.getBoundingClientRect();
        return left < 0 || right > document.documentElement.clientWidth || link.scrollWidth > link.clientWidth + 1;
    }).map((link) => link.textContent.trim())
"""


async def test_on_a_wide_screen_the_links_are_a_row(visitor: Visitor) -> None:
    page = await visitor.open("/", size=DESKTOP)
    await expect(page.get_by_role("button", name="Menu")).to_be_hidden()
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    boxes = [await link.bounding_box() for link in await links.all()]
    assert len({box["y"] for box in boxes if box}) == 1
    assert await page.evaluate(_CUT, ".main-links") == []


@pytest.mark.parametrize("size", [NARROW, PHONE, (768, 1024), (1024, 768)], ids=lambda size: str(size[0]))
async def test_on_a_narrow_screen_the_menu_works_by_keyboard(visitor: Visitor, size: tuple[int, int]) -> None:
    page = await visitor.open("/", size=size)
    button = page.get_by_role("button", name="Menu")
    links = page.get_by_role("navigation", name="Main")
    await expect(links).to_be_hidden()
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(links.get_by_role("link", name="Overview")).to_have_attribute("aria-current", "page")
    assert await page.evaluate(_CUT, ".main-links") == []
    assert not await is_wider_than_the_screen(page)
    await look(page, f"menu-{size[0]}")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(links.get_by_role("link", name="Depots")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(links).to_be_hidden()
    await expect(button).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Depots")
    await expect(links).to_be_hidden()


async def test_the_menu_needs_no_script(product: RunningProduct, browser: Browser) -> None:
    context = await browser.new_context(
        base_url=product.url, viewport={"width": PHONE[0], "height": PHONE[1]}, java_script_enabled=False
    )
    page = await context.new_page()
    await page.goto("/")
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="Journal").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Journal")
    await context.close()


@pytest.mark.parametrize("size", [NARROW, PHONE], ids=["narrow", "phone"])
async def test_no_tab_of_a_depot_is_cut(product: RunningProduct, visitor: Visitor, size: tuple[int, int]) -> None:
    site = await controller_site(product.engine)
    page = await visitor.open(f"/depots/{site.depot_id}/devices", size=size)
    for tab in ("Load", "Circuits", "Devices", "Controllers"):
        await expect(page.locator(".tabs").get_by_role("link", name=tab)).to_be_in_viewport(ratio=1)
    assert await page.evaluate(_CUT, ".tabs") == []
    assert not await is_wider_than_the_screen(page)
    await look(page, f"tabs-{size[0]}")

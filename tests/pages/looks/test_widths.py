"""No page has to be scrolled sideways, whatever the width of the screen."""

from __future__ import annotations

from playwright.async_api import expect

from tests.factories.depots import make_fleet
from tests.pages.conftest import RunningProduct, Visitor
from tests.pages.helpers.every import every_page, page_routes
from tests.pages.helpers.looking import is_wider_than_the_screen, picture

WIDTHS = (320, 480, 640, 641, 720, 768, 834, 865, 1024, 1280)
"""Phones and tablets, a desktop at 200 and 400 %, and beside the widths at which the layout changes."""


async def test_no_page_is_wider_than_the_screen(product: RunningProduct, visitor: Visitor) -> None:
    await make_fleet(product.engine, 40, flawed=3)
    pages = await every_page(product)
    assert set(pages) == page_routes(product)
    wide: list[str] = []
    for name, path in pages.items():
        page = await visitor.open(path)
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            if await is_wider_than_the_screen(page):
                wide.append(f"{name} at {width}")
        await page.context.close()
    assert wide == []


async def test_a_tablet_leaves_out_what_the_depots_own_page_says(product: RunningProduct, visitor: Visitor) -> None:
    await make_fleet(product.engine, 40, flawed=3)
    page = await visitor.open("/depots", size=(768, 1024))
    table = page.get_by_role("table")
    for title, since in (("Status", 641), ("Load", 737), ("Last 6 hours", 865), ("Time zone", 865)):
        for width in (641, 720, 737, 834, 865, 1280):
            await page.set_viewport_size({"width": width, "height": 1024})
            heading = table.get_by_role("columnheader", name=title)
            await expect(heading).to_have_count(int(width >= since))
    await page.set_viewport_size({"width": 768, "height": 1024})
    await picture(page, "depots-tablet")

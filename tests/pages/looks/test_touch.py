"""What a finger presses is 44 pixels high, on every page; with a mouse it stays as small as it was."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.every import every_page
from tests.pages.helpers.looking import is_wider_than_the_screen, picture

_SMALL = """
    () => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
        .filter((each) => each.checkVisibility({ visibilityProperty: true }))
        .filter((each) => !each.closest(".skip, .visually-hidden"))
        .filter((each) => {
            const choice = each.matches("[type=checkbox], [type=radio]") ? each.closest("label") : null;
            const target = choice ?? each;
            const { width, height } = target.getBoundingClientRect();
            // A link within a sentence is as high as its line.
            const text = (of) => of.textContent.replaceAll(/\\s+/g, " ").trim();
            const inSentence = each.matches("a") && getComputedStyle(each).display === "inline" &&
                text(each.closest("p, li, td, th, dd, div") ?? each).length > text(each).length;
            const narrow = each.matches("button") && width < 43.5;
            return !inSentence && (height < 43.5 || narrow);
        })
        .map((each) => `${each.outerHTML.slice(0, 160)} ${JSON.stringify(each.getBoundingClientRect())}`)
"""


async def small(page: Page) -> list[str]:
    """What is too small for a finger."""
    return await page.evaluate(_SMALL)


async def test_targets_are_large_enough_for_fingers(product: RunningProduct, visitor: Visitor) -> None:
    found: list[str] = []
    for name, path in (await every_page(product)).items():
        page = await visitor.open(path, size=PHONE, touch=True)
        assert await page.evaluate("matchMedia('(pointer: coarse)').matches")
        if await page.locator("[aria-busy]").count():
            await expect(page.locator("[aria-busy]")).to_have_count(0)
        found += [f"{name}: {each}" for each in await small(page)]
        assert not await is_wider_than_the_screen(page), name
        await picture(page, f"touch-{name.replace('_', '-')}")
        await page.get_by_role("button", name="Menu").tap()
        await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        found += [f"{name}, menu: {each}" for each in await small(page)]
        await page.close()
    assert found == [], "\n".join(found)


async def test_with_a_mouse_rows_stay_low(visitor: Visitor) -> None:
    page = await visitor.open("/", size=DESKTOP)
    assert not await page.evaluate("matchMedia('(pointer: coarse)').matches")
    box = await page.get_by_role("button", name="Colours:").bounding_box()
    assert box is not None
    assert box["height"] < 44

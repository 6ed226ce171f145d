"""What page tests look for on every page: no violation that axe finds, no sideways scrolling; and a picture of it."""

from __future__ import annotations

import re
from typing import Any, Literal
from uuid import UUID

from playwright.async_api import Page

from api.ui.base.assets import FOLDER
from tests.pages.conftest import ARTIFACTS, DESKTOP, PHONE

NOBODY = UUID("018f4e6c-0000-7000-8000-000000000000")
SIZES = {"desktop": DESKTOP, "phone": PHONE}
_AXE = FOLDER.parent / "node_modules" / "axe-core" / "axe.min.js"


# Pointer targets of 24 pixels are a rule that axe knows but does not ask for by itself. What passes is not described:
# that takes four times as long as to find what is wrong.
_RUN = """
axe
  .run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } })
  .then((report) => report.violations)
"""
_THEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")


async def violations(page: Page) -> list[str]:
    """Say what axe finds wrong with a page, in both themes."""
    found: list[str] = []
    # What the header covers where a page happens to be scrolled to is not covered for good.
    await page.evaluate("window.scrollTo({ top: 0, behavior: 'instant' })")
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE.read_text())
    for theme in _THEMES:
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        violated: list[dict[str, Any]] = await page.evaluate(_RUN)
        for violation in violated:
            found += [
                f"{theme}: {violation['id']}: {node['html'][:200]} {node['failureSummary']}"
                for node in violation["nodes"]
            ]
    return found


async def is_wider_than_the_screen(page: Page) -> bool:
    """Whether the page has to be scrolled sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


async def picture(page: Page, name: str) -> None:
    """Keep a picture of the page, for people to look at."""
    ARTIFACTS.mkdir(exist_ok=True)
    assert re.fullmatch(r"[a-z0-9-]+", name)
    await page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


async def look(page: Page, name: str) -> None:
    """Look at a page in both themes."""
    found = await violations(page)
    assert found == [], "\n".join(found)
    assert not await is_wider_than_the_screen(page)
    for theme in _THEMES:
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        await picture(page, f"{name}-{theme}")

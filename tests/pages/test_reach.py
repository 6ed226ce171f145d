"""Every page is reached by keyboard and by finger, read without a script, printed, and told to stand still."""

from __future__ import annotations

import pytest

from tests.pages.conftest import Site, Visitor
from tests.pages.every import every_page, page_routes
from tests.pages.test_every_page import SIZES

_SCROLLS_AS_SOME_DO = """
    const scroll = Element.prototype.scrollIntoView;
    Element.prototype.scrollIntoView = function (...how) {
        scroll.apply(this, how);
        this.focus({ preventScroll: true });
        this.blur();
    };
"""
"""Some versions of Chromium go on from what was scrolled into view when Tab is pressed; here every one does."""
_FOCUSED = "document.activeElement.textContent.trim()"


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_tab_on_every_page_is_skip_to_content(site: Site, visitor: Visitor, size: str) -> None:
    pages = await every_page(site)
    assert set(pages) == page_routes(site)
    first: dict[str, str] = {}
    for name, path in pages.items():
        page = await visitor.open(path, size=SIZES[size], script=_SCROLLS_AS_SOME_DO)
        await page.keyboard.press("Tab")
        first[name] = await page.evaluate(_FOCUSED)
        # The link of this page is in sight in its row, all the same.
        hidden = await page.evaluate("""
            [...document.querySelectorAll(":is(.main-links, .tabs) [aria-current]")].filter(link => {
                const [own, row] = [link, link.parentElement].map(each => each.getBoundingClientRect());
                return own.left < row.left - 1 || own.right > row.right + 1;
            }).map(link => link.textContent)
        """)
        assert hidden == [], name
        await page.close()
    assert first == dict.fromkeys(pages, "Skip to content")

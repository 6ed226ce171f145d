"""What looks at every page finds what is wrong with one."""

from __future__ import annotations

from tests.pages.conftest import RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, violations

_PALE = "color-scheme: light dark; background: light-dark(#fff, #000); color: light-dark(#eee, #fff)"
"""Too pale in the light theme alone."""
_ADD = """
([kind, text, style]) => {
  const made = document.createElement(kind);
  made.textContent = text;
  made.style.cssText = style;
  document.querySelector("main").append(made);
}
"""


async def test_a_fault_is_found_in_the_theme_that_has_it(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/depots")
    assert await violations(page) == []
    assert not await is_wider_than_the_screen(page)
    await page.evaluate(_ADD, ["button", "", ""])
    await page.evaluate(_ADD, ["p", "Pale", _PALE])
    await page.evaluate(_ADD, ["p", "Wide", "width: 5000px"])
    found = [each.split(": ")[:2] for each in await violations(page)]
    assert sorted(found) == [["dark", "button-name"], ["light", "button-name"], ["light", "color-contrast"]]
    assert await is_wider_than_the_screen(page)

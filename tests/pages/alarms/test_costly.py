"""What takes long is asked for less often: a costly part of a page rests after it, and other parts do not."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.pages.conftest import RunningProduct, Visitor

# Time goes on as a test has it.
_TIME = "let passed = 0; performance.now = () => passed; window.pass = (seconds) => { passed += 1000 * seconds; };"
_PARTS = """
    const nonce = document.querySelector("[hx-nonce]").getAttribute("hx-nonce");
    for (const name of ["costly", "cheap"]) {
      const part = document.createElement("p");
      part.id = name;
      part.toggleAttribute("data-costly", name === "costly");
      const given = { get: `/asked/${name}`, trigger: "ask", swap: "innerHTML", sync: "this:queue last", nonce };
      for (const [key, value] of Object.entries(given)) part.setAttribute(`hx-${key}`, value);
      document.querySelector("main").append(part);
      htmx.process(part);
    }
"""


class Parts:
    """A costly part of a page and a cheap one, which ask when they are told to and are answered by the test."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._asked = asyncio.Queue[Route]()

    @classmethod
    async def open(cls, visitor: Visitor) -> Parts:
        """Put both on a page."""
        page = await visitor.open("/depots", script=_TIME)
        parts = cls(page)
        await page.route("**/asked/*", parts._asked.put)
        await page.evaluate(_PARTS)
        return parts

    async def go_by(self, seconds: float) -> None:
        """Let time pass."""
        await self._page.evaluate("seconds => pass(seconds)", seconds)

    async def ask(self, *names: str) -> None:
        """Have parts ask."""
        for name in names:
            await self._page.evaluate("name => htmx.trigger(`#${name}`, 'ask')", name)

    async def take(self, name: str, seconds: float, *, answered: bool = True) -> None:
        """See that this part asks next, and let its request take so long."""
        route = await self._asked.get()
        assert route.request.url.rpartition("/")[2] == name
        await self.go_by(seconds)
        await (route.fulfill(body="") if answered else route.abort())
        await expect(self._page.locator(f"#{name}.htmx-request")).to_have_count(0)


async def test_a_costly_part_that_answers_soon_is_asked_again(product: RunningProduct, visitor: Visitor) -> None:
    parts = await Parts.open(visitor)
    for _ in range(3):
        await parts.ask("costly")
        await parts.take("costly", 2)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_costly_part_rests_ten_times_as_long_as_it_took(
    product: RunningProduct, visitor: Visitor, answered: bool
) -> None:
    visitor.expected = ("ERR_FAILED", "Failed to fetch", "htmx")
    parts = await Parts.open(visitor)
    await parts.ask("costly")
    await parts.take("costly", 3, answered=answered)
    for seconds in (0, 14.9, 14.9):
        await parts.go_by(seconds)
        # The cheap one comes through alone.
        await parts.ask("costly", "cheap")
        await parts.take("cheap", 0)
    await parts.go_by(0.3)
    await parts.ask("costly")
    await parts.take("costly", 0)


async def test_what_waited_for_a_long_request_rests_too(product: RunningProduct, visitor: Visitor) -> None:
    parts = await Parts.open(visitor)
    await parts.ask("costly", "costly")
    await parts.take("costly", 3)
    await parts.ask("cheap")
    await parts.take("cheap", 0)


async def test_a_part_that_is_not_costly_never_rests(product: RunningProduct, visitor: Visitor) -> None:
    parts = await Parts.open(visitor)
    for _ in range(2):
        await parts.ask("cheap")
        await parts.take("cheap", 60)

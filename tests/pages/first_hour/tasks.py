"""Somebody at their first task: begins on the first page, and whose clicks are counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.pages.conftest import Visitor

SIZES = {"desktop": (1360, 900), "phone": (390, 844)}
_DOCUMENT = Path(__file__).parents[3] / "docs" / "first-hour.md"
_ROW = re.compile(r"^\| ([a-z-]+) \| .+? \| (\d+) \| (\d+) \| (yes)? ?\|$", re.MULTILINE)
_FURTHEST = 200
"""Presses of Tab after which something is taken to be out of reach."""


@dataclass(frozen=True)
class Task:
    """What the document says of a task."""

    desktop: int
    phone: int
    by_keyboard: bool


TASKS = {row[1]: Task(int(row[2]), int(row[3]), bool(row[4])) for row in _ROW.finditer(_DOCUMENT.read_text())}


class Beginner:
    """Somebody who begins a task on the first page."""

    def __init__(self, page: Page, size: str, task: str) -> None:
        self.page = page
        self.size = size
        self.task = task
        self.clicks = 0

    @staticmethod
    async def begin(visitor: Visitor, size: str, task: str) -> Beginner:
        """Open the first page."""
        return Beginner(await visitor.open("/", size=SIZES[size]), size, task)

    async def click(self, on: Locator) -> None:
        """Click on something, or where the task is one for the keyboard go there and press Enter."""
        self.clicks += 1
        if TASKS[self.task].by_keyboard:
            await self.reach(on)
            await self.page.keyboard.press("Enter")
        else:
            await on.click()

    async def reach(self, what: Locator) -> None:
        """Go to something by Tab."""
        await expect(what).to_be_visible()
        for _ in range(_FURTHEST):
            if await what.evaluate("each => each === document.activeElement"):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"{what} cannot be reached by Tab")

    async def go(self, link: str) -> None:
        """Follow one of the links that are on every page."""
        menu = self.page.get_by_role("button", name="Menu")
        if await menu.is_visible():
            await self.click(menu)
        await self.click(self.page.get_by_role("navigation", name="Main").get_by_role("link", name=link))

    def done(self) -> None:
        """Within the clicks that the document allows, no fewer: what takes less is to be written down, too."""
        task = TASKS[self.task]
        assert self.clicks == (task.desktop if self.size == "desktop" else task.phone), (self.task, self.clicks)

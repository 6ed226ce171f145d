"""What tests of the Trends page share: its address, what its charts, its table and its link have."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from tests.factories.sites import MadeDepot
from tests.helpers.support import until

ZONE = ZoneInfo("America/Toronto")
"""Where the depots of these tests are; their visitors are not."""
_COLUMNS = """(chart) => document.querySelector("trend-chart").plots[chart].plot.data.map(
    (column) => column.map((value) => (value === undefined ? "across" : value)))"""
_ROWS = """() => [...document.querySelectorAll(".table-room tbody tr")].map(
    (row) => [...row.cells].map((cell) => cell.textContent))"""


def series_of(site: MadeDepot) -> list[str]:
    """The two series of a site of ``make_trend_site``: in kW and in %."""
    return [
        f"device:{site.devices['em-1']}:TOTAL_POWER_LOAD",
        f"device:{site.devices['bess-1']}:SOC",
    ]


def address_of(*series: str, **more: str) -> str:
    """The page with these series."""
    return "/trends?" + urlencode([*(("series", each) for each in series), *more.items()])


def address(site: MadeDepot, **more: str) -> str:
    """The page with the series of a site of ``make_trend_site``."""
    return address_of(*series_of(site), **more)


def between(begin: datetime, end: datetime) -> dict[str, str]:
    """A time that stays as it is, as the address has it."""
    return {"since": begin.isoformat(), "until": end.isoformat()}


async def is_drawn(page: Page) -> None:
    """Wait for the charts."""
    await expect(page.locator("trend-chart:not([aria-busy]) .chart canvas").first).to_be_visible()


async def window(page: Page) -> tuple[float, float]:
    """What the charts show, in seconds."""
    return tuple(
        await page.evaluate(
            "(({ plot }) => [plot.scales.x.min, plot.scales.x.max])(document.querySelector('trend-chart').plots[0])"
        )
    )


def query_of(page: Page) -> dict[str, list[str]]:
    """What the link holds."""
    return parse_qs(urlsplit(page.url).query)


async def is_moved_to(page: Page, begin: float, end: float, *, near: float = 1) -> None:
    """Wait until the charts show this time, to ``near`` seconds; the link and the line below the charts say so too."""
    wanted = pytest.approx((begin, end), abs=near)

    async def shown() -> bool:
        return await window(page) == wanted

    # Whatever is shown instead is told by the assertion.
    with suppress(TimeoutError):
        await until(shown, seconds=30)
    assert await window(page) == wanted
    query = query_of(page)
    linked = [datetime.fromisoformat(query[name][0]).astimezone(ZONE) for name in ("since", "until")]
    assert tuple(each.timestamp() for each in linked) == wanted
    said = " to ".join(rf"{each:%d} \w+, {each:%H:%M}(?::\d\d)?(?: UTC\S*)?" for each in linked)
    await expect(page.locator(".trend-window")).to_have_text(re.compile(f"^{said}, {ZONE}; "))


async def columns_of(page: Page, chart: int = 0) -> list[list[Any]]:
    """What a chart draws: the times, then of each series its means, least and most.

    None breaks the line; ``across`` is where the series measured nothing, which a line is drawn across.
    """
    return await page.evaluate(_COLUMNS, chart)


async def rows_of(page: Page) -> list[list[str]]:
    """What the open table says, of all its pages, the latest first: each row's time and its cells."""
    later, earlier = (page.get_by_role("button", name=f"{which} rows") for which in ("Later", "Earlier"))
    while await later.count() and await later.is_enabled():
        await later.click()
    rows: list[list[str]] = await page.evaluate(_ROWS)
    while await earlier.count() and await earlier.is_enabled():
        await earlier.click()
        rows += await page.evaluate(_ROWS)
    return rows

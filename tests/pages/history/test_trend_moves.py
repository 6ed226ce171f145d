"""Moving in time on the Trends page: by buttons, keys, wheel and fingers, and by itself where it is live."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest
from playwright.async_api import CDPSession, FloatRect, Locator, Page, expect

from tests.factories.history.trend_sites import make_trend_site
from tests.helpers.support import until
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.trends import address, between, is_drawn, is_moved_to, query_of, window

HOUR = 3600
SPAN = 12 * HOUR
WAYS = {
    "in": ("Zoom in", "+"),
    "out": ("Zoom out", "-"),
    "earlier": ("Earlier", "ArrowLeft"),
    "later": ("Later", "ArrowRight"),
    "now": ("Now", "End"),
}
"""The button and the key of each move."""
_Place: TypeAlias = tuple[float, float]


def half_a_day() -> tuple[datetime, datetime]:
    """Of whole hours, so long ago that what is twice as long is over as well."""
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    return begin, begin + timedelta(seconds=SPAN)


async def plot_of(page: Page) -> tuple[Locator, FloatRect]:
    """Where the first chart draws, in sight."""
    over = page.locator(".chart .u-over").first
    await over.scroll_into_view_if_needed()
    box = await over.bounding_box()
    assert box is not None
    return over, box


@pytest.mark.parametrize("way", [0, 1], ids=["buttons", "keys"])
async def test_buttons_and_keys_move_and_zoom(product: RunningProduct, visitor: Visitor, way: int) -> None:
    site = await make_trend_site(product.engine, span=timedelta(days=2))
    since, end_of_it = half_a_day()
    begin, end = since.timestamp(), end_of_it.timestamp()
    page = await visitor.open(address(site, **between(since, end_of_it)), size=(1360, 900))
    await is_drawn(page)

    async def act(name: str) -> None:
        if way:
            await page.get_by_role("group", name="Charts").press(WAYS[name][1])
        else:
            moves = page.get_by_role("group", name="Time shown")
            await moves.get_by_role("button", name=WAYS[name][0], exact=True).click()

    await is_moved_to(page, begin, end)
    await act("in")
    await is_moved_to(page, begin + SPAN / 4, end - SPAN / 4)
    await act("earlier")
    await is_moved_to(page, begin + SPAN / 8, end - SPAN * 3 / 8)
    await act("later")
    await act("later")
    await is_moved_to(page, begin + SPAN * 3 / 8, end - SPAN / 8)
    await act("out")
    await is_moved_to(page, begin + SPAN / 8, end + SPAN / 8)
    # Now is the right edge, which goes on, however it is zoomed; later than that there is nothing.
    await act("now")
    await expect(page.locator(".trend-window")).to_contain_text(" to now, ")
    for name, kept in (("later", "43200s"), ("out", "24h"), ("in", "43200s")):
        await act(name)
        query = query_of(page)
        assert (query["range"], "since" in query) == ([kept], False), name
        await expect(page.locator(".trend-window")).to_contain_text(" to now, ")
    first, last = await window(page)
    assert last - first == pytest.approx(SPAN, abs=1)
    assert last > end + 17 * HOUR


async def test_a_wheel_moves_sideways_and_zooms_with_ctrl(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(days=2))
    since, end_of_it = half_a_day()
    begin, end = since.timestamp(), end_of_it.timestamp()
    page = await visitor.open(address(site, **between(since, end_of_it)), size=(1360, 700))
    await is_drawn(page)
    over, box = await plot_of(page)
    # A mouse is at whole pixels.
    x, y = round(box["x"] + box["width"] / 4), round(box["y"] + box["height"] / 2)
    await page.mouse.move(x, y)
    moved = 200 / await over.evaluate("(plot) => plot.clientWidth") * SPAN
    await page.mouse.wheel(200, 0)
    await is_moved_to(page, begin + moved, end + moved)
    await page.keyboard.down("Shift")
    await page.mouse.wheel(0, -400)
    await is_moved_to(page, begin - moved, end - moved)
    await page.mouse.wheel(0, 200)
    await page.keyboard.up("Shift")
    await is_moved_to(page, begin, end)
    # What the mouse points at stays where it is.
    share = (x - box["x"]) / box["width"]
    await page.keyboard.down("Control")
    await page.mouse.wheel(0, -100)
    await is_moved_to(page, begin + 0.2 * SPAN * share, end - 0.2 * SPAN * (1 - share))
    await page.mouse.wheel(0, 100)
    await page.keyboard.up("Control")
    await is_moved_to(page, begin, end)
    # Alone it scrolls the page, as everywhere.
    before = await page.evaluate("scrollY")
    await page.mouse.wheel(0, 150)
    await page.wait_for_function("(before) => scrollY > before", arg=before)
    await is_moved_to(page, begin, end)


async def drag(touches: CDPSession, *fingers: tuple[_Place, _Place]) -> None:
    """Put fingers down, move each from the one place to the other, and take them off."""
    steps = 10

    def points(step: int) -> list[dict[str, float]]:
        return [
            {"id": number, "x": x + (to_x - x) * step / steps, "y": y + (to_y - y) * step / steps}
            for number, ((x, y), (to_x, to_y)) in enumerate(fingers)
        ]

    await touches.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points(0)})
    for step in range(1, steps + 1):
        await touches.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points(step)})
    await touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


async def test_fingers_move_zoom_and_scroll(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(days=2))
    since, end_of_it = half_a_day()
    begin, end = since.timestamp(), end_of_it.timestamp()
    page = await visitor.open(address(site, **between(since, end_of_it)), size=PHONE, touch=True)
    await is_drawn(page)
    touches = await page.context.new_cdp_session(page)
    _, box = await plot_of(page)
    pixel = SPAN / box["width"]
    x, y, width = box["x"], box["y"] + box["height"] / 2, box["width"]
    # One to the right: earlier by half of it. A browser that took the touch for one of its own would end it at once.
    await drag(touches, ((x + width / 4, y), (x + width * 3 / 4, y)))
    begin, end = begin - SPAN / 2, end - SPAN / 2
    await is_moved_to(page, begin, end, near=2 * pixel)
    # Two apart: half of the time, and what was between them still is.
    await drag(touches, ((x + width * 0.4, y), (x + width * 0.3, y)), ((x + width * 0.6, y), (x + width * 0.7, y)))
    await is_moved_to(page, begin + SPAN / 4, end - SPAN / 4, near=SPAN / 40)
    begin, end = await window(page)
    assert end - begin == pytest.approx(SPAN / 2, abs=2 * pixel)
    # Up: the page scrolls, and the time stays.
    before = await page.evaluate("scrollY")
    await drag(touches, ((x + width / 2, y), (x + width / 2, y - 200)))
    await page.wait_for_function("(before) => scrollY > before + 50", arg=before)
    await is_moved_to(page, begin, end)


async def test_what_is_live_moves_on_and_what_is_not_stays(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_trend_site(product.engine, span=timedelta(hours=3))
    page = await visitor.open("/trends")
    await page.clock.install()
    await page.goto(address(site, range="1h"))
    await is_drawn(page)
    before, said = await window(page), await page.locator(".trend-window").inner_text()
    # Ten minutes pass, of which the page is told by its clock alone: nothing comes.
    await page.clock.fast_forward(600_000)

    async def is_later() -> bool:
        return (await window(page))[1] >= before[1] + 600

    await until(is_later, seconds=30)
    begin, end = await window(page)
    assert end - begin == pytest.approx(HOUR, abs=1)
    await expect(page.locator(".trend-window")).not_to_have_text(said)
    assert query_of(page)["range"] == ["1h"]
    await page.get_by_role("button", name="Earlier", exact=True).click()
    begin, end = await window(page)
    await page.clock.fast_forward(600_000)
    await is_moved_to(page, begin, end)

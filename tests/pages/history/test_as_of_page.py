"""Back in time: the slider beside the card, and the page that a link to a moment leads to."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.async_api import expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories.sites import controller_site, packet
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import send
from tests.pages.helpers.looking import look


async def older(engine: AsyncEngine) -> None:
    """As if all that is there had come two days ago."""
    ago = "- interval '2 days'"
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table, columns in {
            "replaced_rows_kept": ("since",),
            "microgrids": ("created_at",),
            "microgrid_nodes": ("created_at",),
            "circuits": ("created_at",),
            "devices": ("created_at",),
            "gateways": ("created_at",),
            "sensor_actions": ("created_at",),
            "capability_events": ("observed_at", "received_at"),
        }.items():
            moved = ", ".join(f"{column} = {column} {ago}" for column in columns)
            await connection.execute(text(f"UPDATE {table} SET {moved}"))


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_the_slider_shows_what_was_shown_and_says_that_it_is_not_live(
    product: RunningProduct, visitor: Visitor, name: str, size: tuple[int, int]
) -> None:
    engine = product.engine
    site = await controller_site(engine)
    await send(product, packet(site, None, LIMIT_PEAK_SHAVING="true"))
    await older(engine)
    await send(product, packet(site, None, LIMIT_PEAK_SHAVING="false"))
    page = await visitor.open(f"/depots/{site.depot_id}/load", size=size)
    slider = page.get_by_label("How far back, from the past on the left to now")
    await expect(slider).to_have_value("500")
    await slider.focus()
    await page.keyboard.press("ArrowLeft")
    told = page.locator("#as-of")
    await expect(told).to_contain_text("Not live.")
    peak = page.locator("#as-of-PEAK_SHAVING")
    await expect(peak).to_contain_text("ON")
    await expect(peak).to_contain_text("Stale")
    # The card itself goes on showing the present.
    await expect(page.locator("#capability-PEAK_SHAVING .onoff")).to_have_text("OFF")

    await look(page, f"back-in-time-{name}")

    await told.get_by_role("link", name="Link to this moment").click()
    await expect(page).to_have_url(re.compile(r"/as-of\?at="))
    await expect(page.locator("#as-of-PEAK_SHAVING")).to_contain_text("ON")
    await expect(page.locator("#as-of")).to_contain_text("Grid connections")
    await look(page, f"as-of-{name}")


async def test_what_came_late_stands_beside_it(product: RunningProduct, visitor: Visitor) -> None:
    site = await controller_site(product.engine)
    now = datetime.now(UTC)
    await send(product, packet(site, int(now.timestamp() * 1000) - 600_000, LIMIT_PEAK_SHAVING="true"))
    async with product.engine.connect() as connection:
        moment = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    await send(product, packet(site, int(now.timestamp() * 1000) - 300_000, LIMIT_PEAK_SHAVING="false"))
    page = await visitor.open(f"/depots/{site.depot_id}/as-of?at={moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}")
    peak = page.locator("#as-of-PEAK_SHAVING")
    await expect(peak).to_contain_text("ON")
    await expect(peak).to_contain_text("Known today: OFF")


async def test_a_moment_that_cannot_be_told_says_why(product: RunningProduct, visitor: Visitor) -> None:
    site = await controller_site(product.engine)
    page = await visitor.open(f"/depots/{site.depot_id}/as-of?at=2026-01-01T00:00:00Z")
    await expect(page.locator("#as-of")).to_contain_text("is known from")

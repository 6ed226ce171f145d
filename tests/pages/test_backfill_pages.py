"""The Backfill monitor, in a real browser."""

from __future__ import annotations

import re
from uuid import uuid4

from playwright.async_api import expect

from store.history.rollup_checks import begin_check
from tests.factories.depots import make_fleet
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, look, picture


async def test_a_dry_run_then_a_real_one_are_watched_to_their_end(product: RunningProduct, visitor: Visitor) -> None:
    await make_fleet(product.engine, 450, flawed=30)
    page = await visitor.open("/backfills")
    await expect(page.get_by_text("No backfill has run yet")).to_be_visible()
    await page.get_by_label("Depots in one transaction").fill("100")
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Dry run of the backfill")
    await expect(page.locator(".run-head .badge")).to_have_text("Completed")
    await expect(page.locator("#counts a")).to_have_text(
        ["All 450", "Would be created 420", "Already provisioned 0", "No top-level circuit 30"]
    )
    await page.goto("/depots")
    await expect(page.locator("#counts a").nth(1)).to_have_text("Provisioned 0")

    await page.goto("/backfills")
    watching = await visitor.open("/backfills", size=PHONE)
    await page.get_by_label("For real").check()
    await page.get_by_label("Depots in one transaction").fill("50")
    await page.get_by_role("button", name="Start").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Backfill")
    await expect(page.locator(".run-head .badge")).to_have_text("Completed")
    await expect(page.locator("#done")).to_have_text("450")
    await expect(page.locator("progress")).to_have_js_property("value", 450)
    await expect(page.locator(".facts")).to_contain_text("a second")
    await expect(page.get_by_role("link", name="Run in Temporal")).to_have_attribute(
        "href", re.compile(r"^http://127\.0\.0\.1:8233/namespaces/default/workflows/backfill%2F")
    )
    rows = page.locator(".outcomes tbody tr:not(.more)")
    loaded = 0
    while await page.locator(".outcomes .more").count():
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(rows.nth(loaded)).to_be_attached()
        loaded = await rows.count()
    await expect(rows).to_have_count(450)
    await page.get_by_role("link", name="No top-level circuit").click()
    await expect(rows).to_have_count(30)
    # Who only watched the list saw it, too.
    first = watching.locator("#rows tr").first
    await expect(first.locator(".badge")).to_have_text("Completed")
    await expect(first).to_contain_text("For real")
    await expect(first).to_contain_text("450 of 450")
    assert not await is_wider_than_the_screen(watching)


async def test_a_backfill_is_paused_resumed_and_cancelled(product: RunningProduct, visitor: Visitor) -> None:
    await make_fleet(product.engine, 3_000)
    page = await visitor.open("/backfills", size=PHONE)
    await page.get_by_label("For real").check()
    await page.get_by_label("Depots in one transaction").fill("5")
    await page.get_by_role("button", name="Start").click()
    badge = page.locator(".run-head .badge")
    await expect(badge).to_have_text("Running")
    await expect(page.locator(".facts")).to_contain_text(re.compile(r"Time left\s*about"))
    await page.get_by_role("button", name="Pause").click()
    await expect(badge).to_have_text("Paused")
    await expect(page.locator(".facts")).to_contain_text(re.compile(r"Time left\s*paused"))
    assert not await is_wider_than_the_screen(page)
    await picture(page, "backfill-paused-phone")
    await page.get_by_role("button", name="Resume").click()
    await expect(badge).to_have_text("Running")
    await page.get_by_role("button", name="End backfill").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("What was provisioned stays.")
    await dialog.get_by_role("button", name="Keep running").press("Enter")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="End backfill").click()
    await dialog.get_by_role("button", name="End backfill").click()
    await expect(badge).to_have_text("Cancelled")
    await expect(page.get_by_role("button", name="Pause")).to_have_count(0)


async def test_what_is_wrong_with_the_form_is_told(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("422",)
    page = await visitor.open("/backfills")
    size = page.get_by_label("Depots in one transaction")
    for given in ("0", "20001", "many", ""):
        await size.fill(given)
        await page.get_by_role("button", name="Start").click()
        await expect(page.locator("#page-size-error")).to_have_text("A whole number from 1 to 20000.")
        await expect(size).to_have_value(given)


async def test_how_far_readings_are_is_seen_below(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/backfills")
    part = page.locator("#readings")
    await expect(part.locator("dt")).to_have_text(
        ["Stored packets", "Rolled up until", "Six-hour stretches left", "Last check of rollups"]
    )
    async with product.engine.begin() as connection:
        await begin_check(connection, uuid4(), "tester", 3, repair=True)
    # It is looked at again by itself.
    await expect(part.locator("dd").last).to_have_text("goes on, 0 days of devices and microgrids compared")
    await look(page, "backfills-readings")
    narrow = await visitor.open("/backfills", size=PHONE)
    await expect(narrow.locator("#readings")).to_contain_text("goes on")
    await look(narrow, "backfills-readings-phone")

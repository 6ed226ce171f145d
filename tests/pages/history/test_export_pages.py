"""Exports that jobs make, in a real browser: asked for beside the direct ones, watched, downloaded, deleted."""

from __future__ import annotations

import csv
import io

from playwright.async_api import expect

from tests.factories.load_sites import make_load_site
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look


async def test_a_larger_export_is_asked_for_watched_and_downloaded(product: RunningProduct, visitor: Visitor) -> None:
    made = await make_load_site(product.engine, feeds=1)
    page = await visitor.open(f"/depots/{made.site.depot_id}/load", size=PHONE)
    await page.get_by_text("Export the last day").click()
    await page.get_by_role("link", name="Larger … (Readings of all devices)").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Export of readings of all devices")
    # Another page is looked at: axe leaves styles behind, which no later change of a page may copy.
    other = await visitor.open(page.url.removeprefix(product.url), size=PHONE)
    await look(other, "new-export-phone")
    await other.close()
    since, until = page.get_by_label("From (UTC)"), page.get_by_label("Until (UTC)")
    first, last = await since.input_value(), await until.input_value()
    visitor.expected = ("422",)
    await since.fill(last)
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator(".field-error")).to_contain_text("before")
    await since.fill(first)
    await page.get_by_role("button", name="Start").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Exports")
    row = page.locator("#rows tr").first
    await expect(row.locator(".badge")).to_have_text("Completed")
    other = await visitor.open("/exports", size=PHONE)
    await look(other, "exports-list-phone")
    await other.close()
    async with page.expect_download() as download:
        await row.get_by_role("link", name="Download").click()
    file = await download.value
    assert file.suggested_filename.startswith("readings-")
    rows = list(csv.DictReader(io.StringIO((await file.path()).read_text())))
    assert {each["device"] for each in rows} == {"Device em-1"}
    wide = await visitor.open("/exports")
    await look(wide, "exports-list")
    await row.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(row).to_contain_text("no longer kept")
    assert len(rows) > 400


async def test_nothing_yet(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/exports")
    await expect(page.get_by_text("You have no exports")).to_be_visible()

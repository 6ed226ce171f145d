"""The pages of imports, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import text

from domain.site.imports.import_jobs import IMPORT
from fleet.make_fleet import lines
from tests.factories.fleet_lines import depot, encode
from tests.factories.jobs.imports import told_to_stop
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, look


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.ndjson"
    file.write_text("".join(lines(60, seed=5, flaws=True)))
    return file


async def upload(page: Page, file: Path) -> None:
    await page.get_by_label(re.compile("File, of at most")).set_input_files(file)
    await page.get_by_role("button", name="Upload and import").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Import of {file.name}")


async def test_a_file_is_uploaded_watched_and_its_report_read(
    product: RunningProduct, visitor: Visitor, fleet: Path
) -> None:
    page = await visitor.open("/imports")
    await expect(page.get_by_text("Nothing was imported here yet")).to_be_visible()
    watching = await visitor.open("/imports", size=PHONE)
    await upload(page, fleet)
    await expect(page.locator(".run-head .badge")).to_have_text("Completed")
    await expect(page.locator("#depots")).to_have_text("60")
    await expect(page.locator("progress")).to_have_js_property("value", 1)
    rows = page.locator(".refused-lines tbody tr:not(.more)")
    count = await rows.count()
    assert count > 1
    await expect(page.locator("#counts nav a").first).to_have_text(f"All {count}")
    await look(page, "import")
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Report CSV").click()
    saved = (await (await waiting.value).path()).read_text()
    assert saved.startswith("line,code,reason,field,type,id\n")
    assert len(saved.splitlines()) == count + 1
    await page.get_by_role("link", name=re.compile("^NOT_JSON")).click()
    await expect(rows.first).to_contain_text("NOT_JSON")
    await expect(rows).not_to_have_count(count)
    # Who only watched the list saw it, too.
    first = watching.locator("#rows tr").first
    await expect(first.locator(".badge")).to_have_text("Completed")
    await expect(first).to_contain_text("fleet.ndjson")
    assert not await is_wider_than_the_screen(watching)
    await look(watching, "imports-phone")
    await watching.get_by_role("link", name="fleet.ndjson").click()
    await expect(watching.get_by_role("heading", level=1)).to_have_text("Import of fleet.ndjson")
    assert not await is_wider_than_the_screen(watching)
    await look(watching, "import-phone")


async def test_the_form_sends_itself_where_no_script_runs(
    product: RunningProduct, visitor: Visitor, fleet: Path
) -> None:
    visitor.expected = ("422",)
    page = await visitor.open("/imports")
    await page.route("**/upload-form*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    await page.reload()
    await page.get_by_role("button", name="Upload and import").click()
    await expect(page.locator(".field-error")).to_have_text("Choose a file.")
    await upload(page, fleet)
    await expect(page.locator(".run-head .badge")).to_have_text("Completed")


async def test_no_file_and_one_that_is_too_large(product: RunningProduct, visitor: Visitor, fleet: Path) -> None:
    page = await visitor.open("/imports")
    visitor.expected = ("422",)
    await page.get_by_role("button", name="Upload and import").click()
    await expect(page.locator(".field-error")).to_have_text("Choose a file.")
    await page.locator("upload-form").evaluate("form => form.setAttribute('most-bytes', 10)")
    await page.get_by_label(re.compile("File, of at most")).set_input_files(fleet)
    await page.get_by_role("button", name="Upload and import").click()
    refused = page.locator("[data-refused]")
    await expect(refused).to_contain_text("Not started. The file is larger than may be uploaded")
    await expect(page.get_by_role("button", name="Upload and import")).to_be_enabled()


async def test_an_import_goes_on_without_the_browser_that_began_it(
    product: RunningProduct, visitor: Visitor, tmp_path: Path
) -> None:
    file = tmp_path / "one depot.ndjson"
    file.write_bytes(encode([depot(str(uuid4()))]))
    page = await visitor.open("/imports")
    async with product.engine.begin() as connection:
        await connection.execute(text("LOCK TABLE depots IN SHARE MODE"))
        await upload(page, file)
        await expect(page.locator(".run-head .badge")).to_have_text("Running")
        await page.close()
    other = await visitor.open("/imports", size=PHONE)
    await other.get_by_role("link", name="one depot.ndjson").click()
    await expect(other.locator(".run-head .badge")).to_have_text("Completed")
    await expect(other.locator("#depots")).to_have_text("1")
    await expect(other.get_by_text("No line was refused")).to_be_visible()
    await expect(other.locator("main").get_by_role("link", name="backfill")).to_be_visible()


async def test_an_import_is_paused_and_ended(product: RunningProduct, visitor: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "large.ndjson"
    file.write_text("".join(lines(3_000, seed=5, flaws=True)))
    page = await visitor.open("/imports", size=PHONE)
    badge = page.locator(".run-head .badge")
    async with product.engine.begin() as connection:
        await connection.execute(text("LOCK TABLE depots IN SHARE MODE"))
        await upload(page, file)
        await page.get_by_role("button", name="Pause").click()
        await told_to_stop(product.client, IMPORT.workflow_id(UUID(page.url.rpartition("/")[2])))
    await expect(badge).to_have_text("Paused")
    # Another page is looked at: axe leaves styles behind, which no later change of a page may copy.
    other = await visitor.open(page.url.removeprefix(product.url), size=PHONE)
    await look(other, "import-paused-phone")
    await other.close()
    await page.get_by_role("button", name="End import").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("What is stored stays.")
    await dialog.get_by_role("button", name="End import").click()
    await expect(badge).to_have_text("Cancelled")
    await expect(page.get_by_role("button", name="Resume")).to_have_count(0)

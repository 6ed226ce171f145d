"""The Journal page: read, filtered by address, paged and exported; on desktop and phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from tests.helpers.live import http_client
from tests.helpers.support import make_depot
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, look

EVIL = "<img src=x onerror=alert(1)>"
ADD = text("""
    INSERT INTO changes (at, actor, action, detail)
    SELECT now(), 'ann', 'TESTED', jsonb_build_object('n', n, 'text', CAST(:evil AS text))
    FROM generate_series(1, 120) AS n
""")


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_the_journal_is_read_filtered_and_exported(
    product: RunningProduct, visitor: Visitor, name: str, size: tuple[int, int]
) -> None:
    visitor.expected = ("422 (Unprocessable", "does not conform to the required format")
    depot_id = await make_depot(product.engine, "Feed", name="Arrow Road")
    async with product.engine.begin() as connection:
        await connection.execute(ADD, {"evil": EVIL})
    async with http_client(product.url) as caller:
        made = (await caller.post(f"/api/depots/{depot_id}/circuits", json={"name": EVIL})).json()
        headers = {"if-match": f'"{made["version"]}"'}
        path = f"/api/circuits/{made['circuit_id']}"
        assert (await caller.patch(path, json={"name": "=Renamed"}, headers=headers)).status_code == 200
    page = await visitor.open("/journal", size=size)
    rows = page.locator("#rows tr:not(.more)")
    await page.get_by_label("Kind").fill("circuit changed")
    await page.get_by_role("button", name="Filter").click()
    await expect(rows.first).to_contain_text("Circuit changed")
    await expect(rows.first.locator("del").first).to_have_text(EVIL)
    await expect(rows.first.locator("ins").first).to_have_text("=Renamed")
    await expect(rows.first).to_contain_text("UTC")
    await expect(rows.first).to_contain_text("from 127.0.0.1")
    assert not await is_wider_than_the_screen(page)
    await look(page, f"journal-{name}")
    link = await rows.first.get_by_role("link", name="Show it").get_attribute("href")
    assert link == f"/depots/{depot_id}/microgrid#circuit-{made['circuit_id']}"

    await page.get_by_role("link", name="Clear").click()
    await page.get_by_label("Person").fill("ann")
    await page.get_by_role("button", name="Filter").click()
    await expect(rows.first).to_contain_text("Tested")
    await rows.last.scroll_into_view_if_needed()
    await expect(rows).to_have_count(100)
    await page.get_by_label("Kind").fill("circuit changed")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator("#results")).to_contain_text("No entries match")
    await page.go_back()
    await expect(page.get_by_label("Person")).to_have_value("ann")
    await expect(rows.first).to_contain_text("Tested")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="CSV").click()
    found = (await (await coming.value).path()).read_text()
    assert found.count("TESTED") == 120
    assert "CIRCUIT_CREATED" not in found

    # By time, to the minute; the export has the same.
    async with product.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO changes (at, actor, action) VALUES (now() - interval '2 days', 'ann', 'TESTED_LONG_AGO')")
        )
    day = datetime.now(UTC) - timedelta(days=2)
    await page.get_by_label("From").fill(f"{day - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    await page.get_by_label("Until").fill(f"{day + timedelta(hours=1):%Y-%m-%dT%H:%M}")
    await page.get_by_role("button", name="Filter").click()
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text("Tested long ago")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="CSV").click()
    found = (await (await coming.value).path()).read_text()
    assert (found.count("TESTED_LONG_AGO"), found.count("TESTED,")) == (1, 0)
    await page.goto("/journal?since=yesterday")
    await expect(page.locator("#journal-since-error")).to_be_visible()

    await page.goto("/journal?depot=nowhere")
    await expect(page.locator("form")).to_contain_text("No depot's name contains that")
    await page.goto("/journal?depot=arrow&kind=circuit+created")
    await expect(rows).to_have_count(1)
    await look(page, f"journal-filtered-{name}")

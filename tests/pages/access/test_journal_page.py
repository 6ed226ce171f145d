"""The Journal page: read, filtered by address, paged and exported; on desktop and phone."""

from __future__ import annotations

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
    visitor.expected = ("422 (Unprocessable",)
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

    await page.goto("/journal?depot=nowhere")
    await expect(page.locator("form")).to_contain_text("No depot's name contains that")
    await page.goto("/journal?depot=arrow&kind=circuit+created")
    await expect(rows).to_have_count(1)
    await look(page, f"journal-filtered-{name}")

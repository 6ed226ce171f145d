"""The page of API tokens: created, shown once, listed, revoked; on desktop and phone."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.helpers.live import http_client
from tests.helpers.support import make_depot
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_a_token_is_created_shown_once_listed_and_revoked(
    product: RunningProduct, visitor: Visitor, name: str, size: tuple[int, int]
) -> None:
    visitor.expected = ("422 (Unprocessable",)
    depot_id = await make_depot(product.engine, "Feed", name="<b>Yard</b>")
    page = await visitor.open("/tokens", size=size)
    await expect(page.get_by_text("No token")).to_be_visible()
    await page.get_by_role("button", name="Create a token").click()

    # All that is wrong is said at once, beside its field, and what was typed stays.
    await dialog(page).get_by_label("Depot", exact=True).fill("nowhere")
    await dialog(page).get_by_role("button", name="Create").click()
    await expect(dialog(page).locator(".field-error")).to_have_count(2)
    await expect(dialog(page).get_by_label("Depot", exact=True)).to_have_value("nowhere")
    await look(page, f"token-errors-{name}")

    await dialog(page).get_by_label("Name").fill("<i>Nightly</i>")
    await dialog(page).get_by_label("Role").select_option("operator")
    await dialog(page).get_by_label("Depot", exact=True).fill("yard")
    await dialog(page).get_by_role("button", name="Create").click()
    await expect(dialog(page)).to_contain_text("It is shown this once")
    token = await dialog(page).locator(".secret").first.text_content()
    assert token is not None
    assert token.startswith("mgt_")
    await expect(dialog(page).locator(".secret")).to_have_text([token, f"Authorization: Bearer {token}"])
    await look(page, f"token-created-{name}")
    await dialog(page).get_by_role("button", name="Close").click()

    row = page.locator("#rows tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("<i>Nightly</i>")
    await expect(row).to_contain_text("Operator at")
    await expect(row.get_by_role("link", name="<b>Yard</b>")).to_have_attribute("href", f"/depots/{depot_id}")
    await expect(row).to_contain_text("Never")
    await expect(row).not_to_contain_text("Ended")
    assert token not in await page.content()
    async with httpx.AsyncClient(base_url=product.url) as script:
        answer = await script.get(f"/api/depots/{depot_id}", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200
    await page.reload()
    await expect(row).not_to_contain_text("Never")
    await look(page, f"tokens-{name}")

    await page.get_by_role("button", name="Revoke: <i>Nightly</i>").click()
    await expect(dialog(page).get_by_role("heading")).to_have_text("Revoke <i>Nightly</i>?")
    await look(page, f"token-revoke-{name}")
    await dialog(page).get_by_role("button", name="Revoke").click()
    await expect(dialog(page)).to_be_hidden()
    await expect(page.get_by_text("No token")).to_be_visible()
    async with http_client(product.url) as caller:
        assert (await caller.get("/api/tokens")).json()["items"] == []
        gone = await caller.get("/api/depots", headers={"authorization": f"Bearer {token}"})
        assert gone.json()["code"] == "TOKEN_REFUSED"

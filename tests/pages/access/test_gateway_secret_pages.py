"""The secrets of a gateway on the Devices tab: created, shown once, revoked; on desktop and phone."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from tests.factories.sites import make_site
from tests.helpers.live import http_client
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live
from tests.pages.helpers.looking import look


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_a_secret_is_created_shown_once_and_revoked(
    product: RunningProduct, visitor: Visitor, name: str, size: tuple[int, int]
) -> None:
    site = await make_site(product.engine)
    page = await visitor.open(f"/depots/{site.depot_id}/devices", size=size)
    await is_live(page)
    row = page.locator(".gateways tbody tr")
    await expect(row).to_contain_text("none")
    opens = page.get_by_role("button", name="Secrets of Gateway")
    await opens.click()
    await expect(dialog(page)).to_contain_text("No secret")
    await dialog(page).get_by_role("button", name="Create secret").click()

    await expect(dialog(page)).to_contain_text("It is shown this once")
    parts = dialog(page).locator(".secret")
    secret = await parts.nth(3).text_content()
    assert secret is not None
    assert secret.startswith(f"mgg_{site.gateway_id.hex}_")
    await expect(parts).to_have_text(
        [
            f"POST {product.url}/api/telemetry/packets",
            f"Authorization: Bearer {secret}",
            f"{site.gateway_id}/a",
            secret,
            f"manage/packets/{site.gateway_id}",
            f"manage/answers/{site.gateway_id}",
        ]
    )
    await look(page, f"gateway-secret-created-{name}")
    await dialog(page).get_by_role("button", name="Close").click()
    await expect(row).to_contain_text("not used over HTTP")

    await opens.click()
    await dialog(page).get_by_role("button", name="Create secret").click()
    await expect(dialog(page)).to_contain_text("It is shown this once")
    await dialog(page).get_by_role("button", name="Close").click()
    await opens.click()
    await expect(dialog(page).get_by_role("listitem")).to_have_count(2)
    await expect(dialog(page).get_by_role("button", name="Create secret")).to_be_hidden()
    await expect(dialog(page)).to_contain_text("by local-administrator")
    assert secret not in await page.content()
    await look(page, f"gateway-secrets-{name}")

    await dialog(page).get_by_role("listitem").filter(has_text="Secret a").get_by_role("button").click()
    await expect(dialog(page).get_by_role("heading")).to_have_text("Revoke secret a of Gateway?")
    await look(page, f"gateway-secret-revoke-{name}")
    await dialog(page).get_by_role("button", name="Revoke").click()
    await expect(dialog(page)).to_be_hidden()
    async with http_client(product.url) as caller:
        left = (await caller.get(f"/api/gateways/{site.gateway_id}/secrets")).json()["items"]
    assert [each["slot"] for each in left] == ["b"]
    await expect(row.locator(".secret-use")).to_have_count(1)


async def test_what_somebody_else_did_meanwhile_is_said(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("409 (Conflict)", "404 (Not Found)")
    site = await make_site(product.engine)
    page = await visitor.open(f"/depots/{site.depot_id}/devices")
    await page.get_by_role("button", name="Secrets of Gateway").click()
    await expect(dialog(page)).to_contain_text("No secret")
    async with http_client(product.url) as caller:
        path = f"/api/gateways/{site.gateway_id}/secrets"
        made = [(await caller.post(path)).json()["secret_id"] for _ in range(2)]
        await dialog(page).get_by_role("button", name="Create secret").click()
        await expect(dialog(page).get_by_role("listitem")).to_have_count(2)
        await dialog(page).get_by_role("button", name="Revoke …").first.click()
        await expect(dialog(page)).to_contain_text("cannot be restored")
        for each in made:
            await caller.delete(f"{path}/{each}")
    await dialog(page).get_by_role("button", name="Revoke").click()
    await expect(dialog(page)).to_contain_text("This no longer exists")

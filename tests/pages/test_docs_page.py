"""The API's description works under the policy that it is served with."""

from __future__ import annotations

from playwright.async_api import expect

from tests.pages.conftest import RunningProduct, Visitor


async def test_the_description_is_drawn_and_tried_out(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/docs")
    await expect(page.locator(".opblock")).to_have_count(0)
    await page.locator("#operations-tag-health").click()
    operation = page.locator(".opblock", has_text="/healthz").first
    await operation.click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    await expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")

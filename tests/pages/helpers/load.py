"""What tests of the load page and of other live pages share."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.helpers.live import http_client
from tests.pages.conftest import RunningProduct


async def send(product: RunningProduct, *packets: object) -> list[dict[str, Any]]:
    """Send packets as a gateway does."""
    async with http_client(product.url) as caller:
        answer = await caller.post("/api/telemetry/packets", json=list(packets))
    assert answer.status_code == 200, answer.text
    return answer.json()


def section(page: Page, capability: str) -> Locator:
    return page.locator(f"#capability-{capability}")


async def is_live(page: Page) -> None:
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")

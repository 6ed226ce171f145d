"""A depot is retired and brought back on its pages."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from store.base.database import transaction
from store.provisioning.microgrids import reconcile_microgrid
from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with
from tests.helpers.support import ACTOR
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look

SIZES = {"desktop": DESKTOP, "phone": PHONE}


@pytest.mark.parametrize("size", SIZES)
async def test_a_depot_is_retired_and_brought_back_by_keyboard(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed"), name="Malvern")
    async with transaction(product.engine, ACTOR) as connection:
        await reconcile_microgrid(connection, ACTOR, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid", size=SIZES[size])
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Settings").press("Enter")
    await dialog.get_by_role("button", name="Retire …").press("Enter")
    await expect(dialog.get_by_role("heading")).to_have_text("Retire Malvern?")
    await expect(dialog).to_contain_text("Its history and its configuration stay.")
    await look(page, f"retire-dialog-{size}")
    await dialog.get_by_role("button", name="Cancel").press("Enter")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Settings").press("Enter")
    await dialog.get_by_role("button", name="Retire …").press("Enter")
    visitor.expected = ("404",)  # it has no microgrid to show
    await dialog.get_by_role("button", name="Retire", exact=True).press("Enter")
    banner = page.get_by_role("region", name="Retired")
    await expect(banner).to_contain_text("Retired")
    await expect(page.get_by_role("heading", name="This depot is retired, and its microgrid with it")).to_be_visible()
    await expect(page.get_by_role("button", name="Settings")).to_have_count(0)
    await look(page, f"retired-depot-{size}")
    await page.goto("/depots")
    await expect(page.get_by_text("No depots yet")).to_be_visible()
    await page.get_by_role("link", name="Retired 1").click()
    row = page.locator("#rows > tr")
    await expect(row).to_contain_text("Retired")
    await look(page, f"retired-depots-{size}")
    await row.get_by_role("link", name="Malvern").click()
    await banner.get_by_role("button", name="Bring back …").press("Enter")
    await dialog.get_by_role("button", name="Bring back", exact=True).press("Enter")
    await expect(banner).to_have_count(0)
    await expect(page.get_by_role("button", name="Settings")).to_be_visible()
    await page.goto("/depots")
    await expect(row).to_have_count(1)

"""The list of depots in trouble, in a real browser: the worst first, with what is wrong and since when."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from store.base.database import transaction
from store.site.depots import update_depot
from tests.factories.depots import make_depot_with
from tests.helpers.support import ACTOR
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look

SIZES = {"desktop": DESKTOP, "phone": PHONE}


@pytest.mark.parametrize("size", SIZES)
async def test_depots_in_trouble_are_listed_the_worst_first(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    for name in ("Depot 10", "Depot 2", "Depot 2"):
        # Without a circuit it cannot be provisioned.
        depot_id = await make_depot_with(product.engine, name=name)
        async with transaction(product.engine, ACTOR) as connection:
            labels = {"region": "Ontario", "tags": ["night shift", "north"]}
            await update_depot(connection, ACTOR, depot_id, labels)
    page = await visitor.open("/depots", size=SIZES[size])
    names = page.locator("#rows .row-link")
    await expect(page.locator("#rows .alarms")).to_have_count(3)
    await expect(names).to_have_text(["Depot 2", "Depot 2", "Depot 10"])
    await expect(page.locator("#rows th .id")).to_have_count(2)
    await look(page, f"depots-in-trouble-{size}")
    await page.goto("/depots?alarm=PROVISIONING_FAILED")
    await expect(page.locator("#list caption")).to_have_text("Depots, the worst first")
    await expect(names).to_have_count(3)
    await expect(page.locator("#rows .alarms lasting-time").first).to_be_attached()

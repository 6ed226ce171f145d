"""What of a depot needs attention, in the head of each of its tabs: linked, live, and quiet where nothing does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from store.monitoring.capacity_upkeep import pass_deadlines
from tests.factories.capacities import capacity_site, expire
from tests.factories.sites import controller_site, open_remediation, packet
from tests.pages.conftest import RunningProduct, Visitor
from tests.pages.helpers.load import send
from tests.pages.helpers.looking import SIZES, look

TABS = ("load", "microgrid", "devices", "controllers", "as-of")
NOTHING = "Nothing needs attention"


@pytest.mark.parametrize("size", SIZES)
async def test_every_tab_of_a_depot_says_what_needs_attention(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    site = await capacity_site(product.engine)
    for hours in (1, 2):
        await open_remediation(product.engine, site, datetime.now(UTC) - timedelta(hours=hours))
    await expire(product.engine, *site.circuit_ids)
    async with product.engine.begin() as connection:
        await pass_deadlines(connection, 10)
    (device_id,) = site.devices.values()
    depot = f"/depots/{site.depot_id}"
    for address in (*(f"{depot}/{tab}" for tab in TABS), f"/devices/{device_id}"):
        page = await visitor.open(address, size=SIZES[size])
        alarms = page.locator("#verdict a")
        await expect(alarms).to_contain_text(["Controller silent", "1 circuit in fail-safe", "2 remediations"])
        await expect(alarms.first.locator("lasting-time")).to_have_attribute("title", re.compile("^Since "))
        await look(page, f"verdict-{size}")
        await page.context.close()


async def test_each_part_leads_to_where_it_is_mended(product: RunningProduct, visitor: Visitor) -> None:
    site = await capacity_site(product.engine)
    await open_remediation(product.engine, site, datetime.now(UTC))
    await expire(product.engine, *site.circuit_ids)
    async with product.engine.begin() as connection:
        await pass_deadlines(connection, 10)
    depot = f"/depots/{site.depot_id}"
    page = await visitor.open(f"{depot}/devices")
    for name, there in (
        ("Controller silent", f"{depot}/controllers"),
        ("1 circuit in fail-safe", f"{depot}/load#capacity-title"),
        ("1 remediation", f"/remediations?depot_id={site.depot_id}"),
    ):
        await page.goto(f"{depot}/devices")
        await page.locator("#verdict").get_by_role("link", name=name).click()
        await page.wait_for_url(f"**{there}")


async def test_the_verdict_follows_what_happens_without_a_reload(product: RunningProduct, visitor: Visitor) -> None:
    site = await controller_site(product.engine)
    page = await visitor.open(f"/depots/{site.depot_id}/devices")
    await expect(page.locator("#live")).to_have_text("Live")
    verdict = page.locator("#verdict")
    await expect(verdict).to_have_text(NOTHING)
    await open_remediation(product.engine, site, datetime.now(UTC))
    await expect(verdict).to_have_text("1 remediation")


async def test_a_controller_that_reports_again_needs_no_attention(product: RunningProduct, visitor: Visitor) -> None:
    site = await capacity_site(product.engine)
    await expire(product.engine, *site.circuit_ids)
    async with product.engine.begin() as connection:
        await pass_deadlines(connection, 10)
    page = await visitor.open(f"/depots/{site.depot_id}/load")
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.locator("#verdict")).to_contain_text("Controller silent")
    await send(product, packet(site, AVAILABLE_CHARGING_CAPACITY=80_000, HEARTBEAT_STATUS="ok"))
    await expect(page.locator("#verdict")).to_have_text(NOTHING)

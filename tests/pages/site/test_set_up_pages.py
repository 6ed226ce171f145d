"""A depot is set up on its pages from Create to the first packet; what is set up, or retired, asks for nothing."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from tests.factories.sites import controller_site, milliseconds, packet
from tests.helpers.live import http_client
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, send
from tests.pages.helpers.looking import look

SIZES = {"desktop": DESKTOP, "phone": PHONE}
TABS = ("load", "microgrid", "devices", "controllers")


def steps(page: Page) -> Locator:
    return page.locator(".set-up-steps")


async def next_is(page: Page, step: str) -> None:
    await expect(steps(page).locator("[aria-current]")).to_have_text(step)


@pytest.mark.parametrize("size", SIZES)
async def test_a_depot_is_set_up_from_create_to_the_first_packet(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    visitor.expected = ("404",)  # it has no microgrid at first
    page = await visitor.open("/depots/new", size=SIZES[size])
    await page.get_by_label("Name", exact=True).fill("Malvern")
    await page.get_by_label("Time zone").fill("Europe/Berlin")
    await page.get_by_label("Name of circuit 1").fill("Feed")
    await page.get_by_role("button", name="Create depot").click()
    await expect(steps(page)).to_contain_text("Circuits: done")
    # The microgrid follows by itself.
    await expect(steps(page)).to_contain_text("Microgrid: done")
    await next_is(page, "Gateway")
    await look(page, f"set-up-{size}")
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Add the first gateway").press("Enter")
    await dialog.get_by_label("Name").fill("Edge 1")
    await dialog.get_by_role("button", name="Add gateway").click()
    await next_is(page, "Devices")
    await page.get_by_role("button", name="Add the first device").press("Enter")
    await dialog.get_by_label("Name").fill("Controller")
    await dialog.get_by_label("Sensor id").fill("mgc-1")
    await dialog.get_by_label("Linked circuit").select_option(label="Feed")
    await dialog.get_by_role("button", name="Add device").click()
    await next_is(page, "Sensor actions")
    await page.get_by_role("link", name="Open the sensor actions").click()
    await expect(page.get_by_role("heading", name="Controller", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Configure Update Circuit Capacity").click()
    await dialog.get_by_role("button", name="Configure").click()
    await next_is(page, "First packet")
    await look(page, f"set-up-waits-{size}")
    await is_live(page)
    async with http_client(product.url) as api:
        (device,) = (await api.get("/api/devices")).json()["items"]
    value = {"key": "HEARTBEAT_STATUS", "value": "ok", "unit": None}
    sensors = [{"sensor_id": "mgc-1", "measurands": [value]}]
    await send(product, {"device_id": device["gateway_id"], "timestamp": milliseconds(), "sensors": sensors})
    await expect(page.locator("#set-up")).to_contain_text("The depot is set up")
    await page.reload()
    await expect(page.locator(".set-up")).to_have_count(0)


async def test_a_depot_that_is_set_up_asks_for_nothing(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true"))
    for tab in TABS:
        page = await visitor.open(f"/depots/{made.depot_id}/{tab}")
        await expect(page.locator(".set-up")).to_have_count(0)


@pytest.mark.parametrize("tab", TABS)
async def test_a_retired_depot_offers_no_change(product: RunningProduct, visitor: Visitor, tab: str) -> None:
    made = await controller_site(product.engine)
    async with http_client(product.url) as api:
        (await api.post(f"/api/depots/{made.depot_id}/retire")).raise_for_status()
    status = 404 if tab in ("load", "microgrid") else 200  # it has no microgrid to show
    visitor.expected = ("404",) if status == 404 else ()
    page = await visitor.open(f"/depots/{made.depot_id}/{tab}", status=status)
    await expect(page.locator(".set-up")).to_have_count(0)
    await expect(page.get_by_role("button", name="Bring back …")).to_be_visible()
    for offered in (
        "Add",
        "Edit",
        "Delete",
        "Bind a controller",
        "Disable",
        "Enable",
        "Listen",
        "Resync",
        "Settings",
        "Configure",
    ):
        await expect(page.locator("main").get_by_role("button", name=offered)).to_have_count(0)
    await look(page, f"retired-{tab}")


async def test_the_page_of_a_retired_depots_device_offers_no_change(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    async with http_client(product.url) as api:
        (await api.post(f"/api/depots/{made.depot_id}/retire")).raise_for_status()
    (device_id,) = made.devices.values()
    page = await visitor.open(f"/devices/{device_id}")
    for offered in ("Edit", "Delete", "Disable", "Configure"):
        await expect(page.locator("main").get_by_role("button", name=offered)).to_have_count(0)
    # The dialog of a gateway's secrets, which is for looking, offers none either.
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    await page.get_by_role("button", name="Secrets of").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("No secret")
    await expect(dialog.get_by_role("button", name="Create")).to_have_count(0)


@pytest.mark.parametrize("size", SIZES)
async def test_a_sensor_that_was_heard_gets_its_device(product: RunningProduct, visitor: Visitor, size: str) -> None:
    made = await controller_site(product.engine)
    page = await visitor.open(f"/depots/{made.depot_id}/devices", size=SIZES[size])
    await is_live(page)
    heard = page.get_by_role("heading", name="Heard, without a device")
    await expect(heard).to_have_count(0)
    await send(product, packet(made, None, "<b>meter</b> & 1", TOTAL_POWER_LOAD=1000))
    # It comes by itself.
    await expect(heard).to_be_visible()
    await expect(page.get_by_role("cell", name=str(made.gateway_id))).to_be_visible()
    await look(page, f"heard-{size}")
    await page.get_by_role("button", name="Add device for <b>meter</b> & 1").press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Sensor id")).to_have_value("<b>meter</b> & 1")
    await expect(dialog.get_by_label("Gateway")).to_have_value(str(made.gateway_id))
    await dialog.get_by_label("Name").fill("Meter")
    await dialog.get_by_role("button", name="Add device").click()
    await expect(page.get_by_role("link", name="Meter")).to_be_visible()
    await expect(heard).to_have_count(0)

"""The Devices tab of a depot and the page of a device: the site's configuration, as a person makes it."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import text

from domain.circuit_capacity import CapacityPolicy
from store.depots import NewCircuit
from tests.pages.conftest import DESKTOP, PHONE, Site, Visitor
from tests.pages.sites import make_site as make_depot
from tests.pages.sites import synced
from tests.pages.test_every_page import look
from tests.pages.test_load_page import is_live, section, send
from tests.sites import MadeSite, add_action, add_device, add_power_source, controller_site, make_site, packet

MICROGRID = "Update Microgrid State"
CAPACITY = "Update Circuit Capacity"
STATE = "Update Power Source State"


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("article", name=title)


async def configured(site: Site, device_id: UUID | str) -> dict[str, dict[str, object]]:
    """Read a device's sensor actions as the API has them, by their kind."""
    async with httpx.AsyncClient(base_url=site.url) as caller:
        answer = await caller.get(f"/api/devices/{device_id}/sensor-actions")
    return {each["action"]: each for each in answer.json()["items"]}


async def battery_site(site: Site) -> MadeSite:
    """Make a site with one battery, which a device measures that is linked to no circuit."""
    made = await make_site(site.engine)
    await add_power_source(site.engine, made, "BATTERY")
    await add_device(site.engine, made, "bess-1")
    await add_action(site.engine, made, "UPDATE_POWER_SOURCE_STATE", "SOC", sensor_id="bess-1")
    return made


@pytest.mark.acceptance("COR-9.3")
async def test_a_device_is_set_up_on_the_pages_and_its_status_shows_on_the_card(site: Site, visitor: Visitor) -> None:
    depot_id = await make_depot(site.engine, NewCircuit("Feed 1"))
    await synced(site, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/load")
    await page.get_by_role("link", name="System Admin / Devices").click()

    await page.get_by_role("button", name="Add gateway").click()
    await dialog(page).get_by_label("Name").fill("Gateway east")
    await page.keyboard.press("Enter")
    await expect(dialog(page)).to_be_hidden()
    await expect(page.locator(".gateways tbody tr")).to_contain_text(["no packet received yet"])
    await page.get_by_role("button", name="Add device").click()
    await dialog(page).get_by_label("Name").fill("Microgrid controller")
    await dialog(page).get_by_label("Sensor id").fill("mgc-1")
    await dialog(page).get_by_label("Controller revision").select_option("bba-1")
    await dialog(page).get_by_role("button", name="Add device").click()
    await expect(page.locator(".carried")).to_have_text("no sensor action")
    await page.get_by_role("link", name="Microgrid controller").click()

    await page.get_by_role("button", name=f"Configure {MICROGRID}").click()
    await expect(dialog(page)).to_contain_text("The device has sent nothing yet")
    await dialog(page).get_by_label("LIMIT_PEAK_SHAVING").check()
    await dialog(page).get_by_label("LIMIT_DER_EXPORT").check()
    await dialog(page).get_by_role("button", name="Configure").click()
    action = card(page, MICROGRID)
    await expect(action.locator(".badge")).to_have_text("On")
    await expect(action.locator(".resolution")).to_contain_text("Writes to Microgrid of Arrow Road")
    await expect(action.locator(".resolution")).to_contain_text("publishes PEAK_SHAVING and DER")
    await expect(action.locator(".taken")).to_contain_text("not seen yet")

    await is_live(page)
    async with httpx.AsyncClient(base_url=site.url) as caller:
        gateway_id = (await caller.get(f"/api/gateways?depot_id={depot_id}")).json()["items"][0]["gateway_id"]
    made = MadeSite(depot_id, UUID(gateway_id), [], None)
    assert await send(site, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    # What it sent shows by itself, and so does its status on the card.
    await expect(action.locator(".taken .figure .value")).to_have_text(["true", "false"])
    await page.get_by_role("link", name="Load").click()
    for capability, status in (("PEAK_SHAVING", "ON"), ("DER", "OFF")):
        await expect(section(page, capability).locator(".onoff")).to_have_text(status)
        await expect(section(page, capability).locator(".freshness")).to_contain_text("Fresh")
        await expect(section(page, capability)).to_contain_text("Microgrid controller")


async def test_what_an_action_resolves_to_changes_with_the_site(site: Site, visitor: Visitor) -> None:
    made = await battery_site(site)
    page = await visitor.open(f"/devices/{made.devices['bess-1']}")
    await is_live(page)
    resolution = card(page, STATE).locator(".resolution")
    await expect(resolution).to_contain_text("Writes to Power source A battery")
    await expect(resolution).to_contain_text("Rule 2 of 3: the one battery of the depot.")
    # Another battery makes it ambiguous.
    other = await visitor.open(f"/depots/{made.depot_id}/devices")
    await other.get_by_role("button", name="Add power source").click()
    await dialog(other).get_by_label("Name").fill("BESS 2")
    await dialog(other).get_by_label("Kind").select_option("Battery")
    await dialog(other).get_by_label("Linked circuit").select_option("Feed 1")
    await dialog(other).get_by_role("button", name="Add power source").click()
    await expect(other.locator(".power-sources tbody tr")).to_have_count(2)
    remedy = card(page, STATE).locator(".remedy")
    await expect(remedy).to_contain_text("Writes to nothing: The depot has several batteries")
    await expect(remedy).to_contain_text("Link the device to the circuit of the battery that it measures")
    await expect(remedy.locator("p", has_text="Between").get_by_role("link")).to_have_text(["A battery", "BESS 2"])
    await expect(remedy.locator(".problem-code")).to_have_text("SEVERAL_BATTERIES")
    await expect(resolution).to_have_count(0)
    # It is linked to the circuit of the second one: the first rule applies.
    await page.get_by_role("button", name="Edit device").click()
    await dialog(page).get_by_label("Linked circuit").select_option("Feed 1")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(resolution).to_contain_text("Writes to Power source BESS 2")
    await expect(resolution).to_contain_text("Rule 1 of 3: the one power source on the device's linked circuit, Feed 1.")
    # The gateway names the power source where nothing else does.
    await page.get_by_role("button", name="Edit device").click()
    await dialog(page).get_by_label("Linked circuit").select_option("No circuit")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(remedy).to_be_visible()
    await other.get_by_role("button", name="Edit Gateway").click()
    await dialog(other).get_by_label("Output translation").select_option("Names A battery")
    await dialog(other).get_by_role("button", name="Save").click()
    await expect(other.locator(".gateways tbody tr")).to_contain_text("Names A battery")
    await expect(resolution).to_contain_text("Rule 3 of 3: the gateway's output translation names it.")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_the_pages_are_accessible_in_both_themes(site: Site, visitor: Visitor, size: tuple[int, int]) -> None:
    name = "desktop" if size == DESKTOP else "phone"
    bare = await make_depot(site.engine, NewCircuit("Feed 1"))
    await look(await visitor.open(f"/depots/{bare}/devices", size=size), f"devices-none-{name}")
    made = await battery_site(site)
    await add_power_source(site.engine, made, "BATTERY", made.circuit_ids[0])
    await add_device(site.engine, made, circuit_id=made.circuit_ids[0])
    await add_action(site.engine, made, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT")
    await add_action(
        site.engine, made, "UPDATE_CIRCUIT_CAPACITY", "HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY",
        policy=CapacityPolicy(fail_safe_w=120e3), enabled=False,
    )  # fmt: skip
    await send(
        site,
        packet(
            made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="perhaps", AVAILABLE_CHARGING_CAPACITY=412500.25,
            HEARTBEAT_STATUS="ok", VENDOR_SPECIFIC_KEY=7,
        ),
    )  # fmt: skip
    visitor.expected = ("422",)
    page = await visitor.open(f"/depots/{made.depot_id}/devices", size=size)
    await look(page, f"devices-{name}")
    await page.get_by_role("button", name="Edit Device mgc-1").click()
    await dialog(page).get_by_label("Sensor id").fill("bess-1")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page)).to_contain_text("has this sensor id")
    await look(page, f"device-edit-{name}")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Edit Gateway").click()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page).get_by_role("checkbox")).to_be_visible()
    await look(page, f"gateway-delete-{name}")
    page = await visitor.open(f"/devices/{made.devices['mgc-1']}", size=size)
    await look(page, f"device-{name}")
    await page.get_by_role("button", name=f"Edit {CAPACITY}").click()
    await dialog(page).get_by_label("Heartbeat threshold").fill("soon")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page)).to_contain_text("Must be a number of s.")
    await look(page, f"action-edit-{name}")
    await look(await visitor.open(f"/devices/{made.devices['bess-1']}", size=size), f"device-remedy-{name}")

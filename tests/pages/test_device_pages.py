"""The Devices tab of a depot and the page of a device: the site's configuration, as a person makes it."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import text

from domain.site.circuit_capacity import CapacityPolicy
from store.base.database import transaction
from store.monitoring.device_reports import DEPTH
from store.site.circuits import update_circuit
from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with
from tests.factories.sites import (
    MadeDepot,
    add_action,
    add_device,
    add_power_source,
    controller_site,
    make_site,
    milliseconds,
    packet,
)
from tests.helpers.live import http_client
from tests.helpers.support import ACTOR, synced
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, section, send
from tests.pages.helpers.looking import is_wider_than_the_screen, look

MICROGRID = "Update Microgrid State"
CAPACITY = "Update Circuit Capacity"
STATE = "Update Power Source State"


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("article", name=title)


async def configured(product: RunningProduct, device_id: UUID | str) -> dict[str, dict[str, object]]:
    """Read a device's sensor actions as the API has them, by their kind."""
    async with http_client(product.url) as caller:
        answer = await caller.get(f"/api/devices/{device_id}/sensor-actions")
    return {each["action"]: each for each in answer.json()["items"]}


async def battery_site(product: RunningProduct) -> MadeDepot:
    """Make a site with one battery, which a device measures that is linked to no circuit."""
    made = await make_site(product.engine)
    await add_power_source(product.engine, made, "BATTERY")
    await add_device(product.engine, made, "bess-1")
    await add_action(product.engine, made, "UPDATE_POWER_SOURCE_STATE", "SOC", sensor_id="bess-1")
    return made


@pytest.mark.acceptance("COR-9.3")
async def test_a_device_is_set_up_on_the_pages_and_its_status_shows_on_the_card(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/load")
    await page.get_by_role("navigation", name="Depot", exact=True).get_by_role("link", name="Devices").click()

    await page.get_by_role("button", name="Add gateway").click()
    await dialog(page).get_by_label("Name").fill("Gateway east")
    await page.keyboard.press("Enter")
    await expect(dialog(page)).to_be_hidden()
    gateway = page.locator(".gateways tbody tr")
    for told in ("Gateway east", "none (optional)", "no packet received yet"):
        await expect(gateway).to_contain_text(told)
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
    await expect(action.locator(".badge")).to_have_text("Enabled")
    await expect(action.locator(".resolution")).to_contain_text("Updates Microgrid of Arrow Road")
    await expect(action.locator(".resolution")).to_contain_text("publishes PEAK_SHAVING and DER")
    await expect(action.locator(".taken")).to_contain_text("not seen yet")

    await is_live(page)
    async with http_client(product.url) as caller:
        gateway_id = (await caller.get(f"/api/gateways?depot_id={depot_id}")).json()["items"][0]["gateway_id"]
    made = MadeDepot(depot_id, UUID(gateway_id), [], None)
    assert await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    # What it sent shows by itself, and so does its status on the card.
    await expect(action.locator(".taken .figure .value")).to_have_text(["true", "false"])
    await page.get_by_role("link", name="Load").click()
    for capability, status in (("PEAK_SHAVING", "ON"), ("DER", "OFF")):
        await expect(section(page, capability).locator(".onoff")).to_have_text(status)
        await expect(section(page, capability).locator(".freshness")).to_contain_text("Fresh")
        await expect(section(page, capability)).to_contain_text("Microgrid controller")


async def test_what_an_action_resolves_to_changes_with_the_site(product: RunningProduct, visitor: Visitor) -> None:
    made = await battery_site(product)
    page = await visitor.open(f"/devices/{made.devices['bess-1']}")
    await is_live(page)
    resolution = card(page, STATE).locator(".resolution")
    await expect(resolution).to_contain_text("Updates Power source A battery")
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
    await expect(remedy).to_contain_text("Updates nothing: The depot has several batteries")
    await expect(remedy).to_contain_text("Link the device to the circuit of the battery that it measures")
    await expect(remedy.locator("p", has_text="Candidates").get_by_role("link")).to_have_text(["A battery", "BESS 2"])
    await expect(remedy.locator(".problem-code")).to_have_text("SEVERAL_BATTERIES")
    await expect(resolution).to_have_count(0)
    # It is linked to the circuit of the second one: the first rule applies.
    await page.get_by_role("button", name="Edit device").click()
    await dialog(page).get_by_label("Linked circuit").select_option("Feed 1")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(resolution).to_contain_text("Updates Power source BESS 2")
    await expect(resolution).to_contain_text(
        "Rule 1 of 3: the one power source on the device's linked circuit, Feed 1."
    )
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


async def test_hundreds_of_devices_are_searched_filtered_and_shown_in_parts(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await make_site(product.engine)
    await add_device(product.engine, made, "mgc-1")
    async with product.engine.begin() as connection:
        await connection.execute(text(_MANY), {"depot_id": made.depot_id})
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    await is_live(page)
    rows, counted = page.locator(".device-list tbody tr"), page.locator(".counted")
    await expect(counted).to_have_text("351 devices")
    await expect(rows).to_have_count(100)
    await page.get_by_role("button", name="Show 100 more").click()
    await expect(rows).to_have_count(200)
    await expect(page.get_by_text("200 of 351 are shown")).to_be_visible()
    # What is shown stays so when something changes, and follows it.
    await send(product, packet(made, None, "mgc-1", LIMIT_PEAK_SHAVING="true"))
    await expect(rows.first.locator("age-time")).to_have_count(1)
    await expect(rows.nth(1)).to_contain_text("no packet received yet")
    await expect(rows).to_have_count(200)

    await page.get_by_label("Search devices").fill("METER 34")
    await expect(counted).to_contain_text("11 of 351 devices with \u201cMETER 34\u201d")
    await expect(rows).to_have_count(11)
    await page.get_by_label("Search devices").fill("em-007")
    await expect(rows).to_have_count(1)
    # A change of what was searched for keeps the search.
    await page.get_by_role("button", name="Edit Meter 7").click()
    await dialog(page).get_by_label("Name").fill("Workshop meter")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Workshop meter")
    await expect(page.get_by_role("button", name="Edit Workshop meter")).to_be_focused()
    await page.get_by_label("Search devices").fill("nothing such")
    await expect(page.get_by_text("No devices match")).to_be_visible()
    await page.get_by_role("link", name="350 devices of Gateway west").click()
    await expect(counted).to_contain_text("350 of 351 devices of the gateway Gateway west")
    await page.get_by_role("button", name="Add device").click()
    await expect(dialog(page).get_by_label("Gateway")).to_have_value(await _gateway(page, "Gateway west"))
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Show all").click()
    await expect(counted).to_have_text("351 devices")


_MANY = """
    WITH made AS (
        INSERT INTO gateways (depot_id, name, created_by, updated_by)
        VALUES (:depot_id, 'Gateway west', 'import', 'import') RETURNING id, depot_id
    )
    INSERT INTO devices (depot_id, gateway_id, sensor_id, name, created_by, updated_by)
    SELECT depot_id, id, 'em-' || lpad(number::text, 3, '0'), 'Meter ' || number, 'import', 'import'
    FROM made, generate_series(1, 350) AS number
"""


async def _gateway(page: Page, name: str) -> str:
    row = page.locator(".gateways tbody tr", has_text=name)
    return (await row.get_attribute("id") or "").removeprefix("gateway-")


async def test_all_that_is_wrong_is_said_beside_its_field(product: RunningProduct, visitor: Visitor) -> None:
    made = await make_site(product.engine)
    await add_device(product.engine, made, "em-1")
    visitor.expected = ("422",)
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    await page.get_by_role("button", name="Add device").click()
    await dialog(page).get_by_label("Sensor id").fill("   ")
    await dialog(page).get_by_role("button", name="Add device").click()
    await expect(dialog(page).locator("#device-name-error")).to_have_text("A name must not be blank.")
    await expect(dialog(page).locator("#device-sensor_id-error")).to_contain_text("exactly as in its packets")
    await expect(dialog(page).get_by_label("Name")).to_be_focused()
    await dialog(page).get_by_label("Name").fill("Meter")
    await dialog(page).get_by_label("Sensor id").fill("em-1")
    await dialog(page).get_by_role("button", name="Add device").click()
    await expect(dialog(page).locator("#device-sensor_id-error")).to_contain_text('"Device em-1" of this gateway')
    await expect(dialog(page).get_by_label("Sensor id")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Add power source").click()
    await dialog(page).get_by_role("button", name="Add power source").click()
    await expect(dialog(page).locator("#source-name-error")).to_be_visible()
    await expect(dialog(page).locator("#source-kind-error")).to_have_text("Choose the kind.")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Add gateway").click()
    await dialog(page).get_by_label("Name").fill("x" * 300)
    await dialog(page).get_by_role("button", name="Add gateway").click()
    await expect(dialog(page).locator("#gateway-name-error")).to_be_visible()
    await page.keyboard.press("Escape")

    await page.goto(f"/devices/{made.devices['em-1']}")
    await page.get_by_role("button", name=f"Configure {CAPACITY}").click()
    for measurand in ("AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS"):
        await expect(dialog(page).get_by_label(measurand)).to_be_checked()
        await dialog(page).get_by_label(measurand).uncheck()
    await dialog(page).get_by_label("FAIL_SAFE_CAPACITY").check()
    await dialog(page).get_by_label("Heartbeat threshold").fill("2")
    await dialog(page).get_by_label("Fail-safe capacity (kW)").fill("much")
    await dialog(page).get_by_role("button", name="Configure").click()
    await expect(dialog(page).locator("#action-measurands-error")).to_have_text(
        f"{CAPACITY} needs AVAILABLE_CHARGING_CAPACITY. {CAPACITY} needs HEARTBEAT_STATUS."
    )
    await expect(dialog(page).locator("#action-heartbeat_threshold_seconds-error")).to_contain_text("between 5 and")
    await expect(dialog(page).locator("#action-fail_safe_capacity_w-error")).to_have_text(
        "Is a number from 0 to 1\u202f000\u202f000 kW."
    )
    # What was filled in is kept.
    await expect(dialog(page).get_by_label("Fail-safe capacity (kW)")).to_have_value("much")
    await expect(dialog(page).get_by_label("FAIL_SAFE_CAPACITY")).to_be_checked()
    for measurand in ("AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS"):
        await dialog(page).get_by_label(measurand).check()
    await dialog(page).get_by_label("Heartbeat threshold").fill("90,5")
    await dialog(page).get_by_label("Fail-safe capacity (kW)").fill("")
    await dialog(page).get_by_role("button", name="Configure").click()
    await expect(card(page, CAPACITY).locator(".sensor-action-end")).to_contain_text("Heartbeat threshold (s) 90.5")
    found = (await configured(product, made.devices["em-1"]))["UPDATE_CIRCUIT_CAPACITY"]
    assert (found["heartbeat_threshold_seconds"], found["fail_safe_capacity_w"]) == (90.5, None)
    await expect(card(page, CAPACITY).locator(".problem-code")).to_have_text("DEVICE_WITHOUT_CIRCUIT")


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
async def test_a_fail_safe_is_asked_in_kilowatts_and_doubtful_ones_twice(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int], name: str
) -> None:
    made = await make_site(product.engine)
    async with transaction(product.engine, ACTOR) as connection:
        await update_circuit(connection, ACTOR, made.circuit_ids[0], {"rated_power_w": 400e3})
    await add_device(product.engine, made, circuit_id=made.circuit_ids[0])
    visitor.expected = ("422",)
    page = await visitor.open(f"/devices/{made.devices['mgc-1']}", size=size)
    await page.get_by_role("button", name=f"Configure {CAPACITY}").click()
    field = dialog(page).get_by_label("Fail-safe capacity (kW)")
    await expect(dialog(page).locator("#action-fail_safe_capacity_w-hint")).to_contain_text(
        "Left empty, it is 0 kW: charging stops. 0 to 1\u202f000\u202f000."
    )
    doubt = dialog(page).locator("#action-doubt")
    for given, why in (
        ("0.5", "0.5 kW is less than 1 kW."),
        ("120000", "120000 kW is above the rating of Feed 1, 400 kW."),
    ):
        await field.fill(given)
        await dialog(page).get_by_role("button", name="Configure").click()
        await expect(doubt).to_contain_text(why)
        await expect(field).to_have_value(given)
    await look(page, f"fail-safe-doubt-{name}")
    assert "UPDATE_CIRCUIT_CAPACITY" not in await configured(product, made.devices["mgc-1"])
    await field.fill("120")
    await dialog(page).get_by_role("button", name="Configure").click()
    await expect(card(page, CAPACITY).locator(".sensor-action-end")).to_contain_text("Fail-safe capacity (kW) 120")
    # What was looked at is stored, however doubtful.
    await page.get_by_role("button", name=f"Edit {CAPACITY}").click()
    await field.fill("500")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(doubt).to_contain_text("500 kW is above the rating of Feed 1, 400 kW. Save again to keep it.")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(card(page, CAPACITY).locator(".sensor-action-end")).to_contain_text("Fail-safe capacity (kW) 500")
    found = (await configured(product, made.devices["mgc-1"]))["UPDATE_CIRCUIT_CAPACITY"]
    assert found["fail_safe_capacity_w"] == 500e3
    await page.get_by_role("button", name=f"Edit {CAPACITY}").click()
    await field.fill("")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(card(page, CAPACITY).locator(".sensor-action-end")).to_contain_text("0: charging stops")


async def test_a_capability_has_one_owner_and_the_form_leads_to_it(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await add_device(product.engine, made, "mgc-2")
    visitor.expected = ("422",)
    page = await visitor.open(f"/devices/{made.devices['mgc-2']}")
    await page.get_by_role("button", name=f"Configure {MICROGRID}").click()
    await dialog(page).get_by_label("LIMIT_DER_EXPORT").check()
    await dialog(page).get_by_role("button", name="Configure").click()
    error = dialog(page).locator("#action-measurands-error")
    await expect(error).to_have_text('DER is published by the device "Device mgc-1".')
    # Disabled it is no owner, so it may be made, but not enabled.
    await dialog(page).get_by_label("Enabled").uncheck()
    await dialog(page).get_by_role("button", name="Configure").click()
    action = card(page, MICROGRID)
    await expect(action.locator(".badge")).to_have_text("Disabled")
    await expect(action.locator(".resolution")).to_contain_text("nothing while it is disabled")
    await action.get_by_role("button", name="Enable").click()
    await expect(error).to_be_visible()
    await expect(dialog(page).get_by_label("Enabled")).to_be_checked()
    await dialog(page).get_by_role("link", name="Device mgc-1").click()
    owner = page.locator(f"#action-{made.actions['mgc-1', 'UPDATE_MICROGRID_STATE']}")
    await expect(owner).to_be_in_viewport()
    await owner.get_by_role("button", name="Disable").click()
    await expect(owner.locator(".badge")).to_have_text("Disabled")
    assert [each["enabled"] for each in (await configured(product, made.devices["mgc-1"])).values()] == [False]
    await page.goto(f"/devices/{made.devices['mgc-2']}")
    await action.get_by_role("button", name="Enable").click()
    await expect(action.locator(".badge")).to_have_text("Enabled")
    await expect(action.locator(".version")).to_contain_text("Version 2")


async def test_what_changed_in_between_is_told_and_the_input_is_kept(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true"))
    page = await visitor.open(f"/devices/{made.devices['mgc-1']}")
    visitor.expected = ("409",)
    await page.get_by_role("button", name=f"Edit {MICROGRID}").click()
    # What the device sends comes first, with its last value.
    first = dialog(page).locator(".measurand").first
    await expect(first).to_contain_text("LIMIT_PEAK_SHAVING")
    await expect(first.locator(".heard")).to_contain_text("seen true")
    await expect(dialog(page).locator(".measurand").nth(1).locator(".heard")).to_have_text("not in the last packets")
    await dialog(page).get_by_label("LIMIT_DER_EXPORT").uncheck()
    async with http_client(product.url) as caller:
        action_id = made.actions["mgc-1", "UPDATE_MICROGRID_STATE"]
        answer = await caller.patch(f"/api/sensor-actions/{action_id}", json={"enabled": False})
        assert answer.status_code == 200
    await expect(card(page, MICROGRID).locator(".badge")).to_have_text("Disabled")
    await dialog(page).get_by_role("button", name="Save").click()
    conflict = dialog(page).locator(".conflict")
    await expect(conflict).to_contain_text("Changed by someone else meanwhile. It is version 2 now.")
    await expect(conflict.locator("li")).to_have_text("Enabled on \u2192 became off", use_inner_text=True)
    await expect(conflict).to_contain_text("local-administrator")
    # The own input is kept; what was left alone is as it holds now.
    await expect(dialog(page).get_by_label("LIMIT_DER_EXPORT")).not_to_be_checked()
    await expect(dialog(page).get_by_label("Enabled")).not_to_be_checked()
    await expect(dialog(page).locator(".kept")).to_contain_text("show the saved values: Enabled.")
    await expect(dialog(page).locator(".now-holds")).to_have_count(0)
    found = (await configured(product, made.devices["mgc-1"]))["UPDATE_MICROGRID_STATE"]
    assert (found["enabled"], found["version"], len(found["measurands"])) == (False, 2, 2)  # pyright: ignore[reportArgumentType]
    await dialog(page).get_by_role("button", name="Save on version 2").click()
    await expect(dialog(page)).to_be_hidden()
    await expect(card(page, MICROGRID).locator(".badge")).to_have_text("Disabled")
    await expect(card(page, MICROGRID).locator(".taken tbody tr")).to_have_count(1)
    await expect(card(page, MICROGRID).locator(".version")).to_contain_text("Version 3")


async def test_sensors_that_are_heard_of_without_a_device_are_offered(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_DER_EXPORT="true"), packet(made, None, "em-7", VOLTAGE=230))
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    await page.get_by_role("button", name="Add device", exact=True).click()
    await expect(dialog(page).locator("#device-sensor_id-hint")).to_contain_text("Heard of, without a device: em-7.")
    await expect(dialog(page).locator("datalist option")).to_have_text(["Gateway"])
    await dialog(page).get_by_label("Name").fill("Feed meter")
    await dialog(page).get_by_label("Sensor id").fill("em-7")
    await dialog(page).get_by_role("button", name="Add device").click()
    # What it sent before it was known is its own.
    await expect(page.locator(".device-list tbody tr").nth(1).locator("age-time")).to_have_count(1)


async def test_two_people_who_change_different_things_do_not_undo_each_other(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await make_site(product.engine)
    await add_device(product.engine, made, "em-1")
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    await page.get_by_role("button", name="Edit Device em-1").click()
    await dialog(page).get_by_label("Name").fill("Feed meter")
    visitor.expected = ("409",)
    async with http_client(product.url) as caller:
        path = f"/api/devices/{made.devices['em-1']}"
        await caller.patch(path, json={"circuit_id": str(made.circuit_ids[0]), "sensor_id": "em-01"})
        await dialog(page).get_by_role("button", name="Save").click()
        await expect(dialog(page).locator(".kept")).to_contain_text("show the saved values: Sensor id, Linked circuit.")
        await dialog(page).get_by_role("button", name="Save on version 2").click()
        await expect(page.locator(".device-list tbody th")).to_have_text("Feed meter")
        found = (await caller.get(path)).json()
    assert (found["name"], found["circuit_name"], found["sensor_id"]) == ("Feed meter", "Feed 1", "em-01")


async def test_a_deletion_asks_and_says_what_goes_with_it(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await add_power_source(product.engine, made, "BATTERY", made.circuit_ids[0])
    await add_action(product.engine, made, "UPDATE_POWER_SOURCE_STATE", "SOC")
    await add_device(product.engine, made, "em-1")
    await send(product, packet(made, SOC=55))
    visitor.expected = ("422",)
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    await is_live(page)
    await expect(page.locator(".power-sources .now")).to_contain_text("55 %")
    await page.get_by_role("button", name="Edit A battery").click()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page)).to_contain_text("Its latest readings (1) go with it.")
    await expect(dialog(page).locator(".cascade li")).to_have_text([f"Device mgc-1, {STATE}"])
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No power source")).to_be_visible()
    await expect(page.locator("#gateways-title")).to_be_focused()

    await page.get_by_role("link", name="Device mgc-1").click()
    await page.get_by_role("button", name=f"Edit {STATE}").click()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page).get_by_role("heading")).to_have_text(f"Delete {STATE} of Device mgc-1?")
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(card(page, STATE)).to_have_count(0)
    await expect(page.get_by_role("button", name=f"Configure {STATE}")).to_be_visible()
    await page.get_by_role("button", name="Delete device").click()
    await expect(dialog(page)).to_contain_text("No device publishes PEAK_SHAVING and DER of this depot then")
    await expect(dialog(page).locator(".cascade li")).to_have_text([MICROGRID])
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(page).to_have_url(f"{product.url}/depots/{made.depot_id}/devices")

    await page.get_by_role("button", name="Edit Gateway").click()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page).locator(".cascade li")).to_have_text(["Device em-1"])
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page)).to_contain_text("Confirm that its devices are deleted as well")
    await dialog(page).get_by_role("checkbox").check()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No gateway", exact=True)).to_be_visible()
    await expect(page.locator(".counted")).to_have_text("0 devices")


async def test_what_is_gone_is_told_where_one_works_on_it(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    visitor.expected = ("404",)
    page = await visitor.open(f"/devices/{made.devices['mgc-1']}")
    await page.get_by_role("button", name=f"Edit {MICROGRID}").click()
    await expect(dialog(page)).to_be_visible()
    async with http_client(product.url) as caller:
        await caller.delete(f"/api/sensor-actions/{made.actions['mgc-1', 'UPDATE_MICROGRID_STATE']}")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page).get_by_role("heading")).to_have_text("This no longer exists")
    await dialog(page).get_by_role("button", name="Close").click()
    await expect(card(page, MICROGRID)).to_have_count(0)
    await is_live(page)
    watching = page
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    await page.get_by_role("button", name="Edit Device mgc-1").click()
    await expect(dialog(page)).to_be_visible()
    async with http_client(product.url) as caller:
        await caller.delete(f"/api/gateways/{made.gateway_id}?cascade=true")
    await expect(watching.get_by_text("This device was deleted")).to_be_visible()
    await expect(watching.get_by_role("button", name="Edit device")).to_have_count(0)
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page)).to_contain_text("There is no device")
    # Neither is reached through another depot or device.
    other = await controller_site(product.engine)
    async with http_client(product.url) as caller:
        for path in (
            f"/depots/{made.depot_id}/devices/{other.devices['mgc-1']}",
            f"/depots/{made.depot_id}/gateways/{other.gateway_id}",
            f"/devices/{made.devices['mgc-1']}/sensor-actions/{other.actions['mgc-1', 'UPDATE_MICROGRID_STATE']}",
        ):
            assert (await caller.get(path)).status_code == 404


async def test_an_output_translation_is_told_in_words_and_keeps_what_else_it_holds(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await make_site(product.engine, output_translation={"vendor": "x", "power_source_id": "none of ours"})
    source = await add_power_source(product.engine, made, "SOLAR")
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    row = page.locator(".gateways tbody tr")
    await expect(row).to_contain_text("Not in the required form")
    await page.get_by_role("button", name="Edit Gateway").click()
    await expect(dialog(page)).to_contain_text('{"vendor": "x", "power_source_id": "none of ours"}')
    await dialog(page).get_by_label("Name").fill("East")
    await dialog(page).get_by_role("button", name="Save").click()
    # What was not touched stays, odd as it is.
    await expect(row).to_contain_text("East")
    await expect(row).to_contain_text("Not in the required form")
    await page.get_by_role("button", name="Edit East").click()
    await dialog(page).get_by_label("Output translation").select_option("Names A solar")
    await dialog(page).get_by_label("Site model").fill("BBA-1")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(row).to_contain_text("Names A solar")
    async with http_client(product.url) as caller:
        found = (await caller.get(f"/api/gateways/{made.gateway_id}")).json()
    assert found["output_translation"] == {"vendor": "x", "power_source_id": str(source)}
    assert found["site_model_name"] == "BBA-1"
    await page.get_by_role("button", name="Edit East").click()
    await dialog(page).get_by_label("Output translation").select_option("None")
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(row.locator('td[data-label="Output translation"]')).to_have_text("none")


async def test_a_remediation_leads_to_the_very_action(product: RunningProduct, visitor: Visitor) -> None:
    made = await make_site(product.engine)
    await add_device(product.engine, made, "mgc-9")
    action_id = await add_action(
        product.engine, made, "UPDATE_CIRCUIT_CAPACITY", "HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY",
        sensor_id="mgc-9", policy=CapacityPolicy(),
    )  # fmt: skip
    await send(product, packet(made, None, "mgc-9", HEARTBEAT_STATUS="ok", AVAILABLE_CHARGING_CAPACITY=1000))
    page = await visitor.open("/remediations")
    await page.locator(".remediation").get_by_role("link", name="Device mgc-9").click()
    await expect(page).to_have_url(f"{product.url}/devices/{made.devices['mgc-9']}#action-{action_id}")
    await expect(page.locator(f"#action-{action_id} .remedy")).to_contain_text("is linked to none")
    tabs = page.get_by_role("navigation", name="Depot")
    await expect(tabs.get_by_role("link", name="Devices")).to_have_attribute("aria-current", "page")


async def test_a_name_is_never_markup_and_long_names_have_room(product: RunningProduct, visitor: Visitor) -> None:
    name = "<img src=x onerror=bad()>" + "AVeryLongNameWithoutABreak" * 4
    made = await make_site(product.engine)
    async with http_client(product.url) as caller:
        body = {"depot_id": str(made.depot_id), "name": name, "site_model_name": name}
        gateway_id = (await caller.post("/api/gateways", json=body)).json()["gateway_id"]
        body = {"depot_id": str(made.depot_id), "name": name, "kind": "SOLAR"}
        assert (await caller.post("/api/power-sources", json=body)).status_code == 201
        body = {"gateway_id": gateway_id, "name": name, "sensor_id": name}
        device_id = (await caller.post("/api/devices", json=body)).json()["device_id"]
        action = {"action": "UPDATE_POWER_SOURCE_STATE", "measurands": ["SOC"]}
        assert (await caller.post(f"/api/devices/{device_id}/sensor-actions", json=action)).status_code == 201
    made.gateway_id = UUID(gateway_id)
    answers = await send(product, packet(made, None, name, **{name[:100]: name, "SOC": 12}))
    assert "packet_id" in str(answers), answers
    for path in (f"/depots/{made.depot_id}/devices", f"/devices/{device_id}"):
        for size in ((1280, 800), (768, 1024), PHONE, (320, 640)):
            page = await visitor.open(path, size=size)
            await expect(page.get_by_text(name).first).to_be_visible()
            assert await page.locator("main img, main script, [style]").count() == 0
            assert not await is_wider_than_the_screen(page), (path, size)
    await page.get_by_role("button", name="Edit device").click()
    await expect(dialog(page).get_by_label("Name")).to_have_value(name)
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(dialog(page).get_by_role("heading")).to_contain_text(name)
    assert await page.locator("dialog img").count() == 0


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_the_pages_are_accessible_in_both_themes(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int]
) -> None:
    name = "desktop" if size == DESKTOP else "phone"
    bare = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await look(await visitor.open(f"/depots/{bare}/devices", size=size), f"devices-none-{name}")
    made = await battery_site(product)
    await add_power_source(product.engine, made, "BATTERY", made.circuit_ids[0])
    await add_device(product.engine, made, circuit_id=made.circuit_ids[0])
    await add_action(product.engine, made, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT")
    await add_action(
        product.engine, made, "UPDATE_CIRCUIT_CAPACITY", "HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY",
        policy=CapacityPolicy(fail_safe_w=120e3), enabled=False,
    )  # fmt: skip
    await send(
        product,
        packet(
            made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="perhaps", AVAILABLE_CHARGING_CAPACITY=412500.25,
            HEARTBEAT_STATUS="ok", VENDOR_SPECIFIC_KEY=7,
        ),
    )  # fmt: skip
    visitor.expected = ("409", "422")
    page = await visitor.open(f"/depots/{made.depot_id}/devices", size=size)
    await look(page, f"devices-full-{name}")
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
    await look(page, f"device-full-{name}")
    await page.get_by_role("button", name=f"Edit {CAPACITY}").click()
    await dialog(page).get_by_label("Heartbeat threshold").fill("soon")
    await dialog(page).get_by_label("HEARTBEAT_STATUS").uncheck()
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page)).to_contain_text("Must be a number, in s.")
    await look(page, f"action-edit-{name}")
    await look(await visitor.open(f"/devices/{made.devices['bess-1']}", size=size), f"device-remedy-{name}")
    page = await visitor.open(f"/devices/{made.devices['bess-1']}", size=size)
    await page.get_by_role("button", name=f"Edit {STATE}").click()
    await dialog(page).get_by_label("DEVICE_POWER_STATE").check()
    async with http_client(product.url) as caller:
        action_id = made.actions["bess-1", "UPDATE_POWER_SOURCE_STATE"]
        await caller.patch(f"/api/sensor-actions/{action_id}", json={"measurands": ["BESS_OPERATIONAL_MODE"]})
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page).locator(".conflict")).to_be_visible()
    await look(page, f"action-conflict-{name}")


async def test_a_device_that_did_report_is_never_told_as_silent(product: RunningProduct, visitor: Visitor) -> None:
    made = await make_site(product.engine)
    for sensor_id in ("often", "seldom", "never"):
        await add_device(product.engine, made, sensor_id)
    now = milliseconds()
    await send(product, packet(made, now - 600_000, "seldom", TOTAL_POWER_LOAD=12_000))
    for first in range(0, 2 * DEPTH, 100):
        await send(product, *[packet(made, now - 500_000 + first + n, "often", VOLTAGE=230) for n in range(100)])
    page = await visitor.open(f"/devices/{made.devices['seldom']}")
    await expect(page.locator(".facts")).not_to_contain_text("no packet received yet")
    await expect(page.locator(".sends")).to_contain_text(" W")
    page = await visitor.open(f"/depots/{made.depot_id}/devices")
    told = page.locator(".device-list tbody tr")
    for sensor_id, count in (("often", 0), ("seldom", 0), ("never", 1)):
        row = told.filter(has_text=f"Device {sensor_id}")
        await expect(row.get_by_text("no packet received yet")).to_have_count(count)
    page = await visitor.open(f"/devices/{made.devices['never']}")
    await expect(page.get_by_text("No packet received yet", exact=True).last).to_be_visible()

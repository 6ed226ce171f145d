"""The Controllers tab of a depot: who supplies what, bindings made and changed by hand, the live test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from api.ui.controllers import controllers
from tests.factories.depots import make_depot_with
from tests.factories.sites import MadeDepot, add_device, controller_site, make_site, milliseconds, packet
from tests.helpers.live import http_client
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, section, send
from tests.pages.helpers.looking import NOBODY, look

API = "/api/controller-bindings"
NO_ID = "018f4e6c-0000-7000-8000-000000000000"
BOTH = ["PEAK_SHAVING", "DER"]


@dataclass
class Made:
    """A depot with two controllers, the first of them bound for both capabilities."""

    site: MadeDepot
    a: str
    b: str
    binding_id: str

    @property
    def path(self) -> str:
        """Where its tab is."""
        return f"/depots/{self.site.depot_id}/controllers"

    @property
    def api(self) -> str:
        """Where the API has the binding."""
        return f"{API}/{self.binding_id}"


async def two_controllers(product: RunningProduct) -> Made:
    made = await controller_site(product.engine)
    b = await add_device(product.engine, made, "mgc-2")
    binding_id = made.actions["mgc-1", "UPDATE_MICROGRID_STATE"]
    return Made(made, str(made.devices["mgc-1"]), str(b), str(binding_id))


async def call(product: RunningProduct, method: str, path: str, **more: Any) -> Any:
    """Call the API, as somebody else does."""
    async with http_client(product.url) as caller:
        answer = await caller.request(method, path, **more)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def card(page: Page, binding_id: str) -> Locator:
    return page.locator(f"#binding-{binding_id}")


def supplied(page: Page, binding_id: str, capability: str) -> Locator:
    return card(page, binding_id).locator(f".supplied [data-capability={capability}]")


def effect(page: Page, capability: str) -> Locator:
    return page.locator(f".effect[data-capability={capability}]")


async def choose_device(page: Page, name: str) -> None:
    """Choose a device in the form, and wait until the preview is of it."""
    select = page.get_by_role("dialog").get_by_label("Controller device")
    sensor = name.removeprefix("Device ")
    await select.select_option(label=await select.locator("option", has_text=f"{name} ·").first.inner_text())
    await expect(page.locator("#device-hint")).to_contain_text(f"Sensor {sensor} at")


@pytest.mark.acceptance("COR-39.1")
@pytest.mark.acceptance("COR-39.3")
async def test_the_tab_shows_who_supplies_what_and_every_binding(product: RunningProduct, visitor: Visitor) -> None:
    made = await two_controllers(product)
    await call(product, "PATCH", f"/api/devices/{made.a}", json={"controller": "bba-1"})
    page = await visitor.open(f"/depots/{made.site.depot_id}/load")
    await page.get_by_role("navigation", name="Depot", exact=True).get_by_role("link", name="Controllers").click()
    await expect(page).to_have_url(f"{product.url}{made.path}")
    await is_live(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Arrow Road")
    await expect(page.locator(".microgrid-id")).to_contain_text(str(made.site.microgrid_id))
    for capability in BOTH:
        await expect(page.locator(f"#owner-{capability}")).to_contain_text("Device mgc-1 sensor mgc-1")
    binding = card(page, made.binding_id)
    await expect(binding.locator(".binding-head .badge")).to_have_text("Enabled")
    for told in ("BBA microgrid controller, revision 1", "Peak shaving, DER export limit", "Gateway", "none known"):
        await expect(binding.locator(".where")).to_contain_text(told)
    # What comes is shown without a reload, with how fresh it is.
    await send(product, packet(made.site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    await expect(supplied(page, made.binding_id, "PEAK_SHAVING").locator(".onoff")).to_have_text("ON")
    await expect(supplied(page, made.binding_id, "DER").locator(".onoff")).to_have_text("OFF")
    await expect(supplied(page, made.binding_id, "DER").locator(".badge >> visible=true")).to_have_text("Fresh")
    # So is what is changed elsewhere.
    await call(product, "PATCH", made.api, json={"capabilities": ["DER"]})
    other = await call(
        product,
        "POST",
        API,
        json={"depot_id": str(made.site.depot_id), "device_id": made.b, "capabilities": ["PEAK_SHAVING"]},
    )
    await expect(page.locator("#owner-PEAK_SHAVING")).to_contain_text("Device mgc-2")
    await expect(page.locator("#owner-DER")).to_contain_text("Device mgc-1")
    await expect(binding.locator(".binding-end")).to_contain_text("Version 2, changed by local-administrator")
    await expect(card(page, other["binding_id"]).locator(".where")).to_contain_text(
        "not checked: controller revision unknown"
    )


@pytest.mark.acceptance("COR-39.2")
async def test_a_binding_is_made_reviewed_changed_and_disabled_by_hand(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await make_site(product.engine)
    await add_device(product.engine, made, "mgc-1", made.circuit_ids[0])
    await add_device(product.engine, made, "mgc-2")
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true"))
    page = await visitor.open(f"/depots/{made.depot_id}/controllers")
    await is_live(page)
    dialog = page.get_by_role("dialog")
    await expect(page.get_by_text("No controller is bound", exact=True)).to_be_visible()
    await expect(page.locator("#owner-DER")).to_contain_text("Not updating: no controller is bound.")

    # Made, after its effect was looked at.
    await page.get_by_role("button", name="Bind a controller").press("Enter")
    await expect(dialog.locator("option", has_text="Device mgc-1")).to_contain_text("sensor mgc-1 · Feed 1")
    await choose_device(page, "Device mgc-1")
    for capability in BOTH:
        await expect(effect(page, capability)).to_contain_text("Starts Device mgc-1 begins to update it.")
    await expect(dialog.locator(".effect-warning")).to_contain_text("MEASURAND_NEVER_SENT")
    await dialog.get_by_label("DER export limit").uncheck()
    await expect(effect(page, "DER")).to_contain_text("No device updates it, as before.")
    await dialog.get_by_role("button", name="Bind", exact=True).click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="Bind a controller")).to_be_focused()
    await expect(page.locator("#owner-PEAK_SHAVING")).to_contain_text("Device mgc-1")
    await expect(page.locator("#owner-DER")).to_contain_text("No device")
    (binding,) = (await call(product, "GET", API, params={"depot_id": str(made.depot_id)}))["items"]
    assert ([each["capability"] for each in binding["capabilities"]], binding["enabled"]) == (["PEAK_SHAVING"], True)

    # Reviewed and changed: another device takes over.
    edit = page.get_by_role("button", name="Edit the binding of Device mgc-1")
    await edit.click()
    await choose_device(page, "Device mgc-2")
    await dialog.get_by_label("DER export limit").check()
    await expect(effect(page, "DER")).to_contain_text("Starts Device mgc-2 begins to update it.")
    await expect(effect(page, "PEAK_SHAVING")).to_contain_text("Moves Device mgc-2 updates it instead of Device mgc-1.")
    await expect(dialog.locator(".effect-warning")).to_contain_text("DEVICE_NEVER_SENT")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    for capability in BOTH:
        await expect(page.locator(f"#owner-{capability}")).to_contain_text("Device mgc-2")

    # Disabled, after the question was answered.
    await send(product, packet(made, None, "mgc-2", LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    shown = card(page, binding["binding_id"])
    await expect(shown.locator(".onoff")).to_have_text(["ON", "OFF"])
    await page.get_by_role("button", name="Disable the binding of Device mgc-2").click()
    await expect(dialog).to_contain_text(
        "keeps the last status, ON, marked Not updating. It no longer counts as fresh."
    )
    await page.keyboard.press("Escape")
    await expect(shown.locator(".binding-head .badge")).to_have_text("Enabled")
    await page.get_by_role("button", name="Disable the binding of Device mgc-2").click()
    await dialog.get_by_role("button", name="Disable").click()
    await expect(dialog).to_be_hidden()
    await expect(shown.locator(".binding-head .badge")).to_have_text("Disabled")
    for capability, last in (("PEAK_SHAVING", "ON"), ("DER", "OFF")):
        part = supplied(page, binding["binding_id"], capability)
        await expect(part.locator(".onoff")).to_have_text(f"Last sent: {last}")
        await expect(part.locator(".badge")).to_have_text("Not updating")
        await expect(part.locator("age-time")).to_have_count(0)
        await expect(page.locator(f"#owner-{capability}")).to_contain_text("its binding is disabled")

    # Enabled again, and deleted in the end.
    await page.get_by_role("button", name="Enable the binding of Device mgc-2").click()
    await expect(effect(page, "DER")).to_contain_text("Starts")
    await dialog.get_by_role("button", name="Enable").click()
    await expect(page.locator("#owner-DER")).to_contain_text("Device mgc-2")
    await expect(supplied(page, binding["binding_id"], "DER")).to_contain_text("sent before the last change")
    await page.get_by_role("button", name="Delete the binding of Device mgc-2").click()
    await expect(dialog).to_contain_text("The device, its packets and what they updated stay.")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No controller is bound", exact=True)).to_be_visible()
    await expect(page.locator("#bindings-title")).to_be_focused()
    assert (await call(product, "GET", API, params={"depot_id": str(made.depot_id)}))["items"] == []


@pytest.mark.acceptance("COR-39.4")
async def test_everything_that_is_wrong_stands_beside_its_field_with_its_code(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await two_controllers(product)
    await call(product, "PATCH", f"/api/devices/{made.b}", json={"controller": "bba-1-no-peak-shaving"})
    visitor.expected = ("422",)
    page = await visitor.open(made.path)
    await is_live(page)
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Bind a controller").click()
    # Nothing is complained of before it was filled in.
    await expect(dialog.locator(".refusals")).to_have_count(0)
    await expect(dialog.locator("#effects")).to_have_text("Choose a device to see what saving changes.")
    await dialog.get_by_role("button", name="Bind", exact=True).click()
    await expect(page.locator("#device_id-error")).to_have_text("Choose the controller's device. DEVICE_MISSING")
    await expect(page.locator("#capabilities-error")).to_have_text(
        "Choose at least one capability. CAPABILITIES_MISSING"
    )
    await expect(dialog.get_by_label("Controller device")).to_have_attribute("aria-invalid", "true")
    # What was mended is told as mended at once, and what is wrong now as wrong.
    await choose_device(page, "Device mgc-2")
    await expect(page.locator("#device_id-error")).to_have_count(0)
    await dialog.get_by_label("Peak shaving").check()
    await dialog.get_by_label("DER export limit").check()
    refused = 'PEAK_SHAVING needs LIMIT_PEAK_SHAVING, which the controller "bba-1-no-peak-shaving" does not send.'
    await expect(page.locator("#capability-PEAK_SHAVING-error")).to_have_text(f"{refused} UNSUPPORTED_BY_REVISION")
    owned = 'DER is supplied by the device "Device mgc-1". Disable it there first. CAPABILITY_OWNED'
    await expect(page.locator("#capability-DER-error .field-error")).to_have_text(owned)
    await expect(effect(page, "DER")).to_contain_text("Device mgc-1 goes on updating it.")
    for _ in range(2):  # however often it is tried
        await dialog.get_by_role("button", name="Bind", exact=True).click()
        await expect(page.locator("#capability-DER-error .field-error")).to_have_text(owned)
        await expect(page.locator("#dialog-title")).to_be_focused()
    found = await call(product, "GET", API, params={"depot_id": str(made.site.depot_id)})
    assert [each["binding_id"] for each in found["items"]] == [made.binding_id]
    # From the refusal one goes to what stands in the way.
    await dialog.get_by_role("button", name="Go to the binding of Device mgc-1").click()
    await expect(page.locator("#dialog-title")).to_have_text("Binding of Device mgc-1")
    await dialog.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Bind a controller").click()
    await choose_device(page, "Device mgc-1")
    await expect(page.locator("#device_id-error")).to_contain_text("ALREADY_BOUND")
    await expect(dialog.get_by_role("button", name="Go to the binding of Device mgc-1")).to_be_visible()
    await page.keyboard.press("Escape")

    # What is refused only when it is switched on is told there.
    idle = {"depot_id": str(made.site.depot_id), "device_id": made.b, "capabilities": ["DER"], "enabled": False}
    await call(product, "POST", API, json=idle)
    enable = page.get_by_role("button", name="Enable the binding of Device mgc-2")
    await enable.click()
    await expect(dialog).to_contain_text("CAPABILITY_OWNED")
    await dialog.get_by_role("button", name="Enable").click()
    await expect(dialog.get_by_role("button", name="Go to the binding of Device mgc-1")).to_be_visible()


async def test_a_depot_without_a_microgrid_says_so_on_the_tab_and_in_the_form(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(product.engine)
    gateway = await call(product, "POST", "/api/gateways", json={"depot_id": str(depot_id), "name": "Gateway"})
    device = {"gateway_id": gateway["gateway_id"], "sensor_id": "mgc-1", "name": "Device mgc-1"}
    await call(product, "POST", "/api/devices", json=device)
    visitor.expected = ("422",)
    page = await visitor.open(f"/depots/{depot_id}/controllers")
    await expect(page.locator("#unresolved")).to_contain_text("NO_TOP_LEVEL_CIRCUITS")
    await page.get_by_role("button", name="Bind a controller").click()
    await choose_device(page, "Device mgc-1")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("alert")).to_contain_text("MICROGRID_NOT_PROVISIONED")
    await dialog.get_by_role("button", name="Bind", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Add a top-level circuit")


async def test_the_second_of_two_editors_sees_what_changed_and_goes_on_with_the_own_input(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await two_controllers(product)
    visitor.expected = ("409",)
    page = await visitor.open(made.path)
    await is_live(page)
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Edit the binding of Device mgc-1").click()
    await dialog.get_by_label("DER export limit").uncheck()
    await expect(effect(page, "DER")).to_contain_text("Stops")
    # Meanwhile somebody else moves it, and takes the other capability away.
    await call(product, "PATCH", made.api, json={"device_id": made.b, "version": 1})
    await call(product, "PATCH", made.api, json={"capabilities": ["DER"], "version": 2})
    await dialog.get_by_role("button", name="Save").click()
    conflict = dialog.locator(".conflict")
    await expect(conflict).to_contain_text("It is version 3 now. VERSION_CONFLICT")
    await expect(conflict.locator(".change-list > li")).to_have_text(
        ["Capabilities Peak shaving, DER export limit → became DER export limit",
         "Device Device mgc-1 → became Device mgc-2"],
        use_inner_text=True,
    )  # fmt: skip
    await expect(conflict.get_by_text("local-administrator")).to_have_count(2)
    # The own input is kept; what was left alone is as it holds now.
    await expect(dialog.get_by_label("DER export limit")).not_to_be_checked()
    await expect(dialog.get_by_label("Peak shaving")).to_be_checked()
    await expect(dialog.locator(".now-holds")).to_have_text("Yours. Saved value: DER export limit")
    await expect(page.locator("#device-hint")).to_contain_text("Sensor mgc-2")
    await dialog.get_by_role("button", name="Save on version 3").click()
    await expect(dialog).to_be_hidden()
    now = await call(product, "GET", made.api)
    assert (now["device"]["device_id"], now["version"], now["enabled"]) == (made.b, 4, True)
    assert [each["capability"] for each in now["capabilities"]] == ["PEAK_SHAVING"]
    # One may also drop the own input, and be stopped from disabling what is no longer what one saw.
    await page.get_by_role("button", name="Edit the binding of Device mgc-2").click()
    await dialog.get_by_label("Enabled").uncheck()
    await call(product, "PATCH", made.api, json={"capabilities": BOTH})
    await dialog.get_by_role("button", name="Save").click()
    await dialog.get_by_role("button", name="Discard mine").click()
    await expect(dialog.locator(".conflict")).to_have_count(0)
    await expect(dialog.get_by_label("Enabled")).to_be_checked()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Disable the binding of Device mgc-2").click()
    await expect(dialog.get_by_role("button", name="Disable")).to_be_visible()
    await call(product, "PATCH", made.api, json={"capabilities": ["DER"]})
    await dialog.get_by_role("button", name="Disable").click()
    await expect(dialog.locator(".conflict")).to_contain_text("It is version 6 now.")
    assert (await call(product, "GET", made.api))["enabled"]
    await dialog.get_by_role("button", name="Disable version 6").click()
    await expect(card(page, made.binding_id).locator(".binding-head .badge")).to_have_text("Disabled")
    # And what somebody deleted is told of where one looks.
    visitor.expected = ("409", "404")
    await page.get_by_role("button", name="Edit the binding of Device mgc-2").click()
    await expect(dialog.get_by_label("Peak shaving")).to_be_visible()
    await call(product, "PATCH", made.api, json={"enabled": True})
    await dialog.get_by_label("Peak shaving").check()
    await expect(dialog.get_by_role("alert")).to_contain_text("it is version 8 now. VERSION_CONFLICT")
    await call(product, "DELETE", made.api)
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_contain_text("BINDING_NOT_FOUND")
    await dialog.get_by_role("button", name="Close").click()
    await expect(page.get_by_text("No controller is bound", exact=True)).to_be_visible()


async def test_the_history_tells_who_changed_what_field_by_field(product: RunningProduct, visitor: Visitor) -> None:
    made = await two_controllers(product)
    for number in range(11):
        await call(product, "PATCH", made.api, json={"capabilities": ["DER"] if number % 2 == 0 else BOTH})
    for enabled in (False, True) * 5:
        await call(product, "PATCH", made.api, json={"enabled": enabled})
    await call(product, "PATCH", made.api, json={"device_id": made.b})
    page = await visitor.open(made.path)
    await page.get_by_role("button", name="History of the binding of Device mgc-2").click()
    items = page.locator(".binding-history > li:not(.more)")
    await expect(items).to_have_count(20)
    await expect(items.first).to_contain_text("Changed by local-administrator")
    await expect(items.first.locator(".change-list li")).to_have_text(
        "Device Device mgc-1 → became Device mgc-2", use_inner_text=True
    )
    await expect(items.nth(1).locator(".change-list li")).to_have_text(
        "State Disabled → became Enabled", use_inner_text=True
    )
    await page.get_by_role("button", name="Load older changes").click()
    await expect(items).to_have_count(22)
    await expect(items.last.locator(".change-list li")).to_have_text(
        "Capabilities Peak shaving, DER export limit → became DER export limit", use_inner_text=True
    )
    await expect(page.locator(".binding-history .more")).to_have_count(0)


async def test_the_next_packet_is_waited_for_and_shown_with_what_it_updated(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await two_controllers(product)
    page = await visitor.open(made.path)
    await is_live(page)
    listening = page.locator("#listening")
    await page.get_by_role("button", name="Listen for the next packet of Device mgc-1").click()
    await expect(listening.get_by_role("status")).to_contain_text("Waiting for its next packet")
    await expect(listening.get_by_role("heading")).to_be_focused()
    # The gateway sends, but not this sensor: that is worth knowing.
    await send(product, packet(made.site, None, "mgc-l", LIMIT_PEAK_SHAVING="true"))
    await expect(page.locator("#without")).to_have_text(
        "1 packet of Gateway came without the sensor mgc-1. The sensor in it: mgc-l."
    )
    await expect(page.locator("#waiting")).to_be_visible()
    await send(
        product,
        packet(made.site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="TRUE", TOTAL_POWER_LOAD=123456.5, X_OWN=None),
    )
    await expect(listening.get_by_role("status")).to_have_text("Packet arrived")
    await expect(page.locator(".arrived-values tbody tr")).to_have_text(
        ["LIMIT_PEAK_SHAVING true", "LIMIT_DER_EXPORT Unknown text TRUE", "TOTAL_POWER_LOAD 123\u202f456.5 W",
         "X_OWN unknown key null"],
        use_inner_text=True,
    )  # fmt: skip
    did = page.locator("#did")
    await expect(did.locator("> li")).to_contain_text("Update Microgrid State Updated")
    await expect(did.locator("ul > li")).to_have_text(
        ["LIMIT_PEAK_SHAVING Updated", "LIMIT_DER_EXPORT Not updated UNKNOWN_TEXT"], use_inner_text=True
    )
    await expect(page.locator("#would")).to_have_count(0)
    await expect(page.locator("#without")).to_have_count(0)
    # What came later does not push it away; another one is waited for on demand.
    await send(product, packet(made.site, milliseconds() + 1000, LIMIT_PEAK_SHAVING="false"))
    await expect(supplied(page, made.binding_id, "PEAK_SHAVING").locator(".onoff")).to_have_text("OFF")
    await expect(page.locator(".arrived-values tbody tr")).to_have_count(4)
    await page.get_by_role("button", name="Listen again").click()
    await expect(page.locator("#waiting")).to_be_visible()
    await page.get_by_role("button", name="Stop").click()
    await expect(listening.get_by_role("status")).to_contain_text("Stopped before a packet came.")
    await send(product, packet(made.site, milliseconds() + 2000, LIMIT_PEAK_SHAVING="true"))
    await expect(supplied(page, made.binding_id, "PEAK_SHAVING").locator(".onoff")).to_have_text("ON")
    await expect(page.locator("#ended")).to_be_visible()


async def test_the_live_test_says_how_to_send_and_the_command_is_copied(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await two_controllers(product)
    page = await visitor.open(made.path)
    await is_live(page)
    await page.get_by_role("button", name="Listen for the next packet of Device mgc-1").click()
    told = page.locator("#sending")
    for text in (f"POST {product.url}/api/telemetry/packets", f"manage/packets/{made.site.gateway_id}", "mgc-1"):
        await expect(told).to_contain_text(text)
    await expect(page.locator("#command")).not_to_contain_text("Authorization")
    await page.get_by_role("button", name="Copy the command").press("Enter")
    await expect(page.locator("#copy-command")).to_have_text("Copied")
    await look(page, "live-test-sending")
    # Sent as it stands there, it is the packet that is waited for.
    command = await page.locator("#command").text_content() or ""
    data = command.partition("-d ")[2].replace("'", "").replace('"$(date +%s)000"', str(milliseconds()))
    await call(product, "POST", "/api/telemetry/packets", json=json.loads(data))
    await expect(page.locator("#arrived")).to_contain_text("LIMIT_PEAK_SHAVING")
    await expect(told).to_have_count(0)


async def test_the_live_test_goes_on_while_the_tab_is_left(product: RunningProduct, visitor: Visitor) -> None:
    made = await two_controllers(product)
    page = await visitor.open(made.path)
    await is_live(page)
    tabs = page.get_by_role("navigation", name="Depot", exact=True)
    await page.get_by_role("button", name="Listen for the next packet of Device mgc-1").click()
    await expect(page.locator("#waiting")).to_be_visible()
    await tabs.get_by_role("link", name="Devices").click()
    await expect(page).to_have_url(f"{product.url}/depots/{made.site.depot_id}/devices")
    await tabs.get_by_role("link", name="Controllers").click()
    await expect(page.locator("#waiting")).to_contain_text("Waiting for its next packet")
    # What comes while nobody looks is not missed.
    await tabs.get_by_role("link", name="Devices").click()
    await send(product, packet(made.site, LIMIT_PEAK_SHAVING="true"))
    await tabs.get_by_role("link", name="Controllers").click()
    await expect(page.locator("#arrived")).to_contain_text("LIMIT_PEAK_SHAVING")
    # Another depot is not listened to.
    other = await two_controllers(product)
    elsewhere = await visitor.open(other.path)
    await expect(elsewhere.locator("#listening")).to_contain_text("Listen waits for the next packet")
    # Stopped, it does not begin again by itself.
    await page.get_by_role("button", name="Listen again").click()
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#ended")).to_be_visible()
    await page.reload()
    await expect(page.locator("#listening")).to_contain_text("Listen waits for the next packet")


@pytest.mark.parametrize("kept", ["", "_", "nonsense", f"{NO_ID}_2026-01-01T00:00:00+00:00", f"{NO_ID}_99999999999999"])
async def test_what_was_not_begun_here_is_not_gone_on_with(
    product: RunningProduct, visitor: Visitor, kept: str
) -> None:
    made = await two_controllers(product)
    async with http_client(product.url) as caller:
        answer = await caller.get(made.path, headers={"cookie": f"live-test={kept}"})
    assert answer.status_code == 200
    assert "Listen waits for the next packet" in answer.text
    # Its binding is deleted meanwhile.
    page = await visitor.open(made.path)
    await page.get_by_role("button", name="Listen for the next packet of Device mgc-1").click()
    await expect(page.locator("#waiting")).to_be_visible()
    visitor.expected = ("404",)  # what is waiting may ask before the page is loaded again
    await call(product, "DELETE", made.api)
    await page.reload()
    await expect(page.locator("#listening")).to_contain_text("Listen waits for the next packet")


async def test_a_disabled_binding_is_listened_to_as_well(product: RunningProduct, visitor: Visitor) -> None:
    made = await two_controllers(product)
    idle = {"depot_id": str(made.site.depot_id), "device_id": made.b, "capabilities": BOTH, "enabled": False}
    await call(product, "POST", API, json=idle)
    await call(product, "PATCH", made.api, json={"capabilities": ["DER"]})
    page = await visitor.open(made.path)
    await is_live(page)
    await page.get_by_role("button", name="Listen for the next packet of Device mgc-2").click()
    await expect(page.locator("#waiting")).to_be_visible()
    await send(product, packet(made.site, None, "mgc-2", LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT=None))
    await expect(page.locator("#did > li")).to_have_text(
        "Update Microgrid State Not updated DISABLED", use_inner_text=True
    )
    await expect(page.locator("#would ul > li")).to_have_text(
        ["LIMIT_PEAK_SHAVING Would update", "LIMIT_DER_EXPORT Would not update UNAVAILABLE"], use_inner_text=True
    )
    await expect(page.locator("#would")).to_contain_text("DER export limit is supplied by Device mgc-1 now.")


async def test_listening_ends_by_itself(
    product: RunningProduct, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await two_controllers(product)
    monkeypatch.setattr(controllers, "LISTENING", timedelta(seconds=1))
    page = await visitor.open(made.path)
    await page.get_by_role("button", name="Listen for the next packet of Device mgc-1").click()
    await expect(page.locator("#ended")).to_contain_text("No packet came within 1 s")
    await expect(page.locator("#ended")).to_contain_text("No packet of it is known.")
    monkeypatch.undo()
    await page.get_by_role("button", name="Listen again").click()
    await expect(page.locator("#waiting")).to_be_visible()


async def test_the_card_of_the_load_page_says_that_the_binding_is_disabled(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await two_controllers(product)
    await send(product, packet(made.site, LIMIT_PEAK_SHAVING="true"))
    page = await visitor.open(f"/depots/{made.site.depot_id}/load")
    await is_live(page)
    freshness = section(page, "PEAK_SHAVING").locator(".freshness")
    await expect(freshness).to_have_text("Fresh", use_inner_text=True)
    await call(product, "POST", f"{made.api}/disable")
    for capability in BOTH:
        link = section(page, capability).get_by_role("link", name="The binding of Device mgc-1 is disabled.")
        await expect(link).to_have_attribute("href", f"{made.path}#binding-{made.binding_id}")
    await expect(freshness).to_have_text("Not updating")
    # Another device supplies one of them: nothing is said of the disabled one there.
    other = {"depot_id": str(made.site.depot_id), "device_id": made.b, "capabilities": ["DER"]}
    await call(product, "POST", API, json=other)
    await expect(section(page, "DER").get_by_role("link")).to_have_count(0)
    await expect(section(page, "DER")).to_contain_text("Device mgc-2 is bound and has sent no status yet.")
    await section(page, "PEAK_SHAVING").get_by_role("link", name="The binding of Device mgc-1 is disabled.").click()
    await expect(card(page, made.binding_id)).to_be_in_viewport()


async def test_a_binding_of_another_depot_is_not_there(product: RunningProduct, visitor: Visitor) -> None:
    made, other = await two_controllers(product), await two_controllers(product)
    visitor.expected = ("404",)
    for path in ("", "/disable", "/history", "/listen"):
        page = await visitor.open(f"{made.path}/{other.binding_id}{path}", status=404)
        await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such controller binding")
    page = await visitor.open(f"/depots/{NOBODY}/controllers", status=404)
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such depot")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_the_tab_is_accessible_in_both_themes(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int]
) -> None:
    name = "desktop" if size == DESKTOP else "phone"
    visitor.expected = ("422", "409")
    made = await two_controllers(product)
    await call(product, "PATCH", f"/api/devices/{made.a}", json={"controller": "bba-1"})
    idle = {
        "depot_id": str(made.site.depot_id),
        "device_id": made.b,
        "capabilities": ["PEAK_SHAVING"],
        "enabled": False,
    }
    await call(product, "POST", API, json=idle)
    await call(product, "PATCH", made.api, json={"capabilities": ["DER", "PEAK_SHAVING"], "enabled": False})
    await call(product, "PATCH", made.api, json={"enabled": True})
    for sensor in ("mgc-1", "mgc-2"):
        await send(product, packet(made.site, None, sensor, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    dialog_of = {
        "disable": "Disable the binding of Device mgc-1",
        "delete": "Delete the binding of Device mgc-1",
        "enable": "Enable the binding of Device mgc-2",
        "history": "History of the binding of Device mgc-1",
        "edit": "Edit the binding of Device mgc-1",
    }
    for what, button in dialog_of.items():
        page = await visitor.open(made.path, size=size)
        if what == "disable":
            await look(page, f"controllers-{name}")
        await page.get_by_role("button", name=button).click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        if what == "edit":
            await page.get_by_role("dialog").get_by_label("Enabled").uncheck()
            await expect(effect(page, "DER")).to_contain_text("Stops")
            await call(product, "PATCH", made.api, json={"capabilities": ["DER"], "enabled": True})
            await page.get_by_role("dialog").get_by_role("button", name="Save").click()
            await expect(page.locator(".conflict")).to_be_visible()
        await look(page, f"controllers-{what}-{name}")
    page = await visitor.open(made.path, size=size)
    await page.get_by_role("button", name="Bind a controller").click()
    await page.get_by_role("dialog").get_by_label("DER export limit").check()
    await choose_device(page, "Device mgc-2")
    await page.get_by_role("dialog").get_by_role("button", name="Bind", exact=True).click()
    await expect(page.locator("#capability-DER-error")).to_be_visible()
    await look(page, f"controllers-problems-{name}")
    page = await visitor.open(made.path, size=size)
    await is_live(page)
    await page.get_by_role("button", name="Listen for the next packet of Device mgc-2").click()
    await expect(page.locator("#waiting")).to_be_visible()
    await look(page, f"controllers-waiting-{name}")
    sent = packet(
        made.site, None, "mgc-2", LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="FALSE", TOTAL_POWER_LOAD=123456.5
    )
    await send(product, sent)
    await expect(page.locator("#arrived")).to_be_visible()
    await look(page, f"controllers-arrived-{name}")

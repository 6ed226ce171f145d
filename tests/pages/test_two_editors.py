"""Two people at once, each in a browser of their own: nobody undoes what the other did, and each is told of it."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator, Page, expect

from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with
from tests.factories.sites import controller_site
from tests.helpers.journal import journal
from tests.helpers.live import http_client
from tests.helpers.support import circuits_of, synced
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, picture

ACTOR = "local-administrator"


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


async def saved(page: Page, button: str = "Save") -> None:
    await dialog(page).get_by_role("button", name=button).click()
    await expect(dialog(page)).to_be_hidden()


async def call(product: RunningProduct, method: str, path: str, **more: Any) -> Any:
    async with http_client(product.url) as caller:
        answer = await caller.request(method, path, **more)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def test_who_only_rates_a_circuit_undoes_neither_its_name_nor_its_place(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"), NewCircuit("Feed 2"), NewCircuit("Feed 3"))
    await synced(product.engine, depot_id)
    visitor.expected = ("409", "404")
    one = await visitor.open(f"/depots/{depot_id}/microgrid", size=PHONE)
    other = await visitor.open(f"/depots/{depot_id}/microgrid", size=DESKTOP)
    for page in (one, other):
        await page.get_by_role("button", name="Edit Feed 1").click()
        await expect(dialog(page).get_by_label("Name")).to_have_value("Feed 1")
    await dialog(other).get_by_label("Name").fill("Intake")
    await dialog(other).get_by_label("Parent circuit").select_option(label="Feed 2")
    await saved(other)

    await dialog(one).get_by_label("Rated power").fill("630")
    await dialog(one).get_by_role("button", name="Save").click()
    conflict = dialog(one).locator(".conflict")
    await expect(conflict).to_contain_text("It is version 2 now. VERSION_CONFLICT")
    await expect(conflict).to_contain_text(ACTOR)
    await expect(conflict.locator(".change-list > li")).to_have_text(
        ["Name Feed 1 → became Intake", "Parent circuit top level → became Feed 2"], use_inner_text=True
    )
    await expect(dialog(one).get_by_label("Name")).to_have_value("Intake")
    await expect(dialog(one).get_by_label("Rated power")).to_have_value("630")
    assert not await is_wider_than_the_screen(one)
    await picture(one, "circuit-conflict-phone")
    await saved(one, "Save on version 2")
    intake = next(each for each in await circuits_of(product.engine, depot_id) if each.name == "Intake")
    assert (intake.rated_power_w, intake.version) == (630_000, 3)
    assert (
        intake.parent_id
        == next(each for each in await circuits_of(product.engine, depot_id) if each.name == "Feed 2").circuit_id
    )
    told = await journal(product.engine, str(intake.circuit_id))
    assert [(action, actor) for action, actor, _ in told] == [("CIRCUIT_CHANGED", ACTOR)] * 2
    assert told[-1][2] == {"rated_power_w": [None, 630_000]}

    # Where both change the same, the own input stays until one decides; and one may drop it.
    for page in (one, other):
        await page.get_by_role("button", name="Edit Feed 3").click()
        await expect(dialog(page).get_by_label("Name")).to_have_value("Feed 3")
    await dialog(other).get_by_label("Name").fill("Theirs")
    await saved(other)
    await dialog(one).get_by_label("Name").fill("Mine")
    await dialog(one).get_by_role("button", name="Save").click()
    await expect(dialog(one).locator(".now-holds")).to_have_text("Yours. Saved value: Theirs")
    await expect(dialog(one).get_by_label("Name")).to_have_value("Mine")
    await dialog(one).get_by_role("button", name="Discard mine").click()
    await expect(dialog(one).get_by_label("Name")).to_have_value("Theirs")
    # And what was deleted meanwhile is told of where one works on it.
    gone = next(each for each in await circuits_of(product.engine, depot_id) if each.name == "Theirs")
    await call(product, "DELETE", f"/api/circuits/{gone.circuit_id}")
    await dialog(one).get_by_label("Name").fill("Mine")
    await dialog(one).get_by_role("button", name="Save").click()
    await expect(dialog(one).get_by_role("heading")).to_have_text("This no longer exists")


async def test_a_circuit_comes_after_the_sibling_that_was_chosen_whoever_came_between(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"), NewCircuit("Feed 2"), NewCircuit("Feed 3"))
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await page.get_by_role("button", name="Edit Feed 1").click()
    await dialog(page).get_by_label("Place among its siblings").select_option(label="After Feed 2")
    await call(product, "POST", f"/api/depots/{depot_id}/circuits", json={"name": "Feed 0", "position": 0})
    await saved(page)
    names = [each.name for each in await circuits_of(product.engine, depot_id)]
    assert names == ["Feed 0", "Feed 2", "Feed 1", "Feed 3"]


async def test_gateways_and_power_sources_tell_of_each_other_as_well(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    gateway = await call(product, "POST", "/api/gateways", json={"depot_id": str(depot_id), "name": "Cabinet"})
    source = await call(
        product, "POST", "/api/power-sources", json={"depot_id": str(depot_id), "name": "Roof", "kind": "SOLAR"}
    )
    page = await visitor.open(f"/depots/{depot_id}/devices")
    visitor.expected = ("409",)
    await page.get_by_role("button", name="Edit Cabinet").click()
    await dialog(page).get_by_label("Site model").fill("BBA-1")
    path = f"/api/gateways/{gateway['gateway_id']}"
    translation = {"power_source_id": source["power_source_id"]}
    await call(product, "PATCH", path, json={"name": "Yard cabinet", "output_translation": translation})
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page).locator(".change-list > li")).to_have_text(
        ["Name Cabinet → became Yard cabinet", "Output translation none → became Names Roof"], use_inner_text=True
    )
    await expect(dialog(page).get_by_label("Output translation")).to_have_value(source["power_source_id"])
    await saved(page, "Save on version 2")
    now = await call(product, "GET", path)
    assert (now["name"], now["site_model_name"], now["output_translation"]) == ("Yard cabinet", "BBA-1", translation)

    await page.get_by_role("button", name="Edit Roof").click()
    await dialog(page).get_by_label("Linked circuit").select_option(label="Feed 1")
    path = f"/api/power-sources/{source['power_source_id']}"
    await call(product, "PATCH", path, json={"kind": "BATTERY"})
    await dialog(page).get_by_role("button", name="Save").click()
    await expect(dialog(page).locator(".change-list > li")).to_have_text(
        "Kind Solar → became Battery", use_inner_text=True
    )
    await saved(page, "Save on version 2")
    now = await call(product, "GET", path)
    assert (now["kind"], now["circuit_name"], now["version"]) == ("BATTERY", "Feed 1", 3)


async def test_a_sensor_action_and_the_binding_that_it_is_go_on_from_what_holds_in_one_way(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    action_id = made.actions["mgc-1", "UPDATE_MICROGRID_STATE"]
    visitor.expected = ("409",)
    one = await visitor.open(f"/devices/{made.devices['mgc-1']}", size=PHONE)
    other = await visitor.open(f"/depots/{made.depot_id}/controllers")

    async def now() -> dict[str, Any]:
        return await call(product, "GET", f"/api/sensor-actions/{action_id}")

    async def open_both() -> None:
        await one.get_by_role("button", name="Edit Update Microgrid State").click()
        await expect(dialog(one).get_by_label("LIMIT_PEAK_SHAVING")).to_be_visible()
        await other.get_by_role("button", name="Edit the binding of Device mgc-1").click()
        await expect(dialog(other).get_by_label("Peak shaving")).to_be_visible()

    async def left_alone(page: Page, taken: str) -> None:
        await expect(dialog(page).locator(".kept")).to_contain_text(f"show the saved values: {taken}.")
        await expect(dialog(page).locator(".now-holds")).to_have_count(0)
        assert not await is_wider_than_the_screen(page)

    # What the binding's form changed is in the action's form, and saving there leaves it as it is.
    await open_both()
    await dialog(other).get_by_label("Peak shaving").uncheck()
    await saved(other)
    await dialog(one).get_by_label("Enabled").uncheck()
    await dialog(one).get_by_role("button", name="Save").click()
    await left_alone(one, "Measurands")
    await expect(dialog(one).get_by_label("LIMIT_PEAK_SHAVING")).not_to_be_checked()
    await expect(dialog(one).get_by_label("Enabled")).not_to_be_checked()
    await picture(one, "action-conflict-taken-phone")
    await saved(one, "Save on version 2")
    assert [(await now())[name] for name in ("measurands", "enabled", "version")] == [["LIMIT_DER_EXPORT"], False, 3]

    # And the other way round.
    await open_both()
    await dialog(one).get_by_label("LIMIT_PEAK_SHAVING").check()
    await saved(one)
    await dialog(other).get_by_label("Enabled").check()
    await dialog(other).get_by_role("button", name="Save").click()
    await left_alone(other, "Capabilities")
    await expect(dialog(other).get_by_label("Peak shaving")).to_be_checked()
    await picture(other, "binding-conflict-taken-desktop")
    await saved(other, "Save on version 4")
    both = ["LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT"]
    assert (sorted((await now())["measurands"]), (await now())["enabled"]) == (sorted(both), True)

    # Where both change the same, either form keeps the own input and says what holds now.
    await open_both()
    await dialog(other).get_by_label("DER export limit").uncheck()
    await saved(other)
    await dialog(one).get_by_label("LIMIT_PEAK_SHAVING").uncheck()
    await dialog(one).get_by_role("button", name="Save").click()
    await expect(dialog(one).locator(".now-holds")).to_have_text("Yours. Saved value: LIMIT_PEAK_SHAVING")
    await expect(dialog(one).locator(".kept")).not_to_contain_text("saved values")
    await saved(one, "Save on version 6")
    assert ((await now())["measurands"], (await now())["version"]) == (["LIMIT_DER_EXPORT"], 7)


async def test_agreeing_to_one_circuit_deletes_no_other_that_came_since(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(
        product.engine, NewCircuit("Feed 1", None, (NewCircuit("Leaf 1"),)), NewCircuit("Feed 2")
    )
    await synced(product.engine, depot_id)
    visitor.expected = ("409",)
    one = await visitor.open(f"/depots/{depot_id}/microgrid", size=PHONE)
    other = await visitor.open(f"/depots/{depot_id}/microgrid")
    await one.get_by_role("button", name="Edit Feed 1").click()
    await dialog(one).get_by_role("button", name="Delete").click()
    await expect(dialog(one).locator(".cascade li")).to_have_text(["Leaf 1"])
    for number in range(2, 7):
        await other.get_by_role("button", name="Edit Feed 1").click()
        await dialog(other).get_by_role("button", name="Add below").click()
        await expect(dialog(other).get_by_role("heading")).to_have_text("Add circuit")
        await dialog(other).get_by_label("Name").fill(f"Leaf {number}")
        await saved(other, "Add circuit")
    await dialog(one).get_by_role("checkbox").check()
    await dialog(one).get_by_role("button", name="Delete").click()
    await expect(dialog(one).get_by_role("alert")).to_contain_text("Nothing was deleted")
    await expect(dialog(one).get_by_role("alert")).to_contain_text("DELETION_CHANGED")
    await expect(dialog(one).locator(".cascade li")).to_have_text([f"Leaf {number}" for number in range(1, 7)])
    await expect(dialog(one).get_by_role("checkbox")).not_to_be_checked()
    assert len(await circuits_of(product.engine, depot_id)) == 8
    await picture(one, "deletion-changed-phone")
    assert not await is_wider_than_the_screen(one)
    await dialog(one).get_by_role("checkbox").check()
    await saved(one, "Delete")
    assert [each.name for each in await circuits_of(product.engine, depot_id)] == ["Feed 2"]


async def test_a_gateway_and_a_device_go_only_with_what_was_shown(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    gateway = await call(product, "POST", "/api/gateways", json={"depot_id": str(depot_id), "name": "Cabinet"})
    device = {"gateway_id": gateway["gateway_id"], "sensor_id": "em-1", "name": "Meter"}
    page = await visitor.open(f"/depots/{depot_id}/devices")
    visitor.expected = ("409",)
    await page.get_by_role("button", name="Edit Cabinet").click()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page).get_by_role("heading", name="Delete Cabinet?")).to_be_visible()
    await expect(dialog(page).get_by_role("checkbox")).to_have_count(0)
    made = await call(product, "POST", "/api/devices", json=device)
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page).get_by_role("alert")).to_contain_text("DELETION_CHANGED")
    await expect(dialog(page).locator(".cascade li")).to_have_text(["Meter"])
    await dialog(page).get_by_role("button", name="Cancel").click()

    await page.get_by_role("button", name="Edit Meter").click()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page).get_by_role("heading", name="Delete Meter?")).to_be_visible()
    action = {"action": "UPDATE_POWER_SOURCE_LOAD", "measurands": ["TOTAL_POWER_LOAD"]}
    await call(product, "POST", f"/api/devices/{made['device_id']}/sensor-actions", json=action)
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(dialog(page).get_by_role("alert")).to_contain_text("DELETION_CHANGED")
    await expect(dialog(page)).to_contain_text("1 sensor action goes with it")
    await saved(page, "Delete")
    await expect(page.get_by_text("0 devices")).to_be_visible()

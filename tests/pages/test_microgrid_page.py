"""The System Admin Microgrid tab, in a real browser."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import text

from api.ui.base.words import exact
from domain.site.circuit_capacity import CapacityPolicy
from store.base.database import transaction
from store.site.circuits import list_circuits, update_circuit
from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with, make_large_depot
from tests.factories.sites import add_action, add_device, make_site
from tests.helpers.support import ACTOR, assert_follows, microgrid_of, synced
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, look, picture, violations

_HARD_TO_READ = """
    names => names.filter(name => {
        const box = name.getBoundingClientRect();
        return box.left < 0 || box.right > innerWidth || parseFloat(getComputedStyle(name).fontSize) < 14;
    }).map(name => name.textContent)
"""


def connections(page: Page) -> Locator:
    return page.locator(".infeed > .head .called")


@pytest.mark.acceptance("COR-8.8")
async def test_the_tab_loads_by_depot_and_draws_the_structure(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(
        product.engine,
        NewCircuit("Utility feed", 1.5e6, (NewCircuit("Charger bank", 5e5, (NewCircuit("Charger A", 75e3),)),)),
        NewCircuit("HV intake"),
    )
    microgrid = await synced(product.engine, depot_id)
    page = await visitor.open("/depots")
    await page.get_by_role("link", name="Arrow Road").click()
    await page.get_by_role("navigation", name="Depot", exact=True).get_by_role("link", name="Circuits").click()
    await expect(page).to_have_url(f"{product.url}/depots/{depot_id}/microgrid")
    await expect(connections(page)).to_have_text(["Utility feed", "HV intake"])
    top = page.locator(".infeeds > .infeed").first
    await expect(top.locator("> .bus > .branch > .rung .called")).to_have_text(["Charger bank"])
    await expect(top.locator("> .bus > .branch > .bus > .branch > .rung .called")).to_have_text(["Charger A"])
    await expect(top.get_by_text("1.5\u202fMW")).to_be_visible()
    # Nothing stands above the grid connections: no internal root.
    assert await page.locator(".infeeds").count() == 1
    assert await page.locator(".called").all_inner_texts() == ["Utility feed", "Charger bank", "Charger A", "HV intake"]
    await expect(page.locator("#version")).to_have_text("1")
    await expect(page.get_by_text(str(microgrid.microgrid_id))).to_be_visible()


@pytest.mark.acceptance("COR-8.9")
async def test_resync_repairs_drift_and_says_so_in_words(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"), NewCircuit("Feed 2"))
    microgrid = await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
    async with product.engine.begin() as connection:
        # Drift as it comes from outside: a node is lost, another has a wrong name.
        nodes = {"id": microgrid.microgrid_id}
        await connection.execute(
            text("DELETE FROM microgrid_nodes WHERE microgrid_id = :id AND name = 'Feed 1'"), nodes
        )
        await connection.execute(text("UPDATE microgrid_nodes SET name = 'Old' WHERE microgrid_id = :id"), nodes)
    await expect(page.locator("#drift")).to_contain_text("Out of sync")
    await expect(page.locator("#drift .change-list")).to_have_text(
        "Added Feed 1 Renamed Old → Feed 2", use_inner_text=True
    )
    await expect(connections(page)).to_have_text(["Old"])
    await page.get_by_role("button", name="Resync").click()
    outcome = page.locator("#resynced")
    await expect(outcome).to_contain_text("Microgrid repaired. Version 1 → 2.")
    await expect(outcome.locator(".change-list li")).to_have_text(["Added Feed 1", "Renamed Old → Feed 2"])
    await expect(page.locator("#drift")).to_have_count(0)
    await expect(connections(page)).to_have_text(["Feed 1", "Feed 2"])
    await expect(page.locator("#version")).to_have_text("2")
    assert (await assert_follows(product.engine, depot_id)).version == 2
    await page.get_by_role("button", name="Resync").click()
    await expect(outcome).to_contain_text("Nothing to change. Still version 2.")


async def test_circuits_are_changed_here_and_the_structure_follows(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(
        product.engine, NewCircuit("Feed 1", None, (NewCircuit("Bank", 4e5),)), NewCircuit("Feed 2")
    )
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    dialog = page.get_by_role("dialog")
    visitor.expected = ("422",)

    await page.get_by_role("button", name="Add circuit").click()
    await expect(dialog.get_by_label("Name")).to_be_focused()
    await dialog.get_by_label("Rated power").fill("-3")
    await dialog.get_by_role("button", name="Add circuit").click()
    await expect(dialog.get_by_text("A name must not be blank.")).to_be_visible()
    await expect(dialog.get_by_text("A rated power is a number of kilowatts above 0")).to_be_visible()
    await dialog.get_by_label("Name").fill("Feed 3")
    await dialog.get_by_label("Rated power").fill("630")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(connections(page)).to_have_text(["Feed 1", "Feed 2", "Feed 3"])
    await expect(page.locator("#version")).to_have_text("2")

    edit = page.get_by_role("button", name="Edit Feed 2")
    await edit.click()
    await dialog.get_by_label("Name").fill("Feed two")
    await dialog.get_by_role("button", name="Save").click()
    await expect(connections(page)).to_have_text(["Feed 1", "Feed two", "Feed 3"])
    await expect(page.get_by_role("button", name="Edit Feed two")).to_be_focused()
    await expect(page.locator("#version")).to_have_text("2")

    await page.get_by_role("button", name="Edit Feed 3").click()
    await dialog.get_by_label("Place among its siblings").select_option(label="First")
    await dialog.get_by_role("button", name="Save").click()
    await expect(connections(page)).to_have_text(["Feed 3", "Feed 1", "Feed two"])
    await expect(page.locator("#version")).to_have_text("3")

    await page.get_by_role("button", name="Edit Feed two").click()
    await dialog.get_by_label("Parent circuit").select_option(label="Feed 1 \u203a Bank")
    await dialog.get_by_role("button", name="Save").click()
    await expect(connections(page)).to_have_text(["Feed 3", "Feed 1"])
    await expect(page.locator(".branch .called")).to_have_text(["Bank", "Feed two"])

    await page.get_by_role("button", name="Edit Bank").click()
    await dialog.get_by_role("button", name="Add below").click()
    await expect(dialog.get_by_role("heading")).to_have_text("Add circuit")
    await dialog.get_by_label("Name").fill("Charger")
    await page.keyboard.press("Enter")
    await expect(page.locator(".branch .called")).to_have_text(["Bank", "Feed two", "Charger"])
    assert [node.name for node in (await microgrid_of(product.engine, depot_id)).grid_connections] == [
        "Feed 3",
        "Feed 1",
    ]


async def test_a_deletion_names_what_goes_and_asks_for_the_cascade(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(
        product.engine,
        NewCircuit("Feed 1", None, (NewCircuit("Bank", 4e5, (NewCircuit("Charger"),)),)),
        NewCircuit("Feed 2"),
    )
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Edit Feed 1").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(dialog).to_contain_text("its grid connection is deleted with it")
    await expect(dialog.locator(".cascade li")).to_have_text(["Bank", "Charger"])
    visitor.expected = ("422",)
    await dialog.get_by_role("button", name="Delete").click()
    await expect(dialog).to_contain_text("Confirm that the circuits below are deleted as well")
    await expect(connections(page)).to_have_text(["Feed 1", "Feed 2"])
    await dialog.get_by_role("checkbox").check()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(dialog).to_be_hidden()
    await expect(connections(page)).to_have_text(["Feed 2"])
    await expect(page.locator("#structure-title")).to_be_focused()
    await page.get_by_role("button", name="Edit Feed 2").click()
    await expect(dialog.get_by_label("Name")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="Edit Feed 2")).to_be_focused()


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
async def test_a_deletion_names_the_devices_and_actions_that_stop(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int], name: str
) -> None:
    made = await make_site(product.engine, feeds=2)
    await add_device(product.engine, made, circuit_id=made.circuit_ids[0])
    measurands = ("AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS")
    await add_action(product.engine, made, "UPDATE_CIRCUIT_CAPACITY", *measurands, policy=CapacityPolicy())
    page = await visitor.open(f"/depots/{made.depot_id}/microgrid", size=size)
    await expect(page.locator("#resync-hint")).to_contain_text("Resync is normally not needed")
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Edit Feed 1").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(dialog).to_contain_text("What is linked to it stays, without a circuit:")
    await expect(dialog).to_contain_text("These sensor actions stop, with a remediation")
    await expect(dialog.locator(".cascade li")).to_have_text(["Device mgc-1", "Device mgc-1, Update Circuit Capacity"])
    await look(page, f"circuit-delete-{name}")


@pytest.mark.acceptance("COR-8.8")
async def test_a_large_structure_is_legible_also_on_a_phone(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_large_depot(product.engine)
    await synced(product.engine, depot_id)
    for size, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
        page = await visitor.open(f"/depots/{depot_id}/microgrid", size=size)
        await expect(connections(page)).to_have_text([f"Grid supply {number}" for number in (1, 2, 3, 4)])
        await expect(page.locator(".rung.circuit")).to_have_count(4 * 30)
        for kind in ("Battery", "Solar", "Generator", "Device"):
            await expect(page.locator(".infeeds .kind").get_by_text(kind).first).to_be_visible()
        await expect(page.locator(".unlinked .called")).to_have_text(["Spare meter"])
        assert not await is_wider_than_the_screen(page)
        # Every name has the room that it needs, and is no smaller than the rest of the page.
        assert await page.locator(".called").evaluate_all(_HARD_TO_READ) == []
        await picture(page, f"microgrid-{name}")


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
async def test_the_largest_depot_is_looked_through_page_by_page(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int], name: str
) -> None:
    bank = NewCircuit("Charger bank", None, tuple(NewCircuit(f"Charger {n}", 75e3) for n in range(4_000)))
    feeds = tuple(NewCircuit(f"Feed {n}", 1e6, (bank,) if n == 61 else ()) for n in range(998))
    depot_id = await make_depot_with(product.engine, *feeds, NewCircuit("Last feed"))
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid", size=size)
    await expect(page.get_by_text("Grid connections 1 to 60 of 999")).to_be_visible()
    await expect(connections(page)).to_have_count(60)
    assert await violations(page) == []
    assert not await is_wider_than_the_screen(page)
    await picture(page, f"microgrid-many-{name}")
    await page.get_by_role("link", name="Next").first.click()
    await expect(connections(page)).to_have_text([f"Feed {n}" for n in range(60, 120)])
    # What does not fit is a link, and what is behind it has pages of its own.
    await page.get_by_role("link", name="4\u202f000 circuits below").click()
    await expect(page.get_by_label("Way to this circuit")).to_contain_text("Charger bank")
    await expect(page.locator(".branch .called")).to_have_count(60)
    assert await violations(page) == []
    assert not await is_wider_than_the_screen(page)
    await picture(page, f"microgrid-below-{name}")
    await page.get_by_role("spinbutton", name="Page").fill("67")
    await page.get_by_role("button", name="Go").click()
    await expect(page.get_by_text("Circuits 3\u202f961 to 4\u202f000 of 4\u202f000")).to_be_visible()
    # Changing a circuit here stays here, and so does what others change.
    await page.get_by_role("button", name="Edit Charger 3999").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Charger at the gate")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_text("Charger at the gate")).to_be_visible()
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
    async with transaction(product.engine, ACTOR) as connection:
        for circuit in await list_circuits(connection, depot_id):
            if circuit.name == "Charger 3998":
                await update_circuit(connection, ACTOR, circuit.circuit_id, {"name": "Charger at the wash"})
    await expect(page.get_by_text("Charger at the wash")).to_be_visible()
    await expect(page.get_by_text("Circuits 3\u202f961 to 4\u202f000 of 4\u202f000")).to_be_visible()
    await page.get_by_label("Way to this circuit").get_by_role("link", name="Feed 61").click()
    await expect(page.locator(".head .called")).to_have_text("Feed 61")


async def test_what_is_below_is_folded_away_and_stays_so_when_the_page_is_refreshed(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(
        product.engine, NewCircuit("Feed 1", None, (NewCircuit("Bank", 4e5, (NewCircuit("A"),)),))
    )
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    fold = page.get_by_role("button", name="What is below Bank")
    await fold.press("Enter")
    await expect(page.get_by_text("A", exact=True)).to_be_hidden()
    async with transaction(product.engine, ACTOR) as connection:
        for circuit in await list_circuits(connection, depot_id):
            if circuit.name == "Feed 1":
                await update_circuit(connection, ACTOR, circuit.circuit_id, {"name": "Utility feed"})
    await expect(connections(page)).to_have_text(["Utility feed"])
    await expect(fold).to_have_attribute("aria-expanded", "false")
    await expect(page.get_by_text("A", exact=True)).to_be_hidden()


async def test_a_depot_without_a_microgrid_says_why_and_heals_before_ones_eyes(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(product.engine)
    visitor.expected = ("404",)
    page = await visitor.open(f"/depots/{depot_id}/microgrid", status=404)
    await expect(page.locator("#unresolved")).to_contain_text("NO_TOP_LEVEL_CIRCUITS")
    await page.get_by_role("button", name="Resync").click()
    await expect(page.locator("#resynced")).to_contain_text("No top-level circuit. There is no microgrid to sync.")
    await page.get_by_role("button", name="Add circuit").click()
    await page.get_by_role("dialog").get_by_label("Name").fill("Feed 1")
    await page.keyboard.press("Enter")
    await expect(connections(page)).to_have_text(["Feed 1"])
    await expect(page.locator("#parts .badge")).to_have_text("Provisioned")
    assert (await page.reload() or pytest.fail("no answer")).status == 200


async def test_times_are_relative_and_exact_in_the_depots_time_zone(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    async with product.engine.begin() as connection:
        await connection.execute(text("UPDATE microgrids SET synced_at = now() - interval '3 hours 5 minutes'"))
    page = await visitor.open(f"/depots/{depot_id}/microgrid", zone="Australia/Sydney")
    synced_at = (await microgrid_of(product.engine, depot_id)).synced_at
    age = page.locator(".facts age-time")
    await expect(age.locator("[part=age]")).to_have_text("3 h 5 min ago")
    await expect(age).to_have_attribute("title", exact(synced_at, "America/Toronto"))
    await expect(age.locator("time")).to_have_text(exact(synced_at, "America/Toronto"))
    clock = page.locator("zone-clock")
    shown = await clock.evaluate("clock => clock.shadowRoot.textContent")
    now = datetime.now(ZoneInfo("America/Toronto"))
    assert shown in {f"{now - timedelta(minutes=step):%H:%M} local" for step in (0, 1)}

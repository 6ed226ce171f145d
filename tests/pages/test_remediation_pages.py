"""The remediations page, the count in the navigation, and how fresh the depots of the list are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from domain.site.circuit_capacity import CapacityPolicy
from runtime.controllers import controller_tables
from store.base.database import transaction
from store.base.notifications.notify import ChangeKind, notify
from store.site.devices import update_device
from store.site.remediations import close_remediations
from tests.factories.sites import MadeDepot, add_action, add_device, controller_site, make_site, milliseconds, packet
from tests.helpers.support import ACTOR
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, send
from tests.pages.helpers.looking import look

FOLLOWED = ("HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY")


async def stopped(product: RunningProduct, sensor_id: str = "mgc-9") -> MadeDepot:
    """Make a site one of whose devices has a remediation: it is linked to no circuit."""
    made = await make_site(product.engine)
    await add_device(product.engine, made, sensor_id)
    await add_action(
        product.engine, made, "UPDATE_CIRCUIT_CAPACITY", *FOLLOWED, sensor_id=sensor_id, policy=CapacityPolicy()
    )
    await stop(product, made, sensor_id)
    return made


async def stop(product: RunningProduct, made: MadeDepot, sensor_id: str = "mgc-9", ago: float = 0) -> None:
    """Send a packet that is stopped by the site's configuration."""
    at = milliseconds(datetime.now(UTC) - timedelta(seconds=ago))
    await send(product, packet(made, at, sensor_id, HEARTBEAT_STATUS="ok", AVAILABLE_CHARGING_CAPACITY=1000))


async def test_what_stops_updates_is_listed_with_what_to_do(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/remediations")
    await is_live(page)
    await expect(page.locator(".empty")).to_contain_text("No configuration fault stops an update.")
    await expect(page.locator(".open-count")).to_be_empty()
    made = await stopped(product)
    # It comes by itself, and is counted on every page.
    item = page.locator(".remediation")
    await expect(item).to_have_count(1)
    await expect(page.locator(".open-count")).to_have_text("1 open")
    await expect(item.get_by_role("heading")).to_have_text(
        "The device is to update the capacity of a circuit, and is linked to none."
    )
    for told in (
        "Link the device to the circuit whose capacity its controller sets.",
        "Gateway",
        "Update Circuit Capacity",
        "1 packet",
        "DEVICE_WITHOUT_CIRCUIT",
    ):
        await expect(item).to_contain_text(told)
    device = f"/devices/{made.devices['mgc-9']}#action-{made.actions['mgc-9', 'UPDATE_CIRCUIT_CAPACITY']}"
    await expect(item.get_by_role("link", name="Device mgc-9")).to_have_attribute("href", device)
    await stop(product, made, ago=-1)
    await page.reload()
    await expect(item).to_contain_text("2 packets")
    other = await visitor.open("/depots/new")
    await expect(other.locator(".open-count")).to_have_text("1 open")
    # Mended, and a packet goes through: it is gone.
    async with transaction(product.engine, ACTOR) as connection:
        await update_device(
            connection, ACTOR, made.devices["mgc-9"], {"circuit_id": made.circuit_ids[0]}, controller_tables()
        )
    await stop(product, made, ago=-2)
    await expect(item).to_have_count(0)
    await expect(page.locator(".open-count")).to_be_empty()
    await expect(other.locator(".open-count")).to_be_empty()
    await item.first.wait_for(state="detached")
    await page.get_by_role("link", name="Depots").click()
    await expect(page).to_have_url(f"{product.url}/depots")


async def test_a_remediation_is_resolved_by_hand_after_a_question(product: RunningProduct, visitor: Visitor) -> None:
    await stopped(product)
    other = await stopped(product)
    async with product.engine.begin() as connection:
        await connection.execute(text("UPDATE depots SET name = 'Other yard' WHERE id = :id"), {"id": other.depot_id})
    page = await visitor.open("/remediations")
    await is_live(page)
    items = page.locator(".remediation")
    await expect(items).to_have_count(2)
    await page.get_by_label("Depot").select_option(label="Other yard (1)")
    await expect(items).to_have_count(1)
    await expect(page).to_have_url(f"{product.url}/remediations?state=OPEN&depot_id={other.depot_id}")
    resolve = items.get_by_role("button", name="Resolve")
    dialog = page.get_by_role("dialog")
    await resolve.press("Enter")
    await expect(dialog).to_contain_text("The next packet that is stopped opens it again.")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(resolve).to_be_focused()
    await expect(items).to_have_count(1)
    await resolve.click()
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(page.get_by_text("No remediations match")).to_be_visible()
    await expect(page.locator("#list")).to_be_focused()
    await expect(page.locator(".open-count")).to_have_text("1 open")
    await page.get_by_role("link", name="Closed", exact=True).click()
    await expect(items.locator(".badge")).to_have_text("Closed")
    await expect(items).to_contain_text("by local-admin")
    await expect(items.get_by_role("button")).to_have_count(0)
    await page.goto("/remediations?state=ALL")
    await expect(items.locator(".badge")).to_have_text(["Closed", "Open"])
    # The next packet that is stopped opens another.
    await is_live(page)
    await stop(product, other, ago=-1)
    await expect(page.locator(".open-count")).to_have_text("2 open")
    await expect(items).to_have_count(3)


async def test_a_remediation_is_mended_from_the_list_and_waits_for_a_packet(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await stopped(product)
    page = await visitor.open(f"/remediations?depot_id={made.depot_id}")
    await is_live(page)
    item = page.locator(".remediation")
    await expect(item).to_contain_text("High: what may be drawn on a circuit is not set by its controller")
    await look(page, "remediation-to-do")
    await item.get_by_role("button", name="Choose its circuit").press("Enter")
    dialog = page.get_by_role("dialog")
    circuit = dialog.get_by_label("Linked circuit")
    await expect(circuit).to_be_focused()
    await look(page, "remediation-form")
    await circuit.select_option(label="Feed 1")
    await dialog.get_by_role("button", name="Save").click()
    # The same list is shown again, of the same depot.
    await expect(item).to_contain_text("Mended, waiting for a packet")
    await expect(page).to_have_url(f"{product.url}/remediations?depot_id={made.depot_id}")
    await expect(item.get_by_role("button", name="Choose its circuit")).to_have_count(0)
    await look(page, "remediation-mended")
    await is_live(page)
    await stop(product, made, ago=-1)
    await expect(item).to_have_count(0)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_a_device_with_a_remediation_is_marked(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int]
) -> None:
    made = await stopped(product)
    await add_device(product.engine, made, "fine")
    page = await visitor.open(f"/depots/{made.depot_id}/devices", size=size)
    await is_live(page)
    mark = page.get_by_role("link", name="1 remediation of Device mgc-9")
    device = f"/devices/{made.devices['mgc-9']}#action-{made.actions['mgc-9', 'UPDATE_CIRCUIT_CAPACITY']}"
    await expect(mark).to_have_attribute("href", device)
    await expect(page.get_by_role("link", name="remediation of Device fine")).to_have_count(0)
    await look(page, f"devices-remediation-{'desktop' if size == DESKTOP else 'phone'}")
    # It goes when somebody closes the remediation elsewhere.
    async with transaction(product.engine, ACTOR) as connection:
        await close_remediations(connection, ACTOR, made.depot_id, every=True)
        await notify(connection, {made.depot_id: {ChangeKind.REMEDIATION}})
    await expect(mark).to_have_count(0)


async def test_a_long_list_is_loaded_as_one_scrolls(product: RunningProduct, visitor: Visitor) -> None:
    made = await stopped(product)
    async with product.engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO remediations (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates,
                                          opened_at, last_seen_at, times)
                SELECT depot_id, gateway_id, device_id, uuidv7(), action, code, candidates, opened_at, last_seen_at, n
                FROM remediations, generate_series(1, 129) AS n
            """)
        )
    page = await visitor.open(f"/remediations?depot_id={made.depot_id}")
    items = page.locator(".remediation")
    await expect(page.locator(".open-count")).to_have_text("130 open")
    while (loaded := await items.count()) < 130:
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(items.nth(loaded)).to_be_attached()
    await expect(page.locator(".more")).to_have_count(0)
    ids = await items.evaluate_all("items => items.map(item => item.id)")
    assert len(set(ids)) == 130


async def test_what_cannot_be_resolved_is_told_beside_the_list(product: RunningProduct, visitor: Visitor) -> None:
    made = await stopped(product)
    visitor.expected = ("404",)
    page = await visitor.open("/remediations")
    await expect(page.locator("#live")).to_have_text("Live")
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    # Gone while the question is open, without anybody being told.
    async with product.engine.begin() as connection:
        await connection.execute(text("DELETE FROM remediations"))
    await page.get_by_role("dialog").get_by_role("button", name="Resolve").click()
    await expect(page.locator("#notices")).to_contain_text("There is no such remediation")
    page = await visitor.open(f"/remediations?depot_id={made.depot_id}")
    await expect(page.get_by_text("No remediations match")).to_be_visible()
    gone = "018f4e6c-0000-7000-8000-000000000000"
    page = await visitor.open(f"/remediations?depot_id={gone}", status=404)
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such depot")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_the_pages_are_accessible_in_both_themes(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int]
) -> None:
    name = "desktop" if size == DESKTOP else "phone"
    await look(await visitor.open("/remediations", size=size), f"remediations-none-{name}")
    await stopped(product)
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    old = await controller_site(product.engine)
    await send(
        product, packet(old, milliseconds() - 400_000, LIMIT_PEAK_SHAVING="true"), packet(old, LIMIT_DER_EXPORT="true")
    )
    page = await visitor.open("/remediations?state=ALL", size=size)
    await expect(page.locator(".open-count")).to_have_text("1 open")
    await look(page, f"remediations-{name}")
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await look(page, f"remediation-resolve-{name}")
    await look(await visitor.open("/depots", size=size), f"depots-statuses-{name}")


async def test_depots_are_filtered_by_how_fresh_they_are(product: RunningProduct, visitor: Visitor) -> None:
    bare = await make_site(product.engine)
    fresh = await controller_site(product.engine)
    await send(product, packet(fresh, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    stale = await controller_site(product.engine)
    await send(
        product,
        packet(stale, milliseconds() - 400_000, LIMIT_PEAK_SHAVING="true"),
        packet(stale, LIMIT_DER_EXPORT="true"),
    )
    page = await visitor.open("/depots")
    await is_live(page)
    counts = page.locator("#by-freshness a")
    await expect(counts).to_have_text(["Any status 3", "Fresh 1", "Stale 1", "No status 1"])
    rows = page.locator("#rows > tr")
    for word, made, seen in (
        ("Fresh", fresh, ["Peak ON Fresh", "DER OFF Fresh"]),
        ("Stale", stale, ["Peak ON Stale", "DER ON Fresh"]),
        ("No status", bare, ["Peak no controller bound", "DER no controller bound"]),
    ):
        await counts.filter(has_text=word).click()
        await expect(rows).to_have_count(1)
        await expect(rows.locator(".latest-status")).to_have_text(seen, use_inner_text=True)
        await expect(rows.locator("th").get_by_role("link")).to_have_attribute("href", f"/depots/{made.depot_id}")
    # With what was searched for, and with the other filter.
    await page.goto("/depots?freshness=FRESH&provisioning=PROVISIONED&search=arrow")
    await expect(rows).to_have_count(1)
    await expect(page.locator("#by-provisioning [aria-current]")).to_have_text("Provisioned 1")
    await page.get_by_role("searchbox").fill("none such")
    await expect(page.get_by_text("No depots match")).to_be_visible()
    await expect(page.locator("#by-freshness [aria-current]")).to_have_text("Fresh 0")
    # What comes is shown without a reload.
    await page.goto("/depots?freshness=STALE")
    await is_live(page)
    await send(product, packet(stale, milliseconds() + 1000, LIMIT_PEAK_SHAVING="true"))
    await expect(page.get_by_text("No depots match")).to_be_visible()
    await expect(counts).to_have_text(["Any status 3", "Fresh 2", "Stale 0", "No status 1"])


async def test_a_depot_without_a_status_says_whether_a_controller_is_bound(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    page = await visitor.open("/depots")
    await is_live(page)
    statuses = page.locator("#rows .latest-status")
    await expect(statuses).to_have_text(
        ["Peak bound, nothing sent yet", "DER bound, nothing sent yet"], use_inner_text=True
    )
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true"))
    await expect(statuses).to_have_text(["Peak ON Fresh", "DER bound, nothing sent yet"], use_inner_text=True)


async def test_thousands_of_reporting_depots_are_filtered_without_waiting(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    async with product.engine.begin() as connection:
        await connection.execute(text("SELECT set_config('manage.importing', 'on', true)"))
        await connection.execute(_FLEET)
        await connection.execute(text("ANALYZE"))
    page = await visitor.open("/depots?freshness=STALE")
    await expect(page.locator("#by-freshness a")).to_have_text(
        ["Any status 6\u202f001", "Fresh 2\u202f001", "Stale 2\u202f000", "No status 2\u202f000"]
    )
    await expect(page.locator("#rows > tr").first).to_contain_text("Depot 00001")


_FLEET = text("""
    WITH made AS (
        INSERT INTO depots (name, timezone, provisioning, created_by, updated_by)
        SELECT 'Depot ' || lpad(number::text, 5, '0'), 'Europe/Zurich', 'PROVISIONED', 'import', 'import'
        FROM generate_series(1, 6000) AS number RETURNING id, name
    ), grids AS (
        INSERT INTO microgrids (depot_id, created_by, updated_by)
        SELECT id, 'import', 'import' FROM made RETURNING id, depot_id
    ), gates AS (
        INSERT INTO gateways (depot_id, name, created_by, updated_by)
        SELECT id, 'Gateway', 'import', 'import' FROM made RETURNING id, depot_id
    ), sensors AS (
        INSERT INTO devices (depot_id, gateway_id, sensor_id, name, created_by, updated_by)
        SELECT depot_id, id, 'mgc-1', 'Controller', 'import', 'import' FROM gates RETURNING id, depot_id
    ), actions AS (
        INSERT INTO sensor_actions (depot_id, device_id, action, measurands, created_by, updated_by)
        SELECT depot_id, id, 'UPDATE_MICROGRID_STATE', ARRAY['LIMIT_PEAK_SHAVING', 'LIMIT_DER_EXPORT'], 'import',
               'import' FROM sensors
    )
    INSERT INTO capability_latest (microgrid_id, capability, event_id, status, observed_at, received_at,
                                   provider_event_ref)
    SELECT g.id, k.capability, uuidv7(), 'ON',
           now() - CASE WHEN right(m.name, 5)::int % 3 = 1 THEN interval '1 hour' ELSE interval '0' END, now(), 'x'
    FROM made AS m JOIN grids AS g ON g.depot_id = m.id
    CROSS JOIN (VALUES ('PEAK_SHAVING'), ('DER')) AS k (capability)
    WHERE right(m.name, 5)::int % 3 > 0
""")

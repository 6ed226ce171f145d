"""The load page of a depot: its Microgrid card, its charts, and what holds now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from sqlalchemy import text

from api.ui.base.words import clock_second, clock_time, exact
from domain.site.circuit_capacity import CapacityPolicy
from runtime.settings import MICROGRID_CARD
from tests.factories.depots import make_depot_with
from tests.factories.load_sites import held, make_load_site, measure
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
from tests.helpers.support import until
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, section, send
from tests.pages.helpers.looking import NOBODY, SIZES, is_wider_than_the_screen, look, violations

TITLES = {"PEAK_SHAVING": "Peak shaving", "DER": "DER export limit"}
OTHER_SIZES = ((768, 1024), (1920, 1080), (320, 640))
_TICKING = "each => each.shadowRoot.textContent"
# What is folded away below it, and what is said of a stale status alone, is another matter.
_TOO_SMALL = """
    section => [...section.querySelectorAll("h3, .onoff, .freshness, age-time, dt, dd")].filter(each => {
        const stale = each.closest(".when-stale");
        if (each.closest("details:not([open])") || (stale && getComputedStyle(stale).display === "none")) {
            return false;
        }
        const box = each.getBoundingClientRect();
        const shown = box.width > 0 && box.height > 0 && box.left >= 0 && box.right <= innerWidth;
        return !shown || parseFloat(getComputedStyle(each).fontSize) < 12;
    }).map(each => each.outerHTML)
"""


async def post(
    product: RunningProduct, made: MadeDepot, capability: str, value: object, ref: str, ago: float = 0
) -> dict[str, Any]:
    """Post a status by the canonical path, as observed so many seconds ago."""
    body = {
        "capability": capability,
        "value": value,
        "observed_at": (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(),
        "provider_event_ref": ref,
    }
    async with http_client(product.url) as caller:
        answer = await caller.post(f"/api/microgrids/{made.microgrid_id}/capability-status", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def api_get(product: RunningProduct, path: str, **query: Any) -> dict[str, Any]:
    """Read from the API."""
    async with http_client(product.url) as caller:
        answer = await caller.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def latest(product: RunningProduct, made: MadeDepot) -> dict[str, dict[str, Any]]:
    """Read the canonical latest statuses."""
    async with http_client(product.url) as caller:
        answer = await caller.get(f"/api/microgrids/{made.microgrid_id}/capability-status")
    return {each["capability"]: each for each in answer.json()["items"]}


async def set_threshold(product: RunningProduct, made: MadeDepot, seconds: float) -> None:
    """Set how old both statuses may be."""
    async with http_client(product.url) as caller:
        answer = await caller.patch(
            f"/api/microgrids/{made.microgrid_id}/freshness-thresholds",
            json={"thresholds": {"PEAK_SHAVING": seconds, "DER": seconds}},
        )
    assert answer.status_code == 200, answer.text


async def shown(page: Page) -> dict[str, tuple[str, str]]:
    """What the card says of each capability: the status, and how fresh it is, as seen."""
    return {
        capability: (
            (await section(page, capability).locator(".onoff").inner_text()).split()[-1],
            (await section(page, capability).locator(".freshness").inner_text()).strip(),
        )
        for capability in TITLES
    }


@pytest.mark.acceptance("COR-9.1")
async def test_selecting_a_depot_opens_its_microgrid_card(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    page = await visitor.open("/depots")
    await page.get_by_role("link", name="Arrow Road").click()
    await expect(page).to_have_url(f"{product.url}/depots/{made.depot_id}/load")
    tabs = page.get_by_role("navigation", name="Depot").get_by_role("link")
    await expect(tabs.first).to_have_text("Load")
    await expect(tabs.first).to_have_attribute("aria-current", "page")
    for capability, title in TITLES.items():
        await expect(section(page, capability).get_by_role("heading")).to_have_text(title)
        await expect(section(page, capability).locator(".code")).to_have_text(capability)
        await expect(section(page, capability)).to_contain_text("Device mgc-1")
    assert await shown(page) == {"PEAK_SHAVING": ("ON", "Fresh"), "DER": ("OFF", "Fresh")}
    # Nothing that has to be chosen stands between the depot and its card.
    assert await page.locator("#card :is(select, input, form)").count() == 0


@pytest.mark.acceptance("COR-9.13")
async def test_a_refreshed_card_shows_what_was_posted_last(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    for capability in TITLES:
        await expect(section(page, capability)).to_contain_text("Bound, nothing sent yet")
        await expect(section(page, capability)).to_contain_text("Device mgc-1 is bound and has sent no status yet.")
        await expect(section(page, capability).locator(".onoff, .freshness")).to_have_count(0)
    await post(product, made, "PEAK_SHAVING", True, "a", 2)
    await post(product, made, "DER", False, "b", 2)
    await page.reload()
    assert await shown(page) == {"PEAK_SHAVING": ("ON", "Fresh"), "DER": ("OFF", "Fresh")}
    await send(product, packet(made, LIMIT_PEAK_SHAVING="false", LIMIT_DER_EXPORT="true"))
    await page.reload()
    assert await shown(page) == {"PEAK_SHAVING": ("OFF", "Fresh"), "DER": ("ON", "Fresh")}
    # And without a reload.
    await is_live(page)
    await send(product, packet(made, milliseconds() + 1000, LIMIT_PEAK_SHAVING="true"))
    await expect(section(page, "PEAK_SHAVING").locator(".onoff")).to_have_text("ON")
    await expect(section(page, "DER").locator(".onoff")).to_have_text("ON")


@pytest.mark.acceptance("COR-9.14")
async def test_the_card_shows_both_where_there_is_no_power_source(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true"))
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await expect(page.get_by_text("This depot has no power source.")).to_be_visible()
    assert await shown(page) == {"PEAK_SHAVING": ("ON", "Fresh"), "DER": ("ON", "Fresh")}
    await is_live(page)
    await add_power_source(product.engine, made, "SOLAR")
    await page.reload()
    await expect(page.locator(".sources")).to_contain_text("A solar")
    assert await shown(page) == {"PEAK_SHAVING": ("ON", "Fresh"), "DER": ("ON", "Fresh")}


@pytest.mark.acceptance("COR-9.15")
async def test_a_depot_without_a_microgrid_says_why_with_status_404(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("404",)
    depot_id = await make_depot_with(product.engine)
    page = await visitor.open(f"/depots/{depot_id}/load", status=404)
    for _ in range(2):
        answer = await page.reload()
        assert answer is not None
        assert answer.status == 404
        await expect(page.locator("#unresolved")).to_contain_text("NO_TOP_LEVEL_CIRCUITS")
        await expect(page.locator(".capability")).to_have_count(0)
    assert await violations(page) == []
    await page.get_by_role("navigation", name="Depot", exact=True).get_by_role("link", name="Circuits").click()
    await expect(page).to_have_url(f"{product.url}/depots/{depot_id}/microgrid")
    for path, title in (
        (f"/depots/{NOBODY}/load", "There is no such depot"),
        (f"/microgrids/{NOBODY}", "There is no such microgrid"),
        ("/microgrids/none", "There is no such page"),
    ):
        page = await visitor.open(path, status=404)
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)


async def test_a_microgrids_own_id_leads_to_its_depot(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    page = await visitor.open(f"/microgrids/{made.microgrid_id}")
    await expect(page).to_have_url(f"{product.url}/depots/{made.depot_id}/load")


@pytest.mark.acceptance("COR-9.16")
async def test_the_card_is_behind_its_flag_and_nothing_else_is(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    bare = await make_depot_with(product.engine, name="Yard without a feed")
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true"))
    assert product.settings.flags == {MICROGRID_CARD: True}  # as it is shipped
    parts: list[list[str]] = []
    for on in (True, False):
        await product.stop()
        product.settings = product.settings.model_copy(update={"flags": {MICROGRID_CARD: on}})
        await product.start()
        page = await visitor.open(f"/depots/{made.depot_id}/load")
        await is_live(page)
        await expect(page.locator("load-chart")).not_to_have_attribute("aria-busy", "true")
        await expect(page.get_by_role("heading", name="Microgrid", exact=True)).to_have_count(int(on))
        await expect(page.locator(".capability")).to_have_count(2 * on)
        parts.append(await page.locator("h1, h2, .tabs a").all_inner_texts())
        await page.context.close()
    on, off = parts
    # The way back in time is the card's.
    assert [each for each in on if each not in ("Microgrid", "Back in time")] == off
    # Without the card there is nothing that could not be found.
    await visitor.open(f"/depots/{bare}/load")


@pytest.mark.acceptance("COR-38.1")
async def test_the_card_shows_when_the_status_was_observed(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await post(product, made, "PEAK_SHAVING", True, "a", 184)
    await post(product, made, "DER", False, "b", 67)
    page = await visitor.open(f"/depots/{made.depot_id}/load", zone="Australia/Sydney")
    for capability, minutes in (("PEAK_SHAVING", 3), ("DER", 1)):
        record = (await latest(product, made))[capability]
        age = section(page, capability).locator(".updated age-time")
        await expect(age.locator("[part=age]")).to_have_text(f"{minutes} min ago")
        observed_at = datetime.fromisoformat(record["observed_at"])
        await expect(age.locator("time")).to_have_text(exact(observed_at, "America/Toronto"))
        assert datetime.fromisoformat(await age.get_attribute("datetime") or "") == observed_at.replace(microsecond=0)


@pytest.mark.acceptance("COR-38.2")
async def test_fresh_becomes_stale_by_itself_also_without_a_connection(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await is_live(page)
    assert await shown(page) == {"PEAK_SHAVING": ("ON", "Fresh"), "DER": ("OFF", "Fresh")}
    await page.evaluate("window.untouched = true")
    fresh = await _appearance(page)
    await set_threshold(product, made, 1)
    for capability in TITLES:
        await expect(section(page, capability).locator(".freshness")).to_have_text("Stale", use_inner_text=True)
        await expect(section(page, capability)).to_contain_text("it may no longer be true")
    stale = await _appearance(page)
    # By the word, the icon and the form of the status: not by colour alone.
    assert all(fresh[part] != stale[part] for part in ("word", "icon", "border"))
    # Fresh again with the next packet.
    await set_threshold(product, made, 6)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="false", LIMIT_DER_EXPORT="false"))
    await expect(section(page, "PEAK_SHAVING").locator(".onoff")).to_have_text("OFF")
    await expect(section(page, "DER").locator(".freshness")).to_have_text("Fresh", use_inner_text=True)
    visitor.expected = (
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_CONNECTION_RESET",
        "Failed to fetch",
    )
    await product.stop()
    await expect(page.locator("#connection")).to_have_text("Connection lost, retrying …")
    for capability in TITLES:
        await expect(section(page, capability).locator(".freshness")).to_have_text("Stale", use_inner_text=True)
    assert await shown(page) == {"PEAK_SHAVING": ("OFF", "Stale"), "DER": ("OFF", "Stale")}
    age = section(page, "DER").locator(".updated [part=age]")
    before = await age.inner_text()
    await expect(age).not_to_have_text(before)
    await product.start()
    await is_live(page)
    await expect(page.locator("#connection")).to_be_empty()
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true"))
    await expect(section(page, "DER").locator(".onoff")).to_have_text("ON")
    assert await page.evaluate("window.untouched")


async def _appearance(page: Page) -> dict[str, str]:
    part = section(page, "PEAK_SHAVING")
    return {
        "word": await part.locator(".freshness").inner_text(),
        "icon": await part.locator(".freshness use:visible").get_attribute("href") or "",
        "border": await part.locator(".onoff").evaluate("each => getComputedStyle(each).borderStyle"),
    }


@pytest.mark.acceptance("COR-38.3")
async def test_both_capabilities_are_legible_at_every_size(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await post(product, made, "PEAK_SHAVING", True, "a", 4000)
    await post(product, made, "DER", False, "b", 1)
    for size in (DESKTOP, PHONE, *OTHER_SIZES):
        page = await visitor.open(f"/depots/{made.depot_id}/load", size=size)
        assert await shown(page) == {"PEAK_SHAVING": ("ON", "Stale"), "DER": ("OFF", "Fresh")}
        for capability in TITLES:
            assert await section(page, capability).evaluate(_TOO_SMALL) == []
        assert not await is_wider_than_the_screen(page)


@pytest.mark.acceptance("COR-38.4")
async def test_status_and_time_come_from_the_same_record(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    event = await post(product, made, "PEAK_SHAVING", True, "a", 30)
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await is_live(page)
    # What comes late, comes again, or has no value is in the history; neither the status nor its time are from it.
    await post(product, made, "PEAK_SHAVING", False, "late", 500)
    await post(product, made, "PEAK_SHAVING", False, "a", 1)
    await post(product, made, "PEAK_SHAVING", None, "none", 1)
    part = section(page, "PEAK_SHAVING")
    history = await api_get(product, f"/api/microgrids/{made.microgrid_id}/capability-status/history")
    assert [(each["status"], each["effect"]) for each in history["items"]] == [
        (None, "UNAVAILABLE"), ("OFF", "CONFLICTING"), ("OFF", "LATE"), ("ON", "SHOWN"),
    ]  # fmt: skip
    await part.get_by_text("Changes").click()
    rows = part.locator(".history li")
    await expect(rows.locator(".was")).to_have_text(["ON", "OFF"])
    await expect(rows.first).to_contain_text("until now 1 update from no named device", use_inner_text=True)
    for reloaded in (False, True):
        if reloaded:
            await page.reload()
        await expect(part).to_have_attribute("data-event", event["event_id"])
        await expect(part.locator(".onoff")).to_have_text("ON")
        seen = await part.locator(".updated age-time").get_attribute("datetime") or ""
        assert datetime.fromisoformat(seen) == datetime.fromisoformat(event["observed_at"]).replace(microsecond=0)
    async with product.engine.connect() as connection:
        row = (
            await connection.execute(
                text("SELECT status, observed_at FROM capability_events WHERE id = :id"), {"id": event["event_id"]}
            )
        ).one()
    assert (row.status, row.observed_at.replace(microsecond=0)) == ("ON", datetime.fromisoformat(seen))


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
async def test_the_card_says_since_when_and_who_supplied_it(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int], name: str
) -> None:
    made = await controller_site(product.engine)
    now = datetime.now(UTC)

    def of(minutes: float, value: str) -> dict[str, Any]:
        return packet(made, milliseconds(now - timedelta(minutes=minutes)), LIMIT_PEAK_SHAVING=value)

    # Changes of a day, then what repeats the last one.
    for hour in range(14):
        await send(product, of(1440 - hour * 60, "false" if hour % 2 else "true"))
    await send(product, of(192, "true"), of(100, "true"), of(50, "true"), of(0, "true"))
    page = await visitor.open(f"/depots/{made.depot_id}/load", size=size)
    await is_live(page)
    part = section(page, "PEAK_SHAVING")
    held = part.locator(".capability-since .when-fresh")
    began = (now - timedelta(minutes=192)).replace(microsecond=0)
    told = clock_time(began, "America/Toronto", datetime.now(UTC))
    lasting = held.locator("lasting-time")
    await expect(held.locator("time")).to_have_text(told)
    assert datetime.fromisoformat(await held.locator("time").get_attribute("datetime") or "") == began
    assert re.fullmatch(r"3 h 1\d min", await lasting.evaluate(_TICKING))
    # By device, and not by account.
    await expect(part.locator(".pairs")).to_contain_text("Device mgc-1")
    await expect(part).not_to_contain_text("local-administrator")
    await part.get_by_text("Changes").click()
    rows = part.locator(".history li")
    await expect(rows).to_have_count(5)
    await expect(rows.locator(".was")).to_have_text(["ON", "OFF", "ON", "OFF", "ON"])
    await expect(rows.first).to_contain_text("until now 4 updates from Device mgc-1", use_inner_text=True)
    await expect(rows.nth(1)).to_contain_text("1 update from Device mgc-1")
    await look(page, f"card-changes-{name}")
    # What came late begins where it belongs: between what repeats.
    await send(product, of(70, "false"))
    await expect(held.locator("time")).not_to_have_text(told)
    assert re.fullmatch(r"5\d min", await lasting.evaluate(_TICKING))
    await expect(rows.locator(".was")).to_have_text(["ON", "OFF", "ON", "OFF", "ON"])
    await expect(rows.first).to_contain_text("2 updates")
    # Those before are in the dialog.
    await part.get_by_role("button", name="Earlier").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator(".was")).to_have_text(["OFF", "ON"] * 6)
    await look(page, f"card-earlier-{name}")
    shown = await api_get(
        product, f"/api/microgrids/{made.microgrid_id}/capability-status/transitions",
        capability="PEAK_SHAVING", limit=10,
    )  # fmt: skip
    more = await api_get(
        product, f"/api/microgrids/{made.microgrid_id}/capability-status/transitions",
        capability="PEAK_SHAVING", limit=10, cursor=shown["next_cursor"],
    )  # fmt: skip
    assert more["next_cursor"] is None
    items = [*shown["items"], *more["items"]]
    assert [each["status"] for each in items] == ["ON", "OFF"] * 8 + ["ON"]
    assert [each["until"] for each in items] == [None, *(each["since"] for each in items[:-1])]
    assert items[0]["since"] == (await latest(product, made))["PEAK_SHAVING"]["since"]


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
async def test_old_readings_of_power_sources_look_old(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int], name: str
) -> None:
    made = await make_site(product.engine)
    source = await add_power_source(product.engine, made, "BATTERY", made.circuit_ids[0])
    await add_device(product.engine, made, "bess-1", made.circuit_ids[0])
    await add_action(product.engine, made, "UPDATE_POWER_SOURCE_STATE", "SOC", sensor_id="bess-1")
    await add_action(product.engine, made, "UPDATE_POWER_SOURCE_LOAD", "TOTAL_POWER_LOAD", sensor_id="bess-1")
    await send(product, packet(made, milliseconds() - 7_200_000, "bess-1", SOC=55))
    await send(product, packet(made, None, "bess-1", TOTAL_POWER_LOAD=12_500))
    page = await visitor.open(f"/depots/{made.depot_id}/load", size=size)
    readings = page.locator(f"#source-{source} .reading")
    await expect(readings.nth(0)).to_contain_text("55 %")
    await expect(readings.nth(0).locator(".old")).to_be_visible()
    await expect(readings.nth(0).locator(".old")).to_contain_text("Old")
    await expect(readings.nth(1)).to_contain_text("12.5 kW")
    await expect(readings.nth(1).locator(".old")).to_be_hidden()
    await look(page, f"sources-old-{name}")


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
async def test_fresh_beside_a_fail_safe_says_that_the_limits_differ(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int], name: str
) -> None:
    made = await make_site(product.engine)
    await add_device(product.engine, made, "mgc-1", made.circuit_ids[0])
    await add_action(product.engine, made, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT")
    measurands = ("AVAILABLE_CHARGING_CAPACITY", "FAIL_SAFE_CAPACITY", "HEARTBEAT_STATUS")
    policy = CapacityPolicy(timedelta(seconds=5), 120e3)
    followed = made.circuit_ids[0]
    await add_action(product.engine, made, "UPDATE_CIRCUIT_CAPACITY", *measurands, policy=policy, follows=followed)
    sent = datetime.now(UTC) - timedelta(seconds=60)
    await send(
        product,
        packet(made, milliseconds(sent), LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false", HEARTBEAT_STATUS="ok",
               AVAILABLE_CHARGING_CAPACITY=200e3),
    )  # fmt: skip
    page = await visitor.open(f"/depots/{made.depot_id}/load", size=size)
    part = section(page, "PEAK_SHAVING")
    await expect(section(page, "DER")).to_contain_text("Export to the grid: not limited")
    await look(page, f"fail-safe-card-{name}")
    await expect(part.locator(".freshness")).to_have_text("Fresh", use_inner_text=True)
    await expect(part).to_contain_text("Fresh means updated within 5 min.")
    await expect(part).to_contain_text(
        "Feed 1 needs a packet of the same controller within 5 s and is in fail-safe: no packet."
    )
    await expect(part.locator(".sign").last).to_have_text("status 5 min, Feed 1 5 s")
    await expect(part.locator(".sign").nth(1)).to_contain_text("ok")
    row = page.locator(f"#capacity-{made.circuit_ids[0]}")
    await expect(row).to_contain_text("Fail-safe")
    await expect(row).to_contain_text("120.0")
    why = page.locator(f"#capacity-{made.circuit_ids[0]}-below .held-why")
    last = clock_second(sent, "America/Toronto", datetime.now(UTC))
    await expect(why).to_contain_text(f"Last packet {last} from Device mgc-1. Limit 5 s, exceeded")
    await expect(why).to_contain_text("Ends with its next packet with heartbeat ok and a capacity.")
    await why.get_by_role("link", name="Device mgc-1").click()
    await expect(page).to_have_url(f"{product.url}/devices/{made.devices['mgc-1']}")


async def test_a_status_that_no_device_updates_is_not_passed_off_as_current(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await is_live(page)
    async with http_client(product.url) as caller:
        found = (await caller.get(f"/api/devices/{made.devices['mgc-1']}/sensor-actions")).json()["items"][0]
        answer = await caller.patch(
            f"/api/sensor-actions/{found['sensor_action_id']}", json={"enabled": False, "version": found["version"]}
        )
        assert answer.status_code == 200, answer.text
    for capability in TITLES:
        part = section(page, capability)
        await expect(part.locator(".freshness")).to_have_text("Not updating")
        await expect(part).to_contain_text("Nothing updates this status now. It is the last one received.")
        await expect(part.locator(".onoff")).to_contain_text("Last known")
        await expect(part.locator(".onoff")).to_have_css("border-style", "dashed")
    assert await violations(page) == []


async def test_the_history_stays_open_when_the_card_is_refreshed(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await post(product, made, "DER", True, "a", 9)
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await is_live(page)
    part = section(page, "DER")
    await part.get_by_text("Changes", exact=True).press("Enter")
    await post(product, made, "DER", False, "b", 1)
    await expect(part.locator(".history li .was")).to_have_text(["OFF", "ON"], use_inner_text=True)
    await expect(part.locator(".history")).to_have_attribute("open", "")


async def _loaded(page: Page) -> None:
    await expect(page.locator("load-chart")).not_to_have_attribute("aria-busy", "true")


async def test_the_charts_show_load_and_capacity_of_each_circuit(product: RunningProduct, visitor: Visitor) -> None:
    made = (await make_load_site(product.engine)).site
    page = await visitor.open(f"/depots/{made.depot_id}/load", zone="Australia/Sydney")
    await _loaded(page)
    charts = page.locator(".chart")
    await expect(charts.locator("h3")).to_have_text(["Feed 1", "Feed 2", "Feed 3", "Feed 4"])
    await expect(charts.locator("canvas")).to_have_count(4)
    for number in (1, 2, 3, 4):
        await expect(charts.nth(number - 1).locator(".chart-legend")).to_contain_text(f"Device em-{number}")
    image = charts.first.get_by_role("img")
    assert "kW at most" in (await image.get_attribute("aria-label") or "")
    # The same as a table, in words, in the depot's zone.
    await page.get_by_text("As a table").click()
    table = page.locator(".load-table")
    await expect(table.locator("tbody tr")).to_have_count(24)
    await expect(table.locator("thead th").first).to_have_text("From (America/Toronto)")
    await expect(table.locator("thead")).to_contain_text("Feed 1: Device em-1, mean kW")
    await expect(table.get_by_text("150.0, fail-safe: Connection lost").first).to_be_visible()
    await expect(table.get_by_text("200.0, fail-safe: No packet").first).to_be_visible()
    assert await violations(page) == []
    for word, value in (("1 h", "1h"), ("24 h", "24h"), ("7 d", "7d")):
        await page.get_by_role("radio", name=word).check()
        await expect(page).to_have_url(f"{product.url}/depots/{made.depot_id}/load?range={value}")
        await _loaded(page)
    await page.reload()
    await expect(page.get_by_role("radio", name="7 d")).to_be_checked()
    await _loaded(page)
    await expect(charts.locator("canvas")).to_have_count(4)
    # The pointer reads values off all charts at once.
    box = await charts.first.locator("canvas").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] - 30, box["y"] + 40)
    await expect(charts.nth(2).locator("output").first).not_to_have_text("·")


async def test_the_charts_follow_what_comes(product: RunningProduct, visitor: Visitor) -> None:
    made = (await make_load_site(product.engine, feeds=1)).site
    page = await visitor.open(f"/depots/{made.depot_id}/load?range=1h")
    await _loaded(page)
    await is_live(page)
    values = page.locator(".chart output")
    await send(
        product,
        packet(made, None, "em-1", TOTAL_POWER_LOAD=987_600),
        packet(made, None, "mgc-1", HEARTBEAT_STATUS="ok", AVAILABLE_CHARGING_CAPACITY=654_300),
    )
    await expect(values).to_have_text(["987.6", "654.3"])
    await expect(page.locator(".held tbody tr").first).to_contain_text("654.3")
    await expect(page.locator(".held .badge")).to_have_text("Controller")
    await send(
        product, packet(made, milliseconds() + 50, "mgc-1", HEARTBEAT_STATUS="connection_lost", FAIL_SAFE_CAPACITY=5e4)
    )
    await expect(page.locator(".fail-safe.holds")).to_have_text("Fail-safe: Connection lost")
    await expect(values.last).to_have_text("50.0")
    await expect(page.locator(".held .badge")).to_have_text("Fail-safe")
    await expect(page.locator(".held .held-why")).to_contain_text("the controller's connection is lost")


async def test_power_sources_show_what_was_measured_last(product: RunningProduct, visitor: Visitor) -> None:
    made = await make_load_site(product.engine, feeds=1)
    page = await visitor.open(f"/depots/{made.site.depot_id}/load")
    await is_live(page)
    battery = page.locator(f"#source-{made.battery_id}")
    await expect(battery).to_contain_text("No reading yet")
    await send(
        product, packet(made.site, None, "bess-1", SOC=62.6, DEVICE_POWER_STATE="on", BESS_OPERATIONAL_MODE="charging")
    )
    await expect(battery.locator("progress")).to_have_attribute("value", "62.6")
    await expect(battery).to_contain_text("63 %")
    await expect(battery.locator(".badge")).to_have_text(["On", "Charging"])


@pytest.mark.parametrize("size", SIZES)
async def test_a_battery_that_discharges_is_no_load(product: RunningProduct, visitor: Visitor, size: str) -> None:
    site = await make_site(product.engine, feeds=2)
    for kind, feed in (("BATTERY", 0), ("SOLAR", 1)):
        await add_power_source(product.engine, site, kind, site.circuit_ids[feed])
    for sensor, feed in (("bess", 0), ("pv", 1), ("grid", 1)):
        await add_device(product.engine, site, sensor, site.circuit_ids[feed])
    for sensor in ("bess", "pv"):
        await add_action(product.engine, site, "UPDATE_POWER_SOURCE_LOAD", "TOTAL_POWER_LOAD", sensor_id=sensor)
    now = milliseconds()
    for sensor, watts in (("bess", 120_000), ("pv", 45_000), ("grid", -30_000)):
        await send(product, packet(site, now, sensor, TOTAL_POWER_LOAD=watts))
    # A chart of an hour is asked for soonest.
    page = await visitor.open(f"/depots/{site.depot_id}/load?range=1h", size=SIZES[size])
    await _loaded(page)
    await is_live(page)
    legends = page.locator(".chart-legend")
    await expect(legends.first).to_contain_text("Device bess discharging 120.0")
    await expect(legends.nth(1)).to_contain_text("Device grid feeding back 30.0")
    await expect(legends.nth(1)).to_contain_text("Device pv generating 45.0")
    image = page.locator(".chart").first.get_by_role("img")
    await expect(image).to_have_accessible_name(re.compile("discharging 120.0 kW at last"))
    sources = page.locator(".sources > li")
    await expect(sources.first).to_contain_text("Discharging 120.0 kW")
    await expect(sources.nth(1)).to_contain_text("Generating 45.0 kW")
    await send(product, packet(site, now + 50, "bess", TOTAL_POWER_LOAD=-20_000))
    await expect(sources.first).to_contain_text("Charging 20.0 kW")
    await expect(legends.first).to_contain_text("Device bess charging 20.0")
    await look(page, f"load-battery-{size}")
    # The structure has them, too.
    page = await visitor.open(f"/depots/{site.depot_id}/microgrid", size=SIZES[size])
    await is_live(page)
    await expect(page.locator(f"#device-{site.devices['bess']} .power")).to_have_text("Charging 20.0 kW")
    circuit = page.locator(".infeed").nth(1).locator(".rung.head .power")
    await expect(circuit).to_have_text("\u221230.0 kW")
    await expect(page.locator(".infeed").first.locator(".rung.head .power")).to_have_count(0)
    await send(product, packet(site, now + 100, "grid", TOTAL_POWER_LOAD=80_000))
    await expect(circuit).to_have_text("80.0 kW")
    await look(page, f"structure-powers-{size}")


async def test_the_legend_says_whose_value_it_shows_and_a_gap_is_one(product: RunningProduct, visitor: Visitor) -> None:
    site = await make_site(product.engine)
    await add_device(product.engine, site, "em-1", site.circuit_ids[0])
    hour = timedelta(hours=1)
    for ago in (3 * hour, hour):
        await measure(
            product.engine, site, feeds=1, span=hour, step=timedelta(seconds=30), until=datetime.now(UTC) - ago
        )
    page = await visitor.open(f"/depots/{site.depot_id}/load?range=6h")
    await _loaded(page)
    legend = page.locator(".chart-legend")
    await expect(legend.locator(".legend-when")).to_have_text("Now")
    await expect(legend).to_contain_text("Nothing received")
    # Not measured since: the legend says when it was.
    await expect(legend.locator("output").first).to_have_text(re.compile(r"^\d+\.\d at \d\d \w{3}, \d\d:\d\d$"))
    box = await page.locator(".chart .u-over").bounding_box()
    assert box is not None
    # Between the two hours in which it was measured, whichever of them is nearer.
    for hours, said in ((2.8, r"^\d+\.\d$"), (3.2, "^gap$"), (3.8, "^gap$"), (4.2, r"^\d+\.\d$")):
        await page.mouse.move(box["x"] + box["width"] * hours / 6, box["y"] + 40)
        await expect(legend.locator(".legend-when")).to_have_text(re.compile(r"^At \d\d \w{3}, \d\d:\d\d$"))
        await expect(legend.locator("output").first).to_have_text(re.compile(said))
    await page.mouse.move(box["x"] + box["width"] * 3.8 / 6, box["y"] + 40)
    await look(page, "load-gap")
    await page.mouse.move(2, 2)
    await expect(legend.locator(".legend-when")).to_have_text("Now")


@pytest.mark.parametrize("size", SIZES)
async def test_without_a_meter_the_chart_leaves_no_hole(product: RunningProduct, visitor: Visitor, size: str) -> None:
    site = await make_site(product.engine)
    page = await visitor.open(f"/depots/{site.depot_id}/load", size=SIZES[size])
    await _loaded(page)
    await expect(page.locator(".chart-note")).to_have_text("No meter of this depot sent its load in this time.")

    async def is_low() -> bool:
        box = await page.locator(".load-chart").bounding_box()
        return box is not None and box["height"] < 300

    await until(is_low)
    await look(page, f"load-none-{size}")


async def test_without_the_database_what_is_known_stays_and_grows_old(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    await set_threshold(product, made, 3)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await is_live(page)
    await _loaded(page)
    visitor.expected = ("503",)
    await product.gate.close()
    await expect(page.locator("#connection")).to_have_text("The database is unavailable, waiting for it …")
    await expect(section(page, "DER").locator(".freshness")).to_have_text("Stale", use_inner_text=True)
    await page.get_by_role("radio", name="24 h").check()
    await expect(page.locator(".chart-note")).to_contain_text("could not be read")
    # Charts that are drawn anew are no other ones.
    await page.evaluate("document.documentElement.dataset.theme = 'dark'")
    await expect(page.locator(".chart-note")).to_contain_text("could not be read")
    await product.gate.open()
    await expect(page.locator("#connection")).to_be_empty()
    await expect(page.locator(".chart-note")).not_to_contain_text("could not be read")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_the_page_is_accessible_in_every_state(
    product: RunningProduct, visitor: Visitor, size: tuple[int, int]
) -> None:
    name = "desktop" if size == DESKTOP else "phone"
    made = (await make_load_site(product.engine)).site
    await send(
        product,
        packet(made, None, "mgc-1", LIMIT_PEAK_SHAVING="true", HEARTBEAT_STATUS="ok", AVAILABLE_CHARGING_CAPACITY=38e4),
        packet(made, None, "mgc-2", HEARTBEAT_STATUS="timeout", FAIL_SAFE_CAPACITY=2e5),
        packet(made, None, "bess-1", SOC=63, DEVICE_POWER_STATE="on", BESS_OPERATIONAL_MODE="charging"),
    )
    await post(product, made, "DER", False, "old", 1800)
    page = await visitor.open(f"/depots/{made.depot_id}/load", size=size)
    await is_live(page)
    await _loaded(page)
    assert await shown(page) == {"PEAK_SHAVING": ("ON", "Fresh"), "DER": ("OFF", "Stale")}
    await look(page, f"load-{name}")
    await section(page, "DER").get_by_text("Changes", exact=True).click()
    await page.get_by_text("As a table").click()
    await look(page, f"load-open-{name}")
    bare = await controller_site(product.engine)
    page = await visitor.open(f"/depots/{bare.depot_id}/load", size=size)
    await _loaded(page)
    await look(page, f"load-bare-{name}")


async def test_a_week_of_packets_is_drawn_without_waiting(product: RunningProduct, visitor: Visitor) -> None:
    made = (await make_load_site(product.engine)).site
    now = datetime.now(UTC)
    await measure(
        product.engine,
        made,
        feeds=4,
        span=timedelta(days=6),
        step=timedelta(seconds=30),
        until=now - timedelta(hours=9),
    )
    page = await visitor.open(f"/depots/{made.depot_id}/load?range=7d")
    await _loaded(page)
    await page.get_by_text("As a table").click()
    cells = page.locator(".load-table tbody tr td:nth-of-type(1)")
    assert (await cells.all_inner_texts()).count("·") < 6


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_a_zone_that_the_browser_does_not_have_is_shown_in_utc_in_words(
    product: RunningProduct, visitor: Visitor, name: str, size: tuple[int, int]
) -> None:
    made = (await make_load_site(product.engine)).site
    async with product.engine.begin() as connection:
        await connection.execute(
            text("UPDATE depots SET timezone = 'localtime' WHERE id = :depot_id"), {"depot_id": made.depot_id}
        )
    page = await visitor.open(f"/depots/{made.depot_id}/load", size=size, zone="Australia/Sydney")
    await _loaded(page)
    await expect(page.locator(".chart canvas")).to_have_count(4)
    await expect(page.locator(".chart-note")).to_have_text(
        "This browser does not know the time zone localtime: times are shown in UTC."
    )
    await page.get_by_text("As a table").click()
    await expect(page.locator(".load-table thead th").first).to_have_text("From (UTC)")
    shown_time = await page.locator("zone-clock").evaluate("clock => clock.shadowRoot.textContent")
    assert re.fullmatch(r"\d\d:\d\d UTC", shown_time)
    assert await violations(page) == []
    await look(page, f"load-without-zone-{name}")


async def test_a_capacity_that_cannot_be_does_not_rule_the_chart(product: RunningProduct, visitor: Visitor) -> None:
    """An earlier version kept what registers hold without a value; the history stays as it is."""
    made = await controller_site(product.engine)
    await held(product.engine, made, 0, (timedelta(hours=1), "CONTROLLER", None, 1.7e308))
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await _loaded(page)
    chart = page.locator(".chart").first
    await expect(chart.locator(".chart-legend")).to_contain_text("Capacity more than 1 GW")
    await page.get_by_text("As a table").click()
    await expect(page.locator(".load-table tbody tr").first).to_contain_text("more than 1 GW")
    assert not await is_wider_than_the_screen(page)
    await look(page, "load-impossible-capacity")


async def test_the_hour_that_comes_twice_is_told_apart(product: RunningProduct, visitor: Visitor) -> None:
    """The clocks of Toronto go back at 06:00 UTC on 1 November 2026."""
    made = (await make_load_site(product.engine)).site

    async def shift(route: Route) -> None:
        answer = await route.fetch()
        load = await answer.json()
        await route.fulfill(response=answer, json=load | {"until": "2026-11-01T09:00:00Z"})

    page = await visitor.open("/depots")
    await page.route(re.compile("/load\\?since"), shift)
    await page.goto(f"{product.url}/depots/{made.depot_id}/load")
    await _loaded(page)
    await page.get_by_text("As a table").click()
    heads = page.locator(".load-table tbody th")
    await expect(heads).to_have_count(24)
    told = await heads.all_inner_texts()
    assert len(set(told)) == 24
    await look(page, "load-hour-twice")
    assert [each for each in told if "01:15" in each] == ["01 Nov, 01:15 UTC-5", "01 Nov, 01:15 UTC-4"]


async def test_a_name_is_never_markup_in_a_chart(product: RunningProduct, visitor: Visitor) -> None:
    made = await controller_site(product.engine)
    await add_device(product.engine, made, "em-1", made.circuit_ids[0])
    await add_action(
        product.engine,
        made,
        "UPDATE_CIRCUIT_CAPACITY",
        "HEARTBEAT_STATUS",
        "AVAILABLE_CHARGING_CAPACITY",
        sensor_id="em-1",
        policy=CapacityPolicy(),
        follows=made.circuit_ids[0],
    )
    name = "<img src=x onerror=bad()>"
    async with product.engine.begin() as connection:
        await connection.execute(text("UPDATE devices SET name = :name"), {"name": name})
        await connection.execute(text("UPDATE circuits SET name = :name"), {"name": name})
    await send(product, packet(made, None, "em-1", TOTAL_POWER_LOAD=1000, LIMIT_DER_EXPORT="true"))

    async def synced() -> bool:
        page = await visitor.open(f"/depots/{made.depot_id}/load")
        await _loaded(page)
        return await page.locator(".chart-legend").get_by_text(name).count() == 1

    assert await until(synced)


@pytest.mark.parametrize("silent", ["one alone", "one of two", "both"])
@pytest.mark.parametrize("span", ["1h", "7d"])
async def test_an_outage_is_a_gap_on_the_chart_and_in_its_table(
    product: RunningProduct, visitor: Visitor, silent: str, span: str
) -> None:
    made = await make_site(product.engine)
    feeds = 1 if silent == "one alone" else 2
    for feed in range(1, feeds + 1):
        await add_device(product.engine, made, f"em-{feed}", made.circuit_ids[0])
    unit = timedelta(minutes=1) if span == "1h" else timedelta(hours=2)
    now = datetime.now(UTC)
    # Of the last 60 units, nothing came between 40 and 20 units ago.
    for ago, length in ((40, 20), (0, 20)):
        await measure(
            product.engine, made, feeds=feeds, span=length * unit, step=unit / 6, until=now - ago * unit - unit / 6
        )
    if silent == "one of two":
        await measure(product.engine, made, feeds=1, span=20 * unit, step=unit / 6, until=now - 20 * unit - unit / 3)
    page = await visitor.open(f"/depots/{made.depot_id}/load?range={span}")
    await expect(page.locator("load-chart .chart")).to_have_count(1)
    await page.wait_for_function("() => document.querySelector('load-chart').panels[0]?.plot.data[0].length > 30")
    # What uPlot is given: a null within the gap is not drawn across, and nothing is between its neighbours.
    lines: list[bool] = await page.evaluate(
        """ago => {
            const { plot } = document.querySelector("load-chart").panels[0];
            const [times, ...columns] = plot.data;
            const middle = Date.now() / 1000 - ago;
            return columns.filter((_, index) => index % 3 === 0).map(column => {
                const known = index => column[index] !== undefined;
                const after = times.findIndex((time, index) => time >= middle && known(index));
                const before = times.findLastIndex((time, index) => time <= middle && known(index));
                return column[before] === null || column[after] === null;
            });
        }""",
        30 * unit.total_seconds(),
    )
    assert lines == {"one alone": [True], "one of two": [False, True], "both": [True, True]}[silent]
    await page.get_by_text("As a table").click()
    rows = page.locator(".load-table tbody tr")
    middle = rows.nth(12 if span == "1h" else 8).locator("td")
    told = await middle.all_inner_texts()
    assert [each == "gap" for each in told] == lines
    assert "gap" not in await rows.nth(3).inner_text()


async def test_a_clock_that_runs_ahead_is_told_and_nothing_is_from_the_future(
    product: RunningProduct, visitor: Visitor
) -> None:
    made = await controller_site(product.engine)
    ahead = milliseconds(datetime.now(UTC) + timedelta(minutes=4))
    await send(product, packet(made, ahead, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    card = section(page, "PEAK_SHAVING")
    await expect(card.locator(".clock-ahead")).to_contain_text("ahead")
    for path in (f"/depots/{made.depot_id}/devices", f"/devices/{made.devices['mgc-1']}"):
        page = await visitor.open(path)
        await expect(page.locator(".clock-ahead").first).to_contain_text("ahead")
    stamps = await page.locator("age-time").evaluate_all(
        "all => all.map(each => Date.parse(each.getAttribute('datetime')))"
    )
    assert all(stamp <= datetime.now(UTC).timestamp() * 1000 for stamp in stamps)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="false"))
    page = await visitor.open(f"/depots/{made.depot_id}/load")
    await expect(section(page, "PEAK_SHAVING").locator(".clock-ahead")).to_have_count(0)
    await expect(section(page, "PEAK_SHAVING").locator(".onoff")).to_have_text("OFF")

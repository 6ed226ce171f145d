"""Each task of the first hour, on a desktop and on a phone."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect
from sqlalchemy import text

from domain.site.circuit_capacity import CapacityPolicy
from fleet.make_fleet import lines
from store.monitoring.capacity_upkeep import pass_deadlines
from tests.factories.capacities import capacity_site, expire
from tests.factories.depots import make_depot_with
from tests.factories.load_sites import measure
from tests.factories.scenario_sites import make_depots, run_scenario
from tests.factories.sites import (
    MadeDepot,
    add_action,
    add_device,
    controller_site,
    make_site,
    milliseconds,
    open_remediation,
    packet,
)
from tests.helpers.live import http_client
from tests.pages.conftest import RunningProduct, Visitor
from tests.pages.first_hour.tasks import SIZES, TASKS, Beginner
from tests.pages.helpers.load import is_live, send

Begin = Callable[[str], Awaitable[Beginner]]
_BACK = "How far back, from the past on the left to now"


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    """A desktop, and a phone."""
    return request.param


@pytest_asyncio.fixture(loop_scope="session")
async def begin(visitor: Visitor, size: str) -> AsyncGenerator[Begin]:
    """Begin a task, which is within its clicks at the end."""
    begun: list[Beginner] = []

    async def start(task: str) -> Beginner:
        begun.append(await Beginner.begin(visitor, size, task))
        return begun[-1]

    yield start
    for each in begun:
        each.done()


def test_the_document_has_every_task() -> None:
    assert len(TASKS) == 16


async def in_trouble(product: RunningProduct) -> MadeDepot:
    """A depot whose controller is silent, beside one with a remediation and one that is well."""
    await open_remediation(product.engine, await make_site(product.engine), datetime.now(UTC) - timedelta(hours=2))
    site = await capacity_site(product.engine)
    await expire(product.engine, *site.circuit_ids)
    async with product.engine.begin() as connection:
        await pass_deadlines(connection, 10)
    await make_depot_with(product.engine, name="Well")
    return site


async def test_worst(product: RunningProduct, begin: Begin) -> None:
    site = await in_trouble(product)
    me = await begin("worst")
    worst = me.page.locator("#worst > tr").first
    await expect(worst.get_by_role("link").first).to_have_attribute("href", f"/depots/{site.depot_id}")
    silent = worst.locator(".alarms a").first
    await expect(silent).to_contain_text(re.compile(r"Controller silent\s+\d+ (s|min)"))
    await me.click(silent)
    await expect(me.page).to_have_url(f"{product.url}/depots/{site.depot_id}/controllers")


async def test_since(product: RunningProduct, begin: Begin) -> None:
    site = await controller_site(product.engine)
    await send(product, packet(site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    me = await begin("since")
    await me.go("Depots")
    await me.click(me.page.locator("#rows").get_by_role("link").first)
    card = me.page.locator("#capability-PEAK_SHAVING")
    await expect(card).to_contain_text(re.compile(r"ON\s+for\s+.+, since\s+\d\d:\d\d"))
    await expect(card).to_contain_text("Device mgc-1")


async def test_fail_safe(product: RunningProduct, begin: Begin) -> None:
    site = await in_trouble(product)
    me = await begin("fail-safe")
    await me.click(me.page.locator(f"#worst-{site.depot_id}").get_by_role("link", name="1 circuit in fail-safe"))
    row = me.page.locator(f"#capacity-{site.circuit_ids[0]}-below")
    await expect(row).to_be_in_viewport()
    await expect(row).to_contain_text("Ends with its next packet")
    # Where the exact time is left out, no space stands before the full stop.
    spaces = "all => all.map(each => getComputedStyle(each.shadowRoot.querySelector('[part=space]')).display)"
    assert await row.locator(".held-why age-time").evaluate_all(spaces) == ["none"]


async def test_simulated(product: RunningProduct, begin: Begin) -> None:
    (depot_id,) = await make_depots(product.url, 1)
    async with http_client(product.url) as api:
        run, _ = await run_scenario(api, depot_id, "quick-look")
    me = await begin("simulated")
    await expect(me.page.locator("#fleet-load")).to_contain_text("Simulated there")
    await me.click(me.page.locator("#figure-depots"))
    await me.click(me.page.locator("#rows .simulated").get_by_role("link").first)
    await expect(me.page).to_have_url(f"{product.url}/scenario-runs/{run['run_id']}")


async def test_scenario(product: RunningProduct, visitor: Visitor, begin: Begin) -> None:
    visitor.expected = ("422",)
    await make_depots(product.url, 1)
    await make_depot_with(product.engine, name="Arrow Road")
    me = await begin("scenario")
    await me.go("Scenarios")
    await me.page.get_by_label("Scenario").select_option("quick-look")
    await me.page.get_by_label("Depot").fill("Arrow Road")
    await me.click(me.page.get_by_role("button", name="Run"))
    await expect(me.page.locator("#start .notice")).to_contain_text("does not allow simulation")
    await me.page.get_by_label("Depot").fill("Simulation depot 0")
    await me.click(me.page.get_by_role("button", name="Run"))
    await expect(me.page.get_by_role("heading", level=1)).to_have_text("All eight measurands in five steps")


async def test_rename(product: RunningProduct, begin: Begin) -> None:
    await make_site(product.engine)
    me = await begin("rename")
    await me.go("Depots")
    await me.click(me.page.locator("#rows").get_by_role("link").first)
    await me.click(me.page.get_by_role("button", name="Settings"))
    name = me.page.get_by_role("dialog").get_by_label("Name")
    await expect(name).to_be_visible()
    await me.reach(name)
    await me.page.keyboard.press("Control+A")
    await me.page.keyboard.type("Malvern")
    await me.click(me.page.get_by_role("dialog").get_by_role("button", name="Save"))
    await expect(me.page.get_by_role("heading", level=1)).to_have_text("Malvern")


async def test_retire(product: RunningProduct, visitor: Visitor, begin: Begin) -> None:
    site = await make_site(product.engine)
    visitor.expected = ("404",)  # its microgrid is retired with it
    me = await begin("retire")
    await me.go("Depots")
    dialog = me.page.get_by_role("dialog")
    rows = me.page.locator("#rows > tr")
    await me.click(rows.get_by_role("link").first)
    await me.click(me.page.get_by_role("button", name="Settings"))
    await me.click(dialog.get_by_role("button", name="Retire …"))
    await me.click(dialog.get_by_role("button", name="Retire", exact=True))
    await expect(me.page.get_by_role("region", name="Retired")).to_be_visible()
    await me.go("Depots")
    await expect(rows).to_have_count(0)
    await me.click(me.page.get_by_role("link", name="Retired 1"))
    await me.click(rows.get_by_role("link").first)
    await me.click(me.page.get_by_role("button", name="Bring back …"))
    await me.click(dialog.get_by_role("button", name="Bring back", exact=True))
    await expect(me.page.get_by_role("region", name="Retired")).to_have_count(0)
    assert f"/depots/{site.depot_id}" in me.page.url


async def test_set_up(product: RunningProduct, visitor: Visitor, begin: Begin) -> None:
    visitor.expected = ("404",)  # the microgrid comes with the first sync
    me = await begin("set-up")
    page, dialog = me.page, me.page.get_by_role("dialog")
    await me.go("Depots")
    await me.click(page.get_by_role("link", name="New depot"))
    await page.get_by_label("Name", exact=True).fill("Malvern")
    await page.get_by_label("Time zone").fill("America/Toronto")
    await page.get_by_label("Name of circuit 1", exact=True).fill("Feed")
    await me.click(page.get_by_role("button", name="Create depot"))
    # From there on the set-up says what comes next.
    await me.click(page.get_by_role("button", name="Add the first gateway"))
    await dialog.get_by_label("Name").fill("Gateway")
    await dialog.get_by_label("Name").press("Enter")
    await expect(dialog).to_be_hidden()
    await me.click(page.get_by_role("button", name="Add the first device"))
    await dialog.get_by_label("Name").fill("Controller")
    await dialog.get_by_label("Sensor id").fill("mgc-1")
    await me.click(dialog.get_by_role("button", name="Add device"))
    await me.click(page.get_by_role("link", name="Open the sensor actions"))
    await me.click(page.get_by_role("button", name="Configure Update Microgrid State"))
    await me.click(dialog.get_by_label("LIMIT_PEAK_SHAVING"))
    await me.click(dialog.get_by_role("button", name="Configure"))
    await expect(page.locator(".set-up-steps [aria-current]")).to_have_text("First packet")
    await is_live(page)
    async with http_client(product.url) as api:
        (gateway,) = (await api.get("/api/gateways")).json()["items"]
    made = MadeDepot(UUID(gateway["depot_id"]), UUID(gateway["gateway_id"]), [], None)
    await send(product, packet(made, LIMIT_PEAK_SHAVING="true"))
    await expect(page.locator("#set-up")).to_contain_text("The depot is set up")


async def test_remediation(product: RunningProduct, begin: Begin) -> None:
    site = await make_site(product.engine)
    await add_device(product.engine, site)
    keys = ("HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY")
    await add_action(product.engine, site, "UPDATE_CIRCUIT_CAPACITY", *keys, policy=CapacityPolicy())
    sent = {"HEARTBEAT_STATUS": "ok", "AVAILABLE_CHARGING_CAPACITY": 1000}
    await send(product, packet(site, **sent))
    me = await begin("remediation")
    page, dialog = me.page, me.page.get_by_role("dialog")
    await me.click(page.locator("#worst").get_by_role("link", name="1 remediation"))
    await expect(page.locator(".remediation")).to_contain_text("Link the device to the circuit")
    await me.click(page.locator(".remediation").get_by_role("button", name="Choose its circuit"))
    await dialog.get_by_label("Linked circuit").select_option("Feed 1")
    await me.click(dialog.get_by_role("button", name="Save"))
    await expect(page.locator(".remediation")).to_contain_text("Mended, waiting for a packet")
    await send(product, packet(site, **sent))
    await me.click(page.get_by_role("link", name="Depot microgrid"))
    await expect(page.locator("#fleet")).to_contain_text("Nothing needs attention")


async def measured(product: RunningProduct) -> MadeDepot:
    """A depot whose load was measured over the last hours."""
    site = await make_site(product.engine)
    await add_device(product.engine, site, "em-1", site.circuit_ids[0])
    await measure(product.engine, site, feeds=1, span=timedelta(hours=5), step=timedelta(minutes=1))
    return site


async def test_day(product: RunningProduct, begin: Begin) -> None:
    await measured(product)
    me = await begin("day")
    await me.go("Depots")
    await me.click(me.page.locator("#rows").get_by_role("link").first)
    await me.click(me.page.locator(".ranges label", has_text="24 h"))
    await me.click(me.page.get_by_text("As a table"))
    table = me.page.locator(".load-table")
    await expect(table.locator("thead")).to_contain_text("Device em-1, mean kW")
    await expect(table.locator("tbody tr")).to_have_count(24)
    await expect(table.locator("tbody tr").nth(1)).to_contain_text(re.compile(r"\d+\.\d"))


async def test_export(product: RunningProduct, begin: Begin) -> None:
    await measured(product)
    me = await begin("export")
    await me.go("Depots")
    await me.click(me.page.locator("#rows").get_by_role("link").first)
    await me.click(me.page.get_by_text("Export the last day"))
    async with me.page.expect_download() as download:
        await me.click(me.page.get_by_role("link", name="Readings of all devices (CSV)"))
    rows = list(csv.DictReader(io.StringIO((await (await download.value).path()).read_text())))
    assert {row["device"] for row in rows} == {"Device em-1"}


async def test_back(product: RunningProduct, begin: Begin) -> None:
    site = await controller_site(product.engine)
    await send(product, packet(site, LIMIT_PEAK_SHAVING="true"))
    async with product.engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in ("microgrids", "circuits", "devices", "gateways", "sensor_actions"):
            await connection.execute(text(f"UPDATE {table} SET created_at = created_at - interval '2 days'"))
        await connection.execute(text("UPDATE replaced_rows_kept SET since = since - interval '2 days'"))
        for column in ("observed_at", "received_at"):
            await connection.execute(text(f"UPDATE capability_events SET {column} = {column} - interval '2 days'"))
    await send(product, packet(site, LIMIT_PEAK_SHAVING="false"))
    me = await begin("back")
    await me.go("Depots")
    await me.click(me.page.locator("#rows").get_by_role("link").first)
    slider = me.page.get_by_label(_BACK)
    await slider.focus()
    await me.page.keyboard.press("ArrowLeft")
    await expect(me.page.locator("#as-of")).to_contain_text("Not live.")
    await me.click(me.page.locator("#as-of").get_by_role("link", name="Link to this moment"))
    await expect(me.page.locator("#as-of-PEAK_SHAVING")).to_contain_text("ON")


async def test_find(product: RunningProduct, begin: Begin) -> None:
    async with http_client(product.url) as api:
        for name, region in (("Malvern", "East"), ("Arrow Road", "West"), ("Eglinton", "East")):
            body = {"name": name, "timezone": "America/Toronto", "region": region, "circuits": [{"name": "Feed"}]}
            (await api.post("/api/depots", json=body)).raise_for_status()
    me = await begin("find")
    await me.go("Depots")
    rows: Locator = me.page.locator("#rows > tr")
    await me.page.get_by_role("searchbox").fill("alver")
    await expect(rows).to_have_count(1)
    await me.click(rows.get_by_role("link", name="East"))
    await expect(rows.locator("th .row-link")).to_have_text(["Eglinton", "Malvern"])
    await me.click(rows.get_by_role("link", name="Malvern"))
    await expect(me.page.get_by_role("heading", level=1)).to_have_text("Malvern")


async def test_sensor(product: RunningProduct, begin: Begin) -> None:
    sites = [await make_site(product.engine) for _ in range(3)]
    for number, site in enumerate(sites):
        await add_device(product.engine, site, f"em-{number}")
    me = await begin("sensor")
    await me.go("Depots")
    await me.page.get_by_role("searchbox").fill("EM-1")
    rows = me.page.locator("#rows > tr")
    await expect(rows).to_have_count(1)
    await me.click(rows.locator(".row-link"))
    await expect(me.page).to_have_url(re.compile(f"/depots/{sites[1].depot_id}"))


async def test_stale(product: RunningProduct, begin: Begin) -> None:
    for hours, name in ((1, "Malvern"), (3, "Arrow Road"), (2, "Eglinton")):
        site = await controller_site(product.engine)
        async with http_client(product.url) as api:
            (await api.patch(f"/api/depots/{site.depot_id}", json={"name": name})).raise_for_status()
        at = milliseconds(datetime.now(UTC) - timedelta(hours=hours))
        await send(product, packet(site, at, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    me = await begin("stale")
    await me.click(me.page.locator("#figure-stale"))
    rows = me.page.locator("#rows > tr")
    await expect(rows.locator("th .row-link")).to_have_text(["Arrow Road", "Eglinton", "Malvern"])
    await expect(rows.first).to_contain_text(re.compile(r"Controller silent\s+\d h \d+ min"))
    await me.click(rows.first.locator(".row-link"))
    await expect(me.page.get_by_role("heading", level=1)).to_have_text("Arrow Road")


async def test_import(product: RunningProduct, begin: Begin, tmp_path: Path) -> None:
    file = tmp_path / "fleet.ndjson"
    file.write_text("".join(lines(20, seed=5, flaws=True)))
    me = await begin("import")
    await me.go("Imports")
    await me.page.get_by_label(re.compile("File, of at most")).set_input_files(file)
    await me.click(me.page.get_by_role("button", name="Upload and import"))
    await expect(me.page.locator(".run-head .badge")).to_have_text("Completed")
    await expect(me.page.locator("#depots")).to_have_text("20")
    others = me.page.locator(".refused-lines tbody tr:not(.more)").filter(has_not_text="NOT_JSON")
    await expect(others).not_to_have_count(0)
    await me.click(me.page.get_by_role("link", name=re.compile("^NOT_JSON")))
    await expect(others).to_have_count(0)
    await expect(me.page.locator(".refused-lines tbody tr").first).to_contain_text("NOT_JSON")

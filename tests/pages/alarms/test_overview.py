"""The first page: figures that lead to the depots behind them, and the depots that need attention most, live."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import text

from domain.access.principals import Grant
from domain.access.roles import Role
from store.monitoring.capacity_upkeep import pass_deadlines
from tests.access.sites import WHO, by_header, person
from tests.factories.capacities import capacity_site, expire
from tests.factories.scenario_sites import make_depots, run_into_remediation
from tests.factories.sites import MadeDepot, add_device, controller_site, make_site, open_remediation, packet
from tests.helpers.live import http_client, serving
from tests.helpers.support import make_depot
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import is_live, send
from tests.pages.helpers.looking import SIZES, look

FIGURES = {
    "controllers": "?alarm=CONTROLLER_SILENT",
    "fail-safe": "?alarm=FAIL_SAFE",
    "failed": "?provisioning=FAILED",
    "remediations": "?alarm=REMEDIATION_OPEN",
    "stale": "?freshness=STALE",
    "depots": "",
}


async def in_trouble(product: RunningProduct) -> MadeDepot:
    """A depot whose controller is silent."""
    site = await capacity_site(product.engine)
    await expire(product.engine, *site.circuit_ids)
    async with product.engine.begin() as connection:
        await pass_deadlines(connection, 10)
    return site


async def figure(page: Page, name: str) -> str:
    return await page.locator(f"#figure-{name} .number").inner_text()


@pytest.mark.parametrize("size", SIZES)
async def test_the_worst_come_first_and_each_figure_leads_to_its_depots(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    now = datetime.now(UTC)
    stopped, failing, well = await controller_site(product.engine), await in_trouble(product), await make_site(
        product.engine
    )  # fmt: skip
    for minutes in (5, 90):
        await open_remediation(product.engine, stopped, now - timedelta(minutes=minutes))
    await make_depot(product.engine)
    await add_device(product.engine, well, circuit_id=well.circuit_ids[0])
    await send(product, packet(well, TOTAL_POWER_LOAD=120_000))
    page = await visitor.open("/", size=SIZES[size])
    await is_live(page)
    rows = page.locator("#worst > tr")
    await expect(rows.first.get_by_role("link").first).to_have_attribute("href", f"/depots/{failing.depot_id}")
    await expect(rows.first.locator(".alarms a")).to_contain_text(["Controller silent", "1 circuit in fail-safe"])
    stopped_row = page.locator(f"#worst-{stopped.depot_id}")
    await expect(stopped_row.locator(".alarms a")).to_contain_text("1 h 30 min")
    await expect(page.locator("#fleet-load")).to_contain_text("120.0 kW")
    counted = {name: await figure(page, name) for name in FIGURES}
    assert {name: counted[name] for name in ("controllers", "fail-safe", "remediations", "stale")} == {
        "controllers": "1", "fail-safe": "1", "remediations": "2", "stale": "0",
    }  # fmt: skip
    # Normal is grey.
    assert "tone" not in (await page.locator("#figure-stale").get_attribute("class") or "")
    await look(page, f"overview-trouble-{size}")
    for name, filtered in FIGURES.items():
        await page.goto("/")
        await page.locator(f"#figure-{name}").click()
        await expect(page).to_have_url(f"{product.url}/depots{filtered}")
        wanted = {"controllers": 1, "fail-safe": 1, "remediations": 1}.get(name, int(counted[name]))
        await expect(page.locator("#rows > tr")).to_have_count(wanted)


@pytest.mark.parametrize("size", SIZES)
async def test_without_depots_it_says_what_to_do(visitor: Visitor, size: str) -> None:
    page = await visitor.open("/", size=SIZES[size])
    await expect(page.locator("#fleet")).to_contain_text("No depots yet")
    await expect(page.locator("#fleet-load")).to_contain_text("No depot has measured its load")
    await look(page, f"overview-empty-{size}")


async def test_it_follows_what_happens_without_a_reload(product: RunningProduct, visitor: Visitor) -> None:
    site = await controller_site(product.engine)
    page = await visitor.open("/")
    await is_live(page)
    await expect(page.locator("#fleet")).to_contain_text("Nothing needs attention")
    await open_remediation(product.engine, site, datetime.now(UTC))
    await expect(page.locator(f"#worst-{site.depot_id}")).to_contain_text("1 remediation")
    await expect(page.locator("#figure-remediations")).to_contain_text("1")
    async with http_client(product.url) as api:
        (found,) = (await api.get("/api/remediations")).json()["items"]
        (await api.post(f"/api/remediations/{found['remediation_id']}/resolve")).raise_for_status()
    await expect(page.locator("#fleet")).to_contain_text("Nothing needs attention")


async def test_those_that_are_not_named_are_a_click_away(product: RunningProduct, visitor: Visitor) -> None:
    now = datetime.now(UTC)
    for minutes in range(12):
        await open_remediation(product.engine, await make_site(product.engine), now - timedelta(minutes=minutes))
    failing = await in_trouble(product)
    page = await visitor.open("/", size=PHONE)
    await expect(page.locator("#worst > tr")).to_have_count(10)
    await page.get_by_text("And 3 more depots:").get_by_role("link").click()
    await expect(page).to_have_url(f"{product.url}/depots?alarm=ANY")
    rows = page.locator("#rows > tr")
    await expect(rows).to_have_count(13)
    await expect(rows.first.get_by_role("link").first).to_have_attribute("href", f"/depots/{failing.depot_id}")
    await expect(page.locator("#by-alarm [aria-current]")).to_have_text("Needs attention")


@pytest.mark.parametrize("size", SIZES)
async def test_a_viewer_at_one_depot_sees_that_depot_alone(
    product: RunningProduct, browser: Browser, size: str
) -> None:
    now = datetime.now(UTC)
    own, other = await make_site(product.engine), await make_site(product.engine)
    for site in (own, other):
        await open_remediation(product.engine, site, now - timedelta(minutes=5))
        await add_device(product.engine, site, circuit_id=site.circuit_ids[0])
        await send(product, packet(site, TOTAL_POWER_LOAD=120_000))
    async with product.engine.begin() as connection:
        await connection.execute(text("UPDATE depots SET name = 'Hidden Yard' WHERE id = :id"), {"id": other.depot_id})
    people = {"vera": person(Grant(Role.VIEWER, own.depot_id)), "nobody": person()}
    async with serving(product.settings, authenticate=by_header(people)) as url:
        pages: dict[str, Page] = {}
        for who in people:
            context = await browser.new_context(
                base_url=url,
                viewport={"width": SIZES[size][0], "height": SIZES[size][1]},
                extra_http_headers={WHO: who},
            )
            pages[who] = await context.new_page()
            await pages[who].goto("/")
        seen = pages["vera"]
        await expect(seen.locator("#worst > tr")).to_have_count(1)
        await expect(seen.locator(f"#worst-{own.depot_id}")).to_contain_text("1 remediation")
        assert [await figure(seen, name) for name in ("remediations", "depots")] == ["1", "1"]
        await expect(seen.locator("#fleet-load")).to_contain_text("120.0 kW")
        await expect(seen.locator("#fleet-load")).to_contain_text("at 1 depot that measures it")
        assert "Hidden Yard" not in await seen.content()
        await look(seen, f"overview-viewer-{size}")
        await seen.locator("#figure-remediations").click()
        await expect(seen.locator("#rows > tr")).to_have_count(1)
        await expect(seen.get_by_role("link", name="New depot")).to_have_count(0)
        await expect(pages["nobody"].locator("#fleet")).to_contain_text("as soon as you have a role at one")
        await expect(pages["nobody"].locator("#fleet-load")).to_contain_text("No depot has measured its load")
        for page in pages.values():
            await page.context.close()


async def test_what_a_run_brought_about_is_marked(product: RunningProduct, visitor: Visitor) -> None:
    (stopped,) = await make_depots(product.url, 1)
    async with http_client(product.url) as api:
        run = await run_into_remediation(api, stopped)
    page = await visitor.open("/")
    remediation = page.locator(f"#worst-{stopped} .alarms li").filter(has_text="remediation")
    await expect(remediation.locator(".simulated a")).to_have_attribute("href", f"/scenario-runs/{run['run_id']}")


async def test_addresses_of_the_list_of_depots_lead_to_it(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/?freshness=STALE&search=arrow+road")
    await expect(page).to_have_url(f"{product.url}/depots?freshness=STALE&search=arrow+road")
    await expect(page.locator("#by-freshness [aria-current]")).to_have_text("Stale 0")

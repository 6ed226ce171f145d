"""No page shows a simulated value without saying so in words, until real values have taken its place."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.factories.packets import PATH
from tests.factories.scenario_sites import make_depots, run_into_remediation, run_scenario
from tests.factories.sites import milliseconds
from tests.helpers.live import http_client
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look

SHOWN = {
    "/depots": "td .onoff",
    "/depots/{depot_id}/load": ".capability .onoff, .history li, #site-now tbody, .sources > li",
    "/depots/{depot_id}/devices": ".source-now",
    "/depots/{depot_id}/controllers": ".value-now .onoff",
    "/devices/{device_id}": "td .value",
    "/remediations": ".remediation",
}
"""Where pages show what packets brought; beside each stands the mark."""
_UNMARKED = """([shown, within]) => [...document.querySelectorAll(shown)]
    .filter((each) => !each.closest(within).querySelector(".simulated"))
    .map((each) => each.closest(within).textContent.trim().replaceAll(/\\s+/g, " "))"""
_WITHIN = "td, li, tbody, .capability, .remediation, .source, tr"


async def unmarked(page: Page, shown: str) -> list[str]:
    """What stands on a page without a mark."""
    await expect(page.locator(shown).first).to_be_attached()
    return await page.evaluate(_UNMARKED, [shown, _WITHIN])


async def test_every_page_marks_what_is_simulated_until_it_is_no_more(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id, stopped = await make_depots(product.url, 2)
    async with http_client(product.url) as api:
        devices = (await api.get("/api/devices", params={"depot_id": depot_id})).json()["items"]
        (controller,) = [each for each in devices if each["sensor_id"] == "mgc-1"]
        run, _ = await run_scenario(api, depot_id, "quick-look")
        other = await run_into_remediation(api, stopped)

        for address, shown in SHOWN.items():
            path = address.format(depot_id=depot_id, device_id=controller["device_id"])
            page = await visitor.open(path)
            assert await unmarked(page, shown) == [], path
            mark = page.locator(".simulated").first
            await expect(mark).to_have_text("Simulated by scenario quick-look", use_inner_text=True)
            shown_run = other if path == "/remediations" else run
            await expect(mark.get_by_role("link")).to_have_attribute("href", f"/scenario-runs/{shown_run['run_id']}")
            await page.close()
        for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
            page = await visitor.open(f"/depots/{depot_id}/load", size=size)
            notes = page.locator(".simulated-notes li")
            await expect(notes).to_have_count(1)
            await expect(notes).to_contain_text("Simulated by scenario quick-look, ")
            await look(page, f"simulated-load-{name}")
            await look(await visitor.open("/depots", size=size), f"simulated-depots-{name}")

        page = await visitor.open(f"/trends?series=device:{controller['device_id']}:SOC")
        await expect(page.locator(".simulated-notes li")).to_contain_text("Simulated by scenario quick-look, ")
        page = await visitor.open(f"/depots/{depot_id}/load")
        await expect(page.locator("#card .capability > .simulated")).to_have_count(2)
        sent = {
            "LIMIT_PEAK_SHAVING": ("true", None), "LIMIT_DER_EXPORT": ("false", None), "HEARTBEAT_STATUS": ("ok", None),
            "AVAILABLE_CHARGING_CAPACITY": (450_000, "W"),
        }  # fmt: skip
        measurands = [{"key": key, "value": value, "unit": unit} for key, (value, unit) in sent.items()]
        packet = {
            "device_id": controller["gateway_id"],
            "timestamp": milliseconds(),
            "sensors": [{"sensor_id": "mgc-1", "measurands": measurands}],
        }
        (await api.post(PATH, json=packet)).raise_for_status()
        # By themselves, on the open page.
        await expect(page.locator("#card .capability > .simulated")).to_have_count(0)
        await expect(page.locator("#site-now tbody .simulated")).to_have_count(0)
        await expect(page.locator("#site-now tbody")).to_contain_text("450")

    # Where a device really reports, the depot is named.
    visitor.expected = ("422",)
    page = await visitor.open("/scenarios?depot=Simulation+depot+0", size=PHONE)
    await page.get_by_role("button", name="Run").click()
    notice = page.locator("#start .notice")
    await expect(notice).to_contain_text("Simulated microgrid controller really reported, last")
    await expect(notice).to_contain_text("the status of Peak shaving")
    await expect(notice).to_contain_text("the capacity of Charging")
    await look(page, "simulated-confirm-phone")
    await page.get_by_label("type the depot's name").fill("Simulation depot 0")
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("All eight measurands in five steps")

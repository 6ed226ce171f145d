"""The scenario pages, in a real browser: start, watch, steer, read the evidence, compare."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.factories.scenario_sites import make_depots, run_scenario
from tests.helpers.live import http_client
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import SIZES, is_wider_than_the_screen, look


@pytest.mark.acceptance("COR-40.7")
async def test_a_scenario_is_chosen_run_and_watched_to_its_end(product: RunningProduct, visitor: Visitor) -> None:
    await make_depots(product.url, 1)
    page = await visitor.open("/scenarios")
    await expect(page.get_by_text("No scenario has run yet")).to_be_visible()
    watching = await visitor.open("/scenarios", size=PHONE)
    await page.get_by_label("Scenario").select_option("peak-shaving")
    await expect(page.locator("#about")).to_contain_text("Peak shaving on and off")
    await page.get_by_label("Scenario").select_option("quick-look")
    await expect(page.locator("#about")).to_contain_text("All eight measurands in five steps")
    await page.get_by_label("Depot").press_sequentially("simul")
    await expect(page.locator("#depot-offers option")).to_have_count(1)
    await page.get_by_label("Seed").fill("7")
    await page.get_by_label("Speed").select_option("100 times real time")
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("All eight measurands in five steps")
    badge = page.locator(".run-head .badge")
    # Step by step, without anybody reloading the page.
    for step in (1, 3, 5):
        await expect(page.locator(f"#step-{step - 1}")).to_be_visible()
    await expect(badge).to_have_text("Checks passed")
    await expect(page.locator("#checks-failed")).to_have_text("0")
    # What was sent stands beside what the product shows of it.
    beside = page.locator(".beside")
    await expect(beside.get_by_role("row", name=re.compile("LIMIT_PEAK_SHAVING"))).to_contain_text("Peak shaving o")
    await expect(beside.get_by_role("row", name=re.compile("AVAILABLE_CHARGING"))).to_contain_text("Circuit carries")
    await expect(beside.get_by_role("row", name=re.compile("SOC"))).to_contain_text("Battery:")
    await expect(beside.get_by_role("row", name=re.compile("TOTAL_POWER_LOAD.*bess"))).to_contain_text("Battery:")
    # No sensor action takes the grid meter's, but the load page draws it.
    await expect(
        beside.get_by_role("row", name=re.compile("TOTAL_POWER_LOAD.*grid")).get_by_role("link", name="load chart")
    ).to_have_attribute("href", re.compile(r"/depots/[0-9a-f-]{36}/load$"))
    await page.locator("#step-4 summary").click()
    await expect(page.locator("#step-4 .sent")).to_contain_text("BESS_OPERATIONAL_MODE")
    # What was opened stays open when the page follows a change.
    async with page.expect_response(lambda answer: answer.url.endswith("/progress")) as refreshed:
        await page.evaluate("document.querySelector('live-stream').tell('run')")
    await (await refreshed.value).finished()
    await expect(page.locator("#step-4 .sent")).to_be_visible()
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Evidence NDJSON").click()
    assert (await started.value).suggested_filename.endswith(".ndjson")
    # Who only watched the list saw it, too.
    await expect(watching.locator("#rows .badge")).to_have_text("Checks passed")
    assert not await is_wider_than_the_screen(watching)


async def test_a_run_is_paused_resumed_and_cancelled(product: RunningProduct, visitor: Visitor) -> None:
    await make_depots(product.url, 1)
    page = await visitor.open("/scenarios?scenario=peak-shaving&depot=Simulation", size=PHONE)
    await page.get_by_label("Speed").select_option("100 times real time")
    await page.get_by_role("button", name="Run").click()
    badge = page.locator(".run-head .badge")
    await expect(badge).to_have_text("Running")
    await page.get_by_role("button", name="Pause").click()
    await expect(badge).to_have_text("Paused")
    await page.get_by_role("button", name="Resume").click()
    await expect(badge).to_have_text("Running")
    await page.get_by_role("button", name="End run").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Keep running").click()
    await expect(dialog).to_be_hidden()
    await expect(badge).to_have_text("Running")
    await page.get_by_role("button", name="End run").click()
    await dialog.get_by_role("button", name="End run").click()
    await expect(badge).to_have_text("Cancelled")
    await expect(page.get_by_role("link", name="Run again")).to_be_visible()


async def test_what_is_wrong_is_told_where_it_is(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("422",)
    async with http_client(product.url) as api:
        body = {"name": "Bare", "timezone": "Etc/UTC", "circuits": [{"name": "Feed"}]}
        bare = (await api.post("/api/depots", json=body)).json()
    page = await visitor.open("/scenarios")
    await page.get_by_label("Seed").fill("many")
    await page.get_by_role("button", name="Run").click()
    await expect(page.locator("#depot-error")).to_have_text("Name a depot.")
    await expect(page.locator("#seed-error")).to_have_text("A whole number from 0 up.")
    await page.get_by_label("Seed").fill("1")
    await page.get_by_label("Depot").fill("Bare")
    await page.get_by_role("button", name="Run").click()
    notice = page.locator("#start .notice")
    await expect(notice).to_contain_text("does not allow simulation")
    await expect(notice.get_by_role("link")).to_have_attribute("href", f"/depots/{bare['depot_id']}/load")
    settings = await visitor.open(f"/depots/{bare['depot_id']}/devices", size=PHONE)
    await settings.get_by_role("button", name="Settings").click()
    await settings.get_by_role("dialog").get_by_label("Simulation").select_option("Allowed")
    await settings.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(settings.get_by_role("dialog")).to_be_hidden()
    await page.get_by_role("button", name="Run").click()
    await expect(page.locator("#start .notice")).to_contain_text("not configured for this scenario")
    await expect(page.locator("#start .notice")).to_contain_text("--provision")


@pytest.mark.parametrize("size", SIZES)
async def test_checks_come_first_and_steps_without_a_change_are_folded(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    (depot_id,) = await make_depots(product.url, 1)
    async with http_client(product.url) as api:
        run, _ = await run_scenario(api, depot_id, "peak-shaving", seed=1)
    page = await visitor.open(f"/scenario-runs/{run['run_id']}", size=SIZES[size])
    headings = await page.locator("#steps > h2").all_inner_texts()
    assert headings == ["Checks", "What is sent, and what the product shows", "Steps"]
    # The last one first, with what was expected of it.
    checked = page.locator("#steps > h3")
    await expect(checked.first).to_contain_text("Off again")
    await expect(page.locator("#steps > .checks").first.locator("li").first).to_contain_text("Passed:")
    rows = page.locator(".steps tbody > tr:not(.more)")
    folded = rows.filter(has_text="Nothing happens in")
    await expect(folded.first).to_contain_text("Nothing happens in 10 steps")
    await expect(rows.filter(has_text="Off again")).to_contain_text("Passed")
    await expect(folded.first.locator("dl").first).to_be_hidden()
    await folded.first.locator("summary").click()
    await expect(folded.first.locator("details h3")).to_have_count(10)
    await expect(folded.first.locator("dl").first).to_be_visible()
    await look(page, f"scenario-run-folded-{size}")


async def test_two_runs_are_compared(product: RunningProduct, visitor: Visitor) -> None:
    (depot_id,) = await make_depots(product.url, 1)
    async with http_client(product.url) as api:
        first, _ = await run_scenario(api, depot_id, "quick-look", seed=1)
        same, _ = await run_scenario(api, depot_id, "quick-look", seed=1)
        other, _ = await run_scenario(api, depot_id, "quick-look", seed=2)
    page = await visitor.open(f"/scenario-runs/{first['run_id']}")
    # It stands above the steps, folded.
    assert (
        await page.evaluate("""
        document.querySelector(".compare").compareDocumentPosition(document.querySelector("#steps"))
    """)
        == 4
    )
    await page.get_by_text("Compare with another run of this scenario (2)").click()
    await expect(page.locator(".others tbody tr")).to_have_count(2)
    await page.locator(".others tr", has_text="the same").get_by_role("link").click()
    await expect(page.locator("main .notice")).to_contain_text("of the two runs is identical")
    assert same["run_id"] in page.url
    await page.goto(f"/scenario-runs/{first['run_id']}/compare/{other['run_id']}")
    await expect(page.locator("main .notice")).to_contain_text("They differ")
    await expect(page.locator(".differences tbody tr").first).to_contain_text("/seed")


@pytest.mark.parametrize("size", SIZES)
async def test_the_scenario_pages_are_accessible_in_both_themes(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    (depot_id,) = await make_depots(product.url, 1)
    window = DESKTOP if size == "desktop" else PHONE
    visitor.expected = ("422",)
    async with http_client(product.url) as api:
        # A battery that nobody updates: what is expected of it fails.
        device = next(
            each
            for each in (await api.get("/api/devices", params={"depot_id": depot_id})).json()["items"]
            if each["sensor_id"] == "mgc-1"
        )
        actions = (await api.get(f"/api/devices/{device['device_id']}/sensor-actions")).json()["items"]
        state = next(each for each in actions if each["action"] == "UPDATE_POWER_SOURCE_STATE")
        first, _ = await run_scenario(api, depot_id, "heartbeat", seed=1)
        await api.patch(f"/api/sensor-actions/{state['sensor_action_id']}", json={"enabled": False})
        failed, _ = await run_scenario(api, depot_id, "quick-look", seed=1, force=True)
        await api.patch(f"/api/sensor-actions/{state['sensor_action_id']}", json={"enabled": True})
        passed, _ = await run_scenario(api, depot_id, "quick-look", seed=2)
    await look(await visitor.open("/scenarios", size=window), f"scenarios-{size}")
    page = await visitor.open("/scenarios", size=window)
    await page.get_by_role("button", name="Run").click()
    await expect(page.locator("#depot-error")).to_be_visible()
    await look(page, f"scenarios-refused-{size}")
    page = await visitor.open(f"/scenario-runs/{first['run_id']}", size=window)
    await page.locator("#step-5 summary").click()
    await look(page, f"scenario-run-{size}")
    await look(await visitor.open(f"/scenario-runs/{failed['run_id']}", size=window), f"scenario-run-failed-{size}")
    compare = f"/scenario-runs/{failed['run_id']}/compare/{passed['run_id']}"
    await look(await visitor.open(compare, size=window), f"scenario-compare-{size}")

"""What holds for every page: accessible in both themes, no wider than the screen, strict about what it runs."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with, make_fleet, make_large_depot
from tests.helpers.live import http_client
from tests.helpers.support import synced
from tests.pages.conftest import RunningProduct, Visitor
from tests.pages.helpers.looking import NOBODY, SIZES, look

_HANDLERS = """
    [...document.querySelectorAll("*")].flatMap(e => e.getAttributeNames()).filter(name => name.startsWith("on"))
"""


@pytest.mark.parametrize("size", SIZES)
async def test_every_page_is_accessible_in_both_themes(product: RunningProduct, visitor: Visitor, size: str) -> None:
    await make_fleet(product.engine, 40, flawed=3)
    depot_id = await make_large_depot(product.engine)
    empty = await make_depot_with(product.engine, name="Yard without a feed")
    await synced(product.engine, depot_id)
    window = SIZES[size]
    visitor.expected = ("404", "422")

    await look(await visitor.open("/", size=window), f"overview-{size}")
    await look(await visitor.open("/depots", size=window), f"depots-{size}")
    await look(await visitor.open("/depots?search=nothing", size=window), f"depots-none-{size}")

    page = await visitor.open("/depots/new", size=window)
    await page.get_by_label("Name of circuit 1", exact=True).fill("Feed 1")
    await page.get_by_role("button", name="Add a circuit below circuit 1").click()
    await page.get_by_label("Name of circuit 2", exact=True).fill("Charger bank")
    await page.get_by_role("button", name="Create depot").click()
    await expect(page.locator("#form-errors")).to_be_visible()
    await look(page, f"new-depot-{size}")

    page = await visitor.open(f"/depots/{depot_id}/microgrid", size=window)
    await page.get_by_role("button", name="Resync").click()
    await expect(page.locator("#resynced")).to_contain_text("Nothing to change")
    await look(page, f"microgrid-{size}")
    await page.get_by_role("button", name="Edit Distribution board 1.2").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await look(page, f"circuit-edit-{size}")
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("checkbox")).to_be_visible()
    await look(page, f"circuit-delete-{size}")

    page = await visitor.open(f"/depots/{depot_id}/devices", size=window)
    await look(page, f"devices-{size}")
    await page.get_by_role("link", name="Feed meter").click()
    await expect(page.locator("#device-title")).to_have_text("Feed meter")
    await look(page, f"device-{size}")

    await look(await visitor.open(f"/depots/{empty}/microgrid", size=window, status=404), f"microgrid-none-{size}")
    await look(await visitor.open(f"/depots/{depot_id}/controllers", size=window), f"controllers-none-{size}")
    await look(await visitor.open("/backfills", size=window), f"backfills-none-{size}")
    page = await visitor.open("/backfills", size=window)
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator(".run-head .badge")).to_have_text("Completed")
    await expect(page.locator(".outcomes .more")).to_have_count(0)
    await look(page, f"backfill-{size}")
    await look(await visitor.open("/backfills", size=window), f"backfills-{size}")
    await look(await visitor.open("/no/such/page", size=window, status=404), f"not-found-{size}")


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/no/such/page", "There is no such page"),
        ("/depots/not-an-id/microgrid", "There is no such page"),
        (f"/depots/{NOBODY}", "There is no such depot"),
        (f"/depots/{NOBODY}/microgrid", "There is no such depot"),
        (f"/depots/{NOBODY}/controllers", "There is no such depot"),
        ("/backfills/not-an-id", "There is no such page"),
        (f"/backfills/{NOBODY}", "There is no such backfill"),
        (f"/scenario-runs/{NOBODY}", "There is no such scenario run"),
        (f"/scenario-runs/{NOBODY}/compare/{NOBODY}", "There is no such scenario run"),
        (f"/depots/{NOBODY}/devices", "There is no such depot"),
        ("/devices/not-an-id", "There is no such page"),
        (f"/devices/{NOBODY}", "There is no such device"),
    ],
)
async def test_what_cannot_be_resolved_is_a_page_with_status_404(visitor: Visitor, path: str, title: str) -> None:
    visitor.expected = ("404",)
    page = await visitor.open(path, status=404)
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)
    await page.get_by_role("link", name="All depots").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Depots")


async def test_a_program_still_gets_a_problem_document(product: RunningProduct) -> None:
    async with http_client(product.url) as caller:
        for path, accept in (("/api/nothing", "text/html"), ("/no/such/page", "*/*"), (f"/depots/{NOBODY}", "*/*")):
            answer = await caller.get(path, headers={"accept": accept})
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await caller.post("/api/health")).status_code == 404
        assert (await caller.delete("/api/depots")).status_code == 405


async def test_a_page_runs_nothing_but_its_own(product: RunningProduct, visitor: Visitor) -> None:
    name = "<script>bad()</script><img src=x onerror=bad() hx-get=/ hx-trigger=load>"
    depot_id = await make_depot_with(product.engine, NewCircuit(name), name=name)
    await synced(product.engine, depot_id)
    for path in ("/depots", f"/depots/{depot_id}/microgrid"):
        page = await visitor.open(path)
        await expect(page.get_by_text(name).first).to_be_visible()
        assert await page.locator("main script, main img, [style]").count() == 0
        assert await page.evaluate(_HANDLERS) == []
    await page.get_by_role("button", name="Edit <script>").click()
    await expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value(name)
    assert await page.locator("main img, dialog img").count() == 0
    visitor.expected = ("hx-csp", "Content Security Policy", "TrustedHTML")
    # Even markup that slipped in does not act: htmx wants the page's nonce, the browser wants htmx's policy.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    refused = await page.evaluate(
        """() => {
            const element = document.createElement("button");
            element.setAttribute("hx-get", "/stolen");
            element.setAttribute("hx-trigger", "load");
            document.body.append(element);
            htmx.process(element);
            try { element.innerHTML = "<b>x</b>"; return false; } catch { return true; }
        }"""
    )
    assert refused
    assert not any("stolen" in url for url in asked)
    async with http_client(product.url, headers={"accept": "text/html"}) as caller:
        first, second = (await caller.get("/")), (await caller.get("/"))
    policy = first.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert policy != second.headers["content-security-policy"]
    assert not re.search(r"<style|<script(?! src=)", first.text)
    assert not re.search(r"(?:src|href)=\"(?!/|#)", first.text)


async def test_assets_are_cached_for_good_under_their_digest(product: RunningProduct, visitor: Visitor) -> None:
    seen: dict[str, str] = {}
    page = await visitor.open("/")
    page.on("response", lambda answer: seen.update({answer.url: answer.headers.get("cache-control", "")}))
    await page.reload()
    assert all(url.startswith(product.url) for url in seen)
    kept = {url: control for url, control in seen.items() if "/static/" in url}
    assert any(url.endswith(".woff2") for url in kept)
    assert set(kept.values()) == {"public, max-age=31536000, immutable"}
    async with http_client(product.url) as caller:
        old = await caller.get("/static/0123456789abcdef/css/base.css")
        assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
        assert old.headers["content-type"] == "text/css; charset=utf-8"
        for name in ("css/none.css", "%2e%2e/pages.py", "..%2fpages.py"):
            assert (await caller.get(f"/static/0123456789abcdef/{name}")).status_code == 404


async def test_the_colours_are_chosen_and_kept(visitor: Visitor) -> None:
    page = await visitor.open("/")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(colour)
    switch = page.get_by_role("button", name="Colours:")
    await switch.click()
    await expect(switch).to_have_accessible_name("Colours: light")
    light = await page.evaluate(colour)
    assert light != dark
    await page.goto("/backfills")
    assert await page.evaluate(colour) == light
    await switch.click()
    assert await page.evaluate(colour) == dark
    await switch.click()
    await expect(switch).to_have_accessible_name("Colours: as the system")
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate(colour) == light


async def test_the_keyboard_reaches_everything_in_order(visitor: Visitor) -> None:
    page = await visitor.open("/depots")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="New depot")).to_be_focused()
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"

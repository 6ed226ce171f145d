"""Every page is reached by keyboard and by finger, read without a script, printed, and told to stand still."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from sim_scenarios.evidence.evidence import read_evidence
from sim_scenarios.evidence.html_report import html_report
from sim_scenarios.runs.library import preset
from tests.factories.depots import make_fleet
from tests.helpers.live import http_client
from tests.pages.conftest import RunningProduct, Visitor
from tests.pages.helpers.every import every_page, page_routes
from tests.pages.helpers.looking import SIZES, is_wider_than_the_screen, picture, violations
from tests.scenarios.samples import failing
from tests.scenarios.stand_in import run_scenario

_SCROLLS_AS_SOME_DO = """
    const scroll = Element.prototype.scrollIntoView;
    Element.prototype.scrollIntoView = function (...how) {
        scroll.apply(this, how);
        this.focus({ preventScroll: true });
        this.blur();
    };
"""
"""Some versions of Chromium go on from what was scrolled into view when Tab is pressed; here every one does."""
_FOCUSED = "document.activeElement.textContent.trim()"


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_tab_on_every_page_is_skip_to_content(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    pages = await every_page(product)
    assert set(pages) == page_routes(product)
    first: dict[str, str] = {}
    for name, path in pages.items():
        page = await visitor.open(path, size=SIZES[size], script=_SCROLLS_AS_SOME_DO)
        await page.keyboard.press("Tab")
        first[name] = await page.evaluate(_FOCUSED)
        # The link of this page is in sight in its row, all the same.
        hidden = await page.evaluate("""
            [...document.querySelectorAll(":is(.main-links, .tabs) [aria-current]")].filter(link => {
                const [own, row] = [link, link.parentElement].map(each => each.getBoundingClientRect());
                return own.left < row.left - 1 || own.right > row.right + 1;
            }).map(link => link.textContent)
        """)
        assert hidden == [], name
        await page.close()
    assert first == dict.fromkeys(pages, "Skip to content")


_NARROW = (320, 640)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+00:00|Z)")
_MOVING = """
    () => {
        const made = document.createElement("span");
        made.className = "spinning";
        document.querySelector("main").append(made);
        return new Promise(done => setTimeout(() => done(
            document.getAnimations().filter(each => each.playState === "running").length
        ), 100));
    }
"""
_MOVES = """
    [...document.querySelectorAll("main *")].map(e => getComputedStyle(e))
        .filter(s => parseFloat(s.transitionDuration) > 0 || parseFloat(s.animationDuration) > 0).length
"""
_ON_PAPER = """
    () => {
        const dark = colour => colour.match(/\\d+(\\.\\d+)?/g).slice(0, 3).map(Number).reduce((a, b) => a + b) < 384;
        const shown = selector => [...document.querySelectorAll(selector)].filter(e => e.checkVisibility()).length;
        return {
            ground: dark(getComputedStyle(document.body).backgroundColor),
            text: dark(getComputedStyle(document.querySelector("h1")).color),
            pressed: shown("button, .main-links a, .tabs a, .button, form"),
            said: shown("main h1"),
        };
    }
"""


async def test_every_page_is_printed_stands_still_and_has_times_to_the_second(
    product: RunningProduct, visitor: Visitor
) -> None:
    for name, path in (await every_page(product)).items():
        page = await visitor.open(path, size=_NARROW)
        assert not await is_wider_than_the_screen(page), name
        times = await page.eval_on_selector_all("[datetime]", "all => all.map(e => e.getAttribute('datetime'))")
        assert [each for each in times if not _MOMENT.fullmatch(each)] == [], name
        await page.emulate_media(reduced_motion="reduce")
        assert await page.evaluate(_MOVING) == 0, name
        assert await page.evaluate(_MOVES) == 0, name
        await page.emulate_media(media="print", color_scheme="dark")
        assert await page.evaluate(_ON_PAPER) == {"ground": False, "text": True, "pressed": 0, "said": 1}, name
        await picture(page, f"print-{name.replace('_', '-')}")
        await page.close()


async def test_names_are_whole_on_a_tablet_and_on_paper(product: RunningProduct, visitor: Visitor) -> None:
    await make_fleet(product.engine, 3)
    page = await visitor.open("/depots")
    for media, width in (("screen", 768), ("print", 680)):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(media="print" if media == "print" else "screen")
        assert not await is_wider_than_the_screen(page), media
        names = await page.eval_on_selector_all("tbody th", "all => all.map(e => e.getBoundingClientRect().width)")
        assert min(names) > 100, media


async def test_a_page_without_scripts_says_what_is_missing(product: RunningProduct) -> None:
    """The browser of the tests shows no ``noscript``, however its scripts are switched off: the page itself is read."""
    async with http_client(product.url, headers={"accept": "text/html"}) as caller:
        page = (await caller.get("/")).text
    told = re.search(r"<noscript>(.*?)</noscript>", page, re.DOTALL)
    assert told is not None
    assert "JavaScript is switched off." in told[1]
    assert page.index("<noscript>") < page.index("<main")


@pytest.mark.parametrize("size", SIZES)
async def test_every_dialog_is_accessible(product: RunningProduct, visitor: Visitor, size: str) -> None:
    """Every dialog that a page opens by a button, and every dialog that such a one leads to."""
    opened: set[str] = set()
    for path in (await every_page(product)).values():
        page = await visitor.open(path, size=SIZES[size])
        await _open_each(page, opened)
        await page.close()
    for wanted in ("circuits/new", "gateways/new", "devices/new", "power-sources/new", "sensor-actions/new"):
        assert any(wanted in each for each in opened), (wanted, opened)
    assert sum("delete" in each for each in opened) >= 4, opened


_OPENERS = '[hx-get][hx-target="#dialog-body"]'


async def _addresses(page: Page, within: str) -> list[str]:
    found: list[str] = await page.eval_on_selector_all(
        f"{within} {_OPENERS}", "all => all.filter(e => e.checkVisibility()).map(e => e.getAttribute('hx-get'))"
    )
    return found


async def _open_each(page: Page, opened: set[str]) -> None:
    for address in await _addresses(page, "main"):
        if _kind(address) in opened:
            continue
        opener = page.locator(f'main [hx-get="{address}"]').first
        await opener.click()
        await _look_into(page, _kind(address))
        opened.add(_kind(address))
        further = [each for each in await _addresses(page, "dialog") if _kind(each) not in opened]
        for inner in further:
            await page.locator(f'dialog [hx-get="{inner}"]').first.click()
            await _look_into(page, _kind(inner))
            opened.add(_kind(inner))
            await _close(page)
            await opener.click()
            await expect(page.locator(f'dialog [hx-get="{inner}"]').first).to_be_visible()
        await _close(page)


async def _close(page: Page) -> None:
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def _look_into(page: Page, kind: str) -> None:
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect(page.locator(".htmx-request")).to_have_count(0)
    found = await violations(page)
    assert found == [], f"{kind}: " + "\n".join(found)
    assert not await is_wider_than_the_screen(page), kind


def _kind(address: str) -> str:
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", address)


@pytest.mark.parametrize("kind", ["passed", "failed"])
async def test_a_runs_html_report_is_accessible_and_fits_a_narrow_screen(browser: Browser, kind: str) -> None:
    evidence = failing() if kind == "failed" else run_scenario(preset("quick-look"))[0]
    context = await browser.new_context(viewport={"width": _NARROW[0], "height": _NARROW[1]})
    page = await context.new_page()
    await page.set_content(html_report(read_evidence(evidence)))
    assert not await is_wider_than_the_screen(page)
    await page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")
    found = await violations(page)
    assert found == [], "\n".join(found)
    assert not await is_wider_than_the_screen(page)
    await picture(page, f"report-{kind}")
    await context.close()

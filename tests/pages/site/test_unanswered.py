"""What somebody is told where the server refuses what the dialog sends, or does not answer at all."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, Route, expect
from sqlalchemy import text

from store.base.database import transaction
from store.provisioning.retirement import retire_depot
from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with
from tests.helpers.support import ACTOR, synced
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look

SIZES = {"desktop": DESKTOP, "phone": PHONE}
UNANSWERED = ("ERR_FAILED", "Failed to fetch", "htmx")


async def add_circuit(page: Page, name: str) -> None:
    await page.get_by_role("button", name="Add circuit").click()
    await page.locator("#dialog").get_by_label("Name").fill(name)


async def names(product: RunningProduct, table: str) -> list[str]:
    async with product.engine.connect() as connection:
        return list((await connection.execute(text(f"SELECT name FROM {table} ORDER BY name"))).scalars())


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_refused_in_the_dialog_is_said_in_it(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid", size=SIZES[size])
    await add_circuit(page, "Feed 2")
    # Nothing tells the page before it sends.
    await page.evaluate("document.querySelector('live-stream').close()")
    visitor.expected = ("409", "503")
    async with transaction(product.engine, ACTOR) as connection:
        await retire_depot(connection, ACTOR, depot_id)
    form = page.locator("#dialog")
    await form.get_by_role("button", name="Add").click()
    notice = form.locator("#dialog-notices > .notice")
    await expect(notice).to_contain_text("retired")
    await expect(notice).to_be_in_viewport()
    # It is read out: what comes into this place is, as in an alert.
    await expect(page.locator("#dialog-notices")).to_have_attribute("aria-live", "assertive")
    await expect(page.locator("#notices")).to_be_empty()
    await expect(form.get_by_label("Name")).to_have_value("Feed 2")
    await look(page, f"refused-in-the-dialog-{size}")
    # Another refusal takes its place; with the dialog it goes.
    await product.gate.close()
    await form.get_by_role("button", name="Add").click()
    await expect(notice).to_contain_text("try again")
    await expect(notice).to_have_count(1)
    await product.gate.open()
    await form.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#dialog-notices")).to_be_empty()
    assert await names(product, "circuits") == ["Feed 1"]


@pytest.mark.parametrize("size", SIZES)
async def test_no_answer_in_the_dialog_is_said_and_sent_again_once(
    product: RunningProduct, visitor: Visitor, size: str
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    visitor.expected = UNANSWERED
    page = await visitor.open(f"/depots/{depot_id}/microgrid", size=SIZES[size])
    await add_circuit(page, "Feed 2")
    waits, go = asyncio.Event(), asyncio.Event()

    async def lose(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        waits.set()
        await go.wait()
        # It is stored, and the answer is lost.
        await route.fetch()
        await route.abort()

    await page.route("**/depots/**", lose)
    form = page.locator("#dialog")
    send = form.get_by_role("button", name="Add")
    await send.click()
    await waits.wait()
    await expect(send.locator(".spinning")).to_be_visible()
    go.set()
    notice = form.locator("#dialog-notices > .notice")
    await expect(notice).to_contain_text("The server did not answer.")
    await expect(notice).to_contain_text("Send it again as it is: it is stored once.")
    await expect(send.locator(".spinning")).to_be_hidden()
    await look(page, f"unanswered-in-the-dialog-{size}")
    await page.unroute("**/depots/**")
    await send.click()
    await expect(form).to_be_hidden()
    assert await names(product, "circuits") == ["Feed 1", "Feed 2"]


async def test_no_answer_on_a_page_is_said_in_sight(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = (*UNANSWERED, "404")  # it may have no microgrid yet
    page = await visitor.open("/depots/new", size=PHONE)
    await page.get_by_label("Name", exact=True).fill("Offline")
    await page.get_by_label("Time zone").fill("America/Toronto")
    await page.get_by_label("Name of circuit 1", exact=True).fill("Feed")
    await page.route("**/depots/new", lambda route: route.abort())
    create = page.get_by_role("button", name="Create depot")
    await create.click()
    notice = page.locator("#notices .notice")
    await expect(notice).to_contain_text("it is stored once")
    await expect(notice).to_be_in_viewport()
    await page.unroute("**/depots/new")
    await create.click()
    await expect(page.get_by_role("heading", name="Offline")).to_be_visible()
    assert await names(product, "depots") == ["Offline"]


async def test_no_answer_to_what_has_no_form_is_said_and_goes_with_the_next(
    product: RunningProduct, visitor: Visitor
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    visitor.expected = UNANSWERED
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await page.route("**/depots/**", lambda route: route.abort())
    notice = page.locator("#notices .notice")
    await page.get_by_role("button", name="Add circuit").click()
    await expect(notice).to_contain_text("The server did not answer. Try again.")
    await page.get_by_role("button", name="Resync").click()
    await expect(notice).to_contain_text("Look whether it is done before you do it again.")
    await expect(page.get_by_role("button", name="Resync")).to_be_enabled()
    await page.unroute("**/depots/**")
    # Reading tells nothing of what was sent; the next change does.
    await page.get_by_role("button", name="Add circuit").click()
    await page.locator("#dialog").get_by_role("button", name="Cancel").click()
    await expect(notice).to_be_visible()
    await page.get_by_role("button", name="Resync").click()
    await expect(notice).to_have_count(0)


async def test_what_the_page_asks_for_by_itself_takes_no_notice_away(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    visitor.expected = UNANSWERED
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await page.route("**/circuits/new", lambda route: route.abort())
    notice = page.locator("#notices .notice")
    add = page.get_by_role("button", name="Add circuit")
    await add.click()
    await expect(notice).to_contain_text("The server did not answer. Try again.")
    async with page.expect_response("**/microgrid/parts"):
        await page.evaluate("document.querySelector('live-stream').tell('depot')")
    await expect(page.locator("#parts.htmx-request")).to_have_count(0)
    await expect(notice).to_be_visible()
    await page.unroute("**/circuits/new")
    await add.click()
    await expect(page.locator("#dialog").get_by_label("Name")).to_be_visible()
    await expect(notice).to_have_count(0)


async def test_an_answer_that_was_on_its_way_takes_no_refusal_away(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    visitor.expected = ("503",)
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await expect(page.locator("#live")).to_have_text("Live")
    waits, go = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        waits.set()
        await go.wait()
        await route.fulfill(response=answer)

    await page.route("**/microgrid/parts", hold)
    await page.evaluate("document.querySelector('live-stream').tell('depot')")
    await waits.wait()
    # What is asked for from here on begins by hand.
    await page.evaluate("document.querySelector('live-stream').close()")
    await product.gate.close()
    notice = page.locator("#notices .notice")
    await page.get_by_role("button", name="Add circuit").click()
    await expect(notice).to_contain_text("try again")
    go.set()
    await expect(page.locator("#parts.htmx-request")).to_have_count(0)
    await expect(notice).to_be_visible()
    await product.gate.open()
    await page.evaluate("document.querySelector('live-stream').tell('depot')")
    await expect(notice).to_have_count(0)


@pytest.mark.parametrize("tab", ["load", "microgrid", "devices"])
async def test_a_depot_that_is_retired_elsewhere_is_shown_as_retired(
    product: RunningProduct, visitor: Visitor, tab: str
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/{tab}")
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.get_by_role("button", name="Settings")).to_be_visible()
    form = page.get_by_role("dialog")
    if tab == "microgrid":
        await add_circuit(page, "Feed 2")
    visitor.expected = ("404",)  # it has no microgrid to show
    async with page.expect_response("**/verdict"), transaction(product.engine, ACTOR) as connection:
        await retire_depot(connection, ACTOR, depot_id)
    if tab == "microgrid":
        # What is typed in the dialog is not taken away.
        await expect(form.get_by_label("Name")).to_have_value("Feed 2")
        await form.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("region", name="Retired")).to_be_visible()
    for name in ("Settings", "Add circuit", "Resync", "Add gateway"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)

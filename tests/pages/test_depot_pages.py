"""The list of depots and the creation of one, in a real browser."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page, Route, expect

from api.ui.site.depots import depot_fields
from store.site.circuits import list_circuits
from store.site.depots import list_depots
from store.site.fleet.fleet_list import DepotFilter
from tests.factories.depots import make_depot_with, make_fleet
from tests.helpers.support import follows, until
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen

DEPOTS = 5_200


async def test_thousands_of_depots_are_searched_filtered_and_scrolled_through(
    product: RunningProduct, visitor: Visitor
) -> None:
    await make_fleet(product.engine, DEPOTS, flawed=300)
    empty = await make_depot_with(product.engine, name="Yard without a feed")
    page = await visitor.open("/depots")
    rows = page.locator("#rows > tr:not(.more)")
    counts = page.locator("#by-provisioning a")
    await expect(counts).to_have_text(["All 5\u202f201", "Provisioned 0", "Pending 5\u202f200", "Failed 1"])
    # What is not yet seen is not loaded.
    assert await rows.count() <= 300
    loaded = await rows.count()
    while loaded < 1_500:
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(rows.nth(loaded)).to_be_attached()
        loaded = await rows.count()
    names = await page.locator("#rows th a").all_text_contents()
    assert names == [f"Depot {number:05}" for number in range(1, len(names) + 1)]
    # To the very end of a list, where nothing more is offered.
    await page.goto("/depots?search=depot+05")
    await expect(counts.first).to_have_text("All 400")
    while (loaded := await rows.count()) < 400:
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(rows.nth(loaded)).to_be_attached()
    await expect(page.locator("#rows > .more")).to_have_count(0)
    await page.goto("/depots")

    await page.evaluate("scrollTo(0, 0)")
    await page.get_by_role("searchbox").press_sequentially("depot 0519")
    await expect(rows).to_have_count(11)
    await expect(counts.first).to_have_text("All 11")
    await expect(page).to_have_url(f"{product.url}/depots?search=depot+0519")
    await page.reload()
    await expect(rows).to_have_count(11)
    await page.goto("/depots?search=no+such+name")
    await expect(page.get_by_text("No depots match")).to_be_visible()

    await page.goto("/depots")
    await page.get_by_role("link", name="Failed").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("No top-level circuit")
    visitor.expected = ("404",)
    await rows.locator("th").get_by_role("link").click()
    await expect(page).to_have_url(f"{product.url}/depots/{empty}/load")


async def test_the_list_follows_what_changes(product: RunningProduct, visitor: Visitor) -> None:
    await make_depot_with(product.engine, name="Old yard")
    page = await visitor.open("/depots")
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
    await make_depot_with(product.engine, name="Another yard")
    await expect(page.locator("#rows th")).to_have_text(["Another yard", "Old yard"])
    await expect(page.locator("#rows .badge")).to_have_text(["Failed", "Failed"])
    await expect(page.locator("#by-provisioning a").last).to_have_text("Failed 2")


async def test_a_depot_with_its_circuits_is_created_by_keyboard_alone(
    product: RunningProduct, visitor: Visitor
) -> None:
    visitor.expected = ("404",)  # until the first sync, which it does not wait for, a new depot has no microgrid
    page = await visitor.open("/depots/new")
    keys = page.keyboard
    await page.get_by_label("Name", exact=True).focus()
    await keys.type("Mount Dennis")
    for field in depot_fields()[1:]:
        await keys.press("Tab")
        if field.name == "timezone":
            await keys.type("America/Toronto")
    await keys.press("Tab")

    async def line(number: int, name: str) -> None:
        await expect(_name(page, number)).to_be_focused()
        await keys.type(name)

    await line(1, "Feed 1")
    await keys.press("Tab")
    await keys.type("1500")
    await keys.press("Enter")
    await line(2, "Bank")
    await keys.press("Alt+ArrowRight")
    await expect(page.locator(".line").nth(1)).to_have_class("line level-1")
    await expect(page.get_by_role("button", name="Move circuit 2 one level down")).to_be_focused()
    await _name(page, 2).focus()
    await keys.press("Enter")
    await line(3, "Second bank")
    await keys.press("Enter")
    await line(4, "Feed 2")
    await keys.press("Alt+ArrowLeft")
    await expect(page.locator(".line").nth(3)).to_have_class("line level-0")
    await page.get_by_role("button", name="Add a circuit below circuit 2").press("Enter")
    await line(3, "Charger")
    await page.get_by_role("button", name="Create depot").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mount Dennis")
    await expect(page.locator(".infeed > .head .called")).to_have_text(["Feed 1", "Feed 2"])
    async with product.engine.connect() as connection:
        (depot,) = await list_depots(connection, DepotFilter(), after=None, limit=9)
        circuits = await list_circuits(connection, depot.depot_id)
    assert (depot.name, depot.timezone) == ("Mount Dennis", "America/Toronto")
    by_id = {circuit.circuit_id: circuit.name for circuit in circuits}
    assert [(c.name, c.parent_id and by_id[c.parent_id], c.rated_power_w) for c in circuits] == [
        ("Feed 1", None, 1.5e6),
        ("Bank", "Feed 1", None),
        ("Charger", "Bank", None),
        ("Second bank", "Feed 1", None),
        ("Feed 2", None, None),
    ]
    await until(lambda: follows(product.engine, depot.depot_id))


async def held_back(page: Page) -> asyncio.Event:
    """Hold the answers to changes of the outline back until the event is set."""
    go = asyncio.Event()

    async def hold(route: Route) -> None:
        await go.wait()
        await route.continue_()

    await page.route("**/depots/new/circuits", hold)
    return go


async def outline(page: Page) -> list[tuple[str, str]]:
    """The names and ratings of all rows."""
    rows = page.locator("[data-line]")
    names = await rows.locator("input[name=circuit_name]").evaluate_all("all => all.map(each => each.value)")
    ratings = await rows.locator("input[name=circuit_kilowatts]").evaluate_all("all => all.map(each => each.value)")
    return list(zip(names, ratings, strict=True))


async def test_keys_typed_before_a_new_row_is_there_are_not_lost(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/depots/new")
    go = await held_back(page)
    await _name(page, 1).fill("Feed 1")
    # All of it before the first answer: two more rows, a slip, a rating, and what comes behind it.
    await _name(page, 1).press("Enter")
    await page.keyboard.type("Feeed")
    for _ in range(2):
        await page.keyboard.press("Backspace")
    await page.keyboard.type("d 2")
    await page.keyboard.press("Tab")
    await page.keyboard.type("50")
    await page.keyboard.press("Enter")
    await page.keyboard.type("Feed <3> & 'more'")
    assert await outline(page) == [("Feed 1", "")]
    go.set()
    await expect(_name(page, 3)).to_have_value("Feed <3> & 'more'")
    await expect(_name(page, 3)).to_be_focused()
    assert await outline(page) == [("Feed 1", ""), ("Feed 2", "50"), ("Feed <3> & 'more'", "")]
    # And with nothing held back, as fast as keys come.
    await page.keyboard.press("Enter")
    for n in range(4, 12):
        await page.keyboard.type(f"Feed {n}")
        await page.keyboard.press("Enter")
    await expect(_name(page, 12)).to_be_focused()
    assert [name for name, _ in await outline(page)][3:] == [*(f"Feed {n}" for n in range(4, 12)), ""]


async def test_keys_typed_after_a_button_go_to_the_row_that_it_adds(product: RunningProduct, visitor: Visitor) -> None:
    page = await visitor.open("/depots/new")
    go = await held_back(page)
    await _name(page, 1).fill("Feed 1")
    await page.get_by_role("button", name="Add a top-level circuit").click()
    await page.keyboard.type("Feed 2")
    go.set()
    await expect(_name(page, 2)).to_have_value("Feed 2")
    assert await outline(page) == [("Feed 1", ""), ("Feed 2", "")]


async def test_keys_stay_where_the_outline_cannot_be_changed(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("ERR_FAILED", "htmx")
    page = await visitor.open("/depots/new")
    await page.route("**/depots/new/circuits", lambda route: route.abort())
    await _name(page, 1).fill("Feed 1")
    await _name(page, 1).press("Enter")
    await page.keyboard.type(" and 2")
    await expect(_name(page, 1)).to_have_value("Feed 1 and 2")


async def test_all_that_is_wrong_is_told_at_once_beside_its_field(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("422",)
    page = await visitor.open("/depots/new", size=PHONE)
    await page.get_by_label("Time zone").fill("berlin")
    await page.get_by_label("Name of circuit 1", exact=True).fill("x" * 201)
    await page.get_by_label("Rated power of circuit 1").fill("a lot")
    await page.get_by_role("button", name="Create depot").click()
    await expect(page.locator("#form-errors")).to_be_focused()
    await expect(page.locator("#form-errors li")).to_have_count(4)
    for label, error in (
        (page.get_by_label("Name", exact=True), "A name must not be blank."),
        (page.get_by_label("Time zone"), "This is not a time zone of the IANA database. Did you mean Europe/Berlin?"),
        (_name(page, 1), "A name has at most 200 characters; this one has 201."),
        (page.get_by_label("Rated power of circuit 1"), "A rated power is a number of kilowatts"),
    ):
        await expect(label).to_have_attribute("aria-invalid", "true")
        described = await label.get_attribute("aria-describedby") or ""
        await expect(page.locator(f"#{described.split()[-1]}")).to_contain_text(error)
    assert not await is_wider_than_the_screen(page)
    await page.get_by_role("link", name="A name must not be blank.").click()
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    async with product.engine.connect() as connection:
        assert await list_depots(connection, DepotFilter(), after=None, limit=9) == []
    await page.get_by_label("Name", exact=True).fill("Malvern")
    await page.get_by_label("Time zone").fill("America/Toronto")
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_label("Name of circuit 1", exact=True)).to_have_count(0)
    visitor.expected = ("422", "404")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Create depot").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Malvern")


def _name(page: Page, number: int):
    return page.get_by_label(f"Name of circuit {number}", exact=True)

"""Signing in and out in a real browser, at a real provider, on desktop and phone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fleet.make_fleet import lines
from runtime.temporal import connect, ensure_search_attributes
from store.base.database import make_engine
from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with
from tests.helpers.openid import SESSION, signing_in
from tests.pages.conftest import ARTIFACTS, DESKTOP, PHONE

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
NAME = "Ada <img src=x onerror=alert(1)>\n2026 info forged"
PEOPLE: list[dict[str, object]] = [
    {
        "login": login,
        "password": login,
        "claims": {"name": name, "email": f"{login}@depot.example", "email_verified": True, "groups": [group]},
    }
    for login, name, group in (
        ("ada", NAME, "demo-administrator"),
        ("eve", "Eve Administrator", "demo-administrator"),
        ("vera", "Vera Viewer", "demo-viewer"),
    )
]


class Desk:
    """The product with a provider beside it, and a browser."""

    def __init__(self, url: str, issuer: str, engine: AsyncEngine, browser: Browser) -> None:
        self.url = url
        self.issuer = issuer
        self.engine = engine
        self._browser = browser
        self.contexts: list[BrowserContext] = []

    async def browse(self, size: tuple[int, int] = DESKTOP, *, scripts: bool = True) -> BrowserContext:
        """A browser of somebody's own."""
        context = await self._browser.new_context(
            base_url=self.url,
            viewport={"width": size[0], "height": size[1]},
            locale="en-GB",
            java_script_enabled=scripts,
        )
        self.contexts.append(context)
        return context

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        async with self.engine.connect() as connection:
            return (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()

    async def run(self, statement: str) -> None:
        """Change something behind the product's back."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement))


@pytest_asyncio.fixture(loop_scope="session")
async def desk(
    database_url: str,
    browser: Browser,
    tmp_path: Path,
    temporal_address: str,
    task_queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[Desk]:
    """The product, at which people sign in."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    await ensure_search_attributes(await connect())
    engine = make_engine(database_url)
    async with signing_in(database_url, tmp_path, people=PEOPLE, task_queue=task_queue) as (url, provider):
        made = Desk(url, provider.issuer, engine, browser)
        yield made
        for context in made.contexts:
            await context.close()
    await engine.dispose()


async def sign_in(page: Page, path: str, login: str = "ada") -> None:
    """Open a page, and sign in where the product sends one to the provider."""
    await page.goto(path)
    await fill_in(page, login)


async def fill_in(page: Page, login: str) -> None:
    await page.get_by_label("Name").fill(login)
    await page.get_by_label("Password").fill(login)
    await page.get_by_role("button", name="Sign in").click()


async def quiet(page: Page) -> None:
    """Let a page hear no more by itself of what happens: what ends it is then noticed by the next click."""
    await page.evaluate("document.querySelector('live-stream')?.close()")


async def name_depot(page: Page, name: str) -> None:
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Time zone").fill("America/Toronto")
    await page.get_by_label("Name of circuit 1", exact=True).fill("Feed")


async def look(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png")


@SIZES
async def test_somebody_signs_in_and_out(desk: Desk, size: tuple[int, int], request: pytest.FixtureRequest) -> None:
    context = await desk.browse(size)
    page = await context.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await sign_in(page, "/depots/new")
    await expect(page).to_have_url(f"{desk.url}/depots/new")
    await page.locator(".person summary").click()
    menu = page.locator(".person-menu")
    # A name is shown as it is, and is no markup; what only breaks lines is left out.
    await expect(menu.locator("strong")).to_have_text("Ada img src=x onerror=alert(1) 2026 info forged")
    assert dialogs == []
    await look(page, f"person-menu-{request.node.callspec.id}")
    await menu.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{desk.issuer}/**")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    await expect(page).to_have_url(f"{desk.url}/sign-out/done")
    await look(page, f"signed-out-{request.node.callspec.id}")
    kept = {each.get("name") for each in await context.cookies()}
    assert not {"__Host-manage-session", "__Host-manage-csrf"} & kept
    await page.goto("/")
    await expect(page.get_by_label("Password")).to_be_visible()


@SIZES
async def test_a_session_that_ends_takes_no_form_along(
    desk: Desk, size: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    context = await desk.browse(size)
    page = await context.new_page()
    await sign_in(page, "/depots/new")
    await name_depot(page, "Typed with care")
    await quiet(page)
    await desk.run("DELETE FROM sessions")
    await page.get_by_role("button", name="Create depot").click()
    ended = page.get_by_role("dialog", name="Your session has ended")
    await expect(ended).to_be_visible()
    await look(page, f"session-ended-{request.node.callspec.id}")
    async with context.expect_page() as opened:
        await ended.get_by_role("link", name="Sign in again").click()
    tab = await opened.value
    # The provider still knows her.
    await expect(tab.get_by_role("heading", name="You are signed in")).to_be_visible()
    await expect(ended).to_be_hidden()
    await tab.close()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Typed with care")
    await page.get_by_role("button", name="Create depot").click()
    await expect(page.get_by_role("heading", name="Typed with care")).to_be_visible()


async def test_what_one_began_another_does_not_send(desk: Desk) -> None:
    context = await desk.browse()
    page = await context.new_page()
    await sign_in(page, "/depots/new")
    await desk.run("DELETE FROM sessions")
    # Its stream ended with the session.
    ended = page.locator("#sign-in-again")
    await expect(ended).to_be_visible()
    await context.clear_cookies(domain="localhost")
    async with context.expect_page() as opened:
        await ended.get_by_role("link", name="Sign in again").click()
    await fill_in(await opened.value, "eve")
    await expect(ended.get_by_role("heading", name="Somebody else is signed in now")).to_be_visible()
    await ended.get_by_role("button", name="Load anew").click()
    await expect(page.locator(".person-name")).to_have_text("Eve Administrator")


async def take_over(desk: Desk, context: BrowserContext, page: Page, login: str) -> None:
    """Sign out in this tab, and let somebody else sign in."""
    await page.goto("/sign-out/done")
    await desk.run("DELETE FROM sessions")
    await context.clear_cookies()
    await sign_in(page, "/", login)
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


@SIZES
async def test_a_form_of_one_person_is_not_sent_by_another(
    desk: Desk, size: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    context = await desk.browse(size)
    page, tab = await context.new_page(), await context.new_page()
    await sign_in(page, "/depots/new", "vera" if size == PHONE else "eve")
    if size == PHONE:
        await page.goto("/depots/views/new?region=Zed")
        await page.get_by_label("Name", exact=True).fill("Typed by another")
    else:
        await name_depot(page, "Typed by another")
    send = page.locator("main button[type=submit]").last
    await quiet(page)
    await take_over(desk, context, tab, "ada")
    # The page hears of it at once; one may go back to what was typed, but not send it.
    other = page.get_by_role("dialog", name="Somebody else is signed in now")
    await expect(other).to_be_visible()
    await other.get_by_role("button", name="Back to the page").click()
    await expect(other).to_be_hidden()
    await send.click()
    await expect(other).to_contain_text("You are signed in as Ada")
    await expect(other).to_contain_text("Nothing was changed.")
    await look(page, f"other-person-{request.node.callspec.id}")
    assert await desk.count("depots") == await desk.count("saved_views") == 0
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Typed by another")
    # Who began it comes back, and it is sent as it is.
    await take_over(desk, context, tab, "vera" if size == PHONE else "eve")
    await expect(other).to_be_hidden()
    await send.click()
    await page.wait_for_url(lambda address: "/new" not in address)
    assert await desk.count("depots") + await desk.count("saved_views") == 1


async def test_a_dialog_of_one_person_is_not_sent_by_another(desk: Desk) -> None:
    depot_id = await make_depot_with(desk.engine, NewCircuit("Feed 1"))
    context = await desk.browse()
    page = await context.new_page()
    await sign_in(page, f"/depots/{depot_id}/microgrid", "eve")
    await page.get_by_role("button", name="Add circuit").click()
    form = page.locator("#dialog")
    await form.get_by_label("Name").fill("Typed by Eve")
    # A page that nobody saw for long has given its stream back.
    await page.evaluate("document.querySelector('live-stream').disconnectedCallback()")
    await take_over(desk, context, await context.new_page(), "ada")
    told = page.get_by_role("dialog", name="Somebody else is signed in now")
    await told.get_by_role("button", name="Back to the page").click()
    await form.get_by_role("button", name="Add").click()
    await expect(told).to_contain_text("You are signed in as Ada")
    await look(page, "other-person-over-a-dialog")
    await told.get_by_role("button", name="Back to the page").click()
    await expect(form.get_by_label("Name")).to_have_value("Typed by Eve")
    assert await desk.count("circuits") == 1
    # Coming back to the page says it as well.
    await page.evaluate("document.querySelector('live-stream').connectedCallback()")
    await page.evaluate("document.querySelector('live-stream')?.close()")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(told).to_be_visible()
    await told.get_by_role("button", name="Load anew").click()
    await expect(page.locator(".person-name")).to_contain_text("Ada")


async def test_signing_out_at_the_provider_ends_it_here(desk: Desk) -> None:
    context = await desk.browse()
    page, provider = await context.new_page(), await context.new_page()
    await sign_in(page, "/depots/new")
    await provider.goto(f"{desk.issuer}/session/end")
    await provider.get_by_role("button", name="Sign out").click()
    await expect(provider.get_by_role("button", name="Sign out")).to_be_hidden()
    # The page's stream ended with the session, so the page asks why.
    await expect(page.get_by_role("dialog", name="Your session has ended")).to_be_visible()


async def test_cancelling_at_the_provider_leads_to_a_page_that_says_so(desk: Desk) -> None:
    page = await (await desk.browse()).new_page()
    await page.goto("/")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("Signing in was cancelled at the provider.")).to_be_visible()
    await look(page, "cancelled")
    await page.get_by_role("link", name="Sign in").click()
    await expect(page.get_by_label("Password")).to_be_visible()


async def test_forms_send_themselves_where_no_script_runs(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "fleet.ndjson"
    file.write_text("".join(lines(2, seed=5, flaws=False)))
    page = await (await desk.browse(scripts=False)).new_page()
    await sign_in(page, "/imports")
    # Without a file the page says so; what it says is no refusal of the session.
    await page.get_by_role("button", name="Upload and import").click()
    await expect(page.locator(".field-error")).to_have_text("Choose a file.")
    await page.locator("input[type=file]").set_input_files(file)
    await page.get_by_role("button", name="Upload and import").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Import of fleet.ndjson")
    await page.goto("/depots/new")
    await name_depot(page, "Without a script")
    await page.get_by_role("button", name="Create depot").click()
    await expect(page.get_by_role("heading", name="Without a script")).to_be_visible()
    # The form of a session that has ended is refused, and nothing is made of it.
    await page.goto("/depots/new")
    await name_depot(page, "Too late")
    await desk.run("DELETE FROM sessions")
    await page.get_by_role("button", name="Create depot").click()
    await expect(page.get_by_role("heading", name="Sign in to go on")).to_be_visible()


async def test_one_signs_out_where_no_script_runs(desk: Desk) -> None:
    page = await (await desk.browse(scripts=False)).new_page()
    await sign_in(page, "/depots")
    await page.locator("details.person summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    # Nothing on the page is of the session that has ended.
    await expect(page.locator("details.person")).to_have_count(0)
    await expect(page.get_by_role("link", name="Depots")).to_have_count(0)
    await look(page, "signed-out-without-a-script")
    # The session at the provider is another one.
    await page.get_by_role("link", name="Sign out at the provider").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    await page.goto("/depots")
    await expect(page.get_by_label("Password")).to_be_visible()


async def test_the_documentation_is_shown_in_no_frame(desk: Desk) -> None:
    context = await desk.browse()
    page = await context.new_page()
    await sign_in(page, "/docs")
    await expect(page.locator("#swagger-ui")).to_be_attached()
    await page.route("**/frame", lambda route: route.fulfill(content_type="text/html", body="<iframe></iframe>"))
    for origin in ("http://evil.example", desk.url):
        await page.goto(f"{origin}/frame")
        await page.evaluate(
            "address => new Promise((done) => { const frame = document.querySelector('iframe');"
            " frame.onload = done; frame.src = address; })",
            f"{desk.url}/docs",
        )
        framed = page.frames[-1]
        assert await framed.locator("#swagger-ui").count() == 0


async def session_cookie(page: Page) -> str:
    cookies = await page.context.cookies()
    return next(each.get("value", "") for each in cookies if each.get("name") == SESSION)


@SIZES
async def test_an_administrator_ends_a_session(desk: Desk, size: tuple[int, int]) -> None:
    page = await (await desk.browse(size)).new_page()
    other = await (await desk.browse()).new_page()
    await sign_in(page, "/")
    await sign_in(other, "/", "vera")
    await expect(other.locator("h1")).to_have_text("Overview")
    await page.locator("details.person summary").click()
    await page.get_by_role("link", name="Sessions").click()
    rows = page.locator("#rows tr")
    await expect(rows).to_have_count(2)
    await expect(rows.filter(has_text="this session").get_by_role("button", name="End", exact=True)).to_have_count(0)
    await expect(rows.first).to_contain_text("127.0.0.1")
    await page.screenshot(path=ARTIFACTS / f"sessions-{size[0]}.png")
    await rows.filter(has_text="Vera").get_by_role("button", name="End", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="End").click()
    await expect(rows).to_have_count(1)
    # The provider still knows her, and signs her in again: it is another session.
    before = await session_cookie(other)
    await other.goto("/")
    await expect(other.locator("h1")).to_have_text("Overview")
    assert await session_cookie(other) != before
    await page.reload()
    await expect(rows).to_have_count(2)

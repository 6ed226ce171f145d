"""An administrator shuts somebody out who left, from the page of sessions and from that of API tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.commands.openid import grant_demo_roles
from tests.access.tokens.made import bearing, wanted
from tests.helpers.openid import Surfer, signing_in
from tests.helpers.support import make_depot
from tests.pages.conftest import DESKTOP, PHONE
from tests.pages.helpers.looking import is_wider_than_the_screen, look, violations

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


@pytest_asyncio.fixture(loop_scope="session")
async def url(database_url: str, engine: AsyncEngine, tmp_path: Path) -> AsyncGenerator[str]:
    """The product, at which the demo's people sign in."""
    await make_depot(engine, "Feed", name="Arrow Road")
    await grant_demo_roles(database_url)
    async with signing_in(database_url, tmp_path) as (address, _):
        yield address


@SIZES
@pytest.mark.parametrize("path", ["/sessions", "/tokens"])
async def test_somebody_who_left_is_shut_out(url: str, browser: Browser, size: tuple[int, int], path: str) -> None:
    context = await browser.new_context(base_url=url, viewport={"width": size[0], "height": size[1]})
    page = await context.new_page()
    async with Surfer() as vera:
        await vera.sign_in(f"{url}/", "viewer")
        made = await vera.change("POST", f"{url}/api/tokens", json=wanted(("viewer", None), name="Nightly report"))
        await page.goto(path)
        for label in ("Name", "Password"):
            await page.get_by_label(label).fill("administrator")
        await page.get_by_role("button", name="Sign in").click()
        row = page.locator("#rows tr", has_text="Vera Viewer" if path == "/sessions" else "Nightly report")
        await expect(row).to_have_count(1)
        assert await violations(page) == []
        assert not await is_wider_than_the_screen(page)
        await look(page, f"shut-out-{path[1:]}-{size[0]}")
        await row.get_by_role("button", name="Shut out").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Vera Viewer")
        await page.get_by_role("dialog").get_by_role("button", name="Shut out").click()
        await expect(row).to_have_count(0)
        assert (await vera.send("GET", f"{url}/api/depots", headers={"accept": "application/json"})).status_code == 401
        gone = await vera.send("GET", f"{url}/api/depots", headers=bearing(made.json()["secret"]))
        assert gone.status_code == 401
    await context.close()


async def test_who_reads_no_journal_is_offered_no_export_of_it(url: str) -> None:
    async with Surfer() as somebody, Surfer() as auditor:
        page = (await somebody.sign_in(f"{url}/journal", "viewer")).text
        assert "No entries for you" in page
        assert "format=csv" not in page
        assert "journal-person" not in page
        page = (await auditor.sign_in(f"{url}/journal", "auditor")).text
        assert "format=csv" in page
        assert "journal-person" in page

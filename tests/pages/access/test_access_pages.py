"""The Access page: granting and revoking with the effect before it; on desktop and phone."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import text

from tests.helpers.live import http_client
from tests.helpers.support import make_depot
from tests.pages.conftest import DESKTOP, PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import is_wider_than_the_screen, look

SUBJECT = "https://id.example#ann"
PERSON = text("""
    INSERT INTO people (issuer, sub, name, email, email_verified, groups)
    VALUES ('https://id.example', 'ann', 'Ann <b>Bold</b>', 'ann@depot.example', true, '{}')
""")


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


async def fill_in(page: Page, who: str, role: str, *, kind: str = "person", depot: str = "") -> None:
    await page.get_by_role("button", name="Grant a role").click()
    await dialog(page).get_by_label("To").select_option(kind)
    await dialog(page).get_by_label("Who").fill(who)
    await dialog(page).get_by_label("Role").select_option(role)
    await dialog(page).get_by_label("Where").select_option("some" if depot else "all")
    await dialog(page).get_by_label("Depot").fill(depot)
    await dialog(page).get_by_role("button", name="Show the effect").click()


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_a_role_is_granted_and_revoked_with_its_effect(
    product: RunningProduct, visitor: Visitor, name: str, size: tuple[int, int]
) -> None:
    visitor.expected = ("422 (Unprocessable", "409 (Conflict)")
    await make_depot(product.engine, "Feed", name="Arrow Road")
    async with product.engine.begin() as connection:
        await connection.execute(PERSON)
    page = await visitor.open("/access", size=size)
    await expect(page.locator("#results")).to_contain_text("No grants for you to see")
    await fill_in(page, "bob@depot.example", "operator", depot="Barrow")
    await expect(dialog(page)).to_contain_text("Nobody with this address has signed in yet")
    await expect(dialog(page)).to_contain_text("No depot's name contains that")
    await look(page, f"access-refused-{name}")

    await dialog(page).get_by_label("Who").fill("ANN@depot.example")
    await dialog(page).get_by_label("Depot").fill("arrow")
    await dialog(page).get_by_role("button", name="Show the effect").click()
    await expect(dialog(page)).to_contain_text("Ann <b>Bold</b> becomes Operator at Arrow Road")
    effects = dialog(page).get_by_role("listitem")
    await expect(effects).to_have_count(2)
    await expect(effects.nth(1)).to_contain_text("Resync, resolve remediations")
    await expect(effects.nth(1).locator("ins")).to_have_text("Arrow Road")
    await look(page, f"access-effect-{name}")
    await dialog(page).get_by_role("button", name="Back").click()
    await expect(dialog(page).get_by_label("Who")).to_have_value(SUBJECT)
    await dialog(page).get_by_role("button", name="Show the effect").click()
    await dialog(page).get_by_role("button", name="Grant", exact=True).click()
    row = page.locator("#rows tr")
    await expect(row).to_contain_text("Ann <b>Bold</b>")
    await expect(row).to_contain_text("local-administrator")
    assert not await is_wider_than_the_screen(page)
    await look(page, f"access-{name}")

    await row.get_by_role("button").click()
    await expect(dialog(page).locator("ins").first).to_have_text("nowhere")
    await look(page, f"access-revoke-{name}")
    await dialog(page).get_by_role("button", name="Revoke").click()
    await expect(page.locator("#results")).to_contain_text("No grants for you to see")


async def test_what_changed_meanwhile_is_shown_and_nothing_done(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("409 (Conflict)", "404 (Not Found)")
    page = await visitor.open("/access")
    await fill_in(page, SUBJECT, "operator")
    await expect(dialog(page)).to_contain_text("becomes Operator at all depots")
    async with http_client(product.url) as caller:
        body = {"kind": "person", "subject": SUBJECT, "name": "Ann", "role": "viewer"}
        viewer = (await caller.post("/api/grants", json=body)).json()["grant_id"]
        await dialog(page).get_by_role("button", name="Grant", exact=True).click()
        await expect(dialog(page)).to_contain_text("Nothing was changed")
        await expect(dialog(page).get_by_role("listitem")).to_have_count(1)
        await dialog(page).get_by_role("button", name="Grant", exact=True).click()
        await expect(page.locator("#rows tr")).to_have_count(2)
        # Somebody else revokes what is being asked about.
        await page.get_by_role("button", name="Revoke: Ann, viewer").click()
        await expect(dialog(page)).to_contain_text("It changes nothing")
        assert (await caller.delete(f"/api/grants/{viewer}")).status_code == 204
    await dialog(page).get_by_role("button", name="Revoke").click()
    await expect(dialog(page)).to_contain_text("This no longer exists")


async def test_the_last_administrator_is_not_taken_away(product: RunningProduct, visitor: Visitor) -> None:
    visitor.expected = ("409 (Conflict)",)
    page = await visitor.open("/access")
    await fill_in(page, "admins", "administrator", kind="group")
    await dialog(page).get_by_role("button", name="Grant", exact=True).click()
    await page.get_by_role("button", name="Revoke: admins, administrator").click()
    await dialog(page).get_by_role("button", name="Revoke").click()
    await expect(dialog(page)).to_contain_text("admins is the last administrator of all depots")
    await expect(dialog(page).get_by_role("button", name="Revoke")).to_be_hidden()
    await look(page, "access-last-administrator")

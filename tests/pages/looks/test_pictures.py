"""The pictures of the README: made anew here, and copied to docs/images/ when the pages have changed."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from playwright.async_api import Page, expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.monitoring.capacity_upkeep import pass_deadlines
from tests.factories.capacities import capacity_site, expire
from tests.factories.load_sites import make_load_site
from tests.factories.sites import controller_site, make_site, open_remediation, packet
from tests.pages.conftest import ARTIFACTS, PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import send

_DESKTOP = (1360, 900)
_LARGEST = 250_000
"""Bytes of a picture."""


async def rename(engine: AsyncEngine, depot_id: UUID, name: str) -> None:
    async with engine.begin() as connection:
        given = {"id": depot_id, "name": name}
        await connection.execute(text("UPDATE depots SET name = :name WHERE id = :id"), given)


async def keep(page: Page, name: str, size: tuple[int, int]) -> None:
    """Keep what is seen without scrolling."""
    ARTIFACTS.mkdir(exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.screenshot(path=path)
    data = path.read_bytes()
    assert struct.unpack(">II", data[16:24]) == size
    assert len(data) < _LARGEST


async def test_pictures_of_the_readme(product: RunningProduct, visitor: Visitor) -> None:
    engine, now = product.engine, datetime.now(UTC)
    trouble = (await make_load_site(engine)).site
    await rename(engine, trouble.depot_id, "Arrow Road")
    silent = await capacity_site(engine)
    await rename(engine, silent.depot_id, "Malvern")
    await expire(engine, *silent.circuit_ids, trouble.circuit_ids[0])
    async with engine.begin() as connection:
        await pass_deadlines(connection, 10)
    for name, minutes in (("Birchmount", 42), ("Eglinton", 160)):
        site = await make_site(engine)
        await rename(engine, site.depot_id, name)
        await open_remediation(engine, site, now - timedelta(minutes=minutes))
    for name in ("McNicoll", "Mount Dennis", "Queensway", "Wilson"):
        site = await controller_site(engine)
        await rename(engine, site.depot_id, name)
        await send(product, packet(site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false", TOTAL_POWER_LOAD=240_000))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE circuits SET rated_power_w = 600000 WHERE rated_power_w IS NULL"))
    page = await visitor.open("/", size=_DESKTOP, theme="light")
    await expect(page.locator("#worst > tr")).to_have_count(4)
    await expect(page.locator("#figure-load")).to_be_visible()
    await keep(page, "readme-overview", _DESKTOP)
    page = await visitor.open(f"/depots/{trouble.depot_id}/load", size=_DESKTOP, theme="light")
    await expect(page.locator("load-chart:not([aria-busy]) .chart canvas")).to_have_count(4)
    await keep(page, "readme-depot", _DESKTOP)
    page = await visitor.open("/", size=PHONE, theme="light")
    await expect(page.locator("#figure-load")).to_be_visible()
    await keep(page, "readme-phone", PHONE)

"""The load page leads to the exports of its depot."""

from __future__ import annotations

import csv
import io

from tests.factories.load_sites import make_load_site
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.looking import look


async def test_the_last_day_is_exported_from_the_load_page(product: RunningProduct, visitor: Visitor) -> None:
    made = await make_load_site(product.engine, feeds=1)
    page = await visitor.open(f"/depots/{made.site.depot_id}/load", size=PHONE)
    await page.get_by_text("Export the last day").click()
    await look(page, "exports-phone")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Readings of all devices (CSV)").click()
    file = await download.value
    assert file.suggested_filename.startswith("readings-")
    rows = list(csv.DictReader(io.StringIO((await file.path()).read_text())))
    assert {row["device"] for row in rows} == {"Device em-1"}
    assert len(rows) > 400
    for name in ("Capability history (CSV)", "Capacity history (CSV)", "Remediations (CSV)"):
        async with page.expect_download():
            await page.get_by_role("link", name=name).click()
    async with page.expect_download() as parquet:
        await page.get_by_role("link", name="Parquet (Readings of all devices)").click()
    assert (await parquet.value).suggested_filename.endswith(".parquet")

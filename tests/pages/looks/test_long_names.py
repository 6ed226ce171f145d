"""Long names without a space in the structure, on both sizes: what belongs to a name stays on its line."""

from __future__ import annotations

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from tests.factories.sites import add_device, add_power_source, make_site, packet
from tests.helpers.live import http_client
from tests.helpers.support import synced
from tests.pages.conftest import PHONE, RunningProduct, Visitor
from tests.pages.helpers.load import send
from tests.pages.helpers.looking import look

SIZES = {"desktop": (1360, 900), "phone": PHONE}
_NARROWEST = 90
"""Pixels of a name: some ten letters on each of its lines."""
# Symbol and button are on the first line of the name, nothing lies over anything else, no name is a column of letters.
_OUT_OF_LINE = """
    (rungs, narrowest) => rungs.flatMap(rung => {
        const name = rung.querySelector(".called").getBoundingClientRect();
        const own = rung.getBoundingClientRect();
        const boxes = [...rung.children]
            .map(each => [each.getAttribute("class"), each.getBoundingClientRect()])
            .filter(([_, box]) => box.width > 0);
        const wrong = boxes
            .filter(([what, box]) => /symbol|edit/.test(what) && box.top > name.top + 12)
            .map(([what]) => what + " is below the first line");
        boxes.forEach(([what, box], place) => {
            if (box.left < own.left - 1 || box.right > own.right + 1) wrong.push(what + " leaves the rung");
            for (const [other, at] of boxes.slice(place + 1)) {
                const beside = box.left >= at.right - 1 || at.left >= box.right - 1;
                if (!beside && box.top < at.bottom - 1 && at.top < box.bottom - 1)
                    wrong.push(what + " lies over " + other);
            }
        });
        const isLong = rung.querySelector(".called").textContent.length > 16;
        if (isLong && name.width < narrowest) wrong.push("name of " + name.width + " px");
        return wrong;
    })
"""


@pytest.mark.parametrize("size", SIZES)
async def test_long_names_keep_their_line(product: RunningProduct, visitor: Visitor, size: str) -> None:
    site = await make_site(product.engine)
    async with http_client(product.url) as api:
        parent: str | None = None
        for level in range(4):
            body = {"name": f"{level}" + "W" * 119, "rated_power_w": 1_234_500, "parent_id": parent}
            made = await api.post(f"/api/depots/{site.depot_id}/circuits", json=body)
            made.raise_for_status()
            parent = made.json()["circuit_id"]
            circuit_id = made.json()["circuit_id"]
            await add_device(product.engine, site, f"em-{level}" + "x" * 100, circuit_id)
            await add_power_source(product.engine, site, circuit_id=circuit_id)
    async with product.engine.begin() as connection:
        for table in ("devices", "power_sources"):
            await connection.execute(text(f"UPDATE {table} SET name = repeat('W', 120)"))
    for level in range(4):
        await send(product, packet(site, None, f"em-{level}" + "x" * 100, TOTAL_POWER_LOAD=1_234_500.0))
    await synced(product.engine, site.depot_id)
    page = await visitor.open(f"/depots/{site.depot_id}/microgrid", size=SIZES[size])
    rungs = page.locator(".rung:has(.called)")
    await expect(rungs).to_have_count(1 + 4 * 3)
    await expect(page.locator(".rung .power").first).to_be_visible()
    assert await rungs.evaluate_all(_OUT_OF_LINE, _NARROWEST) == []
    await look(page, f"long-names-{size}")

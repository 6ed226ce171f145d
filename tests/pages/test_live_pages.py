"""Pages that stay true: what happens when the connection, the database or Temporal goes away and comes back."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from api.base.streams.live import Kind, LiveHub, Topic
from api.base.streams.watch import Watch
from domain.base.problems import Problem
from store.site.depots import NewCircuit
from tests.factories.depots import make_depot_with
from tests.helpers.support import synced
from tests.pages.conftest import RunningProduct, Visitor


async def test_a_lost_connection_is_shown_and_heals_and_ages_go_on(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    async with product.engine.begin() as connection:
        await connection.execute(text("UPDATE microgrids SET synced_at = now() - interval '20 seconds'"))
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await expect(page.locator("#live")).to_have_text("Live")
    visitor.expected = (
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_CONNECTION_RESET",
        "Failed to fetch",
    )
    await product.stop()
    bar = page.locator("#connection")
    await expect(bar).to_have_text("Connection lost, retrying …")
    age = page.locator(".facts age-time [part=age]")
    before = await age.inner_text()
    await expect(age).not_to_have_text(before)
    # While nobody listens something changes; after the connection is back it is there.
    await make_circuit(product, depot_id, "Feed 2")
    await product.start()
    await expect(bar).to_be_empty()
    await expect(page.locator(".infeed > .head .called")).to_have_text(["Feed 1", "Feed 2"])


async def make_circuit(product: RunningProduct, depot_id: object, name: str) -> None:
    """Add a top-level circuit past the pages."""
    async with product.engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO circuits (depot_id, name, position, created_by, updated_by)
                SELECT :depot_id, :name, count(*), 'tester', 'tester' FROM circuits
                WHERE depot_id = :depot_id AND parent_id IS NULL
            """),
            {"depot_id": depot_id, "name": name},
        )


async def test_without_the_database_a_page_says_so_and_heals(product: RunningProduct, visitor: Visitor) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await expect(page.locator("#live")).to_have_text("Live")
    visitor.expected = ("503",)
    await product.gate.close()
    await expect(page.locator("#connection")).to_have_text("The database is unavailable, waiting for it …")
    await page.get_by_role("button", name="Resync").click()
    await expect(page.locator("#notices")).to_contain_text("Nothing was changed; try again.")
    # What was known is still shown.
    await expect(page.locator(".infeed > .head .called")).to_have_text(["Feed 1"])
    other = await visitor.open("/depots", status=503)
    await expect(other.get_by_role("heading", level=1)).to_have_text("The database is unavailable")
    await make_circuit(product, depot_id, "Feed 2")
    await product.gate.open()
    await expect(page.locator("#connection")).to_be_empty()
    await expect(page.locator("#notices")).to_be_empty()
    await expect(page.locator(".infeed > .head .called")).to_have_text(["Feed 1", "Feed 2"])
    await other.get_by_role("link", name="Try again").click()
    await expect(other.get_by_role("heading", level=1)).to_have_text("Depots")


async def test_without_temporal_a_resync_is_refused_in_words(
    product: RunningProduct, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    await product.stop()
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    await product.start()
    page = await visitor.open(f"/depots/{depot_id}/microgrid")
    await page.get_by_role("button", name="Resync").click()
    await expect(page.locator("#resynced")).to_contain_text("Temporal is unavailable.")
    visitor.expected = ("422",)
    await page.goto("/backfills")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#start")).to_contain_text("Not started.")


@pytest.mark.parametrize(
    "wrong", ["", "fleet:x", "depot", "depot:x", "nothing", "fleet:018f0000-0000-7000-8000-000000000000"]
)
def test_a_topic_of_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(Problem):
        Topic.parse(wrong)


async def test_one_look_serves_all_listeners_and_ends_with_the_last(product: RunningProduct) -> None:
    hub = LiveHub(product.engine, Watch())
    depot_id = await make_depot_with(product.engine, NewCircuit("Feed 1"))
    await synced(product.engine, depot_id)
    depot, fleet = Topic(Kind.DEPOT, depot_id), Topic(Kind.FLEET)
    async with hub.listen([depot]) as first, hub.listen([depot, fleet]) as second, hub.listen([fleet]) as third:
        await make_circuit(product, depot_id, "Feed 2")
        async with asyncio.timeout(20):
            assert await first.news() == (False, {depot})
            assert await second.news() == (False, {depot})
        assert third.changed == set()
    assert asyncio.all_tasks() == {task for task in asyncio.all_tasks() if "LiveHub" not in repr(task.get_coro())}

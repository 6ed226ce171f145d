"""The list of depots by load and by its share of the capacity: settled when it is asked for, and told of when it is."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from store.site.fleet.load_settlement import settle_loads
from store.site.tables import circuits
from tests.factories.sites import MadeDepot, add_device, make_site, packet
from tests.helpers.support import make_depot

_AT_ONCE = timedelta()


async def measured(engine: AsyncEngine, api: httpx.AsyncClient, name: str, watts: float, of: float | None) -> MadeDepot:
    """A depot that drew this just now."""
    site = await make_site(engine)
    await add_device(engine, site, circuit_id=site.circuit_ids[0])
    async with engine.begin() as connection:
        rated = update(circuits).where(circuits.c.depot_id == site.depot_id).values(rated_power_w=of)
        await connection.execute(rated)
    (await api.patch(f"/api/depots/{site.depot_id}", json={"name": name})).raise_for_status()
    await draw(api, site, watts)
    return site


async def draw(api: httpx.AsyncClient, site: MadeDepot, watts: float) -> None:
    (await api.post("/api/telemetry/packets", json=packet(site, TOTAL_POWER_LOAD=watts))).raise_for_status()


async def listed(api: httpx.AsyncClient, **by: str) -> tuple[list[str], str | None]:
    """The names of the list, page by page, and of when it is."""
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer: dict[str, Any] = (await api.get("/api/depots", params={"limit": "2", **by, **cursor})).json()
        names += [each["name"] for each in answer["items"]]
        if answer["next_cursor"] is None:
            return names, answer["ordered_at"]
        cursor = {"cursor": answer["next_cursor"]}


async def age(engine: AsyncEngine) -> None:
    """Let the time pass in which nothing is settled anew."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE load_settlement SET begun_at = begun_at - interval '1 minute'"))


async def fleet(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    for name, watts, of in (
        ("Half", 120_000, 240_000), ("Most", 300_000, 1_000_000), ("Full", 50_000, 50_000),
        ("Giving", -5_000, 100_000), ("Unrated", 10_000, None), ("Nothing", 0, 100_000),
    ):  # fmt: skip
        await measured(engine, api, name, watts, of)
    await make_depot(engine, name="Silent 10")
    await make_depot(engine, name="Silent 9")


BY_LOAD = ["Most", "Half", "Full", "Unrated", "Nothing", "Giving", "Silent 9", "Silent 10"]
BY_SHARE = ["Full", "Half", "Most", "Nothing", "Giving", "Unrated", "Silent 9", "Silent 10"]


@pytest.mark.parametrize(("order", "names"), [("LOAD", BY_LOAD), ("LOAD_SHARE", BY_SHARE)])
async def test_depots_are_listed_by_load_from_both_ends_under_every_filter(
    engine: AsyncEngine, api: httpx.AsyncClient, order: str, names: list[str]
) -> None:
    await fleet(engine, api)
    found, ordered_at = await listed(api, sort=order)
    assert found == names
    assert ordered_at is not None
    assert (await listed(api, sort=order, descending="true"))[0] == names[::-1]
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE depots SET region = 'East', tags = '{night}' WHERE name LIKE '%l%'"))
        await connection.execute(text("UPDATE depots SET provisioning = 'PROVISIONED' WHERE name LIKE '%l%'"))
        await connection.execute(text("UPDATE depot_list SET freshness = 'FRESH' WHERE name LIKE '%l%'"))
    some = [name for name in names if "l" in name]
    for by in ({"region": "east"}, {"tag": "night"}, {"freshness": "FRESH"}, {"search": "l"}):
        assert (await listed(api, sort=order, **by))[0] == some, by
    pending = [name for name in names if name.startswith("Silent")]
    assert (await listed(api, sort=order, search="silent"))[0] == pending
    assert (await listed(api, sort=order, alarm="ANY"))[0] == []
    # Retired ones are in the order of names, and of the moment.
    assert await listed(api, sort=order, retired="true") == ([], None)


async def test_an_order_is_settled_again_after_a_while_and_not_by_a_packet(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    first = await measured(engine, api, "First", 20_000, 100_000)
    await measured(engine, api, "Second", 10_000, 100_000)
    names, at = await listed(api, sort="LOAD")
    assert names == ["First", "Second"]
    versions = text("SELECT array_agg(CAST(xmin AS text) ORDER BY depot_id) FROM depot_ranks")
    async with engine.connect() as connection:
        before = (await connection.execute(versions)).scalar_one()
    await draw(api, first, 5_000)
    async with engine.connect() as connection:
        assert (await connection.execute(versions)).scalar_one() == before
    assert await listed(api, sort="LOAD") == (["First", "Second"], at)
    # The lists of other orders settle nothing.
    await age(engine)
    assert (await listed(api, sort="STATUS"))[1] is None
    names, later = await listed(api, sort="LOAD")
    assert names == ["Second", "First"]
    assert at is not None
    assert later is not None
    assert datetime.fromisoformat(later) > datetime.fromisoformat(at)


async def test_whoever_asks_at_once_settles_once_and_waits_for_nobody(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    here, there = [await measured(engine, api, name, 10_000, 100_000) for name in ("A", "B")]
    # Something else changes the rank of one at this moment.
    async with engine.connect() as connection:
        await connection.execute(text("SELECT FROM depot_ranks WHERE depot_id = :id FOR UPDATE"), {"id": here.depot_id})
        answers = await asyncio.gather(*(api.get("/api/depots", params={"sort": "LOAD"}) for _ in range(6)))
        assert {each.status_code for each in answers} == {200}
        assert await loads(engine) == {here.depot_id: False, there.depot_id: True}
    assert (await listed(api, sort="LOAD"))[0] == ["B", "A"]
    await settle_loads(engine, _AT_ONCE)
    assert await loads(engine) == {here.depot_id: True, there.depot_id: True}
    assert (await listed(api, sort="LOAD"))[0] == ["A", "B"]


async def loads(engine: AsyncEngine) -> dict[UUID, bool]:
    """Of each depot, whether its load is known to the order."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT depot_id, load < 0 FROM depot_ranks"))
        return {row[0]: row[1] for row in rows}


async def test_one_that_broke_off_is_begun_again(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    await measured(engine, api, "B", 10_000, None)
    await make_depot(engine, name="A")
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO load_settlement (begun_at) VALUES (now())"))
    assert await listed(api, sort="LOAD") == (["A", "B"], None)
    page = await api.get("/depots", params={"sort": "LOAD"}, headers={"accept": "text/html"})
    assert "The loads are being read for this order." in page.text
    await age(engine)
    names, at = await listed(api, sort="LOAD")
    assert (names, at is not None) == (["B", "A"], True)


async def test_a_share_of_no_capacity_and_loads_beyond_measure_have_their_places(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    await measured(engine, api, "Full", 100_000, 100_000)
    await measured(engine, api, "None allowed", 1, 1e-300)
    # As no packet may say it; but what is stored is sorted.
    for name, watts in (("Huge", "1e300"), ("Negative", "-1e300")):
        site = await measured(engine, api, name, 5, 10)
        async with engine.begin() as connection:
            await connection.execute(
                text(f"UPDATE device_readings SET total_power_load = {watts} WHERE device_id = :id"),
                {"id": next(iter(site.devices.values()))},
            )
    assert (await listed(api, sort="LOAD"))[0] == ["Huge", "Full", "None allowed", "Negative"]
    assert (await listed(api, sort="LOAD_SHARE"))[0] == ["None allowed", "Huge", "Full", "Negative"]


async def test_a_depot_that_comes_back_is_in_the_order(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await measured(engine, api, "Back", 10_000, None)
    await make_depot(engine, name="A")
    assert (await listed(api, sort="LOAD"))[0] == ["Back", "A"]
    (await api.post(f"/api/depots/{site.depot_id}/retire")).raise_for_status()
    assert (await listed(api, sort="LOAD"))[0] == ["A"]
    (await api.post(f"/api/depots/{site.depot_id}/restore")).raise_for_status()
    assert (await listed(api, sort="LOAD"))[0] == ["A", "Back"]
    await age(engine)
    assert (await listed(api, sort="LOAD"))[0] == ["Back", "A"]

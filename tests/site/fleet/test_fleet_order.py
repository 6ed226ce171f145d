"""The order of the list of depots: as people count, and the worst first where depots with an alarm are asked for."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.helpers.support import make_depot

_FAILED = text("""
    UPDATE depots SET provisioning = 'FAILED', provisioning_code = 'NO_TOP_LEVEL_CIRCUITS' WHERE id = :depot_id
""")
_SINCE = text("""
    UPDATE depot_alarms
    SET since = since - make_interval(mins => :minutes), failed_since = since - make_interval(mins => :minutes)
    WHERE depot_id = :depot_id
""")


async def pages(api: httpx.AsyncClient, limit: int, **by: str) -> list[str]:
    """The names of all pages of the list, one after the other."""
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/api/depots", params={"limit": str(limit), **by, **cursor})).json()
        names += [each["name"] for each in page["items"]]
        if page["next_cursor"] is None:
            return names
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_numbers_and_accents_are_in_the_order_in_which_people_look(
    engine: AsyncEngine, api: httpx.AsyncClient, limit: int
) -> None:
    expected = [
        "Depot", "Depot 1", "depot 2", "Depot 2b", "Depot 10", "Dépot 11", "Depot 0100", "Depot 99999999999999999999",
        "Ecole", "École 2", "Überland", "Zoo",
    ]  # fmt: skip
    for name in reversed(expected):
        await make_depot(engine, name=name)
    assert await pages(api, limit) == expected
    assert await pages(api, limit, search="depot") == [name for name in expected if "pot" in name]
    # Retired ones are in the same order.
    for depot in (await api.get("/api/depots")).json()["items"]:
        assert (await api.post(f"/api/depots/{depot['depot_id']}/retire")).status_code == 200
    assert await pages(api, limit, retired="true") == expected


async def test_a_renamed_depot_moves_to_its_place(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, name="Depot 9")
    await make_depot(engine, name="Depot 10")
    await api.patch(f"/api/depots/{depot_id}", json={"name": "Depot 11"})
    assert await pages(api, 1) == ["Depot 10", "Depot 11"]
    await api.post(f"/api/depots/{depot_id}/retire")
    await api.post(f"/api/depots/{depot_id}/restore")
    assert await pages(api, 1) == ["Depot 10", "Depot 11"]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_under_an_alarm_the_worst_comes_first(engine: AsyncEngine, api: httpx.AsyncClient, limit: int) -> None:
    await make_depot(engine, name="Well")
    for minutes, name in ((5, "B"), (60, "C"), (1, "A")):
        depot_id = await make_depot(engine, name=name)
        async with engine.begin() as connection:
            await connection.execute(_FAILED, {"depot_id": depot_id})
            await connection.execute(_SINCE, {"depot_id": depot_id, "minutes": minutes})
    by = {"alarm": "PROVISIONING_FAILED"}
    assert await pages(api, limit, **by) == ["C", "B", "A"]
    assert await pages(api, limit, **by, search="b") == ["B"]
    assert await pages(api, limit, **by, freshness="NONE", provisioning="FAILED") == ["C", "B", "A"]
    assert await pages(api, limit, **by, freshness="FRESH") == []
    assert await pages(api, limit, alarm="FAIL_SAFE") == []
    assert await pages(api, limit, alarm="ANY") == ["C", "B", "A"]
    assert (await api.get("/api/depots", params={"alarm": "SOME"})).status_code == 422
    # The same filter said by provisioning, and turned round.
    assert await pages(api, limit, provisioning="FAILED") == ["C", "B", "A"]
    assert await pages(api, limit, provisioning="FAILED", descending="true") == ["A", "B", "C"]
    assert await pages(api, limit, provisioning="FAILED", sort="NAME") == ["A", "B", "C"]


async def test_namesakes_are_told_apart(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    namesakes = [await make_depot(engine, name="Arrow Road") for _ in range(2)]
    alone = await make_depot(engine, name="Malvern")
    page = (await api.get("/depots")).text
    told = re.findall(r'<span class="id" title="([^"]+)">…([^<]+)</span>', page)
    assert told == [(str(each), str(each)[-8:]) for each in sorted(namesakes)]
    assert f'title="{alone}"' not in page

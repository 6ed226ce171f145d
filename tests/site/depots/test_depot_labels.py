"""The region and the tags of a depot: what they may be, and that depots are found by them."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.site.fleet.fleet_list import MOST_COUNTED
from tests.factories.equipped_depots import made, problem
from tests.helpers.journal import journal


async def make(api: httpx.AsyncClient, name: str = "Malvern", **more: object) -> dict[str, object]:
    return await made(await api.post("/api/depots", json={"name": name, "timezone": "America/Toronto", **more}))


async def found(api: httpx.AsyncClient, **by: str) -> list[str]:
    return [each["name"] for each in (await api.get("/api/depots", params=by)).json()["items"]]


async def test_region_and_tags_change_with_version_and_journal(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    depot = await make(api)
    assert (depot["region"], depot["tags"]) == (None, [])
    path = f"/api/depots/{depot['depot_id']}"
    given = {"region": " Ontario ", "tags": ["north", "  Night shift", "NORTH", "north"]}
    changed = (await api.patch(path, json=given, headers={"If-Match": '"1"'})).json()
    assert (changed["region"], changed["tags"], changed["version"]) == ("Ontario", ["Night shift", "north"], 2)
    # The order in which tags are given says nothing.
    assert (await api.patch(path, json={"tags": ["north", "Night shift"]})).json()["version"] == 2
    assert (await api.patch(path, json={"tags": [], "region": None})).json()["version"] == 3
    assert await journal(engine, str(depot["depot_id"])) == [
        ("DEPOT_CREATED", "local-administrator", {}),
        ("DEPOT_CHANGED", "local-administrator",
         {"region": [None, "Ontario"], "tags": [[], ["Night shift", "north"]]}),
        ("DEPOT_CHANGED", "local-administrator",
         {"region": ["Ontario", None], "tags": [["Night shift", "north"], []]}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"region": " "}, "INVALID_NAME"),
        ({"region": "\u200b\u2060"}, "INVALID_NAME"),
        ({"region": "a\u202eb"}, "INVALID_NAME"),
        ({"region": "a\x07b"}, "INVALID_NAME"),
        ({"region": "x" * 101}, "INVALID_NAME"),
        ({"region": 7}, "INVALID_REQUEST"),
        ({"tags": [""]}, "INVALID_NAME"),
        ({"tags": ["good", "\u3164"]}, "INVALID_NAME"),
        ({"tags": ["north, south"]}, "INVALID_NAME"),
        ({"tags": ["x" * 51]}, "INVALID_NAME"),
        ({"tags": [str(number) for number in range(10_000)]}, "INVALID_REQUEST"),
        ({"tags": None}, "INVALID_REQUEST"),
        ({"tags": "north"}, "INVALID_REQUEST"),
    ],
)
async def test_what_is_no_region_or_tag_is_refused(api: httpx.AsyncClient, given: dict[str, object], code: str) -> None:
    depot = await make(api)
    (field,) = given
    refused = await api.patch(f"/api/depots/{depot['depot_id']}", json=given)
    assert problem(refused) == (422, code)
    assert field in refused.text
    assert problem(await api.post("/api/depots", json={"name": "A", "timezone": "UTC", **given})) == (422, code)


async def test_one_form_of_a_text_is_one_tag(api: httpx.AsyncClient) -> None:
    depot = await make(api, region="Que\u0301bec", tags=["Ne\u0301e", "N\u00e9e", "so\u200bft"])
    assert (depot["region"], depot["tags"]) == ("Qu\u00e9bec", ["N\u00e9e", "soft"])


async def test_depots_are_listed_and_counted_by_region_and_tag(api: httpx.AsyncClient) -> None:
    await make(api, "Arrow Road", region="Ontario", tags=["north", "bus"])
    malvern = await make(api, "Malvern", region="ontario", tags=["Bus"])
    await make(api, "Stinson", region="Québec", tags=["north"])
    await make(api, "Bare")
    assert await found(api, region="ONTARIO") == ["Arrow Road", "Malvern"]
    assert await found(api, tag="bus") == ["Arrow Road", "Malvern"]
    assert await found(api, region="québec", tag="North") == ["Stinson"]
    assert await found(api, region="Ontario", search="mal") == ["Malvern"]
    assert await found(api, tag="no such tag") == []
    page = (await api.get("/depots", params={"tag": "bus"})).text
    assert "Arrow Road" in page
    assert "Stinson" not in page
    assert "Tag: bus" in page
    # They follow what changes.
    await api.patch(f"/api/depots/{malvern['depot_id']}", json={"region": "Québec", "tags": ["south"]})
    assert await found(api, region="Ontario") == ["Arrow Road"]
    assert await found(api, region="Québec") == ["Malvern", "Stinson"]
    assert await found(api, tag="SOUTH") == ["Malvern"]


async def test_a_common_tag_is_not_counted_to_the_end(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO depots (name, timezone, tags, created_by, updated_by)
                SELECT 'Depot ' || n, 'UTC', '{north}', 'tester', 'tester' FROM generate_series(1, :depots) AS n
            """),
            {"depots": MOST_COUNTED + 1},
        )
    assert "depots match" in (await api.get("/depots", params={"tag": "north"})).text
    assert len(await found(api, tag="north")) == 100

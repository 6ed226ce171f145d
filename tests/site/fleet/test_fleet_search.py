"""The search of the list of depots: words in any order, without accents, labels and ids."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.principals import DepotScope
from domain.monitoring.depot_orders import DepotOrder, Sorting
from store.site.depots import list_depots, list_ranked_depots
from store.site.fleet.fleet_list import DepotFilter, count_fleet
from store.site.fleet.fleet_search import MOST_BY_ID, read_search
from tests.factories.equipped_depots import made
from tests.factories.sites import add_device, make_site
from tests.helpers.support import make_depot
from tests.site.fleet.large_fleets import FLEET


async def found(api: httpx.AsyncClient, search: str, **by: str) -> set[str]:
    answer = await api.get("/api/depots", params={"search": search, **by})
    assert answer.status_code == 200, answer.text
    return {each["name"] for each in answer.json()["items"]}


async def make(api: httpx.AsyncClient, name: str, timezone: str = "Europe/Zurich", **more: object) -> str:
    body = {"name": name, "timezone": timezone, **more}
    return str((await made(await api.post("/api/depots", json=body)))["depot_id"])


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("ecole", {"École du Nord", "Vieille école"}),
        ("ÉCOLE", {"École du Nord", "Vieille école"}),
        ("nord ecole", {"École du Nord"}),
        ("  nord   ecole ", {"École du Nord"}),
        ("ecole ecole ecole", {"École du Nord", "Vieille école"}),
        ("strasse", {"Hauptstraße"}),
        ("STRAßE haupt", {"Hauptstraße"}),
        ("orsta lodz", {"Ørsta-Łódź"}),
        ("montreal", {"Vieille école"}),
        ("ville-marie", {"Vieille école"}),
        ("marie", {"Vieille école"}),
        # Of a label the beginning of a word, not any part.
        ("ontreal", set()),
        ("urich", set()),
        ("zurich haupt", {"Hauptstraße"}),
        ("america/mon", {"Vieille école"}),
        ("nacht", {"Hauptstraße"}),
        ("schicht nacht", {"Hauptstraße"}),
        ("ecole nacht", set()),
        ("%", set()),
        ("_", set()),
        ("\\", set()),
        ("%%%% \\_", set()),
        ("\uff05", set()),
        ("   ", {"École du Nord", "Vieille école", "Hauptstraße", "Ørsta-Łódź"}),
        ("<b>", set()),
        (" ".join("abcdefghijklmnopqrstuvwxyz" * 3), set()),
    ],
)
async def test_words_are_found_in_any_order_without_accents(
    api: httpx.AsyncClient, search: str, names: set[str]
) -> None:
    await make(api, "École du Nord")
    await make(api, "Vieille école", "America/Montreal", region="Ville-Marie")
    await make(api, "Hauptstraße", tags=["Nacht Schicht"])
    await make(api, "Ørsta-Łódź")
    assert await found(api, search) == names
    for order in ("NAME", "WORST"):
        assert await found(api, search, sort=order, descending="true") == names
    assert (await api.get("/depots", params={"search": search})).status_code == 200
    # Retired ones are found in the same way.
    for depot in (await api.get("/api/depots")).json()["items"]:
        assert (await api.post(f"/api/depots/{depot['depot_id']}/retire")).status_code == 200
    assert await found(api, search, retired="true") == names


@pytest.mark.parametrize("search", ["\u200b\u3164", "\u0301", "a\x00b", "a\x07", "\u202e", "x" * 10_000])
async def test_what_no_depot_can_be_called_is_refused(api: httpx.AsyncClient, search: str) -> None:
    refused = await api.get("/api/depots", params={"search": search})
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")
    assert (await api.get("/depots", params={"search": search})).status_code == 422


async def test_a_depot_is_found_by_the_ids_of_what_it_has(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site, other = await make_site(engine), await make_site(engine)
    for each, name in ((site, "Malvern"), (other, "Stinson")):
        await api.patch(f"/api/depots/{each.depot_id}", json={"name": name})
    device_id = await add_device(engine, site, "EM-9")
    await add_device(engine, other, "em 9 north")
    for text_of_id in (site.depot_id, site.gateway_id, device_id, str(device_id).upper(), "em-9", "EM-9"):
        assert await found(api, str(text_of_id)) == {"Malvern"}
    # With a word of the name, and as a whole with white space in it.
    assert await found(api, "malvern em-9") == {"Malvern"}
    assert await found(api, "stinson em-9") == set()
    assert await found(api, "EM 9 North") == {"Stinson"}
    assert await found(api, "em-") == set()
    assert await found(api, str(uuid4())) == set()
    # They follow what changes.
    await api.patch(f"/api/depots/{other.depot_id}", json={"name": "Renamed", "timezone": "Asia/Tokyo"})
    assert await found(api, "tokyo") == {"Renamed"}
    assert await found(api, "stinson") == set()


async def test_a_sensor_id_that_every_depot_has_finds_many_of_them(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    async with engine.begin() as connection:
        await connection.execute(FLEET, {"depots": MOST_BY_ID + 200})
        await connection.execute(
            text("""
                WITH gates AS (
                    INSERT INTO gateways (depot_id, name, created_by, updated_by)
                    SELECT id, 'Gateway', 'tester', 'tester' FROM depots RETURNING id, depot_id
                )
                INSERT INTO devices (depot_id, gateway_id, sensor_id, name, created_by, updated_by)
                SELECT depot_id, id, 'meter', 'Meter', 'tester', 'tester' FROM gates
            """)
        )
    assert len(await found(api, "METER", limit="500")) == 500
    assert len(await found(api, "METER garage 1", limit="500")) > 0


async def test_nobody_finds_by_an_id_what_he_may_not_see(engine: AsyncEngine) -> None:
    seen, hidden = [await make_depot(engine, name=name) for name in ("Seen", "Hidden")]
    async with engine.connect() as connection:
        for depot_id, expected in ((seen, [seen]), (hidden, [])):
            words = await read_search(connection, str(depot_id))
            wanted = DepotFilter(words, scope=DepotScope.of(seen))
            assert [each.depot_id for each in await list_depots(connection, wanted, after=None, limit=9)] == expected
            ranked = await list_ranked_depots(connection, wanted, Sorting(DepotOrder.WORST), after=None, limit=9)
            assert [each.depot_id for _, each in ranked] == expected
            counted = await count_fleet(connection, str(depot_id), DepotScope.of(seen))
            assert sum(counted.depots.values()) == len(expected)

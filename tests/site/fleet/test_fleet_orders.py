"""The list of depots in every order, from both ends: what it is ordered by is kept, and costs the same at any size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.base.types import encode_cursor
from domain.access.principals import NOWHERE, DepotScope
from domain.monitoring.alarms import AlarmKind
from domain.monitoring.depot_orders import DepotOrder, Sorting, own_order
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from store.site.depots import list_depots, list_ranked_depots
from store.site.fleet.fleet_list import STRETCH, DepotFilter, fresh_plans, page_statement
from store.site.fleet.fleet_order import RankedPlace, ranked_statement
from store.site.fleet.fleet_search import SearchWords
from tests.factories.sites import controller_site, open_remediation
from tests.helpers.support import make_depot
from tests.site.fleet.large_fleets import ALARMS, FLEET, LOADS, SHARES, blocks_read

RANKED = [order for order in DepotOrder if order is not DepotOrder.NAME]
BOTH_WAYS = [Sorting(order, turned) for order in DepotOrder for turned in (False, True)]


async def pages(api: httpx.AsyncClient, limit: int, **by: str) -> list[str]:
    """The names of all pages of the list, one after the other."""
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await api.get("/api/depots", params={"limit": str(limit), **by, **cursor})
        assert answer.status_code == 200, answer.text
        names += [each["name"] for each in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            return names
        cursor = {"cursor": answer.json()["next_cursor"]}


async def alarm(engine: AsyncEngine, depot_id: UUID, priority: int, minutes: int, **since: int) -> None:
    """Note alarms of a depot: each so many minutes old."""
    columns = {"priority": priority, "stale_by_silence": False}
    columns |= {
        "silent_controllers": 0,
        "fail_safe_circuits": int("fail_safe_since" in since),
        "open_remediations": int("remediations_since" in since),
    }
    moments = {"since": minutes, **since}
    at = {name: datetime.now(UTC) - timedelta(minutes=ago) for name, ago in moments.items()}
    given = {"depot_id": depot_id, **columns, **at}
    async with engine.begin() as connection:
        await connection.execute(
            text(f"INSERT INTO depot_alarms ({', '.join(given)}) VALUES ({', '.join(f':{name}' for name in given)})"),
            given,
        )


@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_every_order_is_read_from_both_ends(engine: AsyncEngine, api: httpx.AsyncClient, limit: int) -> None:
    made = {name: await make_depot(engine, name=name) for name in ("Well", "B", "A", "Depot 10", "Depot 2", "C")}
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE depots SET timezone = 'Africa/Cairo' WHERE name = 'C'"))
        await connection.execute(text("UPDATE depots SET provisioning = 'PROVISIONED' WHERE name IN ('A', 'Well')"))
        await connection.execute(text("UPDATE depot_list SET freshness = 'FRESH' WHERE name = 'Well'"))
    await alarm(engine, made["A"], 3, 5, stale_since=5)
    await alarm(engine, made["B"], 3, 50, stale_since=50)
    await alarm(engine, made["C"], 2, 9, remediations_since=9, stale_since=1)
    await alarm(engine, made["Depot 2"], 1, 2, fail_safe_since=2, remediations_since=20)
    await alarm(engine, made["Depot 10"], 1, 3, fail_safe_since=3)
    expected = {
        DepotOrder.NAME: ["A", "B", "C", "Depot 2", "Depot 10", "Well"],
        DepotOrder.WORST: ["Depot 10", "Depot 2", "C", "B", "A", "Well"],
        DepotOrder.PROVISIONING: ["B", "C", "Depot 2", "Depot 10", "A", "Well"],
        DepotOrder.STATUS: ["B", "A", "C", "Well", "Depot 2", "Depot 10"],
        DepotOrder.FAIL_SAFE: ["Depot 10", "Depot 2", "A", "B", "C", "Well"],
        DepotOrder.REMEDIATIONS: ["Depot 2", "C", "A", "B", "Depot 10", "Well"],
        DepotOrder.TIMEZONE: ["C", "A", "B", "Depot 2", "Depot 10", "Well"],
        # None of them measures anything (test_load_orders.py).
        DepotOrder.LOAD: ["A", "B", "C", "Depot 2", "Depot 10", "Well"],
        DepotOrder.LOAD_SHARE: ["A", "B", "C", "Depot 2", "Depot 10", "Well"],
    }
    assert set(expected) == set(DepotOrder)
    for order, names in expected.items():
        assert await pages(api, limit, sort=order) == names
        assert await pages(api, limit, sort=order, descending="true") == names[::-1]
        assert await pages(api, limit, sort=order, search="depot") == [
            name for name in names if name.startswith("Depot")
        ]
    assert await pages(api, limit, sort="STATUS", alarm="FAIL_SAFE") == ["Depot 2", "Depot 10"]


async def test_the_order_follows_what_happens(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    first = await make_depot(engine, name="A")
    site = await controller_site(engine)
    await api.patch(f"/api/depots/{site.depot_id}", json={"name": "B"})
    assert await pages(api, 1, sort="REMEDIATIONS") == ["A", "B"]
    await open_remediation(engine, site, datetime.now(UTC))
    assert await pages(api, 1, sort="REMEDIATIONS") == ["B", "A"]
    assert await pages(api, 1, sort="WORST") == ["B", "A"]
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE remediations SET closed_at = now(), closed_by = 'tester'"))
    assert await pages(api, 1, sort="REMEDIATIONS") == ["A", "B"]
    # What a person changes: the time zone, and the name among those that are alike.
    assert await pages(api, 1, sort="TIMEZONE") == ["A", "B"]
    await api.patch(f"/api/depots/{first}", json={"timezone": "Europe/Zurich"})
    assert await pages(api, 1, sort="TIMEZONE") == ["B", "A"]
    await api.patch(f"/api/depots/{first}", json={"name": "Z"})
    assert await pages(api, 1, sort="REMEDIATIONS") == ["B", "Z"]
    # A retired depot is in no order; brought back, it is in every one.
    assert (await api.post(f"/api/depots/{first}/retire")).status_code == 200
    for order in DepotOrder:
        assert await pages(api, 1, sort=order) == ["B"]
        assert await pages(api, 1, sort=order, retired="true") == ["Z"]
    assert (await api.post(f"/api/depots/{first}/restore")).status_code == 200
    for order in DepotOrder:
        assert sorted(await pages(api, 1, sort=order)) == ["B", "Z"]


async def test_a_moment_at_an_end_of_the_calendar_has_its_place(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    ends = ("-infinity", "0001-01-01", "1969-12-31", "9999-12-31 23:59:59", "infinity")
    for number, moment in enumerate(ends):
        depot_id = await make_depot(engine, name=f"Depot {number}")
        await alarm(engine, depot_id, 3, 0, stale_since=0)
        async with engine.begin() as connection:
            moved = "UPDATE depot_alarms SET since = :at, stale_since = :at WHERE depot_id = :depot_id"
            await connection.execute(text(moved.replace(":at", f"'{moment}'")), {"depot_id": depot_id})
    await make_depot(engine, name="Well")
    for order in ("WORST", "STATUS"):
        assert await pages(api, 1, sort=order) == [*(f"Depot {number}" for number in range(len(ends))), "Well"]


@pytest.mark.parametrize(
    "cursor",
    [
        encode_cursor("STATUS", 2**63, "A", UUID(int=0)),
        encode_cursor("STATUS", "x", "A", UUID(int=0)),
        encode_cursor("STATUS", 1, "\x00", UUID(int=0)),
        encode_cursor("WORST", 1, "A", UUID(int=0)),
        encode_cursor("A", UUID(int=0)),
        encode_cursor("STATUS", None, "A", UUID(int=0)),
    ],
)
async def test_a_cursor_of_another_list_is_refused(api: httpx.AsyncClient, cursor: str) -> None:
    refused = await api.get("/api/depots", params={"sort": "STATUS", "cursor": cursor})
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_CURSOR")


async def test_an_order_that_there_is_not_is_refused(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/depots", params={"sort": "name"})).status_code == 422
    assert (await api.get("/api/depots", params={"descending": "perhaps"})).status_code == 422


def test_depots_in_trouble_are_the_worst_first_by_themselves() -> None:
    assert own_order(None, None, None) is DepotOrder.NAME
    assert own_order(None, DepotFreshness.FRESH, ProvisioningState.PENDING) is DepotOrder.NAME
    for kind in AlarmKind:
        assert own_order(kind, None, None) is DepotOrder.WORST
    assert own_order(None, DepotFreshness.STALE, None) is DepotOrder.WORST
    assert own_order(None, None, ProvisioningState.FAILED) is DepotOrder.WORST


_FILTERS = [
    DepotFilter(),
    DepotFilter(freshness=DepotFreshness.STALE),
    DepotFilter(freshness=DepotFreshness.FRESH),
    DepotFilter(alarm=AlarmKind.FAIL_SAFE),
    DepotFilter(SearchWords("arrow")),
    DepotFilter(SearchWords("zq")),
]


async def walked(connection: AsyncConnection, wanted: DepotFilter, sorting: Sorting) -> list[UUID]:
    """Walk through all pages of a list."""
    seen: list[UUID] = []
    if sorting.order is DepotOrder.NAME:
        after: tuple[str, UUID] | None = None
        while found := await list_depots(
            connection, wanted, after=after, limit=37, is_descending=sorting.is_descending
        ):
            seen += [each.depot_id for each in found]
            after = (found[-1].name, found[-1].depot_id)
        return seen
    place: RankedPlace | None = None
    while ranked := await list_ranked_depots(connection, wanted, sorting, after=place, limit=37):
        seen += [each.depot_id for _, each in ranked]
        place = ranked[-1][0]
    return seen


async def test_pages_follow_one_another_in_every_order(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(FLEET, {"depots": 300})
        await connection.execute(SHARES)
        await connection.execute(ALARMS)
        await connection.execute(LOADS)
    async with engine.connect() as connection:
        for wanted in _FILTERS:
            by_name = await walked(connection, wanted, Sorting())
            for order in DepotOrder:
                seen = await walked(connection, wanted, Sorting(order))
                assert len(seen) == len(set(seen))
                assert set(seen) == set(by_name)
                assert await walked(connection, wanted, Sorting(order, is_descending=True)) == seen[::-1]


async def test_a_list_has_what_one_may_see_in_every_order(engine: AsyncEngine) -> None:
    seen, _ = [await make_depot(engine, name=name) for name in ("Seen", "Hidden")]
    async with engine.connect() as connection:
        for sorting in BOTH_WAYS:
            within = DepotFilter(scope=DepotScope.of(seen))
            assert await walked(connection, within, sorting) == [seen]
            assert await walked(connection, DepotFilter(scope=NOWHERE), sorting) == []


async def read_places(
    connection: AsyncConnection, wanted: DepotFilter, sorting: Sorting, after: RankedPlace | None
) -> tuple[list[RankedPlace], int]:
    """Read a page as ``find_ranked`` does; answer it with the blocks that it took."""
    blocks = 0
    places: list[RankedPlace] = []
    for is_walk in (True, False) if wanted.search.words else (False,):
        page = ranked_statement(wanted, sorting, after, 101, is_walk=is_walk)
        blocks += await blocks_read(connection, *page)
        places = [(row.rank, row.sort_key, row.depot_id) for row in await connection.execute(*page)]
        if not is_walk or len(places) == 101:
            break
    # A search looks through a stretch, some blocks a row, in a fleet of any size: what it takes beyond that counts.
    return places, max(0, blocks - 5 * STRETCH) if wanted.search.words else blocks


async def costs(engine: AsyncEngine) -> dict[str, int]:
    found: dict[str, int] = {}
    async with engine.connect() as connection:
        await fresh_plans(connection)
        for wanted in _FILTERS:
            for turned in (False, True):
                for order in RANKED:
                    sorting = Sorting(order, turned)
                    places, found[f"{wanted} {sorting}"] = await read_places(connection, wanted, sorting, None)
                    if places:
                        _, later = await read_places(connection, wanted, sorting, places[-1])
                        found[f"{wanted} {sorting}, later"] = later
        backwards = page_statement(DepotFilter(), None, 101, is_descending=True)
        found["by name, from the end"] = await blocks_read(connection, *backwards)
    return found


async def test_what_an_order_reads_does_not_grow_with_the_fleet(engine: AsyncEngine) -> None:
    found: list[dict[str, int]] = []
    for more in (2_000, 18_000):
        async with engine.begin() as connection:
            await connection.execute(FLEET, {"depots": more})
            await connection.execute(SHARES)
            await connection.execute(ALARMS)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE depot_list, depot_alarms, depot_ranks"))
        found.append(await costs(engine))
    small, large = found
    # Rows that are read by key are some blocks each: below a thousand, a page of 101 is not compared.
    grown = {what: (small[what], blocks) for what, blocks in large.items() if blocks > 2 * max(small[what], 1_000)}
    assert grown == {}

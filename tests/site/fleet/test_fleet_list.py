"""The list of depots, kept: it says what the rules say, and costs the same at any size of the fleet."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.base.texts import normal
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from store.base.locks import lock_sites
from store.monitoring.tables import capability_latest
from store.site.depots import list_depots
from store.site.fleet import fleet_list
from store.site.fleet.fleet_list import (
    MOST_COUNTED,
    STRETCH,
    DepotFilter,
    FleetCounts,
    add_counts_up,
    count_fleet,
    count_statement,
    page_statement,
    refresh_fleet_freshness,
)
from store.site.fleet.fleet_search import SearchWords, read_search
from store.site.tables import capability_owners, depots
from tests.factories.equipped_depots import add_gateway
from tests.factories.sites import MadeDepot, controller_site, milliseconds, packet
from tests.helpers.answers import HTMX, error_of
from tests.helpers.support import make_depot
from tests.site.fleet.large_fleets import FLEET, SHARES, blocks_read

# The rule, said once more: by each capability of every depot.
_RULE = text("""
    SELECT d.id, CASE WHEN count(l.status) < count(*) THEN 'NONE'
        WHEN bool_or(o.sensor_action_id IS NULL OR least(l.observed_at, l.received_at)
             + coalesce(make_interval(secs => t.seconds), interval '5 minutes') < clock_timestamp()) THEN 'STALE'
        ELSE 'FRESH' END
    FROM depots AS d CROSS JOIN unnest(ARRAY['PEAK_SHAVING', 'DER']) AS k (capability)
    LEFT JOIN microgrids AS m ON m.depot_id = d.id AND m.retired_at IS NULL
    LEFT JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = d.id AND o.capability = k.capability
    GROUP BY d.id
""")


async def reported(engine: AsyncEngine, api: httpx.AsyncClient, *, ago: float = 0) -> MadeDepot:
    """Make a depot whose controller said both capabilities."""
    site = await controller_site(engine)
    at = milliseconds(datetime.now(UTC) - timedelta(seconds=ago))
    body = [packet(site, at, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false")]
    assert (await api.post("/api/telemetry/packets", json=body)).status_code == 200
    return site


async def listed(engine: AsyncEngine, wanted: DepotFilter) -> set[UUID]:
    async with engine.connect() as connection:
        return {each.depot_id for each in await list_depots(connection, wanted, after=None, limit=500)}


async def agrees(engine: AsyncEngine) -> None:
    """Assert that lists and counts say what the rule says, and the kept counts what the kept list does."""
    async with engine.connect() as connection:
        rule = {row[0]: DepotFreshness(row[1]) for row in await connection.execute(_RULE)}
        counts = (await count_fleet(connection)).by_freshness()
        kept = await connection.execute(
            text("""
                SELECT count(*) FROM (
                    SELECT provisioning, freshness, sum(depots) AS n FROM depot_counts
                    GROUP BY 1, 2 HAVING sum(depots) <> 0
                    EXCEPT SELECT provisioning, freshness, count(*) FROM depot_list GROUP BY 1, 2
                ) AS differing
            """)
        )
        assert kept.scalar_one() == 0
    for freshness in DepotFreshness:
        expected = {depot_id for depot_id, own in rule.items() if own is freshness}
        assert await listed(engine, DepotFilter(freshness=freshness)) == expected
        assert counts[freshness] == len(expected)


async def age(engine: AsyncEngine, site: MadeDepot, seconds: float) -> None:
    """Let time pass for one depot, as nobody writes anything."""
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE capability_latest DISABLE TRIGGER USER"))
        moved = {"observed_at": capability_latest.c.observed_at - timedelta(seconds=seconds)}
        await connection.execute(
            update(capability_latest).where(capability_latest.c.microgrid_id == site.microgrid_id).values(**moved)
        )
        await connection.execute(text("ALTER TABLE capability_latest ENABLE TRIGGER USER"))
        await connection.execute(
            text("UPDATE fresh_depots SET fresh_until = fresh_until - make_interval(secs => :s) WHERE depot_id = :d"),
            {"s": seconds, "d": site.depot_id},
        )


async def test_the_kept_list_says_what_the_rule_says(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    await make_depot(engine)
    fresh, lapsing, silent = [await reported(engine, api) for _ in range(3)]
    await reported(engine, api, ago=400)
    await agrees(engine)
    # Time passes; then whoever settles notes it, twice and again.
    await age(engine, lapsing, 301)
    await agrees(engine)
    assert lapsing.depot_id in await listed(engine, DepotFilter(freshness=DepotFreshness.STALE))
    for _ in range(2):
        async with engine.begin() as connection:
            await refresh_fleet_freshness(connection, 10)
        await agrees(engine)
    # What each of the tables behind it can do.
    async with engine.begin() as connection:
        await connection.execute(delete(capability_owners).where(capability_owners.c.depot_id == silent.depot_id))
    await agrees(engine)
    for seconds in (9_000, 0.5, 9_000):
        await api.patch(
            f"/api/microgrids/{lapsing.microgrid_id}/freshness-thresholds",
            json={"thresholds": {"PEAK_SHAVING": seconds, "DER": seconds}},
        )
        await agrees(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE microgrids SET retired_at = now() WHERE id = :id"), {
            "id": fresh.microgrid_id})  # fmt: skip
    await agrees(engine)
    body = [packet(lapsing, LIMIT_PEAK_SHAVING="false", LIMIT_DER_EXPORT="false")]
    assert (await api.post("/api/telemetry/packets", json=body)).status_code == 200
    await agrees(engine)


async def test_a_depot_that_sends_is_written_once_in_a_while(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await reported(engine, api)
    rows = "SELECT fresh_until, xmin::text FROM fresh_depots"
    async with engine.connect() as connection:
        before = (await connection.execute(text(rows))).one()
    for _ in range(3):
        body = [packet(site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true")]
        assert (await api.post("/api/telemetry/packets", json=body)).status_code == 200
    async with engine.connect() as connection:
        assert (await connection.execute(text(rows))).one() == before
    # Kept too early is not told as stale.
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE fresh_depots SET fresh_until = now() - interval '1 second'"))
    await agrees(engine)
    async with engine.begin() as connection:
        await refresh_fleet_freshness(connection, 10)
    async with engine.connect() as connection:
        assert (await connection.execute(text(rows))).one()[0] > before[0] - timedelta(minutes=1)
    await agrees(engine)


async def test_whose_depot_is_locked_is_settled_later(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await reported(engine, api)
    await age(engine, site, 400)
    async with engine.begin() as holder:
        await lock_sites(holder, [site.depot_id])
        async with engine.begin() as connection:
            await refresh_fleet_freshness(connection, 10)
        await agrees(engine)
    async with engine.begin() as connection:
        await refresh_fleet_freshness(connection, 10)
        left = await connection.execute(text("SELECT count(*) FROM fresh_depots"))
        assert left.scalar_one() == 0
    await agrees(engine)


SEARCHES = pytest.mark.parametrize(
    ("search", "found"),
    [
        ("d", {"Arrow Road", "under_score", "and/or", "50% c\\d"}),
        ("rr", {"Arrow Road"}),
        ("OAD", {"Arrow Road"}),
        ("w r", {"Arrow Road"}),
        ("École", {"École"}),
        ("éc", {"École"}),
        ("%", {"50% c\\d"}),
        ("%%", set()),
        ("_", {"under_score"}),
        ("/", {"and/or"}),
        ("\\", {"50% c\\d"}),
        ("\\%", set()),
        ("zq", set()),
        ("arrow road and more", set()),
        ("🚌", {"🚌 Bus"}),
        # An accent of its own is composed with its letter.
        ("e\u0301C", {"École"}),
        ("c\\d", {"50% c\\d"}),
        ("0% ", {"50% c\\d"}),
        ("r_s", {"under_score"}),
        ("D/O", {"and/or"}),
    ],
)
NAMES = ("Arrow Road", "École", "MALVERN", "İstanbul", "under_score", "and/or", "🚌 Bus", "50% c\\d")


@SEARCHES
async def test_a_search_finds_any_part_of_a_name(engine: AsyncEngine, search: str, found: set[str]) -> None:
    for name in NAMES:
        await make_depot(engine, name=name)
    async with engine.connect() as connection:
        wanted = DepotFilter(await read_search(connection, normal(search)))
        page = await list_depots(connection, wanted, after=None, limit=100)
        counts = await count_fleet(connection, normal(search))
    assert {each.name for each in page} == found
    assert sum(counts.depots.values()) == len(page)


@SEARCHES
async def test_whatever_searches_finds_the_same(
    engine: AsyncEngine, api: httpx.AsyncClient, search: str, found: set[str]
) -> None:
    depot_ids = [await make_depot(engine, name=name) for name in NAMES]
    gateway = await add_gateway(api, str(depot_ids[0]))
    for number, name in enumerate(NAMES):
        device = {"gateway_id": gateway["gateway_id"], "sensor_id": str(number), "name": name}
        assert (await api.post("/api/devices", json=device)).status_code == 201
    listed = (await api.get("/api/depots", params={"search": search})).json()["items"]
    assert {each["name"] for each in listed} == found
    page = (await api.get("/depots", params={"search": search})).text
    assert {html.unescape(each) for each in re.findall(r'class="row-link"\s+href="[^"]+">([^<]+)<', page)} == found
    offers = (await api.get("/scenarios/depots", params={"depot": search}, headers=HTMX)).text
    assert {html.unescape(each) for each in re.findall(r'<option value="([^"]+)"', offers)} == found
    devices = (await api.get("/api/devices", params={"search": search})).json()["items"]
    assert {each["name"] for each in devices} == found


async def test_a_depot_is_meant_by_its_whole_name_however_many_contain_it(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    async with engine.begin() as connection:
        await connection.execute(FLEET, {"depots": 90})

    async def typed(depot: str) -> str:
        return (await api.post("/scenarios", data={"depot": depot}, headers=HTMX)).text

    assert "Several depots match" in error_of(await typed("arrow"), "depot")
    await make_depot(engine, name="Farrow")
    assert "Several depots match" in error_of(await typed("arrow"), "depot")
    await make_depot(engine, name="arrow")
    assert 'id="depot-error"' not in await typed("ARROW")
    assert 'id="depot-error"' not in await typed("Arrow Road 90")
    assert "No depot" in error_of(await typed("%"), "depot")


async def test_pages_follow_one_another_in_every_filter(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(FLEET, {"depots": 300})
        await connection.execute(SHARES)
    for wanted in _FILTERS:
        seen: list[tuple[str, UUID]] = []
        after: tuple[str, UUID] | None = None
        async with engine.connect() as connection:
            while page := await list_depots(connection, wanted, after=after, limit=37):
                seen += [(each.name, each.depot_id) for each in page]
                after = seen[-1]
        assert seen == sorted(set(seen), key=lambda place: (_counted(place[0]), place[1]))
        async with engine.connect() as connection:
            counts = await count_fleet(connection, wanted.search.whole)
        assert len(seen) == _of(counts, wanted)


def _counted(name: str) -> list[int | str]:
    """A name of ``FLEET`` by its words and its number."""
    return [int(part) if part.isdecimal() else part.lower() for part in name.split(" ")]


def _of(counts: FleetCounts, wanted: DepotFilter) -> int:
    by_state = counts.by_provisioning(wanted.freshness)
    return sum(n for state, n in by_state.items() if wanted.provisioning in (None, state))


async def test_counts_are_added_up_and_stay_the_same(engine: AsyncEngine) -> None:
    for number in range(60):
        await make_depot(engine, name=f"Depot {number}")
    await agrees(engine)
    async with engine.begin() as connection:
        await add_counts_up(connection)
        assert (await connection.execute(text("SELECT count(*) FROM depot_counts"))).scalar_one() == 1
    await agrees(engine)


async def test_a_renamed_depot_is_found_by_its_new_name(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, name="Arrow Road")
    async with engine.begin() as connection:
        await connection.execute(update(depots).values(name="Malvern"))
    assert await listed(engine, DepotFilter(SearchWords("alve"))) == {depot_id}
    assert await listed(engine, DepotFilter(SearchWords("rrow"))) == set()


# What it costs

_FILTERS = [
    DepotFilter(),
    DepotFilter(provisioning=ProvisioningState.FAILED),
    DepotFilter(provisioning=ProvisioningState.PENDING),
    *(DepotFilter(freshness=each) for each in DepotFreshness),
    DepotFilter(provisioning=ProvisioningState.FAILED, freshness=DepotFreshness.NONE),
    DepotFilter(SearchWords("arrow")),
    DepotFilter(SearchWords("a")),
    DepotFilter(SearchWords("n 17")),
    DepotFilter(SearchWords("zq")),
    DepotFilter(SearchWords("nobody is called like that")),
    DepotFilter(SearchWords("arrow"), freshness=DepotFreshness.STALE),
]


async def fitting(connection: AsyncConnection, wanted: DepotFilter) -> int:
    """Count the depots that fit a search."""
    query = text(f"SELECT count(*) FROM depot_list AS x WHERE {wanted.is_found}")
    return (await connection.execute(query, wanted.parameters)).scalar_one()


async def costs(engine: AsyncEngine) -> dict[str, int]:
    found: dict[str, int] = {}
    async with engine.connect() as connection:
        await fleet_list.fresh_plans(connection)
        for wanted in _FILTERS:
            for what, after in (("list", None), ("later", ("Arrow Road 1500", UUID(int=0)))):
                blocks, near = 0, []
                if wanted.search.words:
                    walk = page_statement(wanted, after, 101, is_walk=True)
                    blocks += await blocks_read(connection, *walk)
                    near = list((await connection.execute(*walk)).scalars())
                    # It looks through a stretch, a block a row at most, in a fleet of any size.
                    blocks = max(0, blocks - STRETCH)
                if not wanted.search.words or len(near) < 101:
                    blocks += await blocks_read(connection, *page_statement(wanted, after, 101))
                    # And where few fit, through those.
                    blocks = max(0, blocks - (await fitting(connection, wanted) if wanted.search.words else 0))
                found[f"{what} {wanted}"] = blocks
        for search in ("", "arrow", "a", "n 17", "zq"):
            wanted = DepotFilter(SearchWords(search))
            found[f"count {search}"] = await blocks_read(connection, count_statement(wanted), wanted.parameters)
    return found


async def test_what_is_read_does_not_grow_with_the_fleet(engine: AsyncEngine) -> None:
    found: list[dict[str, int]] = []
    for more in (2_000, 18_000):
        async with engine.begin() as connection:
            await connection.execute(FLEET, {"depots": more})
            await connection.execute(SHARES)
            await add_counts_up(connection)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE depot_list"))
        found.append(await costs(engine))
    small, large = found
    # 200 blocks are a fraction of a millisecond: below that, nothing is compared.
    grown = {what: (small[what], blocks) for what, blocks in large.items() if blocks > 2 * max(small[what], 200)}
    assert grown == {}


async def test_a_search_that_fits_many_depots_is_not_counted_to_the_end(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    async with engine.begin() as connection:
        await connection.execute(FLEET, {"depots": 4_000})
    async with engine.connect() as connection:
        counts = await count_fleet(connection, "a")
        assert counts.is_capped
        assert sum(counts.depots.values()) == MOST_COUNTED + 1
        assert not (await count_fleet(connection, "road 39")).is_capped
    page = await api.get("/depots", params={"search": "a"})
    assert "Type more of the name" in " ".join(page.text.split())


async def test_whoever_refreshes_some_depots_reads_no_others(engine: AsyncEngine) -> None:
    """A group of packets is not compared with every fresh depot, also where the statistics know of none."""
    async with engine.connect() as connection:
        await connection.execute(text("ANALYZE fresh_depots"))
        await connection.execute(FLEET, {"depots": 2_000})
        filled = "INSERT INTO fresh_depots SELECT depot_id, now() + interval '5 minutes' FROM depot_list"
        await connection.execute(text(filled))
        changed = "SELECT settle_freshness(ARRAY(SELECT depot_id FROM depot_list LIMIT 100))"
        before = await _fresh_depots_read(connection)
        await connection.execute(text(changed))
        assert 100 <= await _fresh_depots_read(connection) - before <= 300


async def test_the_freshness_of_a_depot_is_read_by_key_with_a_plan_of_an_empty_table(engine: AsyncEngine) -> None:
    """A connection keeps its plan from when nothing had reported, and reads no other depot's statuses by it."""
    async with engine.connect() as connection:
        # Nothing follows from these rows: what lies behind them is left out.
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(FLEET, {"depots": 1_000})
        made = "INSERT INTO microgrids (depot_id, created_by, updated_by) SELECT id, 'tester', 'tester' FROM depots"
        await connection.execute(text(made))
        for table in ("capability_latest", "capability_owners", "freshness_thresholds"):
            await connection.execute(text(f"ANALYZE {table}"))
        judged = text("SELECT depot_fresh_until(depot_id) FROM microgrids LIMIT 20")
        await connection.execute(judged)
        await connection.execute(
            text("""
                INSERT INTO capability_latest (microgrid_id, capability, event_id, status, observed_at, received_at,
                                               provider_event_ref)
                SELECT id, capability, uuidv7(), 'ON', now(), now(), '1'
                FROM microgrids CROSS JOIN unnest(ARRAY['PEAK_SHAVING', 'DER']) AS k (capability)
            """)
        )
        before = await _read(connection, "capability_latest")
        await connection.execute(judged)
        assert await _read(connection, "capability_latest") - before == 20 * 2


async def _fresh_depots_read(connection: AsyncConnection) -> int:
    return await _read(connection, "fresh_depots")


async def _read(connection: AsyncConnection, table: str) -> int:
    """Rows of a table that this transaction has read."""
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = :relname"
    return (await connection.execute(text(read), {"relname": table})).scalar_one()

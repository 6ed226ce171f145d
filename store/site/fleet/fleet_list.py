"""The list of depots as it is filtered, searched and counted: kept by triggers, so that it costs the same at any size.

``depot_list`` has a row a depot that is not retired, with its freshness when it was last refreshed, ``fresh_depots``
until when those that are fresh stay so at least, and ``depot_counts`` the counts as sums of differences. Time passes
without anybody writing: what lapsed since it was last refreshed is found by ``fresh_depots`` and checked by the rule
(``depot_fresh_until``).
"""

# ruff: noqa: S608 (what is put into the statements are constants of this module)

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import EVERYWHERE, DepotScope
from domain.monitoring.alarms import AlarmChoice, AlarmKind
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from store.access.narrowing import given_within, is_within
from store.base.locks import SITE_KEY
from store.site.fleet.fleet_search import SearchWords, read_search

MOST_COUNTED = 1_000
"""Depots that a search, a region or a tag counts at most."""

# Few: the watch settles them each minute.
LAPSED = """lapsed AS MATERIALIZED (
    SELECT depot_id FROM fresh_depots
    WHERE fresh_until < clock_timestamp() AND depot_fresh_until(depot_id) < clock_timestamp()
)"""
_OF_FRESHNESS = {
    DepotFreshness.NONE: "{row}.freshness = 'NONE'",
    DepotFreshness.STALE: "({row}.freshness = 'STALE' OR {row}.depot_id IN (SELECT depot_id FROM lapsed))",
    DepotFreshness.FRESH: "{row}.freshness = 'FRESH' AND {row}.depot_id NOT IN (SELECT depot_id FROM lapsed)",
}
# There is no row of a depot without an alarm.
_OF_ALARM: dict[AlarmChoice, str] = {
    "ANY": "true",
    AlarmKind.CONTROLLER_SILENT: "silent_controllers > 0",
    AlarmKind.FAIL_SAFE: "fail_safe_circuits > 0",
    AlarmKind.PROVISIONING_FAILED: "failed_since IS NOT NULL",
    AlarmKind.REMEDIATION_OPEN: "open_remediations > 0",
    AlarmKind.STATUS_STALE: "stale_since IS NOT NULL AND NOT stale_by_silence",
}


def has_alarm(kind: AlarmChoice) -> str:
    """The condition that a depot ``x`` of the list has an alarm of this kind, or any."""
    return f"x.depot_id IN (SELECT depot_id FROM depot_alarms WHERE {_OF_ALARM[kind]})"


@dataclass(frozen=True)
class DepotFilter:
    """Which depots are asked for."""

    search: SearchWords = field(default_factory=SearchWords)
    """Words of the name, the time zone, the region or tags, or ids (``read_search``)."""
    provisioning: ProvisioningState | None = None
    freshness: DepotFreshness | None = None
    scope: DepotScope = EVERYWHERE
    """The depots that may be seen."""
    alarm: AlarmChoice | None = None
    """What of the depot needs attention."""
    region: str | None = None
    """The region, in any case."""
    tag: str | None = None
    """One of the tags, in any case."""
    retired: bool = False
    """Whether those that are retired are asked for, which are in no other list."""

    def of_freshness(self, row: str = "x") -> str:
        """The condition on a depot's freshness, beside ``LAPSED``."""
        return "true" if self.freshness is None else _OF_FRESHNESS[self.freshness].format(row=row)

    @property
    def labels(self) -> list[str]:
        """The conditions of region and tag on a row ``x`` of ``depot_list``."""
        asked = {"x.region = lower(:region)": self.region, "x.tags @> ARRAY[lower(:tag)]": self.tag}
        return [condition for condition, value in asked.items() if value]

    @property
    def is_found(self) -> str:
        """The condition of the search on a row ``x`` of ``depot_list``."""
        return self.search.condition("x.words", "x.labels", "x.depot_id", "x.grams")

    @property
    def parameters(self) -> dict[str, Any]:
        """What the statements are given."""
        given: dict[str, Any] = {**given_within(self.scope)}
        given |= self.search.parameters
        if self.provisioning is not None:
            given["provisioning"] = self.provisioning.value
        if self.region:
            given["region"] = self.region
        if self.tag:
            given["tag"] = self.tag
        return given


def direction(is_descending: bool) -> tuple[str, str]:
    """What compares a place with the one before, and the word of ``ORDER BY``, from either end of an order."""
    return ("<", "DESC") if is_descending else (">", "ASC")


STRETCH = 2_000
"""Depots that a search looks through by name, before it looks names up by their parts."""


def page_statement(
    wanted: DepotFilter,
    after: tuple[str, UUID] | None,
    limit: int,
    *,
    is_walk: bool = False,
    is_descending: bool = False,
) -> tuple[TextClause, dict[str, Any]]:
    """The statement, with its parameters, that finds a page of ids of depots in the natural order of names.

    Where ``is_walk``, a search looks through the next ``STRETCH`` depots alone: what is in many names is found there.
    """
    beyond, way = direction(is_descending)
    asked = {
        "x.provisioning = :provisioning": wanted.provisioning is not None,
        is_within("x.depot_id", wanted.scope): not wanted.scope.everywhere,
        f"(x.sort_key, x.depot_id) {beyond} (natural_key(:after_name), CAST(:after_id AS uuid))": after is not None,
        wanted.is_found: bool(wanted.search.words) and not is_walk,
    }
    conditions = [*wanted.labels, *(condition for condition, is_asked in asked.items() if is_asked)]
    if wanted.alarm is not None:
        conditions.append(has_alarm(wanted.alarm))

    def page(condition: str, more: str = "") -> str:
        where = " AND ".join([*conditions, condition])
        rows = f"""
            SELECT x.sort_key, x.depot_id{", x.words, x.labels" if is_walk else ""}
            FROM depot_list AS x{more} WHERE {where} ORDER BY x.sort_key {way}, x.depot_id {way}
        """
        if not is_walk:
            return f"({rows} LIMIT :limit)"
        fits = wanted.search.condition("words", "labels", "depot_id")
        return f"(SELECT * FROM ({rows} LIMIT {STRETCH}) AS near WHERE {fits} LIMIT :limit)"

    if wanted.freshness is not DepotFreshness.STALE:
        found = page(wanted.of_freshness())
    else:
        # Two lists, each in the order of an index.
        settled = page("x.freshness = 'STALE'")
        found = f"{settled} UNION ALL {page('x.depot_id = lapsed.depot_id', ', lapsed')}"
    statement = f"""
        WITH {LAPSED} SELECT depot_id FROM ({found}) AS found
        ORDER BY sort_key {way}, depot_id {way} LIMIT :limit
    """
    given = wanted.parameters | {"limit": limit}
    if after is not None:
        given |= {"after_name": after[0], "after_id": after[1]}
    return text(statement), given


def retired_statement(
    wanted: DepotFilter, after: tuple[str, UUID] | None, limit: int, *, is_descending: bool = False
) -> tuple[TextClause, dict[str, Any]]:
    """The same of retired depots. They are few, and have neither a status nor an alarm."""
    beyond, way = direction(is_descending)
    asked = {
        wanted.search.condition("fold(name)", "fold_labels(ARRAY[timezone, region] || tags)", "id"): True,
        "provisioning = :provisioning": wanted.provisioning is not None,
        "lower(region) = lower(:region)": bool(wanted.region),
        "lower_all(tags) @> ARRAY[lower(:tag)]": bool(wanted.tag),
        "false": wanted.freshness not in (None, DepotFreshness.NONE) or wanted.alarm is not None,
        is_within("id", wanted.scope): not wanted.scope.everywhere,
        f"(natural_key(name), id) {beyond} (natural_key(:after_name), CAST(:after_id AS uuid))": after is not None,
    }
    conditions = " AND ".join(["retired_at IS NOT NULL", *(each for each, is_asked in asked.items() if is_asked)])
    given = wanted.parameters | {"limit": limit}
    if after is not None:
        given |= {"after_name": after[0], "after_id": after[1]}
    order = f"ORDER BY natural_key(name) {way}, id {way}"
    return text(f"SELECT id FROM depots WHERE {conditions} {order} LIMIT :limit"), given


async def count_retired(connection: AsyncConnection, scope: DepotScope = EVERYWHERE) -> int:
    """Count the retired depots within ``scope``."""
    seen = "" if scope.everywhere else f" AND {is_within('id', scope)}"
    query = text(f"SELECT count(*) FROM depots WHERE retired_at IS NOT NULL{seen}")
    return (await connection.execute(query, given_within(scope))).scalar_one()


async def find_page(
    connection: AsyncConnection,
    wanted: DepotFilter,
    after: tuple[str, UUID] | None,
    limit: int,
    *,
    is_descending: bool = False,
) -> list[UUID]:
    """Find a page of depots by name, then id, beginning after the place ``after``."""

    async def find(statement: TextClause, given: dict[str, Any]) -> list[UUID]:
        return list((await connection.execute(statement, given)).scalars())

    if wanted.retired:
        return await find(*retired_statement(wanted, after, limit, is_descending=is_descending))
    if wanted.search.words or wanted.tag:
        await fresh_plans(connection)
    if wanted.search.words and wanted.scope.everywhere:
        walk = page_statement(wanted, after, limit, is_walk=True, is_descending=is_descending)
        near = await find(*walk)
        if len(near) == limit:
            return near
    return await find(*page_statement(wanted, after, limit, is_descending=is_descending))


@dataclass(frozen=True)
class FleetCounts:
    """Depots by provisioning and freshness."""

    depots: dict[tuple[ProvisioningState, DepotFreshness], int]
    is_capped: bool = False
    """Whether more than ``MOST_COUNTED`` were found, so that the counts say less than there are."""

    def by_provisioning(self, freshness: DepotFreshness | None = None) -> dict[ProvisioningState, int]:
        """Count by provisioning: all, or those of a freshness."""
        return {
            state: sum(n for (own, fresh), n in self.depots.items() if own is state and freshness in (None, fresh))
            for state in ProvisioningState
        }

    def by_freshness(self, provisioning: ProvisioningState | None = None) -> dict[DepotFreshness, int]:
        """Count by freshness: all, or those of a provisioning."""
        return {
            each: sum(n for (own, fresh), n in self.depots.items() if fresh is each and provisioning in (None, own))
            for each in DepotFreshness
        }


COUNT_ALL = text(f"""
    WITH {LAPSED}, moved AS (
        SELECT x.provisioning, count(*) AS depots FROM lapsed JOIN depot_list AS x USING (depot_id) GROUP BY 1
    )
    SELECT provisioning, freshness, sum(depots) FROM (
        SELECT provisioning, freshness, depots FROM depot_counts
        UNION ALL SELECT provisioning, 'FRESH', -depots FROM moved
        UNION ALL SELECT provisioning, 'STALE', depots FROM moved
    ) AS counted
    GROUP BY provisioning, freshness
""")


def _count_those(condition: str, limit: str = "") -> TextClause:
    return text(f"""
        WITH {LAPSED}, found AS MATERIALIZED (
            SELECT x.depot_id, x.provisioning, x.freshness FROM depot_list AS x WHERE {condition} {limit}
        )
        SELECT provisioning,
               CASE WHEN depot_id IN (SELECT depot_id FROM lapsed) THEN 'STALE' ELSE freshness END, count(*)
        FROM found GROUP BY 1, 2
    """)


def count_statement(wanted: DepotFilter) -> TextClause:
    """The statement that counts the depots by provisioning and freshness."""
    conditions = [*wanted.labels, *([wanted.is_found] if wanted.search.words else [])]
    limit = f"LIMIT {MOST_COUNTED + 1}" if conditions else ""
    if wanted.alarm is not None:
        conditions.append(has_alarm(wanted.alarm))
    if not wanted.scope.everywhere:
        conditions.append(is_within("x.depot_id", wanted.scope))
    return _count_those(" AND ".join(conditions), limit) if conditions else COUNT_ALL


async def count_fleet(
    connection: AsyncConnection,
    search: str | None = None,
    scope: DepotScope = EVERYWHERE,
    alarm: AlarmChoice | None = None,
    *,
    region: str | None = None,
    tag: str | None = None,
) -> FleetCounts:
    """Count depots by provisioning and freshness: all within ``scope``, or those of a search, a region or a tag.

    With ``alarm``, those of them that have such an alarm.
    """
    words = await read_search(connection, search)
    wanted = DepotFilter(words, scope=scope, alarm=alarm, region=region, tag=tag)
    is_bounded = bool(words.words or wanted.labels)
    if is_bounded:
        await fresh_plans(connection)
    rows = await connection.execute(count_statement(wanted), wanted.parameters)
    found = {(ProvisioningState(state), DepotFreshness(fresh)): int(count) for state, fresh, count in rows}
    return FleetCounts(found, is_capped=is_bounded and sum(found.values()) > MOST_COUNTED)


async def fresh_plans(connection: AsyncConnection) -> None:
    """Have the statements of this transaction planned for what is searched for: how rare it is decides."""
    await connection.execute(text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"))


# Whoever holds a depot's lock settles it. What is left is found again with the next look.
_REFRESH = text(f"""
    SELECT count(*), settle_freshness(array_agg(depot_id)) FROM (
        SELECT depot_id FROM fresh_depots WHERE fresh_until < clock_timestamp() ORDER BY fresh_until LIMIT :limit
    ) AS due
    WHERE pg_try_advisory_xact_lock({SITE_KEY})
""")
_DIFFERENCES = 50
"""Differences that are not worth adding up."""
_ADD_UP = text(f"""
    WITH taken AS (
        DELETE FROM depot_counts WHERE (SELECT count(*) FROM depot_counts) > {_DIFFERENCES}
            AND id IN (SELECT id FROM depot_counts FOR UPDATE SKIP LOCKED)
        RETURNING provisioning, freshness, depots
    )
    INSERT INTO depot_counts (provisioning, freshness, depots)
    SELECT provisioning, freshness, sum(depots) FROM taken GROUP BY provisioning, freshness
""")


async def refresh_fleet_freshness(connection: AsyncConnection, limit: int) -> int:
    """Note which depots are fresh no more, up to ``limit`` of them, and answer how many were looked at.

    The packets of these depots wait until the transaction ends. Running it twice, or by two at once, does no harm.
    """
    refreshed, _ = (await connection.execute(_REFRESH, {"limit": limit})).one()
    return refreshed


async def add_counts_up(connection: AsyncConnection) -> None:
    """Make one row of each count where many differences came together. By two at once it does no harm."""
    await connection.execute(_ADD_UP)

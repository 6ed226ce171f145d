"""The list of depots in another order than that of names: ``depot_ranks`` has what each depot is ordered by.

Triggers keep it, but for the orders by load (``load_settlement``), and each order has an index, which is read from
either end. So a page costs the same at any size of the fleet; of a narrow filter PostgreSQL finds the depots first and
then sorts them, whichever reads less.
"""

# ruff: noqa: S608 (what is put into the statements are constants)

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.alarms import AlarmChoice, AlarmKind
from domain.monitoring.depot_orders import DepotOrder, Sorting
from domain.provisioning.outcomes import ProvisioningState
from store.access.narrowing import is_within
from store.site.fleet.fleet_list import LAPSED, STRETCH, DepotFilter, direction, fresh_plans

RankedPlace = tuple[int | str, str, UUID]
"""The place of a depot in an order: what it is ordered by, its name as it is sorted by, and its id."""

_COLUMN = {
    DepotOrder.WORST: "worst",
    DepotOrder.PROVISIONING: "provisioning",
    DepotOrder.STATUS: "status",
    DepotOrder.FAIL_SAFE: "fail_safe",
    DepotOrder.REMEDIATIONS: "remediations",
    DepotOrder.TIMEZONE: "timezone",
    DepotOrder.LOAD: "load",
    DepotOrder.LOAD_SHARE: "load_share",
}
# The groups of `depot_ranks.provisioning` (`settle_ranks()`).
_PROVISIONING = {
    ProvisioningState.FAILED: "k.provisioning <= 1000000000000000000",
    ProvisioningState.PENDING: "k.provisioning = 2000000000000000000",
    ProvisioningState.PROVISIONED: "k.provisioning = 3000000000000000000",
}

_ALARM_BITS: dict[AlarmChoice, int] = {kind: 1 << place for place, kind in enumerate(AlarmKind)}
_ALARM_BITS["ANY"] = sum(_ALARM_BITS.values())


def ranked_statement(
    wanted: DepotFilter, sorting: Sorting, after: RankedPlace | None, limit: int, *, is_walk: bool = False
) -> tuple[TextClause, dict[str, Any]]:
    """The statement, with its parameters, that finds a page of places in an order that is not that of names.

    What depots are commonly narrowed down by is in the indexes too: those that do not fit are passed without a row.
    Where ``is_walk``, a search looks through the next ``STRETCH`` of them alone: words of many depots are found there.
    """
    column = _COLUMN[sorting.order]
    beyond, way = direction(sorting.is_descending)
    asked = {
        wanted.of_freshness("k"): wanted.freshness is not None,
        is_within("k.depot_id", wanted.scope): not wanted.scope.everywhere,
        f"(k.{column}, k.sort_key, k.depot_id) {beyond} (:after_rank, :after_key, :after_id)": after is not None,
        wanted.is_found: bool(wanted.search.words) and not is_walk,
    }
    conditions = ["true", *wanted.labels, *(condition for condition, is_asked in asked.items() if is_asked)]
    if wanted.provisioning is not None:
        conditions.append(_PROVISIONING[wanted.provisioning])
    if wanted.alarm is not None:
        conditions.append(f"k.alarms & {_ALARM_BITS[wanted.alarm]} <> 0")
    listed = "JOIN depot_list AS x ON x.depot_id = k.depot_id"
    given = wanted.parameters | {"limit": limit}
    given.pop("provisioning", None)
    if after is not None:
        given |= dict(zip(("after_rank", "after_key", "after_id"), after, strict=True))
    ranked = f"""
        SELECT k.{column} AS rank, k.sort_key, k.depot_id
        FROM depot_ranks AS k {listed if wanted.labels or asked[wanted.is_found] else ""}
        WHERE {" AND ".join(conditions)} ORDER BY k.{column} {way}, k.sort_key {way}, k.depot_id {way}
    """
    if is_walk:
        ranked = f"""
            SELECT k.rank, k.sort_key, k.depot_id FROM ({ranked} LIMIT {STRETCH}) AS k {listed}
            WHERE {wanted.search.condition("x.words", "x.labels", "x.depot_id")}
            ORDER BY k.rank {way}, k.sort_key {way}, k.depot_id {way}
        """
    statement = f"WITH {LAPSED} {ranked} LIMIT :limit"
    return text(statement), given


async def find_ranked(
    connection: AsyncConnection, wanted: DepotFilter, sorting: Sorting, after: RankedPlace | None, limit: int
) -> list[RankedPlace]:
    """Find a page of the depots in an order that is not that of names, beginning after a place."""

    async def find(*, is_walk: bool = False) -> list[RankedPlace]:
        found = await connection.execute(*ranked_statement(wanted, sorting, after, limit, is_walk=is_walk))
        return [(row.rank, row.sort_key, row.depot_id) for row in found]

    await fresh_plans(connection)
    if wanted.search.words and wanted.scope.everywhere:
        near = await find(is_walk=True)
        if len(near) == limit:
            return near
    return await find()

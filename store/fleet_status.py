"""The capabilities' statuses of many depots at once, and how fresh each depot is as a whole.

A depot is as fresh as the worse of its capabilities: ``NONE`` where one has no status yet, else ``STALE`` where one is
stale by the rule of ``store.freshness``, else ``FRESH``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.capabilities import Capability, CapabilityStatus
from domain.freshness import DepotFreshness
from store.freshness import EFFECTIVE_AT, IS_FRESH, STALE_AT, STATUS_JOINS, capabilities_and_thresholds


@dataclass(frozen=True)
class StandingStatus:
    """The latest status of one capability of one depot."""

    capability: Capability
    status: CapabilityStatus
    effective_at: datetime
    """When it counts as seen."""
    stale_at: datetime
    """The last moment at which its age lets it be fresh."""
    is_updated: bool
    """Whether an enabled device updates it."""
    is_fresh: bool


# As an expression of a row of ``depots``: a few look-ups by primary key for each depot that it is asked of.
DEPOT_FRESHNESS = f"""
    SELECT CASE WHEN count(l.status) < count(*) THEN 'NONE' WHEN bool_and({IS_FRESH}) THEN 'FRESH' ELSE 'STALE' END
    FROM unnest(CAST(:capabilities AS text[]), CAST(:thresholds AS interval[])) AS k (capability, threshold)
    LEFT JOIN microgrids AS m ON m.depot_id = depots.id AND m.retired_at IS NULL
    {STATUS_JOINS}
"""  # noqa: S608 - constants


def freshness_parameters() -> dict[str, Any]:
    """What ``DEPOT_FRESHNESS`` is given."""
    capabilities, thresholds = capabilities_and_thresholds()
    return {"capabilities": capabilities, "thresholds": thresholds}


def has_freshness(wanted: DepotFreshness) -> TextClause:
    """The condition of a query on ``depots`` that the depot is as fresh as that."""
    return text(f"({DEPOT_FRESHNESS}) = :freshness").bindparams(freshness=wanted.value, **freshness_parameters())


_STANDING = text(f"""
    SELECT m.depot_id, l.capability, l.status, {EFFECTIVE_AT} AS effective_at, {STALE_AT} AS stale_at,
           o.sensor_action_id IS NOT NULL AS is_updated, {IS_FRESH} AS is_fresh
    FROM microgrids AS m
    CROSS JOIN unnest(CAST(:capabilities AS text[]), CAST(:thresholds AS interval[])) WITH ORDINALITY
        AS k (capability, threshold, n)
    {STATUS_JOINS}
    WHERE m.depot_id = ANY (CAST(:depot_ids AS uuid[])) AND m.retired_at IS NULL AND l.status IS NOT NULL
    ORDER BY m.depot_id, k.n
""")  # noqa: S608 - constants


async def read_standing(
    connection: AsyncConnection, depot_ids: Collection[UUID]
) -> dict[UUID, tuple[StandingStatus, ...]]:
    """Read the latest statuses of these depots; a capability without one, and a depot without any, is left out."""
    found: dict[UUID, tuple[StandingStatus, ...]] = defaultdict(tuple)
    rows = await connection.execute(_STANDING, {"depot_ids": list(depot_ids), **freshness_parameters()})
    for depot_id, capability, status, *rest in rows:
        found[depot_id] += (StandingStatus(Capability(capability), CapabilityStatus(status), *rest),)
    return found


_COUNTS = text(f"""
    SELECT ({DEPOT_FRESHNESS}) AS freshness, count(*) FROM depots
    WHERE (CAST(:search AS text) IS NULL OR name ILIKE :search ESCAPE '/')
      AND (CAST(:provisioning AS text) IS NULL OR provisioning = :provisioning)
    GROUP BY 1
""")  # noqa: S608 - no value is put into it


async def count_freshness(
    connection: AsyncConnection, *, search: str | None = None, provisioning: str | None = None
) -> dict[DepotFreshness, int]:
    """Count depots by their freshness: all, or those whose name holds ``search`` and that are ``provisioning``."""
    given = {"search": _pattern(search), "provisioning": provisioning, **freshness_parameters()}
    found = {DepotFreshness(name): count for name, count in await connection.execute(_COUNTS, given)}
    return {each: found.get(each, 0) for each in DepotFreshness}


def _pattern(search: str | None) -> str | None:
    if not search:
        return None
    for special in "/%_":
        search = search.replace(special, f"/{special}")
    return f"%{search}%"

"""The capabilities' statuses of many depots at once, and how fresh each depot is as a whole.

A depot is as fresh as the worse of its capabilities: ``NONE`` where one has no status yet, else ``STALE`` where one is
older than its threshold or is updated by no device any more, else ``FRESH``.
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
from domain.freshness import DEFAULT_THRESHOLDS, DepotFreshness


@dataclass(frozen=True)
class StandingStatus:
    """The latest status of one capability of one depot."""

    capability: Capability
    status: CapabilityStatus
    observed_at: datetime
    stale_at: datetime
    """The last moment at which it is fresh."""
    is_updated: bool
    """Whether an enabled device updates it."""


# As an expression of a row of ``depots``: a few look-ups by primary key for each depot that it is asked of.
DEPOT_FRESHNESS = """
    SELECT CASE WHEN count(l.status) < count(*) THEN 'NONE'
                WHEN bool_or(o.sensor_action_id IS NULL OR l.observed_at + coalesce(make_interval(secs => t.seconds),
                     CAST(k.threshold AS interval)) < clock_timestamp()) THEN 'STALE' ELSE 'FRESH' END
    FROM unnest(CAST(:capabilities AS text[]), CAST(:thresholds AS interval[])) AS k (capability, threshold)
    LEFT JOIN microgrids AS m ON m.depot_id = depots.id AND m.retired_at IS NULL
    LEFT JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = depots.id AND o.capability = k.capability
"""


def freshness_parameters() -> dict[str, Any]:
    """What ``DEPOT_FRESHNESS`` is given."""
    return {"capabilities": list(DEFAULT_THRESHOLDS), "thresholds": list(DEFAULT_THRESHOLDS.values())}


def has_freshness(wanted: DepotFreshness) -> TextClause:
    """The condition of a query on ``depots`` that the depot is as fresh as that."""
    return text(f"({DEPOT_FRESHNESS}) = :freshness").bindparams(freshness=wanted.value, **freshness_parameters())


_STANDING = text("""
    SELECT m.depot_id, l.capability, l.status, l.observed_at,
           l.observed_at + coalesce(make_interval(secs => t.seconds), k.threshold) AS stale_at,
           o.sensor_action_id IS NOT NULL AS is_updated
    FROM microgrids AS m
    CROSS JOIN unnest(CAST(:capabilities AS text[]), CAST(:thresholds AS interval[])) WITH ORDINALITY
        AS k (capability, threshold, n)
    JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = m.depot_id AND o.capability = k.capability
    WHERE m.depot_id = ANY (CAST(:depot_ids AS uuid[])) AND m.retired_at IS NULL
    ORDER BY m.depot_id, k.n
""")


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

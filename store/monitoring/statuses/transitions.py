"""When the status of a capability changed: since when the latest one holds, and every change before it.

Events say the same while they have one status and are all simulated or all not. In the order of the fold
(``domain.monitoring.capabilities``), a status holds since the first of those that say the same without another one
between them. The index ``capability_events_said`` finds the last and the first of each kind, so what is read does not
grow with how often a status was repeated.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.clocks import effective_at
from domain.monitoring.capabilities import Capability, CapabilityStatus
from store.base.simulated import SCENARIO_OF, SimulatedBy

_AFTER_ALL = (2**31 - 1, datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), "")
MOST_UPDATES = 10_000
"""More updates of one transition are not counted."""

Key = tuple[int, datetime, datetime, str]
"""What decides which of two events is the later one: epoch, effective time, stamp and reference."""

AT = "least(e.observed_at, e.received_at)"
"""When an event ``e`` counts as seen."""
_KEY = f"(e.tenure, {AT}, e.observed_at, e.provider_event_ref)"
_RISING = f"e.tenure, {AT}, e.observed_at, e.provider_event_ref"
_FALLING = f"e.tenure DESC, {AT} DESC, e.observed_at DESC, e.provider_event_ref DESC"
KINDS = "unnest(ARRAY['ON', 'ON', 'OFF', 'OFF'], ARRAY[true, false, true, false]) AS k (status, simulated)"
"""What the events that count can say."""


def said(microgrid: str, capability: str, status: str, simulated: str) -> str:
    """The condition of the events ``e`` that count and say one thing."""
    return (
        f"e.microgrid_id = {microgrid} AND e.capability = {capability} AND e.status = {status} "
        f"AND (e.scenario_run_id IS NOT NULL) = {simulated} AND e.effect IN ('SHOWN', 'LATE')"
    )


def since_of(shown: str, until: str = "true") -> str:
    """Make the query of the time since which the status of a row ``shown`` holds.

    Args:
        shown: The alias of a row of ``capability_latest`` or ``capability_events`` that is the latest of those that
            count.
        until: A condition that all events ``e`` that count have.

    """
    at = f"least({shown}.observed_at, {shown}.received_at)"
    key = f"({shown}.tenure, {at}, {shown}.observed_at, {shown}.provider_event_ref)"
    place = (f"{shown}.microgrid_id", f"{shown}.capability")
    is_simulated = f"({shown}.scenario_run_id IS NOT NULL)"
    return f"""
        SELECT f.at FROM (SELECT) AS one
        LEFT JOIN LATERAL (
            SELECT o.* FROM {KINDS}
            CROSS JOIN LATERAL (
                SELECT e.tenure, {AT} AS at, e.observed_at, e.provider_event_ref FROM capability_events AS e
                WHERE {said(*place, "k.status", "k.simulated")} AND {_KEY} < {key} AND {until}
                ORDER BY {_FALLING} LIMIT 1
            ) AS o
            WHERE (k.status, k.simulated) <> ({shown}.status, {is_simulated})
            ORDER BY o.tenure DESC, o.at DESC, o.observed_at DESC, o.provider_event_ref DESC LIMIT 1
        ) AS b ON true
        CROSS JOIN LATERAL (
            SELECT {AT} AS at FROM capability_events AS e
            WHERE {said(*place, f"{shown}.status", is_simulated)} AND {_KEY} <= {key} AND {until}
                  AND {_KEY} > (coalesce(b.tenure, -1), coalesce(b.at, '-infinity'),
                                coalesce(b.observed_at, '-infinity'), coalesce(b.provider_event_ref, ''))
            ORDER BY {_RISING} LIMIT 1
        ) AS f
    """  # noqa: S608 - constants


_SETTLE = f"""
    UPDATE capability_latest AS l SET since = ({since_of("l")})
    FROM unnest($1::uuid[], $2::text[]) AS g (microgrid_id, capability)
    WHERE l.microgrid_id = g.microgrid_id AND l.capability = g.capability
"""  # noqa: S608 - constants


async def settle_since(driver: asyncpg.Connection, places: Collection[tuple[UUID, Capability]]) -> None:
    """Find in the history since when the latest statuses of these microgrids and capabilities hold.

    That is needed after an event that came late and may lie before the one that is shown. Running it twice changes
    nothing more.
    """
    if places:
        microgrid_ids, capabilities = zip(*sorted(places), strict=True)
        await driver.execute(_SETTLE, microgrid_ids, capabilities)


@dataclass(frozen=True)
class Reported:
    """One event of a transition."""

    observed_at: datetime
    received_at: datetime
    device_id: UUID | None
    device_name: str | None
    """None: no device was named, or it is gone."""
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""

    @property
    def effective_at(self) -> datetime:
        """When it counts as seen."""
        return effective_at(self.observed_at, self.received_at)


@dataclass(frozen=True)
class StatusTransition:
    """A status that began to hold, and what repeated it."""

    event_id: UUID
    status: CapabilityStatus
    first: Reported
    """The event with which it began."""
    last: Reported
    """The last one that said the same."""
    until: datetime | None
    """When another status began; None: it is the latest."""
    updates: int
    """How many events said the same, the first one included; ``MOST_UPDATES`` at most."""
    key: Key
    """Of the first event: those before it begin here."""

    @property
    def since(self) -> datetime:
        """Since when it held."""
        return self.first.effective_at

    @property
    def simulated_by(self) -> SimulatedBy | None:
        """The scenario run that sent the first event."""
        return self.first.simulated_by


# Each step begins below the first event of the transition that follows: the last event below it is of some kind, the
# last one of another kind is where it began to say so, and the first of the kind after that is the transition.
_TRANSITIONS = text(f"""
    WITH RECURSIVE found AS (
        SELECT 0 AS n, CAST(:tenure AS integer) AS tenure, CAST(:at AS timestamptz) AS at,
               CAST(:observed_at AS timestamptz) AS observed_at, CAST(:ref AS text) COLLATE "C" AS ref,
               CAST(NULL AS uuid) AS id, CAST(NULL AS text) AS status, CAST(NULL AS timestamptz) AS received_at,
               CAST(NULL AS uuid) AS device_id, CAST(NULL AS uuid) AS run_id,
               CAST(NULL AS integer) AS last_tenure, CAST(NULL AS timestamptz) AS last_at,
               CAST(NULL AS timestamptz) AS last_observed_at, CAST(NULL AS text) COLLATE "C" AS last_ref,
               CAST(NULL AS timestamptz) AS last_received_at, CAST(NULL AS uuid) AS last_device_id,
               CAST(NULL AS uuid) AS last_run_id,
               CAST(NULL AS timestamptz) AS until
        UNION ALL
        SELECT u.n + 1, f.tenure, f.at, f.observed_at, f.provider_event_ref, f.id, t.status, f.received_at,
               f.source_device_id, f.scenario_run_id, t.tenure, t.at, t.observed_at, t.provider_event_ref,
               t.received_at, t.source_device_id, t.scenario_run_id,
               CASE WHEN u.n > 0 OR CAST(:is_page AS boolean) THEN u.at END
        FROM found AS u
        CROSS JOIN LATERAL (
            SELECT k.status, k.simulated, o.*, lead(o.tenure) OVER w AS before_tenure, lead(o.at) OVER w AS before_at,
                   lead(o.observed_at) OVER w AS before_observed_at, lead(o.provider_event_ref) OVER w AS before_ref
            FROM {KINDS}
            CROSS JOIN LATERAL (
                SELECT e.tenure, {AT} AS at, e.observed_at, e.provider_event_ref, e.received_at, e.source_device_id,
                       e.scenario_run_id
                FROM capability_events AS e
                WHERE {said(":microgrid_id", ":capability", "k.status", "k.simulated")}
                      AND {_KEY} < (u.tenure, u.at, u.observed_at, u.ref)
                ORDER BY {_FALLING} LIMIT 1
            ) AS o
            WINDOW w AS (ORDER BY o.tenure DESC, o.at DESC, o.observed_at DESC, o.provider_event_ref DESC)
            ORDER BY o.tenure DESC, o.at DESC, o.observed_at DESC, o.provider_event_ref DESC LIMIT 1
        ) AS t
        CROSS JOIN LATERAL (
            SELECT e.id, e.tenure, {AT} AS at, e.observed_at, e.provider_event_ref, e.received_at,
                   e.source_device_id, e.scenario_run_id
            FROM capability_events AS e
            WHERE {said(":microgrid_id", ":capability", "t.status", "t.simulated")}
                  AND {_KEY} > (coalesce(t.before_tenure, -1), coalesce(t.before_at, '-infinity'),
                                coalesce(t.before_observed_at, '-infinity'), coalesce(t.before_ref, ''))
            ORDER BY {_RISING} LIMIT 1
        ) AS f
        WHERE u.n < :limit
    )
    SELECT t.*, d.name AS device_name, z.name AS last_device_name, {SCENARIO_OF.format("t.run_id")},
           (SELECT scenario FROM scenario_runs WHERE id = t.last_run_id) AS last_scenario, (
               SELECT count(*) FROM (
                   SELECT FROM capability_events AS e
                   WHERE {said(":microgrid_id", ":capability", "t.status", "(t.run_id IS NOT NULL)")}
                         AND {_KEY} >= (t.tenure, t.at, t.observed_at, t.ref)
                         AND {_KEY} <= (t.last_tenure, t.last_at, t.last_observed_at, t.last_ref)
                   LIMIT :most
               ) AS said
           ) AS updates
    FROM found AS t
    LEFT JOIN devices AS d ON d.id = t.device_id
    LEFT JOIN devices AS z ON z.id = t.last_device_id
    WHERE t.n > 0
    ORDER BY t.n
""")  # noqa: S608 - constants


async def list_transitions(
    connection: AsyncConnection, microgrid_id: UUID, capability: Capability, *, before: Key | None, limit: int
) -> list[StatusTransition]:
    """List the transitions of a capability, the last first, beginning before the one with the key ``before``."""
    tenure, at, observed_at, ref = before or _AFTER_ALL
    given = {
        "microgrid_id": microgrid_id,
        "capability": capability.value,
        "tenure": tenure,
        "at": at,
        "observed_at": observed_at,
        "ref": ref,
        "is_page": before is not None,
        "limit": limit,
        "most": MOST_UPDATES,
    }
    return [
        StatusTransition(
            row.id,
            CapabilityStatus(row.status),
            Reported(
                row.observed_at,
                row.received_at,
                row.device_id,
                row.device_name,
                SimulatedBy.of(row.run_id, row.scenario),
            ),
            Reported(
                row.last_observed_at,
                row.last_received_at,
                row.last_device_id,
                row.last_device_name,
                SimulatedBy.of(row.last_run_id, row.last_scenario),
            ),
            row.until,
            row.updates,
            (row.tenure, row.at, row.observed_at, row.ref),
        )
        for row in await connection.execute(_TRANSITIONS, given)
    ]

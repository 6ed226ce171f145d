"""The status of capabilities at a moment: what the product showed, and what is known of that moment today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.clocks import effective_at
from domain.monitoring.capabilities import Capability, CapabilityStatus
from domain.monitoring.freshness import threshold_for, timeliness_of
from domain.monitoring.packets import DEFAULT_PAST_WINDOW
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.history.rows_as_of import REPLACED, THRESHOLDS, check_as_of, depot_of_microgrid_as_of, rows_as_of
from store.monitoring.capability_status import LatestRecord
from store.monitoring.statuses.transitions import since_of


@dataclass(frozen=True)
class KnownStatus:
    """What is known today of a capability at a moment, by when it was seen."""

    event_id: UUID
    status: CapabilityStatus
    observed_at: datetime
    received_at: datetime
    source_device_id: UUID | None
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""

    @property
    def effective_at(self) -> datetime:
        """When it counts as seen."""
        return effective_at(self.observed_at, self.received_at)


@dataclass(frozen=True)
class StatusAsOf:
    """One capability at a moment."""

    shown: LatestRecord
    known: KnownStatus | None
    """None: nothing was seen until then."""


# What was shown is the last that became the latest until then. What came later and was seen before may be later than
# that by the fold's own key; each reference counts once, so repeated and conflicting ones are no part of it.
_STATUSES = text(f"""
    WITH {REPLACED}, names AS MATERIALIZED (SELECT id, name FROM {rows_as_of("devices")} AS d)
    SELECT k.capability, l.id, l.status, l.observed_at, l.received_at, l.provider_event_ref, l.source_device_id,
           s.name AS source_device_name, t.seconds, o.device_id AS owner_device_id, n.name AS owner_device_name,
           w.id AS known_id, w.status AS known_status, w.observed_at AS known_observed_at,
           w.received_at AS known_received_at, w.source_device_id AS known_source_id,
           l.scenario_run_id, {SCENARIO_OF.format("l.scenario_run_id")}, l.since, w.scenario_run_id AS known_run_id,
           (SELECT scenario FROM scenario_runs WHERE id = w.scenario_run_id) AS known_scenario
    FROM unnest(CAST(:capabilities AS text[]), CAST(:measurands AS text[])) WITH ORDINALITY
        AS k (capability, measurand, n)
    LEFT JOIN LATERAL (
        SELECT c.*, ({since_of("c", "e.received_at <= :as_of")}) AS since
        FROM (
            SELECT * FROM capability_events
            WHERE microgrid_id = :microgrid_id AND capability = k.capability AND effect = 'SHOWN'
                  AND received_at <= :as_of
            ORDER BY id DESC LIMIT 1
        ) AS c
    ) AS l ON true
    LEFT JOIN LATERAL (
        SELECT * FROM (
            SELECT l.id, l.status, l.observed_at, l.received_at, l.provider_event_ref, l.source_device_id, l.tenure,
                   l.scenario_run_id
            WHERE l.id IS NOT NULL
            UNION ALL
            SELECT id, status, observed_at, received_at, provider_event_ref, source_device_id, tenure, scenario_run_id
            FROM capability_events
            WHERE microgrid_id = :microgrid_id AND capability = k.capability AND effect IN ('SHOWN', 'LATE')
              AND received_at > :as_of AND received_at <= CAST(:as_of AS timestamptz) + CAST(:late AS interval)
              AND observed_at <= :as_of
        ) AS seen
        ORDER BY tenure DESC, least(observed_at, received_at) DESC, observed_at DESC, provider_event_ref DESC LIMIT 1
    ) AS w ON true
    LEFT JOIN {THRESHOLDS} AS t ON t.capability = k.capability
    LEFT JOIN {rows_as_of("sensor_actions")} AS o
        ON o.enabled AND o.action = 'UPDATE_MICROGRID_STATE' AND k.measurand = ANY (o.measurands)
    LEFT JOIN names AS n ON n.id = o.device_id
    LEFT JOIN names AS s ON s.id = l.source_device_id
    ORDER BY k.n
""")  # noqa: S608 - constants


async def read_statuses_as_of(connection: AsyncConnection, microgrid_id: UUID, as_of: datetime) -> list[StatusAsOf]:
    """Read the status of every capability at a moment, with the age and freshness that it had then.

    Raises:
        Problem: ``AS_OF_OUT_OF_RANGE`` or ``MICROGRID_NOT_FOUND``.

    """
    await check_as_of(connection, as_of, structure=False)
    depot_id = await depot_of_microgrid_as_of(connection, microgrid_id, as_of)
    given = {
        "microgrid_id": microgrid_id,
        "depot_id": depot_id,
        "as_of": as_of,
        "capabilities": list(Capability),
        "measurands": [each.measurand.value for each in Capability],
        "late": DEFAULT_PAST_WINDOW + timedelta(minutes=1),
    }
    found: list[StatusAsOf] = []
    for row in await connection.execute(_STATUSES, given):
        capability = Capability(row.capability)
        threshold = threshold_for(
            capability, {} if row.seconds is None else {capability: timedelta(seconds=row.seconds)}
        )
        seen = None if row.id is None else effective_at(row.observed_at, row.received_at)
        is_fresh = seen is not None and row.owner_device_id is not None and seen + threshold >= as_of
        shown = LatestRecord(
            capability,
            row.id,
            None if row.status is None else CapabilityStatus(row.status),
            row.observed_at,
            row.received_at,
            seen,
            row.provider_event_ref,
            row.source_device_id,
            row.source_device_name,
            threshold,
            None if seen is None else timeliness_of(seen, as_of, seen + threshold, is_fresh=is_fresh),
            row.owner_device_id,
            row.owner_device_name,
            SimulatedBy.of(row.scenario_run_id, row.scenario),
            row.since,
        )
        known = None
        if row.known_id is not None:
            known = KnownStatus(
                row.known_id,
                CapabilityStatus(row.known_status),
                row.known_observed_at,
                row.known_received_at,
                row.known_source_id,
                SimulatedBy.of(row.known_run_id, row.known_scenario),
            )
        found.append(StatusAsOf(shown, known))
    return found

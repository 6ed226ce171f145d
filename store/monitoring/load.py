"""What held over time for the capacity of a depot's circuits: what a chart shows beside the load."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.site.circuit_capacity import CapacityBasis, FailSafeReason
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.site.capacities import RELEASED


@dataclass(frozen=True)
class CapacityPeriod:
    """What held for a circuit between two moments."""

    since: datetime
    until: datetime
    """The end, or the end of what was asked for."""
    mode: str
    """A ``CapacityMode``."""
    reason: FailSafeReason | None
    capacity_w: float | None
    """None: the circuit's own rating holds."""
    basis: CapacityBasis | None
    simulated_by: SimulatedBy | None = None
    """The scenario run that brought it about."""


@dataclass(frozen=True)
class CapacitySeries:
    """What held for the capacity of one circuit, in order of time, without what changed nothing."""

    circuit_id: UUID
    circuit_name: str
    rated_power_w: float | None
    periods: tuple[CapacityPeriod, ...]


# What held before is the last event before ``since``, by the history's own order; each circuit has one at most.
_CAPACITIES = text(f"""
    SELECT c.id, c.name, c.rated_power_w, e.at, e.mode, e.reason, e.capacity_w, e.basis, e.scenario_run_id,
           {SCENARIO_OF.format("e.scenario_run_id")}
    FROM circuits AS c
    CROSS JOIN LATERAL (
        (SELECT at, id, mode, reason, capacity_w, basis, scenario_run_id FROM capacity_events
         WHERE circuit_id = c.id AND at <= :since ORDER BY at DESC, id DESC LIMIT 1)
        UNION ALL
        (SELECT at, id, mode, reason, capacity_w, basis, scenario_run_id FROM capacity_events
         WHERE circuit_id = c.id AND at > :since AND at < :until
           AND received_at > CAST(:since AS timestamptz) - interval '10 minutes')
    ) AS e
    WHERE c.depot_id = :depot_id
    ORDER BY c.id, e.at, e.id
""")  # noqa: S608 - constants


async def read_capacity_periods(
    connection: AsyncConnection, depot_id: UUID, since: datetime, until: datetime
) -> list[CapacitySeries]:
    """Read what held for each circuit of the depot that followed a controller at any time between the two moments."""
    found: dict[UUID, list[CapacityPeriod]] = defaultdict(list)
    circuits: dict[UUID, tuple[str, float | None]] = {}
    given = {"depot_id": depot_id, "since": since, "until": until}
    rows = await connection.execute(_CAPACITIES, given)
    for circuit_id, name, rated_power_w, at, mode, reason, capacity_w, basis, run_id, scenario in rows:
        circuits[circuit_id] = (name, rated_power_w)
        step = CapacityPeriod(
            max(at, since),
            until,
            mode,
            None if reason is None else FailSafeReason(reason),
            capacity_w,
            None if basis is None else CapacityBasis(basis),
            SimulatedBy.of(run_id, scenario),
        )
        periods = found[circuit_id]
        if periods and replace(periods[-1], since=step.since) == step:
            continue
        if periods:
            periods[-1] = replace(periods[-1], until=step.since)
        periods.append(step)
    series = (
        CapacitySeries(
            circuit_id,
            *circuits[circuit_id],
            tuple(each for each in periods if each.mode != RELEASED and each.since < each.until),
        )
        for circuit_id, periods in found.items()
    )
    return [each for each in series if each.periods]

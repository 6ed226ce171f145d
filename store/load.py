"""What a depot's meters measured over time, and what held for the capacity of its circuits: what a chart shows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.circuit_capacity import CapacityBasis, FailSafeReason
from domain.measurands import MAX_POWER_W, NO_VALUE_NUMBERS


@dataclass(frozen=True)
class LoadSeries:
    """The measured load of one device, by buckets of equal width; a bucket without a packet is left out."""

    device_id: UUID
    device_name: str
    circuit_id: UUID | None
    circuit_name: str | None
    times: list[float]
    """When each bucket begins, in seconds since the Unix epoch."""
    average_w: list[float]
    least_w: list[float]
    most_w: list[float]
    last_at: datetime
    """When the last of it was measured."""
    last_w: float


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


@dataclass(frozen=True)
class CapacitySeries:
    """What held for the capacity of one circuit, in order of time, without what changed nothing."""

    circuit_id: UUID
    circuit_name: str
    rated_power_w: float | None
    periods: tuple[CapacityPeriod, ...]


# The load is read as the packet contract says: a number, in watts, that can be. It is judged as PostgreSQL has it, and
# PostgreSQL has numbers that no double holds: an earlier version stored some. Packets are found by the gateway's key.
_LOAD = text("""
    WITH measured AS (
        SELECT p.gateway_id, p.observed_at, s.value ->> 'sensor_id' AS sensor_id,
               date_bin(CAST(:width AS interval), p.observed_at, 'epoch') AS bucket,
               CAST(round(v.watts, 9) AS float8) AS watts
        FROM gateways AS g
        JOIN packets AS p ON p.gateway_id = g.id
        CROSS JOIN jsonb_array_elements(p.document -> 'sensors') AS s
        CROSS JOIN jsonb_array_elements(s.value -> 'measurands') AS m
        CROSS JOIN LATERAL (
            SELECT CASE jsonb_typeof(m.value -> 'value') WHEN 'number' THEN CAST(m.value -> 'value' AS numeric) END
        ) AS v (watts)
        WHERE g.depot_id = :depot_id AND p.observed_at >= :since AND p.observed_at < :until
          AND p.received_at >= CAST(:since AS timestamptz) - interval '10 minutes'
          AND m.value ->> 'key' = 'TOTAL_POWER_LOAD' AND coalesce(m.value ->> 'unit', 'W') = 'W'
          AND v.watts BETWEEN -CAST(:most AS bigint) AND :most AND v.watts <> ALL (CAST(:no_value AS bigint[]))
    ), bucketed AS (
        SELECT gateway_id, sensor_id, bucket, avg(watts) AS average, min(watts) AS least, max(watts) AS most,
               max(observed_at) AS last_at, (array_agg(watts ORDER BY observed_at DESC))[1] AS last
        FROM measured GROUP BY gateway_id, sensor_id, bucket
    )
    SELECT d.id AS device_id, d.name AS device_name, c.id AS circuit_id, c.name AS circuit_name,
           array_agg(CAST(extract(epoch FROM b.bucket) AS float8) ORDER BY b.bucket) AS times,
           array_agg(round(CAST(b.average AS numeric), 1)::float8 ORDER BY b.bucket) AS average_w,
           array_agg(b.least ORDER BY b.bucket) AS least_w,
           array_agg(b.most ORDER BY b.bucket) AS most_w,
           max(b.last_at) AS last_at, (array_agg(b.last ORDER BY b.bucket DESC))[1] AS last_w
    FROM bucketed AS b
    JOIN devices AS d ON d.gateway_id = b.gateway_id AND d.sensor_id = b.sensor_id
    LEFT JOIN circuits AS c ON c.id = d.circuit_id
    GROUP BY d.id, d.name, c.id, c.name
    ORDER BY d.name, d.id
""")


async def read_load(
    connection: AsyncConnection, depot_id: UUID, since: datetime, until: datetime, bucket: timedelta
) -> list[LoadSeries]:
    """Read what each device of the depot measured from ``since`` on and before ``until``, in buckets of that width.

    A clock runs ahead by a few minutes at most, so months of arrival that ended before ``since`` are not looked
    through.
    """
    given = {"depot_id": depot_id, "since": since, "until": until, "width": bucket}
    given |= {"most": MAX_POWER_W, "no_value": list(NO_VALUE_NUMBERS)}
    return [LoadSeries(*row) for row in await connection.execute(_LOAD, given)]


# What held before is the last event before ``since``, by the history's own order; each circuit has one at most.
_CAPACITIES = text("""
    SELECT c.id, c.name, c.rated_power_w, e.at, e.mode, e.reason, e.capacity_w, e.basis
    FROM circuits AS c
    CROSS JOIN LATERAL (
        (SELECT at, id, mode, reason, capacity_w, basis FROM capacity_events
         WHERE circuit_id = c.id AND at <= :since ORDER BY at DESC, id DESC LIMIT 1)
        UNION ALL
        (SELECT at, id, mode, reason, capacity_w, basis FROM capacity_events
         WHERE circuit_id = c.id AND at > :since AND at < :until
           AND received_at > CAST(:since AS timestamptz) - interval '10 minutes')
    ) AS e
    WHERE c.depot_id = :depot_id
    ORDER BY c.id, e.at, e.id
""")
_RELEASED = "RELEASED"


async def read_capacity_periods(
    connection: AsyncConnection, depot_id: UUID, since: datetime, until: datetime
) -> list[CapacitySeries]:
    """Read what held for each circuit of the depot that followed a controller at any time between the two moments."""
    found: dict[UUID, list[CapacityPeriod]] = defaultdict(list)
    circuits: dict[UUID, tuple[str, float | None]] = {}
    given = {"depot_id": depot_id, "since": since, "until": until}
    for circuit_id, name, rated_power_w, at, mode, reason, capacity_w, basis in await connection.execute(
        _CAPACITIES, given
    ):
        circuits[circuit_id] = (name, rated_power_w)
        step = CapacityPeriod(
            max(at, since),
            until,
            mode,
            None if reason is None else FailSafeReason(reason),
            capacity_w,
            None if basis is None else CapacityBasis(basis),
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
            tuple(each for each in periods if each.mode != _RELEASED and each.since < each.until),
        )
        for circuit_id, periods in found.items()
    )
    return [each for each in series if each.periods]

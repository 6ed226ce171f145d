"""What a depot's meters measured over time, and what held for the capacity of its circuits: what a chart shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.capabilities import Capability
from domain.site.circuit_capacity import CapacityBasis, FailSafeReason
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.monitoring.simulated import SimulatedReadings, read_simulated
from store.site.capacities import RELEASED


@dataclass(frozen=True)
class LoadSeries:
    """The measured load of one device, by buckets of equal width.

    A bucket without a packet is left out. Where the device sent nothing for longer than it usually does, there is one
    bucket without values, so that nobody draws a line across.
    """

    device_id: UUID
    device_name: str
    circuit_id: UUID | None
    circuit_name: str | None
    times: list[float]
    """When each bucket begins, in seconds since the Unix epoch."""
    average_w: list[float | None]
    least_w: list[float | None]
    most_w: list[float | None]
    last_at: datetime
    """When the last of it was measured."""
    last_w: float
    simulated: tuple[SimulatedReadings, ...] = ()
    """What of it scenario runs sent."""


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


# Readings are found by the device's key, the time of measurement, and placed at their effective time
# (domain.base.clocks).
_LOAD = text("""
    WITH measured AS (
        SELECT r.device_id, r.observed_at, r.at, date_bin(CAST(:width AS interval), r.at, 'epoch') AS bucket, r.watts,
               lag(r.at) OVER (PARTITION BY r.device_id ORDER BY r.at, r.observed_at) AS before
        FROM devices AS d
        CROSS JOIN LATERAL (
            SELECT device_id, observed_at, least(observed_at, received_at) AS at, total_power_load AS watts
            FROM device_readings
            WHERE device_id = d.id AND observed_at >= :since
              AND observed_at < CAST(:until AS timestamptz) + CAST(:margin AS interval)
              AND total_power_load IS NOT NULL
        ) AS r
        WHERE d.depot_id = :depot_id AND r.at >= :since AND r.at < :until
    ), bucketed AS (
        SELECT device_id, bucket, avg(watts) AS average, min(watts) AS least, max(watts) AS most,
               max(at) AS last_at, (array_agg(watts ORDER BY at DESC, observed_at DESC))[1] AS last
        FROM measured GROUP BY device_id, bucket
    ), rhythms AS (
        -- Only what is longer than a bucket can be a gap.
        SELECT device_id, greatest(CAST(:width AS interval), CASE
                   WHEN count(before) >= 4 THEN 3 * percentile_disc(0.75) WITHIN GROUP (ORDER BY at - before)
                   WHEN count(before) >= 2 THEN 3 * percentile_disc(0.5) WITHIN GROUP (ORDER BY at - before)
                   ELSE CAST(:usual AS interval) END) AS silence,
               array_agg(at - before) FILTER (WHERE at - before > CAST(:width AS interval)) AS lengths,
               array_agg(before) FILTER (WHERE at - before > CAST(:width AS interval)) AS befores
        FROM measured GROUP BY device_id
    ), gaps AS MATERIALIZED (
        SELECT device_id, ARRAY(
                   SELECT CAST(extract(epoch FROM date_bin(CAST(:width AS interval), g.before, 'epoch')) AS float8)
                   FROM unnest(r.befores, r.lengths) AS g (before, length) WHERE g.length > r.silence
               ) AS after
        FROM rhythms AS r
    )
    SELECT d.id AS device_id, d.name AS device_name, c.id AS circuit_id, c.name AS circuit_name,
           array_agg(CAST(extract(epoch FROM b.bucket) AS float8) ORDER BY b.bucket) AS times,
           array_agg(round(CAST(b.average AS numeric), 1)::float8 ORDER BY b.bucket) AS average_w,
           array_agg(b.least ORDER BY b.bucket) AS least_w,
           array_agg(b.most ORDER BY b.bucket) AS most_w,
           max(b.last_at) AS last_at, (array_agg(b.last ORDER BY b.bucket DESC))[1] AS last_w,
           g.after AS gaps_after
    FROM bucketed AS b
    JOIN devices AS d ON d.id = b.device_id
    LEFT JOIN circuits AS c ON c.id = d.circuit_id
    JOIN gaps AS g ON g.device_id = b.device_id
    GROUP BY d.id, d.name, c.id, c.name, g.after
    ORDER BY d.name, d.id
""")
_MARGIN = timedelta(minutes=10)
"""A clock runs ahead by less, at most."""


async def read_load(
    connection: AsyncConnection, depot_id: UUID, since: datetime, until: datetime, bucket: timedelta
) -> list[LoadSeries]:
    """Read what each device of the depot measured from ``since`` on and before ``until``, in buckets of that width.

    A device's gap is longer than a bucket and than three of the intervals at which it usually sends; where it sent only
    twice, longer than a status may usually be old.
    """
    usual = max(each.threshold for each in Capability)
    given = {
        "depot_id": depot_id, "since": since, "until": until, "width": bucket, "margin": _MARGIN, "usual": usual,
    }  # fmt: skip
    rows = await connection.execute(_LOAD, given)
    found = [_with_gaps(LoadSeries(*row), set(after), bucket.total_seconds()) for *row, after in rows]
    simulated = await read_simulated(connection, [each.device_id for each in found], since, until)
    return [replace(each, simulated=tuple(simulated.get(each.device_id, ()))) for each in found]


def _with_gaps(series: LoadSeries, after: Collection[float], width: float) -> LoadSeries:
    """Put a bucket without values behind each of the buckets ``after`` which nothing came for long."""
    if not after:
        return series
    buckets: list[tuple[float, float | None, float | None, float | None]] = []
    found = zip(series.times, series.average_w, series.least_w, series.most_w, strict=True)
    for bucket, following in zip(found, [*series.times[1:], None], strict=True):
        buckets.append(bucket)
        time = bucket[0]
        if time in after and following is not None:
            buckets.append((min(time + width, (time + following) / 2), None, None, None))
    times, average, least, most = map(list, zip(*buckets, strict=True))
    return replace(series, times=times, average_w=average, least_w=least, most_w=most)


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

"""Series of measurands, in buckets of equal width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.series import DELAYED_AFTER, HELD_AT_MOST
from domain.monitoring.capabilities import Capability
from domain.site.measurands import MEASURANDS, MeasurandKey, ReadingCode, ValueKind
from store.base.database import clock
from store.history.sources import SeriesSource
from store.monitoring.device_readings import column_of


@dataclass
class Series:
    """The readings of one measurand of one device. The lists of buckets belong together by place, in order of time.

    A bucket without a reading is left out. Where the device sent nothing for longer than it usually does, there is one
    bucket with nulls, so that nobody draws a line across.
    """

    source: SeriesSource
    times: list[float] = field(default_factory=list[float])
    """When each bucket begins, in seconds since the Unix epoch."""
    least: list[float | None] = field(default_factory=list[float | None])
    mean: list[float | None] = field(default_factory=list[float | None])
    """Weighted by time: each reading counts until the next one, for a quarter of an hour at most."""
    most: list[float | None] = field(default_factory=list[float | None])
    last: list[float | str | None] = field(default_factory=list[float | str | None])
    """The only value of a bucket of texts, whose least, mean and most are None."""
    counts: list[int] = field(default_factory=list[int])
    """Readings with a value."""
    delayed: list[int] = field(default_factory=list[int])
    """Those of them that came delayed."""
    faults: list[tuple[float, ReadingCode, int]] = field(default_factory=list[tuple[float, ReadingCode, int]])
    """Readings without a value that can be used: the bucket's time, why, and how many."""
    last_at: datetime | None = None
    """When the last value was measured."""


_CLOCKS = timedelta(minutes=10)
"""A clock runs ahead by less, at most."""

# Readings are found by the device's key, the time of measurement, and placed at their effective time
# (domain.base.clocks). What follows the window says how long its last reading counts.
_READINGS = """
    SELECT {n} AS n, least(observed_at, received_at) AS at, observed_at, {number} AS number, {word} AS word,
           faults ->> '{key}' AS fault, received_at - observed_at > CAST(:delay AS interval) AS is_delayed
    FROM device_readings
    WHERE device_id = :device{n} AND observed_at >= CAST(:since AS timestamptz)
      AND observed_at < CAST(:until AS timestamptz) + CAST(:margin AS interval)
      AND ({column} IS NOT NULL OR faults ? '{key}')
"""

_SERIES = """
    WITH readings AS ({readings}), neighbours AS (
        SELECT *, lag(at) OVER place AS before, lead(at) OVER place AS next
        FROM readings WINDOW place AS (PARTITION BY n ORDER BY at, observed_at)
    ), measured AS (
        SELECT *, date_bin(CAST(:width AS interval), at, 'epoch') AS bucket,
               CAST(extract(epoch FROM least(coalesce(next, CAST(:now AS timestamptz)), at + CAST(:held AS interval))
                                       - at) AS float8) AS seconds
        FROM neighbours WHERE at >= :since AND at < :until
    ), bucketed AS (
        SELECT n, bucket, min(number) AS least, max(number) AS most,
               coalesce(sum(number * seconds) / nullif(sum(seconds) FILTER (WHERE fault IS NULL), 0), avg(number))
                   AS mean,
               (array_agg(number ORDER BY at DESC, observed_at DESC) FILTER (WHERE fault IS NULL))[1] AS last,
               (array_agg(word ORDER BY at DESC, observed_at DESC) FILTER (WHERE fault IS NULL))[1] AS word,
               count(*) FILTER (WHERE fault IS NULL) AS counted,
               count(*) FILTER (WHERE fault IS NULL AND is_delayed) AS delayed,
               max(at) FILTER (WHERE fault IS NULL) AS last_at
        FROM measured GROUP BY n, bucket
    ), faulty AS (
        SELECT n, array_agg(CAST(extract(epoch FROM bucket) AS float8) ORDER BY bucket, fault) AS times,
               array_agg(fault ORDER BY bucket, fault) AS codes, array_agg(many ORDER BY bucket, fault) AS counts
        FROM (SELECT n, bucket, fault, count(*) AS many FROM measured WHERE fault IS NOT NULL GROUP BY n, bucket, fault)
            AS f
        GROUP BY n
    ), rhythms AS (
        -- Only what is longer than a bucket can be a gap.
        SELECT n, greatest(CAST(:width AS interval), CASE
                   WHEN count(before) >= 4 THEN 3 * percentile_disc(0.75) WITHIN GROUP (ORDER BY at - before)
                   WHEN count(before) >= 2 THEN 3 * percentile_disc(0.5) WITHIN GROUP (ORDER BY at - before)
                   ELSE CAST(:usual AS interval) END) AS silence,
               array_agg(at - before) FILTER (WHERE at - before > CAST(:width AS interval)) AS lengths,
               array_agg(before) FILTER (WHERE at - before > CAST(:width AS interval)) AS befores
        FROM measured GROUP BY n
    ), gaps AS MATERIALIZED (
        SELECT n, ARRAY(
                   SELECT CAST(extract(epoch FROM date_bin(CAST(:width AS interval), g.before, 'epoch')) AS float8)
                   FROM unnest(r.befores, r.lengths) AS g (before, length) WHERE g.length > r.silence
               ) AS after
        FROM rhythms AS r
    )
    SELECT b.n, array_agg(CAST(extract(epoch FROM b.bucket) AS float8) ORDER BY b.bucket) AS times,
           array_agg(b.least ORDER BY b.bucket) AS least,
           array_agg(least(greatest(CAST(round(CAST(b.mean AS numeric), 6) AS float8), b.least), b.most)
                     ORDER BY b.bucket) AS mean,
           array_agg(b.most ORDER BY b.bucket) AS most, array_agg(b.last ORDER BY b.bucket) AS last,
           array_agg(b.word ORDER BY b.bucket) AS words, array_agg(b.counted ORDER BY b.bucket) AS counts,
           array_agg(b.delayed ORDER BY b.bucket) AS delayed, max(b.last_at) AS last_at,
           f.times AS fault_times, f.codes AS fault_codes, f.counts AS fault_counts, g.after AS gaps_after
    FROM bucketed AS b JOIN gaps AS g ON g.n = b.n LEFT JOIN faulty AS f ON f.n = b.n
    GROUP BY b.n, f.times, f.codes, f.counts, g.after
"""


async def read_series(
    connection: AsyncConnection, sources: Sequence[SeriesSource], since: datetime, until: datetime, width: timedelta
) -> list[Series]:
    """Read what was measured from ``since`` on and before ``until``, in buckets of that width, in the order given.

    ``since`` is where a bucket begins (``domain.history.buckets``). A gap is longer than a bucket and than three of the
    intervals at which the device usually sends; where it sent only twice, longer than a status may usually be old.
    """
    series = [Series(source) for source in sources]
    given: dict[str, Any] = {
        "since": since, "until": until, "width": width, "now": await clock(connection), "held": HELD_AT_MOST,
        "margin": HELD_AT_MOST + _CLOCKS, "delay": DELAYED_AFTER, "usual": max(each.threshold for each in Capability),
    }  # fmt: skip
    parts: list[str] = []
    for n, source in enumerate(sources):
        if source.device_id is not None:
            parts.append(_readings_of(n, source.selection.measurand))
            given[f"device{n}"] = source.device_id
    if parts:
        statement = text(_SERIES.format(readings=" UNION ALL ".join(parts)))
        for row in await connection.execute(statement, given):
            _fill(series[row.n], row, width.total_seconds())
    return series


def _readings_of(n: int, measurand: MeasurandKey) -> str:
    column = column_of(measurand)
    is_number = MEASURANDS[measurand].kind is ValueKind.NUMBER
    return _READINGS.format(
        n=n,
        key=measurand.value,
        column=column,
        number=column if is_number else "CAST(NULL AS float8)",
        word="CAST(NULL AS text)" if is_number else f"CAST({column} AS text)",
    )


def _fill(series: Series, row: Any, width: float) -> None:
    kind = MEASURANDS[series.source.selection.measurand].kind
    last = row.last if kind is ValueKind.NUMBER else row.words
    after = set(row.gaps_after)
    buckets = zip(row.times, row.least, row.mean, row.most, last, row.counts, row.delayed, strict=True)
    for bucket, following in zip(buckets, [*row.times[1:], None], strict=True):
        _add(series, *bucket)
        time = bucket[0]
        if time in after and following is not None:
            _add(series, min(time + width, (time + following) / 2), None, None, None, None, 0, 0)
    series.last_at = row.last_at
    if row.fault_times:
        found = zip(row.fault_times, row.fault_codes, row.fault_counts, strict=True)
        series.faults = [(time, ReadingCode(code), count) for time, code, count in found]


def _add(
    series: Series,
    time: float,
    least: float | None,
    mean: float | None,
    most: float | None,
    last: float | str | None,
    count: int,
    delayed: int,
) -> None:
    series.times.append(time)
    series.least.append(least)
    series.mean.append(mean)
    series.most.append(most)
    series.last.append(last)
    series.counts.append(count)
    series.delayed.append(delayed)


def depots_in(sources: Sequence[SeriesSource]) -> dict[UUID, str]:
    """The names of the depots that series belong to, by id, in the order of the series."""
    return {each.depot_id: each.depot_name for each in sources}

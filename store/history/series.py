"""Series of measurands, in buckets of equal width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.buckets import bucket_begin
from domain.history.rollups import RollupWidth
from domain.history.series import DELAYED_AFTER, HELD_AT_MOST
from domain.monitoring.capabilities import Capability
from domain.site.measurands import MEASURANDS, MeasurandKey, ReadingCode, ValueKind
from store.base.database import clock
from store.history.rollup_statements import TABLES
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

_MEASURED = """
    readings AS ({readings}), neighbours AS (
        SELECT *, lag(at) OVER place AS before, lead(at) OVER place AS next
        FROM readings WINDOW place AS (PARTITION BY n ORDER BY at, observed_at)
    ), measured AS (
        SELECT *, date_bin(CAST(:width AS interval), at, 'epoch') AS bucket,
               CAST(extract(epoch FROM least(coalesce(next, CAST(:now AS timestamptz)), at + CAST(:held AS interval))
                                       - at) AS float8) AS seconds
        FROM neighbours WHERE at >= :since AND at < :until
    ), pieces AS (
        SELECT n, bucket, bucket AS begins_at, min(number) AS least, max(number) AS most,
               sum(number * seconds) AS weighted, sum(seconds) FILTER (WHERE number IS NOT NULL) AS seconds,
               (array_agg(number ORDER BY at DESC, observed_at DESC) FILTER (WHERE fault IS NULL))[1] AS last,
               (array_agg(word ORDER BY at DESC, observed_at DESC) FILTER (WHERE fault IS NULL))[1] AS word,
               count(*) FILTER (WHERE fault IS NULL) AS counted,
               count(*) FILTER (WHERE fault IS NULL AND is_delayed) AS delayed,
               max(at) FILTER (WHERE fault IS NULL) AS value_at, min(at) AS first_at, max(at) AS last_at
        FROM measured GROUP BY n, bucket
    ), faults AS (
        SELECT n, bucket, fault, count(*) AS many FROM measured WHERE fault IS NOT NULL GROUP BY n, bucket, fault
    )
"""

# Only what is longer than a bucket can be a gap.
_GAPS_OF_READINGS = """
    rhythms AS (
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
"""

_SERIES = """
    bucketed AS (
        SELECT *, coalesce(weighted / nullif(seconds, 0), last) AS mean
        FROM (
            SELECT n, bucket, min(least) AS least, max(most) AS most, sum(weighted ORDER BY begins_at) AS weighted,
                   sum(seconds ORDER BY begins_at) AS seconds,
                   (array_agg(last ORDER BY begins_at DESC) FILTER (WHERE last IS NOT NULL))[1] AS last,
                   (array_agg(word ORDER BY begins_at DESC) FILTER (WHERE word IS NOT NULL))[1] AS word,
                   sum(counted) AS counted, sum(delayed) AS delayed, max(value_at) AS value_at,
                   min(first_at) AS first_at, max(last_at) AS last_at
            FROM {pieces} GROUP BY n, bucket
        ) AS joined
    ), faulty AS (
        SELECT n, array_agg(CAST(extract(epoch FROM bucket) AS float8) ORDER BY bucket, fault) AS times,
               array_agg(fault ORDER BY bucket, fault) AS codes, array_agg(many ORDER BY bucket, fault) AS counts
        FROM (SELECT n, bucket, fault, CAST(sum(many) AS bigint) AS many FROM {faults} GROUP BY n, bucket, fault) AS f
        GROUP BY n
    ), {gaps}
    SELECT b.n, array_agg(CAST(extract(epoch FROM b.bucket) AS float8) ORDER BY b.bucket) AS times,
           array_agg(b.least ORDER BY b.bucket) AS least,
           array_agg(least(greatest(CAST(round(CAST(b.mean AS numeric), 6) AS float8), b.least), b.most)
                     ORDER BY b.bucket) AS mean,
           array_agg(b.most ORDER BY b.bucket) AS most, array_agg(b.last ORDER BY b.bucket) AS last,
           array_agg(b.word ORDER BY b.bucket) AS words,
           array_agg(CAST(b.counted AS bigint) ORDER BY b.bucket) AS counts,
           array_agg(CAST(b.delayed AS bigint) ORDER BY b.bucket) AS delayed, max(b.value_at) AS last_at,
           max(b.bucket) FILTER (WHERE b.counted > 0) AS last_bucket,
           f.times AS fault_times, f.codes AS fault_codes, f.counts AS fault_counts, g.after AS gaps_after
    FROM bucketed AS b JOIN gaps AS g ON g.n = b.n LEFT JOIN faulty AS f ON f.n = b.n
    GROUP BY b.n, f.times, f.codes, f.counts, g.after
"""

# The same from rollups before :cut, and from readings after it (:since of those).
_ROLLED_PIECES = """
    SELECT {n} AS n, date_bin(CAST(:width AS interval), begins_at, 'epoch') AS bucket, begins_at, {least} AS least,
           {most} AS most, {weighted} AS weighted, {seconds} AS seconds, {last} AS last, {word} AS word,
           coalesce({column}_readings, 0) AS counted, coalesce({column}_delayed, 0) AS delayed,
           CAST(NULL AS timestamptz) AS value_at, {column}_first_at AS first_at, {column}_last_at AS last_at
    FROM {table}
    WHERE device_id = :device{n} AND begins_at >= :begin AND begins_at < :since AND {column}_first_at IS NOT NULL
"""
_ROLLED_FAULTS = """
    SELECT {n} AS n, date_bin(CAST(:width AS interval), begins_at, 'epoch') AS bucket, fault,
           CAST(many AS bigint) AS many
    FROM {table} CROSS JOIN LATERAL jsonb_each_text(faults -> '{key}') AS c (fault, many)
    WHERE device_id = :device{n} AND begins_at >= :begin AND begins_at < :since AND faults ? '{key}'
"""
_GAPS_OF_BUCKETS = """
    gaps AS MATERIALIZED (
        SELECT n, coalesce(array_agg(CAST(extract(epoch FROM bucket) AS float8))
                           FILTER (WHERE following - last_at > CAST(:width AS interval)), '{{}}') AS after
        FROM (SELECT *, lead(first_at) OVER (PARTITION BY n ORDER BY bucket) AS following FROM bucketed) AS b
        GROUP BY n
    )
"""
_LAST_VALUE = """
    SELECT {n} AS n, max(least(observed_at, received_at)) AS at FROM device_readings
    WHERE device_id = :device{n} AND observed_at >= :bucket{n}
      AND observed_at < CAST(:bucket{n} AS timestamptz) + CAST(:width AS interval) + CAST(:margin AS interval)
      AND least(observed_at, received_at) < CAST(:bucket{n} AS timestamptz) + CAST(:width AS interval)
      AND least(observed_at, received_at) < :until AND {column} IS NOT NULL
"""
_COMPLETE = text("SELECT complete_at FROM rollup_mark")
_SURELY_REGULAR = 12
"""With more readings than so many for each bucket's width, at least three quarters of the intervals between them are
shorter than a third of a bucket: then whatever is longer than a bucket is a gap."""


async def read_series(
    connection: AsyncConnection, sources: Sequence[SeriesSource], since: datetime, until: datetime, width: timedelta
) -> list[Series]:
    """Read what was measured from ``since`` on and before ``until``, in buckets of that width, in the order given.

    ``since`` is where a bucket begins (``domain.history.buckets``). A gap is longer than a bucket and than three of the
    intervals at which the device usually sends; where it sent only twice, longer than a status may usually be old.
    """
    rolled = _rollup_of(width)
    complete_at = None if rolled is None else (await connection.execute(_COMPLETE)).scalar_one()
    series = [Series(source) for source in sources]
    given: dict[str, Any] = {
        "since": since, "until": until, "width": width, "now": await clock(connection), "held": HELD_AT_MOST,
        "margin": HELD_AT_MOST + _CLOCKS, "delay": DELAYED_AFTER, "usual": max(each.threshold for each in Capability),
    }  # fmt: skip
    given |= {f"device{n}": each.device_id for n, each in enumerate(sources) if each.device_id is not None}
    wanted = {n: each.selection.measurand for n, each in enumerate(sources) if each.device_id is not None}
    if rolled is not None and complete_at is not None:
        cut = min(bucket_begin(complete_at - HELD_AT_MOST, width), bucket_begin(until, width))
        if cut > since:
            done = await _read_rolled(connection, series, wanted, given | {"begin": since, "since": cut}, rolled)
            wanted = {n: measurand for n, measurand in wanted.items() if n not in done}
    if wanted:
        statement = _statement(wanted, pieces="pieces", faults="faults", gaps=_GAPS_OF_READINGS)
        for row in await connection.execute(text(statement), given):
            _fill(series[row.n], row, width.total_seconds())
    return series


def _rollup_of(width: timedelta) -> RollupWidth | None:
    """The widest rollup of which buckets of that width are made."""
    return max((each for each in RollupWidth if not width % each.span), key=lambda each: each.span, default=None)


async def _read_rolled(
    connection: AsyncConnection,
    series: Sequence[Series],
    wanted: Mapping[int, MeasurandKey],
    given: Mapping[str, Any],
    rolled: RollupWidth,
) -> set[int]:
    """Fill those series that can be read from rollups to the same answer, and say which these are.

    What has few readings is left: how often its device usually sends is not seen in rollups.
    """
    table, width = TABLES[rolled], given["width"]
    pieces = [_rolled_of(n, key, table) for n, key in wanted.items()]
    faults = [_ROLLED_FAULTS.format(n=n, key=key.value, table=table) for n, key in wanted.items()]
    statement = text(
        _statement(
            wanted,
            pieces=_joined(["SELECT * FROM pieces", *pieces]),
            faults=_joined(["SELECT * FROM faults", *faults]),
            gaps=_GAPS_OF_BUCKETS.format(),
        )
    )
    least = _SURELY_REGULAR * ((given["until"] - given["begin"]) / width) + 1
    rows = {
        row.n: row
        for row in await connection.execute(statement, given)
        if sum(row.counts) + sum(row.fault_counts or ()) > least
    }
    ends = await _read_last_values(connection, wanted, given, {n: row.last_bucket for n, row in rows.items()})
    for n, row in rows.items():
        _fill(series[n], row, width.total_seconds())
        series[n].last_at = max((each for each in (row.last_at, ends.get(n)) if each is not None), default=None)
    return set(rows)


async def _read_last_values(
    connection: AsyncConnection, wanted: Mapping[int, MeasurandKey], given: Mapping[str, Any],
    buckets: Mapping[int, datetime | None],
) -> dict[int, datetime]:  # fmt: skip
    """When the last value of each series was measured, from the readings of the bucket in which it was."""
    parts = [_LAST_VALUE.format(n=n, column=column_of(wanted[n])) for n, at in buckets.items() if at is not None]
    if not parts:
        return {}
    found = {f"bucket{n}": at for n, at in buckets.items() if at is not None}
    rows = await connection.execute(text(" UNION ALL ".join(parts)), {**given, **found})
    return {row.n: row.at for row in rows}


def _statement(wanted: Mapping[int, MeasurandKey], *, pieces: str, faults: str, gaps: str) -> str:
    readings = " UNION ALL ".join(_readings_of(n, key) for n, key in wanted.items())
    return f"WITH {_MEASURED.format(readings=readings)}, {_SERIES.format(pieces=pieces, faults=faults, gaps=gaps)}"


def _joined(parts: Sequence[str]) -> str:
    return "({}) AS joined".format(" UNION ALL ".join(parts))


def _rolled_of(n: int, measurand: MeasurandKey, table: str) -> str:
    column, kind = column_of(measurand), MEASURANDS[measurand].kind
    nothing = "CAST(NULL AS float8)"
    is_number = kind is ValueKind.NUMBER
    numbers = {part: f"{column}_{part}" if is_number else nothing for part in ("least", "most", "weighted", "seconds")}
    word = f"{column}_last"
    if kind is ValueKind.BOOLEAN_TEXT:
        word = f"CASE {column}_last WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
    return _ROLLED_PIECES.format(
        n=n,
        column=column,
        table=table,
        last=f"{column}_last" if is_number else nothing,
        word="CAST(NULL AS text)" if is_number else word,
        **numbers,
    )


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

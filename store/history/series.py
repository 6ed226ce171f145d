"""Series of measurands, in buckets of equal width."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.buckets import bucket_begin
from domain.history.rollups import RollupWidth
from domain.history.series import DELAYED_AFTER, HELD_AT_MOST
from domain.monitoring.capabilities import Capability
from domain.site.measurands import MEASURANDS, MeasurandKey, ReadingCode, ValueKind
from store.history.sources import SeriesSource
from store.history.trends.series_statements import Stretch, Wanted, of_readings, of_rollups
from store.monitoring.device_readings import column_of

_Pair: TypeAlias = tuple[MeasurandKey, UUID]
"""A measurand of a device. Several sources may be the same one."""


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

_LAST_VALUE = """
    SELECT {n} AS n, max(least(observed_at, received_at)) AS at FROM device_readings
    WHERE device_id = CAST(:device{n} AS uuid) AND observed_at >= :bucket{n}
      AND observed_at < CAST(:bucket{n} AS timestamptz) + CAST(:width AS interval) + CAST(:margin AS interval)
      AND least(observed_at, received_at) < CAST(:bucket{n} AS timestamptz) + CAST(:width AS interval)
      AND least(observed_at, received_at) < :until AND {column} IS NOT NULL
"""
_MARK = text("SELECT complete_at, clock_timestamp() AS now FROM rollup_mark")
_SURELY_REGULAR = 12
"""With more readings than so many for each bucket's width, at least three quarters of the intervals between them are
shorter than a third of a bucket: then whatever is longer than a bucket is a gap."""


@lru_cache(maxsize=64)
def _clause(statement: str) -> TextClause:
    """A statement with its parameters found, which takes longer than to put it together: charts have few forms."""
    return text(statement)


async def read_series(
    connection: AsyncConnection, sources: Sequence[SeriesSource], since: datetime, until: datetime, width: timedelta
) -> list[Series]:
    """Read what was measured from ``since`` on and before ``until``, in buckets of that width, in the order given.

    ``since`` is where a bucket begins (``domain.history.buckets``). A gap is longer than a bucket and than three of the
    intervals at which the device usually sends; where it sent only twice, longer than a status may usually be old.
    """
    complete_at, now = (await connection.execute(_MARK)).one()
    given: dict[str, Any] = {
        "since": since, "until": until, "width": width, "now": now, "held": HELD_AT_MOST,
        "margin": HELD_AT_MOST + _CLOCKS, "delay": DELAYED_AFTER, "usual": max(each.threshold for each in Capability),
    }  # fmt: skip
    pairs = {(each.selection.measurand, each.device_id) for each in sources if each.device_id is not None}
    stretches = [] if complete_at is None else _stretches(width, since, min(complete_at - HELD_AT_MOST, until))
    rows = await _read_rolled(connection, pairs, given, stretches)
    rows |= await _read_rows(connection, of_readings, pairs - rows.keys(), given)
    # What comes from readings says so itself.
    missing = {pair: row.last_bucket for pair, row in rows.items() if row.last_at is None and row.last_bucket}
    ends = await _read_last_values(connection, missing, given)
    series = [Series(source) for source in sources]
    for each in series:
        device_id = each.source.device_id
        pair = None if device_id is None else (each.source.selection.measurand, device_id)
        if pair is not None and pair in rows:
            _fill(each, rows[pair], width.total_seconds())
            each.last_at = ends.get(pair, each.last_at)
    return series


def _stretches(width: timedelta, since: datetime, end: datetime) -> list[Stretch]:
    """What to read from which rollup: from ``since`` on, as far as they go before ``end``.

    First the whole buckets, from the widest rollup of which buckets of that width are made. Then what there is of the
    next bucket, from this rollup and those that are narrower. None, where no bucket is whole.
    """
    rollups = sorted((each for each in RollupWidth if not width % each.span), key=lambda each: each.span, reverse=True)
    whole_until = bucket_begin(end, width)
    if not rollups or whole_until <= since:
        return []
    stretches = [Stretch(rollups[0], since, whole_until)]
    since = whole_until
    for rollup in rollups:
        until = bucket_begin(end, rollup.span)
        if until > since:
            stretches.append(Stretch(rollup, since, until, is_rest=rollup is rollups[0]))
            since = until
    return stretches


async def _read_rolled(
    connection: AsyncConnection, pairs: Set[_Pair], given: Mapping[str, Any], stretches: Sequence[Stretch]
) -> dict[_Pair, Any]:
    """Read those series that can be read from rollups to the same answer.

    What has few readings is left: how often its device usually sends is not seen in rollups.
    """
    if not stretches:
        return {}
    window = {name: value for each in stretches for name, value in each.given.items()}
    rows = await _read_rows(
        connection,
        lambda wanted: of_rollups(wanted, stretches),
        pairs,
        {**given, **window, "since": stretches[-1].end},
    )
    least = _SURELY_REGULAR * ((given["until"] - given["since"]) / given["width"]) + 1
    return {pair: row for pair, row in rows.items() if sum(row.counts) + sum(row.fault_counts or ()) > least}


async def _read_rows(
    connection: AsyncConnection,
    statement: Callable[[Sequence[Wanted]], str],
    pairs: Set[_Pair],
    given: Mapping[str, Any],
) -> dict[_Pair, Any]:
    if not pairs:
        return {}
    wanted: list[Wanted] = []
    places: list[_Pair] = []
    for measurand in sorted({measurand for measurand, _ in pairs}):
        devices = sorted(device_id for each, device_id in pairs if each == measurand)
        wanted.append(Wanted(measurand, devices, len(places)))
        places += [(measurand, device_id) for device_id in devices]
    devices_of = {name: value for each in wanted for name, value in each.given.items()}
    rows = await connection.execute(_clause(statement(wanted)), {**given, **devices_of})
    return {places[row.n]: row for row in rows}


async def _read_last_values(
    connection: AsyncConnection, buckets: Mapping[_Pair, datetime], given: Mapping[str, Any]
) -> dict[_Pair, datetime]:
    """When the last value of each series was measured, from the readings of the bucket in which it was."""
    if not buckets:
        return {}
    pairs = list(buckets)
    parts = [_LAST_VALUE.format(n=n, column=column_of(measurand)) for n, (measurand, _) in enumerate(pairs)]
    places = {f"device{n}": device_id for n, (_, device_id) in enumerate(pairs)}
    begins = {f"bucket{n}": buckets[pair] for n, pair in enumerate(pairs)}
    rows = await connection.execute(_clause(" UNION ALL ".join(parts)), {**given, **places, **begins})
    return {pairs[row.n]: row.at for row in rows}


def _fill(series: Series, row: Any, width: float) -> None:
    kind = MEASURANDS[series.source.selection.measurand].kind
    series.times, series.least, series.mean, series.most = map(list, (row.times, row.least, row.mean, row.most))
    series.last = list(row.last if kind is ValueKind.NUMBER else row.words)
    series.counts, series.delayed = list(row.counts), list(row.delayed)
    _add_gaps(series, set(row.gaps_after or ()), width)
    series.last_at = row.last_at
    if row.fault_times:
        found = zip(row.fault_times, row.fault_codes, row.fault_counts, strict=True)
        series.faults = [(time, ReadingCode(code), count) for time, code, count in found]


def _add_gaps(series: Series, after: Container[float], width: float) -> None:
    """Add a bucket with nulls behind each that begins at one of these times, unless it is the last one."""
    times = series.times
    places = [place for place in range(len(times) - 1) if times[place] in after]
    for place in reversed(places):
        times.insert(place + 1, min(times[place] + width, (times[place] + times[place + 1]) / 2))
        for values in (series.least, series.mean, series.most):
            values.insert(place + 1, None)
        series.last.insert(place + 1, None)
        series.counts.insert(place + 1, 0)
        series.delayed.insert(place + 1, 0)


def depots_in(sources: Sequence[SeriesSource]) -> dict[UUID, str]:
    """The names of the depots that series belong to, by id, in the order of the series."""
    return {each.depot_id: each.depot_name for each in sources}

"""The statements that read series in buckets: from readings, and from rollups where they say the same.

A statement reads some measurands, each of some devices: ``Wanted``. Whatever it reads is told apart by ``n``, the place
of measurand and device among all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.history.rollups import RollupWidth
from domain.site.measurands import MEASURANDS, MeasurandKey, ValueKind
from store.history.rollup_statements import TABLES
from store.monitoring.device_readings import column_of


@dataclass(frozen=True)
class Wanted:
    """One measurand of some devices."""

    measurand: MeasurandKey
    devices: Sequence[UUID]
    """Each once."""
    first: int
    """The place of the first; the others follow it."""

    @property
    def given(self) -> dict[str, object]:
        """The parameters of the statements."""
        return {f"devices{self.first}": list(self.devices)}

    @property
    def is_number(self) -> bool:
        """Whether it has least, mean and most."""
        return MEASURANDS[self.measurand].kind is ValueKind.NUMBER


@dataclass(frozen=True)
class Stretch:
    """What is read from one rollup: from ``begin`` on and before ``end``."""

    rollup: RollupWidth
    begin: datetime
    end: datetime
    is_rest: bool = False
    """Whether it lies in a bucket that is not over, of which another stretch of the same rollup has those before."""

    @property
    def given(self) -> dict[str, object]:
        """The parameters of the statements."""
        return {f"from_{self.name}": self.begin, f"to_{self.name}": self.end}

    @property
    def name(self) -> str:
        """What its parameters are called by."""
        return f"rest_{self.rollup}" if self.is_rest else self.rollup.value


_DEVICES = "CAST(:devices{first} AS uuid[])"
_N = "CAST({first} - 1 + array_position(" + _DEVICES + ", device_id) AS int) AS n"

# Readings are found by the device's key, the time of measurement, and placed at their effective time
# (domain.base.clocks). What follows the window says how long its last reading counts.
_READINGS = f"""
    SELECT {_N}, least(observed_at, received_at) AS at, observed_at, {{number}} AS number, {{word}} AS word,
           faults ->> '{{key}}' AS fault, received_at - observed_at > CAST(:delay AS interval) AS is_delayed
    FROM device_readings
    WHERE device_id = ANY ({_DEVICES}) AND observed_at >= CAST(:since AS timestamptz)
      AND observed_at < CAST(:until AS timestamptz) + CAST(:margin AS interval)
      AND ({{column}} IS NOT NULL OR faults ? '{{key}}')
"""  # noqa: S608 - constants

# PostgreSQL sorts once for all aggregates of one order: so the last of a bucket is the end of an ordered list.
_MEASURED = """
    readings AS ({readings}), neighbours AS (
        SELECT *, lag(at) OVER place AS before, lead(at) OVER place AS next
        FROM readings WINDOW place AS (PARTITION BY n ORDER BY at, observed_at)
    ), measured AS (
        SELECT *, date_bin(CAST(:width AS interval), at, 'epoch') AS bucket,
               date_part('epoch', least(coalesce(next, CAST(:now AS timestamptz)), at + CAST(:held AS interval)) - at)
                   AS seconds
        FROM neighbours WHERE at >= :since AND at < :until
    ), pieces AS (
        SELECT n, bucket, min(at) AS begins_at, min(number) AS least, max(number) AS most,
               sum(number * seconds) AS weighted, sum(seconds) FILTER (WHERE number IS NOT NULL) AS seconds,
               (array_agg(number ORDER BY at, observed_at)
                FILTER (WHERE fault IS NULL))[count(*) FILTER (WHERE fault IS NULL)] AS last,
               (array_agg(word ORDER BY at, observed_at)
                FILTER (WHERE fault IS NULL))[count(*) FILTER (WHERE fault IS NULL)] AS word,
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
                   SELECT date_part('epoch', date_bin(CAST(:width AS interval), g.before, 'epoch'))
                   FROM unnest(r.befores, r.lengths) AS g (before, length) WHERE g.length > r.silence
               ) AS after
        FROM rhythms AS r
    )
"""

_SERIES = """
    bucketed AS (
        SELECT *, coalesce(weighted / nullif(seconds, 0), last) AS mean,
               {following} AS following FROM {pieces}
    ), faulty AS (
        SELECT n, array_agg(date_part('epoch', bucket) ORDER BY bucket, fault) AS times,
               array_agg(fault ORDER BY bucket, fault) AS codes, array_agg(many ORDER BY bucket, fault) AS counts
        FROM (SELECT n, bucket, fault, CAST(sum(many) AS bigint) AS many FROM {faults} GROUP BY n, bucket, fault) AS f
        GROUP BY n
    ), series AS (
        SELECT n, array_agg(date_part('epoch', bucket) ORDER BY bucket) AS times,
               array_agg(least ORDER BY bucket) AS least,
               array_agg(least(greatest(CAST(round(CAST(mean AS numeric), 6) AS float8), least), most)
                         ORDER BY bucket) AS mean,
               array_agg(most ORDER BY bucket) AS most, array_agg(last ORDER BY bucket) AS last,
               array_agg(word ORDER BY bucket) AS words,
               array_agg(CAST(counted AS bigint) ORDER BY bucket) AS counts,
               array_agg(CAST(delayed AS bigint) ORDER BY bucket) AS delayed, max(value_at) AS last_at,
               max(bucket) FILTER (WHERE counted > 0) AS last_bucket,
               array_agg(date_part('epoch', bucket) ORDER BY bucket)
                   FILTER (WHERE following - last_at > CAST(:width AS interval)) AS gaps_after
        FROM bucketed GROUP BY n
    )
    SELECT s.n, s.times, s.least, s.mean, s.most, s.last, s.words, s.counts, s.delayed, s.last_at, s.last_bucket,
           f.times AS fault_times, f.codes AS fault_codes, f.counts AS fault_counts, {gaps} AS gaps_after
    FROM series AS s LEFT JOIN faulty AS f ON f.n = s.n
"""

# Added up in any order, which changes no mean in its six places: in an order of their own, a year of rows is sorted.
_ROLLED_PIECES = f"""
    SELECT {_N}, bucket, begins_at, least, most, weighted, seconds, last, word, counted, delayed,
           CAST(NULL AS timestamptz) AS value_at, first_at, last_at
    FROM (
        SELECT device_id, date_bin(CAST(:width AS interval), begins_at, 'epoch') AS bucket, min(begins_at) AS begins_at,
               {{values}}, coalesce(sum({{column}}_readings), 0) AS counted,
               coalesce(sum({{column}}_delayed), 0) AS delayed, min({{column}}_first_at) AS first_at,
               max({{column}}_last_at) AS last_at
        FROM {{table}}
        WHERE device_id = ANY ({_DEVICES}) AND begins_at >= :from_{{stretch}} AND begins_at < :to_{{stretch}}
          AND {{column}}_first_at IS NOT NULL
        GROUP BY 1, 2
    ) AS p
"""  # noqa: S608 - constants
_NUMBERS = """
    min({column}_least) AS least, max({column}_most) AS most, sum({column}_weighted) AS weighted,
    sum({column}_seconds) AS seconds,
    (max(ARRAY[date_part('epoch', begins_at), {column}_last]) FILTER (WHERE {column}_last IS NOT NULL))[2] AS last,
    CAST(NULL AS text) AS word
"""
_WORDS = """
    CAST(NULL AS float8) AS least, CAST(NULL AS float8) AS most, CAST(NULL AS float8) AS weighted,
    CAST(NULL AS float8) AS seconds, CAST(NULL AS float8) AS last,
    (array_agg({word} ORDER BY begins_at DESC) FILTER (WHERE {column}_last IS NOT NULL))[1] AS word
"""
# Only a bucket that is not over comes from several rollups and from readings; the others are taken as they are.
_JOINED_PIECES = """(
    {whole} UNION ALL
    SELECT n, bucket, min(begins_at) AS begins_at, min(least) AS least, max(most) AS most,
           sum(weighted ORDER BY begins_at) AS weighted, sum(seconds ORDER BY begins_at) AS seconds,
           (array_agg(last ORDER BY begins_at)
            FILTER (WHERE last IS NOT NULL))[count(*) FILTER (WHERE last IS NOT NULL)] AS last,
           (array_agg(word ORDER BY begins_at)
            FILTER (WHERE word IS NOT NULL))[count(*) FILTER (WHERE word IS NOT NULL)] AS word,
           CAST(sum(counted) AS bigint) AS counted, CAST(sum(delayed) AS bigint) AS delayed,
           max(value_at) AS value_at, min(first_at) AS first_at, max(last_at) AS last_at
    FROM ({pieces}) AS p GROUP BY n, bucket
) AS joined"""
_ROLLED_FAULTS = f"""
    SELECT {_N}, date_bin(CAST(:width AS interval), begins_at, 'epoch') AS bucket, fault, CAST(many AS bigint) AS many
    FROM {{table}} CROSS JOIN LATERAL jsonb_each_text(faults -> '{{key}}') AS c (fault, many)
    WHERE device_id = ANY ({_DEVICES}) AND begins_at >= :from_{{stretch}} AND begins_at < :to_{{stretch}}
      AND faults IS NOT NULL AND faults ? '{{key}}'
"""  # noqa: S608 - constants


def of_readings(wanted: Sequence[Wanted]) -> str:
    """Read series from readings alone; gaps by how often the device usually sends.

    Parameters: those of ``wanted``; ``since``, ``until``, ``width``, ``now``, ``held``, ``margin``, ``delay`` and
    ``usual``.
    """
    series = _SERIES.format(
        pieces="pieces",
        faults="faults",
        following="CAST(NULL AS timestamptz)",
        gaps="(SELECT after FROM gaps AS g WHERE g.n = s.n)",
    )
    return f"WITH {_measured(wanted)}, {_GAPS_OF_READINGS}, {series}"


def of_rollups(wanted: Sequence[Wanted], stretches: Sequence[Stretch]) -> str:
    """Read series from rollups, and from readings after them; gaps are what is longer than a bucket.

    The first stretch has whole buckets, the others what follows.

    Parameters: those of ``of_readings``, where ``since`` is the end of the last stretch, and those of ``stretches``.
    """
    whole = [_rolled_pieces(each, stretches[0]) for each in wanted]
    parts = [(each, stretch) for each in wanted for stretch in stretches[1:]]
    pieces = ["SELECT * FROM pieces", *(_rolled_pieces(each, stretch) for each, stretch in parts)]
    faults = ["SELECT * FROM faults", *(_rolled_faults(each, stretch) for each in wanted for stretch in stretches)]
    series = _SERIES.format(
        pieces=_JOINED_PIECES.format(whole=_union(whole), pieces=_union(pieces)),
        faults=f"({_union(faults)}) AS joined",
        following="lead(first_at) OVER (PARTITION BY n ORDER BY bucket)",
        gaps="s.gaps_after",
    )
    return f"WITH {_measured(wanted)}, {series}"


def _measured(wanted: Sequence[Wanted]) -> str:
    return _MEASURED.format(readings=_union([_readings(each) for each in wanted]))


def _union(parts: Sequence[str]) -> str:
    return " UNION ALL ".join(parts)


def _readings(wanted: Wanted) -> str:
    column = column_of(wanted.measurand)
    return _READINGS.format(
        first=wanted.first,
        key=wanted.measurand.value,
        column=column,
        number=column if wanted.is_number else "CAST(NULL AS float8)",
        word="CAST(NULL AS text)" if wanted.is_number else f"CAST({column} AS text)",
    )


def _rolled_pieces(wanted: Wanted, stretch: Stretch) -> str:
    column = column_of(wanted.measurand)
    word = f"{column}_last"
    if MEASURANDS[wanted.measurand].kind is ValueKind.BOOLEAN_TEXT:
        word = f"CASE {column}_last WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
    values = _NUMBERS.format(column=column) if wanted.is_number else _WORDS.format(column=column, word=word)
    return _ROLLED_PIECES.format(
        first=wanted.first, values=values, column=column, table=TABLES[stretch.rollup], stretch=stretch.name
    )


def _rolled_faults(wanted: Wanted, stretch: Stretch) -> str:
    return _ROLLED_FAULTS.format(
        first=wanted.first, key=wanted.measurand.value, table=TABLES[stretch.rollup], stretch=stretch.name
    )

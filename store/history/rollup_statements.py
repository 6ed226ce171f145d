"""The statements that make rollups: minutes from readings, and wider buckets from narrower ones.

A rollup has for each measurand columns of its own, as readings have. They are written out for all measurands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from domain.history.rollups import RollupWidth
from domain.history.series import DELAYED_AFTER, HELD_AT_MOST
from domain.site.measurands import MEASURANDS, MeasurandKey, ValueKind
from store.monitoring.device_readings import column_of

TABLES = {
    RollupWidth.MINUTE: "reading_minutes",
    RollupWidth.QUARTER: "reading_quarters",
    RollupWidth.DAY: "reading_days",
}
"""The table of each width."""
NUMBERS = {
    "least": "double precision",
    "most": "double precision",
    "weighted": "double precision",
    "seconds": "double precision",
    "last": "double precision",
}
"""What only numbers have, and booleans as 0 and 1, by the end of the column's name."""
ALL = {
    "readings": "integer",
    "delayed": "integer",
    "simulated": "integer",
    "first_at": "timestamp with time zone",
    "last_at": "timestamp with time zone",
}
"""What every measurand has."""


def parts_of(key: MeasurandKey) -> dict[str, str]:
    """The parts that a rollup has of a measurand: the ends of its columns' names, and their types."""
    return ({"last": "text"} | ALL) if MEASURANDS[key].kind is ValueKind.TEXT else (NUMBERS | ALL)


def rollup_column(key: MeasurandKey, part: str) -> str:
    """The column of a part of a measurand."""
    return f"{column_of(key)}_{part}"


_COLUMNS = [rollup_column(key, part) for key in MEASURANDS for part in parts_of(key)] + ["faults"]
_HELD = f"interval '{HELD_AT_MOST.total_seconds():g} seconds'"
_DELAY = f"interval '{DELAYED_AFTER.total_seconds():g} seconds'"
_CLOCKS = "interval '10 minutes'"
"""A clock runs ahead by less, at most."""
_GIVEN = "unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS g (device_id, since, until)"

_SETTLED = f"""
    SELECT * FROM {_GIVEN}
    WHERE $4::bigint IS NULL OR NOT (
        EXISTS (SELECT FROM device_readings AS r
                WHERE r.device_id = g.device_id AND r.observed_at >= g.since
                  AND r.observed_at < g.until + {_HELD} + {_CLOCKS} AND r.written_in >= $4)
        OR EXISTS (SELECT FROM rollup_blocks AS n
                   WHERE n.device_id = g.device_id AND n.since < g.until + {_HELD} AND n.until > g.since)
    )
"""  # noqa: S608 - constants


def _each(made: Iterable[str]) -> str:
    return ",\n           ".join(made)


def _value(key: MeasurandKey) -> str:
    # A share of time is a mean of 0 and 1.
    return f"{column_of(key)}::integer::float8" if MEASURANDS[key].kind is ValueKind.BOOLEAN_TEXT else column_of(key)


def _last(value: str, order: str) -> str:
    return f"(array_agg({value} ORDER BY {order}) FILTER (WHERE {value} IS NOT NULL))[count({value})]"


def _of_readings(key: MeasurandKey) -> dict[str, str]:
    """How each part comes from the readings of a bucket."""
    value, present, seconds = (f"{column_of(key)}_{part}" for part in ("value", "present", "seconds"))
    order = "at, observed_at"
    return {
        "least": f"min({value})",
        "most": f"max({value})",
        "weighted": f"sum({value} * {seconds} ORDER BY {order})",
        "seconds": f"sum({seconds} ORDER BY {order}) FILTER (WHERE {value} IS NOT NULL)",
        "last": _last(value, order),
        "readings": f"nullif(count({value}), 0)::integer",
        "delayed": f"nullif(count({value}) FILTER (WHERE is_delayed), 0)::integer",
        "simulated": f"nullif(count({value}) FILTER (WHERE is_simulated), 0)::integer",
        "first_at": f"min(at) FILTER (WHERE {present})",
        "last_at": f"max(at) FILTER (WHERE {present})",
    }


def _of_rollups(key: MeasurandKey) -> dict[str, str]:
    """How each part comes from the same part of narrower buckets."""
    columns = {part: rollup_column(key, part) for part in parts_of(key)}
    made = {
        "readings": f"sum({columns['readings']})::integer",
        "delayed": f"sum({columns['delayed']})::integer",
        "simulated": f"sum({columns['simulated']})::integer",
        "first_at": f"min({columns['first_at']})",
        "last_at": f"max({columns['last_at']})",
        "last": _last(columns["last"], "begins_at"),
    }
    if "weighted" in columns:
        made |= {
            "least": f"min({columns['least']})",
            "most": f"max({columns['most']})",
            "weighted": f"sum({columns['weighted']} ORDER BY begins_at)",
            "seconds": f"sum({columns['seconds']} ORDER BY begins_at)",
        }
    return made


def _parts(make: dict[MeasurandKey, dict[str, str]]) -> str:
    return _each(f"{make[key][part]} AS {rollup_column(key, part)}" for key in MEASURANDS for part in parts_of(key))


def write_statement(table: str, columns: Sequence[str] = _COLUMNS, keys: Sequence[str] = ("device_id",)) -> str:
    """The end of a statement: make the stretches of ``given`` what ``computed`` has, and count the rows that were not.

    Args:
        table: The rollup's.
        columns: Those with what is rolled up.
        keys: Those of the primary key besides ``begins_at``, the subject first.

    """
    kept = ", ".join(f"{column} = excluded.{column}" for column in columns)
    ours, new = (", ".join(f"{of}.{column}" for column in columns) for of in ("b", "excluded"))
    key = ", ".join((*keys, "begins_at"))
    every = ", ".join((*keys, "begins_at", *columns))
    same = " AND ".join(f"c.{column} = b.{column}" for column in (*keys, "begins_at"))
    return f"""
    removed AS (
        DELETE FROM {table} AS b USING given AS g
        WHERE b.{keys[0]} = g.{keys[0]} AND b.begins_at >= g.since AND b.begins_at < g.until
          AND NOT EXISTS (SELECT FROM computed AS c WHERE {same})
        RETURNING 1
    ), written AS (
        INSERT INTO {table} AS b ({every})
        SELECT {every} FROM computed
        ON CONFLICT ({key}) DO UPDATE SET {kept}
        WHERE ROW({ours}) IS DISTINCT FROM ROW({new})
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM written)
    """  # noqa: S608 - constants


@cache
def roll_up_statement() -> str:
    """Roll up stretches of whole minutes from their readings.

    Takes devices, beginnings and ends, and a transaction or null: what has readings that it or a later one wrote is
    left out then, and what is noted. Answers how many buckets were changed.
    """
    present = {key: f"({column_of(key)} IS NOT NULL OR faults ? '{key}')" for key in MEASURANDS}
    following = _each(
        f"min(at) FILTER (WHERE {present[key]}) OVER later AS {column_of(key)}_next" for key in MEASURANDS
    )
    timed = _each(
        f"{_value(key)} AS {column_of(key)}_value, {present[key]} AS {column_of(key)}_present, "
        f"date_part('epoch', least({column_of(key)}_next, at + {_HELD}) - at) AS {column_of(key)}_seconds"
        for key in MEASURANDS
    )
    return f"""
    WITH given AS MATERIALIZED (
        {_SETTLED}
    ), readings AS (
        SELECT g.since, g.until, least(r.observed_at, r.received_at) AS at,
               r.received_at - r.observed_at > {_DELAY} AS is_delayed,
               r.scenario_run_id IS NOT NULL AS is_simulated, r.*
        FROM given AS g CROSS JOIN LATERAL (
            SELECT * FROM device_readings AS r
            WHERE r.device_id = g.device_id AND r.observed_at >= g.since
              AND r.observed_at < g.until + {_HELD} + {_CLOCKS}
        ) AS r
    ), neighbours AS (
        SELECT *, {following}
        FROM readings
        WINDOW later AS (PARTITION BY device_id, since ORDER BY at DESC, observed_at DESC
                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), timed AS (
        SELECT device_id, date_bin('1 minute', at, 'epoch') AS begins_at, at, observed_at, is_delayed,
               is_simulated, faults, {timed}
        FROM neighbours WHERE at >= since AND at < until
    ), faulty AS (
        SELECT device_id, begins_at, jsonb_object_agg(measurand, codes) AS faults
        FROM (
            SELECT device_id, begins_at, measurand, jsonb_object_agg(code, many) AS codes
            FROM (
                SELECT device_id, begins_at, measurand, code, count(*) AS many
                FROM timed CROSS JOIN LATERAL jsonb_each_text(faults) AS f (measurand, code)
                GROUP BY device_id, begins_at, measurand, code
            ) AS counted
            GROUP BY device_id, begins_at, measurand
        ) AS collected
        GROUP BY device_id, begins_at
    ), grouped AS (
        SELECT device_id, begins_at,
           {_parts({key: _of_readings(key) for key in MEASURANDS})}
        FROM timed GROUP BY device_id, begins_at
    ), computed AS MATERIALIZED (
        SELECT g.*, f.faults FROM grouped AS g LEFT JOIN faulty AS f USING (device_id, begins_at)
    ), {write_statement(TABLES[RollupWidth.MINUTE])}
    """  # noqa: S608 - constants


def settled_statement() -> str:
    """Which of given stretches have no readings that a transaction or a later one wrote, and are not noted."""
    return _SETTLED


@cache
def combine_statement(source: str, width: RollupWidth) -> str:
    """Roll up stretches of whole buckets from the narrower ones of the table ``source``.

    Takes devices, beginnings and ends. Answers how many buckets were changed.
    """
    return f"""
    WITH given AS MATERIALIZED (
        SELECT * FROM {_GIVEN}
    ), narrow AS (
        SELECT date_bin(interval '{width.span.total_seconds():g} seconds', b.begins_at, 'epoch') AS wide_at, b.*
        FROM given AS g CROSS JOIN LATERAL (
            SELECT * FROM {source} AS b
            WHERE b.device_id = g.device_id AND b.begins_at >= g.since AND b.begins_at < g.until
        ) AS b
    ), faulty AS (
        SELECT device_id, wide_at, jsonb_object_agg(measurand, codes) AS faults
        FROM (
            SELECT device_id, wide_at, measurand, jsonb_object_agg(code, many) AS codes
            FROM (
                SELECT device_id, wide_at, measurand, code, sum(many::bigint) AS many
                FROM narrow CROSS JOIN LATERAL jsonb_each(faults) AS f (measurand, codes)
                CROSS JOIN LATERAL jsonb_each_text(codes) AS c (code, many)
                GROUP BY device_id, wide_at, measurand, code
            ) AS counted
            GROUP BY device_id, wide_at, measurand
        ) AS collected
        GROUP BY device_id, wide_at
    ), grouped AS (
        SELECT device_id, wide_at AS begins_at,
           {_parts({key: _of_rollups(key) for key in MEASURANDS})}
        FROM narrow GROUP BY device_id, wide_at
    ), computed AS MATERIALIZED (
        SELECT g.*, f.faults
        FROM grouped AS g LEFT JOIN faulty AS f ON f.device_id = g.device_id AND f.wide_at = g.begins_at
    ), {write_statement(TABLES[width])}
    """  # noqa: S608 - constants

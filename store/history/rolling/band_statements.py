"""The statements that roll up when capabilities were ON and OFF, as segments: of events by quarter, and by day.

What a segment is, and why it holds under any threshold, stands with the rule (``domain.history.rollups``).
"""

from __future__ import annotations

from functools import cache

from domain.history.rollups import SEGMENT_GAP, RollupWidth
from domain.monitoring.capabilities import Capability
from domain.monitoring.packets import DEFAULT_PAST_WINDOW
from store.history.rollup_statements import write_statement
from store.monitoring.statuses.transitions import AT, KINDS, said

BANDS = {RollupWidth.QUARTER: "band_quarters", RollupWidth.DAY: "band_days"}
"""The table of each width."""
LATE = f"interval '{DEFAULT_PAST_WINDOW.total_seconds() + 600:g} seconds'"
"""An event comes later than it was seen by less: the door refuses what is older, and a clock may run behind."""
ORDER = "first_at, n, observed_at, provider_event_ref"
"""The order of the fold within a tenure. Segments have their numbers, events their stamps and references."""
_KEYS = ("microgrid_id", "capability", "n")
_COLUMNS = ("status", "tenure", "scenario_run_id", "first_at", "last_at", "longest_gap")
_GAP = f"interval '{SEGMENT_GAP.total_seconds():g} seconds'"
_CAPABILITIES = "ARRAY['" + "', '".join(Capability) + "']"
_GIVEN = "unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS g (microgrid_id, since, until)"
_SETTLED = f"""
    SELECT * FROM {_GIVEN}
    WHERE $4::bigint IS NULL OR NOT (
        EXISTS (SELECT FROM unnest({_CAPABILITIES}) AS c (capability) CROSS JOIN {KINDS}
                CROSS JOIN LATERAL (
                    SELECT FROM capability_events AS e
                    WHERE {said("g.microgrid_id", "c.capability", "k.status", "k.simulated")}
                      AND {AT} >= g.since AND {AT} < g.until AND e.received_at >= g.since
                      AND e.received_at < g.until + {LATE} AND e.written_in >= $4
                ) AS e)
        OR EXISTS (SELECT FROM band_blocks AS n
                   WHERE n.microgrid_id = g.microgrid_id AND n.since < g.until AND n.until > g.since)
    )
"""  # noqa: S608 - constants


def counted_events(microgrid: str, capability: str, since: str, until: str) -> str:
    """Make the query of the events of a capability that count, seen from ``since`` on and before ``until``.

    The index ``capability_events_said`` finds them by when they were seen; by when they came, only months are chosen.
    The ``OFFSET`` keeps PostgreSQL from reading whole months and joining them.
    """
    return f"""
        SELECT e.status, e.tenure, e.scenario_run_id, {AT} AS at, e.observed_at, e.provider_event_ref
        FROM {KINDS}
        CROSS JOIN LATERAL (
            SELECT * FROM capability_events AS e
            WHERE {said(microgrid, capability, "k.status", "k.simulated")} AND {AT} >= {since} AND {AT} < {until}
              AND e.received_at >= {since} AND e.received_at < {until} + {LATE}
            OFFSET 0
        ) AS e
    """  # noqa: S608 - constants


def _segments(width: RollupWidth) -> str:
    """The end of a statement: make segments of ``pieces`` and write them."""
    place = f"PARTITION BY microgrid_id, capability, begins_at ORDER BY {ORDER}"
    return f"""
    counted AS (
        SELECT *, max(tenure) OVER ({place}) AS newest FROM pieces
    ), neighbours AS (
        SELECT *, lag(last_at) OVER place AS before,
               (lag(status) OVER place, lag(tenure) OVER place, lag(scenario_run_id) OVER place)
                   IS DISTINCT FROM (status, tenure, scenario_run_id) AS is_other
        FROM counted WHERE tenure = newest WINDOW place AS ({place})
    ), parted AS (
        SELECT *, is_other OR first_at - before > {_GAP} AS begins FROM neighbours
    ), numbered AS (
        SELECT *, CAST(count(*) FILTER (WHERE begins) OVER ({place}) AS integer) AS segment FROM parted
    ), computed AS MATERIALIZED (
        SELECT microgrid_id, capability, begins_at, segment AS n, status, tenure, scenario_run_id,
               min(first_at) AS first_at, max(last_at) AS last_at,
               greatest(max(longest_gap), max(first_at - before) FILTER (WHERE NOT begins)) AS longest_gap
        FROM numbered GROUP BY microgrid_id, capability, begins_at, segment, status, tenure, scenario_run_id
    ), {write_statement(BANDS[width], _COLUMNS, _KEYS)}
    """  # noqa: S608 - constants


@cache
def roll_up_bands_statement() -> str:
    """Roll up stretches of whole quarters of an hour from their events.

    Takes microgrids, beginnings and ends, and a transaction or null: what has events that it or a later one wrote is
    left out then, and what is noted. Answers how many segments were changed.
    """
    return f"""
    WITH given AS MATERIALIZED (
        {_SETTLED}
    ), pieces AS (
        SELECT g.microgrid_id, c.capability, date_bin('15 minutes', e.at, 'epoch') AS begins_at, e.at AS first_at,
               e.at AS last_at, interval '0' AS longest_gap, e.status, e.tenure, e.scenario_run_id, 0 AS n,
               e.observed_at, e.provider_event_ref
        FROM given AS g CROSS JOIN unnest({_CAPABILITIES}) AS c (capability)
        CROSS JOIN LATERAL ({counted_events("g.microgrid_id", "c.capability", "g.since", "g.until")}) AS e
    ), {_segments(RollupWidth.QUARTER)}
    """  # noqa: S608 - constants


def settled_bands_statement() -> str:
    """Which of given stretches have no events that a transaction or a later one wrote, and are not noted."""
    return _SETTLED


@cache
def combine_bands_statement() -> str:
    """Make the segments of stretches of whole days from those of their quarters.

    Takes microgrids, beginnings and ends. Answers how many segments were changed.
    """
    return f"""
    WITH given AS MATERIALIZED (
        SELECT * FROM {_GIVEN}
    ), pieces AS (
        SELECT b.microgrid_id, b.capability, date_bin('1 day', b.begins_at, 'epoch') AS begins_at, b.first_at,
               b.last_at, b.longest_gap, b.status, b.tenure, b.scenario_run_id, b.n,
               CAST(NULL AS timestamptz) AS observed_at, CAST(NULL AS text) AS provider_event_ref
        FROM given AS g CROSS JOIN LATERAL (
            SELECT * FROM band_quarters AS b
            WHERE b.microgrid_id = g.microgrid_id AND b.begins_at >= g.since AND b.begins_at < g.until
        ) AS b
    ), {_segments(RollupWidth.DAY)}
    """  # noqa: S608 - constants

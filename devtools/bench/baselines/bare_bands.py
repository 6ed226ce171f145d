"""The bands of a chart as one would ask for them by hand: when a microgrid's capabilities were ON and OFF.

Longer charts read segments of rolled up events (``domain.history.rollups``), and so does this. It knows nothing of
late events, tenures, thresholds of one microgrid, and of what is not rolled up yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from cli.errors import CommandFailedError
from domain.history.rollups import RollupWidth
from domain.monitoring.capabilities import Capability
from store.history.bands import OF_EVENTS, OF_QUARTERS
from store.history.rolling.band_statements import BANDS

_EVENTS = """
    SELECT capability, status, observed_at AS first_at, observed_at AS last_at FROM capability_events
    WHERE microgrid_id = $1 AND observed_at >= $2 AND observed_at < $3 AND received_at >= $2
"""
_SEGMENTS = """
    SELECT capability, status, first_at, last_at FROM {}
    WHERE microgrid_id = $1 AND begins_at >= $2 AND begins_at < $3
"""
_PERIODS = """
    SELECT capability, status, min(first_at), max(last_at)
    FROM (
        SELECT *, count(*) FILTER (WHERE status <> before OR first_at > last_before + $4::interval) OVER place AS island
        FROM (
            SELECT *, lag(status) OVER place AS before, lag(last_at) OVER place AS last_before
            FROM ({}) AS pieces WINDOW place AS (PARTITION BY capability ORDER BY first_at)
        ) AS neighbours WINDOW place AS (PARTITION BY capability ORDER BY first_at)
    ) AS islands
    GROUP BY capability, status, island ORDER BY 1, 3
"""


def bare_bands(microgrid_id: UUID, since: datetime, until: datetime) -> tuple[str, tuple[object, ...]]:
    """Make the statement, and what it is given, of the periods between two moments."""
    span = until - since
    if span <= OF_EVENTS:
        pieces = _EVENTS
    else:
        pieces = _SEGMENTS.format(BANDS[RollupWidth.DAY if span > OF_QUARTERS else RollupWidth.QUARTER])
    thresholds = {each.threshold for each in Capability}
    return _PERIODS.format(pieces), (microgrid_id, since, until, max(thresholds))


def check_same_bands(answer: dict[str, Any], rows: Sequence[asyncpg.Record]) -> None:
    """The bare statement says the same as the chart, away from the ends of the window: there a period may be cut
    otherwise, or not be rolled up yet.
    """
    first, last = (datetime.fromisoformat(answer[name]) for name in ("since", "until"))
    edge = min((last - first) / 4, timedelta(days=1))
    begin, end = first + edge, last - edge
    if not answer["capabilities"]:
        raise CommandFailedError("The chart has no bands.")
    for band in answer["capabilities"]:
        periods = zip(
            band["statuses"],
            map(datetime.fromisoformat, band["since"]),
            map(datetime.fromisoformat, band["until"]),
            strict=True,
        )
        shown = {(status, max(since, begin)) for status, since, until in periods if since < end and until > begin}
        bare = {(status, max(since, begin)) for capability, status, since, until in rows
                if capability == band["capability"] and since < end and until >= begin}  # fmt: skip
        if shown != bare:
            raise CommandFailedError(f"The chart has other periods of {band['capability']}: {sorted(shown ^ bare)[:5]}")

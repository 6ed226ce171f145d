"""How wide the buckets of a series are, and where they begin.

Buckets begin at whole multiples of their width since the Unix epoch, so that what is measured stays in its bucket as
time goes on.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

MOST_POINTS = 600
"""Buckets that a series has at most."""
LONGEST_SPAN = timedelta(days=367)
"""A leap year, and a day for the edges."""
WIDTHS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
)  # fmt: skip
"""Seconds that a bucket may be wide: those that one can tell in words."""


def bucket_for(span: timedelta) -> timedelta:
    """The narrowest bucket by which ``span`` has no more than ``MOST_POINTS`` of them."""
    least = span.total_seconds() / (MOST_POINTS - 1)
    return timedelta(seconds=next((width for width in WIDTHS if width >= least), math.ceil(least)))


def bucket_begin(moment: datetime, width: timedelta) -> datetime:
    """When the bucket that holds a moment begins."""
    seconds = width.total_seconds()
    return datetime.fromtimestamp(math.floor(moment.timestamp() / seconds) * seconds, UTC)

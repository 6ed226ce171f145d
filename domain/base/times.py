"""Which moments the product takes: from the beginning of 1970 to the end of 9999, in UTC.

The same as a packet's timestamp may say. What a clock elsewhere calls the year 1 or 9999 may lie outside of what can be
a date at all once it is told in UTC, so a moment is judged after that.
"""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
BOUNDS = "From 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z."
"""The same in words."""


def in_utc(moment: datetime) -> datetime | None:
    """Return a moment in UTC; None where it has no offset from UTC, or lies beyond the bounds."""
    if moment.utcoffset() is None:
        return None
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return None
    return utc if EARLIEST <= utc <= LATEST else None

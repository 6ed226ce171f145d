"""Which moments the product takes: from the beginning of 1970 to the end of 9999, in UTC.

The same as a packet's timestamp may say. A time in the year 1 or 9999 of another offset may not be
representable in UTC, so a time is checked after its conversion.
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

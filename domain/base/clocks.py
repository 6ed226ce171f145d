"""The clocks of whoever reports, which may be wrong.

A stamp is when something was measured by the clock of whoever measured it. Nothing comes before it was measured, so a
stamp that lies after its arrival is wrong, by at least as much as it lies ahead. For order and for age such a stamp
counts as its arrival: its *effective time* is the earlier of the two. What was sent is stored and returned unchanged.

A stamp that lies behind proves nothing: what waited before it was sent lies behind as well.
"""

from __future__ import annotations

from datetime import datetime, timedelta

AHEAD_WARNING = timedelta(seconds=10)
"""From so far ahead on a clock is warned of. A clock that is kept by NTP is right to well under a second."""


def effective_at(observed_at: datetime, received_at: datetime | None) -> datetime:
    """Return when something counts as measured; ``received_at`` None: not known, and the stamp is taken as it is."""
    return observed_at if received_at is None or observed_at <= received_at else received_at


def ahead(observed_at: datetime, received_at: datetime) -> timedelta:
    """Return how far a stamp lies ahead of its arrival; zero where it does not."""
    return max(observed_at - received_at, timedelta())


def is_wrong(clock_ahead: timedelta) -> bool:
    """Say whether a clock that runs so far ahead is to be warned of."""
    return clock_ahead >= AHEAD_WARNING

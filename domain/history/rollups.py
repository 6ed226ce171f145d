"""Rollups: what a measurand came to by minute, quarter of an hour and day, and when capabilities were ON and OFF.

A reading belongs to the bucket in which it was measured (its effective time), and holds until the next reading of the
same measurand, for ``HELD_AT_MOST`` at most; a reading without a value ends what held before. All of a reading's time
counts in the bucket of the reading, also where it ends in the next one. So a bucket needs nothing from the bucket
before it, and from what follows only the first reading within ``HELD_AT_MOST``; and buckets add up.

Of capabilities a bucket has *segments*: events that follow each other and say one status, under one epoch and of one
scenario run or none, with no more than ``SEGMENT_GAP`` between two of them. What counts of a segment later is whether
all of it does: an event of an earlier epoch than one before it does not, and all events of a segment have one epoch.
The segment's longest gap says whether the status was fresh all along under a threshold, whichever a depot has then; if
it was not, the events themselves say when it was. So segments need nothing from other buckets, and hold under any
threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

BLOCK = timedelta(hours=6)
"""What is rolled up of a device or microgrid at a time, at most."""
SEGMENT_GAP = timedelta(minutes=5)
"""With a longer time between two events a segment of a capability ends: that long a status may usually be old, so an
outage need not be looked for in the events. Wherever segments end, they come to the same."""


class RollupWidth(StrEnum):
    """How wide the buckets of a rollup are. All begin at multiples of their width since the Unix epoch, in UTC."""

    MINUTE = "MINUTE"
    QUARTER = "QUARTER"
    """A quarter of an hour. Every zone's day is made of whole ones, so local days are read from them."""
    DAY = "DAY"
    """A day in UTC, whatever the depot's zone is: that may change, and its days are 23 to 25 hours long."""

    @property
    def span(self) -> timedelta:
        """How long a bucket is."""
        return {
            RollupWidth.MINUTE: timedelta(minutes=1),
            RollupWidth.QUARTER: timedelta(minutes=15),
            RollupWidth.DAY: timedelta(days=1),
        }[self]


@dataclass(frozen=True)
class RollupRequest:
    """How long to roll readings up."""

    rounds: int = 100
    """Steps of a workflow; what is left after them is the next one's."""
    round_seconds: float = 60.0
    """About how long a step works."""


class RollupOutcome(StrEnum):
    """What rolling readings up came to."""

    UP_TO_DATE = "UP_TO_DATE"
    GOES_ON = "GOES_ON"
    """More is left; the next workflow goes on."""
    WAITS = "WAITS"
    """A transaction that stores something is open for long; what was stored since it began waits for its end."""


@dataclass(frozen=True)
class RollupReport:
    """What was rolled up."""

    blocks: int
    """Stretches of a device's readings or a microgrid's events, each of ``BLOCK`` at most, that had changed."""
    changed: int
    """Buckets of all widths that were written or removed."""
    blocks_left: int
    lag_seconds: float
    """How long ago everything that had come was rolled up."""

    def followed_by(self, then: RollupReport) -> RollupReport:
        """What both came to."""
        return RollupReport(self.blocks + then.blocks, self.changed + then.changed, then.blocks_left, then.lag_seconds)

    @property
    def outcome(self) -> RollupOutcome:
        """What it came to, at a glance."""
        if self.blocks_left:
            return RollupOutcome.GOES_ON
        return RollupOutcome.WAITS if self.lag_seconds > _LONG else RollupOutcome.UP_TO_DATE

    def in_words(self) -> str:
        """Say it to a person."""
        return (
            f"{self.blocks} stretches of readings and events rolled up, {self.changed} buckets changed, "
            f"{self.blocks_left} stretches left; everything is in it that came until {self.lag_seconds:.0f} s ago"
        )


_LONG = 300.0


@dataclass(frozen=True)
class RollupCheckRequest:
    """Which rollups to hold against their readings."""

    days: int | None = 3
    """The last whole days in UTC that are rolled up; None: all of which readings are kept."""
    repair: bool = True
    """Whether what differs is made right, or only counted."""
    check_id: UUID | None = None
    """None: the workflow makes one."""
    requested_by: str = "schedule:rollup-check"
    rounds: int = 1_000
    """Steps of a workflow."""
    round_seconds: float = 60.0
    """About how long a step compares."""


class RollupCheckOutcome(StrEnum):
    """What holding rollups against their readings came to."""

    EQUAL = "EQUAL"
    DIFFERENCES_FOUND = "DIFFERENCES_FOUND"


@dataclass(frozen=True)
class RollupCheckReport:
    """Rollups that were held against their readings."""

    compared: int
    """Days of devices and of microgrids that were compared."""
    differences: int
    """Buckets of all widths that were not what readings and events say: wrong, missing, or without any of these."""
    repaired: bool
    """Whether they were made right."""
    finished: bool
    """Whether all is compared."""

    @property
    def outcome(self) -> RollupCheckOutcome:
        """Whether there were any differences."""
        return RollupCheckOutcome.DIFFERENCES_FOUND if self.differences else RollupCheckOutcome.EQUAL

    def in_words(self) -> str:
        """Say it to a person."""
        what = "made right" if self.repaired else "left as they are"
        found = f"{self.differences} buckets differed and were {what}" if self.differences else "no bucket differs"
        left = "" if self.finished else "; more is left"
        return f"{self.compared} days of devices and microgrids compared: {found}{left}"

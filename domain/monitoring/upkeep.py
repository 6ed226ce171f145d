"""What the durable upkeep of the site takes and answers: the capacity watch, the history's months, the drift audit."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class WatchOutcome(StrEnum):
    """What the capacity watch has to say at a glance."""

    QUIET = "QUIET"
    """Since this run began every controller that is followed has been heard in time."""
    FAIL_SAFE_TAKEN = "FAIL_SAFE_TAKEN"
    """Somewhere the fail-safe took over."""


@dataclass(frozen=True)
class WatchInput:
    """How the capacity watch works, and what it did before it continued as new."""

    rounds_a_run: int = 500
    """After so many rounds it continues as new, so that its history stays short."""
    longest_wait_seconds: float = 5.0
    """How long a deadline that was set meanwhile, earlier than all others, can be missed."""
    passed: int = 0
    """Deadlines that passed since the watch was started."""


@dataclass(frozen=True)
class WatchRound:
    """What one look came to."""

    passed: int
    """Deadlines that were due."""
    next_in_seconds: float | None
    """How long until the next one, by the database's clock; None: no circuit follows a controller that is well."""


@dataclass(frozen=True)
class HistoryRequest:
    """Which months of the history there are to be."""

    months_ahead: int = 3
    """Made before they begin, so that a month of failures is survived."""
    months_kept: int = 25
    """Full months before this one that are kept; older ones are dropped with everything in them."""
    journal_months_kept: int = 84
    """The same of the journal."""
    rollup_months_kept: int = 120
    """The same of rollups by quarter of an hour and day, which are never kept for less than the history."""


class HistoryOutcome(StrEnum):
    """What the upkeep of the history came to."""

    UNCHANGED = "UNCHANGED"
    CHANGED = "CHANGED"


@dataclass(frozen=True)
class HistoryReport:
    """Partitions of the history that were made and dropped."""

    made: list[str] = field(default_factory=list[str])
    dropped: list[str] = field(default_factory=list[str])

    @property
    def outcome(self) -> HistoryOutcome:
        """Whether anything was done."""
        return HistoryOutcome.CHANGED if self.made or self.dropped else HistoryOutcome.UNCHANGED

    def in_words(self) -> str:
        """Say it to a person."""
        parts = [
            f"{word} {', '.join(names)}" for word, names in (("made", self.made), ("dropped", self.dropped)) if names
        ]
        return "; ".join(parts) or "nothing to do"


@dataclass(frozen=True)
class RunAuditRequest:
    """How to hold jobs against their workflows."""

    page_size: int = 200
    """Rows that are held against their workflows at a time."""


class RunAuditOutcome(StrEnum):
    """What holding jobs against their workflows came to."""

    IN_STEP = "IN_STEP"
    SETTLED = "SETTLED"


@dataclass(frozen=True)
class RunAuditReport:
    """Jobs that were held against their workflows."""

    looked_at: int
    """Rows that had not ended."""
    ended: int
    """Rows that were ended because their workflow had."""
    noted: int
    """Rows that said paused, and it was not, or the other way round."""
    stopped: int
    """Workflows that were asked to end, because no row is waiting for them."""

    @property
    def outcome(self) -> RunAuditOutcome:
        """Whether anything was done."""
        return RunAuditOutcome.SETTLED if self.ended or self.noted or self.stopped else RunAuditOutcome.IN_STEP

    def in_words(self) -> str:
        """Say it to a person."""
        return (
            f"{self.looked_at} jobs looked at: {self.ended} ended, {self.noted} paused or resumed; "
            f"{self.stopped} workflows asked to end"
        )


DRIFT_FOUND = "DRIFT_FOUND"
"""Why the drift audit asks for a sync."""
DRIFT_ACTOR = "schedule:drift-audit"
"""Who asks."""


@dataclass(frozen=True)
class DriftRequest:
    """How to look for depots whose microgrid does not follow their circuits."""

    repair: bool = True
    """Ask for a sync of each."""
    settle_seconds: float = 10.0
    """A depot that is in step after so long was only being synced."""


class DriftOutcome(StrEnum):
    """What the drift audit came to."""

    IN_STEP = "IN_STEP"
    DRIFT_FOUND = "DRIFT_FOUND"


@dataclass(frozen=True)
class DriftReport:
    """Depots out of step."""

    microgrids: int
    """How many were compared."""
    drifted: int
    depots: list[UUID]
    """The first hundred of them."""
    repairing: bool
    """Whether a sync was asked for each."""

    @property
    def outcome(self) -> DriftOutcome:
        """Whether there are any."""
        return DriftOutcome.DRIFT_FOUND if self.drifted else DriftOutcome.IN_STEP

    def in_words(self) -> str:
        """Say it to a person."""
        if not self.drifted:
            return f"{self.microgrids} microgrids in step"
        what = "a sync of each is asked for" if self.repairing else "nothing is repaired"
        return f"{self.drifted} of {self.microgrids} microgrids out of step; {what}"


@dataclass(frozen=True)
class ReadingFillRequest:
    """How long to read stored packets into typed readings."""

    rounds: int = 100
    """Steps of a workflow; what is left after them is the next one's."""
    round_seconds: float = 60.0
    """About how long a step reads."""


class ReadingFillOutcome(StrEnum):
    """What reading stored packets came to."""

    NOTHING_TO_DO = "NOTHING_TO_DO"
    FILLED = "FILLED"
    GOES_ON = "GOES_ON"
    """More is left; the next workflow goes on."""


@dataclass(frozen=True)
class ReadingFillReport:
    """Stored packets that were read into typed readings."""

    packets: int
    gateways: int
    """Gateways of which all are read."""
    gateways_left: int

    def followed_by(self, then: ReadingFillReport) -> ReadingFillReport:
        """What both came to."""
        return ReadingFillReport(self.packets + then.packets, self.gateways + then.gateways, then.gateways_left)

    @property
    def outcome(self) -> ReadingFillOutcome:
        """What it came to, at a glance."""
        if self.gateways_left:
            return ReadingFillOutcome.GOES_ON
        return ReadingFillOutcome.FILLED if self.gateways else ReadingFillOutcome.NOTHING_TO_DO

    def in_words(self) -> str:
        """Say it to a person."""
        return f"{self.packets} packets read, {self.gateways} gateways done, {self.gateways_left} left"

"""What a backfill is asked, how far it is, and what it found (COR-8.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from domain.base.jobs import JobKind, JobState
from domain.base.problems import ProblemCode

DEFAULT_PAGE_SIZE = 2_000
"""Depots in one page, which is one transaction: large enough that the work outweighs the step around it."""
MAX_PAGE_SIZE = 20_000

BACKFILL = JobKind(
    name="BACKFILL",
    noun="backfill",
    not_found=ProblemCode.BACKFILL_NOT_FOUND,
    not_running=ProblemCode.BACKFILL_NOT_RUNNING,
)


class BackfillOutcome(StrEnum):
    """What the backfill found for one depot. In a dry run: what it would have done."""

    CREATED = "CREATED"
    """The depot had top-level circuits and no microgrid; now it has one."""
    ALREADY_PROVISIONED = "ALREADY_PROVISIONED"
    """The depot had its microgrid; the backfill left it alone."""
    NO_TOP_LEVEL_CIRCUITS = "NO_TOP_LEVEL_CIRCUITS"
    """There is nothing to make grid connections of (COR-8.12)."""


@dataclass(frozen=True)
class BackfillRequest:
    """What was asked for."""

    backfill_id: UUID
    dry_run: bool
    page_size: int
    requested_by: str


@dataclass(frozen=True)
class PageBounds:
    """One page: the depots with ``after < id <= upto``."""

    page: int
    """Counts from 0 through the whole backfill, across continue-as-new."""
    after: UUID | None
    """None: from the very first depot."""
    upto: UUID


@dataclass(frozen=True)
class PageRequest:
    """One page of one backfill, as the page activity gets it."""

    backfill: BackfillRequest
    bounds: PageBounds


@dataclass(frozen=True)
class PlanRequest:
    """Asks for the bounds of the next pages."""

    backfill: BackfillRequest
    next_page: int
    after: UUID | None
    pages: int
    """At most so many."""


@dataclass(frozen=True)
class FirstPages:
    """What a backfill begins with."""

    depots_total: int
    """Depots that exist."""
    pages: list[PageBounds]
    """The first pages, at most as many as were asked for."""


@dataclass(frozen=True)
class EndRequest:
    """How a backfill ended."""

    backfill: BackfillRequest
    state: JobState
    failure: str | None = None
    pages: int | None = None
    """How many pages were finished, of one that completed."""


@dataclass(frozen=True)
class StateRequest:
    """A backfill that is paused, or goes on."""

    backfill: BackfillRequest
    state: JobState


@dataclass(frozen=True)
class OutcomeCounts:
    """Depots by outcome."""

    created: int = 0
    already_provisioned: int = 0
    no_top_level_circuits: int = 0

    def __add__(self, other: OutcomeCounts) -> OutcomeCounts:
        return OutcomeCounts(
            self.created + other.created,
            self.already_provisioned + other.already_provisioned,
            self.no_top_level_circuits + other.no_top_level_circuits,
        )

    @property
    def depots(self) -> int:
        """All depots that have an outcome."""
        return self.created + self.already_provisioned + self.no_top_level_circuits

    def by_outcome(self) -> dict[BackfillOutcome, int]:
        """The same as a table from outcome to count."""
        return {
            BackfillOutcome.CREATED: self.created,
            BackfillOutcome.ALREADY_PROVISIONED: self.already_provisioned,
            BackfillOutcome.NO_TOP_LEVEL_CIRCUITS: self.no_top_level_circuits,
        }


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is: what its query answers and what continue-as-new carries on."""

    depots_total: int | None = None
    """Depots that existed when it began; None before they are counted."""
    counts: OutcomeCounts = field(default_factory=OutcomeCounts)
    next_page: int = 0
    after: UUID | None = None
    """The last depot of the last page that was planned. It only ever moves forward, so the backfill ends."""
    paused: bool = False


@dataclass(frozen=True)
class BackfillInput:
    """The workflow's one argument."""

    request: BackfillRequest
    progress: BackfillProgress = field(default_factory=BackfillProgress)
    pages_in_flight: int = 4
    """Pages worked on at the same time."""
    pages_a_run: int = 500
    """After so many pages the workflow continues as new, so that its history stays short."""

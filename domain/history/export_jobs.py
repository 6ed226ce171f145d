"""An export as a job: what is beyond the cap of one answer, made slice by slice and kept for a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.base.jobs import JobKind, JobState
from domain.base.problems import ProblemCode
from domain.base.times import LATEST
from domain.history.exports import ExportFormat, ExportKind

EXPORT = JobKind(
    name="EXPORT",
    noun="export",
    not_found=ProblemCode.EXPORT_NOT_FOUND,
    not_running=ProblemCode.EXPORT_NOT_RUNNING,
)

MOST_ROWS_OF_JOB = 20_000_000
"""Rows of one file that a job makes: about 2 GB as CSV."""
MAX_KEPT = 5
"""Exports of one person or program that go on or whose files are kept, at most."""
FILE_KEPT = timedelta(days=3)
"""How long a file is kept after it was made."""
SLICE_ROWS = 250_000
"""Rows that are read in one statement, at most: the window is halved until a slice of it has no more."""
_FEW = SLICE_ROWS // 8
SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True)
class ExportRequest:
    """What a job was asked for; what is selected stands in its row."""

    export_id: UUID
    kind: ExportKind
    file_format: ExportFormat
    requested_by: str


@dataclass(frozen=True)
class ExportEnd:
    """How an export ended."""

    request: ExportRequest
    state: JobState
    failure: str | None = None


@dataclass(frozen=True)
class ExportStateNote:
    """An export that is paused, or goes on."""

    request: ExportRequest
    state: JobState


@dataclass(frozen=True)
class ExportProgress:
    """What the workflow of an export knows of it; how far it is stands in its row."""

    paused: bool = False


@dataclass(frozen=True)
class ExportInput:
    """The workflow's one argument."""

    request: ExportRequest
    progress: ExportProgress = field(default_factory=ExportProgress)
    steps_a_run: int = 500
    """After so many steps the workflow continues as new, so that its history stays short."""


def bounded_window(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Return a window without the last second of the calendar, which PostgreSQL's driver takes for no end at all."""
    until = min(until, LATEST - timedelta(seconds=1))
    return min(since, until - timedelta(microseconds=1)), until


def first_slice(kind: ExportKind, since: datetime, until: datetime) -> timedelta:
    """Return how much of a window is read first. Remediations last, and would be in several slices: they have one."""
    whole = until - since
    return whole if kind is ExportKind.REMEDIATIONS else min(whole, timedelta(hours=6))


def most_rows(kind: ExportKind) -> int:
    """Return how many rows one slice may have."""
    return MOST_ROWS_OF_JOB if kind is ExportKind.REMEDIATIONS else SLICE_ROWS


def next_slice(width: timedelta, rows: int) -> timedelta:
    """Return how wide the next slice is, after one of this width with so many rows."""
    return width * 2 if rows <= _FEW else width

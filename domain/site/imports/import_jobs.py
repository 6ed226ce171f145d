"""An import as a job: a fleet's file that was uploaded, how far it is, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.base.jobs import JobKind, JobState
from domain.base.names import MAX_NAME_LENGTH
from domain.base.problems import ProblemCode
from domain.base.texts import fault_of, is_blank, normal

IMPORT = JobKind(
    name="IMPORT",
    noun="import",
    not_found=ProblemCode.IMPORT_NOT_FOUND,
    not_running=ProblemCode.IMPORT_NOT_RUNNING,
)

MAX_FILE_BYTES = 200 * 1_048_576
"""Bytes of a file that is kept for a job: about a million lines."""
MAX_OPEN = 20
"""Imports that have not ended, each of which keeps its file in the database."""
MAX_REPORTED = 1_000_000
"""Refused lines that the report of one import has. All are counted."""
REPORT_KEPT = timedelta(days=90)
"""How long the report of an import is kept after its end. Its counts stay."""


UNNAMED = "unnamed file"


class ReportFormat(StrEnum):
    """What a report is downloaded as."""

    NDJSON = "ndjson"
    CSV = "csv"


@dataclass(frozen=True)
class ImportRequest:
    """A file that was uploaded."""

    import_id: UUID
    file_name: str
    size_bytes: int
    sha256: str
    """Of the file, in hexadecimal digits."""
    requested_by: str


@dataclass(frozen=True)
class ImportEnd:
    """How an import ended."""

    request: ImportRequest
    state: JobState
    failure: str | None = None


@dataclass(frozen=True)
class ImportStateNote:
    """An import that is paused, or goes on."""

    request: ImportRequest
    state: JobState


@dataclass(frozen=True)
class ImportProgress:
    """What the workflow of an import knows of it; how far it is stands in its row."""

    paused: bool = False


@dataclass(frozen=True)
class ImportInput:
    """The workflow's one argument."""

    request: ImportRequest
    progress: ImportProgress = field(default_factory=ImportProgress)


def file_label(name: str | None) -> str:
    """Return what a file is called on pages: the last part of its path, as far as it is a text that can be shown."""
    last = normal(name or "").replace("\\", "/").rpartition("/")[2].strip()[:MAX_NAME_LENGTH]
    return UNNAMED if is_blank(last) or fault_of(last) is not None else last

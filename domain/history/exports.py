"""What can be taken away of a site's history: which tables, of what, and how much at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.site.measurands import MEASURANDS, MeasurandKey

MOST_ROWS = 1_000_000
"""Rows of one file: about 100 MB as CSV, and what a spreadsheet takes."""
CSV_ALONE = (
    "This installation writes CSV alone. For Parquet, install its extra and start the product again: "
    "uv sync --frozen --inexact --extra parquet"
)
"""What is said to somebody who asks for Parquet where it is not installed."""


class ExportKind(StrEnum):
    """What an export has a row for."""

    READINGS = "readings"
    """A device and a time of measurement."""
    CAPABILITY_HISTORY = "capability-history"
    """A status that was reported of a capability."""
    CAPACITY_HISTORY = "capacity-history"
    """A change of what a circuit may draw."""
    REMEDIATIONS = "remediations"


class ExportFormat(StrEnum):
    """The format of a file."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class ExportSelection:
    """Which rows, and for readings which columns. An empty tuple leaves nothing out."""

    since: datetime
    until: datetime
    """Rows from then on are left out."""
    depot_id: UUID | None = None
    device_ids: tuple[UUID, ...] = ()
    measurands: tuple[MeasurandKey, ...] = ()

    def as_detail(self) -> dict[str, str | list[str]]:
        """The selection, as the journal has it."""
        named = {
            "device_ids": [str(each) for each in self.device_ids],
            "measurands": [str(key) for key in self.measurands],
        }
        window = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return window | {name: values for name, values in named.items() if values}


def measurand_header(key: MeasurandKey) -> str:
    """The header of a measurand's column: ``SOC [%]``; without a unit the key alone."""
    unit = MEASURANDS[key].unit
    return key.value if unit is None else f"{key.value} [{unit}]"

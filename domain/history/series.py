"""Series of a measurand: what is chosen, how long a reading holds, and when it is delayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.base.problems import Problem, ProblemCode
from domain.site.measurands import MeasurandKey

MOST_SERIES = 8
"""Series that are shown together. More cannot be told apart."""
HELD_AT_MOST = timedelta(minutes=15)
"""For how long a reading counts in a mean where nothing follows it: as long as the slowest usual meter is silent."""
DELAYED_AFTER = timedelta(minutes=5)
"""A reading that came later than so long after its measurement is delayed: as old as a status may usually be."""


class SeriesSubject(StrEnum):
    """Of what a measurand is shown."""

    DEVICE = "device"
    CIRCUIT = "circuit"
    """Measured by a device that is linked to it."""
    POWER_SOURCE = "power-source"
    """Measured by a device that updates it."""


SUBJECT_NOT_FOUND = {
    SeriesSubject.DEVICE: ProblemCode.DEVICE_NOT_FOUND,
    SeriesSubject.CIRCUIT: ProblemCode.CIRCUIT_NOT_FOUND,
    SeriesSubject.POWER_SOURCE: ProblemCode.POWER_SOURCE_NOT_FOUND,
}


@dataclass(frozen=True)
class Selection:
    """One measurand of one subject. As a text: ``device:{id}:SOC``."""

    subject: SeriesSubject
    subject_id: UUID
    measurand: MeasurandKey

    def __str__(self) -> str:
        return f"{self.subject}:{self.subject_id}:{self.measurand}"

    @staticmethod
    def parse(given: str) -> Selection:
        """Read a selection back.

        Raises:
            Problem: ``INVALID_REQUEST``.

        """
        subject, _, rest = given.partition(":")
        subject_id, _, measurand = rest.partition(":")
        try:
            return Selection(SeriesSubject(subject), UUID(subject_id), MeasurandKey(measurand))
        except ValueError as error:
            raise Problem(
                ProblemCode.INVALID_REQUEST,
                "A series is a device, circuit or power-source, its id, and a measurand: `device:{id}:SOC`.",
                "series",
            ) from error


def parse_selections(given: Sequence[str]) -> list[Selection]:
    """Read selections, each once, in the order given.

    Raises:
        Problem: ``INVALID_REQUEST`` or ``TOO_MANY_SERIES``.

    """
    if len(given) > MOST_SERIES and len(set(given)) > MOST_SERIES:
        raise Problem(
            ProblemCode.TOO_MANY_SERIES, f"At most {MOST_SERIES} series are read at once, not {len(set(given))}."
        )
    return list(dict.fromkeys(Selection.parse(each) for each in given))

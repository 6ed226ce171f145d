"""Quantities as people write them, and as the simulation counts them: whole watts, joules, milliseconds.

The simulation counts in integers, so that every machine gets the same bytes: no rounding differs, and no sum depends
on its order.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_KW = 1_000_000
"""A gigawatt: more than any depot has, so more can only be a slip."""
JOULES_PER_KWH = 3_600_000
MAX_DURATION_MS = 7 * 86_400_000

_DURATION = re.compile(r"(?:([0-9]{1,3})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?")
_DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^(?=.)([0-9]{1,3}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$",
    "description": "Hours, minutes and seconds: 24h, 1h30m, 90s.",
}


def _duration(value: object) -> int:
    """Read a duration into milliseconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if found is None:
        raise PydanticCustomError("wrong_form", "Must be a duration such as 24h, 1h30m or 90s.")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    milliseconds = ((hours * 60 + minutes) * 60 + seconds) * 1000
    if milliseconds > MAX_DURATION_MS:
        raise PydanticCustomError("out_of_range", "Must be a week at most.")
    return milliseconds


def duration_text(milliseconds: int) -> str:
    """Write a duration as the scenario language has it: 1h30m; 0s for none."""
    hours, rest = divmod(milliseconds // 1000, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if count]
    return "".join(parts) or "0s"


Duration = Annotated[
    int, BeforeValidator(_duration), PlainSerializer(duration_text, return_type=str), WithJsonSchema(_DURATION_SCHEMA)
]
"""A duration in milliseconds, written as 1h30m."""

Kilowatts = Annotated[float, Field(ge=0, le=MAX_KW, description="kW")]
Percent = Annotated[float, Field(ge=0, le=100, description="%")]


def watts(kilowatts: float) -> int:
    """Return whole watts."""
    return round(kilowatts * 1000)


def joules(kilowatt_hours: float) -> int:
    """Return whole joules."""
    return round(kilowatt_hours * JOULES_PER_KWH)


def permille(percent: float) -> int:
    """Return whole tenths of a percent."""
    return round(percent * 10)


def plain(number: Any) -> Any:
    """Return an integer where a float has no fraction, so that 50.0 and 50 are the same document."""
    return int(number) if isinstance(number, float) and number.is_integer() else number

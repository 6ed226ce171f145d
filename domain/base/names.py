"""What a depot, a circuit, a device or a power source may be called, and how a packet names a sensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from domain.base.problems import Problem, ProblemCode
from domain.base.texts import fault_of, is_blank, normal

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
"""The one form of a UUID in a packet, in either case."""
MAX_NAME_LENGTH = 200
"""Characters, after surrounding white space is removed."""
MAX_ID_LENGTH = 200
"""Characters of a sensor's id."""
MAX_CONTROLLER_LENGTH = 100
"""Characters of the name of a controller's translation table."""
NamedT = TypeVar("NamedT")


def clean_name(raw: str, *, field: str = "name") -> str:
    """Return the one form of ``raw`` (see ``domain.base.texts``), without surrounding white space.

    Raises:
        Problem: ``INVALID_NAME`` for a blank or overlong name, or one that holds what no text may hold.

    """
    name = normal(raw).strip()
    if is_blank(name):
        raise Problem(ProblemCode.INVALID_NAME, "A name must not be blank.", field)
    if len(name) > MAX_NAME_LENGTH:
        raise Problem(
            ProblemCode.INVALID_NAME,
            f"A name has at most {MAX_NAME_LENGTH} characters; this one has {len(name)}.",
            field,
        )
    fault = fault_of(name)
    if fault is not None:
        raise Problem(ProblemCode.INVALID_NAME, f"A name must not hold {fault}.", field)
    return name


def clean_sensor_id(raw: str) -> str:
    """Return the one form of a sensor's id within its gateway (see ``domain.base.texts``).

    White space at its ends stays: packets name the sensor by exactly this text.

    Raises:
        Problem: ``INVALID_REQUEST`` for a blank or overlong id, or one that holds what no text may hold.

    """
    sensor_id = normal(raw)
    if is_blank(sensor_id) or len(sensor_id) > MAX_ID_LENGTH:
        detail = f"A sensor id has 1 to {MAX_ID_LENGTH} characters, exactly as in its packets, and is not blank."
        raise Problem(ProblemCode.INVALID_REQUEST, detail, "sensor_id")
    fault = fault_of(sensor_id)
    if fault is not None:
        raise Problem(ProblemCode.INVALID_REQUEST, f"A sensor id must not hold {fault}.", "sensor_id")
    return sensor_id


def best_matches(term: str, found: Iterable[NamedT], name_of: Callable[[NamedT], str]) -> list[NamedT]:
    """Of what was found by a part of its name: those whose whole name it is, in any case; without such, all."""
    matches = list(found)
    return [each for each in matches if name_of(each).casefold() == term.casefold()] or matches

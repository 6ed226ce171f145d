"""What a depot, a circuit, a device or a power source may be called, and how a packet names a sensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from domain.base.problems import Problem, ProblemCode
from domain.base.texts import fault_of, is_blank, is_plain, normal

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
"""The one form of a UUID in a packet, in either case."""
MAX_NAME_LENGTH = 200
"""Characters, after surrounding white space is removed."""
MAX_ID_LENGTH = 200
"""Characters of a sensor's id."""
MAX_REGION_LENGTH = 100
"""Characters of the region that a depot is filed under."""
MAX_TAG_LENGTH = 50
MAX_TAGS = 20
"""Tags of a depot."""
MAX_CONTROLLER_LENGTH = 100
"""Characters of the name of a controller's translation table."""
NamedT = TypeVar("NamedT")


def clean_name(raw: str, *, field: str = "name", noun: str = "A name", most: int = MAX_NAME_LENGTH) -> str:
    """Return the one form of ``raw`` (see ``domain.base.texts``), without surrounding white space.

    ``noun`` is what messages call it, ``most`` how many characters it may have.

    Raises:
        Problem: ``INVALID_NAME`` for a blank or overlong name, or one that holds what no text may hold.

    """
    name = normal(raw).strip()
    if name and len(name) <= most and is_plain(name):
        return name
    if is_blank(name):
        raise Problem(ProblemCode.INVALID_NAME, f"{noun} must not be blank.", field)
    if len(name) > most:
        raise Problem(
            ProblemCode.INVALID_NAME,
            f"{noun} has at most {most} characters; this one has {len(name)}.",
            field,
        )
    fault = fault_of(name)
    if fault is not None:
        raise Problem(ProblemCode.INVALID_NAME, f"{noun} must not hold {fault}.", field)
    return name


def clean_region(raw: str) -> str:
    """Return the one form of the region that a depot is filed under.

    Raises:
        Problem: ``INVALID_NAME`` for what no name may be.

    """
    return clean_name(raw, field="region", noun="A region", most=MAX_REGION_LENGTH)


def clean_tags(raw: Sequence[str]) -> list[str]:
    """Return the one form of a depot's tags: in alphabetical order, each once, as it was first written in any case.

    A tag has no comma, because people write tags with commas between them.

    Raises:
        Problem: ``INVALID_NAME`` for a tag that no name may be, or that has a comma; ``INVALID_REQUEST`` for too many.

    """
    if len(raw) > MAX_TAGS:
        detail = f"A depot has at most {MAX_TAGS} tags; here are {len(raw):,}."
        raise Problem(ProblemCode.INVALID_REQUEST, detail, "tags")
    tags: dict[str, str] = {}
    for each in raw:
        tag = clean_name(each, field="tags", noun="A tag", most=MAX_TAG_LENGTH)
        if "," in tag:
            raise Problem(ProblemCode.INVALID_NAME, "A tag must not hold a comma.", "tags")
        tags.setdefault(tag.lower(), tag)
    return [tags[key] for key in sorted(tags)]


def clean_sensor_id(raw: str) -> str:
    """Return the one form of a sensor's id within its gateway (see ``domain.base.texts``).

    White space at its ends stays: packets name the sensor by exactly this text.

    Raises:
        Problem: ``INVALID_REQUEST`` for a blank or overlong id, or one that holds what no text may hold.

    """
    sensor_id = normal(raw)
    if len(sensor_id) <= MAX_ID_LENGTH and is_plain(sensor_id) and not sensor_id.isspace() and sensor_id:
        return sensor_id
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

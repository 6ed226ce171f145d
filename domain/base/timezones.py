"""Which time zones a depot may lie in: those of the IANA database that comes with the product.

The system's own files are not looked at. They differ from machine to machine, and hold names that mean another zone on
each (``localtime``), or that are not IANA's (``posixrules``, ``right/…``).
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from domain.base.problems import Problem, ProblemCode

_NO_PLACE = frozenset({"Factory"})
"""Names of the database that no place has: a clock that nobody has set yet."""


@cache
def known_timezones() -> frozenset[str]:
    """Return every name that a depot's time zone may have."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - _NO_PLACE


def check_timezone(name: str) -> str:
    """Return ``name`` where the IANA database knows it.

    Raises:
        Problem: ``INVALID_TIMEZONE``.

    """
    if name not in known_timezones():
        raise Problem(ProblemCode.INVALID_TIMEZONE, "This is not a time zone of the IANA database.", "timezone")
    return name


@cache
def _zone(name: str) -> ZoneInfo:
    with files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def find_timezone(name: str) -> tzinfo:
    """Return a time zone; UTC for a name that is none, which a depot of an earlier version may have."""
    return _zone(name) if name in known_timezones() else UTC

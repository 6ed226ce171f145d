"""Which time zones a depot may lie in."""

from __future__ import annotations

import zoneinfo
from functools import cache

from domain.problems import Problem, ProblemCode


@cache
def _known() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def check_timezone(name: str) -> str:
    """Return ``name`` where the IANA database knows it.

    Raises:
        Problem: ``INVALID_TIMEZONE``.

    """
    if name not in _known():
        raise Problem(ProblemCode.INVALID_TIMEZONE, f"{name!r} is not a time zone of the IANA database.", "timezone")
    return name

"""Which time zones a depot may lie in: those of the IANA database that comes with the product.

The system's own files are not looked at. They differ from machine to machine, and hold names that mean another zone on
each (``localtime``), or that are not IANA's (``posixrules``, ``right/…``).
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files
from unicodedata import combining, normalize
from zoneinfo import ZoneInfo

from domain.base.problems import Problem, ProblemCode

_NO_PLACE = frozenset({"Factory"})
"""Names of the database that no place has: a clock that nobody has set yet."""


_LONGEST = 64
"""Characters of what is looked for; the longest name of a time zone has half as many."""
_LIKENESS = 0.75


@cache
def known_timezones() -> frozenset[str]:
    """Return every name that a depot's time zone may have."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - _NO_PLACE


def check_timezone(name: str, *, suggest: bool = True) -> str:
    """Return ``name`` where the IANA database knows it.

    ``suggest``: the refusal asks whether the nearest one was meant. It takes milliseconds, which a file of a million
    lines has none of to give.

    Raises:
        Problem: ``INVALID_TIMEZONE``.

    """
    if name not in known_timezones():
        near = suggest_timezone(name) if suggest else None
        detail = "This is not a time zone of the IANA database."
        detail += "" if near is None else f" Did you mean {near}?"
        raise Problem(ProblemCode.INVALID_TIMEZONE, detail, "timezone")
    return name


@lru_cache(maxsize=256)
def suggest_timezone(given: str) -> str | None:
    """Return the time zone that was most likely meant: the one of that city, or the one that is spelt most like it."""
    wanted = _spelling(given[: _LONGEST + 1])
    if not wanted or len(given) > _LONGEST:
        return None
    spellings = _spellings()
    found = spellings.get(wanted) or spellings.get(wanted.rpartition("/")[2])
    if found is None:
        near = get_close_matches(wanted, spellings, n=1, cutoff=_LIKENESS)
        near = near or get_close_matches(wanted.rpartition("/")[2], spellings, n=1, cutoff=_LIKENESS)
        found = spellings[near[0]] if near else None
    return found


@cache
def _spellings() -> dict[str, str]:
    """Every time zone, by its whole name and by that of its city; of several cities of a name the shortest name."""
    found: dict[str, str] = {}
    for name in sorted(known_timezones(), key=lambda each: (len(each), each)):
        found.setdefault(_spelling(name), name)
    for name in sorted(known_timezones(), key=lambda each: (len(each), each)):
        found.setdefault(_spelling(name).rpartition("/")[2], name)
    return found


def _spelling(name: str) -> str:
    """A name without case, accents, and how its words are parted."""
    plain = "".join(each for each in normalize("NFKD", name.casefold()) if not combining(each))
    return "_".join(plain.replace("_", " ").replace("-", " ").split())


@cache
def _zone(name: str) -> ZoneInfo:
    with files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def find_timezone(name: str) -> tzinfo:
    """Return a time zone; UTC for a name that is none, which a depot of an earlier version may have."""
    return _zone(name) if name in known_timezones() else UTC

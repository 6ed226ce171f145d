"""What is wrong with a document, and where: a JSON pointer, a stable code, a reason for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Violation:
    """One rule that a document breaks."""

    pointer: str
    """Where, as an RFC 6901 pointer from the document's root; empty for the document itself."""
    code: StrEnum
    """Which rule. A code never changes its meaning."""
    reason: str
    """For people. It never repeats the offending value, so it is always short and printable."""


_ESCAPES = str.maketrans({"~": "~0", "/": "~1"})
_MAX_TOKEN_LENGTH = 100


def below(pointer: str, key: str) -> str:
    """Return the pointer to ``key`` under ``pointer``.

    A key that could not be shown as it is (overlong, or with a character that is not printable) is not
    repeated: the pointer then stays with the object that holds it.
    """
    if len(key) > _MAX_TOKEN_LENGTH or not key.isprintable():
        return pointer
    return f"{pointer}/{key.translate(_ESCAPES)}"


def field_path(pointer: str) -> str:
    """Return a pointer in the form in which problems name a field: ``sensors.0.value``; the document is ``body``."""
    return pointer.removeprefix("/").replace("/", ".").replace("~1", "/").replace("~0", "~") or "body"

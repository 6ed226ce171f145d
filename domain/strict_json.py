"""JSON as the packet door takes it: what is no JSON at all, and what must not be stored although it is.

Two steps, so that one bad packet in an array does not take the others with it. ``decode_json`` refuses a
body that has no structure to speak of. What it lets through still holds what is wrong with a single packet,
marked so that ``faults_in`` (and so ``domain.packets.parse_packet``) finds it with a pointer: a repeated key
comes out as ``RepeatedKeys``, and ``NaN``, ``Infinity`` and ``1e400`` come out as floats that are not finite.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from domain.violations import Violation, below

MAX_DEPTH = 32
"""Levels of arrays and objects in one packet, itself included. The contract needs five; the rest is room for
unknown keys. The bound keeps every later walk, and PostgreSQL's parser, far from its own limit."""
MAX_NUMBER = sys.float_info.max
"""Numbers must be finite as IEEE 754 doubles: beyond, a reader would turn them into infinity."""


class JsonCode(StrEnum):
    """Why a body or a value in it cannot be taken as JSON that can be stored."""

    NOT_UTF8 = "NOT_UTF8"
    """The bytes are not UTF-8."""
    NOT_JSON = "NOT_JSON"
    """The text is not one JSON value."""
    TOO_DEEP = "TOO_DEEP"
    """Arrays and objects are nested deeper than ``MAX_DEPTH``."""
    NUMBER_TOO_LONG = "NUMBER_TOO_LONG"
    """An integer has more digits than can be read without harm (Python's own bound, 4,300 by default)."""
    REPEATED_KEY = "REPEATED_KEY"
    """An object has a key twice, so its meaning would depend on the reader."""
    NUMBER_NOT_FINITE = "NUMBER_NOT_FINITE"
    """``NaN``, ``Infinity``, or a number beyond ``MAX_NUMBER``."""
    UNSTORABLE_TEXT = "UNSTORABLE_TEXT"
    """A text or a key holds NUL, which PostgreSQL cannot store, or half of a surrogate pair, which has no UTF-8."""


class BrokenJsonError(Exception):
    """A body that is no JSON document; nothing in it can be used."""

    def __init__(self, code: JsonCode, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class RepeatedKeys(dict[str, Any]):
    """An object that had a key more than once. Not a plain ``dict`` by type, so that no reader takes it for one."""


UNSTORABLE_CHARACTERS = r"\u0000\ud800-\udfff"
"""The inside of a character class; written in escapes that Python and JSON Schema read alike."""
_UNSTORABLE = re.compile(f"[{UNSTORABLE_CHARACTERS}]")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else RepeatedKeys(made)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def decode_json(raw: bytes) -> object:
    """Read one JSON value in UTF-8 without a byte order mark.

    Raises:
        BrokenJsonError: ``NOT_UTF8``, ``NOT_JSON``, ``TOO_DEEP`` (so deep that even reading fails) or
            ``NUMBER_TOO_LONG``.

    """
    try:
        return _DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise BrokenJsonError(JsonCode.NOT_UTF8, f"Byte {error.start} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        reason = f"Not JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        raise BrokenJsonError(JsonCode.NOT_JSON, reason) from None
    except RecursionError:
        reason = f"Arrays and objects may be nested {MAX_DEPTH} levels deep."
        raise BrokenJsonError(JsonCode.TOO_DEEP, reason) from None
    except ValueError:
        # The one other error of the decoder: int() refuses a number of too many digits.
        raise BrokenJsonError(JsonCode.NUMBER_TOO_LONG, "An integer has too many digits.") from None


def is_storable(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8 and kept by PostgreSQL."""
    return ("\0" not in text) if text.isascii() else _UNSTORABLE.search(text) is None


def faults_in(value: object, pointer: str, depth: int) -> Iterator[Violation]:
    """Find what must not be stored in ``value``, which stands at ``pointer`` and is on level ``depth`` if it nests.

    Walks without recursion, and not below a value that is itself at fault.
    """
    pending: list[tuple[object, str, int]] = [(value, pointer, depth)]
    while pending:
        each, where, level = pending.pop()
        fault = _fault(each, where, level)
        if fault is not None:
            yield fault
        elif isinstance(each, list):
            pending.extend((item, f"{where}/{index}", level + 1) for index, item in enumerate(each))
        elif isinstance(each, dict):
            for key, item in each.items():
                if not is_storable(key):
                    yield unstorable(where)
                pending.append((item, below(where, key), level + 1))


def _fault(value: object, where: str, level: int) -> Violation | None:
    """Say what is wrong with a value, leaving out what is in it."""
    if isinstance(value, str):
        return None if is_storable(value) else unstorable(where)
    if isinstance(value, int | float):
        finite = -MAX_NUMBER <= value <= MAX_NUMBER
        return None if finite else Violation(where, JsonCode.NUMBER_NOT_FINITE, "A number must be finite as a double.")
    if isinstance(value, RepeatedKeys):
        return repeated_key(where)
    if isinstance(value, dict | list) and level > MAX_DEPTH:
        return Violation(where, JsonCode.TOO_DEEP, f"A packet nests {MAX_DEPTH} levels deep at most.")
    return None


def unstorable(pointer: str) -> Violation:
    """Say that the text at ``pointer``, or a key of the object there, cannot be stored."""
    return Violation(pointer, JsonCode.UNSTORABLE_TEXT, "Text must hold neither NUL nor half a surrogate pair.")


def repeated_key(pointer: str) -> Violation:
    """Say that the object at ``pointer`` has a key twice."""
    return Violation(pointer, JsonCode.REPEATED_KEY, "An object must not have the same key twice.")

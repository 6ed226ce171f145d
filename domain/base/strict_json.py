"""JSON as packet ingest takes it: what is no JSON at all, and what must not be stored although it is.

Two steps, so that one bad packet in an array does not take the others with it. ``read_json`` refuses a
body that has no structure to speak of. What it lets through still holds what is wrong with a single packet,
marked so that ``faults_in`` (and so ``domain.monitoring.packets.parse_packet``) finds it with a pointer: a repeated key
comes out as ``RepeatedKeys``, a number that cannot be taken as ``UnfitNumber``, and ``NaN``, ``Infinity`` and
``1e400`` as floats that are not finite.

A number is the double next to it. A whole number is kept to the last digit as long as it is in the range of a double:
identifiers and times in nanoseconds are such, under keys that the contract does not know.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic_core import from_json

from domain.base.violations import Violation, below

MAX_DEPTH = 32
"""Levels of arrays and objects in one packet, itself included. The contract needs five; the rest is room for
unknown keys. The bound keeps every later walk, and PostgreSQL's parser, far from its own limit."""
MAX_NUMBER = sys.float_info.max
"""Numbers must be finite as IEEE 754 doubles: beyond, a reader would turn them into infinity."""
MAX_NUMBER_LENGTH = 1_100
"""Characters of one number. A double that is written out to its last digit has up to 1,079."""
MAX_STORED_LENGTH = 2_097_152
"""Characters of a document with its numbers written out, as PostgreSQL gives it back: ``1e308`` is 309 digits there."""
MAX_EXACT_INTEGER = 2**53
"""Up to here a double holds every whole number."""


class JsonCode(StrEnum):
    """Why a body or a value in it cannot be taken as JSON that can be stored."""

    NOT_UTF8 = "NOT_UTF8"
    """The bytes are not UTF-8."""
    NOT_JSON = "NOT_JSON"
    """The text is not one JSON value."""
    TOO_DEEP = "TOO_DEEP"
    """Arrays and objects are nested deeper than ``MAX_DEPTH``."""
    NUMBER_TOO_LONG = "NUMBER_TOO_LONG"
    """A number has more than ``MAX_NUMBER_LENGTH`` characters, or is a 0 with an exponent of thousands."""
    NUMBER_TOO_SMALL = "NUMBER_TOO_SMALL"
    """A number other than 0 is so small that a double holds it as 0."""
    NUMBER_NOT_EXACT = "NUMBER_NOT_EXACT"
    """A whole number is measured that a double holds as another one: beyond ``MAX_EXACT_INTEGER``."""
    DOCUMENT_TOO_LONG = "DOCUMENT_TOO_LONG"
    """With its numbers written out a document has more characters than it may have."""
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


class UnfitNumber(float):
    """A number that cannot be taken. Not a plain ``float`` by type, so that no reader takes it for one."""

    code: JsonCode

    def __new__(cls, code: JsonCode) -> UnfitNumber:
        """Make the mark of such a number."""
        made = super().__new__(cls, "nan")
        made.code = code
        return made


class ReadJson(NamedTuple):
    """A JSON value as it was read."""

    value: object
    text: str
    """As it was written."""
    is_plain: bool
    """Whether all texts in it are ASCII, so that each is in its one form (see ``domain.base.texts``). Most are."""
    item_texts: tuple[str, ...] = ()
    """Of an array, each of its items as it was written; empty where that is not known."""


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else RepeatedKeys(made)


def _float(text: str) -> float:
    number = float(text) if len(text) <= MAX_NUMBER_LENGTH else 0.0
    return number or _zero(text)


_MANTISSA = re.compile(r"-?([0-9.]+)(?:[eE][-+]?0*([0-9]*))?")
_MAX_EXPONENT_DIGITS = 3


def _zero(text: str) -> float:
    """Read a number that is too long, or that a double holds as 0."""
    if len(text) > MAX_NUMBER_LENGTH:
        return UnfitNumber(JsonCode.NUMBER_TOO_LONG)
    found = _MANTISSA.fullmatch(text)
    assert found is not None
    if found[1].strip("0."):
        return UnfitNumber(JsonCode.NUMBER_TOO_SMALL)
    # A zero has no use for an exponent, and PostgreSQL cannot read a large one.
    return UnfitNumber(JsonCode.NUMBER_TOO_LONG) if len(found[2] or "") > _MAX_EXPONENT_DIGITS else 0.0


def _int(text: str) -> int | float:
    return UnfitNumber(JsonCode.NUMBER_TOO_LONG) if len(text) > MAX_NUMBER_LENGTH else int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float)
_FOR_LONG_INTEGERS = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_float,
    parse_int=_int,  # pyright: ignore[reportArgumentType] - the mark of a number is one, too
)


def decode_json(raw: bytes) -> object:
    """Read one JSON value in UTF-8 without a byte order mark; see ``read_json``."""
    return read_json(raw).value


def read_json(raw: bytes) -> ReadJson:
    """Read one JSON value in UTF-8 without a byte order mark.

    Raises:
        BrokenJsonError: ``NOT_UTF8``, ``NOT_JSON`` or ``TOO_DEEP`` (so deep that even reading fails).

    """
    try:
        text = raw.decode()
        is_plain = text.isascii() and "\\u" not in text
        array = _decode_array(text)
        if array is not None:
            return ReadJson(array[0], text, is_plain, array[1])
        return ReadJson(_decode(text), text, is_plain)
    except UnicodeDecodeError as error:
        raise BrokenJsonError(JsonCode.NOT_UTF8, f"Byte {error.start} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        reason = f"Not JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        raise BrokenJsonError(JsonCode.NOT_JSON, reason) from None
    except RecursionError:
        reason = f"Arrays and objects may be nested {MAX_DEPTH} levels deep."
        raise BrokenJsonError(JsonCode.TOO_DEEP, reason) from None


_FLAT_LENGTH = 1_000
"""Bytes of an object in which no number is too long."""
_FLAT = frozenset({str, int, float, bool, type(None)})


def read_flat(raw: bytes) -> dict[str, Any] | None:
    """Read one object of texts and numbers as ``decode_json`` does, in a third of the time.

    None: it is something else, or might be. ``decode_json`` says what.
    """
    if len(raw) > _FLAT_LENGTH or b"\\" in raw:
        return None
    try:
        # Keys come again and again. Ids do not, and would be remembered by the thousand.
        found = from_json(raw, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return None
    if type(found) is not dict:
        return None
    kinds = list(map(type, found.values()))
    # Without escapes each pair of quotes is a key or a text. What a repeated key lost is missing here.
    if raw.count(b'"') != 2 * (len(kinds) + kinds.count(str)) or not _FLAT.issuperset(kinds):
        return None
    # What a double holds as 0 may have been another number.
    if float in kinds and any(type(each) is float and not each for each in found.values()):
        return None
    return found


def _decode(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # int() refuses a number of thousands of digits.
        return _FOR_LONG_INTEGERS.decode(text)


_SPACE = r"[ \t\n\r]*"
_OPENS = re.compile(rf"{_SPACE}\[{_SPACE}")
_GOES_ON = re.compile(rf"{_SPACE},{_SPACE}")
_ENDS = re.compile(rf"{_SPACE}\]{_SPACE}\Z")
_MOST_ITEMS = 1_000
"""More packets than any array may have. Further items would be read one by one, at twenty times the cost of numbers."""


def _decode_array(text: str) -> tuple[list[object], tuple[str, ...]] | None:
    """Read an array with items, and how each of them is written. None: it is none, or ``_decode`` must look at it."""
    values: list[object] = []
    texts: list[str] = []
    end = 0
    mark = _OPENS.match(text)
    while mark is not None and len(texts) < _MOST_ITEMS:
        begin = mark.end()
        try:
            value, end = _DECODER.raw_decode(text, begin)
        except ValueError:
            return None
        values.append(value)
        texts.append(text[begin:end])
        mark = _GOES_ON.match(text, end)
    return (values, tuple(texts)) if texts and _ENDS.match(text, end) else None


# Texts are matched so that nothing in them is taken for a number.
_EXPONENTS = re.compile(r'"(?:[^"\\]|\\.)*"|[0-9][eE][-+]?([0-9]{1,4})')


def stored_length(text: str) -> int:
    """Return how many characters a JSON text has, at most, when its numbers are written out."""
    if "e" not in text and "E" not in text:
        return len(text)
    return len(text) + sum(int(digits) for digits in _EXPONENTS.findall(text) if digits)


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
    if isinstance(value, UnfitNumber):
        return Violation(where, value.code, NUMBER_REASONS[value.code])
    if isinstance(value, int | float):
        finite = -MAX_NUMBER <= value <= MAX_NUMBER
        code = JsonCode.NUMBER_NOT_FINITE
        return None if finite else Violation(where, code, NUMBER_REASONS[code])
    if isinstance(value, RepeatedKeys):
        return repeated_key(where)
    if isinstance(value, dict | list) and level > MAX_DEPTH:
        return Violation(where, JsonCode.TOO_DEEP, f"A packet nests {MAX_DEPTH} levels deep at most.")
    return None


NUMBER_REASONS = {
    JsonCode.NUMBER_NOT_FINITE: "A number must be finite as a double.",
    JsonCode.NUMBER_TOO_LONG: f"A number has at most {MAX_NUMBER_LENGTH:,} characters, and a 0 no large exponent.",
    JsonCode.NUMBER_TOO_SMALL: "A number other than 0 must not be so small that a double holds it as 0.",
    JsonCode.NUMBER_NOT_EXACT: "A whole number must be one that a double holds: up to 2^53 each is.",
}
"""What a number must be, by the code of what is wrong with it."""


def unstorable(pointer: str) -> Violation:
    """Say that the text at ``pointer``, or a key of the object there, cannot be stored."""
    return Violation(pointer, JsonCode.UNSTORABLE_TEXT, "Text must hold neither NUL nor half a surrogate pair.")


def repeated_key(pointer: str) -> Violation:
    """Say that the object at ``pointer`` has a key twice."""
    return Violation(pointer, JsonCode.REPEATED_KEY, "An object must not have the same key twice.")

"""The legacy fleet, line by line: what a line must say, and why a line is refused.

A fleet is NDJSON: one JSON object a line, with ``type`` saying what it is. ``parse_line`` validates a line by itself;
its references to other lines and to stored rows are checked where all of them are known
(``store.site.fleet.fleet_import``), with the codes of this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from domain.base.bounds import CIRCUITS, DEVICES, GATEWAYS, POWER_SOURCES
from domain.base.names import MAX_ID_LENGTH, MAX_NAME_LENGTH, UUID_PATTERN, clean_name, clean_sensor_id
from domain.base.problems import Problem
from domain.base.strict_json import (
    NUMBER_REASONS,
    BrokenJsonError,
    JsonCode,
    RepeatedKeys,
    UnfitNumber,
    decode_json,
    faults_in,
    is_storable,
    read_flat,
)
from domain.base.texts import fault_of, normal, why_not
from domain.base.timezones import check_timezone
from domain.site.circuits import MAX_DEPTH, MAX_POSITION, MAX_RATED_POWER_W
from domain.site.routing import MAX_TRANSLATION_LENGTH, PowerSourceKind, fits

MAX_LINE_BYTES = 65_536
"""Bytes in one line, without its end. Real lines have some hundred; what is longer is not held."""


class LineKind(StrEnum):
    """What a line is, as its ``type`` says."""

    DEPOT = "depot"
    CIRCUIT = "circuit"
    GATEWAY = "gateway"
    DEVICE = "device"
    POWER_SOURCE = "power_source"


class FleetCode(StrEnum):
    """Why a line was refused. A code never changes its meaning."""

    LINE_TOO_LONG = "LINE_TOO_LONG"
    """The line has more than ``MAX_LINE_BYTES`` bytes."""
    NOT_UTF8 = "NOT_UTF8"
    NOT_JSON = "NOT_JSON"
    """The line is not one whole JSON value: most often it was cut short."""
    TOO_DEEP = "TOO_DEEP"
    NUMBER_TOO_LONG = "NUMBER_TOO_LONG"
    NUMBER_NOT_FINITE = "NUMBER_NOT_FINITE"
    NUMBER_TOO_SMALL = "NUMBER_TOO_SMALL"
    REPEATED_KEY = "REPEATED_KEY"
    UNSTORABLE_TEXT = "UNSTORABLE_TEXT"
    """A text holds NUL or half of a surrogate pair."""
    TEXT_NOT_ALLOWED = "TEXT_NOT_ALLOWED"
    """A text holds another character that no text of the product holds: see ``domain.base.texts``."""
    NOT_AN_OBJECT = "NOT_AN_OBJECT"
    """The line is JSON, but no object."""
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    """``type`` is none of ``LineKind``."""
    MISSING_FIELD = "MISSING_FIELD"
    """A field that the type needs is not there."""
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    """A field that the type does not have; most often a misspelt one, which must not be silently without effect."""
    WRONG_TYPE = "WRONG_TYPE"
    """A field is not of its JSON type: a number in quotes, null where something is needed, …"""
    OUT_OF_RANGE = "OUT_OF_RANGE"
    """A number is smaller or larger, or a text longer, than the field may be."""
    INVALID_ID = "INVALID_ID"
    """An id is not a UUID in the form 8-4-4-4-12."""
    INVALID_NAME = "INVALID_NAME"
    """The name is blank, longer than allowed, or holds what no text may hold."""
    INVALID_SENSOR_ID = "INVALID_SENSOR_ID"
    """The sensor id is blank, longer than allowed, or holds what no text may hold."""
    INVALID_TIMEZONE = "INVALID_TIMEZONE"
    """The time zone is not in the IANA database."""
    UNKNOWN_POWER_SOURCE_KIND = "UNKNOWN_POWER_SOURCE_KIND"

    REPEATED_ID = "REPEATED_ID"
    """An earlier line of this file has the id; the first one wins."""
    CONTENT_DIFFERS = "CONTENT_DIFFERS"
    """The id is known with other content, and an import overwrites nothing."""
    CIRCUIT_DELETED = "CIRCUIT_DELETED"
    """The circuit was here and was deleted; an import does not bring it back."""
    DEPOT_NOT_FOUND = "DEPOT_NOT_FOUND"
    DEPOT_REFUSED = "DEPOT_REFUSED"
    """The line of the depot was refused."""
    DEPOT_RETIRED = "DEPOT_RETIRED"
    """The depot is retired, and nothing comes into it."""
    PARENT_NOT_FOUND = "PARENT_NOT_FOUND"
    PARENT_IN_OTHER_DEPOT = "PARENT_IN_OTHER_DEPOT"
    PARENT_REFUSED = "PARENT_REFUSED"
    """The line of the parent circuit was refused."""
    CIRCUIT_CYCLE = "CIRCUIT_CYCLE"
    """The circuit would be its own ancestor."""
    CIRCUIT_TREE_TOO_DEEP = "CIRCUIT_TREE_TOO_DEEP"
    TOO_MANY_CIRCUITS = "TOO_MANY_CIRCUITS"
    """With the new circuits of this file the depot would have more than a depot may have; none of them comes in."""
    TOO_MANY_GATEWAYS = "TOO_MANY_GATEWAYS"
    """The same of gateways; their devices are refused with them."""
    TOO_MANY_DEVICES = "TOO_MANY_DEVICES"
    """The same of devices."""
    TOO_MANY_POWER_SOURCES = "TOO_MANY_POWER_SOURCES"
    """The same of power sources."""
    GATEWAY_NOT_FOUND = "GATEWAY_NOT_FOUND"
    GATEWAY_REFUSED = "GATEWAY_REFUSED"
    """The line of the gateway was refused."""
    CIRCUIT_NOT_FOUND = "CIRCUIT_NOT_FOUND"
    """The circuit that the line is linked to is nowhere."""
    CIRCUIT_IN_OTHER_DEPOT = "CIRCUIT_IN_OTHER_DEPOT"
    CIRCUIT_REFUSED = "CIRCUIT_REFUSED"
    """The line of the circuit that the line is linked to was refused."""
    REPEATED_SENSOR = "REPEATED_SENSOR"
    """The gateway has another device with this sensor id."""


_REASONS = {
    FleetCode.LINE_TOO_LONG: f"A line has at most {MAX_LINE_BYTES} bytes.",
    FleetCode.NOT_UTF8: "The line is not UTF-8.",
    FleetCode.NOT_JSON: "The line is not one whole JSON object. It may have been cut short.",
    FleetCode.TOO_DEEP: "Arrays and objects are nested too deep.",
    **{
        FleetCode(code): NUMBER_REASONS[code]
        for code in (JsonCode.NUMBER_TOO_LONG, JsonCode.NUMBER_NOT_FINITE, JsonCode.NUMBER_TOO_SMALL)
    },
    FleetCode.REPEATED_KEY: "An object must not have the same key twice.",
    FleetCode.UNSTORABLE_TEXT: "Text must hold neither NUL nor half a surrogate pair.",
    FleetCode.TEXT_NOT_ALLOWED: "Text must hold no control character nor another that cannot be shown.",
    FleetCode.NOT_AN_OBJECT: "A line is a JSON object.",
    FleetCode.UNKNOWN_TYPE: f"The type is one of {', '.join(LineKind)}.",
    FleetCode.MISSING_FIELD: "The line lacks a field that its type needs.",
    FleetCode.UNKNOWN_FIELD: "The type has no such field.",
    FleetCode.INVALID_ID: "An id is a UUID in the form 8-4-4-4-12.",
    FleetCode.INVALID_NAME: f"A name is not blank, has at most {MAX_NAME_LENGTH} characters, and no control character "
    "nor another that cannot be shown.",
    FleetCode.INVALID_SENSOR_ID: f"A sensor id has 1 to {MAX_ID_LENGTH} characters, is not blank, and has no "
    "control character nor another that cannot be shown.",
    FleetCode.INVALID_TIMEZONE: "The time zone is not in the IANA database.",
    FleetCode.UNKNOWN_POWER_SOURCE_KIND: f"The kind of a power source is one of {', '.join(PowerSourceKind)}.",
    FleetCode.REPEATED_ID: "The id stands on line {line} already, and the first line of an id wins.",
    FleetCode.CONTENT_DIFFERS: "The id is known with other content, and an import overwrites nothing.",
    FleetCode.CIRCUIT_DELETED: "The circuit was here and was deleted; an import does not bring it back.",
    FleetCode.DEPOT_NOT_FOUND: "There is no depot {id}, neither here nor in the file.",
    FleetCode.DEPOT_REFUSED: "The depot stands on line {line}, which was refused.",
    FleetCode.DEPOT_RETIRED: "The depot is retired. Bring it back before anything is imported into it.",
    FleetCode.PARENT_NOT_FOUND: "There is no circuit {id} to hang under, neither here nor in the file.",
    FleetCode.PARENT_IN_OTHER_DEPOT: "The parent, circuit {id}, is of another depot.",
    FleetCode.PARENT_REFUSED: "The parent stands on line {line}, which was refused.",
    FleetCode.CIRCUIT_CYCLE: "The circuit would be its own ancestor.",
    FleetCode.CIRCUIT_TREE_TOO_DEEP: f"Circuits nest at most {MAX_DEPTH} levels deep.",
    **{
        FleetCode(bound.code): f"A depot has at most {bound.most:,} {bound.things}. With the new ones of this file it "
        "would have more, so none of them came in."
        for bound in (CIRCUITS, GATEWAYS, DEVICES, POWER_SOURCES)
    },
    FleetCode.GATEWAY_NOT_FOUND: "There is no gateway {id}, neither here nor in the file.",
    FleetCode.GATEWAY_REFUSED: "The gateway stands on line {line}, which was refused.",
    FleetCode.CIRCUIT_NOT_FOUND: "There is no circuit {id} to be linked to, neither here nor in the file.",
    FleetCode.CIRCUIT_IN_OTHER_DEPOT: "The linked circuit, {id}, is of another depot.",
    FleetCode.CIRCUIT_REFUSED: "The linked circuit stands on line {line}, which was refused.",
    FleetCode.REPEATED_SENSOR: "The gateway has another device with this sensor id.",
}

_POINTING_FIELDS = {
    FleetCode.REPEATED_ID: "id",
    FleetCode.DEPOT_NOT_FOUND: "depot_id",
    FleetCode.DEPOT_REFUSED: "depot_id",
    FleetCode.DEPOT_RETIRED: "depot_id",
    FleetCode.PARENT_NOT_FOUND: "parent_id",
    FleetCode.PARENT_IN_OTHER_DEPOT: "parent_id",
    FleetCode.PARENT_REFUSED: "parent_id",
    FleetCode.CIRCUIT_CYCLE: "parent_id",
    FleetCode.CIRCUIT_TREE_TOO_DEEP: "parent_id",
    FleetCode.TOO_MANY_CIRCUITS: "depot_id",
    FleetCode.TOO_MANY_GATEWAYS: "depot_id",
    FleetCode.TOO_MANY_DEVICES: "gateway_id",
    FleetCode.TOO_MANY_POWER_SOURCES: "depot_id",
    FleetCode.GATEWAY_NOT_FOUND: "gateway_id",
    FleetCode.GATEWAY_REFUSED: "gateway_id",
    FleetCode.CIRCUIT_NOT_FOUND: "circuit_id",
    FleetCode.CIRCUIT_IN_OTHER_DEPOT: "circuit_id",
    FleetCode.CIRCUIT_REFUSED: "circuit_id",
    FleetCode.REPEATED_SENSOR: "sensor_id",
}


class FleetRecord(NamedTuple):
    """A line that keeps the contract. What its kind does not have is None. Ids are texts that are valid UUIDs."""

    kind: LineKind
    id: str
    name: str
    depot_id: str | None = None
    """None for a depot itself and for a device, whose depot is that of its gateway."""
    timezone: str | None = None
    parent_id: str | None = None
    position: int | None = None
    """Where the circuit stands among its new siblings; None: after those that say where."""
    rated_power_w: float | None = None
    site_model_name: str | None = None
    output_translation: str | None = None
    """A JSON object as text."""
    gateway_id: str | None = None
    sensor_id: str | None = None
    circuit_id: str | None = None
    source_kind: str | None = None


class Refusal(NamedTuple):
    """Why one line does not come in."""

    code: FleetCode
    reason: str
    """For people. It never repeats what the line says, but an id."""
    field: str | None = None
    """The field that is wrong, where one is."""
    kind: LineKind | None = None
    id: str | None = None
    """The line's own id, where it could be read."""


TOO_LONG = Refusal(FleetCode.LINE_TOO_LONG, _REASONS[FleetCode.LINE_TOO_LONG])
"""What is said of a line that was not held."""


def refusal_of(
    code: FleetCode, kind: LineKind, id_: str, *, other_line: int | None = None, other_id: str | None = None
) -> Refusal:
    """Say that a good line was refused for what stands on another line, or is stored.

    ``other_line`` and ``other_id`` name that other thing, as far as the code speaks of one.
    """
    return Refusal(code, _REASONS[code].format(line=other_line, id=other_id), _POINTING_FIELDS.get(code), kind, id_)


def parse_line(raw: bytes) -> FleetRecord | Refusal:
    """Judge one line by itself."""
    line: object = read_flat(raw)
    if line is None:
        try:
            line = decode_json(raw)
        except BrokenJsonError as error:
            return _refusal(FleetCode(error.code))
    if isinstance(line, RepeatedKeys):
        return _refusal(FleetCode.REPEATED_KEY)
    if not isinstance(line, dict):
        return _refusal(FleetCode.NOT_AN_OBJECT)
    kind = line.get("type", _ABSENT)
    if kind is _ABSENT:
        return _refusal(FleetCode.MISSING_FIELD, "type")
    if type(kind) is not str or kind not in _KINDS:
        return _refusal(FleetCode.UNKNOWN_TYPE, "type")
    return _read(_KINDS[kind], line)


_ABSENT: Any = object()


class _Field(NamedTuple):
    """A field of a line: how it is read, and whether it may be left out."""

    read: Callable[[Any], Any]
    """Answers what is stored; raises ``_Refused``."""
    required: bool = True
    """A field that may be left out may also be null, which is the same."""


class _Refused(Exception):
    def __init__(self, code: FleetCode, reason: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason or _REASONS[code]


def _refusal(code: FleetCode, field: str | None = None) -> Refusal:
    return Refusal(code, _REASONS[code], field)


def _read(kind: LineKind, line: dict[str, Any]) -> FleetRecord | Refusal:
    fields = _FIELDS[kind]
    name = "id"
    values: dict[str, Any] = {}
    try:
        for name, (read, required) in fields.items():
            value = line.get(name, _ABSENT)
            if required:
                if value is _ABSENT:
                    raise _Refused(FleetCode.MISSING_FIELD)
            elif value is _ABSENT or value is None:
                continue
            values[name] = read(value)
        if not line.keys() <= _KNOWN[kind]:
            name = next(each for each in line if each not in _KNOWN[kind])
            raise _Refused(FleetCode.UNKNOWN_FIELD)
    except _Refused as refused:
        shown = name if name in fields or (len(name) <= MAX_NAME_LENGTH and name.isprintable()) else None
        return Refusal(refused.code, refused.reason, shown, kind, values.get("id"))
    if "kind" in values:
        values["source_kind"] = values.pop("kind")
    return FleetRecord(kind, **values)


_UUID = re.compile(UUID_PATTERN)


def _id(value: Any) -> str:
    if type(value) is not str:
        raise _wrong_type("a UUID as a text")
    if _UUID.fullmatch(value) is None:
        raise _Refused(FleetCode.INVALID_ID)
    return value


def _name(value: Any) -> str:
    try:
        return clean_name(_text(value))
    except Problem:
        raise _Refused(FleetCode.INVALID_NAME) from None


def _timezone(value: Any) -> str:
    try:
        return check_timezone(_text(value), suggest=False)
    except Problem:
        raise _Refused(FleetCode.INVALID_TIMEZONE) from None


def _position(value: Any) -> int:
    _fit(value)
    if type(value) is not int:
        raise _wrong_type("a whole number, not in quotes")
    if not 0 <= value <= MAX_POSITION:
        raise _Refused(FleetCode.OUT_OF_RANGE, f"A position lies from 0 to {MAX_POSITION}.")
    return value


def _fit(value: Any) -> None:
    if isinstance(value, UnfitNumber):
        raise _Refused(FleetCode(value.code))


def _watts(value: Any) -> float:
    _fit(value)
    if type(value) is not int and type(value) is not float:
        raise _wrong_type("a number, not in quotes")
    if not 0 < value <= MAX_RATED_POWER_W:
        raise _Refused(FleetCode.OUT_OF_RANGE, f"A rated power is more than 0 W and at most {MAX_RATED_POWER_W:.0e} W.")
    return float(value)


def _site_model_name(value: Any) -> str:
    text = normal(_storable(_text(value)))
    if len(text) > MAX_NAME_LENGTH:
        raise _Refused(FleetCode.OUT_OF_RANGE, f"A site model name has at most {MAX_NAME_LENGTH} characters.")
    fault = fault_of(text)
    if fault is not None:
        raise _Refused(FleetCode.TEXT_NOT_ALLOWED, why_not(fault))
    return text


def _sensor_id(value: Any) -> str:
    try:
        return clean_sensor_id(_storable(_text(value)))
    except Problem:
        raise _Refused(FleetCode.INVALID_SENSOR_ID) from None


def _output_translation(value: Any) -> str:
    if not isinstance(value, dict):
        raise _wrong_type("a JSON object or null")
    for fault in faults_in(value, "", 1):
        raise _Refused(FleetCode(fault.code))
    if not fits(value):
        reason = f"An output translation has at most {MAX_TRANSLATION_LENGTH:,} characters as JSON."
        raise _Refused(FleetCode.OUT_OF_RANGE, reason)
    return json.dumps(value, ensure_ascii=False)


def _source_kind(value: Any) -> str:
    if _text(value) not in _SOURCE_KINDS:
        raise _Refused(FleetCode.UNKNOWN_POWER_SOURCE_KIND)
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _wrong_type("a text")
    return value


def _storable(value: str) -> str:
    if not is_storable(value):
        raise _Refused(FleetCode.UNSTORABLE_TEXT)
    return value


def _wrong_type(expected: str) -> _Refused:
    return _Refused(FleetCode.WRONG_TYPE, f"The field is {expected}.")


_SOURCE_KINDS = frozenset(PowerSourceKind)
_NAMED = {"id": _Field(_id), "name": _Field(_name)}
_FIELDS: dict[str, dict[str, _Field]] = {
    LineKind.DEPOT: {**_NAMED, "timezone": _Field(_timezone)},
    LineKind.CIRCUIT: {
        **_NAMED,
        "depot_id": _Field(_id),
        "parent_id": _Field(_id, required=False),
        "position": _Field(_position, required=False),
        "rated_power_w": _Field(_watts, required=False),
    },
    LineKind.GATEWAY: {
        **_NAMED,
        "depot_id": _Field(_id),
        "site_model_name": _Field(_site_model_name, required=False),
        "output_translation": _Field(_output_translation, required=False),
    },
    LineKind.DEVICE: {
        **_NAMED,
        "gateway_id": _Field(_id),
        "sensor_id": _Field(_sensor_id),
        "circuit_id": _Field(_id, required=False),
    },
    LineKind.POWER_SOURCE: {
        **_NAMED,
        "depot_id": _Field(_id),
        "kind": _Field(_source_kind),
        "circuit_id": _Field(_id, required=False),
    },
}
_KINDS = {kind.value: kind for kind in LineKind}
_KNOWN = {kind: frozenset((*fields, "type")) for kind, fields in _FIELDS.items()}
DEPOT_FIELDS = tuple(name for name in _FIELDS[LineKind.DEPOT] if name != "id")
"""What a line says of a depot, by the names of the depots' columns."""

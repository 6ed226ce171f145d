"""The IoT sensor packet: the wire contract between gateways and the product, in this one place.

The shape, its bounds and the parser are all here, and ``domain.monitoring.packet_schema`` makes the JSON Schema of the
same bounds, so that the contract changes here alone. A packet may carry keys that the contract does not know, on every
level. The parser looks them over (they must be fit to be stored) and leaves them out of ``Packet``: whoever stores
a packet stores the document as it came.

Texts are normalized (``domain.base.texts``) before they are validated: ``in_one_form`` does so for a document whose
texts are not plain. The values of unknown keys stay as they came.

The parser is written by hand: from the same decoded document it takes as long as pydantic in strict mode, and
it also finds repeated keys and unstorable text, looks into unknown keys, and keeps to one set of codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from domain.base.names import MAX_ID_LENGTH, UUID_PATTERN
from domain.base.strict_json import (
    MAX_EXACT_INTEGER,
    MAX_NUMBER,
    NUMBER_REASONS,
    JsonCode,
    RepeatedKeys,
    UnfitNumber,
    faults_in,
    is_storable,
    repeated_key,
    unstorable,
)
from domain.base.texts import fault_of, is_plain, normal, why_not
from domain.base.violations import Violation, below
from domain.site.measurands import MEASURANDS, Measurand, MeasurandKey, ReadValue, read_measurand

MAX_SENSORS = 256
"""Sensors in one packet. A gateway of a large depot has a few dozen; the bound keeps one packet's work small."""
MAX_MEASURANDS = 256
"""Measurands of one sensor. The richest power meters send about a hundred."""
MAX_KEY_LENGTH = 100
"""Characters of a measurand's key; the longest standard key has 27."""
MAX_UNIT_LENGTH = 32
"""Characters of a unit."""
MAX_TEXT_LENGTH = 1_000
"""Characters of a text value or of the gateway's identity: serial numbers and firmware strings, not documents."""
MAX_TIMESTAMP_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that a date can be made of. The first is the epoch, 0."""
MAX_VIOLATIONS = 20
"""The most that are reported for one packet; a gateway with a wrong format breaks the same rule everywhere."""
IDENTITY_KEYS = ("manufacturer", "model", "serial_number", "firmware")
"""What a gateway may say of itself; each may be absent or null."""
DEFAULT_FUTURE_SKEW = timedelta(minutes=5)
"""How far a gateway's clock may run ahead."""
DEFAULT_PAST_WINDOW = timedelta(days=7)
"""How late a packet may come: a gateway that was cut off for a week may still deliver what it kept."""


class PacketCode(StrEnum):
    """Which rule of the contract a packet breaks; beside these there are those of ``JsonCode``."""

    WRONG_TYPE = "WRONG_TYPE"
    """Not of the JSON type that the contract names. A boolean is no number."""
    MISSING = "MISSING"
    """A required key is not there."""
    TOO_LONG = "TOO_LONG"
    """A text has more characters than allowed."""
    TEXT_NOT_ALLOWED = "TEXT_NOT_ALLOWED"
    """A text holds what no text of the product holds, or shows nothing: see ``domain.base.texts``."""
    EMPTY = "EMPTY"
    """An id or a key without a character."""
    NOT_A_UUID = "NOT_A_UUID"
    """Not 32 hexadecimal digits in the form 8-4-4-4-12."""
    NOT_AN_INTEGER = "NOT_AN_INTEGER"
    """The timestamp has a fraction."""
    TIMESTAMP_OUT_OF_RANGE = "TIMESTAMP_OUT_OF_RANGE"
    """Before 1970 or after 9999: most likely not milliseconds."""
    TOO_MANY = "TOO_MANY"
    """An array has more items than allowed."""
    REPEATED_SENSOR = "REPEATED_SENSOR"
    """Two sensors of a packet have the same id."""
    REPEATED_MEASURAND = "REPEATED_MEASURAND"
    """A sensor has a standard key twice, so that its value is not known."""
    TIMESTAMP_IN_FUTURE = "TIMESTAMP_IN_FUTURE"
    """Further ahead than a clock may be wrong."""
    TIMESTAMP_TOO_OLD = "TIMESTAMP_TOO_OLD"
    """Older than a late packet may be."""


@dataclass(frozen=True)
class Sensor:
    """What one sensor of the gateway measured."""

    sensor_id: str
    measurands: tuple[Measurand, ...]

    @cached_property
    def readings(self) -> Mapping[MeasurandKey, ReadValue]:
        """What the measurands with standard keys say, each read once; each key is there once at most."""
        return {
            key: read_measurand(key, value, unit)
            for name, value, unit in self.measurands
            if (key := _STANDARD_KEYS.get(name)) is not None
        }


@dataclass(frozen=True)
class Packet:
    """A packet that keeps the contract, without the keys that the contract does not know."""

    device_id: UUID
    """The gateway device, as Manage knows it."""
    timestamp_ms: int
    """When it was measured: milliseconds since the Unix epoch, UTC."""
    manufacturer: str | None
    model: str | None
    serial_number: str | None
    firmware: str | None
    sensors: tuple[Sensor, ...]

    @cached_property
    def observed_at(self) -> datetime:
        """The timestamp as a time in UTC, exact to the millisecond."""
        return _EPOCH + timedelta(milliseconds=self.timestamp_ms)


@dataclass(frozen=True)
class InvalidPacket:
    """A document that is no packet, and why: at least one violation, ``MAX_VIOLATIONS`` at most."""

    violations: tuple[Violation, ...]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STANDARD_KEYS: dict[str, MeasurandKey] = {key.value: key for key in MeasurandKey}
_STANDARD_UNITS = frozenset(spec.unit for spec in MEASURANDS.values())
_STANDARD_TEXTS = frozenset(text for spec in MEASURANDS.values() for text in spec.texts)
_UUID = re.compile(UUID_PATTERN)
_UUID_LENGTH = 36
_ABSENT: Any = object()


class _EnoughError(Exception):
    """``MAX_VIOLATIONS`` are found."""


class _Violations(list[Violation]):
    def add(self, pointer: str, code: PacketCode | JsonCode, reason: str) -> None:
        self.append(Violation(pointer, code, reason))
        if len(self) >= MAX_VIOLATIONS:
            raise _EnoughError

    def object_expected(self, pointer: str, value: object) -> None:
        if isinstance(value, RepeatedKeys):
            self.add(pointer, JsonCode.REPEATED_KEY, repeated_key(pointer).reason)
        else:
            self.add(pointer, PacketCode.WRONG_TYPE, "Must be an object.")

    def text(self, pointer: str, value: object, maximum: int, *, minimum: int = 0, null: bool = True) -> None:
        """Say what is wrong with a text that is already known to be wrong."""
        if value is _ABSENT:
            self.add(pointer, PacketCode.MISSING, "Is required.")
        elif not isinstance(value, str):
            self.add(pointer, PacketCode.WRONG_TYPE, f"Must be a string{' or null' if null else ''}.")
        elif len(value) < minimum:
            self.add(pointer, PacketCode.EMPTY, "Must not be empty.")
        elif len(value) > maximum:
            self.add(pointer, PacketCode.TOO_LONG, f"Has at most {maximum} characters.")
        elif not is_storable(value):
            self.unfit(value, pointer, 0)
        else:
            fault = fault_of(value)
            assert fault is not None
            self.add(pointer, PacketCode.TEXT_NOT_ALLOWED, why_not(fault))

    def items(self, pointer: str, value: object, maximum: int) -> None:
        """Say what is wrong with an array that is already known to be wrong."""
        if value is _ABSENT:
            self.add(pointer, PacketCode.MISSING, "Is required.")
        elif not isinstance(value, list):
            self.add(pointer, PacketCode.WRONG_TYPE, "Must be an array.")
        else:
            self.add(pointer, PacketCode.TOO_MANY, f"Has at most {maximum} items.")

    def unfit(self, value: object, pointer: str, depth: int) -> None:
        """Say what in ``value`` cannot be stored."""
        for each in faults_in(value, pointer, depth):
            self.append(each)
            if len(self) >= MAX_VIOLATIONS:
                raise _EnoughError

    def unknown(self, raw: Mapping[str, object], known: frozenset[str], pointer: str, depth: int) -> None:
        """Look over the keys of ``raw`` that the contract does not know."""
        for key in raw.keys() - known:
            if not is_storable(key):
                self.add(pointer, JsonCode.UNSTORABLE_TEXT, unstorable(pointer).reason)
            self.unfit(raw[key], below(pointer, key), depth)


_PACKET_KEYS = frozenset(("device_id", "timestamp", *IDENTITY_KEYS, "sensors"))
_SENSOR_KEYS = frozenset(("sensor_id", "measurands"))
_MEASURAND_KEYS = frozenset(("key", "value", "unit"))


def parse_packet(data: object) -> Packet | InvalidPacket:
    """Read one packet from a decoded JSON value, best one from ``decode_json``: that one marks repeated keys.

    Does not look at the clock: see ``check_timestamp``. Its texts are in their one form: see ``in_one_form``.
    """
    violations = _Violations()
    try:
        packet = _packet(data, violations)
    except _EnoughError:
        packet = None
    if packet is None or violations:
        return InvalidPacket(tuple(violations))
    return packet


def in_one_form(document: object) -> object:
    """Return a document, packet or not, with the texts that the contract knows in their one form."""
    return _with_normal_texts(document, IDENTITY_KEYS, "sensors", _sensor_in_one_form)


def _sensor_in_one_form(sensor: object) -> object:
    return _with_normal_texts(sensor, ("sensor_id",), "measurands", _measurand_in_one_form)


def _measurand_in_one_form(measurand: object) -> object:
    return _with_normal_texts(measurand, ("key", "value", "unit"))


def _with_normal_texts(
    raw: object, names: Iterable[str], items: str = "", each: Callable[[object], object] | None = None
) -> object:
    if type(raw) is not dict:
        return raw
    made: dict[str, Any] = {**raw}
    for name in names:
        if type(made.get(name)) is str:
            made[name] = normal(made[name])
    if each is not None and type(made.get(items)) is list:
        made[items] = [each(item) for item in made[items]]
    return made


def check_timestamp(
    observed_at: datetime,
    now: datetime,
    *,
    future_skew: timedelta = DEFAULT_FUTURE_SKEW,
    past_window: timedelta = DEFAULT_PAST_WINDOW,
    pointer: str = "/timestamp",
) -> Violation | None:
    """Say whether a time of measurement lies too far from ``now``; both bounds are still allowed."""
    ahead = observed_at - now
    if ahead > future_skew:
        reason = f"May be at most {future_skew.total_seconds():g} seconds ahead of the time of arrival."
        return Violation(pointer, PacketCode.TIMESTAMP_IN_FUTURE, reason)
    if -ahead > past_window:
        reason = f"May be at most {past_window.total_seconds():g} seconds old on arrival."
        return Violation(pointer, PacketCode.TIMESTAMP_TOO_OLD, reason)
    return None


def _packet(raw: object, violations: _Violations) -> Packet | None:
    if type(raw) is not dict:
        return violations.object_expected("", raw)
    device_id = _device_id(raw.get("device_id", _ABSENT), violations)
    timestamp = _timestamp(raw.get("timestamp", _ABSENT), violations)
    items = raw.get("sensors", _ABSENT)
    if type(items) is not list or len(items) > MAX_SENSORS:
        violations.items("/sensors", items, MAX_SENSORS)
        items = []
    sensors: list[Sensor] = []
    for index, item in enumerate(items):
        sensor = _sensor(item, index, violations)
        if sensor is not None:
            sensors.append(sensor)
    if len(sensors) > 1 and len({sensor.sensor_id for sensor in sensors}) != len(sensors):
        violations.add("/sensors", PacketCode.REPEATED_SENSOR, "Each sensor is there once.")
    identity = [_identity(raw, name, violations) for name in IDENTITY_KEYS]
    if not _PACKET_KEYS.issuperset(raw):
        violations.unknown(raw, _PACKET_KEYS, "", 2)
    if device_id is None or timestamp is None:
        return None
    manufacturer, model, serial_number, firmware = identity
    return Packet(device_id, timestamp, manufacturer, model, serial_number, firmware, tuple(sensors))


def _identity(raw: Mapping[str, Any], name: str, violations: _Violations) -> str | None:
    text = raw.get(name)
    if text is not None and (type(text) is not str or not _is_text(text, 0, MAX_TEXT_LENGTH)):
        violations.text(f"/{name}", text, MAX_TEXT_LENGTH)
    return text


def _sensor(raw: object, index: int, violations: _Violations) -> Sensor | None:
    if type(raw) is not dict:
        return violations.object_expected(f"/sensors/{index}", raw)
    sensor_id = raw.get("sensor_id", _ABSENT)
    if type(sensor_id) is not str or not _is_text(sensor_id, 1, MAX_ID_LENGTH):
        violations.text(f"/sensors/{index}/sensor_id", sensor_id, MAX_ID_LENGTH, minimum=1, null=False)
    items = raw.get("measurands", _ABSENT)
    if type(items) is not list or len(items) > MAX_MEASURANDS:
        violations.items(f"/sensors/{index}/measurands", items, MAX_MEASURANDS)
        items = []
    measurands = tuple(
        measurand
        for place, item in enumerate(items)
        if (measurand := _measurand(item, index, place, violations)) is not None
    )
    keys = [measurand.key for measurand in measurands if measurand.key in _STANDARD_KEYS]
    if len(set(keys)) != len(keys):
        violations.add(
            f"/sensors/{index}/measurands", PacketCode.REPEATED_MEASURAND, "Each standard key is there once a sensor."
        )
    if len(raw) != len(_SENSOR_KEYS):
        violations.unknown(raw, _SENSOR_KEYS, f"/sensors/{index}", 4)
    return Sensor(sensor_id, measurands) if type(sensor_id) is str else None


def _measurand(raw: object, sensor: int, index: int, violations: _Violations) -> Measurand | None:
    if type(raw) is not dict:
        return violations.object_expected(f"/sensors/{sensor}/measurands/{index}", raw)
    key = raw.get("key", _ABSENT)
    value = raw.get("value", _ABSENT)
    unit = raw.get("unit", _ABSENT)
    # Most measurands are standard ones, whose texts need no second look.
    if type(key) is not str or (key not in _STANDARD_KEYS and not _is_text(key, 1, MAX_KEY_LENGTH)):
        where = f"/sensors/{sensor}/measurands/{index}/key"
        violations.text(where, key, MAX_KEY_LENGTH, minimum=1, null=False)
        key = ""
    kind = type(value)
    if kind is str:
        if value not in _STANDARD_TEXTS and not _is_text(value, 0, MAX_TEXT_LENGTH):
            violations.text(f"/sensors/{sensor}/measurands/{index}/value", value, MAX_TEXT_LENGTH)
    elif not (
        value is None
        or (kind is float and -MAX_NUMBER <= value <= MAX_NUMBER)
        or (kind is int and -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER)
    ):
        _value(value, f"/sensors/{sensor}/measurands/{index}/value", violations)
    if unit is not None and (
        type(unit) is not str or (unit not in _STANDARD_UNITS and not _is_text(unit, 0, MAX_UNIT_LENGTH))
    ):
        violations.text(f"/sensors/{sensor}/measurands/{index}/unit", unit, MAX_UNIT_LENGTH)
    if len(raw) != len(_MEASURAND_KEYS):
        violations.unknown(raw, _MEASURAND_KEYS, f"/sensors/{sensor}/measurands/{index}", 6)
    return Measurand(key, value, unit)


def _is_text(text: str, minimum: int, maximum: int) -> bool:
    return minimum <= len(text) <= maximum and (is_plain(text) or fault_of(text) is None)


def _value(value: object, pointer: str, violations: _Violations) -> None:
    """Say what is wrong with a measurand's value that is no text, and already known to be wrong."""
    if value is _ABSENT:
        violations.add(pointer, PacketCode.MISSING, "Is required; null says that there is no value.")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        violations.add(pointer, PacketCode.WRONG_TYPE, "Must be a number, a string or null.")
    elif isinstance(value, int) and abs(value) <= MAX_NUMBER:
        if int(float(value)) != value:
            code = JsonCode.NUMBER_NOT_EXACT
            violations.add(pointer, code, NUMBER_REASONS[code])
    else:
        violations.unfit(value, pointer, 0)


@lru_cache(maxsize=65_536)
def _uuid(text: str) -> UUID | None:
    """Read a UUID; the same few thousand gateways send all the packets."""
    return UUID(text) if _UUID.fullmatch(text) else None


def _device_id(value: object, violations: _Violations) -> UUID | None:
    if type(value) is str:
        # The length first, so that the cache never holds a text that is no id.
        found = _uuid(value) if len(value) == _UUID_LENGTH else None
        if found is None:
            violations.add("/device_id", PacketCode.NOT_A_UUID, "Must be a UUID in the form 8-4-4-4-12.")
        return found
    return violations.text("/device_id", value, _UUID_LENGTH, null=False)


def _timestamp(value: object, violations: _Violations) -> int | None:
    if type(value) is float and value.is_integer():
        # JSON has one kind of number: 1.76e12 is an integer there, and in JSON Schema, however it is written.
        value = int(value)
    if type(value) is int:
        if 0 <= value <= MAX_TIMESTAMP_MS:
            return value
        reason = f"Milliseconds since the Unix epoch lie between 0 and {MAX_TIMESTAMP_MS}."
        violations.add("/timestamp", PacketCode.TIMESTAMP_OUT_OF_RANGE, reason)
    elif value is _ABSENT:
        violations.add("/timestamp", PacketCode.MISSING, "Is required.")
    elif isinstance(value, UnfitNumber):
        violations.unfit(value, "/timestamp", 0)
    elif type(value) is float:
        violations.add("/timestamp", PacketCode.NOT_AN_INTEGER, "Must be a whole number of milliseconds.")
    else:
        violations.add("/timestamp", PacketCode.WRONG_TYPE, "Must be an integer, milliseconds since the Unix epoch.")
    return None

"""The standard measurand keys of the packet contract: what each means, its unit, and the values that it takes.

Any other key is unknown: it is kept with the packet, no sensor action uses it, and it is never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class MeasurandKey(StrEnum):
    """The standard keys, exactly as they stand in a packet."""

    CURRENT = "CURRENT"
    FREQUENCY = "FREQUENCY"
    VOLTAGE = "VOLTAGE"
    LINE_VOLTAGE = "LINE_VOLTAGE"
    TOTAL_POWER_LOAD = "TOTAL_POWER_LOAD"
    TOTAL_REACTIVE_POWER = "TOTAL_REACTIVE_POWER"
    TOTAL_APPARENT_POWER = "TOTAL_APPARENT_POWER"
    TOTAL_POWER_FACTOR = "TOTAL_POWER_FACTOR"
    PHASE_1N_VOLTAGE_THD = "PHASE_1N_VOLTAGE_THD"
    PHASE_2N_VOLTAGE_THD = "PHASE_2N_VOLTAGE_THD"
    PHASE_3N_VOLTAGE_THD = "PHASE_3N_VOLTAGE_THD"
    AVAILABLE_CHARGING_CAPACITY = "AVAILABLE_CHARGING_CAPACITY"
    FAIL_SAFE_CAPACITY = "FAIL_SAFE_CAPACITY"
    HEARTBEAT_STATUS = "HEARTBEAT_STATUS"
    LIMIT_PEAK_SHAVING = "LIMIT_PEAK_SHAVING"
    LIMIT_DER_EXPORT = "LIMIT_DER_EXPORT"
    SOC = "SOC"
    DEVICE_POWER_STATE = "DEVICE_POWER_STATE"
    BESS_OPERATIONAL_MODE = "BESS_OPERATIONAL_MODE"


MAX_POWER_W = 1_000_000_000
"""A gigawatt, and as much in var and VA: more than any depot draws, so more is a slip or no value at all."""
NO_VALUE_NUMBERS = frozenset({0x7FFF, 0x8000, -0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, -0x8000_0000, 0xFFFF_FFFF})
"""What registers of 16 and 32 bits hold where they have no value: the greatest and the least that they can. Gateways
pass it on as it is. A quantity may measure just that by chance, and is then unknown until the next packet: that is the
safe side."""


class ValueKind(StrEnum):
    """Which values a measurand takes, besides ``null`` for unavailable."""

    NUMBER = "NUMBER"
    """A JSON number, in the measurand's unit."""
    TEXT = "TEXT"
    """One of the measurand's texts."""
    BOOLEAN_TEXT = "BOOLEAN_TEXT"
    """``"true"`` or ``"false"``, as strings."""


class HeartbeatStatus(StrEnum):
    """What a controller's heartbeat says of the controller."""

    OK = "ok"
    CONNECTION_LOST = "connection_lost"
    TIMEOUT = "timeout"
    ERROR = "error"


class DevicePowerState(StrEnum):
    """Whether a device, such as a battery, is switched on."""

    ON = "on"
    OFF = "off"


class BessOperationalMode(StrEnum):
    """What a battery energy storage system is doing, or may do by itself."""

    IDLE = "idle"
    CHARGING = "charging"
    DISCHARGING = "discharging"
    AUTOMATIC = "automatic"
    ERROR = "error"


@dataclass(frozen=True)
class MeasurandSpec:
    """What the contract says of one standard key."""

    key: MeasurandKey
    meaning: str
    kind: ValueKind
    unit: str | None = None
    """None: the quantity has no unit."""
    texts: tuple[str, ...] = ()
    """Every text that the value may be, exactly; empty for a number."""
    minimum: float | None = None
    maximum: float | None = None
    """Both included, in the measurand's unit."""


def _number(
    key: MeasurandKey, meaning: str, unit: str | None, minimum: float | None = None, maximum: float | None = None
) -> MeasurandSpec:
    return MeasurandSpec(key, meaning, ValueKind.NUMBER, unit, minimum=minimum, maximum=maximum)


def _texts(key: MeasurandKey, meaning: str, values: type[StrEnum]) -> MeasurandSpec:
    return MeasurandSpec(key, meaning, ValueKind.TEXT, texts=tuple(value.value for value in values))


def _boolean(key: MeasurandKey, meaning: str) -> MeasurandSpec:
    return MeasurandSpec(key, meaning, ValueKind.BOOLEAN_TEXT, texts=("true", "false"))


# The bounds leave out what cannot be, not what is rare: a current of more than the largest bus bars carry, a voltage
# above that of any line, a distortion of ten times the fundamental.
_MAX_CURRENT_A = 100_000
_MAX_FREQUENCY_HZ = 1_000
_MAX_VOLTAGE_V = 1_000_000
_MAX_THD_PERCENT = 1_000
_THD = "Total harmonic distortion of the voltage"

_SPECS = (
    _number(MeasurandKey.CURRENT, "Total RMS current", "A", 0, _MAX_CURRENT_A),
    _number(MeasurandKey.FREQUENCY, "Grid frequency", "Hz", 0, _MAX_FREQUENCY_HZ),
    _number(MeasurandKey.VOLTAGE, "RMS voltage, phase to neutral", "V", 0, _MAX_VOLTAGE_V),
    _number(MeasurandKey.LINE_VOLTAGE, "RMS voltage, line to line", "V", 0, _MAX_VOLTAGE_V),
    _number(MeasurandKey.TOTAL_POWER_LOAD, "Total active power", "W", -MAX_POWER_W, MAX_POWER_W),
    _number(MeasurandKey.TOTAL_REACTIVE_POWER, "Total reactive power", "var", -MAX_POWER_W, MAX_POWER_W),
    _number(MeasurandKey.TOTAL_APPARENT_POWER, "Total apparent power", "VA", 0, MAX_POWER_W),
    _number(MeasurandKey.TOTAL_POWER_FACTOR, "Total power factor", None, -1, 1),
    _number(MeasurandKey.PHASE_1N_VOLTAGE_THD, f"{_THD}, phase 1", "%", 0, _MAX_THD_PERCENT),
    _number(MeasurandKey.PHASE_2N_VOLTAGE_THD, f"{_THD}, phase 2", "%", 0, _MAX_THD_PERCENT),
    _number(MeasurandKey.PHASE_3N_VOLTAGE_THD, f"{_THD}, phase 3", "%", 0, _MAX_THD_PERCENT),
    _number(MeasurandKey.AVAILABLE_CHARGING_CAPACITY, "Power available for charging now", "W", 0, MAX_POWER_W),
    _number(MeasurandKey.FAIL_SAFE_CAPACITY, "Power to fall back to when the controller is lost", "W", 0, MAX_POWER_W),
    _texts(MeasurandKey.HEARTBEAT_STATUS, "The state of the controller's heartbeat", HeartbeatStatus),
    _boolean(MeasurandKey.LIMIT_PEAK_SHAVING, "Whether peak shaving limits the site"),
    _boolean(MeasurandKey.LIMIT_DER_EXPORT, "Whether the export of distributed energy resources is limited"),
    _number(MeasurandKey.SOC, "State of charge of the battery", "%", 0, 100),
    _texts(MeasurandKey.DEVICE_POWER_STATE, "Whether the device is switched on", DevicePowerState),
    _texts(MeasurandKey.BESS_OPERATIONAL_MODE, "What the battery storage is doing", BessOperationalMode),
)

MEASURANDS: Mapping[MeasurandKey, MeasurandSpec] = MappingProxyType({spec.key: spec for spec in _SPECS})
"""Every standard key, in the order of the specification."""


class ReadingCode(StrEnum):
    """Why a measurand's value cannot be used. The packet that holds it is stored all the same."""

    VALUE_UNAVAILABLE = "VALUE_UNAVAILABLE"
    """The value is ``null``: the sender has none."""
    WRONG_VALUE_KIND = "WRONG_VALUE_KIND"
    """A text where a number belongs, or a number where a text belongs."""
    UNKNOWN_TEXT = "UNKNOWN_TEXT"
    """A text that is none of the measurand's own. Casing counts."""
    VALUE_OUT_OF_RANGE = "VALUE_OUT_OF_RANGE"
    """A number that the quantity cannot have, or the value that registers report when they have none."""
    WRONG_UNIT = "WRONG_UNIT"
    """Another unit than the contract's. Nothing is converted."""


@dataclass(frozen=True)
class Unreadable:
    """A value that cannot be used, and why."""

    code: ReadingCode
    reason: str


ReadValue = float | str | Unreadable
"""What a standard measurand says: its value, or why that cannot be used."""


def read_measurand(key: MeasurandKey, value: float | str | None, unit: str | None) -> ReadValue:
    """Return the value of a standard measurand if the contract allows it, else why not.

    The contract fixes the unit of each key, so ``null`` as the unit means that very unit. A zero has no sign.
    """
    spec = MEASURANDS[key]
    if value is None:
        return Unreadable(ReadingCode.VALUE_UNAVAILABLE, f"{key} is null: the sender has no value.")
    if isinstance(value, str) is (spec.kind is ValueKind.NUMBER):
        wanted = "number" if spec.kind is ValueKind.NUMBER else "text"
        return Unreadable(ReadingCode.WRONG_VALUE_KIND, f"{key} is a {wanted}.")
    if unit is not None and unit != spec.unit:
        wanted = "no unit" if spec.unit is None else f"the unit {spec.unit}"
        return Unreadable(ReadingCode.WRONG_UNIT, f"{key} has {wanted}, not the one that was sent.")
    if isinstance(value, str):
        if value not in spec.texts:
            return Unreadable(ReadingCode.UNKNOWN_TEXT, f"{key} is one of: {', '.join(spec.texts)}.")
        return value
    if spec.minimum is not None and value < spec.minimum:
        return Unreadable(ReadingCode.VALUE_OUT_OF_RANGE, f"{key} cannot be less than {spec.minimum:,.10g}.")
    if spec.maximum is not None and value > spec.maximum:
        return Unreadable(ReadingCode.VALUE_OUT_OF_RANGE, f"{key} cannot be more than {spec.maximum:,.10g}.")
    if value in NO_VALUE_NUMBERS:
        reason = f"{key} is {value:,.10g}, the value that registers report when they have none."
        return Unreadable(ReadingCode.VALUE_OUT_OF_RANGE, reason)
    return value + 0


class Measurand(NamedTuple):
    """One quantity as it was sent. A named tuple: a packet has many, and they are made in half the time."""

    key: str
    """A ``MeasurandKey``, or a key that the contract does not know."""
    value: float | str | None
    """None: unavailable or invalid. An integer stays an ``int``."""
    unit: str | None

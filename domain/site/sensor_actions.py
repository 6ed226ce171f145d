"""What a device's measurements may update: the four sensor actions, and what each may be given (COR-9.3).

An action is configured by one JSON document, ``{"action": …, "measurands": […]}``, with the settings of that action
beside it. ``action_schema`` describes it as a JSON Schema with a title and a description for every choice, so that a
form can be drawn from it; ``parse_action`` takes the same documents and says what is wrong with the others.

A measurand can only be a standard one of the packet contract: unknown keys are acted on by no action.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, cast

from domain.base.violations import Violation, below
from domain.site.circuit_capacity import DEFAULT_HEARTBEAT_THRESHOLD, CapacityPolicy
from domain.site.measurands import MAX_POWER_W, MEASURANDS, MeasurandKey


class SensorActionKind(StrEnum):
    """The sensor actions, by their stable codes."""

    UPDATE_MICROGRID_STATE = "UPDATE_MICROGRID_STATE"
    UPDATE_POWER_SOURCE_STATE = "UPDATE_POWER_SOURCE_STATE"
    UPDATE_POWER_SOURCE_LOAD = "UPDATE_POWER_SOURCE_LOAD"
    UPDATE_CIRCUIT_CAPACITY = "UPDATE_CIRCUIT_CAPACITY"


class ActionTarget(StrEnum):
    """What an action writes to, and so what it needs of the site."""

    MICROGRID = "MICROGRID"
    """The active microgrid of the device's depot."""
    POWER_SOURCE = "POWER_SOURCE"
    """The power source that ``domain.site.routing`` finds."""
    CIRCUIT = "CIRCUIT"
    """The device's linked circuit."""


@dataclass(frozen=True)
class NumberSetting:
    """A setting of an action beside its measurands: a number, which may be left out."""

    name: str
    title: str
    description: str
    unit: str
    minimum: float
    maximum: float
    default: float | None
    """What holds without the setting. None: the setting may also be null, which is the same as leaving it out."""


@dataclass(frozen=True)
class SensorActionSpec:
    """What one action is and what it may be given."""

    kind: SensorActionKind
    title: str
    description: str
    target: ActionTarget
    required: tuple[MeasurandKey, ...]
    """Measurands that the action cannot do without."""
    optional: tuple[MeasurandKey, ...]
    """Measurands that it can use. Where none is required, at least one of these must be chosen."""
    settings: tuple[NumberSetting, ...] = ()

    @property
    def measurands(self) -> tuple[MeasurandKey, ...]:
        """Everything that the action takes."""
        return self.required + self.optional


_MIN_THRESHOLD_SECONDS = 5
"""Faster than any controller's heartbeat, and than a deadline could be kept."""
_MAX_THRESHOLD_SECONDS = 86_400

_CAPACITY_SETTINGS = (
    NumberSetting(
        "heartbeat_threshold_seconds",
        "Heartbeat threshold",
        "Without a packet for longer, the fail-safe capacity holds.",
        "s",
        _MIN_THRESHOLD_SECONDS,
        _MAX_THRESHOLD_SECONDS,
        DEFAULT_HEARTBEAT_THRESHOLD.total_seconds(),
    ),
    NumberSetting(
        "fail_safe_capacity_w",
        "Fail-safe capacity",
        "Holds until the controller has sent a fail-safe capacity of its own. Left empty, it is 0 kW: charging stops.",
        "W",
        0,
        MAX_POWER_W,
        None,
    ),
)

_SPECS = (
    SensorActionSpec(
        SensorActionKind.UPDATE_MICROGRID_STATE,
        "Update Microgrid State",
        "Shows on the depot's microgrid whether peak shaving and the limit of DER export are on.",
        ActionTarget.MICROGRID,
        required=(),
        optional=(MeasurandKey.LIMIT_PEAK_SHAVING, MeasurandKey.LIMIT_DER_EXPORT),
    ),
    SensorActionSpec(
        SensorActionKind.UPDATE_POWER_SOURCE_STATE,
        "Update Power Source State",
        "Keeps the state of the power source that the device measures.",
        ActionTarget.POWER_SOURCE,
        required=(),
        optional=(MeasurandKey.SOC, MeasurandKey.DEVICE_POWER_STATE, MeasurandKey.BESS_OPERATIONAL_MODE),
    ),
    SensorActionSpec(
        SensorActionKind.UPDATE_POWER_SOURCE_LOAD,
        "Update Power Source Load",
        "Keeps the power of the power source that the device measures.",
        ActionTarget.POWER_SOURCE,
        required=(MeasurandKey.TOTAL_POWER_LOAD,),
        optional=(MeasurandKey.TOTAL_REACTIVE_POWER, MeasurandKey.TOTAL_APPARENT_POWER),
    ),
    SensorActionSpec(
        SensorActionKind.UPDATE_CIRCUIT_CAPACITY,
        "Update Circuit Capacity",
        "Lets a controller set the capacity of the device's linked circuit, with a fail-safe for when it is lost.",
        ActionTarget.CIRCUIT,
        required=(MeasurandKey.AVAILABLE_CHARGING_CAPACITY, MeasurandKey.HEARTBEAT_STATUS),
        optional=(MeasurandKey.FAIL_SAFE_CAPACITY,),
        settings=_CAPACITY_SETTINGS,
    ),
)

SENSOR_ACTIONS: Mapping[SensorActionKind, SensorActionSpec] = MappingProxyType({spec.kind: spec for spec in _SPECS})
"""Every sensor action."""

STATE_MEASURANDS = SENSOR_ACTIONS[SensorActionKind.UPDATE_POWER_SOURCE_STATE].measurands
"""What says how a power source is, besides its load."""


class ActionCode(StrEnum):
    """What is wrong with the configuration of a sensor action."""

    WRONG_TYPE = "WRONG_TYPE"
    UNKNOWN_ACTION = "UNKNOWN_ACTION"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    """Neither ``action`` nor ``measurands`` nor a setting of this action."""
    MEASURANDS_MISSING = "MEASURANDS_MISSING"
    """No measurand is chosen."""
    MEASURAND_NOT_TAKEN = "MEASURAND_NOT_TAKEN"
    """This action does not take that measurand; it may be another action's, or no standard key."""
    MEASURAND_REPEATED = "MEASURAND_REPEATED"
    MEASURAND_REQUIRED = "MEASURAND_REQUIRED"
    """This action cannot do without a measurand that was not chosen."""
    SETTING_OUT_OF_RANGE = "SETTING_OUT_OF_RANGE"


@dataclass(frozen=True)
class SensorAction:
    """A valid configuration."""

    kind: SensorActionKind
    measurands: tuple[MeasurandKey, ...]
    """In the order of the action's description, whatever the order they were given in."""
    capacity_policy: CapacityPolicy | None = None
    """The settings of ``UPDATE_CIRCUIT_CAPACITY``; None for the others."""

    def document(self) -> dict[str, Any]:
        """Return the configuration in its one canonical form; parsing it gives the same action."""
        made: dict[str, Any] = {"action": self.kind.value, "measurands": [key.value for key in self.measurands]}
        if self.capacity_policy is not None:
            made["heartbeat_threshold_seconds"] = self.capacity_policy.heartbeat_threshold.total_seconds()
            made["fail_safe_capacity_w"] = self.capacity_policy.fail_safe_w
        return made


@dataclass(frozen=True)
class InvalidAction:
    """A configuration that cannot be used: all that is wrong with it, at once."""

    violations: tuple[Violation, ...]


def parse_action(config: object) -> SensorAction | InvalidAction:
    """Read the configuration of a sensor action."""
    if not isinstance(config, dict):
        return InvalidAction((Violation("", ActionCode.WRONG_TYPE, "Must be an object."),))
    document = cast("dict[str, Any]", config)
    kind = document.get("action")
    if kind not in tuple(SensorActionKind):
        reason = f"Must be one of: {', '.join(SensorActionKind)}."
        return InvalidAction((Violation("/action", ActionCode.UNKNOWN_ACTION, reason),))
    spec = SENSOR_ACTIONS[SensorActionKind(kind)]
    violations = _check_measurands(spec, document.get("measurands"))
    names = {setting.name for setting in spec.settings}
    violations += [
        Violation(below("", key), ActionCode.UNKNOWN_FIELD, f"{spec.title} has no such field.")
        for key in document
        if key not in {"action", "measurands"} | names
    ]
    for setting in spec.settings:
        violations += _check_setting(setting, document.get(setting.name, setting.default))
    if violations:
        return InvalidAction(tuple(violations))
    chosen = tuple(key for key in spec.measurands if key in document["measurands"])
    return SensorAction(spec.kind, chosen, _capacity_policy(document) if spec.settings else None)


def _check_measurands(spec: SensorActionSpec, chosen: object) -> list[Violation]:
    where = "/measurands"
    if not isinstance(chosen, list) or not chosen:
        if chosen is None or chosen == []:
            return [Violation(where, ActionCode.MEASURANDS_MISSING, "Choose at least one measurand.")]
        return [Violation(where, ActionCode.WRONG_TYPE, "Must be an array of measurand keys.")]
    found: list[Violation] = []
    for index, key in enumerate(chosen):
        if not isinstance(key, str) or key not in spec.measurands:
            reason = f"{spec.title} takes: {', '.join(spec.measurands)}."
            found.append(Violation(f"{where}/{index}", ActionCode.MEASURAND_NOT_TAKEN, reason))
        elif key in chosen[:index]:
            found.append(Violation(f"{where}/{index}", ActionCode.MEASURAND_REPEATED, "Choose a measurand once."))
    found += [
        Violation(where, ActionCode.MEASURAND_REQUIRED, f"{spec.title} needs {key}.")
        for key in spec.required
        if key not in chosen
    ]
    return found


def _check_setting(setting: NumberSetting, value: object) -> list[Violation]:
    if value is None and setting.default is None:
        return []
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [Violation(f"/{setting.name}", ActionCode.WRONG_TYPE, f"Must be a number, in {setting.unit}.")]
    if not setting.minimum <= value <= setting.maximum:
        reason = f"Lies between {setting.minimum:,.0f} and {setting.maximum:,.0f} {setting.unit}."
        return [Violation(f"/{setting.name}", ActionCode.SETTING_OUT_OF_RANGE, reason)]
    return []


def _capacity_policy(document: Mapping[str, Any]) -> CapacityPolicy:
    seconds = document.get("heartbeat_threshold_seconds")
    threshold = DEFAULT_HEARTBEAT_THRESHOLD if seconds is None else timedelta(seconds=seconds)
    fail_safe_w = document.get("fail_safe_capacity_w")
    return CapacityPolicy(threshold, None if fail_safe_w is None else fail_safe_w + 0)


def action_schema(kind: SensorActionKind) -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of one action's configuration."""
    spec = SENSOR_ACTIONS[kind]
    measurands: dict[str, Any] = {
        "type": "array",
        "title": "Measurands",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"oneOf": [_choice(key) for key in spec.measurands]},
    }
    if spec.required:
        measurands["allOf"] = [{"contains": {"const": key.value}} for key in spec.required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:depot-microgrid:sensor-action:{kind.lower().replace('_', '-')}",
        "title": spec.title,
        "description": spec.description,
        "type": "object",
        "required": ["action", "measurands"],
        "properties": {
            "action": {"const": kind.value, "title": "Sensor action"},
            "measurands": measurands,
            **{setting.name: _setting_schema(setting) for setting in spec.settings},
        },
        "additionalProperties": False,
    }


def _choice(key: MeasurandKey) -> dict[str, Any]:
    spec = MEASURANDS[key]
    values = f"In {spec.unit}." if spec.unit else f"One of: {', '.join(spec.texts)}."
    return {"const": key.value, "title": spec.meaning, "description": values}


def _setting_schema(setting: NumberSetting) -> dict[str, Any]:
    return {
        "type": ["number", "null"] if setting.default is None else "number",
        "title": f"{setting.title} ({setting.unit})",
        "description": setting.description,
        "unit": setting.unit,
        "minimum": setting.minimum,
        "maximum": setting.maximum,
        "default": setting.default,
    }

"""The four sensor actions: what each may be given, in code, as a schema, and in the words of a refusal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.site.circuit_capacity import DEFAULT_HEARTBEAT_THRESHOLD, CapacityPolicy
from domain.site.measurands import MeasurandKey
from domain.site.sensor_actions import (
    SENSOR_ACTIONS,
    ActionCode,
    ActionTarget,
    InvalidAction,
    SensorAction,
    SensorActionKind,
    action_schema,
    parse_action,
)

MICROGRID = SensorActionKind.UPDATE_MICROGRID_STATE
STATE = SensorActionKind.UPDATE_POWER_SOURCE_STATE
LOAD = SensorActionKind.UPDATE_POWER_SOURCE_LOAD
CAPACITY = SensorActionKind.UPDATE_CIRCUIT_CAPACITY


def config(kind: SensorActionKind, *measurands: Any, **changes: Any) -> dict[str, Any]:
    chosen = [str(key) if isinstance(key, MeasurandKey) else key for key in measurands]
    return {"action": kind.value, "measurands": chosen} | changes


def capacity(**changes: Any) -> dict[str, Any]:
    return config(CAPACITY, MeasurandKey.AVAILABLE_CHARGING_CAPACITY, MeasurandKey.HEARTBEAT_STATUS) | changes


def test_the_actions_have_the_names_that_people_know() -> None:
    assert {kind: spec.title for kind, spec in SENSOR_ACTIONS.items()} == {
        MICROGRID: "Update Microgrid State",
        STATE: "Update Power Source State",
        LOAD: "Update Power Source Load",
        CAPACITY: "Update Circuit Capacity",
    }
    assert set(SENSOR_ACTIONS) == set(SensorActionKind)


def test_what_each_action_takes_and_writes_to() -> None:
    taken = {kind: (spec.target, set(spec.required), set(spec.optional)) for kind, spec in SENSOR_ACTIONS.items()}
    key = MeasurandKey
    assert taken == {
        MICROGRID: (ActionTarget.MICROGRID, set(), {key.LIMIT_PEAK_SHAVING, key.LIMIT_DER_EXPORT}),
        STATE: (ActionTarget.POWER_SOURCE, set(), {key.SOC, key.DEVICE_POWER_STATE, key.BESS_OPERATIONAL_MODE}),
        LOAD: (
            ActionTarget.POWER_SOURCE,
            {key.TOTAL_POWER_LOAD},
            {key.TOTAL_REACTIVE_POWER, key.TOTAL_APPARENT_POWER},
        ),
        CAPACITY: (
            ActionTarget.CIRCUIT,
            {key.AVAILABLE_CHARGING_CAPACITY, key.HEARTBEAT_STATUS},
            {key.FAIL_SAFE_CAPACITY},
        ),
    }


def test_no_two_actions_take_the_same_measurand() -> None:
    every = [key for spec in SENSOR_ACTIONS.values() for key in spec.measurands]
    assert len(every) == len(set(every))


def test_an_action_is_read_in_its_own_order() -> None:
    parsed = parse_action(config(MICROGRID, MeasurandKey.LIMIT_DER_EXPORT, MeasurandKey.LIMIT_PEAK_SHAVING))
    assert parsed == SensorAction(MICROGRID, (MeasurandKey.LIMIT_PEAK_SHAVING, MeasurandKey.LIMIT_DER_EXPORT))


@pytest.mark.parametrize(
    ("settings_", "policy"),
    [
        ({}, CapacityPolicy(DEFAULT_HEARTBEAT_THRESHOLD, None)),
        ({"fail_safe_capacity_w": None}, CapacityPolicy(DEFAULT_HEARTBEAT_THRESHOLD, None)),
        (
            {"heartbeat_threshold_seconds": 7.5, "fail_safe_capacity_w": 0},
            CapacityPolicy(timedelta(seconds=7.5), 0),
        ),
    ],
)
def test_the_settings_of_the_circuit_capacity(settings_: dict[str, Any], policy: CapacityPolicy) -> None:
    parsed = parse_action(capacity(**settings_))
    assert isinstance(parsed, SensorAction)
    assert parsed.capacity_policy == policy


BAD: list[tuple[Any, list[tuple[str, ActionCode]]]] = [
    (None, [("", ActionCode.WRONG_TYPE)]),
    ([], [("", ActionCode.WRONG_TYPE)]),
    ({}, [("/action", ActionCode.UNKNOWN_ACTION)]),
    ({"action": "Update Microgrid State"}, [("/action", ActionCode.UNKNOWN_ACTION)]),
    ({"action": ["UPDATE_MICROGRID_STATE"]}, [("/action", ActionCode.UNKNOWN_ACTION)]),
    ({"action": MICROGRID.value}, [("/measurands", ActionCode.MEASURANDS_MISSING)]),
    (config(MICROGRID), [("/measurands", ActionCode.MEASURANDS_MISSING)]),
    (config(MICROGRID, measurands="LIMIT_PEAK_SHAVING"), [("/measurands", ActionCode.WRONG_TYPE)]),
    (config(MICROGRID, MeasurandKey.SOC), [("/measurands/0", ActionCode.MEASURAND_NOT_TAKEN)]),
    (config(MICROGRID, "limit_peak_shaving"), [("/measurands/0", ActionCode.MEASURAND_NOT_TAKEN)]),
    (config(MICROGRID, None), [("/measurands/0", ActionCode.MEASURAND_NOT_TAKEN)]),
    (config(MICROGRID, ["LIMIT_PEAK_SHAVING"]), [("/measurands/0", ActionCode.MEASURAND_NOT_TAKEN)]),
    (config(STATE, MeasurandKey.SOC, MeasurandKey.SOC), [("/measurands/1", ActionCode.MEASURAND_REPEATED)]),
    (config(LOAD, MeasurandKey.TOTAL_REACTIVE_POWER), [("/measurands", ActionCode.MEASURAND_REQUIRED)]),
    (
        config(CAPACITY, MeasurandKey.FAIL_SAFE_CAPACITY),
        [("/measurands", ActionCode.MEASURAND_REQUIRED), ("/measurands", ActionCode.MEASURAND_REQUIRED)],
    ),
    (config(STATE, MeasurandKey.SOC, fail_safe_capacity_w=1), [("/fail_safe_capacity_w", ActionCode.UNKNOWN_FIELD)]),
    (capacity(fail_safe_capacity_w="1"), [("/fail_safe_capacity_w", ActionCode.WRONG_TYPE)]),
    (capacity(fail_safe_capacity_w=True), [("/fail_safe_capacity_w", ActionCode.WRONG_TYPE)]),
    (capacity(fail_safe_capacity_w=-1), [("/fail_safe_capacity_w", ActionCode.SETTING_OUT_OF_RANGE)]),
    (capacity(fail_safe_capacity_w=2e9), [("/fail_safe_capacity_w", ActionCode.SETTING_OUT_OF_RANGE)]),
    (capacity(heartbeat_threshold_seconds=None), [("/heartbeat_threshold_seconds", ActionCode.WRONG_TYPE)]),
    (capacity(heartbeat_threshold_seconds=4.9), [("/heartbeat_threshold_seconds", ActionCode.SETTING_OUT_OF_RANGE)]),
    (capacity(heartbeat_threshold_seconds=90_000), [("/heartbeat_threshold_seconds", ActionCode.SETTING_OUT_OF_RANGE)]),
    (
        config(MICROGRID, MeasurandKey.SOC, note=1),
        [("/measurands/0", ActionCode.MEASURAND_NOT_TAKEN), ("/note", ActionCode.UNKNOWN_FIELD)],
    ),
]


@pytest.mark.parametrize(("document", "violations"), BAD)
def test_all_that_is_wrong_is_told_at_once(document: Any, violations: list[tuple[str, ActionCode]]) -> None:
    parsed = parse_action(document)
    assert isinstance(parsed, InvalidAction)
    assert [(each.pointer, each.code) for each in parsed.violations] == violations


def test_every_code_is_tried() -> None:
    assert {code for _, violations in BAD for _, code in violations} == set(ActionCode)


def test_a_form_can_be_drawn_from_the_schema() -> None:
    for kind, spec in SENSOR_ACTIONS.items():
        schema = action_schema(kind)
        Draft202012Validator.check_schema(schema)
        assert (schema["title"], schema["properties"]["action"]["const"]) == (spec.title, kind)
        choices = schema["properties"]["measurands"]["items"]["oneOf"]
        assert [choice["const"] for choice in choices] == list(spec.measurands)
        assert all(choice["title"] and choice["description"] for choice in choices)
        for setting in spec.settings:
            assert {"title", "description", "default"} <= schema["properties"][setting.name].keys()


VALIDATORS = {kind: Draft202012Validator(action_schema(kind)) for kind in SensorActionKind}
settings_values = st.sampled_from([None, True, "1", 0, 4.9, 5, 120.5, 86_400, 86_401, -1, 1e9, 1.1e9]) | st.none()
documents = st.fixed_dictionaries(
    {"measurands": st.lists(st.sampled_from([*MeasurandKey, "MINE", 1, None]), max_size=4) | st.none()},
    optional={"heartbeat_threshold_seconds": settings_values, "fail_safe_capacity_w": settings_values, "x": st.none()},
)


@settings(max_examples=300)
@given(st.sampled_from(SensorActionKind), documents, st.data())
def test_schema_and_parser_accept_the_same(
    kind: SensorActionKind, document: dict[str, Any], data: st.DataObject
) -> None:
    if data.draw(st.booleans()):
        # Most random lists are wrong; half of the time, begin with one that is right.
        spec = SENSOR_ACTIONS[kind]
        document["measurands"] = [*spec.required, *data.draw(st.permutations(spec.optional))][:3]
    document = {"action": kind.value} | document
    assert VALIDATORS[kind].is_valid(document) is not isinstance(parse_action(document), InvalidAction)


@given(st.sampled_from(SensorActionKind), st.data())
def test_the_canonical_form_is_read_back_as_the_same_action(kind: SensorActionKind, data: st.DataObject) -> None:
    spec = SENSOR_ACTIONS[kind]
    extra = data.draw(st.sets(st.sampled_from(spec.optional), min_size=0 if spec.required else 1))
    document = config(kind, *spec.required, *sorted(extra))
    for setting in spec.settings:
        document[setting.name] = data.draw(st.floats(setting.minimum, setting.maximum))
    parsed = parse_action(document)
    assert isinstance(parsed, SensorAction)
    assert parse_action(parsed.document()) == parsed
    assert VALIDATORS[kind].is_valid(parsed.document())

"""Forms drawn from schemas: what is drawn, and that a form that is sent as it is stands for the same document."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import FormData, UploadFile

from api.ui.base.forms import FieldErrors
from api.ui.base.schema_forms import (
    FieldKind,
    constants,
    draw_fields,
    fill,
    in_words,
    make_document,
    note_violations,
    read_form,
)
from domain.site.sensor_actions import SENSOR_ACTIONS, InvalidAction, SensorActionKind, action_schema, parse_action


def sent(fields: Any, values: dict[str, Any]) -> FormData:
    """A form as a browser sends it."""
    items: list[tuple[str, str | UploadFile]] = []
    for field in fields:
        value = values[field.name]
        if isinstance(value, list):
            items += [(field.name, str(each)) for each in value]
        elif not isinstance(value, bool):
            items.append((field.name, value))
        elif value:
            items.append((field.name, "on"))
    return FormData(items)


@pytest.mark.parametrize("kind", SensorActionKind)
def test_every_action_is_drawn_whole_and_comes_back_as_it_was(kind: SensorActionKind) -> None:
    spec = SENSOR_ACTIONS[kind]
    schema = action_schema(kind)
    fields = draw_fields(schema)
    assert constants(schema) == {"action": kind}
    assert [field.name for field in fields] == ["measurands", *(setting.name for setting in spec.settings)]
    assert tuple(choice.value for choice in fields[0].choices) == spec.measurands
    assert tuple(choice.value for choice in fields[0].choices if choice.is_required) == spec.required
    document = {"action": kind.value, "measurands": [key.value for key in spec.measurands]}
    values = fill(fields, document)
    made = constants(schema) | make_document(fields, read_form(fields, sent(fields, values)))
    parsed = parse_action(made)
    assert not isinstance(parsed, InvalidAction)
    assert parsed == parse_action(document)


def test_numbers_are_read_as_people_write_them() -> None:
    fields = draw_fields(action_schema(SensorActionKind.UPDATE_CIRCUIT_CAPACITY))
    threshold, fail_safe = fields[1:]
    assert (threshold.kind, threshold.is_optional, threshold.limits) == (FieldKind.NUMBER, False, "5 to 86\u202f400")
    assert (fail_safe.is_optional, fail_safe.limits) == (True, "0 to 1\u202f000\u202f000")
    filled = fill(fields, {"measurands": [], "heartbeat_threshold_seconds": 90.5, "fail_safe_capacity_w": None})
    assert filled == {"measurands": [], "heartbeat_threshold_seconds": "90.5", "fail_safe_capacity_w": ""}
    for given, read in ((" 12,5 ", 12.5), ("1e3", 1000.0), ("soon", "soon"), ("", "")):
        values = {"measurands": [], "heartbeat_threshold_seconds": given, "fail_safe_capacity_w": " "}
        made = make_document(fields, values)
        assert (made["heartbeat_threshold_seconds"], made["fail_safe_capacity_w"]) == (read, None)


def test_people_read_and_write_kilowatts_where_documents_have_watts() -> None:
    _, threshold, fail_safe = fields = draw_fields(action_schema(SensorActionKind.UPDATE_CIRCUIT_CAPACITY))
    assert (threshold.title, fail_safe.title) == ("Heartbeat threshold (s)", "Fail-safe capacity (kW)")
    for watts, written in ((120_000, "120"), (412_500.25, "412.50025"), (0, "0"), (1, "0.001")):
        document = {"measurands": [], "heartbeat_threshold_seconds": 5, "fail_safe_capacity_w": watts}
        values = fill(fields, document)
        assert values["fail_safe_capacity_w"] == written
        assert make_document(fields, values) == document
    assert [fail_safe.say(value) for value in (120_000, None)] == ["120", "0: charging stops"]
    errors = FieldErrors()
    parsed = parse_action(
        {"action": "UPDATE_CIRCUIT_CAPACITY", "measurands": ["HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY"],
         "fail_safe_capacity_w": -1}
    )  # fmt: skip
    assert isinstance(parsed, InvalidAction)
    note_violations(errors, "action", parsed.violations, fields)
    assert errors == {"action-fail_safe_capacity_w": "Is a number from 0 to 1\u202f000\u202f000 kW."}


def test_all_that_is_wrong_stands_beside_its_field_once() -> None:
    errors = FieldErrors()
    wrong = {
        "action": "UPDATE_CIRCUIT_CAPACITY",
        "measurands": ["SOC", "VOLTAGE", "HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY"],
        "heartbeat_threshold_seconds": float("nan"),
    }
    parsed = parse_action(wrong)
    assert isinstance(parsed, InvalidAction)
    note_violations(errors, "action", parsed.violations)
    assert list(errors) == ["action-measurands", "action-heartbeat_threshold_seconds"]
    assert errors["action-measurands"].count("takes:") == 1


def test_a_value_in_words() -> None:
    given = (None, True, False, 120.0, 412500.25, ["SOC", "VOLTAGE"], "text")
    assert [in_words(value) for value in given] == [
        "none", "on", "off", "120", "412\u202f500.25", "SOC, VOLTAGE", "text",
    ]  # fmt: skip

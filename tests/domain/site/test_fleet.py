"""One line of a legacy fleet by itself: what it must say, and what is said of a wrong one."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.site.circuits import MAX_POSITION, MAX_RATED_POWER_W
from domain.site.fleet import (
    MAX_LINE_BYTES,
    TOO_LONG,
    FleetCode,
    FleetRecord,
    LineKind,
    Refusal,
    parse_line,
    refusal_of,
)
from fleet.make_fleet import lines

ID, OTHER, CIRCUIT_ID = str(uuid4()), str(uuid4()), str(uuid4())
DEPOT: dict[str, Any] = {"type": "depot", "id": ID, "name": "Arrow Road", "timezone": "America/Toronto"}
CIRCUIT: dict[str, Any] = {
    "type": "circuit", "id": ID, "depot_id": OTHER, "parent_id": None, "name": "Feed", "position": 0,
    "rated_power_w": 500_000,
}  # fmt: skip
GATEWAY: dict[str, Any] = {
    "type": "gateway", "id": ID, "depot_id": OTHER, "name": "Site gateway", "site_model_name": None,
    "output_translation": None,
}  # fmt: skip
DEVICE: dict[str, Any] = {
    "type": "device", "id": ID, "gateway_id": OTHER, "sensor_id": "mgc-1", "name": "Controller",
    "circuit_id": CIRCUIT_ID,
}  # fmt: skip
SOURCE: dict[str, Any] = {
    "type": "power_source", "id": ID, "depot_id": OTHER, "circuit_id": CIRCUIT_ID, "kind": "BATTERY", "name": "Source",
}  # fmt: skip
EVERY = [DEPOT, CIRCUIT, GATEWAY, DEVICE, SOURCE]


def parse(line: dict[str, Any] | str | bytes) -> FleetRecord | Refusal:
    if isinstance(line, dict):
        line = json.dumps(line)
    return parse_line(line if isinstance(line, bytes) else line.encode())


def record(line: dict[str, Any]) -> FleetRecord:
    found = parse(line)
    assert isinstance(found, FleetRecord), found
    return found


def refused(line: dict[str, Any] | str | bytes) -> tuple[FleetCode, str | None]:
    """The code and the field of a refused line, whose reason must be one for people."""
    found = parse(line)
    assert isinstance(found, Refusal), found
    assert re.fullmatch(r"[A-Z].*\.", found.reason)
    return found.code, found.field


def test_every_type_is_read() -> None:
    assert record(DEPOT) == FleetRecord(LineKind.DEPOT, ID, "Arrow Road", timezone="America/Toronto")
    assert record(CIRCUIT) == FleetRecord(
        LineKind.CIRCUIT, ID, "Feed", depot_id=OTHER, position=0, rated_power_w=500_000.0
    )
    assert record(GATEWAY) == FleetRecord(LineKind.GATEWAY, ID, "Site gateway", depot_id=OTHER)
    assert record(DEVICE) == FleetRecord(
        LineKind.DEVICE, ID, "Controller", gateway_id=OTHER, sensor_id="mgc-1", circuit_id=CIRCUIT_ID
    )
    assert record(SOURCE) == FleetRecord(
        LineKind.POWER_SOURCE, ID, "Source", depot_id=OTHER, circuit_id=CIRCUIT_ID, source_kind="BATTERY"
    )


def test_everything_that_the_maker_of_fleets_writes_is_read() -> None:
    for line in lines(60, seed=3, flaws=False):
        assert isinstance(parse(line), FleetRecord), line


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        (CIRCUIT, ("parent_id", "position", "rated_power_w")),
        (GATEWAY, ("site_model_name", "output_translation")),
        (DEVICE, ("circuit_id",)),
        (SOURCE, ("circuit_id",)),
    ],
)
def test_what_may_be_left_out_may_be_null(line: dict[str, Any], left_out: tuple[str, ...]) -> None:
    without = {name: value for name, value in line.items() if name not in left_out}
    assert record(without) == record(without | dict.fromkeys(left_out))


@pytest.mark.parametrize("line", EVERY, ids=lambda line: line["type"])
def test_every_other_field_is_needed(line: dict[str, Any]) -> None:
    optional = {"parent_id", "position", "rated_power_w", "site_model_name", "output_translation", "circuit_id"}
    for name in line.keys() - optional:
        without = {key: value for key, value in line.items() if key != name}
        assert refused(without) == (FleetCode.MISSING_FIELD, name)
        assert refused(line | {name: None})[1] == name


@pytest.mark.parametrize("line", EVERY, ids=lambda line: line["type"])
def test_a_field_that_the_type_does_not_have_is_refused(line: dict[str, Any]) -> None:
    assert refused(line | {"nane": "typo"}) == (FleetCode.UNKNOWN_FIELD, "nane")
    assert refused(line | {"n\u2028": 1}) == (FleetCode.UNKNOWN_FIELD, None)
    assert refused(line | {"n" * 1000: 1}) == (FleetCode.UNKNOWN_FIELD, None)


def numbered(line: dict[str, Any], name: str, number: str) -> str:
    """A line with a number as it is written."""
    return json.dumps(line | {name: "NUMBER"}).replace('"NUMBER"', number)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"type": "circuit", "id": "', (FleetCode.NOT_JSON, None)),
        ("{} {}", (FleetCode.NOT_JSON, None)),
        (b'{"type": "\xff"}', (FleetCode.NOT_UTF8, None)),
        ("[" * 60_000, (FleetCode.TOO_DEEP, None)),
        (numbered(CIRCUIT, "position", "1" + "0" * 5_000), (FleetCode.NUMBER_TOO_LONG, "position")),
        (numbered(CIRCUIT, "position", "1e-400"), (FleetCode.NUMBER_TOO_SMALL, "position")),
        (numbered(CIRCUIT, "rated_power_w", "1e-400"), (FleetCode.NUMBER_TOO_SMALL, "rated_power_w")),
        (numbered(CIRCUIT, "rated_power_w", "0e99999999999"), (FleetCode.NUMBER_TOO_LONG, "rated_power_w")),
        (numbered(CIRCUIT, "rated_power_w", "0." + "1" * 16_500), (FleetCode.NUMBER_TOO_LONG, "rated_power_w")),
        (
            numbered(GATEWAY, "output_translation", '{"a": [1e-20000]}'),
            (FleetCode.NUMBER_TOO_SMALL, "output_translation"),
        ),
        (
            numbered(GATEWAY, "output_translation", '{"a": [' + "1e308," * 60 + "1]}"),
            (FleetCode.OUT_OF_RANGE, "output_translation"),
        ),
        ("[]", (FleetCode.NOT_AN_OBJECT, None)),
        ("null", (FleetCode.NOT_AN_OBJECT, None)),
        ("{}", (FleetCode.MISSING_FIELD, "type")),
        ({"type": "meter"}, (FleetCode.UNKNOWN_TYPE, "type")),
        ({"type": ["depot"]}, (FleetCode.UNKNOWN_TYPE, "type")),
        ({"type": None}, (FleetCode.UNKNOWN_TYPE, "type")),
        ('{"type": "depot", "type": "depot"}', (FleetCode.REPEATED_KEY, None)),
        (DEPOT | {"id": "1"}, (FleetCode.INVALID_ID, "id")),
        (DEPOT | {"id": ID.replace("-", "")}, (FleetCode.INVALID_ID, "id")),
        (DEPOT | {"id": f"{ID}\n"}, (FleetCode.INVALID_ID, "id")),
        (DEPOT | {"id": 7}, (FleetCode.WRONG_TYPE, "id")),
        (CIRCUIT | {"depot_id": ""}, (FleetCode.INVALID_ID, "depot_id")),
        (CIRCUIT | {"parent_id": "none"}, (FleetCode.INVALID_ID, "parent_id")),
        (DEPOT | {"name": "   "}, (FleetCode.INVALID_NAME, "name")),
        (DEPOT | {"name": "x" * 201}, (FleetCode.INVALID_NAME, "name")),
        (DEPOT | {"name": "a\u0000b"}, (FleetCode.INVALID_NAME, "name")),
        (DEPOT | {"name": "a\ud800b"}, (FleetCode.INVALID_NAME, "name")),
        (DEPOT | {"name": 5}, (FleetCode.WRONG_TYPE, "name")),
        (DEPOT | {"timezone": "Mars/Olympus"}, (FleetCode.INVALID_TIMEZONE, "timezone")),
        (DEPOT | {"timezone": ["UTC"]}, (FleetCode.WRONG_TYPE, "timezone")),
        (CIRCUIT | {"position": -1}, (FleetCode.OUT_OF_RANGE, "position")),
        (CIRCUIT | {"position": MAX_POSITION + 1}, (FleetCode.OUT_OF_RANGE, "position")),
        (CIRCUIT | {"position": 1.0}, (FleetCode.WRONG_TYPE, "position")),
        (CIRCUIT | {"position": True}, (FleetCode.WRONG_TYPE, "position")),
        (CIRCUIT | {"rated_power_w": "500000"}, (FleetCode.WRONG_TYPE, "rated_power_w")),
        (CIRCUIT | {"rated_power_w": "a lot"}, (FleetCode.WRONG_TYPE, "rated_power_w")),
        (CIRCUIT | {"rated_power_w": True}, (FleetCode.WRONG_TYPE, "rated_power_w")),
        (CIRCUIT | {"rated_power_w": 0}, (FleetCode.OUT_OF_RANGE, "rated_power_w")),
        (CIRCUIT | {"rated_power_w": -1}, (FleetCode.OUT_OF_RANGE, "rated_power_w")),
        (CIRCUIT | {"rated_power_w": 10**400}, (FleetCode.OUT_OF_RANGE, "rated_power_w")),
        (CIRCUIT | {"rated_power_w": float("nan")}, (FleetCode.OUT_OF_RANGE, "rated_power_w")),
        (CIRCUIT | {"rated_power_w": float("inf")}, (FleetCode.OUT_OF_RANGE, "rated_power_w")),
        (GATEWAY | {"site_model_name": 5}, (FleetCode.WRONG_TYPE, "site_model_name")),
        (GATEWAY | {"site_model_name": "x" * 201}, (FleetCode.OUT_OF_RANGE, "site_model_name")),
        (GATEWAY | {"site_model_name": "a\u0000"}, (FleetCode.UNSTORABLE_TEXT, "site_model_name")),
        (GATEWAY | {"output_translation": []}, (FleetCode.WRONG_TYPE, "output_translation")),
        (GATEWAY | {"output_translation": "{}"}, (FleetCode.WRONG_TYPE, "output_translation")),
        (GATEWAY | {"output_translation": {"a": float("nan")}}, (FleetCode.NUMBER_NOT_FINITE, "output_translation")),
        (GATEWAY | {"output_translation": {"a": ["\ud800"]}}, (FleetCode.UNSTORABLE_TEXT, "output_translation")),
        (GATEWAY | {"output_translation": {"\u0000": 1}}, (FleetCode.UNSTORABLE_TEXT, "output_translation")),
        *(
            (line | {name: shown}, (code, name))
            for line, name, code in (
                (DEPOT, "name", FleetCode.INVALID_NAME),
                (DEVICE, "sensor_id", FleetCode.INVALID_SENSOR_ID),
                (GATEWAY, "site_model_name", FleetCode.TEXT_NOT_ALLOWED),
            )
            for shown in ("\u202e", "\u2028", "\u3164", "a\ufffeb", "a\x1bb", "a\u202eb")
        ),
        (DEPOT | {"timezone": "localtime"}, (FleetCode.INVALID_TIMEZONE, "timezone")),
        (DEPOT | {"timezone": "Factory"}, (FleetCode.INVALID_TIMEZONE, "timezone")),
        (DEVICE | {"sensor_id": " "}, (FleetCode.INVALID_SENSOR_ID, "sensor_id")),
        (DEVICE | {"sensor_id": ""}, (FleetCode.INVALID_SENSOR_ID, "sensor_id")),
        (DEVICE | {"sensor_id": "x" * 201}, (FleetCode.INVALID_SENSOR_ID, "sensor_id")),
        (DEVICE | {"sensor_id": "\udc00"}, (FleetCode.UNSTORABLE_TEXT, "sensor_id")),
        (DEVICE | {"sensor_id": 1}, (FleetCode.WRONG_TYPE, "sensor_id")),
        (SOURCE | {"kind": "WIND"}, (FleetCode.UNKNOWN_POWER_SOURCE_KIND, "kind")),
        (SOURCE | {"kind": "battery"}, (FleetCode.UNKNOWN_POWER_SOURCE_KIND, "kind")),
        (SOURCE | {"kind": {}}, (FleetCode.WRONG_TYPE, "kind")),
    ],
)
def test_a_wrong_line_is_refused(line: Any, expected: tuple[FleetCode, str | None]) -> None:
    assert refused(line) == expected


def test_a_translation_may_hold_what_json_holds_and_no_repeated_key() -> None:
    translation = {"rules": [{"key": "SOC", "factor": 1.5, "nested": {"é": None}}], "on": True}
    stored = record(GATEWAY | {"output_translation": translation}).output_translation
    assert stored is not None
    assert json.loads(stored) == translation
    repeated = json.dumps(GATEWAY).replace(
        '"output_translation": null', '"output_translation": {"a": {"b": 1, "b": 1}}'
    )
    assert refused(repeated) == (FleetCode.REPEATED_KEY, "output_translation")
    deep: Any = {}
    for _ in range(40):
        deep = {"deeper": deep}
    assert refused(GATEWAY | {"output_translation": deep}) == (FleetCode.TOO_DEEP, "output_translation")


def test_names_are_cleaned_and_sensor_ids_are_not() -> None:
    assert record(DEPOT | {"name": "\t Québec Métrobus "}).name == "Québec Métrobus"
    assert record(DEVICE | {"sensor_id": " mgc-1"}).sensor_id == " mgc-1"
    assert record(DEPOT | {"name": "Que\u0301bec\u200b"}).name == "Québec"
    assert record(DEVICE | {"sensor_id": "Za\u0308hler"}).sensor_id == "Zähler"
    assert record(GATEWAY | {"site_model_name": "Za\u0308hler"}).site_model_name == "Zähler"


def test_the_bounds_themselves_are_good() -> None:
    circuit = record(CIRCUIT | {"position": MAX_POSITION, "rated_power_w": MAX_RATED_POWER_W, "name": "x" * 200})
    assert (circuit.position, circuit.rated_power_w) == (MAX_POSITION, MAX_RATED_POWER_W)


def test_a_refused_line_keeps_its_type_and_its_id_where_they_could_be_read() -> None:
    found = parse(CIRCUIT | {"name": " "})
    assert isinstance(found, Refusal)
    assert (found.kind, found.id) == (LineKind.CIRCUIT, ID)
    found = parse(CIRCUIT | {"id": "x"})
    assert isinstance(found, Refusal)
    assert (found.kind, found.id) == (LineKind.CIRCUIT, None)


def test_a_reason_never_repeats_what_the_line_says() -> None:
    for name in ("name", "timezone", "id", "rated_power_w", "kind", "type", "secret"):
        for line in EVERY:
            found = parse(line | {name: "hunter2"})
            if isinstance(found, Refusal):
                assert "hunter2" not in found.reason


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert isinstance(parse_line(raw), FleetRecord | Refusal)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(EVERY), st.data())
def test_whatever_a_field_holds_the_line_is_read_or_refused(line: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*line, "extra"]))
    found = parse(json.dumps(line | {name: data.draw(JSON)}))
    if isinstance(found, Refusal):
        assert found.field in (name, None)
    else:
        json.dumps(found._asdict(), ensure_ascii=False, allow_nan=False).encode()


def test_every_code_has_its_reason_for_people() -> None:
    own = {FleetCode.WRONG_TYPE, FleetCode.OUT_OF_RANGE}
    for code in set(FleetCode) - own:
        told = refusal_of(code, LineKind.CIRCUIT, ID, other_line=17, other_id=OTHER)
        assert re.fullmatch(r"[A-Z].*\.", told.reason)
        assert "None" not in told.reason
        assert "{" not in told.reason
    assert str(MAX_LINE_BYTES) in TOO_LONG.reason

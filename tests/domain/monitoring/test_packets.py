"""The packet contract: what the parser takes, what it refuses and where, and that the JSON Schema says the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.base.names import MAX_ID_LENGTH
from domain.base.strict_json import MAX_DEPTH, MAX_NUMBER, JsonCode, RepeatedKeys, UnfitNumber, decode_json
from domain.monitoring.packet_schema import BEYOND_THE_SCHEMA, packet_schema
from domain.monitoring.packets import (
    MAX_KEY_LENGTH,
    MAX_MEASURANDS,
    MAX_SENSORS,
    MAX_TEXT_LENGTH,
    MAX_TIMESTAMP_MS,
    MAX_UNIT_LENGTH,
    MAX_VIOLATIONS,
    InvalidPacket,
    Packet,
    PacketCode,
    Sensor,
    check_timestamp,
    in_one_form,
    parse_packet,
)
from domain.site.measurands import Measurand, MeasurandKey, ReadingCode, Unreadable
from tests.domain.documents import DOCS, examples, table

SPEC = "iot-sensor-packet/spec.md"
ID = "5b2f6a0e-6f0b-4f6e-9a53-0d6e2f1c7a10"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def packet(**changes: Any) -> dict[str, Any]:
    return {
        "device_id": ID,
        "timestamp": 1_767_225_600_000,
        "manufacturer": "BBA",
        "sensors": [{"sensor_id": "mgc-1", "measurands": [{"key": "SOC", "value": 50, "unit": "%"}]}],
    } | changes


def sensor(*measurands: Any, **changes: Any) -> dict[str, Any]:
    return packet(sensors=[{"sensor_id": "mgc-1", "measurands": list(measurands)} | changes])


def measurand(**changes: Any) -> dict[str, Any]:
    return sensor({"key": "SOC", "value": 50, "unit": "%"} | changes)


def found(data: object) -> list[tuple[str, str]]:
    parsed = parse_packet(data)
    return [(each.pointer, each.code) for each in parsed.violations] if isinstance(parsed, InvalidPacket) else []


def without(data: dict[str, Any], *path: str | int) -> dict[str, Any]:
    inner: Any = data
    *to, last = path
    for step in to:
        inner = inner[step]
    del inner[last]
    return data


def packet_with_note(value: object) -> dict[str, Any]:
    return packet(note=value)


def sensor_with_note(value: object) -> dict[str, Any]:
    return sensor(note=value)


def measurand_with_note(value: object) -> dict[str, Any]:
    return measurand(note=value)


# What a good packet says


def test_a_packet_is_read() -> None:
    parsed = parse_packet(
        packet(
            firmware=None,
            sensors=[
                {"sensor_id": "mgc-1", "measurands": [{"key": "SOC", "value": 50, "unit": "%"}]},
                {"sensor_id": "meter", "measurands": []},
            ],
        )
    )
    assert parsed == Packet(
        device_id=UUID(ID),
        timestamp_ms=1_767_225_600_000,
        manufacturer="BBA",
        model=None,
        serial_number=None,
        firmware=None,
        sensors=(Sensor("mgc-1", (Measurand("SOC", 50, "%"),)), Sensor("meter", ())),
    )


@pytest.mark.parametrize(
    ("milliseconds", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_767_225_600_001, datetime(2026, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)),
        (MAX_TIMESTAMP_MS, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_the_timestamp_is_exact_to_the_millisecond(milliseconds: int, moment: datetime) -> None:
    parsed = parse_packet(packet(timestamp=milliseconds))
    assert isinstance(parsed, Packet)
    assert parsed.observed_at == moment


def test_a_whole_number_may_be_written_with_a_point() -> None:
    parsed = parse_packet(decode_json(json.dumps(packet(timestamp=1.7672256e12)).encode()))
    assert isinstance(parsed, Packet)
    assert parsed.timestamp_ms == 1_767_225_600_000
    assert type(parsed.timestamp_ms) is int


def test_standard_measurands_are_found_by_their_key() -> None:
    parsed = parse_packet(sensor(*({"key": k, "value": None, "unit": None} for k in ("SOC", "MINE", "MINE"))))
    assert isinstance(parsed, Packet)
    (read,) = parsed.sensors[0].readings.items()
    assert read[0] is MeasurandKey.SOC
    assert isinstance(read[1], Unreadable)
    assert read[1].code is ReadingCode.VALUE_UNAVAILABLE


def test_unknown_keys_are_tolerated_everywhere_and_left_out_of_the_packet() -> None:
    plain = measurand()
    strange: dict[str, Any] = {"deep": [{"er": {"and": [True, None, 1.5, "text", 10**30]}}]}
    rich: Any = copy.deepcopy(plain) | {"uptime": strange}
    rich["sensors"][0]["location"] = strange
    rich["sensors"][0]["measurands"][0]["quality"] = strange
    assert parse_packet(rich) == parse_packet(plain)
    assert isinstance(parse_packet(rich), Packet)


def test_the_texts_of_the_contract_have_one_form_and_all_others_stay() -> None:
    sent: Any = sensor(
        {"key": "e\u0301", "value": "e\u0301", "unit": "e\u0301", "e\u0301": "e\u0301"}, sensor_id="e\u0301"
    )
    sent |= {"model": "\ufeffe\u0301", "note": "e\u0301"}
    before = copy.deepcopy(sent)
    made: Any = in_one_form(sent)
    assert sent == before
    (one,) = made["sensors"]
    assert (made["model"], made["note"], one["sensor_id"]) == ("é", "e\u0301", "é")
    assert one["measurands"] == [{"key": "é", "value": "é", "unit": "é", "e\u0301": "e\u0301"}]
    assert in_one_form(made) == made
    assert isinstance(parse_packet(made), Packet)


def test_ids_that_look_the_same_are_the_same_sensor() -> None:
    both = packet(sensors=[{"sensor_id": name, "measurands": []} for name in ("\u00e9", "e\u0301")])
    assert found(in_one_form(both)) == [("/sensors", PacketCode.REPEATED_SENSOR)]
    assert found(in_one_form(sensor(sensor_id="\u200b"))) == [("/sensors/0/sensor_id", PacketCode.EMPTY)]


@given(
    st.recursive(
        st.none() | st.text(max_size=2),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["sensors", "measurands", "sensor_id", "key", "x"]), inner)
        ),
        max_leaves=6,
    )
)
def test_whatever_is_put_into_form_is_read_or_refused(document: object) -> None:
    assert isinstance(parse_packet(in_one_form(document)), Packet | InvalidPacket)
    assert type(in_one_form(RepeatedKeys())) is RepeatedKeys


@pytest.mark.parametrize("example", examples(SPEC, "json"))
def test_the_examples_of_the_specification_are_good_packets(example: str) -> None:
    assert isinstance(parse_packet(decode_json(example.encode())), Packet)


# What a bad packet is told

BAD: list[tuple[Any, str, str]] = [
    (None, "", PacketCode.WRONG_TYPE),
    ([], "", PacketCode.WRONG_TYPE),
    ("{}", "", PacketCode.WRONG_TYPE),
    (without(packet(), "device_id"), "/device_id", PacketCode.MISSING),
    (packet(device_id=None), "/device_id", PacketCode.WRONG_TYPE),
    (packet(device_id=5), "/device_id", PacketCode.WRONG_TYPE),
    (packet(device_id=""), "/device_id", PacketCode.NOT_A_UUID),
    (packet(device_id=ID.replace("-", "")), "/device_id", PacketCode.NOT_A_UUID),
    (packet(device_id=f"{{{ID}}}"), "/device_id", PacketCode.NOT_A_UUID),
    (packet(device_id=f"{ID}\n"), "/device_id", PacketCode.NOT_A_UUID),
    (packet(device_id=ID[:-1] + "\n"), "/device_id", PacketCode.NOT_A_UUID),
    (packet(device_id=ID[:-1] + "٣"), "/device_id", PacketCode.NOT_A_UUID),
    (without(packet(), "timestamp"), "/timestamp", PacketCode.MISSING),
    (packet(timestamp=None), "/timestamp", PacketCode.WRONG_TYPE),
    (packet(timestamp=True), "/timestamp", PacketCode.WRONG_TYPE),
    (packet(timestamp="1767225600000"), "/timestamp", PacketCode.WRONG_TYPE),
    (packet(timestamp=1.5), "/timestamp", PacketCode.NOT_AN_INTEGER),
    (packet(timestamp=float("nan")), "/timestamp", PacketCode.NOT_AN_INTEGER),
    (packet(timestamp=-1), "/timestamp", PacketCode.TIMESTAMP_OUT_OF_RANGE),
    (packet(timestamp=MAX_TIMESTAMP_MS + 1), "/timestamp", PacketCode.TIMESTAMP_OUT_OF_RANGE),
    (packet(timestamp=1e300), "/timestamp", PacketCode.TIMESTAMP_OUT_OF_RANGE),
    (packet(model=7), "/model", PacketCode.WRONG_TYPE),
    (packet(serial_number="9" * (MAX_TEXT_LENGTH + 1)), "/serial_number", PacketCode.TOO_LONG),
    (packet(firmware="\0"), "/firmware", JsonCode.UNSTORABLE_TEXT),
    (packet(firmware="1.2\x1b[31m"), "/firmware", PacketCode.TEXT_NOT_ALLOWED),
    (packet(model="\u3164"), "/model", PacketCode.TEXT_NOT_ALLOWED),
    (packet(timestamp=UnfitNumber(JsonCode.NUMBER_TOO_SMALL)), "/timestamp", JsonCode.NUMBER_TOO_SMALL),
    (packet(note=[UnfitNumber(JsonCode.NUMBER_TOO_LONG)]), "/note/0", JsonCode.NUMBER_TOO_LONG),
    (sensor(sensor_id="a\u202eb"), "/sensors/0/sensor_id", PacketCode.TEXT_NOT_ALLOWED),
    (sensor(sensor_id="a\ufffe"), "/sensors/0/sensor_id", PacketCode.TEXT_NOT_ALLOWED),
    (measurand(key="a\nb"), "/sensors/0/measurands/0/key", PacketCode.TEXT_NOT_ALLOWED),
    (measurand(value="a\u2028b"), "/sensors/0/measurands/0/value", PacketCode.TEXT_NOT_ALLOWED),
    (measurand(unit="\x85"), "/sensors/0/measurands/0/unit", PacketCode.TEXT_NOT_ALLOWED),
    (measurand(value=2**53 + 1), "/sensors/0/measurands/0/value", JsonCode.NUMBER_NOT_EXACT),
    (measurand(value=-(10**25)), "/sensors/0/measurands/0/value", JsonCode.NUMBER_NOT_EXACT),
    (
        measurand(value=UnfitNumber(JsonCode.NUMBER_TOO_SMALL)),
        "/sensors/0/measurands/0/value",
        JsonCode.NUMBER_TOO_SMALL,
    ),
    (without(packet(), "sensors"), "/sensors", PacketCode.MISSING),
    (packet(sensors=None), "/sensors", PacketCode.WRONG_TYPE),
    (packet(sensors={}), "/sensors", PacketCode.WRONG_TYPE),
    (packet(sensors=[{"sensor_id": "a", "measurands": []}] * 2), "/sensors", PacketCode.REPEATED_SENSOR),
    (packet(sensors=[None]), "/sensors/0", PacketCode.WRONG_TYPE),
    (
        packet(sensors=[{"sensor_id": str(n), "measurands": []} for n in range(MAX_SENSORS + 1)]),
        "/sensors",
        PacketCode.TOO_MANY,
    ),
    (without(sensor(), "sensors", 0, "sensor_id"), "/sensors/0/sensor_id", PacketCode.MISSING),
    (sensor(sensor_id=None), "/sensors/0/sensor_id", PacketCode.WRONG_TYPE),
    (sensor(sensor_id=""), "/sensors/0/sensor_id", PacketCode.EMPTY),
    (sensor(sensor_id="x" * (MAX_ID_LENGTH + 1)), "/sensors/0/sensor_id", PacketCode.TOO_LONG),
    (sensor(sensor_id="\ud800"), "/sensors/0/sensor_id", JsonCode.UNSTORABLE_TEXT),
    (without(sensor(), "sensors", 0, "measurands"), "/sensors/0/measurands", PacketCode.MISSING),
    (sensor(measurands={}), "/sensors/0/measurands", PacketCode.WRONG_TYPE),
    (sensor("SOC"), "/sensors/0/measurands/0", PacketCode.WRONG_TYPE),
    (
        sensor(*({"key": f"K{n}", "value": 1, "unit": None} for n in range(MAX_MEASURANDS + 1))),
        "/sensors/0/measurands",
        PacketCode.TOO_MANY,
    ),
    (
        sensor(*({"key": "SOC", "value": n, "unit": "%"} for n in range(2))),
        "/sensors/0/measurands",
        PacketCode.REPEATED_MEASURAND,
    ),
    (without(measurand(), "sensors", 0, "measurands", 0, "key"), "/sensors/0/measurands/0/key", PacketCode.MISSING),
    (measurand(key=None), "/sensors/0/measurands/0/key", PacketCode.WRONG_TYPE),
    (measurand(key=["SOC"]), "/sensors/0/measurands/0/key", PacketCode.WRONG_TYPE),
    (measurand(key=""), "/sensors/0/measurands/0/key", PacketCode.EMPTY),
    (measurand(key="K" * (MAX_KEY_LENGTH + 1)), "/sensors/0/measurands/0/key", PacketCode.TOO_LONG),
    (measurand(key="K\0"), "/sensors/0/measurands/0/key", JsonCode.UNSTORABLE_TEXT),
    (without(measurand(), "sensors", 0, "measurands", 0, "value"), "/sensors/0/measurands/0/value", PacketCode.MISSING),
    (measurand(value=True), "/sensors/0/measurands/0/value", PacketCode.WRONG_TYPE),
    (measurand(value=[]), "/sensors/0/measurands/0/value", PacketCode.WRONG_TYPE),
    (measurand(value={}), "/sensors/0/measurands/0/value", PacketCode.WRONG_TYPE),
    (measurand(value=float("nan")), "/sensors/0/measurands/0/value", JsonCode.NUMBER_NOT_FINITE),
    (measurand(value=float("-inf")), "/sensors/0/measurands/0/value", JsonCode.NUMBER_NOT_FINITE),
    (measurand(value=10**309), "/sensors/0/measurands/0/value", JsonCode.NUMBER_NOT_FINITE),
    (measurand(value="x" * (MAX_TEXT_LENGTH + 1)), "/sensors/0/measurands/0/value", PacketCode.TOO_LONG),
    (measurand(value="\udfff"), "/sensors/0/measurands/0/value", JsonCode.UNSTORABLE_TEXT),
    (without(measurand(), "sensors", 0, "measurands", 0, "unit"), "/sensors/0/measurands/0/unit", PacketCode.MISSING),
    (measurand(unit=1), "/sensors/0/measurands/0/unit", PacketCode.WRONG_TYPE),
    (measurand(unit=["%"]), "/sensors/0/measurands/0/unit", PacketCode.WRONG_TYPE),
    (measurand(unit="u" * (MAX_UNIT_LENGTH + 1)), "/sensors/0/measurands/0/unit", PacketCode.TOO_LONG),
    (measurand(unit="\0"), "/sensors/0/measurands/0/unit", JsonCode.UNSTORABLE_TEXT),
    (packet(note="\0"), "/note", JsonCode.UNSTORABLE_TEXT),
    (packet(**{"no\0te": 1}), "", JsonCode.UNSTORABLE_TEXT),
    (sensor(place=[float("inf")]), "/sensors/0/place/0", JsonCode.NUMBER_NOT_FINITE),
    (measurand(quality={"\ud800": 1}), "/sensors/0/measurands/0/quality", JsonCode.UNSTORABLE_TEXT),
]


@pytest.mark.parametrize(("data", "pointer", "code"), BAD)
def test_each_fault_has_its_code_and_its_place(data: Any, pointer: str, code: str) -> None:
    assert found(data) == [(pointer, code)]


def test_every_code_of_a_packet_is_tried() -> None:
    of_the_clock = {PacketCode.TIMESTAMP_IN_FUTURE, PacketCode.TIMESTAMP_TOO_OLD}
    assert set(PacketCode) - of_the_clock <= {code for _, _, code in BAD}


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ('"device_id"', '"timestamp": 1, "device_id"', ""),
        ('"sensor_id"', '"sensor_id": "a", "sensor_id"', "/sensors/0"),
        ('"value"', '"value": 1, "value"', "/sensors/0/measurands/0"),
        ('"device_id"', '"note": {"a": 1, "a": 2}, "device_id"', "/note"),
    ],
)
def test_a_repeated_key_is_found_on_every_level(old: str, new: str, pointer: str) -> None:
    raw = json.dumps(packet()).replace(old, new, 1).encode()
    assert found(decode_json(raw)) == [(pointer, JsonCode.REPEATED_KEY)]


@pytest.mark.parametrize(("place", "level"), [(packet_with_note, 2), (sensor_with_note, 4), (measurand_with_note, 6)])
def test_depth_counts_from_the_packet(place: Callable[[Any], Any], level: int) -> None:
    def nested(depth: int) -> object:
        value: object = 1
        for _ in range(depth):
            value = [value]
        return value

    room = MAX_DEPTH - level + 1
    assert found(place(nested(room))) == []
    assert [code for _, code in found(place(nested(room + 1)))] == [JsonCode.TOO_DEEP]


def test_all_violations_are_told_at_once() -> None:
    assert set(found({"device_id": 1, "model": 2, "sensors": [{"sensor_id": "", "measurands": [5]}]})) == {
        ("/device_id", PacketCode.WRONG_TYPE),
        ("/timestamp", PacketCode.MISSING),
        ("/model", PacketCode.WRONG_TYPE),
        ("/sensors/0/sensor_id", PacketCode.EMPTY),
        ("/sensors/0/measurands/0", PacketCode.WRONG_TYPE),
    }


def test_a_wholly_wrong_packet_is_not_told_without_end() -> None:
    bad = [{"sensor_id": str(n), "measurands": [None] * MAX_MEASURANDS} for n in range(MAX_SENSORS)]
    assert len(found(packet(sensors=bad))) == MAX_VIOLATIONS
    assert len(found(packet(note=["\0"] * 1_000))) == MAX_VIOLATIONS


def test_no_reason_repeats_what_was_sent() -> None:
    parsed = parse_packet(packet(device_id="<script>\ud800", timestamp="<script>", model=["<script>"]))
    assert isinstance(parsed, InvalidPacket)
    assert len(parsed.violations) == 3
    for violation in parsed.violations:
        assert "script" not in f"{violation.pointer}{violation.reason}"
        assert violation.reason.encode()


# The time of arrival


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        (timedelta(), None),
        (timedelta(minutes=5), None),
        (timedelta(minutes=5, milliseconds=1), PacketCode.TIMESTAMP_IN_FUTURE),
        (timedelta(days=-7), None),
        (timedelta(days=-7, milliseconds=-1), PacketCode.TIMESTAMP_TOO_OLD),
    ],
)
def test_the_window_of_arrival(ahead: timedelta, code: PacketCode | None) -> None:
    violation = check_timestamp(NOW + ahead, NOW)
    assert (violation.code if violation else None) is code
    assert violation is None or violation.pointer == "/timestamp"


def test_the_window_can_be_set() -> None:
    late = check_timestamp(NOW, NOW + timedelta(seconds=2), past_window=timedelta(seconds=1), pointer="/observed_at")
    assert late is not None
    assert (late.code, late.pointer) == (PacketCode.TIMESTAMP_TOO_OLD, "/observed_at")
    early = check_timestamp(NOW + timedelta(seconds=2), NOW, future_skew=timedelta(seconds=1))
    assert early is not None
    assert early.reason == "May be at most 1 seconds ahead of the time of arrival."


# The JSON Schema and the specification

VALIDATOR = Draft202012Validator(packet_schema())


def agree(data: Any) -> None:
    parsed = parse_packet(data)
    codes = {each.code for each in parsed.violations} if isinstance(parsed, InvalidPacket) else set()
    assert VALIDATOR.is_valid(data) is (codes <= BEYOND_THE_SCHEMA)


strange_text = st.text(st.sampled_from("a\0\ud800\udfff\n~/") | st.characters(exclude_categories=()), max_size=3)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**309, -(10**309), MAX_NUMBER, -MAX_NUMBER, float("inf"), 1e300, 1.0, -1, 0])
    | st.floats(allow_nan=False)
    | strange_text
    | st.sampled_from([ID, ID.upper(), ID + "\n", "x" * 33, "x" * 101, "x" * 201, "x" * 1_001])
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(strange_text, inner, max_size=2), max_leaves=4
)


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [at]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*at, index))
    return found


GOOD = packet(
    model="MGC",
    uptime=1,
    sensors=[
        {
            "sensor_id": "mgc-1",
            "place": {"row": 1},
            "measurands": [
                {"key": "SOC", "value": 50, "unit": "%"},
                {"key": "HEARTBEAT_STATUS", "value": "ok", "unit": None},
                {"key": "MINE", "value": None, "unit": None, "quality": ["good"]},
            ],
        },
        {"sensor_id": "meter", "measurands": []},
    ],
)


@settings(max_examples=400)
@given(st.data())
def test_parser_and_schema_accept_the_same_packets(data: st.DataObject) -> None:
    """Change a good packet in up to three places: put something else there, add a key, take one away."""
    document = copy.deepcopy(GOOD)
    for _ in range(data.draw(st.integers(0, 3))):
        *to, last = data.draw(st.sampled_from(paths(document)[1:]))
        inner: Any = document
        for step in to:
            inner = inner[step]
        change = data.draw(st.sampled_from(["replace", "add", "remove"]))
        if change == "replace":
            inner[last] = data.draw(anything)
        elif change == "remove":
            del inner[last]
        elif isinstance(inner, dict):
            inner[data.draw(strange_text)] = data.draw(anything)
        else:
            inner.append(data.draw(anything))
    agree(document)


@given(anything)
def test_parser_and_schema_agree_on_what_is_no_packet_at_all(document: object) -> None:
    agree(document)


@pytest.mark.parametrize("data", [data for data, _, _ in BAD if "NaN" not in json.dumps(data)])
def test_parser_and_schema_agree_on_every_fault(data: Any) -> None:
    """NaN is left out: it is no JSON, and to a schema it is a number like any other."""
    agree(data)


def test_the_schema_is_a_schema_and_the_file_is_up_to_date() -> None:
    Draft202012Validator.check_schema(packet_schema())
    path = DOCS / "iot-sensor-packet" / "packet.schema.json"
    wanted = json.dumps(packet_schema(), indent=2) + "\n"
    if path.read_text(encoding="utf-8") != wanted:
        pytest.fail(
            f"{path} is not what the code says: write packet_schema() of domain.monitoring.packet_schema into it."
        )


def test_the_specification_lists_every_code() -> None:
    codes = [row[0] for row in table(SPEC, "code | rule")]
    assert len(codes) == len(set(codes))
    within_a_packet = set(JsonCode) - {JsonCode.NOT_UTF8, JsonCode.NOT_JSON}
    assert set(codes) == set(PacketCode) | within_a_packet


@pytest.mark.parametrize("row", table(SPEC, "packet differs in"), ids=lambda row: str(row[2]))
def test_the_violations_of_the_specification_are_the_parsers(row: list[str]) -> None:
    change, pointer, code = row
    name = change.split('"')[1]
    rest = {key: value for key, value in packet().items() if key != name}
    raw = json.dumps(rest)[:-1] + f", {change}}}"
    assert found(decode_json(raw.encode())) == [(pointer, code)]


def test_the_bounds_stand_in_the_specification() -> None:
    rules = {row[0]: row[1] for row in table(SPEC, "code | rule")}
    too_long = rules[PacketCode.TOO_LONG]
    assert f"{MAX_ID_LENGTH} characters, key {MAX_KEY_LENGTH}, unit {MAX_UNIT_LENGTH}" in too_long
    assert f"{MAX_TEXT_LENGTH:,}" in too_long
    assert f"{MAX_SENSORS} sensors, a sensor at most {MAX_MEASURANDS} measurands" in rules[PacketCode.TOO_MANY]
    assert str(MAX_TIMESTAMP_MS) in rules[PacketCode.TIMESTAMP_OUT_OF_RANGE]
    assert f"{MAX_DEPTH} levels" in rules[JsonCode.TOO_DEEP]

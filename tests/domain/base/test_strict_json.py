"""What is no JSON, and what is JSON and must not be stored."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base.strict_json import (
    MAX_DEPTH,
    MAX_NUMBER_LENGTH,
    BrokenJsonError,
    JsonCode,
    RepeatedKeys,
    decode_json,
    faults_in,
    read_flat,
    read_json,
)
from domain.base.violations import below


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", JsonCode.NOT_JSON),
        (b"{", JsonCode.NOT_JSON),
        (b"{} {}", JsonCode.NOT_JSON),
        (b"{'a': 1}", JsonCode.NOT_JSON),
        (b'{"a": 1,}', JsonCode.NOT_JSON),
        (b'{"a": 01}', JsonCode.NOT_JSON),
        (b'{"a": "\n"}', JsonCode.NOT_JSON),
        (b'{"a": "\x00"}', JsonCode.NOT_JSON),
        (b"nan", JsonCode.NOT_JSON),
        (b"\xef\xbb\xbf{}", JsonCode.NOT_JSON),
        (b'{"a": "\xff"}', JsonCode.NOT_UTF8),
        (b'{"a": "\xed\xa0\x80"}', JsonCode.NOT_UTF8),
        ("{}".encode("utf-16"), JsonCode.NOT_UTF8),
        (b"[" * 200_000, JsonCode.TOO_DEEP),
        (b'{"a":' * 200_000, JsonCode.TOO_DEEP),
        (b"[" * 200_000 + b"]" * 200_000, JsonCode.TOO_DEEP),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
def test_a_body_that_cannot_be_read(raw: bytes, code: JsonCode) -> None:
    with pytest.raises(BrokenJsonError) as refused:
        decode_json(raw)
    assert refused.value.code is code
    assert refused.value.reason.endswith(".")
    assert len(refused.value.reason) < 200


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200])
def test_depth_is_told_where_it_can_be_read_and_refused_where_not(depth: int) -> None:
    value = decode_json(b"[" * depth + b"]" * depth)
    assert [fault.code for fault in faults_in(value, "", 1)] == [JsonCode.TOO_DEEP]


def test_the_deepest_that_is_allowed() -> None:
    assert not list(faults_in(decode_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH), "", 1))


@pytest.mark.parametrize(
    ("raw", "pointer", "code"),
    [
        (b'{"a": 1, "a": 1}', "", JsonCode.REPEATED_KEY),
        (b'{"a": [0, {"b": 1, "\\u0062": 2}]}', "/a/1", JsonCode.REPEATED_KEY),
        (b'{"a": NaN}', "/a", JsonCode.NUMBER_NOT_FINITE),
        (b'{"a": [-Infinity]}', "/a/0", JsonCode.NUMBER_NOT_FINITE),
        (b'{"a": 1e400}', "/a", JsonCode.NUMBER_NOT_FINITE),
        (b'{"a": ' + b"9" * 400 + b"}", "/a", JsonCode.NUMBER_NOT_FINITE),
        (b'{"a": -' + b"9" * 4_000 + b"}", "/a", JsonCode.NUMBER_NOT_FINITE),
        (b"9" * 16_500, "", JsonCode.NUMBER_TOO_LONG),
        (b'{"a": -' + b"9" * 16_500 + b"}", "/a", JsonCode.NUMBER_TOO_LONG),
        (b'{"a": 0.' + b"1" * 16_500 + b"}", "/a", JsonCode.NUMBER_TOO_LONG),
        (b'{"a": 0.' + b"0" * 16_500 + b"}", "/a", JsonCode.NUMBER_TOO_LONG),
        (b'{"a": 0e99999999999}', "/a", JsonCode.NUMBER_TOO_LONG),
        (b'{"a": -0.0E-16000}', "/a", JsonCode.NUMBER_TOO_LONG),
        (b'{"a": 1e-400}', "/a", JsonCode.NUMBER_TOO_SMALL),
        (b'{"a": -1.5E-20000}', "/a", JsonCode.NUMBER_TOO_SMALL),
        (b'{"a": 1e-99999999999}', "/a", JsonCode.NUMBER_TOO_SMALL),
        (b'{"a": 0.' + b"0" * 400 + b"1}", "/a", JsonCode.NUMBER_TOO_SMALL),
        (b'{"a": 1e99999999999}', "/a", JsonCode.NUMBER_NOT_FINITE),
        (b'{"a~/b": "\\u0000"}', "/a~0~1b", JsonCode.UNSTORABLE_TEXT),
        (b'{"a": "\\ud800 and on"}', "/a", JsonCode.UNSTORABLE_TEXT),
        (b'{"a": {"\\udfff": 1}}', "/a", JsonCode.UNSTORABLE_TEXT),
    ],
)
def test_what_must_not_be_stored_is_found_with_its_place(raw: bytes, pointer: str, code: JsonCode) -> None:
    (fault,) = faults_in(decode_json(raw), "", 1)
    assert (fault.pointer, fault.code) == (pointer, code)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"1.5", 1.5),
        (b"0.000000e+00", 0.0),
        (b"-0.0", 0.0),
        (b"0e0005", 0.0),
        (b"5e-324", 5e-324),
        (b"1.7976931348623157e308", sys.float_info.max),
        (b"0.1000000000000000055511151231257827", 0.1),
        (b"9007199254740993", 2**53 + 1),
        (b"1764164384123456789", 1764164384123456789),
        (f"{5e-324:.1074f}".encode(), 5e-324),
        (f"{sys.float_info.max:.0f}".encode(), int(sys.float_info.max)),
    ],
)
def test_a_number_that_a_double_carries(raw: bytes, value: float) -> None:
    read = decode_json(raw)
    assert read == value
    assert type(read) is type(value)
    assert not list(faults_in(read, "", 1))


def test_a_surrogate_pair_is_one_character() -> None:
    value = decode_json(b'{"a": "\\ud83d\\ude8c"}')
    assert value == {"a": "\N{BUS}"}
    assert not list(faults_in(value, "", 1))


def test_an_object_with_a_repeated_key_is_no_plain_object() -> None:
    value = decode_json(b'[{"a": 1, "a": 2}, {"a": 1}]')
    assert isinstance(value, list)
    assert [type(each) for each in value] == [RepeatedKeys, dict]


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b'[{"a": 1},{"a":"]"}]', ('{"a": 1}', '{"a":"]"}')),
        (b' [\n{"a" : [1, 2]}\t, 1.50 ,"x" ] \r\n', ('{"a" : [1, 2]}', "1.50", '"x"')),
        (b"[ ]", ()),
        (b'{"a": [1]}', ()),
        # Such arrays are refused, and read as a whole.
        (b"[" + b"1," * 1_000 + b"1]", ()),
    ],
)
def test_items_are_known_as_they_were_written(raw: bytes, texts: tuple[str, ...]) -> None:
    read = read_json(raw)
    assert read.value == json.loads(raw)
    assert read.item_texts == texts


@pytest.mark.parametrize("raw", [b"[1,]", b"[1 2]", b"[1", b"[1]]", b"[1] 2", b"[,1]", b"[1,,2]", b"[\x0c1]"])
def test_an_array_that_is_none_is_refused_as_json_is(raw: bytes) -> None:
    with pytest.raises(BrokenJsonError) as broken:
        read_json(raw)
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(raw)
    assert (broken.value.code, f"column {expected.value.colno}" in broken.value.reason) == (JsonCode.NOT_JSON, True)


def test_a_pointer_repeats_no_key_that_cannot_be_shown() -> None:
    assert below("/a", "b") == "/a/b"
    assert below("/a", "x" * 1_000) == "/a"
    assert below("/a", "\x1b[2J") == "/a"
    assert below("/a", "\ud800") == "/a"


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**320), 10**320)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def every_value(value: object, visit: Callable[[object], None]) -> None:
    visit(value)
    if isinstance(value, list):
        for each in value:
            every_value(each, visit)
    elif isinstance(value, dict):
        for key, each in value.items():
            visit(key)
            every_value(each, visit)


@given(documents)
def test_what_has_no_fault_can_be_written_and_read_back(document: object) -> None:
    decoded = decode_json(json.dumps(document).encode())
    faulty = False

    def look(value: object) -> None:
        nonlocal faulty
        if isinstance(value, str):
            faulty |= "\0" in value or any("\ud800" <= character <= "\udfff" for character in value)
        elif isinstance(value, float):
            faulty |= not math.isfinite(value)
        elif isinstance(value, int):
            faulty |= abs(value) > sys.float_info.max

    every_value(decoded, look)
    assert bool(list(faults_in(decoded, "", 1))) is faulty
    if not faulty:
        assert decode_json(json.dumps(decoded, ensure_ascii=False, allow_nan=False).encode()) == decoded


@given(st.binary(max_size=60))
def test_no_bytes_bring_the_reader_down(raw: bytes) -> None:
    try:
        decode_json(raw)
    except BrokenJsonError as error:
        assert error.code in {JsonCode.NOT_UTF8, JsonCode.NOT_JSON}


# The quick way to read one flat object

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
_VALUES = _SCALARS | st.lists(_SCALARS, max_size=2) | st.dictionaries(st.text(max_size=2), _SCALARS, max_size=2)
_KEYS = st.sampled_from(["a", "b", "", "é", '"', "\\", "\x7f", "\ud800"])


@given(st.lists(st.tuples(_KEYS, _VALUES), max_size=4), st.booleans(), st.sampled_from(["", " ", "\t", "\x0b"]))
def test_what_is_read_quickly_is_what_is_read_else(pairs: list[tuple[str, object]], escaped: bool, space: str) -> None:
    written = ",".join(f"{json.dumps(key, ensure_ascii=escaped)}:{json.dumps(value)}" for key, value in pairs)
    raw = f"{{{space}{written}{space}}}{space}".encode("utf-8", "surrogatepass")
    found = read_flat(raw)
    if found is not None:
        read = decode_json(raw)
        assert type(read) is dict
        assert list(found.items()) == list(read.items())
        assert [type(each) for each in found.values()] == [type(each) for each in read.values()]


@given(st.binary(max_size=40) | st.text('{}[]":,\\\n 01-.eEntrufalsNI', max_size=30).map(str.encode))
def test_nothing_is_read_quickly_that_is_no_flat_object(raw: bytes) -> None:
    found = read_flat(raw)
    if found is not None:
        assert found == decode_json(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": "", "b": 1, "a": null}',
        b'{"a": {}, "a": 1}',
        b'{"a": [1]}',
        b'{"a": {}}',
        b'{"a": 1e-400}',
        b'{"a": 0e99999}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1} {}',
        b'{"a": "\\u0000"}',
        b'{"a": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 1' + b"0" * MAX_NUMBER_LENGTH + b"}",
        b'{"a": "',
        b"[]",
        b"",
    ],
)
def test_what_is_not_beyond_doubt_is_not_read_quickly(raw: bytes) -> None:
    assert read_flat(raw) is None


@pytest.mark.parametrize(
    "number",
    [
        "-0", "1e0", "1E2", "0.1", "1e400", "9007199254740993", "9007199254740993.0", "1" * 400, "-1.5e-7", "5e-324",
        "2.2250738585072011e-308", "0.1000000000000000055511151231257827021181583404541015625",
        "1.7976931348623157e308",
    ],
)  # fmt: skip
def test_a_number_is_read_quickly_as_it_is_read_else(number: str) -> None:
    raw = f'{{"a": {number}}}'.encode()
    found = read_flat(raw)
    assert found is None or repr(found) == repr(decode_json(raw))


def test_lines_as_they_come_are_read_quickly() -> None:
    line = {"type": "circuit", "name": "Zürich 1", "position": 0, "parent_id": None, "rated_power_w": 1.5}
    assert read_flat(json.dumps(line, ensure_ascii=False).encode()) == line

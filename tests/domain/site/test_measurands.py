"""The standard keys, as the specification lists them, and which of their values can be used."""

from __future__ import annotations

import pytest

from domain.site.measurands import (
    MEASURANDS,
    MeasurandKey,
    MeasurandSpec,
    ReadingCode,
    Unreadable,
    ValueKind,
    read_measurand,
)
from tests.domain.documents import table

SPEC = "iot-sensor-packet/spec.md"


def in_words(spec: MeasurandSpec) -> list[str]:
    if spec.kind is ValueKind.NUMBER:
        bounds = [
            f"{word} {bound:,.10g}"
            for word, bound in (("from", spec.minimum), ("to", spec.maximum))
            if bound is not None
        ]
        values = ", ".join(["number", *bounds])
    else:
        values = ", ".join(spec.texts)
    return [spec.key, spec.meaning, spec.unit or "none", values]


def test_the_specification_lists_the_standard_keys_as_they_are() -> None:
    assert table(SPEC, "key | meaning") == [in_words(MEASURANDS[key]) for key in MeasurandKey]


def test_the_specification_lists_every_reason_not_to_use_a_value() -> None:
    assert [row[0] for row in table(SPEC, "code | the value")] == list(ReadingCode)


@pytest.mark.parametrize("key", MeasurandKey)
def test_every_key_reads_its_own_values_and_not_those_of_another_kind(key: MeasurandKey) -> None:
    spec = MEASURANDS[key]
    good: list[float | str] = (
        [*spec.texts] if spec.texts else [bound for bound in (spec.minimum, spec.maximum, 0.5) if bound is not None]
    )
    assert good
    for value in good:
        assert read_measurand(key, value, spec.unit) == value
        assert read_measurand(key, value, None) == value
    other = read_measurand(key, 1 if spec.texts else "1", spec.unit)
    assert isinstance(other, Unreadable)
    assert other.code is ReadingCode.WRONG_VALUE_KIND


@pytest.mark.parametrize(
    ("key", "value", "unit", "code"),
    [
        (MeasurandKey.SOC, None, "%", ReadingCode.VALUE_UNAVAILABLE),
        (MeasurandKey.SOC, None, "kW", ReadingCode.VALUE_UNAVAILABLE),
        (MeasurandKey.SOC, "50", "%", ReadingCode.WRONG_VALUE_KIND),
        (MeasurandKey.SOC, 50, "", ReadingCode.WRONG_UNIT),
        (MeasurandKey.AVAILABLE_CHARGING_CAPACITY, 500, "kW", ReadingCode.WRONG_UNIT),
        (MeasurandKey.AVAILABLE_CHARGING_CAPACITY, 500, "w", ReadingCode.WRONG_UNIT),
        (MeasurandKey.HEARTBEAT_STATUS, "ok", "W", ReadingCode.WRONG_UNIT),
        (MeasurandKey.HEARTBEAT_STATUS, "OK", None, ReadingCode.UNKNOWN_TEXT),
        (MeasurandKey.HEARTBEAT_STATUS, "ok ", None, ReadingCode.UNKNOWN_TEXT),
        (MeasurandKey.LIMIT_PEAK_SHAVING, "True", None, ReadingCode.UNKNOWN_TEXT),
        (MeasurandKey.LIMIT_PEAK_SHAVING, 1, None, ReadingCode.WRONG_VALUE_KIND),
        (MeasurandKey.SOC, -0.1, "%", ReadingCode.VALUE_OUT_OF_RANGE),
        (MeasurandKey.SOC, 100.1, "%", ReadingCode.VALUE_OUT_OF_RANGE),
        (MeasurandKey.FAIL_SAFE_CAPACITY, -1, "W", ReadingCode.VALUE_OUT_OF_RANGE),
        (MeasurandKey.TOTAL_POWER_FACTOR, -1.01, None, ReadingCode.VALUE_OUT_OF_RANGE),
        *(
            (key, value, None, ReadingCode.VALUE_OUT_OF_RANGE)
            for key in MeasurandKey
            if MEASURANDS[key].kind is ValueKind.NUMBER
            for value in (
                1.7e308,
                -1.7e308,
                1.0000001e9,
                4294967295,
                4294967295.0,
                2147483647,
                2147483648,
                -2147483648,
                65535,
                65535.0,
                32767,
                32768,
                -32768,
                10**300,
            )
        ),
    ],
)
def test_a_value_that_cannot_be_used(
    key: MeasurandKey, value: float | str | None, unit: str | None, code: ReadingCode
) -> None:
    result = read_measurand(key, value, unit)
    assert isinstance(result, Unreadable)
    assert result.code is code
    assert key in result.reason


@pytest.mark.parametrize("key", [key for key in MeasurandKey if MEASURANDS[key].kind is ValueKind.NUMBER])
@pytest.mark.parametrize("zero", [-0.0, 0.0, 0])
def test_a_zero_has_no_sign(key: MeasurandKey, zero: float) -> None:
    assert str(read_measurand(key, zero, None)) in ("0", "0.0")


def test_exported_power_is_negative() -> None:
    assert read_measurand(MeasurandKey.TOTAL_POWER_LOAD, -250_000.0, "W") == -250_000.0

"""Typed readings: what a packet's sensors measured, by device and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.monitoring.device_readings import DeviceReading, TypedValue, device_readings
from domain.monitoring.packets import Packet, Sensor
from domain.site.measurands import MEASURANDS, Measurand, MeasurandKey, ReadingCode, ValueKind

GATEWAY, METER, BATTERY = UUID(int=1), UUID(int=2), UUID(int=3)
DEVICES = {"meter": METER, "battery": BATTERY}
CAME = datetime(2026, 11, 27, 12, tzinfo=UTC)
STAMP = 1_795_780_799_000


def packet(stamp: int = STAMP, **sensors: list[Measurand]) -> Packet:
    made = tuple(Sensor(sensor_id, tuple(measurands)) for sensor_id, measurands in sensors.items())
    return Packet(GATEWAY, stamp, None, None, None, None, made)


def read(*packets: Packet, came: datetime = CAME) -> list[DeviceReading]:
    return device_readings((each, DEVICES, came + timedelta(seconds=n), None) for n, each in enumerate(packets))


@pytest.mark.parametrize(
    ("key", "sent", "value"),
    [
        (MeasurandKey.TOTAL_POWER_LOAD, 1000, 1000.0),
        (MeasurandKey.TOTAL_POWER_LOAD, -0.0, 0.0),
        (MeasurandKey.SOC, 55.5, 55.5),
        (MeasurandKey.LIMIT_PEAK_SHAVING, "true", True),
        (MeasurandKey.LIMIT_DER_EXPORT, "false", False),
        (MeasurandKey.HEARTBEAT_STATUS, "ok", "ok"),
    ],
)
def test_a_value_has_the_type_of_its_measurand(key: MeasurandKey, sent: float | str, value: TypedValue) -> None:
    (reading,) = read(packet(meter=[Measurand(key, sent, None)]))
    assert (reading.device_id, reading.received_at, reading.faults) == (METER, CAME, {})
    assert reading.observed_at == datetime.fromtimestamp(STAMP / 1000, UTC)
    assert reading.values == {key: value}
    assert type(reading.values[key]) is type(value)
    assert str(reading.values[key]) == str(value)


@pytest.mark.parametrize(
    ("key", "sent", "unit", "code"),
    [
        (MeasurandKey.SOC, None, None, ReadingCode.VALUE_UNAVAILABLE),
        (MeasurandKey.SOC, 101, "%", ReadingCode.VALUE_OUT_OF_RANGE),
        (MeasurandKey.TOTAL_POWER_LOAD, 0xFFFF_FFFF, "W", ReadingCode.VALUE_OUT_OF_RANGE),
        (MeasurandKey.TOTAL_POWER_LOAD, 1, "kW", ReadingCode.WRONG_UNIT),
        (MeasurandKey.TOTAL_POWER_LOAD, "1", "W", ReadingCode.WRONG_VALUE_KIND),
        (MeasurandKey.HEARTBEAT_STATUS, "OK", None, ReadingCode.UNKNOWN_TEXT),
    ],
)
def test_what_cannot_be_used_is_noted_with_its_code(
    key: MeasurandKey, sent: float | str | None, unit: str | None, code: ReadingCode
) -> None:
    (reading,) = read(packet(meter=[Measurand(key, sent, unit)]))
    assert (reading.values, reading.faults) == ({}, {key: code})


def test_the_first_that_came_counts_for_each_measurand() -> None:
    load, soc = MeasurandKey.TOTAL_POWER_LOAD, MeasurandKey.SOC
    first = packet(meter=[Measurand(load, 1, None), Measurand(soc, None, None)])
    again = packet(meter=[Measurand(load, 2, None), Measurand(soc, 5, None), Measurand(MeasurandKey.CURRENT, 7, "A")])
    (reading,) = read(first, again)
    assert reading.values == {load: 1.0, MeasurandKey.CURRENT: 7.0}
    assert reading.faults == {soc: ReadingCode.VALUE_UNAVAILABLE}
    assert reading.received_at == CAME


def test_readings_are_in_the_order_of_their_key_and_nobody_elses() -> None:
    value = [Measurand(MeasurandKey.SOC, 5, None)]
    found = read(
        packet(STAMP + 1, battery=value, meter=value),
        packet(STAMP, battery=value, stranger=value, meter=[Measurand("HOUSE_NUMBER", 5, None)]),
    )
    assert [(each.device_id, each.observed_at.microsecond) for each in found] == [
        (METER, 1000), (BATTERY, 0), (BATTERY, 1000),
    ]  # fmt: skip


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(list(MeasurandKey)), st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=9))
        ),
        max_size=4,
    )
)
def test_whatever_is_sent_each_measurand_is_once_a_value_or_a_fault(sent: list[dict[MeasurandKey, Any]]) -> None:
    packets = [packet(meter=[Measurand(key, value, None) for key, value in each.items()]) for each in sent]
    found = read(*packets)
    if not any(sent):
        assert found == []
        return
    (reading,) = found
    assert reading.values.keys() | reading.faults.keys() == {key for each in sent for key in each}
    assert reading.values.keys().isdisjoint(reading.faults)
    types = {ValueKind.NUMBER: float, ValueKind.TEXT: str, ValueKind.BOOLEAN_TEXT: bool}
    assert all(type(value) is types[MEASURANDS[key].kind] for key, value in reading.values.items())

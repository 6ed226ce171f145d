"""Steps: what is sent, in which order, when, and with which timestamps."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.monitoring.packet_schema import packet_schema
from domain.monitoring.packets import Packet, parse_packet
from domain.site.measurands import MEASURANDS, MeasurandKey, Unreadable, read_measurand
from domain.site.sensor_actions import SensorActionKind
from sim_scenarios.runs.bindings import ConfiguredDevice, bind
from sim_scenarios.runs.expectations import Expectation
from sim_scenarios.runs.library import preset, preset_names
from sim_scenarios.runs.sample import GATEWAY_ID, sample_bindings, sample_devices, whole_action
from sim_scenarios.runs.stamps import documents, due_ms, is_of_run, next_stamp
from sim_scenarios.runs.steps import RealGap, Step, batches, expand
from tests.scenarios.samples import good, small

NOW = 1_767_225_600_000
VALIDATOR = jsonschema.Draft202012Validator(packet_schema())


def steps_of(name: str) -> tuple[Step, ...]:
    return expand(preset(name), 1, sample_bindings())


def delivered(timeline: list[dict[str, Any]], seed: int = 1) -> list[list[int]]:
    """By step: the steps that measured the packets that it sends."""
    steps = expand(good(small(timeline=timeline)), seed, sample_bindings())
    return [[packet.measured_step for packet in step.packets] for step in steps]


def all_documents(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    stamps = [NOW + step.index for step in steps]
    return [document for step in steps for document in documents(step, stamps)]


# The contract


@pytest.mark.acceptance("COR-40.3")
@pytest.mark.parametrize("name", preset_names())
def test_every_packet_keeps_the_contract_to_the_letter(name: str) -> None:
    steps = steps_of(name)
    for document in all_documents(steps):
        packet = parse_packet(document)
        assert isinstance(packet, Packet), packet
        assert packet.device_id == GATEWAY_ID
        assert None not in (packet.manufacturer, packet.model, packet.serial_number, packet.firmware)
        for sensor in packet.sensors:
            for each in sensor.measurands:
                key = MeasurandKey(each.key)
                assert each.unit == MEASURANDS[key].unit
                read = read_measurand(key, each.value, each.unit)
                assert each.value is None or not isinstance(read, Unreadable), each
    for document in all_documents(steps[:10]):
        VALIDATOR.validate(document)


@pytest.mark.acceptance("COR-40.5")
@pytest.mark.parametrize("name", preset_names())
def test_capacity_and_heartbeat_are_in_every_packet_of_a_controller(name: str) -> None:
    every = all_documents(steps_of(name))
    assert every
    for document in every:
        (keys,) = (
            [each["key"] for each in sensor["measurands"]]
            for sensor in document["sensors"]
            if sensor["sensor_id"] == "mgc-1"
        )
        assert {"AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS"} <= set(keys)


@pytest.mark.acceptance("COR-40.2")
def test_one_scenario_drives_all_eight_measurands() -> None:
    (first, *_) = all_documents(steps_of("quick-look"))
    controller = next(sensor for sensor in first["sensors"] if sensor["sensor_id"] == "mgc-1")
    assert controller["measurands"] == [
        {"key": "AVAILABLE_CHARGING_CAPACITY", "value": 600_000, "unit": "W"},
        {"key": "FAIL_SAFE_CAPACITY", "value": 120_000, "unit": "W"},
        {"key": "HEARTBEAT_STATUS", "value": "ok", "unit": None},
        {"key": "LIMIT_PEAK_SHAVING", "value": "false", "unit": None},
        {"key": "LIMIT_DER_EXPORT", "value": "false", "unit": None},
        {"key": "SOC", "value": 60, "unit": "%"},
        {"key": "DEVICE_POWER_STATE", "value": "on", "unit": None},
        {"key": "BESS_OPERATIONAL_MODE", "value": "automatic", "unit": None},
    ]


@pytest.mark.acceptance("COR-40.4")
def test_the_whole_truth_table_of_the_battery_s_mode_is_stepped_through() -> None:
    steps = steps_of("bess-operational-mode")[:8]
    settings = [entry.set for entry in preset("bess-operational-mode").model.timeline[:8]]
    combinations = {(each.automatic_dispatch, each.manual_charge, each.manual_discharge) for each in settings if each}
    assert len(combinations) == 8
    modes = ["idle", "discharging", "charging", "error", "automatic", "error", "error", "error"]
    assert [step.sent["BESS_OPERATIONAL_MODE"] for step in steps] == modes
    for step, mode in zip(steps, modes, strict=True):
        assert Expectation("power_source/BESS_OPERATIONAL_MODE", mode) in step.expectations


def test_the_meters_measure_grid_connection_and_battery() -> None:
    (first, *_) = steps_of("peak-shaving")[15:16]
    sensors = {each["sensor_id"]: each["measurands"] for each in first.packets[0].body["sensors"]}
    assert [each["value"] for each in sensors["grid-meter"]] == [500_000]
    assert [each["value"] for each in sensors["bess-meter"]] == [200_000, 0, 200_000]


def test_a_controller_on_two_gateways_sends_two_packets() -> None:
    other = ConfiguredDevice(
        gateway_id=sample_bindings().gateways[0].gateway_id.__class__(int=7),
        gateway_name="Battery room",
        sensor_id="bess-1",
        actions=(whole_action(SensorActionKind.UPDATE_POWER_SOURCE_STATE),),
    )
    first, *_ = expand(preset("quick-look"), 1, bind([other, *sample_devices()[1:]], has_microgrid=True))
    assert [packet.gateway for packet in first.packets] == ["Battery room", "Site gateway"]


def test_a_revision_without_an_input_sends_no_such_measurand() -> None:
    for step in steps_of("revision-without-peak-shaving"):
        assert "LIMIT_PEAK_SHAVING" not in step.sent
        assert len(step.sent) == 8


def test_a_site_without_a_battery_says_nothing_of_one() -> None:
    assert not {"SOC", "DEVICE_POWER_STATE", "BESS_OPERATIONAL_MODE"} & steps_of("der-export-limit")[0].sent.keys()


# Delivery


def test_packets_come_late_often_or_not_at_all() -> None:
    timeline = [
        {"at": "2m", "deliver": {"late_by": "2m"}},
        {"at": "5m", "deliver": {"copies": 3}},
        {"at": "7m", "deliver": {"silent_for": "2m"}},
    ]
    assert delivered(timeline) == [[0], [1], [], [3], [4, 2], [5, 5, 5], [6], [], [], [9], [10]]


@given(st.integers())
def test_shuffled_packets_come_together_all_of_them_and_never_in_order(seed: int) -> None:
    found = delivered([{"at": "3m", "deliver": {"shuffle_for": "4m"}}], seed)
    assert found[3:6] == [[], [], []]
    assert sorted(found[6]) == [3, 4, 5, 6]
    assert found[6] != [3, 4, 5, 6]


def test_silence_wins_over_everything_else() -> None:
    timeline = [
        {"at": "1m", "deliver": {"late_by": "4m"}},
        {"at": "2m", "deliver": {"shuffle_for": "3m"}},
        {"at": "1m", "deliver": {"silent_for": "2m"}},
    ]
    found = delivered(timeline)
    assert found[:4] == [[0], [], [], []]
    assert sorted(found[4]) == [3, 4]
    assert found[5] == [5]


def test_what_was_sent_is_the_newest_that_has_arrived() -> None:
    timeline = [
        {"at": "1m", "set": {"import_limit_kw": 500}, "deliver": {"late_by": "2m"}},
        {"at": "2m", "set": {"import_limit_kw": 600}},
        {"at": "3m", "deliver": {"late_by": "1m"}, "expect": {"circuit": {"mode": "CONTROLLER"}}},
    ]
    step = expand(good(small(timeline=timeline)), 1, sample_bindings())[3]
    assert [packet.measured_step for packet in step.packets] == [1]
    assert Expectation("circuit/capacity_w", 400_000) in step.expectations


# Real time


def test_stamps_are_now_and_never_go_back() -> None:
    assert next_stamp(NOW, []) == NOW
    assert next_stamp(NOW + 5, [NOW]) == NOW + 5
    assert next_stamp(NOW - 900, [NOW]) == NOW + 1


def test_a_packet_has_the_stamp_of_the_step_that_measured_it() -> None:
    steps = steps_of("late-repeated-shuffled")
    stamps = [NOW + 1000 * step.index for step in steps]
    late = documents(steps[5], stamps)
    assert [each["timestamp"] for each in late] == [NOW + 5000, NOW + 3000]
    copies = documents(steps[9], stamps)
    assert len(copies) == 3
    assert copies[0] == copies[1] == copies[2]


@pytest.mark.parametrize(("scale", "waits"), [(0, None), (0.5, 30_000), (1, 60_000)])
def test_steps_are_due_as_the_time_scale_says(scale: float, waits: int | None) -> None:
    first, second, *_ = steps_of("quick-look")
    assert due_ms(first, None, [], scale) is None
    due = due_ms(second, first, [NOW], scale)
    assert due == (None if waits is None else NOW + waits)


@pytest.mark.parametrize(("scale", "waits"), [(0, 121_000), (0.5, 121_000), (1, 121_000)])
def test_a_silence_lasts_longer_than_the_threshold_at_every_time_scale(scale: float, waits: int) -> None:
    steps = steps_of("heartbeat-silence")
    assert [(step.index, step.gap) for step in steps if step.gap] == [(65, RealGap(5, 121_000))]
    # The step before was sent at the pace of the scale.
    stamps = [round(NOW + index * 2_000 * scale) for index in range(65)]
    assert due_ms(steps[65], steps[64], stamps, scale) == stamps[5] + waits


def test_packets_that_are_held_up_for_longer_than_the_threshold_let_it_pass_too() -> None:
    steps = expand(good(small(timeline=[{"at": "3m", "deliver": {"shuffle_for": "5m"}}])), 1, sample_bindings())
    assert [(step.index, step.gap) for step in steps if step.gap] == [(4, RealGap(2, 121_000))]


def test_history_is_not_of_the_run() -> None:
    assert [is_of_run(at, [NOW, NOW + 1]) for at in (None, NOW - 1, NOW, NOW + 9)] == [False, False, True, True]
    assert not is_of_run(NOW, [])


@pytest.mark.parametrize("name", preset_names())
def test_batches_leave_nothing_out_and_end_where_somebody_looks(name: str) -> None:
    steps = steps_of(name)
    found = list(batches(steps, most=20))
    assert tuple(step for batch in found for step in batch) == steps
    for batch in found:
        assert len(batch) <= 20
        assert not any(step.looks for step in batch[:-1])
        assert not any(step.gap for step in batch[1:])

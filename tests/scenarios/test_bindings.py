"""What a depot's configuration lends to a run, and what it lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.site.circuit_capacity import CapacityPolicy
from domain.site.measurands import MeasurandKey
from domain.site.routing import PowerSourceKind
from domain.site.sensor_actions import SensorAction, SensorActionKind
from sim_scenarios.runs.bindings import CONTROLLER_KEYS, Bindings, ConfiguredDevice, Metered, bind, read_bindings
from sim_scenarios.runs.library import preset, preset_names
from sim_scenarios.runs.missing import Missing, MissingCode, missing_for
from sim_scenarios.runs.sample import GATEWAY_ID, sample_bindings, sample_devices, whole_action

OTHER_GATEWAY = UUID("00000000-0000-4000-8000-000000000002")
CAPACITY = whole_action(SensorActionKind.UPDATE_CIRCUIT_CAPACITY)
STATE = whole_action(SensorActionKind.UPDATE_POWER_SOURCE_STATE)
LOAD = whole_action(SensorActionKind.UPDATE_POWER_SOURCE_LOAD)
MICROGRID = whole_action(SensorActionKind.UPDATE_MICROGRID_STATE)


def device(sensor_id: str, *actions: SensorAction, gateway: UUID = GATEWAY_ID) -> ConfiguredDevice:
    return ConfiguredDevice(gateway, "Site gateway", sensor_id, actions, circuit_name="Charging")


def carried(bindings: Bindings) -> dict[str, set[str]]:
    return {sensor.sensor_id: {str(key) for key in sensor.measurands} for sensor in bindings.sensors}


def codes(scenario: str, bindings: Bindings) -> list[tuple[MissingCode, bool]]:
    return [(each.code, each.blocks) for each in missing_for(preset(scenario), bindings)]


def test_sensors_carry_what_their_actions_take() -> None:
    assert carried(sample_bindings()) == {
        "mgc-1": set(CONTROLLER_KEYS),
        "bess-meter": {"TOTAL_POWER_LOAD", "TOTAL_REACTIVE_POWER", "TOTAL_APPARENT_POWER"},
        "grid-meter": {"TOTAL_POWER_LOAD"},
    }
    assert {each.sensor_id: each.metered for each in sample_bindings().sensors} == {
        "mgc-1": Metered.GRID_CONNECTION,
        "bess-meter": Metered.BATTERY,
        "grid-meter": Metered.GRID_CONNECTION,
    }


def test_a_controller_of_several_sensors_says_each_thing_once() -> None:
    bindings = bind(
        [device("bess-1", STATE), device("mgc-1", CAPACITY), device("unit-3", MICROGRID)], has_microgrid=True
    )
    assert carried(bindings) == {
        "bess-1": {"SOC", "DEVICE_POWER_STATE", "BESS_OPERATIONAL_MODE"},
        "mgc-1": {"AVAILABLE_CHARGING_CAPACITY", "FAIL_SAFE_CAPACITY", "HEARTBEAT_STATUS", "TOTAL_POWER_LOAD"},
        "unit-3": {"LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT"},
    }
    assert missing_for(preset("quick-look"), bindings)[0].code is MissingCode.NO_POWER_SOURCE


def test_what_no_action_asks_for_is_sent_all_the_same() -> None:
    chosen = SensorAction(SensorActionKind.UPDATE_MICROGRID_STATE, (MeasurandKey.LIMIT_DER_EXPORT,))
    bindings = bind([device("mgc-1", chosen)], has_microgrid=True)
    assert carried(bindings) == {"mgc-1": {*CONTROLLER_KEYS, "TOTAL_POWER_LOAD"}}


def test_the_order_of_the_devices_plays_no_part() -> None:
    assert bind(reversed(sample_devices()), has_microgrid=True) == sample_bindings()


def test_bindings_travel_as_json() -> None:
    document = json.loads(json.dumps(sample_bindings().document()))
    assert read_bindings(document) == sample_bindings()


def test_the_evidence_has_nothing_that_a_database_made() -> None:
    elsewhere = bind([replace(each, gateway_id=OTHER_GATEWAY) for each in sample_devices()], has_microgrid=True)
    assert elsewhere != sample_bindings()
    assert elsewhere.evidence() == sample_bindings().evidence()
    assert str(GATEWAY_ID) not in json.dumps(sample_bindings().evidence())


@pytest.mark.parametrize("name", preset_names())
def test_a_fully_configured_depot_lacks_nothing(name: str) -> None:
    assert missing_for(preset(name), sample_bindings()) == ()


def test_a_depot_without_configuration_lacks_its_controller() -> None:
    assert codes("quick-look", bind([], has_microgrid=False)) == [(MissingCode.NO_CONTROLLER, True)]
    bare = bind([device("mgc-1")], has_microgrid=True)
    assert (MissingCode.NO_CONTROLLER, True) in codes("quick-look", bare)
    assert carried(bare) == {"mgc-1": {"TOTAL_POWER_LOAD"}}


def test_what_is_missing_blocks_only_what_needs_it() -> None:
    capacity_alone = bind([device("mgc-1", CAPACITY)], has_microgrid=False)
    assert codes("heartbeat", capacity_alone) == [(MissingCode.NO_ACTION, False)] * 2
    assert codes("quick-look", capacity_alone) == [(MissingCode.NO_ACTION, True)] * 2
    (found, *_) = missing_for(preset("quick-look"), capacity_alone)
    assert found == Missing(
        MissingCode.NO_ACTION,
        "No device has Update Microgrid State: what is sent of LIMIT_PEAK_SHAVING, LIMIT_DER_EXPORT has no effect.",
        "Configure Update Microgrid State on the device of sensor mgc-1 of Site gateway.",
        blocks=True,
    )


@pytest.mark.parametrize(
    ("changed", "has_microgrid", "expected"),
    [
        ({"circuit_name": None}, True, MissingCode.NO_CIRCUIT),
        ({"power_source_kind": None}, True, MissingCode.NO_POWER_SOURCE),
        ({}, False, MissingCode.NO_MICROGRID),
    ],
)
def test_an_action_without_its_target_is_told(
    changed: dict[str, None], has_microgrid: bool, expected: MissingCode
) -> None:
    controller, *others = sample_devices()
    bindings = bind([replace(controller, **changed), *others], has_microgrid=has_microgrid)
    assert codes("quick-look", bindings) == [(expected, True)]


def test_two_controllers_are_told_by_name() -> None:
    second = replace(sample_devices()[0], gateway_id=OTHER_GATEWAY, gateway_name="Second gateway")
    bindings = bind([*sample_devices(), second], has_microgrid=True)
    found = missing_for(preset("quick-look"), bindings)
    assert {each.code for each in found} == {MissingCode.SEVERAL_SENSORS}
    assert len(found) == len(CONTROLLER_KEYS)
    assert "mgc-1 of Second gateway, mgc-1 of Site gateway" in found[0].what


def test_a_meter_of_the_battery_is_none_of_the_grid_connection() -> None:
    everything = ConfiguredDevice(
        GATEWAY_ID, "Site gateway", "mgc-1", (CAPACITY, STATE, LOAD, MICROGRID), "Charging", PowerSourceKind.BATTERY
    )
    bindings = bind([everything], has_microgrid=True)
    assert codes("heartbeat", bindings) == [(MissingCode.NO_METER, False)]
    assert codes("nominal-day", bindings) == [(MissingCode.NO_METER, True)]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(3, []), (2, [(MissingCode.THRESHOLD_TOO_SHORT, False)]), (143, [(MissingCode.THRESHOLD_TOO_LONG, True)])],
)
def test_a_heartbeat_threshold_that_does_not_fit_is_told(
    seconds: int, expected: list[tuple[MissingCode, bool]]
) -> None:
    controller, *others = sample_devices()
    policy = CapacityPolicy(timedelta(seconds=seconds))
    actions = tuple(
        replace(action, capacity_policy=policy) if action.capacity_policy else action for action in controller.actions
    )
    bindings = bind([replace(controller, actions=actions), *others], has_microgrid=True)
    assert bindings.heartbeat_threshold_ms == seconds * 1000
    assert codes("heartbeat-silence", bindings) == expected

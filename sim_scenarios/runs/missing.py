"""What a depot's configuration lacks for what a scenario drives, and what a person does about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.site.circuit_capacity import FailSafeReason
from domain.site.measurands import MeasurandKey
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorActionKind
from sim_scenarios.language.quantities import duration_text
from sim_scenarios.runs.bindings import CONTROLLER_KEYS, POWER_KEYS, Bindings, Metered
from sim_scenarios.runs.scenario import Scenario


class MissingCode(StrEnum):
    """What the configuration lacks."""

    NO_CONTROLLER = "NO_CONTROLLER"
    """No device has a sensor action that takes anything of a controller."""
    SEVERAL_SENSORS = "SEVERAL_SENSORS"
    """Several sensors carry the same measurand of the controller, of which there is one."""
    NO_ACTION = "NO_ACTION"
    """No sensor action takes a measurand that the scenario drives: it is sent, and has no effect."""
    NO_CIRCUIT = "NO_CIRCUIT"
    """Update Circuit Capacity is configured on a device that is linked to no circuit."""
    NO_POWER_SOURCE = "NO_POWER_SOURCE"
    """A power source's update finds no power source."""
    NO_MICROGRID = "NO_MICROGRID"
    """The depot has no active microgrid."""
    NO_METER = "NO_METER"
    """No sensor carries the power of the grid connection."""
    THRESHOLD_TOO_SHORT = "THRESHOLD_TOO_SHORT"
    """The heartbeat threshold is not longer than the time between two packets: in real time the fail-safe would
    take over between them."""
    THRESHOLD_TOO_LONG = "THRESHOLD_TOO_LONG"
    """The scenario expects the fail-safe after a silence that is not longer than the heartbeat threshold."""


@dataclass(frozen=True)
class Missing:
    """One thing that the configuration lacks."""

    code: MissingCode
    what: str
    to_do: str
    blocks: bool
    """Whether the scenario cannot prove what it is for. Where nothing blocks, it runs, with less effect."""


def missing_for(scenario: Scenario, bindings: Bindings) -> tuple[Missing, ...]:
    """Say everything that the configuration lacks; what blocks comes first, else in the order of the contract."""
    found = [*_controller(bindings), *_actions(scenario, bindings), *_meter(scenario, bindings)]
    found += _threshold(scenario, bindings)
    return tuple(sorted(found, key=lambda each: not each.blocks))


def _controller(bindings: Bindings) -> Iterator[Missing]:
    if bindings.main_sensor is None:
        what = "No device of the depot has a sensor action that takes anything of a microgrid controller."
        to_do = "Configure Update Circuit Capacity, Update Microgrid State or Update Power Source State on a device."
        yield Missing(MissingCode.NO_CONTROLLER, what, to_do, blocks=True)
    carriers = Counter(key for sensor in bindings.sensors for key in sensor.measurands if key in CONTROLLER_KEYS)
    for key in CONTROLLER_KEYS:
        if carriers[key] > 1:
            sensors = ", ".join(
                f"{sensor.sensor_id} of {gateway.name}"
                for gateway in bindings.gateways
                for sensor in gateway.sensors
                if key in sensor.measurands
            )
            what = f"Several sensors carry {key}: {sensors}. The simulated controller is one."
            to_do = f"Leave {key} configured on one of them, or run the scenario on the devices of one gateway."
            yield Missing(MissingCode.SEVERAL_SENSORS, what, to_do, blocks=True)


def _actions(scenario: Scenario, bindings: Bindings) -> Iterator[Missing]:
    expected = _expected_actions(scenario)
    for kind, spec in SENSOR_ACTIONS.items():
        if kind is SensorActionKind.UPDATE_POWER_SOURCE_LOAD:
            continue
        keys = [key for key in spec.measurands if key in scenario.table.rules]
        configured = [sensor for sensor in bindings.sensors if kind in sensor.actions]
        needed = kind in expected
        if not configured and keys and bindings.main_sensor is not None:
            what = f"No device has {spec.title}: what is sent of {', '.join(keys)} has no effect."
            gateway, sensor_id = bindings.main_sensor
            to_do = f"Configure {spec.title} on the device of sensor {sensor_id} of {gateway}."
            yield Missing(MissingCode.NO_ACTION, what, to_do, blocks=needed)
        for sensor in configured:
            if kind is SensorActionKind.UPDATE_CIRCUIT_CAPACITY and sensor.circuit_name is None:
                what = f"{spec.title} is configured on sensor {sensor.sensor_id}, which is linked to no circuit."
                to_do = "Link the device to the circuit whose capacity the controller sets."
                yield Missing(MissingCode.NO_CIRCUIT, what, to_do, blocks=needed)
            if kind is SensorActionKind.UPDATE_POWER_SOURCE_STATE and not sensor.has_power_source:
                what = f"The updates of sensor {sensor.sensor_id} find no power source that is certain."
                to_do = "See the depot's open remediations: they say what stands in the way."
                yield Missing(MissingCode.NO_POWER_SOURCE, what, to_do, blocks=needed)
            if kind is SensorActionKind.UPDATE_MICROGRID_STATE and not bindings.has_microgrid:
                what = "The depot has no active microgrid whose state could be updated."
                to_do = "Add a top-level circuit, or run the backfill if there is one."
                yield Missing(MissingCode.NO_MICROGRID, what, to_do, blocks=needed)


def _expected_actions(scenario: Scenario) -> set[SensorActionKind]:
    """Return the actions without which what the scenario expects cannot pass."""
    found: set[SensorActionKind] = set()
    for expect in (entry.expect for entry in scenario.model.timeline if entry.expect is not None):
        found |= set(expect.answers)
        found |= {SensorActionKind.UPDATE_MICROGRID_STATE} if set(expect.capabilities.values()) - {"NONE"} else set()
        found |= {SensorActionKind.UPDATE_POWER_SOURCE_STATE} if expect.power_source else set()
        found |= {SensorActionKind.UPDATE_CIRCUIT_CAPACITY} if expect.circuit else set()
    return found


def _meter(scenario: Scenario, bindings: Bindings) -> Iterator[Missing]:
    metered = {each.metered for each in bindings.sensors if POWER_KEYS[0] in each.measurands}
    if bindings.main_sensor is not None and Metered.GRID_CONNECTION not in metered:
        what = f"No sensor carries {MeasurandKey.TOTAL_POWER_LOAD} of the grid connection: load charts stay empty."
        to_do = "Add a device without sensor actions for the meter of the grid connection."
        yield Missing(MissingCode.NO_METER, what, to_do, blocks="meter" in scenario.model.needs)


def _threshold(scenario: Scenario, bindings: Bindings) -> Iterator[Missing]:
    thresholds = [each.heartbeat_threshold_ms for each in bindings.sensors if each.heartbeat_threshold_ms is not None]
    silences = [each.deliver.silent_for or 0 for each in scenario.model.timeline if each.deliver is not None]
    circuits = [each.expect.circuit for each in scenario.model.timeline if each.expect is not None]
    awaited = any(circuit is not None and circuit.reason is FailSafeReason.NO_PACKET for circuit in circuits)
    if thresholds and awaited and max(silences, default=0) < max(thresholds):
        what = (
            f"The scenario expects the fail-safe after a silence of {duration_text(max(silences, default=0))}, and the "
            f"circuit's heartbeat threshold is {duration_text(max(thresholds))}."
        )
        to_do = "Set a shorter heartbeat threshold, or let the scenario be silent for longer."
        yield Missing(MissingCode.THRESHOLD_TOO_LONG, what, to_do, blocks=True)
    if thresholds and min(thresholds) <= scenario.model.every:
        what = (
            f"The scenario's packets are {duration_text(scenario.model.every)} apart, and the circuit's heartbeat "
            f"threshold is {duration_text(min(thresholds))}: in real time the fail-safe would hold between them."
        )
        to_do = "Set a longer heartbeat threshold, or run the scenario faster than in real time."
        yield Missing(MissingCode.THRESHOLD_TOO_SHORT, what, to_do, blocks=False)

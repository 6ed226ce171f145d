"""What the product's rules make of a run's packets: the pure rules of the domain, put together without a database.

It proves that the presets expect what the rules say. That the product keeps the rules is proved elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.monitoring.capabilities import (
    CAPABILITY_MEASURANDS,
    Capability,
    FoldEffect,
    StatusEvent,
    capability_status,
    fold_one,
    packet_event_ref,
)
from domain.monitoring.packets import Packet, Sensor, check_timestamp, parse_packet
from domain.site.action_outcomes import ActionOutcome, IgnoredCode
from domain.site.circuit_capacity import (
    CapacityPolicy,
    CapacityState,
    apply_reading,
    begin,
    capacity_reading,
    on_deadline,
    why_ignored,
)
from domain.site.measurands import MeasurandKey, ReadValue, Unreadable
from domain.site.sensor_actions import SensorAction, SensorActionKind
from sim_scenarios.evidence.evidence import Record, line, result_record, run_record, step_record
from sim_scenarios.runs.bindings import Bindings, ConfiguredDevice, bind
from sim_scenarios.runs.expectations import Answer, Downstream, Observed, ObservedCircuit, Value
from sim_scenarios.runs.sample import sample_devices
from sim_scenarios.runs.scenario import Scenario
from sim_scenarios.runs.stamps import documents, due_ms, is_of_run, next_stamp
from sim_scenarios.runs.steps import Step, batches, expand

POLICY = CapacityPolicy()
LATENCY_MS = 30
"""Between two steps at the fastest."""


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def evidence_of(run: Mapping[str, Any], steps: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the whole evidence of a run from its records."""
    every = list(steps)
    return b"".join(line(each) for each in (run, *every, result_record(run, every)))


class StandIn:
    """One depot, with one power source and one circuit that its controller leads."""

    def __init__(self, devices: tuple[ConfiguredDevice, ...], started_ms: int) -> None:
        self.actions = {device.sensor_id: device.actions for device in devices}
        self.statuses: dict[Capability, StatusEvent] = {}
        self.references: dict[tuple[Capability, str], StatusEvent] = {}
        self.circuit: CapacityState = begin(POLICY, moment(started_ms))
        self.source: dict[MeasurandKey, tuple[datetime, Value]] = {}

    def take(self, raw: dict[str, Any], number: int, now: datetime) -> Iterator[Answer]:
        packet = parse_packet(raw)
        assert isinstance(packet, Packet), packet
        assert check_timestamp(packet.observed_at, now) is None
        for sensor in packet.sensors:
            for action in self.actions.get(sensor.sensor_id, ()):
                code = self._act(action, packet, sensor, now)
                outcome = ActionOutcome.APPLIED if code is None else ActionOutcome.IGNORED
                yield Answer(number, sensor.sensor_id, action.kind, outcome, code)

    def _act(self, action: SensorAction, packet: Packet, sensor: Sensor, now: datetime) -> str | None:
        measured = {key: each for key, each in sensor.readings.items() if key in action.measurands}
        if not measured:
            return IgnoredCode.NO_MEASURAND
        if action.kind is SensorActionKind.UPDATE_CIRCUIT_CAPACITY:
            return self._circuit(packet, measured, now)
        if action.kind is SensorActionKind.UPDATE_MICROGRID_STATE:
            return self._microgrid(packet, sensor, measured)
        return self._source(packet, measured)

    def _circuit(self, packet: Packet, measured: dict[MeasurandKey, ReadValue], now: datetime) -> str | None:
        reading = capacity_reading(packet.observed_at, measured)
        assert reading is not None
        ignored = why_ignored(self.circuit, reading)
        self.circuit = apply_reading(self.circuit, reading, POLICY, now)
        return ignored

    def _microgrid(self, packet: Packet, sensor: Sensor, measured: dict[MeasurandKey, ReadValue]) -> str | None:
        effects: list[FoldEffect] = []
        for key, each in measured.items():
            capability = CAPABILITY_MEASURANDS[key]
            reference = packet_event_ref(packet.device_id, sensor.sensor_id, packet.timestamp_ms)
            status = capability_status(None if isinstance(each, Unreadable) else each)
            event = StatusEvent(packet.observed_at, reference, status)
            earlier = self.references.get((capability, reference))
            self.references.setdefault((capability, reference), event)
            folded = fold_one(self.statuses.get(capability), event, earlier)
            if folded.latest is not None:
                self.statuses[capability] = folded.latest
            effects.append(folded.effect)
        return None if FoldEffect.SHOWN in effects else effects[0]

    def _source(self, packet: Packet, measured: dict[MeasurandKey, ReadValue]) -> str | None:
        ignored: str | None = IgnoredCode.LATE
        for key, value in measured.items():
            if isinstance(value, Unreadable):
                ignored = value.code
            elif key not in self.source or packet.observed_at > self.source[key][0]:
                self.source[key] = (packet.observed_at, value)
                ignored = None
        return ignored

    def downstream(self, stamps: list[int], now: datetime) -> Downstream:
        self.circuit = on_deadline(self.circuit, POLICY, now)

        def ours(at: datetime | None) -> bool:
            return is_of_run(None if at is None else round(at.timestamp() * 1000), stamps)

        circuit = self.circuit
        return Downstream(
            capabilities={
                key.value: event.status.value
                for key, event in self.statuses.items()
                if event.status is not None and ours(event.observed_at)
            },
            circuit=ObservedCircuit(circuit.mode, circuit.reason, circuit.capacity_w)
            if ours(circuit.observed_at)
            else None,
            power_source={key.value: value for key, (at, value) in self.source.items() if ours(at)},
        )


def run_scenario(
    scenario: Scenario,
    *,
    seed: int = 1,
    time_scale: float = 0,
    started_ms: int = 1_767_225_600_000,
    batched: bool = False,
) -> tuple[bytes, list[Step], list[int]]:
    """Run a scenario against the rules; the evidence, the steps, and the real time of each step."""
    devices = sample_devices()
    bindings: Bindings = bind(devices, has_microgrid=True)
    steps = expand(scenario, seed, bindings)
    product = StandIn(devices, started_ms)
    stamps: list[int] = []
    records: list[Record] = []
    now = started_ms
    previous: Step | None = None
    begins = {batch[0].index for batch in batches(steps)} if batched else {step.index for step in steps}
    for step in steps:
        now = max(now + LATENCY_MS * (step.index in begins), due_ms(step, previous, stamps, time_scale) or 0)
        stamps.append(next_stamp(now, stamps))
        answers = tuple(
            answer
            for number, document in enumerate(documents(step, stamps))
            for answer in product.take(document, number, moment(now + 5))
        )
        downstream = product.downstream(stamps, moment(now + 10)) if step.looks else None
        records.append(step_record(step, Observed(answers, downstream)))
        previous = step
    return evidence_of(run_record(scenario, seed, bindings), records), list(steps), stamps

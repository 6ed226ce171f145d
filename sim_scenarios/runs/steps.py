"""A scenario as the list of its steps: what each sends, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from domain.site.measurands import MeasurandKey
from sim_scenarios.language.language import Entry
from sim_scenarios.runs.bindings import Bindings
from sim_scenarios.runs.delivery import DeliveryPlan, plan_delivery
from sim_scenarios.runs.expectations import Checked, Expectation, Observed, Value, check, resolve_expectations
from sim_scenarios.runs.projection import identity, metered_w, packet_bodies
from sim_scenarios.runs.scenario import Scenario
from sim_scenarios.runs.simulation import SimulatedState, simulate

SILENCE_MARGIN_MS = 1_000
"""So much longer than the heartbeat threshold a silence lasts, so that nobody looks at the very moment."""


@dataclass(frozen=True)
class StepPacket:
    """One packet that a step sends."""

    gateway_id: UUID
    gateway: str
    """The gateway's name."""
    measured_step: int
    """The step at which it was measured; its timestamp is that step's stamp."""
    measured_ms: int
    """The same as a time since the start."""
    copy: int
    """0 for the first time that it is sent, 1 for the second, and so on."""
    body: Mapping[str, Any]
    """The packet without ``device_id`` and ``timestamp``."""


@dataclass(frozen=True)
class RealGap:
    """Real time that must have passed since an earlier step, at every time scale."""

    after_step: int
    milliseconds: int


@dataclass(frozen=True)
class Step:
    """One step: its packets are sent at once, then its expectations are checked."""

    index: int
    offset_ms: int
    """Virtual time since the start."""
    name: str | None
    packets: tuple[StepPacket, ...]
    """In the order of sending; none while the controller is silent."""
    sent: Mapping[str, Value]
    """The measurands of the newest of these packets, by key."""
    expectations: tuple[Expectation, ...]
    state: SimulatedState
    gap: RealGap | None = None

    @property
    def looks(self) -> bool:
        """Whether somebody must look at where the product stands after it."""
        return any(not each.subject.startswith(("sent/", "answers/")) for each in self.expectations)


def expand(scenario: Scenario, seed: int, bindings: Bindings) -> tuple[Step, ...]:
    """Return all steps of a run: the same for the same scenario, seed and bindings, on every machine and day."""
    return tuple(_Expansion(scenario, seed, bindings).steps())


def check_step(step: Step, observed: Observed) -> tuple[Checked, ...]:
    """Check everything that a step expects."""
    seen = replace(observed, sent=step.sent)
    return tuple(check(expectation, seen) for expectation in step.expectations)


def batches(steps: Sequence[Step], most: int = 60) -> Iterator[tuple[Step, ...]]:
    """Cut the steps into runs that can be sent in one request when time does not matter (time scale 0).

    A step that is looked at ends one, and one that waits for real time begins one.
    """
    batch: list[Step] = []
    for step in steps:
        if batch and (step.gap is not None or len(batch) >= most or batch[-1].looks):
            yield tuple(batch)
            batch = []
        batch.append(step)
    if batch:
        yield tuple(batch)


class _Expansion:
    def __init__(self, scenario: Scenario, seed: int, bindings: Bindings) -> None:
        self.scenario = scenario
        self.bindings = bindings
        self.plan: DeliveryPlan = plan_delivery(scenario, seed)
        self.states = simulate(scenario, seed, self.plan)
        self.who = identity(scenario.model.gateway, scenario.name, scenario.table)
        self.entries = _entries(scenario)
        self.waiting: dict[int, SimulatedState] = {}
        """States whose packets are still to come, by step."""
        self.newest: dict[str, tuple[int, Value]] = {}
        """By measurand: the step that measured the newest value that has been delivered, and the value."""
        self.last_measured = -1
        """The step that measured the newest packet that has been delivered; -1 before the first."""

    def steps(self) -> Iterator[Step]:
        for index, state in enumerate(self.states):
            self.waiting[index] = state
            measured = self.plan.delivered_at(index)
            packets = tuple(packet for each in measured for packet in self._packets(each))
            # Delivered states, and those of silent steps, are not needed again.
            delivered = {each: self.waiting.pop(each) for each in measured}
            if index in self.plan.silent:
                del self.waiting[index]
            gap = None if max(measured, default=-1) > self.last_measured else self._gap(index)
            for each in measured:
                self._remember(each, delivered[each])
            entries = self.entries.get(index, [])
            sent = self._sent(delivered[max(measured)]) if packets else {}
            now = {key: value for key, (_, value) in self.newest.items()}
            expectations = [
                one for entry in entries if entry.expect is not None for one in resolve_expectations(entry.expect, now)
            ]
            names = [entry.name for entry in entries if entry.name is not None]
            name = "; ".join(names) or None
            yield Step(index, state.offset_ms, name, packets, sent, tuple(dict.fromkeys(expectations)), state, gap)
            self.last_measured = max(self.last_measured, *measured) if packets else self.last_measured

    def _packets(self, measured: int) -> Iterator[StepPacket]:
        state = self.waiting[measured]
        bodies = packet_bodies(self.bindings, self.who, state.controller, metered_w(state.flows))
        for copy in range(self.plan.copies.get(measured, 1)):
            for gateway, body in bodies:
                yield StepPacket(gateway.gateway_id, gateway.name, measured, state.offset_ms, copy, body)

    def _remember(self, measured: int, state: SimulatedState) -> None:
        if not self.bindings.gateways:
            return
        for key, value in self._sent(state).items():
            if value is not None and self.newest.get(key, (-1, None))[0] < measured:
                self.newest[key] = (measured, value)

    def _sent(self, state: SimulatedState) -> dict[str, Value]:
        said: dict[str, Value] = {each.key: each.value for each in state.controller}
        return said | {MeasurandKey.TOTAL_POWER_LOAD.value: state.flows.grid_w}

    def _gap(self, index: int) -> RealGap | None:
        """Let real time pass where the fail-safe is to take over because nothing comes."""
        threshold, last, every = self.bindings.heartbeat_threshold_ms, self.last_measured, self.scenario.model.every
        if threshold is None or last < 0:
            return None
        passed = (index - last) * every
        # In the first step at which the threshold has passed in virtual time.
        takes_over = passed >= threshold > passed - every
        return RealGap(last, threshold + SILENCE_MARGIN_MS) if takes_over else None


def _entries(scenario: Scenario) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    for entry in scenario.model.timeline:
        every = scenario.model.every
        times = [entry.at or 0] if entry.each is None else range(0, scenario.model.duration + 1, entry.each)
        for time_ms in times:
            found.setdefault(time_ms // every, []).append(entry)
    return found

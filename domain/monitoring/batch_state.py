"""What a batch of packets does: the one place where sensor actions meet the state of a site.

``PacketBatchState`` has the state, before the batch, of everything that its packets can touch, and applies packet after
packet to it. Afterwards it says what must be written. It is pure: the store reads the states under a lock, has the
packets applied, and writes the result in the same transaction, so that a batch gives what its packets give one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain.base.clocks import effective_at
from domain.monitoring.action_answers import ActionAnswer, MeasurandAnswer, overall
from domain.monitoring.capabilities import (
    CAPABILITY_MEASURANDS,
    Capability,
    CapabilityStatus,
    FoldEffect,
    Held,
    StatusEvent,
    capability_status,
    fold_one,
    hold,
    may_change_since,
    packet_event_ref,
)
from domain.monitoring.packets import Packet
from domain.site.action_outcomes import ActionOutcome, IgnoredCode
from domain.site.circuit_capacity import (
    CapacityPolicy,
    CapacityReading,
    CapacityState,
    apply_reading,
    capacity_reading,
    on_deadline,
    step_at,
    why_ignored,
)
from domain.site.measurands import MeasurandKey, ReadingCode, ReadValue, Unreadable
from domain.site.packet_context import ConfiguredAction, PacketContext
from domain.site.remediations import RemediationCode
from domain.site.resolution import Unresolved, resolve
from domain.site.routing import RoutingRule
from domain.site.sensor_actions import SENSOR_ACTIONS, ActionTarget

_NONE: frozenset[str] = frozenset()
_APPLIED = {key: MeasurandAnswer(key, ActionOutcome.APPLIED) for key in MeasurandKey}


class NewStatus(NamedTuple):
    """An update of a capability, before it is known what it does."""

    microgrid_id: UUID
    capability: Capability
    event: StatusEvent
    source_device_id: UUID | None
    recorded_by: str
    """Who sent it: the actor of the request, or of the packet."""
    scenario_run_id: UUID | None = None
    """The scenario run whose packet it came with; None: it is no simulated one."""


class PacketSource(NamedTuple):
    """Where a packet comes from."""

    sent_by: str
    """The actor who sent it."""
    scenario_run_id: UUID | None = None
    """The scenario run that sent it; None: it is no simulated one."""


class FoldedStatus(NamedTuple):
    """An accepted update of a capability and what it did to the latest status."""

    given: NewStatus
    effect: FoldEffect


@dataclass(frozen=True)
class Reading:
    """The latest value of one measurand of a power source."""

    value: float | str
    observed_at: datetime
    device_id: UUID
    received_at: datetime | None = None
    """When it came; None: ``observed_at`` is taken as it is."""
    is_released: bool = False
    """Whether whoever gave it gives it no longer: the next reading takes its place, whenever that was measured."""
    scenario_run_id: UUID | None = None
    """The scenario run that gave it; None: it is no simulated one."""

    @property
    def key(self) -> tuple[datetime, datetime]:
        """What decides which of two readings is the later one: the effective time, then the stamp."""
        return effective_at(self.observed_at, self.received_at), self.observed_at


@dataclass(frozen=True)
class CapacityStep:
    """A capacity, mode or reason that began to hold for a circuit: one step of its history."""

    circuit_id: UUID
    state: CapacityState
    at: datetime


@dataclass(frozen=True)
class Stopped:
    """A sensor action that the site's configuration stops."""

    context: PacketContext
    action: ConfiguredAction
    code: RemediationCode
    candidates: tuple[UUID, ...] = ()
    scenario_run_id: UUID | None = None
    """The scenario run that sent the last packet that was stopped; None: it is no simulated one."""


@dataclass
class PacketBatchState:
    """The states that a batch of packets can touch, and what the packets taken so far did to them."""

    now: datetime
    """When the group came, the same for all of it."""
    latest: dict[tuple[UUID, Capability], StatusEvent] = field(default_factory=dict)
    """The event that is shown, by microgrid and capability."""
    held: dict[tuple[UUID, Capability], Held] = field(default_factory=dict)
    """Since when that event's status holds."""
    epochs: dict[tuple[UUID, Capability], int] = field(default_factory=dict)
    """How often each microgrid's capability was handed over to another device, where it was."""
    earlier: dict[tuple[UUID, Capability, str], StatusEvent] = field(default_factory=dict)
    """The first accepted event by microgrid, capability and provider event reference."""
    readings: dict[tuple[UUID, MeasurandKey], Reading] = field(default_factory=dict)
    """What is known of each power source."""
    capacities: dict[UUID, CapacityState] = field(default_factory=dict)
    """The state of each circuit that follows a controller."""
    sent: dict[tuple[UUID, int, str], set[str]] = field(default_factory=dict)
    """Of stamps that lie ahead: the keys of the measurands that came with them before, by gateway, stamp and sensor.
    Such a packet counts as measured when it comes, so that its stamp does not tell that it is sent again."""

    events: list[FoldedStatus] = field(default_factory=list)
    """Every capability update that was accepted, in order."""
    shown: dict[tuple[UUID, Capability], int] = field(default_factory=dict)
    """Which of ``events`` became the latest status, by its place."""
    unsettled: set[tuple[UUID, Capability]] = field(default_factory=set)
    """Of which it must be looked up in the history since when the status holds: something came late."""
    changed_readings: set[tuple[UUID, MeasurandKey]] = field(default_factory=set)
    changed_capacities: set[UUID] = field(default_factory=set)
    capacity_steps: list[CapacityStep] = field(default_factory=list)
    """Every capacity, mode or reason that began to hold, in order."""
    stopped: dict[UUID, Stopped] = field(default_factory=dict)
    """The sensor actions that the configuration stops. It is the same for the whole group."""
    stopped_times: Counter[UUID] = field(default_factory=Counter[UUID])
    """How many packets of the group each of them was stopped for."""
    cleared: set[UUID] = field(default_factory=set)
    """Sensor actions that went through: what was open for them before is mended."""

    def take_status(self, given: NewStatus) -> FoldedStatus:
        """Accept one update of a capability (COR-9.9): recorded always, shown if it is the latest."""
        microgrid_id, capability, event, device_id, recorded_by, run_id = given
        observed_at, event_ref, status, *_ = event
        return self._accept((microgrid_id, capability), observed_at, event_ref, status, device_id, recorded_by, run_id)

    def _accept(
        self,
        key: tuple[UUID, Capability],
        observed_at: datetime,
        event_ref: str,
        status: CapabilityStatus | None,
        source_device_id: UUID | None,
        recorded_by: str,
        scenario_run_id: UUID | None,
    ) -> FoldedStatus:
        microgrid_id, capability = key
        event = StatusEvent(observed_at, event_ref, status, self.now, self.epochs.get(key, 0))
        ref = (microgrid_id, capability, event_ref)
        latest = self.latest.get(key)
        _, effect = fold_one(latest, event, self.earlier.get(ref))
        self.earlier.setdefault(ref, event)
        given = NewStatus(microgrid_id, capability, event, source_device_id, recorded_by, scenario_run_id)
        accepted = FoldedStatus(given, effect)
        self.events.append(accepted)
        if effect is FoldEffect.SHOWN:
            self.latest[key] = event
            self.shown[key] = len(self.events) - 1
        if effect is FoldEffect.SHOWN or effect is FoldEffect.LATE:
            self._hold(key, latest, given, effect)
        return accepted

    def _hold(
        self, key: tuple[UUID, Capability], latest: StatusEvent | None, given: NewStatus, effect: FoldEffect
    ) -> None:
        """Keep since when the latest status of a capability holds."""
        held, is_simulated = self.held.get(key), given.scenario_run_id is not None
        if effect is FoldEffect.SHOWN:
            held = self.held[key] = hold(latest, held, given.event, is_simulated=is_simulated)
            if held.since is None:
                self.unsettled.add(key)
        elif (
            latest is not None
            and held is not None
            and may_change_since(latest, held, given.event, is_simulated=is_simulated)
        ):
            self.unsettled.add(key)

    def take_packet(self, packet: Packet, context: PacketContext, source: PacketSource) -> list[ActionAnswer]:
        """Let every sensor action of the packet's sensors do what it does, in the order of the sensors."""
        answers: list[ActionAnswer] = []
        is_ahead = packet.observed_at > self.now
        for sensor in packet.sensors:
            actions = context.actions.get(sensor.sensor_id)
            if actions is None:
                continue
            readings = sensor.readings
            answers += [self._act(packet, context, action, readings, source) for action in actions]
            if is_ahead:
                self.sent.setdefault(_place(packet, sensor.sensor_id), set()).update(readings)
        return answers

    def _act(
        self,
        packet: Packet,
        context: PacketContext,
        action: ConfiguredAction,
        readings: Mapping[MeasurandKey, ReadValue],
        source: PacketSource,
    ) -> ActionAnswer:
        if not action.enabled:
            return _answer(action, ActionOutcome.IGNORED, IgnoredCode.DISABLED)
        found = {key: readings[key] for key in action.measurands if key in readings}
        if not found:
            return _answer(action, ActionOutcome.IGNORED, IgnoredCode.NO_MEASURAND)
        target = SENSOR_ACTIONS[action.kind].target
        if target is ActionTarget.MICROGRID:
            return self._update_microgrid_state(packet, context, action, found, source)
        if target is ActionTarget.POWER_SOURCE:
            return self._update_power_source(packet, context, action, found, source)
        return self._update_circuit_capacity(packet, context, action, found, source)

    def _update_microgrid_state(
        self,
        packet: Packet,
        context: PacketContext,
        action: ConfiguredAction,
        found: Mapping[MeasurandKey, ReadValue],
        source: PacketSource,
    ) -> ActionAnswer:
        resolved = resolve(context, action)
        if isinstance(resolved, Unresolved):
            return self._stop(context, action, resolved, source)
        self.cleared.add(action.sensor_action_id)
        ref = packet_event_ref(context.gateway_id, action.sensor_id, packet.timestamp_ms)
        observed_at = packet.observed_at
        answers: list[MeasurandAnswer] = []
        for key, value in found.items():
            if isinstance(value, Unreadable) and value.code is not ReadingCode.VALUE_UNAVAILABLE:
                answers.append(MeasurandAnswer(key, ActionOutcome.IGNORED, value.code))
                continue
            status = None if isinstance(value, Unreadable) else capability_status(value)
            place = (resolved.target_id, CAPABILITY_MEASURANDS[key])
            accepted = self._accept(place, observed_at, ref, status, action.device_id, *source)
            answers.append(_measurand_answer(key, accepted.effect))
        outcome, code = overall(tuple(answers))
        return _answer(action, outcome, code, measurands=tuple(answers), target_id=resolved.target_id)

    def _update_power_source(
        self,
        packet: Packet,
        context: PacketContext,
        action: ConfiguredAction,
        found: Mapping[MeasurandKey, ReadValue],
        source: PacketSource,
    ) -> ActionAnswer:
        routed = resolve(context, action)
        if isinstance(routed, Unresolved):
            return self._stop(context, action, routed, source)
        self.cleared.add(action.sensor_action_id)
        sent = self._sent_before(packet, action.sensor_id)
        answers = tuple(
            MeasurandAnswer(key, ActionOutcome.IGNORED, IgnoredCode.LATE)
            if key in sent
            else self._read_power_source(routed.target_id, packet, action.device_id, key, value, source)
            for key, value in found.items()
        )
        outcome, code = overall(answers)
        return _answer(action, outcome, code, measurands=answers, rule=routed.rule, target_id=routed.target_id)

    def _read_power_source(
        self,
        power_source_id: UUID,
        packet: Packet,
        device_id: UUID,
        key: MeasurandKey,
        value: ReadValue,
        source: PacketSource,
    ) -> MeasurandAnswer:
        if isinstance(value, Unreadable):
            return MeasurandAnswer(key, ActionOutcome.IGNORED, value.code)
        place = (power_source_id, key)
        before = self.readings.get(place)
        reading = Reading(value, packet.observed_at, device_id, self.now, scenario_run_id=source.scenario_run_id)
        if before is not None and not before.is_released and reading.key <= before.key:
            return MeasurandAnswer(key, ActionOutcome.IGNORED, IgnoredCode.LATE)
        self.readings[place] = reading
        self.changed_readings.add(place)
        return _APPLIED[key]

    def _update_circuit_capacity(
        self,
        packet: Packet,
        context: PacketContext,
        action: ConfiguredAction,
        found: Mapping[MeasurandKey, ReadValue],
        source: PacketSource,
    ) -> ActionAnswer:
        resolved = resolve(context, action)
        if isinstance(resolved, Unresolved):
            return self._stop(context, action, resolved, source)
        self.cleared.add(action.sensor_action_id)
        if found.keys() <= self._sent_before(packet, action.sensor_id):
            return _answer(action, ActionOutcome.IGNORED, IgnoredCode.LATE, target_id=resolved.target_id)
        reading = capacity_reading(packet.observed_at, found, source.scenario_run_id)
        assert reading is not None
        assert action.capacity_policy is not None
        ignored = self._take_reading(resolved.target_id, reading, action.capacity_policy)
        outcome = ActionOutcome.APPLIED if ignored is None else ActionOutcome.IGNORED
        return _answer(action, outcome, ignored, target_id=resolved.target_id)

    def _sent_before(self, packet: Packet, sensor_id: str) -> Set[str]:
        """The measurands that came before with the stamp of this packet, where it lies ahead."""
        # Nearly always none does.
        return self.sent.get(_place(packet, sensor_id), _NONE) if self.sent else _NONE

    def _take_reading(self, circuit_id: UUID, reading: CapacityReading, policy: CapacityPolicy) -> IgnoredCode | None:
        # A deadline that nobody has acted upon yet is a step of its own, before what this packet says.
        self.pass_deadline(circuit_id, policy)
        state = self.capacities[circuit_id]
        self._set_capacity(circuit_id, apply_reading(state, reading, policy, self.now))
        return why_ignored(state, reading, self.now)

    def pass_deadline(self, circuit_id: UUID, policy: CapacityPolicy) -> None:
        """Let the fail-safe take over where the circuit's deadline has come."""
        self._set_capacity(circuit_id, on_deadline(self.capacities[circuit_id], policy, self.now))

    def _set_capacity(self, circuit_id: UUID, after: CapacityState) -> None:
        before = self.capacities[circuit_id]
        if after is before or after == before:
            return
        self.capacities[circuit_id] = after
        self.changed_capacities.add(circuit_id)
        at = step_at(before, after, self.now)
        if at is not None:
            self.capacity_steps.append(CapacityStep(circuit_id, after, at))

    def _stop(
        self, context: PacketContext, action: ConfiguredAction, why: Unresolved, source: PacketSource
    ) -> ActionAnswer:
        stopped = Stopped(context, action, why.code, why.candidates, source.scenario_run_id)
        self.stopped[action.sensor_action_id] = stopped
        self.stopped_times[action.sensor_action_id] += 1
        return _answer(action, ActionOutcome.REMEDIATION, why.code)


def unknown_sensors(packet: Packet, context: PacketContext) -> list[str]:
    """Name the sensors of a packet that no device stands for: kept with the packet, acted on by nothing."""
    return [sensor.sensor_id for sensor in packet.sensors if sensor.sensor_id not in context.devices]


def _place(packet: Packet, sensor_id: str) -> tuple[UUID, int, str]:
    return packet.device_id, packet.timestamp_ms, sensor_id


def _measurand_answer(key: MeasurandKey, effect: FoldEffect) -> MeasurandAnswer:
    if effect is FoldEffect.SHOWN:
        return _APPLIED[key]
    return MeasurandAnswer(key, ActionOutcome.IGNORED, effect)


def _answer(
    action: ConfiguredAction,
    outcome: ActionOutcome,
    code: StrEnum | None = None,
    *,
    measurands: tuple[MeasurandAnswer, ...] = (),
    rule: RoutingRule | None = None,
    target_id: UUID | None = None,
) -> ActionAnswer:
    ids = action.sensor_id, action.device_id, action.sensor_action_id
    return ActionAnswer(*ids, action.kind, outcome, code, measurands, rule, target_id)

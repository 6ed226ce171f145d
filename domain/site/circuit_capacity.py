"""The capacity of a circuit that follows a microgrid controller, and the fail-safe that holds without it.

A small state machine, one state a circuit. ``begin`` makes the first state, ``apply_reading`` takes what a packet
says, ``on_deadline`` is called when ``CapacityState.deadline`` has come (calling it early, late or twice does no
harm), and ``apply_policy`` takes a change of the settings. The rules, in the words of the specification:

- *The controller says "ok" and a capacity*: that capacity holds until the deadline, which is the heartbeat threshold
  after the packet was measured, or after it came if the controller's clock runs ahead.
- *The controller says that it is not well, or says null or nonsense*: the fail-safe capacity holds at once.
- *A packet has only one of the two* (or neither): it proves nothing, so it neither changes who decides nor moves the
  deadline. Only a heartbeat other than "ok" is heeded alone.
- *The deadline passes*: the fail-safe capacity holds.
- *A simulated packet* is taken like any other, and the state says which scenario run sent what holds, until a packet
  that is no simulated one has taken its place.
- *Late and repeated packets* (not newer than the last one heeded) change nothing. A packet whose stamp lies ahead
  counts as measured when it came (``domain.base.clocks``), so that it is late beside none that is measured after that.

The fail-safe capacity is the last one received; else the configured one; else 0 W, the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain.base.clocks import effective_at
from domain.site.action_outcomes import IgnoredCode
from domain.site.measurands import HeartbeatStatus, MeasurandKey, ReadingCode, ReadValue, Unreadable

DEFAULT_HEARTBEAT_THRESHOLD = timedelta(minutes=2)
"""Without a packet for longer, the fail-safe holds. A controller that sends every minute may miss one."""


@dataclass(frozen=True)
class CapacityPolicy:
    """What the sensor action sets for one circuit."""

    heartbeat_threshold: timedelta = DEFAULT_HEARTBEAT_THRESHOLD
    fail_safe_w: float | None = None
    """Holds until the controller has sent a fail-safe capacity of its own."""


class CapacityMode(StrEnum):
    """Who decides the circuit's capacity."""

    AWAITING = "AWAITING"
    """Nobody yet: the action is new and no packet has come. The circuit's own rating holds."""
    CONTROLLER = "CONTROLLER"
    """The controller: its available charging capacity holds."""
    FAIL_SAFE = "FAIL_SAFE"
    """The fail-safe capacity holds."""


class FailSafeReason(StrEnum):
    """Why the fail-safe capacity holds."""

    CONNECTION_LOST = "CONNECTION_LOST"
    """The controller's connection is lost, as its gateway reports."""
    HEARTBEAT_TIMEOUT = "HEARTBEAT_TIMEOUT"
    """The controller's heartbeat is too slow, as its gateway reports."""
    CONTROLLER_ERROR = "CONTROLLER_ERROR"
    """The controller reports an error."""
    HEARTBEAT_UNAVAILABLE = "HEARTBEAT_UNAVAILABLE"
    """The heartbeat status is null."""
    HEARTBEAT_UNREADABLE = "HEARTBEAT_UNREADABLE"
    """The heartbeat status is none that the contract knows."""
    CAPACITY_UNAVAILABLE = "CAPACITY_UNAVAILABLE"
    """The heartbeat is "ok", but the available charging capacity is null."""
    CAPACITY_UNREADABLE = "CAPACITY_UNREADABLE"
    """The heartbeat is "ok", but the available charging capacity is none that can be."""
    NO_PACKET = "NO_PACKET"
    """No packet has come for longer than the heartbeat threshold, or only packets that were older than that."""


class CapacityBasis(StrEnum):
    """Where the capacity that holds comes from."""

    AVAILABLE_CHARGING_CAPACITY = "AVAILABLE_CHARGING_CAPACITY"
    FAIL_SAFE_RECEIVED = "FAIL_SAFE_RECEIVED"
    """The last ``FAIL_SAFE_CAPACITY`` of the controller."""
    FAIL_SAFE_CONFIGURED = "FAIL_SAFE_CONFIGURED"
    """The sensor action's own setting."""
    FAIL_SAFE_UNKNOWN = "FAIL_SAFE_UNKNOWN"
    """No fail-safe capacity is known, so it is 0 W: nothing is drawn that nobody allowed."""


class CapacityReading(NamedTuple):
    """What one packet says to a circuit. Absent measurands are ``None``; a null is ``Unreadable``.

    A named tuple, like the state: a second has thousands of both, made in a third of the time.
    """

    observed_at: datetime
    heartbeat: HeartbeatStatus | Unreadable | None = None
    available_w: float | Unreadable | None = None
    fail_safe_w: float | Unreadable | None = None
    scenario_run_id: UUID | None = None
    """The scenario run that sent the packet; None: it is no simulated one."""


class CapacityState(NamedTuple):
    """Where one circuit stands."""

    mode: CapacityMode
    since: datetime
    """When the mode or the reason last changed."""
    deadline: datetime | None
    """When ``on_deadline`` is due; None while the fail-safe holds."""
    reason: FailSafeReason | None = None
    """Why the fail-safe holds; None in the other modes."""
    capacity_w: float | None = None
    """What holds; None while ``AWAITING``."""
    basis: CapacityBasis | None = None
    """Where that comes from; None while ``AWAITING``."""
    observed_at: datetime | None = None
    """When the last packet that was heeded was measured, as its stamp says."""
    received_at: datetime | None = None
    """When that packet came."""
    fail_safe_received_w: float | None = None
    fail_safe_observed_at: datetime | None = None
    """When the packet with that fail-safe capacity was measured, as its stamp says."""
    fail_safe_received_at: datetime | None = None
    """When that packet came."""
    scenario_run_id: UUID | None = None
    """The scenario run that sent the last packet that was heeded."""
    fail_safe_scenario_run_id: UUID | None = None
    """The scenario run that sent that fail-safe capacity."""

    @property
    def simulated_by(self) -> UUID | None:
        """The scenario run that brought about what holds; None: nothing simulated is in it."""
        if self.scenario_run_id is None and self.basis is CapacityBasis.FAIL_SAFE_RECEIVED:
            return self.fail_safe_scenario_run_id
        return self.scenario_run_id


def capacity_reading(
    observed_at: datetime, readings: Mapping[MeasurandKey, ReadValue], scenario_run_id: UUID | None = None
) -> CapacityReading | None:
    """Return what a sensor's measurands say to a circuit; None if they say nothing to it."""
    heartbeat = readings.get(MeasurandKey.HEARTBEAT_STATUS)
    available = readings.get(MeasurandKey.AVAILABLE_CHARGING_CAPACITY)
    fail_safe = readings.get(MeasurandKey.FAIL_SAFE_CAPACITY)
    if heartbeat is None and available is None and fail_safe is None:
        return None
    assert not isinstance(heartbeat, float | int)
    assert not isinstance(available, str)
    assert not isinstance(fail_safe, str)
    status = _HEARTBEATS[heartbeat] if isinstance(heartbeat, str) else heartbeat
    return CapacityReading(observed_at, status, available, fail_safe, scenario_run_id)


def begin(policy: CapacityPolicy, now: datetime) -> CapacityState:
    """Return the state of a circuit that begins to follow a controller, which has one threshold's time to speak."""
    return CapacityState(CapacityMode.AWAITING, since=now, deadline=now + policy.heartbeat_threshold)


def apply_reading(
    state: CapacityState, reading: CapacityReading, policy: CapacityPolicy, now: datetime
) -> CapacityState:
    """Take what a packet says; ``now`` is when it came.

    A deadline that has passed is heeded first, so that a call of ``on_deadline`` that comes late, or never, leaves
    no trace.
    """
    state = _take_fail_safe(on_deadline(state, policy, now), reading, now)
    if _is_late(state, reading, now) or _is_incomplete(reading):
        return _settle(state, policy)
    reason = _reason_to_distrust(reading)
    deadline = effective_at(reading.observed_at, now) + policy.heartbeat_threshold
    if reason is None and deadline <= now:
        reason = FailSafeReason.NO_PACKET
    if reason is not None:
        return _fail_safe(state, reason, policy, now)._replace(
            observed_at=reading.observed_at,
            received_at=now,
            scenario_run_id=reading.scenario_run_id,
        )
    assert isinstance(reading.available_w, float | int)
    return state._replace(
        observed_at=reading.observed_at,
        received_at=now,
        mode=CapacityMode.CONTROLLER,
        since=state.since if state.mode is CapacityMode.CONTROLLER else now,
        deadline=deadline,
        reason=None,
        capacity_w=reading.available_w,
        basis=CapacityBasis.AVAILABLE_CHARGING_CAPACITY,
        scenario_run_id=reading.scenario_run_id,
    )


def why_ignored(state: CapacityState, reading: CapacityReading, now: datetime | None = None) -> IgnoredCode | None:
    """Say why ``apply_reading`` would find nothing to take in ``reading``; None if it takes something.

    ``now`` is when it came; None: when it was measured.
    """
    if _brings_fail_safe(state, reading, now):
        return None
    if _is_late(state, reading, now):
        return IgnoredCode.LATE
    return IgnoredCode.INCOMPLETE if _is_incomplete(reading) else None


def on_deadline(state: CapacityState, policy: CapacityPolicy, now: datetime) -> CapacityState:
    """Let the fail-safe take over if the state's deadline has come; else leave the state as it is.

    It holds since the deadline, not since somebody looked.
    """
    if state.deadline is None or now < state.deadline:
        return state
    return _fail_safe(state, FailSafeReason.NO_PACKET, policy, state.deadline)


def apply_policy(state: CapacityState, before: CapacityPolicy, policy: CapacityPolicy, now: datetime) -> CapacityState:
    """Take changed settings: the deadline moves with the threshold, and the fail-safe capacity follows."""
    if state.deadline is not None:
        moved = state.deadline - before.heartbeat_threshold + policy.heartbeat_threshold
        if moved <= now:
            return _fail_safe(state, FailSafeReason.NO_PACKET, policy, now)
        state = state._replace(deadline=moved)
    return _settle(state, policy)


def step_at(before: CapacityState, after: CapacityState, now: datetime) -> datetime | None:
    """Say since when something else holds after a change at ``now``; None if the same holds as before it.

    A mode or a reason holds since the state says so, which may be before ``now``; a capacity alone, since ``now``, and
    so does that it is simulated, or not any more.
    """
    if (after.mode, after.reason) != (before.mode, before.reason):
        return after.since
    told = [(each.capacity_w, each.basis, each.simulated_by) for each in (before, after)]
    return now if told[0] != told[1] else None


def _is_newer(
    reading: CapacityReading, now: datetime | None, observed_at: datetime | None, received_at: datetime | None
) -> bool:
    """Say whether a reading that comes now was measured after another one; None: there is no other."""
    if observed_at is None:
        return True
    if reading.observed_at == observed_at:  # the same again, which a stamp ahead would hide
        return False
    newer = (effective_at(reading.observed_at, now), reading.observed_at)
    return newer > (effective_at(observed_at, received_at), observed_at)


def _is_late(state: CapacityState, reading: CapacityReading, now: datetime | None) -> bool:
    return not _is_newer(reading, now, state.observed_at, state.received_at)


def _is_incomplete(reading: CapacityReading) -> bool:
    """Say whether the reading proves nothing: it calls for no fail-safe, and has not both that make a capacity."""
    return _reason_to_distrust(reading) is None and (reading.heartbeat is None or reading.available_w is None)


def _brings_fail_safe(state: CapacityState, reading: CapacityReading, now: datetime | None) -> bool:
    if reading.fail_safe_w is None or isinstance(reading.fail_safe_w, Unreadable):
        return False
    return _is_newer(reading, now, state.fail_safe_observed_at, state.fail_safe_received_at)


def _take_fail_safe(state: CapacityState, reading: CapacityReading, now: datetime) -> CapacityState:
    if not _brings_fail_safe(state, reading, now):
        return state
    assert isinstance(reading.fail_safe_w, float | int)
    return state._replace(
        fail_safe_received_w=reading.fail_safe_w,
        fail_safe_observed_at=reading.observed_at,
        fail_safe_received_at=now,
        fail_safe_scenario_run_id=reading.scenario_run_id,
    )


_HEARTBEATS = {each.value: each for each in HeartbeatStatus}
_HEARTBEAT_REASONS = {
    HeartbeatStatus.CONNECTION_LOST: FailSafeReason.CONNECTION_LOST,
    HeartbeatStatus.TIMEOUT: FailSafeReason.HEARTBEAT_TIMEOUT,
    HeartbeatStatus.ERROR: FailSafeReason.CONTROLLER_ERROR,
}


def _reason_to_distrust(reading: CapacityReading) -> FailSafeReason | None:
    """Say why this reading alone calls for the fail-safe; None if it does not."""
    heartbeat = reading.heartbeat
    if heartbeat is None:
        return None
    if isinstance(heartbeat, Unreadable):
        null = heartbeat.code is ReadingCode.VALUE_UNAVAILABLE
        return FailSafeReason.HEARTBEAT_UNAVAILABLE if null else FailSafeReason.HEARTBEAT_UNREADABLE
    if heartbeat is not HeartbeatStatus.OK:
        return _HEARTBEAT_REASONS[heartbeat]
    if isinstance(reading.available_w, Unreadable):
        null = reading.available_w.code is ReadingCode.VALUE_UNAVAILABLE
        return FailSafeReason.CAPACITY_UNAVAILABLE if null else FailSafeReason.CAPACITY_UNREADABLE
    return None


def _fail_safe(state: CapacityState, reason: FailSafeReason, policy: CapacityPolicy, at: datetime) -> CapacityState:
    same = state.mode is CapacityMode.FAIL_SAFE and state.reason is reason
    since = state.since if same else at
    return _settle(state._replace(mode=CapacityMode.FAIL_SAFE, since=since, deadline=None, reason=reason), policy)


def _settle(state: CapacityState, policy: CapacityPolicy) -> CapacityState:
    """Give the fail-safe capacity its value, where it holds."""
    if state.mode is not CapacityMode.FAIL_SAFE:
        return state
    if state.fail_safe_received_w is not None:
        capacity, basis = state.fail_safe_received_w, CapacityBasis.FAIL_SAFE_RECEIVED
    elif policy.fail_safe_w is not None:
        capacity, basis = policy.fail_safe_w, CapacityBasis.FAIL_SAFE_CONFIGURED
    else:
        capacity, basis = 0, CapacityBasis.FAIL_SAFE_UNKNOWN
    return state._replace(capacity_w=capacity, basis=basis)

"""The capacity of a circuit that follows a controller, and the fail-safe that takes over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.site.action_outcomes import IgnoredCode
from domain.site.circuit_capacity import (
    CapacityBasis,
    CapacityMode,
    CapacityPolicy,
    CapacityReading,
    CapacityState,
    FailSafeReason,
    apply_policy,
    apply_reading,
    begin,
    capacity_reading,
    on_deadline,
    why_ignored,
)
from domain.site.measurands import (
    HeartbeatStatus,
    MeasurandKey,
    ReadingCode,
    ReadValue,
    Unreadable,
    read_measurand,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = CapacityPolicy(heartbeat_threshold=2 * MINUTE, fail_safe_w=50_000)
NULL = Unreadable(ReadingCode.VALUE_UNAVAILABLE, "null")
NONSENSE = Unreadable(ReadingCode.WRONG_UNIT, "kW")
OK = HeartbeatStatus.OK


def at(minutes: float) -> datetime:
    return T0 + minutes * MINUTE


def reading(
    minutes: float,
    heartbeat: HeartbeatStatus | Unreadable | None = OK,
    available: float | Unreadable | None = 400_000,
    fail_safe: float | Unreadable | None = None,
) -> CapacityReading:
    return CapacityReading(at(minutes), heartbeat, available, fail_safe)


def take(state: CapacityState, *readings: CapacityReading, policy: CapacityPolicy = POLICY) -> CapacityState:
    """Take readings that come the moment they are measured."""
    for each in readings:
        state = apply_reading(state, each, policy, each.observed_at)
    return state


FOLLOWING = take(begin(POLICY, T0), reading(1))


def test_before_the_first_packet_nobody_decides() -> None:
    state = begin(POLICY, T0)
    assert (state.mode, state.capacity_w, state.deadline) == (CapacityMode.AWAITING, None, at(2))
    assert on_deadline(state, POLICY, at(1.9)) == state
    lost = on_deadline(state, POLICY, at(2))
    assert (lost.mode, lost.reason, lost.capacity_w) == (CapacityMode.FAIL_SAFE, FailSafeReason.NO_PACKET, 50_000)


def test_the_controller_decides_while_it_says_ok() -> None:
    state = take(FOLLOWING, reading(2, available=300_000), reading(3, available=0))
    assert (state.mode, state.capacity_w, state.basis) == (
        CapacityMode.CONTROLLER,
        0,
        CapacityBasis.AVAILABLE_CHARGING_CAPACITY,
    )
    assert (state.deadline, state.since, state.reason) == (at(5), at(1), None)


DISTRUST = [
    (reading(2, HeartbeatStatus.CONNECTION_LOST), FailSafeReason.CONNECTION_LOST),
    (reading(2, HeartbeatStatus.TIMEOUT), FailSafeReason.HEARTBEAT_TIMEOUT),
    (reading(2, HeartbeatStatus.ERROR), FailSafeReason.CONTROLLER_ERROR),
    (reading(2, HeartbeatStatus.ERROR, None), FailSafeReason.CONTROLLER_ERROR),
    (reading(2, HeartbeatStatus.ERROR, NULL), FailSafeReason.CONTROLLER_ERROR),
    (reading(2, NULL), FailSafeReason.HEARTBEAT_UNAVAILABLE),
    (reading(2, NULL, None), FailSafeReason.HEARTBEAT_UNAVAILABLE),
    (reading(2, NONSENSE), FailSafeReason.HEARTBEAT_UNREADABLE),
    (reading(2, OK, NULL), FailSafeReason.CAPACITY_UNAVAILABLE),
    (reading(2, OK, NONSENSE), FailSafeReason.CAPACITY_UNREADABLE),
]


@pytest.mark.parametrize(("new", "reason"), DISTRUST)
def test_the_fail_safe_holds_at_once_and_says_why(new: CapacityReading, reason: FailSafeReason) -> None:
    state = take(FOLLOWING, new)
    assert (state.mode, state.reason, state.capacity_w, state.since) == (CapacityMode.FAIL_SAFE, reason, 50_000, at(2))
    assert (state.deadline, why_ignored(FOLLOWING, new)) == (None, None)


def test_every_reason_is_tried() -> None:
    assert {reason for _, reason in DISTRUST} == set(FailSafeReason) - {FailSafeReason.NO_PACKET}


@pytest.mark.parametrize(
    "new", [reading(2, OK, None), reading(2, None), reading(2, None, NULL), reading(2, None, None)]
)
def test_half_a_packet_proves_nothing(new: CapacityReading) -> None:
    assert take(FOLLOWING, new) == FOLLOWING
    assert why_ignored(FOLLOWING, new) is IgnoredCode.INCOMPLETE
    lost = take(FOLLOWING, reading(1.5, HeartbeatStatus.ERROR))
    assert take(lost, new) == lost


@pytest.mark.parametrize("minutes", [1, 0.5])
@pytest.mark.parametrize("heartbeat", HeartbeatStatus)
def test_a_late_or_repeated_packet_changes_nothing(minutes: float, heartbeat: HeartbeatStatus) -> None:
    late = reading(minutes, heartbeat, 1)
    assert apply_reading(FOLLOWING, late, POLICY, at(1.5)) == FOLLOWING
    assert why_ignored(FOLLOWING, late) is IgnoredCode.LATE


def test_the_controller_comes_back() -> None:
    lost = on_deadline(FOLLOWING, POLICY, at(3))
    assert (lost.mode, lost.since) == (CapacityMode.FAIL_SAFE, at(3))
    back = take(lost, reading(9, available=7))
    assert (back.mode, back.capacity_w, back.reason, back.since) == (CapacityMode.CONTROLLER, 7, None, at(9))


def test_the_deadline_is_exact_and_it_does_not_matter_who_looks_when() -> None:
    assert FOLLOWING.deadline == at(3)
    assert on_deadline(FOLLOWING, POLICY, at(3) - timedelta(microseconds=1)) == FOLLOWING
    lost = on_deadline(FOLLOWING, POLICY, at(3))
    assert on_deadline(FOLLOWING, POLICY, at(300)) == lost
    assert on_deadline(lost, POLICY, at(400)) == lost
    assert take(FOLLOWING, reading(9)) == take(lost, reading(9))


def test_a_clock_that_runs_ahead_gains_no_time() -> None:
    state = apply_reading(begin(POLICY, T0), reading(5), POLICY, at(1))
    assert state.deadline == at(3)


def test_a_packet_that_is_older_than_the_threshold_does_not_show_that_the_controller_is_there() -> None:
    lost = on_deadline(FOLLOWING, POLICY, at(3))
    state = apply_reading(lost, reading(5), POLICY, at(7))
    assert (state.mode, state.reason, state.since) == (CapacityMode.FAIL_SAFE, FailSafeReason.NO_PACKET, at(3))
    just_in_time = apply_reading(lost, reading(5), POLICY, at(6.9))
    assert (just_in_time.mode, just_in_time.deadline) == (CapacityMode.CONTROLLER, at(7))


@pytest.mark.parametrize(
    ("received", "configured", "capacity", "basis"),
    [
        (120_000, 50_000, 120_000, CapacityBasis.FAIL_SAFE_RECEIVED),
        (0, 50_000, 0, CapacityBasis.FAIL_SAFE_RECEIVED),
        (120_000, None, 120_000, CapacityBasis.FAIL_SAFE_RECEIVED),
        (None, 50_000, 50_000, CapacityBasis.FAIL_SAFE_CONFIGURED),
        (NULL, 50_000, 50_000, CapacityBasis.FAIL_SAFE_CONFIGURED),
        (NONSENSE, 0, 0, CapacityBasis.FAIL_SAFE_CONFIGURED),
        (None, None, 0, CapacityBasis.FAIL_SAFE_UNKNOWN),
        (NULL, None, 0, CapacityBasis.FAIL_SAFE_UNKNOWN),
    ],
)
def test_which_fail_safe_capacity_holds(
    received: float | Unreadable | None, configured: float | None, capacity: float, basis: CapacityBasis
) -> None:
    policy = CapacityPolicy(2 * MINUTE, configured)
    state = take(begin(policy, T0), reading(1, fail_safe=received), policy=policy)
    assert state.capacity_w == 400_000
    lost = on_deadline(state, policy, at(3))
    assert (lost.capacity_w, lost.basis) == (capacity, basis)


def test_a_null_does_not_take_back_the_fail_safe_capacity() -> None:
    state = take(
        FOLLOWING, reading(2, fail_safe=120_000), reading(3, fail_safe=NULL), reading(4, HeartbeatStatus.ERROR)
    )
    assert (state.capacity_w, state.basis) == (120_000, CapacityBasis.FAIL_SAFE_RECEIVED)


def test_a_fail_safe_capacity_counts_also_alone_and_at_once() -> None:
    lost = on_deadline(FOLLOWING, POLICY, at(3))
    new = reading(4, None, None, 120_000)
    assert why_ignored(lost, new) is None
    state = take(lost, new)
    assert (state.mode, state.reason, state.since, state.capacity_w) == (lost.mode, lost.reason, lost.since, 120_000)
    assert take(state, reading(3.5, None, None, 1)) == state
    assert why_ignored(state, reading(3.5, None, None, 1)) is IgnoredCode.INCOMPLETE


def test_another_reason_is_told_since_when() -> None:
    lost = take(FOLLOWING, reading(2, HeartbeatStatus.TIMEOUT), reading(2.5, HeartbeatStatus.TIMEOUT))
    assert lost.since == at(2)
    worse = take(lost, reading(2.7, HeartbeatStatus.CONNECTION_LOST))
    assert (worse.reason, worse.since) == (FailSafeReason.CONNECTION_LOST, at(2.7))


@pytest.mark.parametrize(
    ("threshold", "mode", "deadline"),
    [(1, CapacityMode.FAIL_SAFE, None), (1.6, CapacityMode.CONTROLLER, 2.6), (9, CapacityMode.CONTROLLER, 10)],
)
def test_another_threshold_moves_the_deadline(threshold: float, mode: CapacityMode, deadline: float | None) -> None:
    changed = apply_policy(FOLLOWING, POLICY, CapacityPolicy(threshold * MINUTE, 50_000), at(2.5))
    assert (changed.mode, changed.deadline) == (mode, None if deadline is None else at(deadline))
    if mode is CapacityMode.FAIL_SAFE:
        assert (changed.reason, changed.since) == (FailSafeReason.NO_PACKET, at(2.5))


def test_another_configured_fail_safe_capacity_holds_at_once() -> None:
    lost = on_deadline(FOLLOWING, POLICY, at(3))
    changed = apply_policy(lost, POLICY, replace(POLICY, fail_safe_w=9), at(4))
    assert changed == lost._replace(capacity_w=9)
    assert apply_policy(FOLLOWING, POLICY, replace(POLICY, fail_safe_w=9), at(2)) == FOLLOWING


def test_what_a_sensor_says_to_a_circuit() -> None:
    def measurands(**values: float | str | None) -> dict[MeasurandKey, ReadValue]:
        return {key: read_measurand(key, value, None) for name, value in values.items() if (key := MeasurandKey(name))}

    assert capacity_reading(T0, measurands(SOC=5)) is None
    assert capacity_reading(
        T0, measurands(HEARTBEAT_STATUS="ok", AVAILABLE_CHARGING_CAPACITY=5, FAIL_SAFE_CAPACITY=1.5)
    ) == CapacityReading(T0, OK, 5, 1.5)
    partial = capacity_reading(T0, measurands(HEARTBEAT_STATUS="OK", AVAILABLE_CHARGING_CAPACITY=-1))
    assert partial is not None
    assert isinstance(partial.heartbeat, Unreadable)
    assert isinstance(partial.available_w, Unreadable)
    assert (partial.heartbeat.code, partial.available_w.code, partial.fail_safe_w) == (
        ReadingCode.UNKNOWN_TEXT,
        ReadingCode.VALUE_OUT_OF_RANGE,
        None,
    )


# Whatever comes

watts = st.sampled_from([0.0, 1.0, 400_000.0])
readings = st.builds(
    reading,
    st.integers(0, 12).map(lambda quarter: quarter / 2),
    st.sampled_from([*HeartbeatStatus, OK, OK, OK, NULL, NONSENSE, None]),
    watts | st.sampled_from([NULL, NONSENSE, None]),
    watts | st.sampled_from([NULL, NONSENSE, None, None]),
)
delays = st.sampled_from([0.0, 0.1, 1.9, 2.0, 3.0])
arrivals = st.lists(st.tuples(readings, delays), max_size=8).map(
    lambda pairs: sorted(((each, each.observed_at + delay * MINUTE) for each, delay in pairs), key=lambda pair: pair[1])
)
"""Readings in the order in which they come, each with the time when it comes: late, repeated, out of order."""


def run(stream: list[tuple[CapacityReading, datetime]]) -> CapacityState:
    state = begin(POLICY, T0)
    for each, now in stream:
        state = apply_reading(state, each, POLICY, now)
    return state


@given(arrivals)
def test_the_state_is_always_whole(stream: list[tuple[CapacityReading, datetime]]) -> None:
    for length in range(len(stream) + 1):
        state = run(stream[:length])
        now = stream[length - 1][1] if length else T0
        assert (state.mode is CapacityMode.AWAITING) is (state.capacity_w is None) is (state.basis is None)
        assert (state.mode is CapacityMode.FAIL_SAFE) is (state.reason is not None) is (state.deadline is None)
        assert (state.mode is CapacityMode.CONTROLLER) is (state.basis is CapacityBasis.AVAILABLE_CHARGING_CAPACITY)
        assert state.since <= now
        assert state.deadline is None or now < state.deadline <= now + POLICY.heartbeat_threshold


@given(arrivals)
def test_the_controller_decides_exactly_after_a_timely_ok_that_is_the_newest(
    stream: list[tuple[CapacityReading, datetime]],
) -> None:
    """The same said without a state: look at the newest reading that is heeded, and at the clock."""
    heeded: tuple[CapacityReading, datetime] | None = None
    for each, now in stream:
        proves = each.heartbeat is OK and each.available_w is not None
        alarms = each.heartbeat is not None and each.heartbeat is not OK
        if (proves or alarms) and (heeded is None or each.observed_at > heeded[0].observed_at):
            heeded = (each, now)
    end = stream[-1][1] if stream else T0
    state = run(stream)
    good = (
        heeded is not None
        and heeded[0].heartbeat is OK
        and isinstance(heeded[0].available_w, float)
        and end < min(heeded[0].observed_at, heeded[1]) + POLICY.heartbeat_threshold
    )
    assert (state.mode is CapacityMode.CONTROLLER) is good
    if good:
        assert heeded is not None
        assert state.capacity_w == heeded[0].available_w


@given(arrivals, st.lists(st.integers(0, 40).map(lambda quarter: at(quarter / 4)), max_size=6))
def test_it_does_not_matter_when_and_how_often_deadlines_are_looked_at(
    stream: list[tuple[CapacityReading, datetime]], looks: list[datetime]
) -> None:
    events: list[tuple[datetime, int, CapacityReading | None]] = [(now, 0, each) for each, now in stream]
    events += [(now, 1, None) for now in looks]
    state = begin(POLICY, T0)
    for now, _, each in sorted(events, key=lambda event: event[:2]):
        state = on_deadline(state, POLICY, now) if each is None else apply_reading(state, each, POLICY, now)
    end = at(100)
    assert on_deadline(state, POLICY, end) == on_deadline(run(stream), POLICY, end)


@given(arrivals)
def test_sending_everything_again_changes_nothing(stream: list[tuple[CapacityReading, datetime]]) -> None:
    newest: datetime | None = None
    once: list[tuple[CapacityReading, datetime]] = []
    for each, now in stream:
        # A reading with a time of its own, so that repeating it is repeating it.
        if newest is None or each.observed_at > newest:
            once.append((each, now))
            newest = each.observed_at
    twice = [pair for pair in once for _ in range(2)]
    assert run(twice) == run(once)


@given(arrivals)
def test_the_fail_safe_capacity_is_the_newest_that_came(stream: list[tuple[CapacityReading, datetime]]) -> None:
    state = run(stream)
    sent = [each for each, _ in stream if isinstance(each.fail_safe_w, float)]
    if sent:
        newest = max(each.observed_at for each in sent)
        assert state.fail_safe_received_w == next(each.fail_safe_w for each in sent if each.observed_at == newest)
    else:
        assert state.fail_safe_received_w is None
    if state.mode is CapacityMode.FAIL_SAFE:
        assert state.capacity_w == (POLICY.fail_safe_w if not sent else state.fail_safe_received_w)

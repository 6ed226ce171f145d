"""A clock that runs ahead does not rule: what it stamps counts at most as its arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base.clocks import AHEAD_WARNING, ahead, effective_at, is_wrong
from domain.monitoring.capabilities import CapabilityStatus, FoldEffect, StatusEvent, fold, fold_one
from domain.site.circuit_capacity import (
    CapacityMode,
    CapacityPolicy,
    CapacityReading,
    CapacityState,
    FailSafeReason,
    apply_reading,
    begin,
    why_ignored,
)
from domain.site.measurands import HeartbeatStatus

T0 = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ON, OFF = CapabilityStatus.ON, CapabilityStatus.OFF
POLICY = CapacityPolicy(timedelta(minutes=2), 10_000)


@pytest.mark.parametrize(
    ("observed", "effective", "leads"), [(-9e5, -9e5, 0), (-1, -1, 0), (0, 0, 0), (0.001, 0, 0.001), (240, 0, 240)]
)
def test_a_stamp_counts_at_most_as_its_arrival(observed: float, effective: float, leads: float) -> None:
    stamp = T0 + observed * SECOND
    assert effective_at(stamp, T0) == T0 + effective * SECOND
    assert ahead(stamp, T0) == leads * SECOND
    assert effective_at(stamp, None) == stamp


def test_a_clock_is_warned_of_from_the_stated_limit_on() -> None:
    assert not is_wrong(AHEAD_WARNING - timedelta(microseconds=1))
    assert is_wrong(AHEAD_WARNING)


# Capabilities


def came(at: float, observed: float, status: CapabilityStatus | None, epoch: int = 0, ref: str = "") -> StatusEvent:
    """An event that came and was observed so many seconds after T0."""
    return StatusEvent(T0 + observed * SECOND, ref or f"{at}-{observed}-{epoch}", status, T0 + at * SECOND, epoch)


def test_after_a_stamp_ahead_right_ones_are_not_late() -> None:
    wrong = came(0, 240, ON)
    for second in (1, 2, 60, 239, 240, 241):
        assert fold_one(wrong, came(second + 0.1, second, OFF)).effect is FoldEffect.SHOWN
    # What was measured before the other came, and comes after it, is truly late.
    assert fold_one(wrong, came(1, -1, OFF)).effect is FoldEffect.LATE


def test_what_comes_at_once_is_ordered_by_its_stamps() -> None:
    first, second = came(0, 200, ON), came(0, 240, OFF)
    assert fold([first, second]) == fold([second, first]) == second


def test_after_a_hand_over_only_the_new_device_counts() -> None:
    old = came(0, 0, ON)
    # The new device's clock runs ten minutes behind.
    new = came(30, -570, OFF, epoch=1)
    assert fold_one(old, new).effect is FoldEffect.SHOWN
    assert fold_one(new, came(31, 31, ON, epoch=0)).effect is FoldEffect.LATE


def test_the_same_reference_says_the_same_whenever_it_comes() -> None:
    shown = came(0, 240, ON, ref="a")
    for at in (0, 1, 300):
        assert fold_one(shown, came(at, 240, ON, ref="a")).effect is FoldEffect.REPEATED
        assert fold_one(shown, came(at, 240, OFF, epoch=1, ref="a")).effect is FoldEffect.CONFLICTING


seconds = st.integers(-5, 5)
accepted = st.lists(
    st.builds(came, st.integers(0, 5), seconds, st.sampled_from([ON, OFF, None]), st.integers(0, 2)), max_size=8
).map(lambda events: [event._replace(provider_event_ref=str(place)) for place, event in enumerate(events)])
"""What was recorded, with clocks that run ahead and behind, and hand-overs."""


@given(accepted, st.data())
def test_what_is_shown_follows_from_what_was_recorded_in_whatever_order(
    events: list[StatusEvent], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(events))
    latest: StatusEvent | None = None
    for event in shuffled:
        latest = fold_one(latest, event).latest
    assert latest == fold(shuffled) == fold(events)
    known = [event for event in events if event.status is not None]
    if known:
        assert latest is not None
        assert latest.epoch == max(event.epoch for event in known)
        rivals = [event for event in known if event.epoch == latest.epoch]
        assert latest.effective_at == max(event.effective_at for event in rivals)


@given(accepted)
def test_nothing_that_is_shown_is_from_the_future(events: list[StatusEvent]) -> None:
    shown = fold(events)
    assert shown is None or shown.received_at is None or shown.effective_at <= shown.received_at


# Circuits


def reading(observed: float, heartbeat: HeartbeatStatus | None, watts: float | None = None) -> CapacityReading:
    return CapacityReading(T0 + observed * SECOND, heartbeat, watts)


def following() -> CapacityState:
    """A circuit whose controller said "ok" at T0, with a stamp four minutes ahead."""
    return apply_reading(begin(POLICY, T0 - SECOND), reading(240, HeartbeatStatus.OK, 50_000), POLICY, T0)


@pytest.mark.parametrize("second", [0.001, 1, 60, 119])
def test_a_lost_connection_is_heeded_after_a_stamp_ahead(second: float) -> None:
    lost = reading(second, HeartbeatStatus.CONNECTION_LOST)
    now = T0 + (second + 0.1) * SECOND
    assert why_ignored(following(), lost, now) is None
    state = apply_reading(following(), lost, POLICY, now)
    assert (state.mode, state.reason) == (CapacityMode.FAIL_SAFE, FailSafeReason.CONNECTION_LOST)
    assert (state.capacity_w, state.since) == (10_000, now)


def test_right_packets_after_a_stamp_ahead_keep_the_controller() -> None:
    state = following()
    for second in range(1, 400, 60):
        state = apply_reading(state, reading(second, HeartbeatStatus.OK, second), POLICY, T0 + second * SECOND)
        assert (state.mode, state.capacity_w) == (CapacityMode.CONTROLLER, second)


def test_a_stamp_ahead_that_comes_again_at_once_does_not_count_again() -> None:
    state = following()
    again = reading(240, HeartbeatStatus.OK, 50_000)
    assert apply_reading(state, again, POLICY, T0 + 100 * SECOND) == state


stamps = st.integers(-3, 6)
heartbeats = st.sampled_from([*HeartbeatStatus])
arrivals = st.lists(st.tuples(st.integers(0, 12), stamps, heartbeats), max_size=8).map(
    lambda found: sorted(found, key=lambda each: each[0])
)


@given(arrivals)
def test_the_controller_decides_exactly_after_an_ok_that_counts_as_the_newest(
    stream: list[tuple[int, int, HeartbeatStatus]],
) -> None:
    """The same said without a state, for clocks that run ahead by minutes too."""
    minute = timedelta(minutes=1)
    state = begin(POLICY, T0)
    heeded: tuple[tuple[datetime, datetime], HeartbeatStatus] | None = None
    now = T0
    for half_minutes, lead, heartbeat in stream:
        now = T0 + half_minutes * minute / 2
        stamp = now + lead * minute / 2
        key = (min(stamp, now), stamp)
        if heeded is None or (key > heeded[0] and stamp != heeded[0][1]):
            heeded = (key, heartbeat)
        state = apply_reading(state, CapacityReading(stamp, heartbeat, 1.0), POLICY, now)
    good = heeded is not None and heeded[1] is HeartbeatStatus.OK and now < heeded[0][0] + POLICY.heartbeat_threshold
    assert (state.mode is CapacityMode.CONTROLLER) is good
    assert state.deadline is None or state.deadline <= now + POLICY.heartbeat_threshold

"""Beginning to follow, beginning anew, changed settings, being released; and the words for all of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.site.capacity_following import Followed, Following, FollowingStep, Owner, follow
from domain.site.capacity_messages import (
    BASIS_MESSAGES,
    MODE_MESSAGES,
    NOT_FOLLOWING,
    REASON_MESSAGES,
    capacity_message,
)
from domain.site.circuit_capacity import (
    CapacityBasis,
    CapacityMode,
    CapacityPolicy,
    CapacityReading,
    CapacityState,
    FailSafeReason,
    apply_reading,
    begin,
)
from domain.site.measurands import HeartbeatStatus

START = datetime(2025, 3, 1, 12, tzinfo=UTC)
POLICY = CapacityPolicy(timedelta(seconds=60), 7_000)
OWNER = Owner(UUID(int=1), POLICY)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


AWAITING = Following(OWNER, begin(POLICY, START))
LED = Following(
    OWNER, apply_reading(AWAITING.state, CapacityReading(after(10), HeartbeatStatus.OK, 50_000), POLICY, after(10))
)


def test_a_circuit_begins_to_follow_and_is_released() -> None:
    assert follow(None, None, START) == Followed(None, ())
    assert follow(None, OWNER, START) == Followed(AWAITING, (FollowingStep(START, AWAITING.state),))
    assert follow(LED, None, after(20)) == Followed(None, (FollowingStep(after(20), None),))


def test_what_is_the_same_is_no_step() -> None:
    assert follow(AWAITING, OWNER, after(20)) == Followed(AWAITING, ())
    assert follow(LED, OWNER, after(20)) == Followed(LED, ())


def test_another_owner_begins_anew_and_inherits_nothing() -> None:
    other = Owner(UUID(int=2), POLICY)
    state = begin(POLICY, after(20))
    assert follow(LED, other, after(20)) == Followed(Following(other, state), (FollowingStep(after(20), state),))


@pytest.mark.parametrize(
    "owner", [None, Owner(UUID(int=2), POLICY), Owner(UUID(int=1), replace(POLICY, fail_safe_w=0))]
)
def test_a_deadline_that_nobody_noticed_comes_first(owner: Owner | None) -> None:
    found = follow(LED, owner, after(100))
    first = found.steps[0]
    assert first.at == after(70)
    assert first.state is not None
    assert (first.state.mode, first.state.reason) == (CapacityMode.FAIL_SAFE, FailSafeReason.NO_PACKET)
    assert first.state.capacity_w == 7_000
    assert found.steps[1].at == after(100)


def test_a_longer_threshold_does_not_undo_a_deadline_that_passed() -> None:
    patient = Owner(OWNER.sensor_action_id, replace(POLICY, heartbeat_threshold=timedelta(hours=1)))
    found = follow(LED, patient, after(100))
    assert found.following is not None
    assert found.following.state.mode is CapacityMode.FAIL_SAFE
    assert [step.at for step in found.steps] == [after(70)]


def test_changed_settings_move_the_deadline_without_a_step() -> None:
    patient = Owner(OWNER.sensor_action_id, replace(POLICY, heartbeat_threshold=timedelta(seconds=90)))
    found = follow(LED, patient, after(20))
    assert found.steps == ()
    assert found.following == Following(patient, LED.state._replace(deadline=after(100)))
    hasty = Owner(OWNER.sensor_action_id, replace(POLICY, heartbeat_threshold=timedelta(seconds=5)))
    found = follow(LED, hasty, after(20))
    assert [(step.at, step.state and step.state.mode) for step in found.steps] == [(after(20), CapacityMode.FAIL_SAFE)]


def test_every_state_has_words() -> None:
    assert set(MODE_MESSAGES) == set(CapacityMode) - {CapacityMode.FAIL_SAFE}
    assert set(REASON_MESSAGES) == set(FailSafeReason)
    assert set(BASIS_MESSAGES) == set(CapacityBasis) - {CapacityBasis.AVAILABLE_CHARGING_CAPACITY}
    assert capacity_message(None) == NOT_FOLLOWING
    said = {capacity_message(AWAITING.state), capacity_message(LED.state), NOT_FOLLOWING}
    for reason in FailSafeReason:
        for basis in BASIS_MESSAGES:
            state = CapacityState(CapacityMode.FAIL_SAFE, START, None, reason, 0, basis)
            said.add(capacity_message(state))
    assert len(said) == 3 + len(FailSafeReason) * len(BASIS_MESSAGES)
    assert all(sentence.endswith(".") for sentence in said)

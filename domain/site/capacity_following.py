"""What a change of the configuration does to a circuit's capacity: it begins to follow, begins anew, or is released.

Which sensor action a circuit follows is the configuration's matter; this module says what happens when that, or the
settings of that action, are no longer what the circuit's state was made with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.site.circuit_capacity import CapacityPolicy, CapacityState, apply_policy, begin, on_deadline, step_at


@dataclass(frozen=True)
class Owner:
    """The sensor action that a circuit follows by the configuration, with its settings."""

    sensor_action_id: UUID
    policy: CapacityPolicy


@dataclass(frozen=True)
class Following:
    """A circuit that follows: whom, by which settings, and where it stands."""

    owner: Owner
    state: CapacityState


@dataclass(frozen=True)
class FollowingStep:
    """Something else that holds for a circuit since ``at``."""

    at: datetime
    state: CapacityState | None
    """None: the circuit is released, and its own rating holds."""


@dataclass(frozen=True)
class Followed:
    """What came of a change."""

    following: Following | None
    """None: the circuit follows nothing."""
    steps: tuple[FollowingStep, ...]
    """What began to hold, in order; empty if it looks as before."""


def follow(before: Following | None, owner: Owner | None, now: datetime) -> Followed:
    """Take what the configuration says since ``now``; ``owner`` None: the circuit is to follow nothing.

    A deadline that has passed unnoticed is heeded first, so that neither the state nor the history depends on how
    soon it is noticed.
    """
    if before is None:
        return Followed(None, ()) if owner is None else _begin(owner, (), now)
    state = on_deadline(before.state, before.owner.policy, now)
    steps = _steps(before.state, state, now)
    if owner is None:
        return Followed(None, (*steps, FollowingStep(now, None)))
    if owner.sensor_action_id != before.owner.sensor_action_id:
        return _begin(owner, steps, now)
    after = apply_policy(state, before.owner.policy, owner.policy, now)
    return Followed(replace(before, owner=owner, state=after), (*steps, *_steps(state, after, now)))


def _begin(owner: Owner, steps: tuple[FollowingStep, ...], now: datetime) -> Followed:
    state = begin(owner.policy, now)
    return Followed(Following(owner, state), (*steps, FollowingStep(now, state)))


def _steps(before: CapacityState, after: CapacityState, now: datetime) -> tuple[FollowingStep, ...]:
    at = step_at(before, after, now)
    return () if at is None else (FollowingStep(at, after),)

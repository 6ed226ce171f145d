"""The capacity of circuits that follow a controller: the state that is kept, and which circuit follows what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.problems import Problem, ProblemCode
from domain.site.capacity_following import Following, FollowingStep, Owner, follow
from domain.site.circuit_capacity import (
    CapacityBasis,
    CapacityMode,
    CapacityPolicy,
    CapacityState,
    FailSafeReason,
    on_deadline,
)
from store.base.arrays import as_columns, insert_rows, is_one_of
from store.base.simulated import SimulatedBy, scenario_of
from store.site.tables import capacity_events, circuit_capacities, circuits, sensor_actions

RELEASED = "RELEASED"
"""The mode, in the history alone, of a circuit that follows a controller no longer."""


@dataclass(frozen=True)
class CircuitCapacity:
    """What holds for a circuit's capacity at a moment."""

    circuit_id: UUID
    depot_id: UUID
    rated_power_w: float | None
    sensor_action_id: UUID | None
    """The action that the circuit follows; None where it follows none."""
    device_id: UUID | None
    """The device of that action."""
    state: CapacityState | None
    """None where the circuit follows nothing, so that its own rating holds."""
    simulated_by: SimulatedBy | None = None
    """The scenario run that brought about what holds."""
    heartbeat_threshold: timedelta | None = None
    """How long after a packet the fail-safe takes over; None where the circuit follows nothing."""


@dataclass(frozen=True)
class CapacityEvent:
    """What held from ``at`` on."""

    event_id: UUID
    at: datetime
    received_at: datetime
    mode: str
    """A ``CapacityMode``, or ``RELEASED``."""
    reason: FailSafeReason | None
    capacity_w: float | None
    basis: CapacityBasis | None
    simulated_by: SimulatedBy | None = None
    """The scenario run that brought it about."""


# An enumeration takes ten times as long to find a member by its value, and each packet has a state.
_MODES = {each.value: each for each in CapacityMode}
_REASONS: dict[str | None, FailSafeReason | None] = {None: None, **{each.value: each for each in FailSafeReason}}
_BASES: dict[str | None, CapacityBasis | None] = {None: None, **{each.value: each for each in CapacityBasis}}


def capacity_state(row: Mapping[Any, Any]) -> CapacityState:
    """Read a state from the columns of ``circuit_capacities``; other keys of ``row`` are left alone."""
    return CapacityState(
        mode=_MODES[row["mode"]],
        since=row["since"],
        deadline=row["deadline"],
        reason=_REASONS[row["reason"]],
        capacity_w=row["capacity_w"],
        basis=_BASES[row["basis"]],
        observed_at=row["observed_at"],
        fail_safe_received_w=row["fail_safe_received_w"],
        fail_safe_observed_at=row["fail_safe_observed_at"],
        received_at=row["received_at"],
        fail_safe_received_at=row["fail_safe_received_at"],
        scenario_run_id=row["scenario_run_id"],
        fail_safe_scenario_run_id=row["fail_safe_scenario_run_id"],
    )


def capacity_values(state: CapacityState) -> dict[str, Any]:
    """Write a state as the columns of ``circuit_capacities`` that ``capacity_state`` reads."""
    return {
        "mode": state.mode.value,
        "since": state.since,
        "deadline": state.deadline,
        "reason": None if state.reason is None else state.reason.value,
        "capacity_w": state.capacity_w,
        "basis": None if state.basis is None else state.basis.value,
        "observed_at": state.observed_at,
        "fail_safe_received_w": state.fail_safe_received_w,
        "fail_safe_observed_at": state.fail_safe_observed_at,
        "received_at": state.received_at,
        "fail_safe_received_at": state.fail_safe_received_at,
        "scenario_run_id": state.scenario_run_id,
        "fail_safe_scenario_run_id": state.fail_safe_scenario_run_id,
    }


def capacity_policy(row: Mapping[Any, Any]) -> CapacityPolicy:
    """Read the settings from ``heartbeat_threshold_seconds`` and ``fail_safe_capacity_w`` of a row.

    They are columns of ``circuit_capacities`` (the settings that its state was made with) and of ``sensor_actions``.
    """
    return CapacityPolicy(timedelta(seconds=row["heartbeat_threshold_seconds"]), row["fail_safe_capacity_w"])


def policy_values(policy: CapacityPolicy) -> dict[str, Any]:
    """Write settings as the columns that ``capacity_policy`` reads."""
    return {
        "heartbeat_threshold_seconds": policy.heartbeat_threshold.total_seconds(),
        "fail_safe_capacity_w": policy.fail_safe_w,
    }


# The configuration as it should be followed beside what is followed, circuit by circuit, where they differ.
_TO_FOLLOW = text("""
    WITH owners AS (
        SELECT DISTINCT ON (d.circuit_id)
               d.circuit_id, a.id AS owner_id, a.heartbeat_threshold_seconds AS owner_threshold_seconds,
               a.fail_safe_capacity_w AS owner_fail_safe_w
        FROM sensor_actions AS a JOIN devices AS d ON d.id = a.device_id
        WHERE a.depot_id = :depot_id AND a.action = 'UPDATE_CIRCUIT_CAPACITY' AND a.enabled
          AND d.circuit_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM depots AS p WHERE p.id = :depot_id AND p.retired_at IS NOT NULL)
        ORDER BY d.circuit_id, a.id
    ), followed AS (
        SELECT * FROM circuit_capacities WHERE depot_id = :depot_id
    )
    SELECT coalesce(o.circuit_id, f.circuit_id) AS followed_circuit_id, o.owner_id, o.owner_threshold_seconds,
           o.owner_fail_safe_w, f.*
    FROM owners AS o FULL JOIN followed AS f ON f.circuit_id = o.circuit_id
    WHERE (o.owner_id, o.owner_threshold_seconds, o.owner_fail_safe_w)
          IS DISTINCT FROM (f.sensor_action_id, f.heartbeat_threshold_seconds, f.fail_safe_capacity_w)
    ORDER BY followed_circuit_id
""")


_COLUMNS = tuple(circuit_capacities.c.keys())
_CHANGING = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("circuit_id", "depot_id"))
_STORE = insert_rows(circuit_capacities, _COLUMNS, f"ON CONFLICT (circuit_id) DO UPDATE SET {_CHANGING}")
_EVENT_COLUMNS = (
    "circuit_id", "depot_id", "at", "received_at", "mode", "reason", "capacity_w", "basis", "scenario_run_id",
)  # fmt: skip
_APPEND = insert_rows(capacity_events, _EVENT_COLUMNS)


async def follow_capacities(connection: AsyncConnection, depot_id: UUID, now: datetime) -> list[UUID]:
    """Let every circuit of the depot follow what the configuration says since ``now``; tell which look different.

    A circuit follows the first made of the enabled actions ``UPDATE_CIRCUIT_CAPACITY`` among the devices linked to
    it; nothing of a retired depot does. Called at the end of every change that can matter, under the depot's lock. What
    is to be deleted is unlinked or switched off before this call and deleted after it: a deletion takes the circuit's
    state with it, unseen.

    The number of statements does not depend on the number of circuits. Running it twice changes nothing more.
    """
    rows = (await connection.execute(_TO_FOLLOW, {"depot_id": depot_id})).mappings().all()
    stored: list[dict[str, Any]] = []
    gone: list[UUID] = []
    events: list[dict[str, Any]] = []
    for row in rows:
        circuit_id: UUID = row["followed_circuit_id"]
        followed = follow(_following(row), _owner(row), now)
        if followed.following is None:
            gone.append(circuit_id)
        else:
            stored.append({"circuit_id": circuit_id, "depot_id": depot_id, **_values(followed.following)})
        events += [_event(circuit_id, depot_id, step, now) for step in followed.steps]
    if gone:
        await connection.execute(delete(circuit_capacities).where(is_one_of(circuit_capacities.c.circuit_id, gone)))
    if stored:
        await connection.execute(_STORE, as_columns(_COLUMNS, stored))
    if events:
        await connection.execute(_APPEND, as_columns(_EVENT_COLUMNS, events))
    return sorted({event["circuit_id"] for event in events})


def _owner(row: Mapping[Any, Any]) -> Owner | None:
    if row["owner_id"] is None:
        return None
    policy = CapacityPolicy(timedelta(seconds=row["owner_threshold_seconds"]), row["owner_fail_safe_w"])
    return Owner(row["owner_id"], policy)


def _following(row: Mapping[Any, Any]) -> Following | None:
    if row["sensor_action_id"] is None:
        return None
    return Following(Owner(row["sensor_action_id"], capacity_policy(row)), capacity_state(row))


def _values(following: Following) -> dict[str, Any]:
    return {
        "sensor_action_id": following.owner.sensor_action_id,
        **capacity_values(following.state),
        **policy_values(following.owner.policy),
    }


def _event(circuit_id: UUID, depot_id: UUID, step: FollowingStep, now: datetime) -> dict[str, Any]:
    state = step.state
    shown = (
        {"mode": RELEASED, "reason": None, "capacity_w": None, "basis": None, "scenario_run_id": None}
        if state is None
        else {name: capacity_values(state)[name] for name in ("mode", "reason", "capacity_w", "basis")}
        | {"scenario_run_id": state.simulated_by}
    )
    return {"circuit_id": circuit_id, "depot_id": depot_id, "at": step.at, "received_at": now, **shown}


_CAPACITIES = (
    select(
        circuits.c.id,
        circuits.c.depot_id.label("of_depot_id"),
        circuits.c.rated_power_w,
        sensor_actions.c.device_id,
        circuit_capacities,
        scenario_of(circuit_capacities.c.scenario_run_id).label("scenario"),
        scenario_of(circuit_capacities.c.fail_safe_scenario_run_id).label("fail_safe_scenario"),
    )
    .select_from(circuits)
    .outerjoin(circuit_capacities, circuit_capacities.c.circuit_id == circuits.c.id)
    .outerjoin(sensor_actions, sensor_actions.c.id == circuit_capacities.c.sensor_action_id)
)


def _capacity(row: Mapping[Any, Any], now: datetime) -> CircuitCapacity:
    state, simulated_by, threshold = None, None, None
    if row["sensor_action_id"] is not None:
        policy = capacity_policy(row)
        state, threshold = on_deadline(capacity_state(row), policy, now), policy.heartbeat_threshold
        scenario = row["fail_safe_scenario"] if state.scenario_run_id is None else row["scenario"]
        simulated_by = SimulatedBy.of(state.simulated_by, scenario)
    return CircuitCapacity(
        row["id"],
        row["of_depot_id"],
        row["rated_power_w"],
        row["sensor_action_id"],
        row["device_id"],
        state,
        simulated_by,
        threshold,
    )


async def read_capacity(connection: AsyncConnection, circuit_id: UUID, now: datetime) -> CircuitCapacity:
    """Read what holds for a circuit's capacity at ``now``, whether or not anybody has noticed a deadline that passed.

    Raises:
        Problem: ``CIRCUIT_NOT_FOUND``.

    """
    row = (await connection.execute(_CAPACITIES.where(circuits.c.id == circuit_id))).mappings().one_or_none()
    if row is None:
        raise Problem(ProblemCode.CIRCUIT_NOT_FOUND, f"There is no circuit {circuit_id}.")
    return _capacity(row, now)


async def list_capacities(connection: AsyncConnection, depot_id: UUID, now: datetime) -> dict[UUID, CircuitCapacity]:
    """Read what holds at ``now`` for every circuit of the depot that follows a controller."""
    query = _CAPACITIES.where(circuit_capacities.c.depot_id == depot_id)
    found = [_capacity(row, now) for row in (await connection.execute(query)).mappings()]
    return {capacity.circuit_id: capacity for capacity in found}


_EVENTS = select(
    capacity_events.c.id,
    capacity_events.c.at,
    capacity_events.c.received_at,
    capacity_events.c.mode,
    capacity_events.c.reason,
    capacity_events.c.capacity_w,
    capacity_events.c.basis,
    capacity_events.c.scenario_run_id,
    scenario_of(capacity_events.c.scenario_run_id).label("scenario"),
)


async def capacity_history(
    connection: AsyncConnection,
    circuit_id: UUID,
    since: datetime | None,
    until: datetime | None,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int | None = None,
) -> list[CapacityEvent]:
    """List what began to hold for a circuit from ``since`` on and before ``until``, beginning after ``after``.

    In order of ``at``, then of the event's id. A circuit that is gone still has its history.
    """
    key = tuple_(capacity_events.c.at, capacity_events.c.id)
    query = _EVENTS.where(capacity_events.c.circuit_id == circuit_id)
    query = query.order_by(capacity_events.c.at, capacity_events.c.id).limit(limit)
    if since is not None:
        query = query.where(capacity_events.c.at >= since)
    if until is not None:
        query = query.where(capacity_events.c.at < until)
    if after is not None:
        query = query.where(key > tuple_(*after))
    return _read_events((await connection.execute(query)).mappings().all())


async def capacity_held_before(connection: AsyncConnection, circuit_id: UUID, at: datetime) -> CapacityEvent | None:
    """Read what held just before ``at``: where a drawing of the history begins. None: nothing was followed yet."""
    query = (
        _EVENTS.where(capacity_events.c.circuit_id == circuit_id, capacity_events.c.at < at)
        .order_by(capacity_events.c.at.desc(), capacity_events.c.id.desc())
        .limit(1)
    )
    found = _read_events((await connection.execute(query)).mappings().all())
    return found[0] if found else None


def _read_events(rows: Sequence[Mapping[Any, Any]]) -> list[CapacityEvent]:
    return [
        CapacityEvent(
            row["id"],
            row["at"],
            row["received_at"],
            row["mode"],
            None if row["reason"] is None else FailSafeReason(row["reason"]),
            row["capacity_w"],
            None if row["basis"] is None else CapacityBasis(row["basis"]),
            SimulatedBy.of(row["scenario_run_id"], row["scenario"]),
        )
        for row in rows
    ]

"""The capacity of circuits that follow a controller: the state that is kept, and which circuit follows what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from domain.circuit_capacity import CapacityBasis, CapacityMode, CapacityPolicy, CapacityState, FailSafeReason


def capacity_state(row: Mapping[str, Any]) -> CapacityState:
    """Read a state from the columns of ``circuit_capacities``; other keys of ``row`` are left alone."""
    return CapacityState(
        mode=CapacityMode(row["mode"]),
        since=row["since"],
        deadline=row["deadline"],
        reason=None if row["reason"] is None else FailSafeReason(row["reason"]),
        capacity_w=row["capacity_w"],
        basis=None if row["basis"] is None else CapacityBasis(row["basis"]),
        observed_at=row["observed_at"],
        fail_safe_received_w=row["fail_safe_received_w"],
        fail_safe_observed_at=row["fail_safe_observed_at"],
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
    }


def capacity_policy(row: Mapping[str, Any]) -> CapacityPolicy:
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

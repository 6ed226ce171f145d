"""Circuit capacities as packets and deadlines move them."""

from __future__ import annotations

from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.batch_state import PacketBatchState
from store.base.arrays import columns, nullable
from store.base.driver import driver_errors, driver_in
from store.base.locks import lock_sites
from store.base.notifications.notify import ChangeKind, notify
from store.site.capacities import capacity_policy, capacity_state

WRITE_CAPACITIES = """
    UPDATE circuit_capacities AS c
    SET mode = g.mode, since = g.since, deadline = g.deadline, reason = g.reason, capacity_w = g.capacity_w,
        basis = g.basis, observed_at = g.observed_at, fail_safe_received_w = g.received_w,
        fail_safe_observed_at = g.fail_safe_observed_at, received_at = g.received_at,
        fail_safe_received_at = g.fail_safe_received_at, scenario_run_id = g.run_id,
        fail_safe_scenario_run_id = g.fail_safe_run_id
    FROM unnest(
        {}::uuid[], {}::text[], {}::timestamptz[], {}::timestamptz[], {}::text[], {}::double precision[], {}::text[],
        {}::timestamptz[], {}::timestamptz[], {}::double precision[], {}::timestamptz[], {}::timestamptz[],
        {}::uuid[], {}::uuid[]
    ) AS g (circuit_id, mode, since, deadline, reason, capacity_w, basis, observed_at, received_at,
            received_w, fail_safe_observed_at, fail_safe_received_at, run_id, fail_safe_run_id)
    WHERE c.circuit_id = g.circuit_id
"""
"""Stores new states of circuits. It has ``CAPACITY_PARAMETERS`` places, for those of ``capacity_parameters``: the
circuits, then the fields of ``CapacityState`` in their order."""

CAPACITY_PARAMETERS = 14
_WRITE = WRITE_CAPACITIES.format(*(f"${n}" for n in range(1, CAPACITY_PARAMETERS + 1)))

_STEPS = """
    INSERT INTO capacity_events (circuit_id, depot_id, mode, reason, capacity_w, basis, at, received_at,
                                 scenario_run_id)
    SELECT g.circuit_id, c.depot_id, g.mode, g.reason, g.capacity_w, g.basis, g.at, $7, g.run_id
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::double precision[], $5::text[], $6::timestamptz[], $8::uuid[])
        WITH ORDINALITY AS g (circuit_id, mode, reason, capacity_w, basis, at, run_id, n)
    JOIN circuit_capacities AS c USING (circuit_id)
    ORDER BY g.n
"""


def capacity_parameters(state: PacketBatchState) -> list[Any]:
    """Make the parameters of ``WRITE_CAPACITIES``."""
    # In the order of the key, so that two transactions never wait for each other.
    changed = sorted(state.changed_capacities)
    states = columns((state.capacities[circuit_id] for circuit_id in changed), CAPACITY_PARAMETERS - 1)
    return [changed, *map(nullable, states)]


async def write_capacity_steps(driver: asyncpg.Connection, state: PacketBatchState) -> None:
    """Store the history of what held for the circuits."""
    steps = state.capacity_steps
    if steps:
        await driver.fetch(
            _STEPS,
            [step.circuit_id for step in steps],
            [step.state.mode for step in steps],
            [step.state.reason for step in steps],
            [step.state.capacity_w for step in steps],
            [step.state.basis for step in steps],
            [step.at for step in steps],
            state.now,
            [step.state.simulated_by for step in steps],
        )


_DUE = text("""
    SELECT circuit_id, depot_id FROM circuit_capacities
    WHERE deadline <= clock_timestamp() ORDER BY deadline LIMIT :limit
""")
_STATES = text("""
    SELECT *, clock_timestamp() AS now FROM circuit_capacities WHERE circuit_id = ANY (CAST(:circuits AS uuid[]))
""")
_SECONDS = text("SELECT extract(epoch FROM min(deadline) - clock_timestamp()) FROM circuit_capacities")


async def pass_deadlines(connection: AsyncConnection, limit: int) -> int:
    """Let the fail-safe take over at up to ``limit`` circuits whose deadline has come; answer how many were due.

    A packet that comes at the same moment goes wholly before or after: both take the depots' locks first.
    """
    due = (await connection.execute(_DUE, {"limit": limit})).all()
    if not due:
        return 0
    await lock_sites(connection, {row.depot_id for row in due})
    found = await connection.execute(_STATES, {"circuits": [row.circuit_id for row in due]})
    rows = [row._asdict() for row in found]  # pyright: ignore[reportPrivateUsage] - a public name of SQLAlchemy
    if not rows:
        return len(due)
    state = PacketBatchState(rows[0]["now"], capacities={row["circuit_id"]: capacity_state(row) for row in rows})
    for row in rows:
        state.pass_deadline(row["circuit_id"], capacity_policy(row))
    if state.changed_capacities:
        driver = await driver_in(connection)
        with driver_errors():
            await driver.fetch(_WRITE, *capacity_parameters(state))
            await write_capacity_steps(driver, state)
    depots = {row["circuit_id"]: row["depot_id"] for row in rows}
    changed = {depots[step.circuit_id] for step in state.capacity_steps}
    await notify(connection, {depot_id: [ChangeKind.CAPACITY] for depot_id in changed})
    return len(due)


async def seconds_to_next_deadline(connection: AsyncConnection) -> float | None:
    """Say how long it is until the next deadline, from 0, by the clock that deadlines are compared with.

    None where no circuit follows a controller that is well.
    """
    seconds = (await connection.execute(_SECONDS)).scalar_one()
    return None if seconds is None else max(0.0, float(seconds))

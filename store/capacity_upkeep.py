"""Circuit capacities as packets and deadlines move them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.standing import Standing
from store.capacities import capacity_policy, capacity_state
from store.locks import lock_sites
from store.notify import ChangeKind, notify

_WRITE = text("""
    UPDATE circuit_capacities AS c
    SET mode = g.mode, since = g.since, deadline = g.deadline, reason = g.reason, capacity_w = g.capacity_w,
        basis = g.basis, observed_at = g.observed_at, fail_safe_received_w = g.received_w,
        fail_safe_observed_at = g.received_at
    FROM unnest(
        CAST(:circuits AS uuid[]), CAST(:modes AS text[]), CAST(:since AS timestamptz[]),
        CAST(:deadlines AS timestamptz[]), CAST(:reasons AS text[]), CAST(:capacities AS double precision[]),
        CAST(:bases AS text[]), CAST(:observed AS timestamptz[]), CAST(:received_w AS double precision[]),
        CAST(:received_at AS timestamptz[])
    ) AS g (circuit_id, mode, since, deadline, reason, capacity_w, basis, observed_at, received_w, received_at)
    WHERE c.circuit_id = g.circuit_id
""")

_STEPS = text("""
    INSERT INTO capacity_events (circuit_id, depot_id, mode, reason, capacity_w, basis, at, received_at)
    SELECT g.circuit_id, c.depot_id, g.mode, g.reason, g.capacity_w, g.basis, g.at, :now
    FROM unnest(
        CAST(:circuits AS uuid[]), CAST(:modes AS text[]), CAST(:reasons AS text[]),
        CAST(:capacities AS double precision[]), CAST(:bases AS text[]), CAST(:at AS timestamptz[])
    ) WITH ORDINALITY AS g (circuit_id, mode, reason, capacity_w, basis, at, n)
    JOIN circuit_capacities AS c USING (circuit_id)
    ORDER BY g.n
    RETURNING depot_id
""")


async def write_capacities(connection: AsyncConnection, standing: Standing) -> set[UUID]:
    """Store the circuits' new states and their history; answer the depots where what holds changed."""
    changed = sorted(standing.changed_capacities)
    if not changed:
        return set()
    states = [standing.capacities[circuit_id] for circuit_id in changed]
    await connection.execute(
        _WRITE,
        {
            "circuits": changed,
            "modes": [state.mode for state in states],
            "since": [state.since for state in states],
            "deadlines": [state.deadline for state in states],
            "reasons": [state.reason for state in states],
            "capacities": [state.capacity_w for state in states],
            "bases": [state.basis for state in states],
            "observed": [state.observed_at for state in states],
            "received_w": [state.fail_safe_received_w for state in states],
            "received_at": [state.fail_safe_observed_at for state in states],
        },
    )
    steps = standing.capacity_steps
    if not steps:
        return set()
    told = await connection.execute(
        _STEPS,
        {
            "circuits": [step.circuit_id for step in steps],
            "modes": [step.state.mode for step in steps],
            "reasons": [step.state.reason for step in steps],
            "capacities": [step.state.capacity_w for step in steps],
            "bases": [step.state.basis for step in steps],
            "at": [step.at for step in steps],
            "now": standing.now,
        },
    )
    return set(told.scalars())


_DUE = text("""
    SELECT circuit_id, depot_id FROM circuit_capacities
    WHERE deadline <= clock_timestamp() ORDER BY deadline LIMIT :limit
""")
_STATES = text("""
    SELECT *, clock_timestamp() AS now FROM circuit_capacities WHERE circuit_id = ANY (CAST(:circuits AS uuid[]))
""")
_NEXT = text("SELECT min(deadline) FROM circuit_capacities")
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
    standing = Standing(rows[0]["now"], capacities={row["circuit_id"]: capacity_state(row) for row in rows})
    for row in rows:
        standing.pass_deadline(row["circuit_id"], capacity_policy(row))
    changed = await write_capacities(connection, standing)
    await notify(connection, {depot_id: [ChangeKind.CAPACITY] for depot_id in changed})
    return len(due)


async def next_deadline(connection: AsyncConnection) -> datetime | None:
    """Say when the next deadline comes; None where no circuit follows a controller that is well."""
    return (await connection.execute(_NEXT)).scalar_one()


async def seconds_to_next_deadline(connection: AsyncConnection) -> float | None:
    """Say how long it is until the next deadline, from 0, by the clock that deadlines are compared with."""
    seconds = (await connection.execute(_SECONDS)).scalar_one()
    return None if seconds is None else max(0.0, float(seconds))

"""Circuits that follow their controller, and what is stored of their capacity."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.circuit_capacity import CapacityPolicy
from store.site.tables import capacity_events, circuit_capacities
from tests.factories.sites import MadeDepot, add_action, add_device, make_site

ACTION = "UPDATE_CIRCUIT_CAPACITY"

KEYS = ("AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS", "FAIL_SAFE_CAPACITY")

POLICY = CapacityPolicy(timedelta(minutes=2), 40_000)


async def capacity_site(engine: AsyncEngine) -> MadeDepot:
    """A site whose one circuit follows its controller."""
    site = await make_site(engine)
    circuit_id = site.circuit_ids[0]
    await add_device(engine, site, circuit_id=circuit_id)
    await add_action(engine, site, ACTION, *KEYS, policy=POLICY, follows=circuit_id)
    return site


async def state(engine: AsyncEngine, circuit_id: UUID) -> dict[str, Any]:
    """The stored state of a circuit."""
    async with engine.connect() as connection:
        row = await connection.execute(select(circuit_capacities).where(circuit_capacities.c.circuit_id == circuit_id))
        return dict(row.mappings().one())


async def steps(engine: AsyncEngine) -> list[tuple[str, str | None, float | None]]:
    """The history: mode, reason, watts."""
    columns = capacity_events.c
    async with engine.connect() as connection:
        rows = await connection.execute(select(columns.mode, columns.reason, columns.capacity_w).order_by(columns.id))
        return [tuple(row) for row in rows]


async def expire(engine: AsyncEngine, *circuit_ids: UUID) -> None:
    """Let so much time go by, for these circuits, that their deadline has come."""
    async with engine.begin() as connection:
        await connection.execute(
            update(circuit_capacities)
            .where(circuit_capacities.c.circuit_id.in_(circuit_ids))
            .values(deadline=text("clock_timestamp() - interval '1 second'"))
        )

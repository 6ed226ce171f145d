"""The outbox: depots whose circuits changed, waiting for the relay to tell their sync workflow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.base.arrays import is_one_of_numbers
from store.provisioning.tables import outbox

CHANNEL = "outbox"
"""The channel on which PostgreSQL says that rows were committed."""


@dataclass(frozen=True)
class OutboxDepot:
    """All claimed requests of one depot, as one: a burst of changes is one sync."""

    depot_id: UUID
    reason: str
    requested_by: str
    """Who asked last."""
    changed_at: datetime
    """When the first of them was made."""
    request_ids: tuple[str, ...]
    """The requests of the API that made them, in their order, each once."""
    traceparents: tuple[str, ...]
    """What hands on the traces of these requests, in the same order."""
    rows: tuple[int, ...]

    def after(self, earlier: OutboxDepot) -> OutboxDepot:
        """Make one of an earlier request of the depot and this one."""
        ids = dict.fromkeys((*earlier.request_ids, *self.request_ids))
        traces = dict.fromkeys((*earlier.traceparents, *self.traceparents))
        return replace(
            self,
            changed_at=min(earlier.changed_at, self.changed_at),
            request_ids=tuple(ids),
            traceparents=tuple(traces),
            rows=(*earlier.rows, *self.rows),
        )


@dataclass(frozen=True)
class OutboxDepth:
    """What waits."""

    rows: int
    oldest_at: datetime | None


@asynccontextmanager
async def claim(engine: AsyncEngine, limit: int) -> AsyncGenerator[tuple[AsyncConnection, list[OutboxDepot]]]:
    """Claim up to ``limit`` rows for as long as the block runs; another relay passes over them.

    What the block does not ``forget`` is there again afterwards: a relay that dies loses nothing.
    """
    async with engine.begin() as connection:
        rows = await connection.execute(
            select(
                outbox.c.id,
                outbox.c.depot_id,
                outbox.c.reason,
                outbox.c.requested_by,
                outbox.c.created_at,
                outbox.c.request_id,
                outbox.c.traceparent,
            )
            .order_by(outbox.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed: dict[UUID, OutboxDepot] = {}
        for row_id, depot_id, reason, requested_by, created_at, request_id, traceparent in rows:
            ids = () if request_id is None else (request_id,)
            traces = () if traceparent is None else (traceparent,)
            asked = OutboxDepot(depot_id, reason, requested_by, created_at, ids, traces, (row_id,))
            claimed[depot_id] = asked.after(claimed[depot_id]) if depot_id in claimed else asked
        yield connection, list(claimed.values())


async def forget(connection: AsyncConnection, notified: Sequence[OutboxDepot]) -> None:
    """Remove the rows of the depots whose sync was requested."""
    rows = [row for depot in notified for row in depot.rows]
    if rows:
        await connection.execute(delete(outbox).where(is_one_of_numbers(outbox.c.id, rows)))


async def outbox_depth(connection: AsyncConnection) -> OutboxDepth:
    """Say how much waits, and since when."""
    rows, oldest = (await connection.execute(select(func.count(), func.min(outbox.c.created_at)))).one()
    return OutboxDepth(rows, oldest)

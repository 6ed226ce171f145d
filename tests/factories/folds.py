"""Whether what is shown of a capability is what its whole history comes to."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.monitoring.capabilities import CapabilityStatus, StatusEvent, fold
from store.monitoring.tables import capability_events, capability_latest


def _statuses(table: Table) -> Select[*tuple[Any, ...]]:
    columns = table.c
    return select(
        columns.microgrid_id,
        columns.capability,
        columns.observed_at,
        columns.provider_event_ref,
        columns.status,
        columns.received_at,
        columns.tenure,
    )


async def histories(engine: AsyncEngine) -> dict[tuple[UUID, str], list[StatusEvent]]:
    """Every history, in the order of acceptance."""
    found: dict[tuple[UUID, str], list[StatusEvent]] = defaultdict(list)
    async with engine.connect() as connection:
        rows = await connection.execute(_statuses(capability_events).order_by(capability_events.c.id))
        for microgrid_id, capability, observed_at, ref, status, *rest in rows:
            known = None if status is None else CapabilityStatus(status)
            found[microgrid_id, capability].append(StatusEvent(observed_at, ref, known, *rest))
    return found


async def shown(engine: AsyncEngine) -> dict[tuple[UUID, str], StatusEvent]:
    """Every latest status."""
    async with engine.connect() as connection:
        rows = await connection.execute(_statuses(capability_latest))
        return {
            (microgrid_id, capability): StatusEvent(observed_at, ref, CapabilityStatus(status), *rest)
            for microgrid_id, capability, observed_at, ref, status, *rest in rows
        }


async def assert_latest_is_the_fold(engine: AsyncEngine) -> None:
    """Assert for every microgrid and capability that what is shown is what the whole history comes to."""
    expected = {place: fold(events) for place, events in (await histories(engine)).items()}
    assert await shown(engine) == {place: event for place, event in expected.items() if event is not None}

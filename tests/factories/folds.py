"""Whether what is shown of a capability is what its whole history comes to."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.monitoring.capabilities import Capability, CapabilityStatus, StatusEvent, fold, since
from store.base.database import snapshot
from store.monitoring.statuses.transitions import list_transitions
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


async def histories_with_runs(engine: AsyncEngine) -> dict[tuple[UUID, str], list[tuple[StatusEvent, bool]]]:
    """Every history, in the order of acceptance, each event with whether a scenario run sent it."""
    found: dict[tuple[UUID, str], list[tuple[StatusEvent, bool]]] = defaultdict(list)
    query = _statuses(capability_events).add_columns(capability_events.c.scenario_run_id)
    async with engine.connect() as connection:
        for microgrid_id, capability, observed_at, ref, status, *rest, run_id in await connection.execute(
            query.order_by(capability_events.c.id)
        ):
            known = None if status is None else CapabilityStatus(status)
            event = StatusEvent(observed_at, ref, known, *rest)
            found[microgrid_id, capability].append((event, run_id is not None))
    return found


async def since_when(engine: AsyncEngine) -> dict[tuple[UUID, str], datetime | None]:
    """Since when every latest status holds, as it is stored."""
    columns = capability_latest.c
    async with engine.connect() as connection:
        rows = await connection.execute(select(columns.microgrid_id, columns.capability, columns.since))
        return {(microgrid_id, capability): at for microgrid_id, capability, at in rows}


async def assert_since_is_the_fold(engine: AsyncEngine) -> None:
    """Assert that since when is what the whole history comes to, and that every transition is one of the history's."""
    found = await histories_with_runs(engine)
    expected = {place: since(events) for place, events in found.items()}
    assert await since_when(engine) == {place: at for place, at in expected.items() if at is not None}
    async with snapshot(engine) as connection:
        for (microgrid_id, capability), events in found.items():
            listed = await list_transitions(connection, microgrid_id, Capability(capability), before=None, limit=100)
            told = [
                (each.since, each.status, each.until, each.updates, each.simulated_by is not None) for each in listed
            ]
            assert told == transitions(events)


def transitions(
    events: list[tuple[StatusEvent, bool]],
) -> list[tuple[datetime, CapabilityStatus, datetime | None, int, bool]]:
    """What a history comes to, transition by transition, the last first: since, status, until, updates, simulated."""
    counted: dict[str, tuple[StatusEvent, bool]] = {}
    for event, is_simulated in events:
        counted.setdefault(event.provider_event_ref, (event, is_simulated))
    known = sorted((each for each in counted.values() if each[0].status), key=lambda each: each[0].key)
    groups = [list(group) for _, group in groupby(known, key=lambda each: (each[0].status, each[1]))]
    begins = [group[0][0].effective_at for group in groups]
    return [
        (began, group[0][0].status or CapabilityStatus.ON, until, len(group), group[0][1])
        for group, began, until in zip(groups, begins, [*begins[1:], None][: len(groups)], strict=True)
    ][::-1]


async def assert_latest_is_the_fold(engine: AsyncEngine) -> None:
    """Assert for every microgrid and capability that what is shown is what the whole history comes to."""
    expected = {place: fold(events) for place, events in (await histories(engine)).items()}
    assert await shown(engine) == {place: event for place, event in expected.items() if event is not None}

"""Power sources of a depot, with the latest that devices measured of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from domain.base.actor import Actor
from domain.base.bounds import POWER_SOURCES
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.site.deletions import SubjectKind
from domain.site.measurands import MeasurandKey
from domain.site.routing import PowerSourceKind
from store.access.narrowing import within
from store.base.arrays import is_one_of
from store.base.simulated import SimulatedBy, scenario_of
from store.site.deletions import check_consent
from store.site.resolutions import list_rerouted
from store.site.site_changes import Configurable, change_of, check_circuit, check_room, configuration_change
from store.site.tables import circuits, power_source_readings, power_sources


@dataclass(frozen=True)
class ReadingRecord:
    """The latest value of one measurand."""

    measurand: MeasurandKey
    value: float | str
    observed_at: datetime
    received_at: datetime
    device_id: UUID
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""


@dataclass(frozen=True)
class PowerSourceRecord:
    """A power source as it is stored, with its latest readings by measurand."""

    power_source_id: UUID
    depot_id: UUID
    kind: PowerSourceKind
    name: str
    circuit_id: UUID | None
    circuit_name: str | None
    readings: tuple[ReadingRecord, ...]
    version: int
    """Moves with every change."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


_POWER_SOURCES = (
    select(
        power_sources.c.id.label("power_source_id"),
        power_sources.c.depot_id,
        power_sources.c.kind,
        power_sources.c.name,
        power_sources.c.circuit_id,
        circuits.c.name.label("circuit_name"),
        power_sources.c.version,
        power_sources.c.created_at,
        power_sources.c.created_by,
        power_sources.c.updated_at,
        power_sources.c.updated_by,
    )
    .select_from(power_sources)
    .outerjoin(circuits, circuits.c.id == power_sources.c.circuit_id)
)


async def _readings(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, tuple[ReadingRecord, ...]]:
    readings = power_source_readings.c
    query = (
        select(power_source_readings, scenario_of(readings.scenario_run_id).label("scenario"))
        .where(is_one_of(readings.power_source_id, ids))
        .order_by(readings.power_source_id, readings.measurand)
    )
    found: dict[UUID, tuple[ReadingRecord, ...]] = defaultdict(tuple)
    for row in await connection.execute(query):
        value = row.value_text if row.value_number is None else row.value_number
        found[row.power_source_id] += (
            ReadingRecord(
                MeasurandKey(row.measurand),
                value,
                row.observed_at,
                row.received_at,
                row.device_id,
                SimulatedBy.of(row.scenario_run_id, row.scenario),
            ),
        )
    return found


async def _read(connection: AsyncConnection, query: Select[*tuple[Any, ...]]) -> list[PowerSourceRecord]:
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    readings = await _readings(connection, [row["power_source_id"] for row in rows]) if rows else {}
    for row in rows:
        row["kind"] = PowerSourceKind(row["kind"])
        row["readings"] = readings.get(row["power_source_id"], ())
    return [PowerSourceRecord(**row) for row in rows]


async def list_power_sources(
    connection: AsyncConnection, scope: DepotScope, *, depot_id: UUID | None, after: UUID | None, limit: int
) -> list[PowerSourceRecord]:
    """List power sources of the depots within ``scope`` by id, beginning after ``after``."""
    query = _POWER_SOURCES.order_by(power_sources.c.id).limit(limit).where(within(power_sources.c.depot_id, scope))
    if depot_id is not None:
        query = query.where(power_sources.c.depot_id == depot_id)
    if after is not None:
        query = query.where(power_sources.c.id > after)
    return await _read(connection, query)


async def read_power_source(connection: AsyncConnection, power_source_id: UUID) -> PowerSourceRecord:
    """Read one power source.

    Raises:
        Problem: ``POWER_SOURCE_NOT_FOUND``.

    """
    found = await _read(connection, _POWER_SOURCES.where(power_sources.c.id == power_source_id))
    if not found:
        raise Problem(ProblemCode.POWER_SOURCE_NOT_FOUND, f"There is no power source {power_source_id}.")
    return found[0]


_POWER_SOURCE = Configurable(SubjectKind.POWER_SOURCE, power_sources, read_power_source, ("kind", "name", "circuit_id"))


async def create_power_source(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, values: Mapping[str, Any]
) -> PowerSourceRecord:
    """Make a power source of ``kind``, ``name`` and ``circuit_id``.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``, ``CIRCUIT_NOT_IN_DEPOT`` or ``TOO_MANY_POWER_SOURCES``.

    """
    async with configuration_change(connection, actor, depot_id) as change:
        await check_circuit(connection, depot_id, values["circuit_id"])
        await check_room(connection, depot_id, POWER_SOURCES)
        return await change.add_row(_POWER_SOURCE, values)


async def update_power_source(
    connection: AsyncConnection,
    actor: Actor,
    power_source_id: UUID,
    given: Mapping[str, Any],
    expected: Versions = None,
) -> PowerSourceRecord:
    """Change what ``given`` names of ``kind``, ``name`` and ``circuit_id``.

    Raises:
        Problem: ``POWER_SOURCE_NOT_FOUND``, ``VERSION_CONFLICT`` or ``CIRCUIT_NOT_IN_DEPOT``.

    """
    async with change_of(connection, actor, _POWER_SOURCE, power_source_id, expected) as (change, before):
        changed = _POWER_SOURCE.changed(before, given)
        await check_circuit(connection, before.depot_id, changed.get("circuit_id"))
        return await change.change_row(_POWER_SOURCE, before, changed)


async def delete_power_source(
    connection: AsyncConnection,
    actor: Actor,
    power_source_id: UUID,
    expected: Versions = None,
    consent: str | None = None,
) -> None:
    """Delete a power source with its latest readings.

    Raises:
        Problem: ``POWER_SOURCE_NOT_FOUND``, ``VERSION_CONFLICT`` or ``DELETION_CHANGED``.

    """
    async with change_of(connection, actor, _POWER_SOURCE, power_source_id, expected) as (change, before):
        if consent is not None:
            rerouted = await list_rerouted(connection, before.depot_id, power_source_id)
            await check_consent(connection, SubjectKind.POWER_SOURCE, power_source_id, consent, rerouted)
        await change.delete_row(_POWER_SOURCE, before)

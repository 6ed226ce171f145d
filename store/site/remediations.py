"""Remediations: what stops updates by a site's configuration, listed with names, and closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, case, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.site.remediations import RemediationCode, Severity
from domain.site.resolution import is_mended
from domain.site.sensor_actions import SensorActionKind
from store.access.narrowing import within
from store.base.arrays import is_one_of
from store.base.changes import record_change
from store.base.database import clock
from store.base.notifications.notify import ChangeKind, notify
from store.base.simulated import SimulatedBy, scenario_of
from store.site.depots import lock_depot
from store.site.packet_contexts import view_named_contexts
from store.site.tables import depots, devices, gateways, power_sources, remediations


class RemediationState(StrEnum):
    """Whether a remediation still stands."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


@dataclass(frozen=True)
class Candidate:
    """A power source between which it could not be decided."""

    power_source_id: UUID
    name: str | None
    """None: it is gone."""


@dataclass(frozen=True)
class RemediationRecord:
    """A remediation with the names of what it is about; a name is None where its subject is gone."""

    remediation_id: UUID
    depot_id: UUID
    depot_name: str | None
    gateway_id: UUID
    gateway_name: str | None
    device_id: UUID
    device_name: str | None
    circuit_id: UUID | None
    """The device's linked circuit."""
    sensor_action_id: UUID
    action: SensorActionKind
    code: RemediationCode
    mended: bool | None
    """Whether the configuration stops it no more, so that the next packet closes it; None: it is closed."""
    candidates: tuple[Candidate, ...]
    opened_at: datetime
    last_seen_at: datetime
    times: int
    closed_at: datetime | None
    closed_by: str | None
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent the last packet that was stopped."""

    @property
    def severity(self) -> Severity:
        """What follows while it stays open."""
        return self.code.severity


_rank = case({code.value: code.severity.rank for code in RemediationCode}, value=remediations.c.code)


def _remediations() -> Select[*tuple[Any, ...]]:
    return select(
        remediations.c.id.label("remediation_id"),
        remediations.c.depot_id,
        depots.c.name.label("depot_name"),
        remediations.c.gateway_id,
        gateways.c.name.label("gateway_name"),
        remediations.c.device_id,
        devices.c.name.label("device_name"),
        devices.c.sensor_id,
        devices.c.circuit_id,
        remediations.c.sensor_action_id,
        remediations.c.action,
        remediations.c.code,
        remediations.c.candidates,
        remediations.c.opened_at,
        remediations.c.last_seen_at,
        remediations.c.times,
        remediations.c.closed_at,
        remediations.c.closed_by,
        remediations.c.scenario_run_id,
        scenario_of(remediations.c.scenario_run_id).label("scenario"),
    ).select_from(
        remediations.outerjoin(depots, depots.c.id == remediations.c.depot_id)
        .outerjoin(gateways, gateways.c.id == remediations.c.gateway_id)
        .outerjoin(devices, devices.c.id == remediations.c.device_id)
    )


async def _read(connection: AsyncConnection, query: Select[*tuple[Any, ...]]) -> list[RemediationRecord]:
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    wanted = {candidate for row in rows for candidate in row["candidates"]}
    names: dict[UUID, str] = {}
    if wanted:
        named = select(power_sources.c.id, power_sources.c.name).where(is_one_of(power_sources.c.id, wanted))
        names = {row.id: row.name for row in await connection.execute(named)}
    mended = await _find_mended(connection, [row for row in rows if row["closed_at"] is None])
    for row in rows:
        row["mended"] = row["sensor_action_id"] in mended if row["closed_at"] is None else None
        del row["sensor_id"]
        row["action"] = SensorActionKind(row["action"])
        row["code"] = RemediationCode(row["code"])
        row["simulated_by"] = SimulatedBy.of(row.pop("scenario_run_id"), row.pop("scenario"))
        row["candidates"] = tuple(Candidate(each, names.get(each)) for each in row["candidates"])
    return [RemediationRecord(**row) for row in rows]


async def _find_mended(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Find the sensor actions, of these that have an open remediation, that today's configuration does not stop."""
    named: dict[UUID, set[str]] = defaultdict(set)
    for row in rows:
        if row["sensor_id"] is not None:
            named[row["gateway_id"]].add(row["sensor_id"])
    if not named:
        return set()
    contexts = await view_named_contexts(connection, named)
    actions = ((row["sensor_action_id"], contexts.get(row["gateway_id"])) for row in rows)
    return {action_id for action_id, context in actions if is_mended(context, action_id)}


async def list_remediations(
    connection: AsyncConnection,
    scope: DepotScope,
    *,
    depot_id: UUID | None,
    state: RemediationState | None,
    after: tuple[int, UUID] | None,
    limit: int,
) -> list[RemediationRecord]:
    """List remediations of the depots within ``scope``, beginning after the one with that key (``key_of``).

    Those that are open come with the worst first, and of one severity, as all others do, those opened last first.
    ``state`` None: all.
    """
    query = _remediations().limit(limit).where(within(remediations.c.depot_id, scope))
    if state is RemediationState.OPEN:
        query = query.order_by(_rank)
        if after is not None:
            query = query.where(or_(_rank > after[0], and_(_rank == after[0], remediations.c.id < after[1])))
    elif after is not None:
        query = query.where(remediations.c.id < after[1])
    query = query.order_by(remediations.c.id.desc())
    if depot_id is not None:
        query = query.where(remediations.c.depot_id == depot_id)
    if state is not None:
        is_open = remediations.c.closed_at.is_(None)
        query = query.where(is_open if state is RemediationState.OPEN else ~is_open)
    return await _read(connection, query)


def key_of(record: RemediationRecord) -> tuple[int, UUID]:
    """Return a remediation's place in a list: the rank of its severity, and its id."""
    return record.code.severity.rank, record.remediation_id


async def list_stopped_actions(
    connection: AsyncConnection, depot_id: UUID, device_ids: Collection[UUID]
) -> dict[UUID, dict[UUID, RemediationCode]]:
    """Say what stops these devices of a depot, the worst first.

    By device, its sensor actions that have an open remediation, each with its code. A device without one is left out.
    """
    query = (
        select(remediations.c.device_id, remediations.c.sensor_action_id, remediations.c.code)
        .where(remediations.c.depot_id == depot_id, remediations.c.closed_at.is_(None))
        .where(is_one_of(remediations.c.device_id, device_ids))
        .order_by(_rank, remediations.c.id)
    )
    found: dict[UUID, dict[UUID, RemediationCode]] = defaultdict(dict)
    for row in await connection.execute(query) if device_ids else ():
        found[row.device_id][row.sensor_action_id] = RemediationCode(row.code)
    return found


async def count_open(connection: AsyncConnection, scope: DepotScope) -> int:
    """Count the remediations that are open at the depots within ``scope``."""
    conditions = remediations.c.closed_at.is_(None), within(remediations.c.depot_id, scope)
    query = select(func.count()).select_from(remediations).where(*conditions)
    return (await connection.execute(query)).scalar_one()


@dataclass(frozen=True)
class DepotRemediations:
    """How many remediations a depot has."""

    depot_id: UUID
    name: str | None
    """None: the depot is gone."""
    count: int


async def count_by_depot(
    connection: AsyncConnection, scope: DepotScope, state: RemediationState | None, limit: int
) -> list[DepotRemediations]:
    """Count remediations by depot within ``scope``, those with the most first. ``state`` None: all."""
    query = (
        select(remediations.c.depot_id, depots.c.name, func.count())
        .select_from(remediations.outerjoin(depots, depots.c.id == remediations.c.depot_id))
        .where(within(remediations.c.depot_id, scope))
        .group_by(remediations.c.depot_id, depots.c.name)
        .order_by(func.count().desc(), depots.c.name, remediations.c.depot_id)
        .limit(limit)
    )
    if state is not None:
        is_open = remediations.c.closed_at.is_(None)
        query = query.where(is_open if state is RemediationState.OPEN else ~is_open)
    return [DepotRemediations(*row) for row in await connection.execute(query)]


async def read_remediation(connection: AsyncConnection, remediation_id: UUID) -> RemediationRecord:
    """Read one remediation.

    Raises:
        Problem: ``REMEDIATION_NOT_FOUND``.

    """
    found = await _read(connection, _remediations().where(remediations.c.id == remediation_id))
    if not found:
        raise Problem(ProblemCode.REMEDIATION_NOT_FOUND, f"There is no remediation {remediation_id}.")
    return found[0]


async def resolve_remediation(connection: AsyncConnection, actor: Actor, remediation_id: UUID) -> RemediationRecord:
    """Close a remediation by hand; one that is closed stays as it is, with who closed it.

    The next packet that is stopped opens another.

    Raises:
        Problem: ``REMEDIATION_NOT_FOUND``.

    """
    depot_id = (await read_remediation(connection, remediation_id)).depot_id
    await lock_depot(connection, depot_id)
    if (await read_remediation(connection, remediation_id)).closed_at is None:
        await connection.execute(
            update(remediations)
            .where(remediations.c.id == remediation_id)
            .values(closed_at=await clock(connection), closed_by=actor.name)
        )
        await record_change(connection, actor, "REMEDIATION_RESOLVED", depot_id=depot_id, subject_id=remediation_id)
        await notify(connection, {depot_id: {ChangeKind.REMEDIATION}})
    return await read_remediation(connection, remediation_id)


_CLOSE = text("""
    UPDATE remediations SET closed_at = clock_timestamp(), closed_by = :actor
    WHERE depot_id = :depot_id AND closed_at IS NULL
      AND (:every OR sensor_action_id = ANY (:sensor_action_ids) OR device_id = ANY (:device_ids))
""")


async def close_remediations(
    connection: AsyncConnection,
    actor: Actor,
    depot_id: UUID,
    *,
    sensor_action_ids: Collection[UUID] = (),
    device_ids: Collection[UUID] = (),
    every: bool = False,
) -> set[ChangeKind]:
    """Close what is open for sensor actions that are deleted or switched off, and for devices that are deleted.

    With ``every``, all that is open in the depot, which is retired.

    No packet will ever go through for them, which is how remediations close by themselves. Answers what changed.
    """
    closed = await connection.execute(
        _CLOSE,
        {
            "actor": actor.name,
            "depot_id": depot_id,
            "sensor_action_ids": list(sensor_action_ids),
            "device_ids": list(device_ids),
            "every": every,
        },
    )
    return {ChangeKind.REMEDIATION} if closed.rowcount else set()

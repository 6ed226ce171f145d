"""Changes of a site's configuration: each is a block of ``configuration_change``, from the lock to the notification."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Table, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from domain.base.actor import Actor
from domain.base.bounds import DEVICES, GATEWAYS, POWER_SOURCES, Bound
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.site.deletions import SubjectKind
from store.base.arrays import is_one_of
from store.base.changes import differences, differs, record_change
from store.base.database import clock
from store.base.notifications.notify import ChangeKind, notify
from store.base.versions import Versioned, check_version
from store.site.capacities import follow_capacities
from store.site.depots import lock_depot
from store.site.remediations import close_remediations
from store.site.tables import circuits, devices


class _InDepot(Protocol):
    @property
    def depot_id(self) -> UUID: ...


ThingT = TypeVar("ThingT", bound=_InDepot)
RecordT = TypeVar("RecordT", bound=Versioned)


@dataclass(frozen=True)
class Configurable(Generic[RecordT]):
    """A kind of rows that a site's configuration consists of."""

    kind: SubjectKind
    table: Table
    read: Callable[[AsyncConnection, UUID], Awaitable[RecordT]]
    """Reads one by its id, or raises ``…_NOT_FOUND``."""
    fields: tuple[str, ...]
    """What users set, as record and table name it; the journal has their values before and after."""

    def id_of(self, record: RecordT) -> UUID:
        """The id of a row, by its record."""
        return getattr(record, f"{self.kind.lower()}_id")

    def changed(self, before: RecordT, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the given values that differ from what the row has."""
        return {name: value for name, value in given.items() if differs(value, getattr(before, name))}


class ConfigurationChange:
    """A change of a depot's configuration, while its block runs (see ``configuration_change``)."""

    def __init__(self, connection: AsyncConnection, actor: Actor, depot_id: UUID) -> None:
        self.connection = connection
        self.actor = actor
        self.depot_id = depot_id
        self._is_recorded = False
        self._kinds: set[ChangeKind] = set()
        self._deferred: list[Callable[[], Awaitable[object]]] = []

    async def add_row(self, rows: Configurable[RecordT], values: Mapping[str, Any]) -> RecordT:
        """Insert a row under a new id, and record it."""
        row_id, actor = uuid7(), self.actor.name
        row = insert(rows.table).values(id=row_id, depot_id=self.depot_id, **values)
        await self.connection.execute(row.values(created_by=actor, updated_by=actor))
        made = await rows.read(self.connection, row_id)
        await self.record(f"{rows.kind}_CREATED", row_id, differences(None, made, rows.fields))
        return made

    async def change_row(
        self, rows: Configurable[RecordT], before: RecordT, changed: Mapping[str, Any], **besides: Any
    ) -> RecordT:
        """Update a row with what was ``changed``, and record it. If nothing was, it stays as it is, with its version.

        The columns ``besides`` are written with a change, but are not one by themselves.
        """
        if not changed:
            return before
        row_id = rows.id_of(before)
        row = update(rows.table).where(rows.table.c.id == row_id)
        await self.connection.execute(
            row.values(**changed, **besides, updated_at=func.now(), updated_by=self.actor.name)
        )
        after = await rows.read(self.connection, row_id)
        await self.record(f"{rows.kind}_CHANGED", row_id, differences(before, after, rows.fields))
        return after

    async def delete_row(self, rows: Configurable[RecordT], before: RecordT, **besides: Any) -> None:
        """Delete a row after the block, and record it, with the details ``besides`` what it was."""
        row_id = rows.id_of(before)
        self.defer(partial(self.connection.execute, delete(rows.table).where(rows.table.c.id == row_id)))
        await self.record(f"{rows.kind}_DELETED", row_id, {**differences(before, None, rows.fields), **besides})

    async def record(self, action: str, subject_id: UUID, detail: Mapping[str, Any] | None = None) -> None:
        """Write a change to the journal; without an entry there, nothing follows from the block."""
        self._is_recorded = True
        await record_change(
            self.connection, self.actor, action, depot_id=self.depot_id, subject_id=subject_id, detail=detail
        )

    async def close_remediations(
        self, *, sensor_action_ids: Collection[UUID] = (), device_ids: Collection[UUID] = (), every: bool = False
    ) -> None:
        """Close the open remediations of what is deleted or switched off (see ``store.site.remediations``)."""
        self._kinds |= await close_remediations(
            self.connection,
            self.actor,
            self.depot_id,
            sensor_action_ids=sensor_action_ids,
            device_ids=device_ids,
            every=every,
        )

    def defer(self, step: Callable[[], Awaitable[object]]) -> None:
        """Do something when the block has ended and capacities follow the new configuration: delete rows.

        What is to be deleted is unlinked or switched off in the block, so that its circuit is released first: the
        deletion of a row takes the state of its circuit with it, and no event would say so.
        """
        self._deferred.append(step)

    async def end(self) -> None:
        """Do what follows from the change; nothing, where none was made."""
        if not self._is_recorded and not self._deferred:
            return
        await apply_configuration_change(self.connection, self.depot_id, *self._kinds)
        for step in self._deferred:
            await step()


@asynccontextmanager
async def configuration_change(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, *, even_retired: bool = False
) -> AsyncGenerator[ConfigurationChange]:
    """Change a depot's configuration, in the caller's transaction.

    The depot is locked before the block, so what the block reads holds until the commit. After the block, if it
    recorded a change, capacities follow the new configuration, deferred steps run, and subscribers are notified.
    A block that raises has no follow-ups; its transaction is to be rolled back. ``even_retired`` is for the change
    that brings a depot back.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``DEPOT_RETIRED``.

    """
    await lock_depot(connection, depot_id, even_retired=even_retired)
    change = ConfigurationChange(connection, actor, depot_id)
    yield change
    await change.end()


@asynccontextmanager
async def change_in_depot_of(
    connection: AsyncConnection,
    actor: Actor,
    read: Callable[[AsyncConnection, UUID], Awaitable[ThingT]],
    thing_id: UUID,
) -> AsyncGenerator[tuple[ConfigurationChange, ThingT]]:
    """Change the configuration of the depot that something belongs to. Yields it as it is under the lock.

    Raises:
        Problem: What ``read`` raises, before the lock or, where the thing was deleted meanwhile, after it;
            ``DEPOT_RETIRED``.

    """
    # Nothing ever moves to another depot, so this much may be read before the lock.
    depot_id = (await read(connection, thing_id)).depot_id
    async with configuration_change(connection, actor, depot_id) as change:
        yield change, await read(connection, thing_id)


@asynccontextmanager
async def change_of(
    connection: AsyncConnection, actor: Actor, rows: Configurable[RecordT], row_id: UUID, expected: Versions
) -> AsyncGenerator[tuple[ConfigurationChange, RecordT]]:
    """Change or delete one row of the configuration, if it still has a version that is ``expected``.

    Raises:
        Problem: ``…_NOT_FOUND`` of the kind, or ``VERSION_CONFLICT``.

    """
    async with change_in_depot_of(connection, actor, rows.read, row_id) as (change, before):
        await check_version(connection, before, rows.kind.lower().replace("_", " "), row_id, expected)
        yield change, before


async def apply_configuration_change(connection: AsyncConnection, depot_id: UUID, *kinds: ChangeKind) -> None:
    """Let capacities follow the configuration as it is now, and notify subscribers of what changed.

    Called by ``configuration_change`` alone, after its block.
    """
    changed = {ChangeKind.CONFIGURATION, *kinds}
    if await follow_capacities(connection, depot_id, await clock(connection)):
        changed.add(ChangeKind.CAPACITY)
    await notify(connection, {depot_id: changed})


_COUNTED = {
    bound.code: text(f"SELECT count(*) FROM {table} WHERE depot_id = :depot_id")  # noqa: S608 - names of tables
    for bound, table in ((GATEWAYS, "gateways"), (DEVICES, "devices"), (POWER_SOURCES, "power_sources"))
}


async def check_room(connection: AsyncConnection, depot_id: UUID, bound: Bound) -> None:
    """Refuse one more thing of a kind where the depot has as many as it may have; called under the depot's lock.

    Raises:
        Problem: The code of ``bound``.

    """
    there = (await connection.execute(_COUNTED[bound.code], {"depot_id": depot_id})).scalar_one()
    bound.check(there + 1)


async def check_circuit(connection: AsyncConnection, depot_id: UUID, circuit_id: UUID | None) -> None:
    """Refuse a circuit that the depot does not have; None is no circuit and always right.

    Raises:
        Problem: ``CIRCUIT_NOT_IN_DEPOT``.

    """
    if circuit_id is None:
        return
    query = select(circuits.c.id).where(circuits.c.id == circuit_id, circuits.c.depot_id == depot_id)
    if (await connection.execute(query)).first() is None:
        raise Problem(ProblemCode.CIRCUIT_NOT_IN_DEPOT, f"Depot {depot_id} has no circuit {circuit_id}.", "circuit_id")


async def unlink_devices(connection: AsyncConnection, actor: Actor, device_ids: Collection[UUID]) -> None:
    """Take these devices, which are about to be deleted, off their circuits."""
    await connection.execute(
        update(devices)
        .where(devices.c.circuit_id.is_not(None), is_one_of(devices.c.id, device_ids))
        .values(circuit_id=None, updated_at=func.now(), updated_by=actor.name)
    )


_UNLINK = """
    WITH unlinked AS (
        UPDATE {table} SET circuit_id = NULL, updated_at = now(), updated_by = :actor
        WHERE circuit_id = ANY (CAST(:circuit_ids AS uuid[]))
        RETURNING id, depot_id, old.circuit_id AS before
    )
    INSERT INTO changes (actor, action, depot_id, subject_id, detail)
    SELECT :actor, '{action}', depot_id, id,
           jsonb_build_object('circuit_id', jsonb_build_array(before::text, NULL))
    FROM unlinked
"""
_UNLINK_ALL = (
    text(_UNLINK.format(table="devices", action="DEVICE_CHANGED")),
    text(_UNLINK.format(table="power_sources", action="POWER_SOURCE_CHANGED")),
)


async def unlink_circuits(connection: AsyncConnection, actor: Actor, circuit_ids: Collection[UUID]) -> None:
    """Take everything off these circuits, which are about to be deleted; each thing's journal records it."""
    given = {"actor": actor.name, "circuit_ids": list(circuit_ids)}
    for statement in _UNLINK_ALL:
        await connection.execute(statement, given)

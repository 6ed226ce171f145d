"""The end of every change of a site's configuration: capacities follow it, and whoever watches hears of it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.bounds import DEVICES, GATEWAYS, POWER_SOURCES, Bound
from domain.base.problems import Problem, ProblemCode
from store.base.arrays import is_one_of
from store.base.database import clock
from store.base.notify import ChangeKind, notify
from store.site.capacities import follow_capacities
from store.site.tables import circuits, devices


async def settle_site(connection: AsyncConnection, depot_id: UUID, *kinds: ChangeKind) -> None:
    """Let capacities follow the configuration as it is now, and tell what of the depot changed.

    Called once in every transaction that changes a site, after the change; where something is deleted, after it was
    unlinked or switched off and before it is deleted (see ``follow_capacities``).
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
    """Take everything off these circuits, which are about to be deleted; the journal of each thing tells of it."""
    given = {"actor": actor.name, "circuit_ids": list(circuit_ids)}
    for statement in _UNLINK_ALL:
        await connection.execute(statement, given)

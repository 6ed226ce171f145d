"""Circuits: the tree of a depot, and every change to it, in one transaction under the depot's lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.site.circuits import CircuitPlace, CircuitTree
from domain.site.deletions import SubjectKind
from store.base.arrays import is_one_of
from store.base.off_loop import off_loop
from store.site.deletions import check_consent
from store.site.depots import read_depot
from store.site.site_changes import Configurable, change_of, configuration_change, unlink_circuits
from store.site.tables import circuits


@dataclass(frozen=True)
class CircuitRecord:
    """A circuit as it is stored."""

    circuit_id: UUID
    depot_id: UUID
    parent_id: UUID | None
    name: str
    position: int
    rated_power_w: float | None
    version: int
    """Moves with every change of the circuit; not where its place moves with its siblings."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


_CIRCUITS = select(
    circuits.c.id.label("circuit_id"),
    circuits.c.depot_id,
    circuits.c.parent_id,
    circuits.c.name,
    circuits.c.position,
    circuits.c.rated_power_w,
    circuits.c.version,
    circuits.c.created_at,
    circuits.c.created_by,
    circuits.c.updated_at,
    circuits.c.updated_by,
)


async def read_circuit(connection: AsyncConnection, circuit_id: UUID) -> CircuitRecord:
    """Read one circuit.

    Raises:
        Problem: ``CIRCUIT_NOT_FOUND``.

    """
    row = (await connection.execute(_CIRCUITS.where(circuits.c.id == circuit_id))).mappings().one_or_none()
    if row is None:
        raise Problem(ProblemCode.CIRCUIT_NOT_FOUND, f"There is no circuit {circuit_id}.")
    return CircuitRecord(**row)


_CIRCUIT = Configurable(SubjectKind.CIRCUIT, circuits, read_circuit, ("name", "parent_id", "position", "rated_power_w"))


async def list_circuits(connection: AsyncConnection, depot_id: UUID) -> list[CircuitRecord]:
    """List a depot's circuits as an operator reads them: a parent before its children, siblings in order.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    await read_depot(connection, depot_id)
    rows = (await connection.execute(_CIRCUITS.where(circuits.c.depot_id == depot_id))).mappings()
    found = rows.all()
    return await off_loop(len(found), in_order, found)


def in_order(rows: Sequence[RowMapping]) -> list[CircuitRecord]:
    """Order the circuits of one depot as ``list_circuits`` does."""
    records = {row["circuit_id"]: CircuitRecord(**row) for row in rows}
    tree = CircuitTree(CircuitPlace(each.circuit_id, each.parent_id, each.position) for each in records.values())
    return [records[circuit_id] for circuit_id in tree.walk()]


_WAYS = text("""
    WITH RECURSIVE above AS (
        SELECT id AS circuit_id, parent_id, ARRAY[name] AS names FROM circuits
        WHERE id = ANY (CAST(:circuit_ids AS uuid[]))
        UNION ALL
        SELECT a.circuit_id, c.parent_id, c.name || a.names FROM above AS a JOIN circuits AS c ON c.id = a.parent_id
    )
    SELECT circuit_id, names FROM above WHERE parent_id IS NULL
""")


async def read_ways(connection: AsyncConnection, circuit_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """Read the names on the way to each of some circuits, from the top-level circuit down to its own."""
    if not circuit_ids:
        return {}
    found = await connection.execute(_WAYS, {"circuit_ids": list(circuit_ids)})
    return {row.circuit_id: row.names for row in found}


async def _read_tree(connection: AsyncConnection, depot_id: UUID) -> CircuitTree:
    places = select(circuits.c.id, circuits.c.parent_id, circuits.c.position).where(circuits.c.depot_id == depot_id)
    found = (await connection.execute(places)).all()
    return await off_loop(len(found), lambda: CircuitTree(CircuitPlace(*row) for row in found))


_STORE_PLACES = text("""
    UPDATE circuits AS c
    SET parent_id = n.parent_id, position = n.position, updated_at = now(), updated_by = :actor
    FROM unnest(CAST(:ids AS uuid[]), CAST(:parents AS uuid[]), CAST(:positions AS integer[]))
        AS n (id, parent_id, position)
    WHERE c.id = n.id
""")


async def _store_places(connection: AsyncConnection, actor: Actor, places: Sequence[CircuitPlace]) -> None:
    if places:
        await connection.execute(
            _STORE_PLACES,
            {
                "actor": actor.name,
                "ids": [place.circuit_id for place in places],
                "parents": [place.parent_id for place in places],
                "positions": [place.position for place in places],
            },
        )


async def create_circuit(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, values: Mapping[str, Any]
) -> CircuitRecord:
    """Add a circuit of ``name``, and where given ``parent_id``, ``position`` and ``rated_power_w``.

    Siblings from ``position`` on move up by one; without it the circuit comes last.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``, ``PARENT_NOT_FOUND``, ``CIRCUIT_TREE_TOO_DEEP`` or ``TOO_MANY_CIRCUITS``.

    """
    async with configuration_change(connection, actor, depot_id) as change:
        tree = await _read_tree(connection, depot_id)
        circuit_id = uuid7()
        changed = tree.add(circuit_id, values.get("parent_id"), values.get("position"))
        place = next(each for each in changed if each.circuit_id == circuit_id)
        await _store_places(connection, actor, [each for each in changed if each is not place])
        row = {**values, "id": circuit_id, "depot_id": depot_id, "position": place.position}
        made = {"created_by": actor.name, "updated_by": actor.name}
        await connection.execute(insert(circuits).values(**row, **made))
        await change.record("CIRCUIT_CREATED", circuit_id)
        return await read_circuit(connection, circuit_id)


async def update_circuit(
    connection: AsyncConnection,
    actor: Actor,
    circuit_id: UUID,
    given: Mapping[str, Any],
    expected: Versions = None,
) -> CircuitRecord:
    """Change what ``given`` names of ``name``, ``parent_id``, ``position`` and ``rated_power_w``.

    Raises:
        Problem: ``CIRCUIT_NOT_FOUND``, ``VERSION_CONFLICT``, ``PARENT_NOT_FOUND``, ``CIRCUIT_CYCLE`` or
            ``CIRCUIT_TREE_TOO_DEEP``.

    """
    async with change_of(connection, actor, _CIRCUIT, circuit_id, expected) as (change, before):
        tree = await _read_tree(connection, before.depot_id)
        moved = tree.move(circuit_id, given.get("parent_id", before.parent_id), given.get("position"))
        await _store_places(connection, actor, [place for place in moved if place.circuit_id != circuit_id])
        values = {name: given[name] for name in ("name", "rated_power_w") if name in given}
        values |= next(
            ({"parent_id": own.parent_id, "position": own.position} for own in moved if own.circuit_id == circuit_id),
            {},
        )
        # The version by hand, because a circuit that is only put elsewhere among its siblings has a new one, too.
        changed = _CIRCUIT.changed(before, values)
        return await change.change_row(_CIRCUIT, before, changed, version=before.version + 1)


async def delete_circuit(
    connection: AsyncConnection,
    actor: Actor,
    circuit_id: UUID,
    *,
    cascade: bool,
    expected: Versions = None,
    consent: str | None = None,
) -> None:
    """Delete a circuit, with all below it where ``cascade`` says so; siblings close the gap.

    Devices and power sources that were linked to a deleted circuit stay, without a circuit.

    Raises:
        Problem: ``CIRCUIT_NOT_FOUND``, ``VERSION_CONFLICT``, ``DELETION_CHANGED`` or ``CIRCUIT_HAS_CHILDREN``.

    """
    async with change_of(connection, actor, _CIRCUIT, circuit_id, expected) as (change, before):
        tree = await _read_tree(connection, before.depot_id)
        await check_consent(connection, SubjectKind.CIRCUIT, circuit_id, consent)
        gone, changed = tree.remove(circuit_id, cascade=cascade)
        await unlink_circuits(connection, actor, gone)
        # One statement: the foreign key to the parent is checked when all of them are gone.
        change.defer(partial(connection.execute, delete(circuits).where(is_one_of(circuits.c.id, gone))))
        change.defer(partial(_store_places, connection, actor, changed))
        detail = {"name": before.name, "with_circuits_below": len(gone) - 1}
        await change.record("CIRCUIT_DELETED", circuit_id, detail)

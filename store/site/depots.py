"""Depots: created with their circuits, listed, read, locked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.monitoring.depot_orders import Sorting
from domain.provisioning.outcomes import ProvisioningCode, ProvisioningState
from domain.site.circuits import MAX_CIRCUITS, CircuitTree
from store.base.arrays import is_one_of
from store.base.changes import differences, differs, record_change
from store.base.locks import lock_sites
from store.base.notifications.notify import ChangeKind, notify
from store.base.off_loop import off_loop
from store.base.versions import check_version
from store.site.fleet.fleet_list import DepotFilter, find_page
from store.site.fleet.fleet_order import RankedPlace, find_ranked
from store.site.tables import depots, microgrids


@dataclass(frozen=True)
class DepotRecord:
    """A depot as it is stored, with the microgrid that is its site's identity."""

    depot_id: UUID
    name: str
    timezone: str
    provisioning: ProvisioningState
    provisioning_code: ProvisioningCode | None
    microgrid_id: UUID | None
    allows_simulation: bool
    """Whether scenarios may run on it."""
    region: str | None
    """What it is filed under; None: nothing."""
    tags: list[str]
    """In alphabetical order."""
    retired_at: datetime | None
    """Since when it is retired; None: it is not."""
    version: int
    """Moves with every change of what people give."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True)
class NewCircuit:
    """A circuit to be created together with its depot; names are clean already."""

    name: str
    rated_power_w: float | None = None
    children: tuple[NewCircuit, ...] = ()


def depot_not_found(depot_id: UUID) -> Problem:
    """Say that a depot does not exist."""
    return Problem(ProblemCode.DEPOT_NOT_FOUND, f"There is no depot {depot_id}.")


def depot_retired(depot_id: UUID) -> Problem:
    """Say that a depot is retired."""
    return Problem(
        ProblemCode.DEPOT_RETIRED, f"Depot {depot_id} is retired. Bring it back before anything of it is changed."
    )


async def depot_names(connection: AsyncConnection, depot_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Read the names of depots, by their ids; those that do not exist are left out."""
    rows = await connection.execute(select(depots.c.id, depots.c.name).where(is_one_of(depots.c.id, depot_ids)))
    return {row.id: row.name for row in rows}


# One statement, so that the triggers look at all of them once.
_ADD_CIRCUITS = text("""
    INSERT INTO circuits (id, depot_id, parent_id, name, position, rated_power_w, created_by, updated_by)
    SELECT n.id, :depot_id, n.parent_id, n.name, n.position, n.rated_power_w, :actor, :actor
    FROM unnest(CAST(:ids AS uuid[]), CAST(:parents AS uuid[]), CAST(:names AS text[]), CAST(:positions AS integer[]),
                CAST(:ratings AS double precision[]))
        AS n (id, parent_id, name, position, rated_power_w)
""")


def _place(top_level: Sequence[NewCircuit]) -> dict[str, list[Any]]:
    """Give every circuit its id, its parent and its place, as the columns of ``_ADD_CIRCUITS``."""
    tree = CircuitTree(())
    columns: dict[str, list[Any]] = {name: [] for name in ("ids", "parents", "names", "positions", "ratings")}
    waiting: list[tuple[NewCircuit, UUID | None]] = [(circuit, None) for circuit in reversed(top_level)]
    while waiting:
        circuit, parent_id = waiting.pop()
        circuit_id = uuid7()
        (place,) = tree.add(circuit_id, parent_id, None)
        row = (circuit_id, parent_id, circuit.name, place.position, circuit.rated_power_w)
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
        waiting.extend((child, circuit_id) for child in reversed(circuit.children))
    return columns


async def create_depot(
    connection: AsyncConnection, actor: Actor, values: Mapping[str, Any], top_level: Sequence[NewCircuit]
) -> UUID:
    """Create a depot of ``values``, by the names of its settings, with its circuits.

    The outbox trigger asks for the sync that makes its microgrid.

    Raises:
        Problem: ``CIRCUIT_TREE_TOO_DEEP`` or ``TOO_MANY_CIRCUITS``.

    """
    depot_id = uuid7()
    made = {"created_by": actor.name, "updated_by": actor.name}
    await connection.execute(insert(depots).values(id=depot_id, **values, **made))
    if top_level:
        placed = await off_loop(MAX_CIRCUITS, _place, top_level)
        await connection.execute(_ADD_CIRCUITS, {**placed, "depot_id": depot_id, "actor": actor.name})
    await record_change(connection, actor, "DEPOT_CREATED", depot_id=depot_id, subject_id=depot_id)
    return depot_id


def _depots() -> Select[tuple[object, ...]]:
    active = microgrids.c.retired_at.is_(None)
    return select(
        depots.c.id.label("depot_id"),
        microgrids.c.id.label("microgrid_id"),
        *(depots.c[each.name] for each in fields(DepotRecord) if each.name in depots.c),
    ).select_from(depots.outerjoin(microgrids, (microgrids.c.depot_id == depots.c.id) & active))  # pyright: ignore[reportReturnType]


def _record(row: Row[tuple[object, ...]]) -> DepotRecord:
    values = dict(row._mapping)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - SQLAlchemy's public name
    code = values["provisioning_code"]
    values["provisioning"] = ProvisioningState(values["provisioning"])
    values["provisioning_code"] = None if code is None else ProvisioningCode(code)
    return DepotRecord(**values)


_CHANGEABLE = ("name", "timezone", "allows_simulation", "region", "tags")
_RUN_IN_PROGRESS = text("SELECT id FROM scenario_runs WHERE depot_id = :depot_id AND finished_at IS NULL")


async def update_depot(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, given: Mapping[str, Any], expected: Versions = None
) -> DepotRecord:
    """Change what ``given`` names of a depot's settings: name, time zone, region, tags, whether scenarios may run.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``, ``DEPOT_RETIRED``, ``VERSION_CONFLICT``, or ``RUN_IN_PROGRESS`` where simulation
            is to be disallowed while a run is in progress.

    """
    await lock_depot(connection, depot_id)
    before = await read_depot(connection, depot_id)
    await check_version(connection, before, "depot", depot_id, expected)
    changed = {name: value for name, value in given.items() if differs(value, getattr(before, name))}
    if not changed:
        return before
    if changed.get("allows_simulation") is False:
        await refuse_during_run(connection, depot_id, "allows_simulation")
    row = update(depots).where(depots.c.id == depot_id)
    await connection.execute(row.values(**changed, updated_at=func.now(), updated_by=actor.name))
    after = await read_depot(connection, depot_id)
    detail = differences(before, after, _CHANGEABLE)
    await record_change(connection, actor, "DEPOT_CHANGED", depot_id=depot_id, subject_id=depot_id, detail=detail)
    await notify(connection, {depot_id: [ChangeKind.CONFIGURATION]})
    return after


async def refuse_during_run(connection: AsyncConnection, depot_id: UUID, field: str | None = None) -> None:
    """Refuse what would pull the rug from under a scenario run; called under the depot's lock.

    Raises:
        Problem: ``RUN_IN_PROGRESS``.

    """
    run_id = (await connection.execute(_RUN_IN_PROGRESS, {"depot_id": depot_id})).scalar_one_or_none()
    if run_id is not None:
        raise Problem(
            ProblemCode.RUN_IN_PROGRESS,
            "A scenario run is in progress in this depot. Wait until it ends, or cancel it.",
            field,
            context={"run_id": run_id},
        )


async def read_depot(connection: AsyncConnection, depot_id: UUID) -> DepotRecord:
    """Read one depot.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    row = (await connection.execute(_depots().where(depots.c.id == depot_id))).one_or_none()
    if row is None:
        raise depot_not_found(depot_id)
    return _record(row)


async def list_depots(
    connection: AsyncConnection,
    wanted: DepotFilter,
    *,
    after: tuple[str, UUID] | None,
    limit: int,
    is_descending: bool = False,
) -> list[DepotRecord]:
    """List depots in the natural order of names, then by id, beginning after the place ``after``."""
    found = await find_page(connection, wanted, after, limit, is_descending=is_descending)
    return await _read_those(connection, found)


async def list_ranked_depots(
    connection: AsyncConnection, wanted: DepotFilter, sorting: Sorting, *, after: RankedPlace | None, limit: int
) -> list[tuple[RankedPlace, DepotRecord]]:
    """List depots in an order that is not that of names, beginning after the place ``after``; each with its place."""
    places = await find_ranked(connection, wanted, sorting, after, limit)
    return list(zip(places, await _read_those(connection, [place[-1] for place in places]), strict=True))


async def _read_those(connection: AsyncConnection, depot_ids: Sequence[UUID]) -> list[DepotRecord]:
    """Read depots in the order in which they are named; none of them is ever deleted."""
    query = _depots().where(is_one_of(depots.c.id, depot_ids))
    found = {record.depot_id: record for record in map(_record, await connection.execute(query))}
    return [found[depot_id] for depot_id in depot_ids]


async def lock_depot(connection: AsyncConnection, depot_id: UUID, *, even_retired: bool = False) -> None:
    """Wait until no one else changes this depot's site, and keep others out until the transaction ends.

    Every change of circuits, gateways, devices, power sources and sensor actions, every sync and every landing of an
    import takes this lock first. Packets take the first half of it (``lock_sites``): they wait for a change of the
    configuration, and it for them. Nothing of a retired depot is changed, but that it is brought back
    (``even_retired``).

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``DEPOT_RETIRED``.

    """
    await lock_sites(connection, (depot_id,))
    query = select(depots.c.retired_at).where(depots.c.id == depot_id).with_for_update(key_share=True)
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        raise depot_not_found(depot_id)
    if found.retired_at is not None and not even_retired:
        raise depot_retired(depot_id)

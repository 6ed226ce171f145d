"""Microgrids: read them, and reconcile one with its depot's top-level circuits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.provisioning.outcomes import NAMED_CHANGES, ProvisioningCode, ProvisioningState, SyncOutcome, SyncResult
from domain.provisioning.reconcile import GridConnection, ReconcilePlan, TopLevelCircuit, plan_reconcile
from store.base.arrays import is_one_of
from store.base.changes import record_change
from store.base.off_loop import off_loop
from store.provisioning.tables import microgrid_nodes
from store.site.depots import lock_depot
from store.site.tables import circuits, depots, microgrids


@dataclass(frozen=True)
class NodeRecord:
    """A first-level node of a microgrid."""

    node_id: UUID
    circuit_id: UUID
    name: str
    position: int


@dataclass(frozen=True)
class MicrogridRecord:
    """The canonical microgrid of a depot."""

    microgrid_id: UUID
    depot_id: UUID
    version: int
    synced_at: datetime
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    grid_connections: tuple[NodeRecord, ...]


async def read_microgrid(
    connection: AsyncConnection, *, microgrid_id: UUID | None = None, depot_id: UUID | None = None
) -> MicrogridRecord:
    """Read the active microgrid by its own id or by its depot's (COR-8.3).

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``.

    """
    query = select(
        microgrids.c.id.label("microgrid_id"),
        microgrids.c.depot_id,
        microgrids.c.version,
        microgrids.c.synced_at,
        microgrids.c.created_at,
        microgrids.c.created_by,
        microgrids.c.updated_at,
        microgrids.c.updated_by,
    ).where(microgrids.c.retired_at.is_(None))
    if microgrid_id is not None:
        query = query.where(microgrids.c.id == microgrid_id)
        missing = f"There is no microgrid {microgrid_id}."
    else:
        query = query.where(microgrids.c.depot_id == depot_id)
        missing = f"Depot {depot_id} has no microgrid. Its provisioning says why."
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise Problem(ProblemCode.MICROGRID_NOT_FOUND, missing)
    nodes = (
        select(
            microgrid_nodes.c.id,
            microgrid_nodes.c.circuit_id,
            microgrid_nodes.c.name,
            microgrid_nodes.c.position,
        )
        .where(microgrid_nodes.c.microgrid_id == row["microgrid_id"])
        .order_by(microgrid_nodes.c.position)
    )
    connections = tuple(NodeRecord(*node) for node in (await connection.execute(nodes)))
    return MicrogridRecord(**row, grid_connections=connections)


async def check_microgrid(connection: AsyncConnection, microgrid_id: UUID) -> None:
    """Refuse an id that no microgrid ever had. One that is retired has its history.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``.

    """
    query = select(microgrids.c.id).where(microgrids.c.id == microgrid_id)
    if (await connection.execute(query)).one_or_none() is None:
        raise Problem(ProblemCode.MICROGRID_NOT_FOUND, f"There is no microgrid {microgrid_id}.")


async def reconcile_microgrid(connection: AsyncConnection, actor: Actor, depot_id: UUID) -> SyncResult:
    """Make the depot's microgrid follow its top-level circuits. Running it twice changes nothing more.

    The depot's lock makes it serial with circuit changes, imports and the backfill of the same depot; the
    partial unique index would refuse a second microgrid even without it (COR-8.10).
    """
    try:
        await lock_depot(connection, depot_id)
    except Problem as problem:
        is_retired = problem.code is ProblemCode.DEPOT_RETIRED
        outcome = SyncOutcome.DEPOT_RETIRED if is_retired else SyncOutcome.DEPOT_GONE
        return SyncResult(depot_id, None, outcome, None, None)
    circuits_now = await _top_level_circuits(connection, depot_id)
    stored = (
        await connection.execute(
            select(microgrids.c.id, microgrids.c.version).where(
                microgrids.c.depot_id == depot_id, microgrids.c.retired_at.is_(None)
            )
        )
    ).one_or_none()
    if stored is None:
        if not circuits_now:
            await _set_provisioning(connection, depot_id, ProvisioningCode.NO_TOP_LEVEL_CIRCUITS)
            return SyncResult(depot_id, None, SyncOutcome.NO_TOP_LEVEL_CIRCUITS, None, None)
        return await _create(connection, actor, depot_id, circuits_now)
    microgrid_id, version = stored
    nodes = await _nodes(connection, microgrid_id)
    plan = await off_loop(len(nodes) + len(circuits_now), plan_reconcile, nodes, circuits_now)
    if plan.rewrites:
        await _apply(connection, microgrid_id, plan)
        await record_change(
            connection,
            actor,
            "MICROGRID_SYNCED",
            depot_id=depot_id,
            subject_id=microgrid_id,
            detail={
                **{
                    kind: [change.name for change in getattr(plan, kind)[:NAMED_CHANGES]]
                    for kind in ("added", "removed", "renamed", "moved")
                },
                "counts": asdict(plan.counts),
            },
        )
    after = version + 1 if plan.version_moves else version
    values = {"updated_at": text("now()"), "updated_by": actor.name} if plan.rewrites else {}
    await connection.execute(
        update(microgrids)
        .where(microgrids.c.id == microgrid_id)
        .values(version=after, synced_at=text("now()"), **values)
    )
    await _set_provisioning(connection, depot_id, None if circuits_now else ProvisioningCode.NO_TOP_LEVEL_CIRCUITS)
    if not circuits_now:
        outcome = SyncOutcome.NO_TOP_LEVEL_CIRCUITS
    else:
        outcome = SyncOutcome.CHANGED if plan.rewrites else SyncOutcome.UNCHANGED
    return _result(depot_id, microgrid_id, outcome, version, after, plan)


def _result(
    depot_id: UUID, microgrid_id: UUID, outcome: SyncOutcome, before: int | None, after: int, plan: ReconcilePlan
) -> SyncResult:
    named = (kind[:NAMED_CHANGES] for kind in (plan.added, plan.removed, plan.renamed, plan.moved))
    return SyncResult(depot_id, microgrid_id, outcome, before, after, *named, counts=plan.counts)


async def note_failed_sync(connection: AsyncConnection, actor: Actor, depot_id: UUID, failure: str) -> None:
    """Say of a depot that its sync failed for good. A depot that is gone or retired needs no word."""
    try:
        await lock_depot(connection, depot_id)
    except Problem:
        return
    await _set_provisioning(connection, depot_id, ProvisioningCode.SYNC_FAILED)
    await record_change(connection, actor, "MICROGRID_SYNC_FAILED", depot_id=depot_id, detail={"failure": failure})


async def _create(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, circuits_now: Sequence[TopLevelCircuit]
) -> SyncResult:
    plan = await off_loop(len(circuits_now), plan_reconcile, (), circuits_now)
    microgrid_id = (
        await connection.execute(
            insert(microgrids)
            .values(depot_id=depot_id, created_by=actor.name, updated_by=actor.name)
            .returning(microgrids.c.id)
        )
    ).scalar_one()
    await _apply(connection, microgrid_id, plan)
    await _set_provisioning(connection, depot_id, None)
    await record_change(connection, actor, "MICROGRID_CREATED", depot_id=depot_id, subject_id=microgrid_id)
    return _result(depot_id, microgrid_id, SyncOutcome.CREATED, None, 1, plan)


async def _top_level_circuits(connection: AsyncConnection, depot_id: UUID) -> list[TopLevelCircuit]:
    query = (
        select(circuits.c.id, circuits.c.name)
        .where(circuits.c.depot_id == depot_id, circuits.c.parent_id.is_(None))
        .order_by(circuits.c.position)
    )
    return [TopLevelCircuit(*row) for row in (await connection.execute(query))]


async def _nodes(connection: AsyncConnection, microgrid_id: UUID) -> list[GridConnection]:
    query = (
        select(microgrid_nodes.c.circuit_id, microgrid_nodes.c.name, microgrid_nodes.c.position)
        .where(microgrid_nodes.c.microgrid_id == microgrid_id)
        .order_by(microgrid_nodes.c.position)
    )
    return [GridConnection(*row) for row in (await connection.execute(query))]


_STORE_NODES = text("""
    INSERT INTO microgrid_nodes (microgrid_id, circuit_id, name, position)
    SELECT :microgrid_id, n.circuit_id, n.name, n.position
    FROM unnest(CAST(:circuits AS uuid[]), CAST(:names AS text[]), CAST(:positions AS integer[]))
        AS n (circuit_id, name, position)
    ON CONFLICT ON CONSTRAINT microgrid_nodes_circuit
    DO UPDATE SET name = excluded.name, position = excluded.position
""")


async def _apply(connection: AsyncConnection, microgrid_id: UUID, plan: ReconcilePlan) -> None:
    """Store what the plan changes. A grid connection that stays keeps its node id."""
    if plan.removed:
        await connection.execute(
            delete(microgrid_nodes).where(
                microgrid_nodes.c.microgrid_id == microgrid_id,
                is_one_of(microgrid_nodes.c.circuit_id, (change.circuit_id for change in plan.removed)),
            )
        )
    if plan.rewritten:
        await connection.execute(
            _STORE_NODES,
            {
                "microgrid_id": microgrid_id,
                "circuits": [node.circuit_id for node in plan.rewritten],
                "names": [node.name for node in plan.rewritten],
                "positions": [node.position for node in plan.rewritten],
            },
        )


async def _set_provisioning(connection: AsyncConnection, depot_id: UUID, failure: ProvisioningCode | None) -> None:
    state = ProvisioningState.PROVISIONED if failure is None else ProvisioningState.FAILED
    await connection.execute(
        update(depots)
        .where(
            depots.c.id == depot_id,
            (depots.c.provisioning != state) | depots.c.provisioning_code.is_distinct_from(failure),
        )
        .values(provisioning=state, provisioning_code=failure)
    )


_DRIFT = text("""
    SELECT EXISTS (
        SELECT 1 FROM (SELECT id, name, row_number() OVER (ORDER BY position) - 1 AS place
                       FROM circuits WHERE depot_id = :depot_id AND parent_id IS NULL) AS c
        FULL JOIN (SELECT circuit_id, name, position AS place
                   FROM microgrid_nodes WHERE microgrid_id = :microgrid_id) AS n ON n.circuit_id = c.id
        WHERE (c.id, c.name, c.place) IS DISTINCT FROM (n.circuit_id, n.name, n.place)
    )
""")


async def has_drifted(connection: AsyncConnection, microgrid: MicrogridRecord) -> bool:
    """Whether the grid connections differ from the top-level circuits at this moment."""
    found = await connection.execute(_DRIFT, {"depot_id": microgrid.depot_id, "microgrid_id": microgrid.microgrid_id})
    return bool(found.scalar_one())

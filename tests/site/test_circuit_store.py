"""Circuit changes and reconciling on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from domain.provisioning.outcomes import ProvisioningCode, ProvisioningState, SyncOutcome, SyncResult
from store.base.database import transaction
from store.base.tables import changes
from store.provisioning.microgrids import reconcile_microgrid
from store.provisioning.tables import microgrid_nodes, outbox
from store.site.circuits import create_circuit, delete_circuit, update_circuit
from store.site.depots import NewCircuit, create_depot, read_depot
from store.site.tables import circuits, microgrids
from tests.helpers.support import ACTOR, active_microgrids, assert_follows, circuits_of, make_depot, microgrid_of


async def sync(engine: AsyncEngine, depot_id: UUID) -> SyncResult:
    async with transaction(engine, ACTOR) as connection:
        return await reconcile_microgrid(connection, ACTOR, depot_id)


async def add(
    engine: AsyncEngine, depot_id: UUID, name: str, parent: UUID | None = None, at: int | None = None
) -> UUID:
    async with transaction(engine, ACTOR) as connection:
        made = await create_circuit(connection, ACTOR, depot_id, {"name": name, "parent_id": parent, "position": at})
    return made.circuit_id


async def waiting(engine: AsyncEngine) -> list[UUID]:
    async with engine.connect() as connection:
        return list((await connection.execute(select(outbox.c.depot_id).order_by(outbox.c.id))).scalars())


async def empty_outbox(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(delete(outbox))


@pytest.mark.acceptance("COR-8.4", "COR-8.5", "COR-8.6", "COR-8.7")
@pytest.mark.parametrize("seed", range(6))
async def test_after_every_sync_the_nodes_are_the_top_level_circuits(engine: AsyncEngine, seed: int) -> None:
    rng = random.Random(seed)
    depot_id = await make_depot(engine, "Feed 1", "Feed 2")
    await sync(engine, depot_id)
    for step in range(40):
        before = await microgrid_of(engine, depot_id)
        existing = await circuits_of(engine, depot_id)
        kind = rng.choice(["add", "add", "rename", "move", "delete"]) if existing else "add"
        parent = rng.choice([None, None, *(circuit.circuit_id for circuit in existing)])
        one = rng.choice(existing) if existing else None
        try:
            if kind == "add" or one is None:
                await add(engine, depot_id, f"Circuit {step}", parent, rng.choice([None, 0, 1, 9]))
            else:
                async with transaction(engine, ACTOR) as connection:
                    if kind == "rename":
                        await update_circuit(connection, ACTOR, one.circuit_id, {"name": f"Renamed {step}"})
                    elif kind == "move":
                        given = {"parent_id": parent, "position": rng.choice([None, 0, 1, 9])}
                        await update_circuit(connection, ACTOR, one.circuit_id, given)
                    else:
                        await delete_circuit(connection, ACTOR, one.circuit_id, cascade=rng.random() < 0.5)
        except Problem as refused:
            assert refused.code in (ProblemCode.CIRCUIT_CYCLE, ProblemCode.CIRCUIT_HAS_CHILDREN)
        result = await sync(engine, depot_id)
        after = await assert_follows(engine, depot_id)
        changed = [n.circuit_id for n in before.grid_connections] != [n.circuit_id for n in after.grid_connections]
        assert after.version == before.version + changed
        assert (result.version_before, result.version_after) == (before.version, after.version)
        assert after.microgrid_id == before.microgrid_id
        siblings: dict[UUID | None, list[int]] = {}
        for circuit in await circuits_of(engine, depot_id):
            siblings.setdefault(circuit.parent_id, []).append(circuit.position)
        assert all(places == list(range(len(places))) for places in siblings.values())


@pytest.mark.acceptance("COR-8.11")
async def test_a_second_sync_changes_nothing(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "Feed 1", "Feed 2")
    assert (await sync(engine, depot_id)).outcome is SyncOutcome.CREATED
    before = await microgrid_of(engine, depot_id)
    assert (await sync(engine, depot_id)).outcome is SyncOutcome.UNCHANGED
    after = await microgrid_of(engine, depot_id)
    assert after.synced_at > before.synced_at
    assert (after.version, after.updated_at, after.grid_connections) == (
        before.version, before.updated_at, before.grid_connections,
    )  # fmt: skip


@pytest.mark.acceptance("COR-8.7", "COR-8.11")
async def test_a_rename_shows_and_does_not_move_the_version(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "Feed 1")
    await sync(engine, depot_id)
    (circuit,) = await circuits_of(engine, depot_id)
    async with transaction(engine, ACTOR) as connection:
        await update_circuit(connection, ACTOR, circuit.circuit_id, {"name": "Incomer"})
    result = await sync(engine, depot_id)
    assert result.outcome is SyncOutcome.CHANGED
    assert [(change.name, change.previous_name) for change in result.renamed] == [("Incomer", "Feed 1")]
    microgrid = await assert_follows(engine, depot_id)
    assert microgrid.version == 1


@pytest.mark.acceptance("COR-8.12")
async def test_a_depot_without_top_level_circuits_fails_and_heals(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine)
    result = await sync(engine, depot_id)
    assert (result.outcome, result.microgrid_id) == (SyncOutcome.NO_TOP_LEVEL_CIRCUITS, None)
    async with engine.connect() as connection:
        depot = await read_depot(connection, depot_id)
        rows = (await connection.execute(select(microgrids.c.id))).all()
    assert (depot.provisioning, depot.provisioning_code) == (
        ProvisioningState.FAILED, ProvisioningCode.NO_TOP_LEVEL_CIRCUITS,
    )  # fmt: skip
    assert rows == []
    await add(engine, depot_id, "First feed")
    assert (await sync(engine, depot_id)).outcome is SyncOutcome.CREATED
    async with engine.connect() as connection:
        depot = await read_depot(connection, depot_id)
    assert (depot.provisioning, depot.provisioning_code) == (ProvisioningState.PROVISIONED, None)


@pytest.mark.acceptance("COR-8.6", "COR-8.12")
async def test_the_last_top_level_circuit_goes_and_the_microgrid_stays_itself(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "Only feed")
    created = await sync(engine, depot_id)
    (circuit,) = await circuits_of(engine, depot_id)
    async with transaction(engine, ACTOR) as connection:
        await delete_circuit(connection, ACTOR, circuit.circuit_id, cascade=False)
    result = await sync(engine, depot_id)
    assert result.outcome is SyncOutcome.NO_TOP_LEVEL_CIRCUITS
    assert [change.name for change in result.removed] == ["Only feed"]
    empty = await microgrid_of(engine, depot_id)
    assert (empty.microgrid_id, empty.version, empty.grid_connections) == (created.microgrid_id, 2, ())
    async with engine.connect() as connection:
        assert (await read_depot(connection, depot_id)).provisioning is ProvisioningState.FAILED
    await add(engine, depot_id, "New feed")
    healed = await sync(engine, depot_id)
    assert healed.microgrid_id == created.microgrid_id
    assert (await assert_follows(engine, depot_id)).version == 3


async def test_a_grid_connection_that_stays_keeps_its_node_id(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A", "B")
    await sync(engine, depot_id)
    before = {node.name: node.node_id for node in (await microgrid_of(engine, depot_id)).grid_connections}
    await add(engine, depot_id, "C", at=0)
    await sync(engine, depot_id)
    after = {node.name: node.node_id for node in (await microgrid_of(engine, depot_id)).grid_connections}
    assert list(after) == ["C", "A", "B"]
    assert before.items() <= after.items()


async def test_drift_made_by_hand_is_repaired(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A", "B", "C")
    await sync(engine, depot_id)
    async with engine.begin() as connection:
        await connection.execute(delete(microgrid_nodes).where(microgrid_nodes.c.name == "A"))
        await connection.execute(update(microgrid_nodes).where(microgrid_nodes.c.name == "B").values(name="X"))
        await connection.execute(
            insert(microgrid_nodes).values(
                microgrid_id=(await microgrid_of(engine, depot_id)).microgrid_id,
                circuit_id=uuid4(),
                name="Ghost",
                position=7,
            )
        )
    result = await sync(engine, depot_id)
    assert [change.name for change in result.added] == ["A"]
    assert [change.name for change in result.removed] == ["Ghost"]
    assert [change.previous_name for change in result.renamed] == ["X"]
    await assert_follows(engine, depot_id)


@pytest.mark.acceptance("COR-8.10")
async def test_syncs_that_race_make_one_microgrid(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A", "B")
    results = await asyncio.gather(*(sync(engine, depot_id) for _ in range(12)))
    assert [result.outcome for result in results].count(SyncOutcome.CREATED) == 1
    assert len(await active_microgrids(engine, depot_id)) == 1


@pytest.mark.acceptance("COR-8.10")
async def test_the_database_itself_refuses_a_second_active_microgrid(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    await sync(engine, depot_id)
    with pytest.raises(DBAPIError, match="microgrids_one_active"):
        async with engine.begin() as connection:
            await connection.execute(insert(microgrids).values(depot_id=depot_id, created_by="x", updated_by="x"))


async def test_reparents_that_race_cannot_make_a_cycle(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A", "B")

    async def hang(circuit: UUID, under: UUID) -> bool:
        try:
            async with transaction(engine, ACTOR) as connection:
                await update_circuit(connection, ACTOR, circuit, {"parent_id": under})
        except Problem as refused:
            assert refused.code is ProblemCode.CIRCUIT_CYCLE
            return False
        return True

    for _ in range(10):
        first, second = [circuit.circuit_id for circuit in await circuits_of(engine, depot_id)]
        done = await asyncio.gather(hang(first, second), hang(second, first))
        assert sorted(done) == [False, True]
        # Everything is still reached from the top: there is no ring beside the tree.
        assert len(await circuits_of(engine, depot_id)) == 2
        async with transaction(engine, ACTOR) as connection:
            for each in (first, second):
                await update_circuit(connection, ACTOR, each, {"parent_id": None})


async def test_the_database_itself_refuses_a_cycle(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    (top,) = await circuits_of(engine, depot_id)
    below = await add(engine, depot_id, "Below", top.circuit_id)
    with pytest.raises(DBAPIError, match="its own ancestor"):
        async with engine.begin() as connection:
            await connection.execute(
                update(circuits).where(circuits.c.id == top.circuit_id).values(parent_id=below, position=0)
            )


async def test_the_database_itself_refuses_a_cycle_inserted_at_once(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine)
    first, second = uuid4(), uuid4()
    made = {"depot_id": depot_id, "position": 0, "name": "Ring", "created_by": "x", "updated_by": "x"}
    rows = [{"id": first, "parent_id": second, **made}, {"id": second, "parent_id": first, **made}]
    with pytest.raises(DBAPIError, match="their own ancestors"):
        async with engine.begin() as connection:
            await connection.execute(insert(circuits).values(rows))


async def test_a_parent_in_another_depot_is_refused_by_rule_and_by_database(engine: AsyncEngine) -> None:
    here, there = await make_depot(engine, "A"), await make_depot(engine, "B")
    (foreign,) = await circuits_of(engine, there)
    with pytest.raises(Problem) as refused:
        await add(engine, here, "C", foreign.circuit_id)
    assert refused.value.code is ProblemCode.PARENT_NOT_FOUND
    made = {"created_by": "x", "updated_by": "x"}
    with pytest.raises(DBAPIError, match="circuits_parent"):
        async with engine.begin() as connection:
            await connection.execute(
                insert(circuits).values(depot_id=here, parent_id=foreign.circuit_id, name="C", position=0, **made)
            )


async def test_the_outbox_hears_what_the_microgrid_shows_and_nothing_else(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A", "B")
    assert set(await waiting(engine)) == {depot_id}
    top, other = await circuits_of(engine, depot_id)

    async def heard(change: dict[str, object], circuit: UUID) -> bool:
        await empty_outbox(engine)
        async with transaction(engine, ACTOR) as connection:
            await update_circuit(connection, ACTOR, circuit, change)
        return await waiting(engine) != []

    await empty_outbox(engine)
    below = await add(engine, depot_id, "Below", top.circuit_id)
    assert await waiting(engine) == []
    assert not await heard({"name": "Below, renamed"}, below)
    assert not await heard({"rated_power_w": 5.0}, top.circuit_id)
    assert not await heard({"name": "A"}, top.circuit_id)
    assert await heard({"name": "A, renamed"}, top.circuit_id)
    assert await heard({"position": 1}, top.circuit_id)
    assert await heard({"parent_id": None}, below)
    assert await heard({"parent_id": other.circuit_id}, below)
    await empty_outbox(engine)
    async with engine.begin() as connection:
        await connection.execute(delete(circuits).where(circuits.c.id == top.circuit_id))
    assert await waiting(engine) == [depot_id]


async def test_a_change_and_its_outbox_row_are_one(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    await empty_outbox(engine)
    with pytest.raises(RuntimeError, match="the plug"):
        async with transaction(engine, ACTOR) as connection:
            await create_circuit(connection, ACTOR, depot_id, {"name": "B"})
            raise RuntimeError("the plug")
    assert await waiting(engine) == []
    assert len(await circuits_of(engine, depot_id)) == 1


async def test_every_change_stores_who_made_it(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    circuit_id = await add(engine, depot_id, "B")
    async with transaction(engine, ACTOR) as connection:
        await update_circuit(connection, ACTOR, circuit_id, {"name": "C"})
        await delete_circuit(connection, ACTOR, circuit_id, cascade=False)
    await sync(engine, depot_id)
    async with engine.connect() as connection:
        told = (await connection.execute(select(changes.c.action, changes.c.actor).order_by(changes.c.id))).all()
        asked = (await connection.execute(text("SELECT DISTINCT requested_by FROM outbox"))).scalars().all()
    assert [tuple(row) for row in told] == [
        (action, ACTOR.name)
        for action in ("DEPOT_CREATED", "CIRCUIT_CREATED", "CIRCUIT_CHANGED", "CIRCUIT_DELETED", "MICROGRID_CREATED")
    ]
    assert asked == [ACTOR.name]


async def test_a_depot_is_created_whole_or_not_at_all(engine: AsyncEngine) -> None:
    deep = NewCircuit("bottom")
    for _ in range(40):
        deep = NewCircuit("level", children=(deep,))
    with pytest.raises(Problem) as refused:
        async with transaction(engine, ACTOR) as connection:
            await create_depot(connection, ACTOR, {"name": "Deep", "timezone": "UTC"}, [deep])
    assert refused.value.code is ProblemCode.CIRCUIT_TREE_TOO_DEEP
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM depots"))).scalar_one() == 0

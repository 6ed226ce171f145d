"""The drift audit finds microgrids out of step, over all depots, and has them repaired."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.drift_audit import NAMED, DriftAuditActivities
from domain.monitoring.upkeep import DRIFT_ACTOR, DriftOutcome, DriftReport, DriftRequest
from runtime.search_attributes import OUTCOME
from store.base.database import transaction
from store.provisioning.drift import drifted_depots
from store.provisioning.microgrids import reconcile_microgrid
from store.provisioning.tables import microgrid_nodes, outbox
from store.site.tables import circuits
from tests.helpers.live import make_worker, working
from tests.helpers.support import ACTOR, assert_follows, follows, make_depot, microgrid_of, until
from tests.helpers.support import drifted_depots as drifted_by_the_tests_own_rule
from workflows.drift_audit import DriftAuditWorkflow

AT_ONCE = DriftRequest(settle_seconds=0)


async def provisioned(engine: AsyncEngine, *names: str) -> UUID:
    """A depot whose microgrid follows, with nothing left to tell."""
    depot_id = await make_depot(engine, *names)
    async with transaction(engine, ACTOR) as connection:
        await reconcile_microgrid(connection, ACTOR, depot_id)
        await connection.execute(delete(outbox))
    return depot_id


async def drift(engine: AsyncEngine, *depots: UUID) -> None:
    """Take the first grid connection of each away, behind the product's back."""
    async with engine.begin() as connection:
        for depot_id in depots:
            node = (await microgrid_of(engine, depot_id)).grid_connections[0]
            await connection.execute(delete(microgrid_nodes).where(microgrid_nodes.c.id == node.node_id))


async def audit(engine: AsyncEngine, request: DriftRequest = AT_ONCE) -> DriftReport:
    """Run the step alone."""
    return await ActivityEnvironment().run(DriftAuditActivities(engine).find_drift, request)


async def asked(engine: AsyncEngine) -> list[tuple[UUID, str, str]]:
    """What waits in the outbox."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(outbox.c.depot_id, outbox.c.reason, outbox.c.requested_by).order_by(outbox.c.depot_id)
        )
        return [tuple(row) for row in rows]


async def found(engine: AsyncEngine) -> Sequence[UUID]:
    async with engine.connect() as connection:
        assert sorted(await drifted_by_the_tests_own_rule(connection)) == await drifted_depots(connection)
        return await drifted_depots(connection)


async def test_every_kind_of_drift_is_found(engine: AsyncEngine) -> None:
    depots = [await provisioned(engine, "A", "B") for _ in range(6)]
    missing, renamed, swapped, strange, emptied, good = depots
    await drift(engine, missing)
    async with engine.begin() as connection:
        nodes = {
            depot_id: [node.node_id for node in (await microgrid_of(engine, depot_id)).grid_connections]
            for depot_id in depots
        }
        await connection.execute(
            update(microgrid_nodes).where(microgrid_nodes.c.id == nodes[renamed][0]).values(name="Another")
        )
        await connection.execute(text("SET CONSTRAINTS ALL DEFERRED"))
        for place, node_id in enumerate(reversed(nodes[swapped])):
            await connection.execute(
                update(microgrid_nodes).where(microgrid_nodes.c.id == node_id).values(position=place + 10)
            )
        # A circuit of another depot, and circuits that vanished without their triggers.
        await connection.execute(
            text("UPDATE microgrid_nodes SET circuit_id = uuidv7() WHERE id = :id"), {"id": nodes[strange][0]}
        )
        await connection.execute(text("SET LOCAL session_replication_role = 'replica'"))
        await connection.execute(delete(circuits).where(circuits.c.depot_id == emptied))
    assert await found(engine) == sorted({missing, renamed, swapped, strange, emptied})
    assert good not in await found(engine)


async def test_what_is_no_drift_is_not_found(engine: AsyncEngine) -> None:
    await make_depot(engine, "Not provisioned yet")
    async with engine.begin() as connection:
        await connection.execute(delete(outbox))
        assert await drifted_depots(connection) == []
    waiting = await provisioned(engine, "A")
    await drift(engine, waiting)
    async with transaction(engine, ACTOR) as connection:
        # Its sync is asked for already.
        await connection.execute(text("SELECT request_sync(ARRAY[CAST(:id AS uuid)], 'RESYNC')"), {"id": waiting})
    report = await audit(engine)
    assert (report.microgrids, report.drifted, report.outcome) == (1, 0, DriftOutcome.IN_STEP)


async def test_a_depot_that_is_just_being_synced_is_not_reported(engine: AsyncEngine) -> None:
    slow, drifted = await provisioned(engine, "A"), await provisioned(engine, "A")
    await drift(engine, slow, drifted)
    looks: list[set[UUID]] = []

    class Audit(DriftAuditActivities):
        async def _look(self) -> tuple[set[UUID], int]:
            looked = await super()._look()
            if not looks:
                # Its sync ends between the two looks.
                async with transaction(engine, ACTOR) as connection:
                    await reconcile_microgrid(connection, ACTOR, slow)
            looks.append(set(looked[0]))
            return looked

    report = await ActivityEnvironment().run(Audit(engine).find_drift, AT_ONCE)
    assert looks == [{slow, drifted}, {drifted}]
    assert (report.drifted, report.depots) == (1, [drifted])
    assert [depot_id for depot_id, *_ in await asked(engine)] == [drifted]


async def test_a_sync_is_asked_for_each_in_the_audits_name(engine: AsyncEngine) -> None:
    depots = sorted([await provisioned(engine, "A", "B") for _ in range(3)])
    await drift(engine, *depots[:2])
    report = await audit(engine)
    assert report == DriftReport(microgrids=3, drifted=2, depots=depots[:2], repairing=True)
    assert await asked(engine) == [(depot_id, "DRIFT_FOUND", DRIFT_ACTOR) for depot_id in depots[:2]]
    # What waits for its sync is not asked for again.
    assert (await audit(engine)).drifted == 0
    assert len(await asked(engine)) == 2


async def test_where_repair_is_off_it_only_reports(engine: AsyncEngine) -> None:
    depot_id = await provisioned(engine, "A")
    await drift(engine, depot_id)
    report = await audit(engine, DriftRequest(repair=False, settle_seconds=0))
    assert (report.drifted, report.repairing) == (1, False)
    assert await asked(engine) == []


async def test_a_report_names_the_first_hundred(engine: AsyncEngine) -> None:
    depots = sorted([await provisioned(engine, "A") for _ in range(NAMED + 3)])
    await drift(engine, *depots)
    report = await audit(engine)
    assert (report.drifted, report.depots) == (NAMED + 3, depots[:NAMED])
    assert len(await asked(engine)) == NAMED + 3


async def test_drift_is_found_and_repaired_without_anyone(engine: AsyncEngine, client: Client, task_queue: str) -> None:
    depots = [await provisioned(engine, "A", "B") for _ in range(3)]
    await drift(engine, *depots[:2])
    async with working(client, engine, task_queue):
        handle = await client.start_workflow(
            DriftAuditWorkflow.run, AT_ONCE, id=f"drift-audit/{uuid4()}", task_queue=task_queue
        )
        report = await handle.result()
        assert (report.microgrids, report.drifted, sorted(depots[:2])) == (3, 2, report.depots)
        described = await handle.describe()
        assert described.typed_search_attributes[OUTCOME] == "DRIFT_FOUND"
        for depot_id in depots:
            await until(lambda depot_id=depot_id: follows(engine, depot_id))
        again = await client.execute_workflow(
            DriftAuditWorkflow.run, AT_ONCE, id=f"drift-audit/{uuid4()}", task_queue=task_queue
        )
        assert again.drifted == 0


async def test_without_microgrids_there_is_nothing_to_find(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    async with make_worker(client, engine, task_queue):
        report = await client.execute_workflow(
            DriftAuditWorkflow.run, AT_ONCE, id=f"drift-audit/{uuid4()}", task_queue=task_queue
        )
    assert report == DriftReport(microgrids=0, drifted=0, depots=[], repairing=True)
    assert report.in_words() == "0 microgrids in step"
    await assert_follows(engine, await provisioned(engine, "A"))

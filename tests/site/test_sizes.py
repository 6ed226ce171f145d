"""How large a depot may be, and that what is done for it grows with it in a straight line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

import domain.site.circuits
import store
from api.provisioning.microgrids import Microgrid, Structure
from api.site.circuits import Circuit
from domain.base.problems import Problem, ProblemCode
from domain.provisioning.outcomes import NAMED_CHANGES, NodeChange, SyncOutcome, SyncRequest, SyncResult
from domain.site.circuits import MAX_CIRCUITS, CircuitPlace, CircuitTree
from store.base.database import transaction
from store.base.tables import changes
from store.provisioning import microgrids as microgrid_store
from store.provisioning.microgrids import reconcile_microgrid
from store.provisioning.tables import outbox
from store.site import circuits as circuit_store
from store.site import depots as depot_store
from store.site.circuits import create_circuit, delete_circuit, update_circuit
from store.site.depots import NewCircuit, create_depot
from store.site.tables import circuits, depots
from tests.factories.depots import depot_with
from tests.factories.fleet_lines import circuit, depot, encode, import_lines, post
from tests.helpers.counting import statements_of, watch_threads
from tests.helpers.live import working
from tests.helpers.support import ACTOR, add_circuit, assert_follows, circuits_of, follows, make_depot, until
from workflows.launch import resync


async def sync(engine: AsyncEngine, depot_id: UUID) -> SyncResult:
    async with transaction(engine, ACTOR) as connection:
        return await reconcile_microgrid(connection, ACTOR, depot_id)


async def add(engine: AsyncEngine, depot_id: UUID, name: str = "One more") -> None:
    async with transaction(engine, ACTOR) as connection:
        await create_circuit(connection, ACTOR, depot_id, {"name": name})


async def count_circuits(engine: AsyncEngine, depot_id: UUID) -> int:
    async with engine.connect() as connection:
        query = select(func.count()).select_from(circuits).where(circuits.c.depot_id == depot_id)
        return (await connection.execute(query)).scalar_one()


# The bound


def flat(number: int) -> list[dict[str, Any]]:
    return [{"name": f"Feeder {n}"} for n in range(number)]


@pytest.mark.parametrize(
    "nested",
    [
        flat(MAX_CIRCUITS + 1),
        [{"name": "Feed", "children": flat(MAX_CIRCUITS)}],
        [{"name": f"Feed {n}", "children": flat(50)} for n in range(MAX_CIRCUITS // 50)],
        [{"name": "F"}] * 50_000,
    ],
    ids=["flat", "below one", "on two levels", "ten times as many"],
)
async def test_a_depot_with_too_many_circuits_is_refused(
    api: httpx.AsyncClient, engine: AsyncEngine, nested: list[dict[str, Any]]
) -> None:
    answer = await api.post("/api/depots", json={"name": "Huge", "timezone": "UTC", "circuits": nested})
    assert (answer.status_code, answer.json()["code"]) == (422, "TOO_MANY_CIRCUITS")
    async with engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(depots))).scalar_one() == 0


async def test_the_store_refuses_it_as_well(engine: AsyncEngine) -> None:
    many = [NewCircuit("Feed", children=tuple(NewCircuit("Feeder") for _ in range(MAX_CIRCUITS)))]
    with pytest.raises(Problem) as refused:
        async with transaction(engine, ACTOR) as connection:
            await create_depot(connection, ACTOR, {"name": "Huge", "timezone": "UTC"}, many)
    assert refused.value.code is ProblemCode.TOO_MANY_CIRCUITS


async def test_the_last_circuit_that_fits_is_added_once_by_two_at_once(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    depot_id = await depot_with(engine, MAX_CIRCUITS - 1)
    body = {"name": "The last"}
    answers = await asyncio.gather(*(api.post(f"/api/depots/{depot_id}/circuits", json=body) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"TOO_MANY_CIRCUITS"}
    assert await count_circuits(engine, depot_id) == MAX_CIRCUITS
    # What is there can be changed, and where one goes another may come.
    first, last = (await circuits_of(engine, depot_id))[:: MAX_CIRCUITS - 1]
    async with transaction(engine, ACTOR) as connection:
        await update_circuit(connection, ACTOR, last.circuit_id, {"position": 0, "name": "Renamed"})
        await delete_circuit(connection, ACTOR, first.circuit_id, cascade=False)
    await add(engine, depot_id)


async def test_a_depot_that_was_larger_before_the_bound_goes_on(engine: AsyncEngine) -> None:
    depot_id = await depot_with(engine, MAX_CIRCUITS + 5)
    assert (await sync(engine, depot_id)).outcome is SyncOutcome.CREATED
    async with transaction(engine, ACTOR) as connection:
        await update_circuit(
            connection, ACTOR, (await circuits_of(engine, depot_id))[0].circuit_id, {"name": "Renamed"}
        )
    assert (await sync(engine, depot_id)).in_words() == "renamed Feeder 0 → Renamed (version 1)"
    with pytest.raises(Problem) as refused:
        await add(engine, depot_id)
    assert refused.value.code is ProblemCode.TOO_MANY_CIRCUITS


async def test_an_import_refuses_what_is_too_much(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    huge, small = str(uuid4()), str(uuid4())
    top = str(uuid4())
    many = [circuit(huge, top), *(circuit(huge, parent=top) for _ in range(MAX_CIRCUITS))]
    report = await post(api, encode([depot(huge), depot(small), circuit(small), *many]))
    assert report["refused_by_code"] == {"TOO_MANY_CIRCUITS": MAX_CIRCUITS + 1}
    assert (report["landed"]["depots"], report["landed"]["circuits"]) == (2, 1)
    refusal = report["refusals"][0]
    assert refusal["field"] == "depot_id"
    assert "5,000" in refusal["reason"]
    assert await count_circuits(engine, UUID(huge)) == 0
    # As many as fit do, also in two files; and then not one more.
    assert (await import_lines(engine, encode(many[:-2])))[1] == {}
    assert set((await import_lines(engine, encode(many)))[1].values()) == {"TOO_MANY_CIRCUITS"}
    assert (await import_lines(engine, encode(many[-1:])))[1] == {}
    assert await count_circuits(engine, UUID(huge)) == MAX_CIRCUITS
    assert (await import_lines(engine, encode(many[-2:-1])))[1] == {1: "TOO_MANY_CIRCUITS"}


async def test_two_imports_and_an_operator_do_not_pass_the_bound_together(engine: AsyncEngine) -> None:
    depot_id = await depot_with(engine, MAX_CIRCUITS - 1)
    files = [encode([circuit(str(depot_id))]) for _ in range(2)]
    await asyncio.gather(*(import_lines(engine, each) for each in files), add(engine, depot_id), return_exceptions=True)
    assert await count_circuits(engine, depot_id) == MAX_CIRCUITS


# In a straight line


def test_adding_looks_at_no_circuit_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def counting(*args: Any) -> CircuitPlace:
        nonlocal looked
        looked += 1
        return CircuitPlace(*args)

    monkeypatch.setattr(domain.site.circuits, "CircuitPlace", counting)
    tree, feed = CircuitTree(()), uuid4()
    tree.add(feed, None, None)
    for _ in range(1_000):
        tree.add(uuid4(), feed, None)
    assert looked == 1_001


async def test_what_the_database_is_asked_does_not_depend_on_how_many_circuits_there_are(engine: AsyncEngine) -> None:
    asked: list[list[int]] = []
    for number in (20, 600):
        counts: list[int] = []

        async def counted(work: Any, counts: list[int] = counts) -> Any:
            with statements_of(engine) as seen:
                result = await work
            assert seen.many == []
            assert seen.most_parameters < 20
            counts.append(seen.count)
            return result

        depot_id = await counted(make_depot(engine, *(f"Feeder {n}" for n in range(number))))
        await counted(sync(engine, depot_id))
        last = (await counted(circuits_of(engine, depot_id)))[-1]
        async with transaction(engine, ACTOR) as connection:
            await update_circuit(connection, ACTOR, last.circuit_id, {"position": 0})
        await counted(sync(engine, depot_id))
        async with transaction(engine, ACTOR) as connection:
            top = (await circuits_of(engine, depot_id))[0].circuit_id
            for each in (await circuits_of(engine, depot_id))[1:6]:
                await update_circuit(connection, ACTOR, each.circuit_id, {"parent_id": top})
            await delete_circuit(connection, ACTOR, top, cascade=True)
        await counted(sync(engine, depot_id))
        await assert_follows(engine, depot_id)
        asked.append(counts)
    assert asked[0] == asked[1]


async def test_a_new_depot_asks_for_its_sync_as_often_as_a_small_one(engine: AsyncEngine) -> None:
    rows: list[int] = []
    for number in (3, 300):
        depot_id = await make_depot(engine, *(f"Feeder {n}" for n in range(number)))
        async with engine.connect() as connection:
            query = select(func.count()).select_from(outbox).where(outbox.c.depot_id == depot_id)
            rows.append((await connection.execute(query)).scalar_one())
    assert rows[0] == rows[1]


def test_no_statement_has_a_parameter_for_each_of_many_rows() -> None:
    for path in Path(str(store.__file__)).parent.rglob("*.py"):
        source = path.read_text()
        assert ".in_(" not in source, f"{path.name}: lists are arrays, as in store/base/arrays.py"
        assert ".values([" not in source, f"{path.name}: rows are arrays, as in store/base/arrays.py"


async def test_a_sync_stores_only_what_differs(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, *(f"Feeder {n}" for n in range(50)))
    await sync(engine, depot_id)
    before = {node.node_id for node in (await assert_follows(engine, depot_id)).grid_connections}
    await add(engine, depot_id)
    result = await sync(engine, depot_id)
    assert result.in_words() == "added One more (version 1 → 2)"
    assert before < {node.node_id for node in (await assert_follows(engine, depot_id)).grid_connections}


# What goes through Temporal


async def test_a_result_is_counts_and_a_few_names(engine: AsyncEngine) -> None:
    long = "\U0001f50c" * 190
    depot_id = await depot_with(engine, MAX_CIRCUITS, name=long)
    result = await sync(engine, depot_id)
    assert result.touched.added == MAX_CIRCUITS
    assert len(result.added) == NAMED_CHANGES
    (payload,) = await pydantic_data_converter.encode([result])
    assert len(payload.data) < 65_536
    assert result.in_words().endswith(f"and {MAX_CIRCUITS - NAMED_CHANGES:,} more (version 1)")
    last = (await circuits_of(engine, depot_id))[-1]
    async with transaction(engine, ACTOR) as connection:
        await update_circuit(connection, ACTOR, last.circuit_id, {"position": 0})
    moved = await sync(engine, depot_id)
    assert moved.touched.moved == MAX_CIRCUITS
    (payload,) = await pydantic_data_converter.encode([moved])
    assert len(payload.data) < 65_536
    async with engine.connect() as connection:
        query = select(changes.c.detail).where(changes.c.action == "MICROGRID_SYNCED")
        detail = (await connection.execute(query)).scalar_one()
    assert (detail["counts"]["moved"], len(detail["moved"])) == (MAX_CIRCUITS, NAMED_CHANGES)


async def test_a_result_of_an_older_release_is_read(engine: AsyncEngine) -> None:
    old = {
        "depot_id": str(uuid4()), "microgrid_id": str(uuid4()), "outcome": "CHANGED", "version_before": 1,
        "version_after": 2, "added": [{"circuit_id": str(uuid4()), "name": f"Feed {n}", "previous_name": None}
                                      for n in range(12)],
        "removed": [], "renamed": [], "moved": [],
    }  # fmt: skip
    encoded = await pydantic_data_converter.encode([old])
    (result,) = await pydantic_data_converter.decode(encoded, [SyncResult])
    assert result.touched.added == 12
    assert result.in_words().endswith("Feed 9 and 2 more (version 1 → 2)")


def test_a_few_names_are_all_told() -> None:
    named = tuple(NodeChange(uuid4(), f"Feed {n}") for n in range(NAMED_CHANGES))
    result = SyncResult(uuid4(), uuid4(), SyncOutcome.CHANGED, 1, 2, removed=named)
    assert "more" not in result.in_words()


async def test_a_flat_export_is_provisioned_and_synced(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    long = "Überlandzählpunkt " * 10
    async with working(client, engine, task_queue):
        depot_id = await depot_with(engine, MAX_CIRCUITS, name=long)
        request = SyncRequest(depot_id, "tester", "RESYNC")
        result = await resync(client, task_queue, request, timeout=timedelta(seconds=60))
        # The relay may have been there first.
        assert (result.version_after, result.outcome in (SyncOutcome.CREATED, SyncOutcome.UNCHANGED)) == (1, True)
        answer = await api.post(f"/api/depots/{depot_id}/microgrid/resync")
        assert answer.json()["outcome"] == "UNCHANGED"

        async def provisioned() -> bool:
            return (await api.get(f"/api/depots/{depot_id}")).json()["provisioning"]["state"] == "PROVISIONED"

        await until(provisioned)


# Nobody else waits


async def test_what_grows_with_a_depot_is_not_done_on_the_event_loop(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch_threads(
        monkeypatch,
        (depot_store, "_place"), (circuit_store, "in_order"), (circuit_store, "CircuitTree"),
        (microgrid_store, "plan_reconcile"), (Circuit, "of"), (Structure, "of"), (Microgrid, "of"),
    )  # fmt: skip
    made = await api.post("/api/depots", json={"name": "Large", "timezone": "UTC", "circuits": flat(400)})
    depot_id = UUID(made.json()["depot_id"])
    microgrid_id = (await sync(engine, depot_id)).microgrid_id
    for path in (f"depots/{depot_id}/circuits", f"depots/{depot_id}/microgrid", f"microgrids/{microgrid_id}/structure"):
        assert (await api.get(f"/api/{path}")).status_code == 200
    assert len(seen) > 400
    assert threading.get_ident() not in seen


async def test_a_small_depot_is_synced_while_a_large_one_is_planned(
    engine: AsyncEngine, client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning, small_done = threading.Event(), threading.Event()
    works = microgrid_store.plan_reconcile

    def plan(nodes: Sequence[Any], circuits_now: Sequence[Any]) -> Any:
        if len(circuits_now) == MAX_CIRCUITS:
            planning.set()
            # Were this on the event loop, nothing of the small depot's sync could happen.
            assert small_done.wait(60)
        return works(nodes, circuits_now)

    async def is_planning() -> bool:
        return planning.is_set()

    monkeypatch.setattr(microgrid_store, "plan_reconcile", plan)
    small = await make_depot(engine, "A")
    async with working(client, engine, task_queue):
        await until(lambda: follows(engine, small))
        large = await depot_with(engine, MAX_CIRCUITS)
        await until(is_planning)
        for name in ("B", "C", "D"):
            await add_circuit(engine, small, name)
            await until(lambda: follows(engine, small))
        assert not await follows(engine, large)
        small_done.set()
        await until(lambda: follows(engine, large))

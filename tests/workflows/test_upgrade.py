"""A release takes over from the last one while a backfill, a run and a sync are on their way: nothing is lost."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from devtools.legacy_fleet import seed_legacy
from domain.monitoring.upkeep import WatchInput
from domain.provisioning.backfill import BackfillInput, BackfillRequest
from domain.simulation.scenario_runs import SCENARIO_RUN
from runtime.settings import Settings
from runtime.workers.known import KnownVersions
from runtime.workers.versions import CODE, build_id, deployment_of, read_versions
from tests.domain.documents import released
from tests.factories.scenario_sites import begin, ended, make_depots, read
from tests.helpers.commands import run
from tests.helpers.live import http_client, serving
from tests.helpers.support import ACTOR, add_circuit, drifted_depots, make_depot, patiently, synced, until
from tests.helpers.worker_process import ROOT, WorkerProcess
from workflows.capacity_watch import CapacityWatchWorkflow
from workflows.launch import backfill_handle, start_backfill, sync_workflow_id

RELEASES = sorted((Path(__file__).parent.parent / "releases").glob("*.tar.xz"))
"""What the workers of releases consist of, as they were released."""
_DEPOTS = 120
_IN_FLIGHT = 3
_HOLD = text("""
    SELECT FROM depots
    WHERE id IN (SELECT id FROM depots WHERE created_by = 'legacy' ORDER BY id DESC LIMIT :n)
    FOR UPDATE
""")
_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@dataclass(frozen=True)
class Product:
    """The product without its worker."""

    engine: AsyncEngine
    client: Client
    database_url: str
    temporal_address: str
    task_queue: str
    api: httpx.AsyncClient
    address: str
    folder: Path

    def worker(self, name: str, code: Path = ROOT) -> WorkerProcess:
        """A process of the worker; ``code`` is where its code is."""
        log = self.folder / f"{name}.log"
        made = WorkerProcess(
            self.database_url, self.temporal_address, self.task_queue, log, MANAGE_API_URL=self.address
        )
        made.code = code
        return made

    async def current(self) -> str:
        """The build id of the version that takes what comes."""
        return (await self.versions()).current

    async def versions(self) -> KnownVersions:
        """All versions that Temporal knows of this product."""
        return await patiently(lambda: read_versions(self.client, deployment_of(self.task_queue)))

    async def is_current(self, wanted: str) -> bool:
        """Whether it is this one."""
        return await self.current() == wanted


@pytest.fixture
async def product(
    engine: AsyncEngine, client: Client, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> AsyncGenerator[Product]:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as address, http_client(address) as api:
        yield Product(engine, client, database_url, temporal_address, task_queue, api, address, tmp_path)


@dataclass(frozen=True)
class UnderWay:
    """What is in the middle of its work."""

    workflows: dict[str, WorkflowHandle[Any, Any]]
    synced_depot: UUID
    run_id: str


@asynccontextmanager
async def under_way(product: Product) -> AsyncGenerator[UnderWay]:
    """Bring a backfill, a sync, a run and the watch to their middle; at the block's end, what held them lets go."""
    engine, client, queue = product.engine, product.client, product.task_queue
    depot_id = await make_depot(engine, "Feed 1", name="Synced")
    (simulated,) = await make_depots(product.address, 1)
    await asyncio.gather(synced(engine, depot_id), synced(engine, UUID(simulated)))
    run_id = await begin(product.api, simulated, "quick-look", time_scale=0.02)
    watch = await client.start_workflow(
        CapacityWatchWorkflow.run, WatchInput(longest_wait_seconds=0.2), id=f"watch-{uuid4()}", task_queue=queue
    )
    async with engine.begin() as connection:
        await seed_legacy(connection, _DEPOTS)
    async with engine.connect() as held:
        # The backfill finishes some pages and waits at the others; the sync waits with its only step.
        await held.execute(text("SELECT FROM microgrids WHERE depot_id = :id FOR UPDATE"), {"id": depot_id})
        await held.execute(_HOLD, {"n": _DEPOTS // 2})
        request = BackfillRequest(uuid4(), dry_run=False, page_size=5, requested_by=ACTOR.name)
        await start_backfill(client, queue, BackfillInput(request, pages_in_flight=_IN_FLIGHT))
        await add_circuit(engine, depot_id, "Feed 2")
        handles = {
            "backfill": backfill_handle(client, request.backfill_id),
            "sync": client.get_workflow_handle(sync_workflow_id(depot_id)),
            "run": client.get_workflow_handle(SCENARIO_RUN.workflow_id(UUID(run_id))),
            "watch": watch,
        }

        async def in_the_middle() -> bool:
            async with engine.connect() as connection:
                waiting = (await connection.execute(_WAITING)).scalar_one()
            run = await read(product.api, run_id)
            return waiting == 1 + _IN_FLIGHT and 2 <= run["steps_done"] < run["steps_total"]

        await until(in_the_middle)
        yield UnderWay(handles, depot_id, run_id)


async def assert_all_ends_well(product: Product, busy: UnderWay, build: str) -> None:
    """Everything ends, nothing is lost, no task failed, and the watch goes on with the version of this build id."""
    await until(lambda: all_have_ended_unless_a_task_failed(busy), seconds=400)
    progress = await busy.workflows["backfill"].result()
    # One in ten has no circuit that a microgrid could follow.
    assert (progress.depots_total, progress.counts.created) == (_DEPOTS + 2, _DEPOTS * 9 // 10)
    assert (await ended(product.api, busy.run_id))["outcome"] == "PASSED"
    await busy.workflows["sync"].result()
    async with product.engine.connect() as connection:
        assert await drifted_depots(connection) == []
    microgrid = await synced(product.engine, busy.synced_depot)
    assert [node.name for node in microgrid.grid_connections] == ["Feed 1", "Feed 2"]

    async def the_watch_has_moved() -> bool:
        return await last_version(busy.workflows["watch"]) == build

    await until(the_watch_has_moved)
    await assert_no_task_failed(busy)
    await busy.workflows["watch"].terminate()


async def all_have_ended_unless_a_task_failed(busy: UnderWay) -> bool:
    """Whether all but the watch, which does not end, have ended; one that cannot be replayed would never."""
    await assert_no_task_failed(busy)
    found = [await handle.describe() for name, handle in busy.workflows.items() if name != "watch"]
    return all(each.status is not WorkflowExecutionStatus.RUNNING for each in found)


async def assert_no_task_failed(busy: UnderWay) -> None:
    """Each workflow's history could be replayed by whoever took it over."""
    for name, handle in busy.workflows.items():
        events = (await handle.fetch_history()).events
        assert [each for each in events if each.HasField("workflow_task_failed_event_attributes")] == [], name


async def last_version(handle: WorkflowHandle[Any, Any]) -> str:
    """The build id of the worker that did the workflow's last task; empty: it had none."""
    events = (await handle.fetch_history()).events
    done = [each for each in events if each.HasField("workflow_task_completed_event_attributes")]
    return done[-1].workflow_task_completed_event_attributes.deployment_version.build_id


def test_what_is_taken_over_is_a_release() -> None:
    assert RELEASES
    assert {archive.name.removesuffix(".tar.xz") for archive in RELEASES} <= released()


@pytest.mark.parametrize("archive", RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
async def test_the_last_releases_work_is_taken_over(product: Product, archive: Path) -> None:
    code = product.folder / "release"
    with tarfile.open(archive) as packed:
        packed.extractall(code, filter="data")
    last, this = product.worker("last", code), product.worker("this")
    with closing_processes(last, this):
        last.start()
        await until(lambda: is_versioned(product))
        assert await product.current() != build_id()
        async with under_way(product) as busy:
            last.kill()
            last.wait()
            this.start()
            await until(lambda: product.is_current(build_id()))
        await assert_all_ends_well(product, busy, build_id())


@contextmanager
def closing_processes(*processes: WorkerProcess) -> Generator[None]:
    """End these processes with the block, those that run."""
    try:
        yield
    finally:
        for each in processes:
            each.kill()
            each.wait()


def another_release(folder: Path) -> Path:
    """The code of today as another release has it; it differs in a comment."""
    code = folder / "another"
    for name in (*CODE, "relay.py", "worker.py", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (code / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, code / name)
    with (code / "relay.py").open("a") as file:
        file.write("\n# As another release has it.\n")
    return code


async def test_a_release_with_versions_hands_over_while_both_run_and_is_gone_back_to(product: Product) -> None:
    queue = product.task_queue
    last, this = product.worker("last", another_release(product.folder)), product.worker("this")
    with closing_processes(last, this):
        last.start()
        await until(lambda: is_versioned(product))
        before = await product.current()
        assert before != build_id()
        async with under_way(product) as busy:
            this.start()
            await until(lambda: product.is_current(build_id()))
        await assert_all_ends_well(product, busy, build_id())
        # The old worker is still there, and takes nothing over.
        known = await product.versions()
        assert {each.build_id: each.state for each in known.versions}[before] in ("DRAINING", "DRAINED")
        for process in (last, this):
            process.kill()
            process.wait()
        # Somebody goes back. What comes is worked on as soon as that is said.
        last.start()
        depot_id = await make_depot(product.engine, "Feed 1", name="Later")
        told = await asyncio.to_thread(
            run, "versions", "--current", before, MANAGE_TASK_QUEUE=queue, TEMPORAL_ADDRESS=product.temporal_address
        )
        assert (told.returncode, told.stderr) == (0, "")
        assert any(line.startswith(f"CURRENT   {before}  since ") for line in told.stdout.splitlines())
        await synced(product.engine, depot_id)


async def is_versioned(product: Product) -> bool:
    """Whether any version takes what comes."""
    return await product.current() != ""

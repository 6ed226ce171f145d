"""Servers and workers are killed in the middle of a backfill; the end is the one of an undisturbed run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from devtools.legacy_fleet import seed_legacy
from domain.provisioning.backfill import BackfillInput, BackfillRequest
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.temporal import connect
from store.base.database import make_engine
from store.migrate import upgrade
from tests.helpers.support import ACTOR, drifted_depots, make_depot, until
from tests.helpers.worker_process import WorkerProcess
from workflows.backfill import BackfillWorkflow
from workflows.launch import backfill_handle, start_backfill

DEPOTS = 6_000
PAGE = 50
QUEUE = "chaos"
_AWAY = (DBAPIError, OSError, RPCError, RuntimeError, asyncpg.PostgresError, asyncpg.InterfaceError)


class RunningProduct:
    """A whole installation on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.temporal = EmbeddedTemporal(folder / "temporal")
        self.postgres.start()
        self.temporal.start()
        upgrade(self.postgres.database_url)
        self.worker = WorkerProcess(self.postgres.database_url, self.temporal.address, QUEUE, folder / "worker.log")
        self.worker.start()

    def stop(self) -> None:
        for process in (self.worker, self.temporal, self.postgres):
            process.stop()


@pytest.fixture
def product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningProduct]:
    made = RunningProduct(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", made.temporal.address)
    yield made
    made.stop()


@asynccontextmanager
async def database(product: RunningProduct) -> AsyncGenerator[AsyncEngine]:
    engine = make_engine(product.postgres.database_url)
    yield engine
    await engine.dispose()


async def begin(client: Client) -> UUID:
    request = BackfillRequest(uuid4(), dry_run=False, page_size=PAGE, requested_by=ACTOR.name)
    await start_backfill(client, QUEUE, BackfillInput(request))
    return request.backfill_id


async def rows(engine: AsyncEngine, query: str) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(query))).all()


async def pages_done(engine: AsyncEngine, wanted: int) -> None:
    async def check() -> bool:
        try:
            return (await rows(engine, "SELECT count(*) FROM backfill_pages"))[0][0] >= wanted
        except _AWAY:
            return False

    await until(check)


async def completed(client: Client, backfill_id: UUID) -> int:
    async def check() -> int | None:
        try:
            progress = await backfill_handle(client, backfill_id).query(BackfillWorkflow.progress)
            described = await backfill_handle(client, backfill_id).describe()
        except _AWAY:
            return None
        return progress.counts.depots if described.close_time is not None else None

    return await until(check, seconds=120)


def kill_worker_and_temporal(product: RunningProduct) -> None:
    for process in (product.worker, product.temporal):
        process.kill()
        process.wait()
    product.temporal.start()
    product.worker.start()


def kill_worker(product: RunningProduct) -> None:
    product.worker.kill()
    product.worker.wait()
    product.worker.start()


def kill_postgres(product: RunningProduct) -> None:
    product.postgres.kill()
    product.postgres.wait()
    product.postgres.start()


@pytest.mark.acceptance("COR-8.1", "COR-8.10")
@pytest.mark.parametrize("disturb", [kill_worker_and_temporal, kill_postgres, kill_worker])
async def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    product: RunningProduct, disturb: Callable[[RunningProduct], None]
) -> None:
    async with database(product) as engine:
        async with engine.begin() as connection:
            await seed_legacy(connection, DEPOTS)
        client = await connect()
        backfill_id = await begin(client)
        for share in (0.1, 0.5):
            await pages_done(engine, int(DEPOTS / PAGE * share))
            await asyncio.to_thread(disturb, product)
        assert await completed(await connect(), backfill_id) == DEPOTS
        outcomes = "SELECT outcome, count(*) FROM backfill_outcomes GROUP BY outcome ORDER BY outcome"
        assert await rows(engine, outcomes) == [
            ("CREATED", DEPOTS * 9 // 10), ("NO_TOP_LEVEL_CIRCUITS", DEPOTS // 10),
        ]  # fmt: skip
        assert await rows(engine, "SELECT count(*), sum(created), count(DISTINCT page) FROM backfill_pages") == [
            (DEPOTS // PAGE, DEPOTS * 9 // 10, DEPOTS // PAGE)
        ]
        assert await rows(engine, "SELECT count(*), count(DISTINCT depot_id), max(version) FROM microgrids") == [
            (DEPOTS * 9 // 10, DEPOTS * 9 // 10, 1)
        ]
        assert await rows(engine, "SELECT state FROM backfills") == [("COMPLETED",)]
        async with engine.connect() as connection:
            assert await drifted_depots(connection) == []


async def test_changes_made_while_everything_else_is_away_arrive(product: RunningProduct) -> None:
    product.worker.kill()
    product.worker.wait()
    product.temporal.kill()
    product.temporal.wait()
    async with database(product) as engine:
        depots = [await make_depot(engine, "A", "B") for _ in range(5)]
        assert (await rows(engine, "SELECT count(DISTINCT depot_id) FROM outbox"))[0][0] == len(depots)
        await asyncio.to_thread(product.temporal.start)
        await asyncio.to_thread(product.worker.start)

        async def caught_up() -> bool:
            async with engine.connect() as connection:
                waiting = (await connection.execute(text("SELECT count(*) FROM outbox"))).scalar_one()
                made = (await connection.execute(text("SELECT count(*) FROM microgrids"))).scalar_one()
                return waiting == 0 and made == len(depots) and await drifted_depots(connection) == []

        await until(caught_up)


async def test_the_worker_ends_in_good_order(product: RunningProduct) -> None:
    async def working() -> bool:
        return "working" in product.worker.last_lines()

    await until(working)
    product.worker.stop()
    assert product.worker.exit_code == 0

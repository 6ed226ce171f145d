"""`./dev bench provisioning`: the backfill beside one bare statement, and the sync beside its baseline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median
from typing import Any
from uuid import UUID, uuid4

from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity, workflow
from temporalio.client import Client, Interceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Worker
from temporalio.worker import Interceptor as WorkerInterceptor

from devtools.bench.figures import Latency
from devtools.bench.stage import Stage, stage
from domain.base.actor import Actor
from domain.monitoring.upkeep import ReadingFillRequest
from domain.provisioning.backfill import DEFAULT_PAGE_SIZE, BackfillInput, BackfillRequest
from domain.provisioning.outcomes import SyncRequest
from runtime.workers.queues import Work, queue_of
from store.base.database import transaction
from store.provisioning.backfills import FIRST_ID, PROVISION_PAGE
from store.provisioning.tables import backfills
from store.site.circuits import create_circuit
from store.site.depots import NewCircuit, create_depot
from store.site.tables import depots, microgrids
from worker import open_resources, working
from workflows.launch import backfill_handle, signal_sync, start_backfill, sync_workflow_id
from workflows.reading_fill import ReadingFillWorkflow

ACTOR = Actor("bench")
LAST_ID = UUID(int=2**128 - 1)
QUEUE = "bench"


async def run(sizes: Sequence[int], rounds: int, syncs: int) -> int:
    """Measure and print."""
    console = Console()
    async with stage() as made:
        await _backfills(console, made, sizes, rounds)
        await _syncs(console, made, syncs)
    return 0


async def _backfills(console: Console, made: Stage, sizes: Sequence[int], rounds: int) -> None:
    table = Table(title="Backfill, depots a second (median)")
    for column in ("depots", "backfill", "one bare statement", "ratio", "ms a depot", "one workflow a depot"):
        table.add_column(column, justify="right")
    for size in sizes:
        await made.fill("filled", size)
        bare: list[float] = []
        whole: list[float] = []
        for _ in track(range(rounds), description=f"{size} depots", console=console, transient=True):
            async with made.copy("filled") as engine:
                bare.append(await _bare_statement(engine, size))
            async with made.copy("filled") as engine:
                whole.append(await _backfill(engine, made.client, size))
        async with made.copy("filled") as engine:
            sample = min(size, 300)
            each = await _one_workflow_a_depot(engine, made.client, sample)
        await made.drop("filled")
        ratio = median(b / w for b, w in zip(bare, whole, strict=True))
        table.add_row(
            f"{size:,}",
            f"{size / median(whole):,.0f}",
            f"{size / median(bare):,.0f}",
            f"{ratio:.2f}",
            f"{median(whole) / size * 1000:.3f}",
            f"{sample / each:,.0f}",
        )
    console.print(table)
    console.print("One workflow a depot: measured on the first 300 depots of each fleet, all started at once.\n")


async def _bare_statement(engine: AsyncEngine, size: int) -> float:
    backfill_id = uuid4()
    async with engine.begin() as connection:
        await connection.execute(
            insert(backfills).values(id=backfill_id, dry_run=False, page_size=1, state="RUNNING", requested_by="bench")
        )
    span = {"after": FIRST_ID, "upto": LAST_ID, "backfill_id": backfill_id, "actor": "bench"}
    began = time.perf_counter()
    async with engine.begin() as connection:
        await connection.execute(PROVISION_PAGE, span)
    took = time.perf_counter() - began
    await _check(engine, size)
    return took


@asynccontextmanager
async def _worker(engine: AsyncEngine, client: Client) -> AsyncGenerator[None]:
    """Run the worker while the block runs. No scenario is run, so its API is nowhere.

    It has worked before the block begins: in the field, its connections are there, and it waits for work.
    """
    async with (
        open_resources(engine, client, task_queue=QUEUE, api_url="http://127.0.0.1:9") as resources,
        working(resources),
    ):
        await client.execute_workflow(
            ReadingFillWorkflow.run,
            ReadingFillRequest(),
            id=f"before/{uuid4()}",
            task_queue=queue_of(QUEUE, Work.JOBS),
        )
        yield


async def _backfill(engine: AsyncEngine, client: Client, size: int) -> float:
    request = BackfillRequest(uuid4(), dry_run=False, page_size=DEFAULT_PAGE_SIZE, requested_by="bench")
    async with _worker(engine, client):
        began = time.perf_counter()
        await start_backfill(client, QUEUE, BackfillInput(request))
        await backfill_handle(client, request.backfill_id).result()
        took = time.perf_counter() - began
    await _check(engine, size)
    return took


async def _one_workflow_a_depot(engine: AsyncEngine, client: Client, sample: int) -> float:
    async with engine.connect() as connection:
        chosen = (await connection.execute(select(depots.c.id).order_by(depots.c.id).limit(sample))).scalars().all()
    async with _worker(engine, client):
        began = time.perf_counter()
        requests = [SyncRequest(depot_id, ACTOR.name, "BACKFILL") for depot_id in chosen]
        timeout = timedelta(seconds=60)
        await asyncio.gather(*(signal_sync(client, QUEUE, request, rpc_timeout=timeout) for request in requests))
        await asyncio.gather(*(_sync_ended(client, depot_id) for depot_id in chosen))
        return time.perf_counter() - began


async def _sync_ended(client: Client, depot_id: UUID) -> None:
    await client.get_workflow_handle(sync_workflow_id(depot_id)).result()


async def _check(engine: AsyncEngine, size: int) -> None:
    """Refuse to report a run that did not do the work: nine depots in ten get a microgrid."""
    async with engine.connect() as connection:
        found = (await connection.execute(select(func.count()).select_from(microgrids))).scalar_one()
    if found != size * 9 // 10:
        raise RuntimeError(f"{found} microgrids of {size * 9 // 10}")


@activity.defn
async def nothing() -> None:
    """Do nothing."""


@workflow.defn(name="Floor", sandboxed=False)
class BaselineWorkflow:
    """One signal, one empty local activity: the least that any sync on this server can cost."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        """Wait for the signal and do nothing."""
        await workflow.wait_condition(lambda: self._told)
        await workflow.execute_local_activity(nothing, start_to_close_timeout=timedelta(seconds=10))

    @workflow.signal
    def tell(self) -> None:
        """Note the signal."""
        self._told = True


class _Stopwatch(Interceptor, WorkerInterceptor):
    """Notes when an activity of a workflow ended, and lets the waiting measurement go on."""

    def __init__(self) -> None:
        self.ended: dict[str, asyncio.Future[float]] = {}

    def expect(self, workflow_id: str) -> asyncio.Future[float]:
        self.ended[workflow_id] = asyncio.get_running_loop().create_future()
        return self.ended[workflow_id]

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        stopwatch = self

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
                result = await super().execute_activity(input)
                waiting = stopwatch.ended.get(activity.info().workflow_id or "")
                if waiting is not None and not waiting.done():
                    waiting.set_result(time.perf_counter())
                return result

        return Inbound(next)


async def _syncs(console: Console, made: Stage, count: int) -> None:
    stopwatch = _Stopwatch()
    config = made.client.config()
    config["interceptors"] = [*config["interceptors"], stopwatch]
    client = Client(**config)
    await made.fill("filled", 1000)
    baseline: list[float] = []
    sync: list[float] = []
    async with (
        made.copy("filled") as engine,
        Worker(client, task_queue="baseline", workflows=[BaselineWorkflow], activities=[nothing]),
        _worker(engine, client),
    ):
        for number in track(range(count + 20), description="syncs", console=console, transient=True):
            one = await _floor_once(client, stopwatch)
            other = await _sync_once(engine, client, stopwatch)
            # The first ones warm both sides up.
            if number >= 20:
                baseline.append(one)
                sync.append(other)
    below, above = Latency.of(baseline), Latency.of(sync)
    table = Table(title=f"Circuit change to reconciled nodes, {count} one after the other (ms)")
    for column in ("", "p50", "p99"):
        table.add_column(column, justify="right")
    table.add_row("commit to reconciled nodes", f"{above.p50:.1f}", f"{above.p99:.1f}")
    table.add_row("baseline: signal-with-start and an empty local activity", f"{below.p50:.1f}", f"{below.p99:.1f}")
    table.add_row("ratio", f"{above.p50 / below.p50:.2f}", f"{above.p99 / below.p99:.2f}")
    console.print(table)


async def _floor_once(client: Client, stopwatch: _Stopwatch) -> float:
    workflow_id = f"baseline/{uuid4()}"
    ended = stopwatch.expect(workflow_id)
    began = time.perf_counter()
    await client.start_workflow(BaselineWorkflow.run, id=workflow_id, task_queue="baseline", start_signal="tell")
    return await ended - began


async def _sync_once(engine: AsyncEngine, client: Client, stopwatch: _Stopwatch) -> float:
    async with transaction(engine, ACTOR) as connection:
        depot_id = await create_depot(connection, ACTOR, {"name": "Bench", "timezone": "UTC"}, [NewCircuit("Feed")])
    first = stopwatch.expect(f"microgrid-sync/{depot_id}")
    await first
    # The workflow ends, so that the change starts it afresh, as after any quiet time.
    await _sync_ended(client, depot_id)
    async with transaction(engine, ACTOR) as connection:
        await create_circuit(connection, ACTOR, depot_id, {"name": "Second"})
        ended = stopwatch.expect(f"microgrid-sync/{depot_id}")
    began = time.perf_counter()
    return await ended - began

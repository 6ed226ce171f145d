"""`./dev bench overhead`: packets and syncs of a product that nobody observes, beside one that is observed.

Each round starts API and worker once in each way, in an order that changes, on the same database and the same Temporal.
The receiver of the traces runs on the same machine, and takes its share of it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import asyncpg
import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.commands.services import ApiProgram, Program
from cli.errors import CommandFailedError
from cli.place import ROOT
from devtools.bench.figures import Latency
from devtools.bench.load import Client, Plan
from devtools.bench.runners import processor_seconds, run_load
from devtools.bench.site import PACKETS, DepotIds, make_sites, packets_body, read_sites
from devtools.bench.stage import Stage, stage
from runtime.servers.processes import free_port

CLIENTS = 64
ARRAY = 100
_LONGEST = 60.0
_LOOK_EVERY = 0.002
_SCRAPE_EVERY = 5.0


@dataclass
class Way:
    """One way of observing the product, and what was measured."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    scraped: bool = False
    """Whether its figures are fetched as Prometheus does."""
    rates: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    """Packets a second, by packets a request."""
    processor: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    """Microseconds of the API's processor time a packet, by packets a request."""
    syncs: list[Latency] = field(default_factory=list[Latency])


@dataclass(frozen=True)
class OverheadOptions:
    """What was asked for."""

    seconds: float
    rounds: int
    depots: int
    syncs: int


async def run(options: OverheadOptions) -> int:
    """Measure and print."""
    console = Console()
    async with stage() as made, _receiving() as address:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": address}
        few = traced | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
        ways = [
            Way("not observed"),
            Way(f"figures fetched each {_SCRAPE_EVERY:.0f} s", scraped=True),
            Way("traces, 1 in 100", few),
            Way("traces, all", traced),
        ]
        await made.execute("postgres", "CREATE DATABASE filled TEMPLATE migrated")
        async with made.copy("filled") as engine:
            async with engine.begin() as connection:
                await make_sites(connection, options.depots)
            load = os.getloadavg()[0]
            steps = [(number, ways[(number + n) % len(ways)]) for number in range(options.rounds) for n in range(4)]
            for _, way in track(steps, description="ways", console=console, transient=True):
                await _measure(made, engine, way, options)
    console.print(_table(ways, load))
    return 0


@asynccontextmanager
async def _receiving() -> AsyncGenerator[str]:
    port = free_port(0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devtools.bench.observing.receiver", str(port), cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield f"http://127.0.0.1:{port}"
    except BaseException:
        process.kill()
        await process.wait()
        raise
    written, _ = await process.communicate(b"")
    if not int(written):
        raise CommandFailedError("No trace arrived: is the extra `traces` installed?")


async def _measure(made: Stage, engine: AsyncEngine, way: Way, options: OverheadOptions) -> None:
    async with engine.connect() as connection:
        sites = await read_sites(connection)
    async with _running(made, way) as (api, worker):
        way.syncs.append(Latency.of(await _syncs(made.url_of("run"), api.url, sites[0], options.syncs)))
        scraping = asyncio.create_task(_scrape(api, worker)) if way.scraped else None
        for array in (1, ARRAY):
            begin = int(time.time() * 1000) - 60_000
            clients = [
                Client("POST", PACKETS, packets_body(sites, number * array, array), array, begin=begin)
                for number in range(CLIENTS)
            ]
            assert api.pid is not None
            used = processor_seconds(api.pid)
            outcome = await run_load(Plan("127.0.0.1", api.port, clients, options.seconds, options.seconds / 2))
            used = processor_seconds(api.pid) - used
            rate = len(outcome.latencies) * array / outcome.seconds
            packets = sum(each - begin for each in outcome.next_times)
            way.rates.setdefault(array, []).append(rate)
            way.processor.setdefault(array, []).append(used / packets * 1e6)
        if scraping is not None:
            scraping.cancel()
            with suppress(asyncio.CancelledError):
                await scraping


@dataclass(frozen=True)
class _Worker:
    program: Program
    metrics_port: int


@asynccontextmanager
async def _running(made: Stage, way: Way) -> AsyncGenerator[tuple[ApiProgram, _Worker]]:
    """Run API and worker, each a process."""
    with tempfile.TemporaryDirectory(prefix="bench-api-") as folder:
        metrics_port = free_port(0)
        address = made.client.service_client.config.target_host
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environment |= {"DATABASE_URL": made.url_of("run"), "TEMPORAL_ADDRESS": address, **way.environment}
        # The depots are made without grid connections: what repairs them all would stand before what is measured.
        environment |= {"MANAGE_METRICS_PORT": str(metrics_port), "MANAGE_DRIFT_REPAIR": "false"}
        api = ApiProgram("127.0.0.1", free_port(0), Path(folder) / "api.log", environment)
        worker = Program(
            "worker", ["worker.py"], Path(folder) / "worker.log", environment | {"MANAGE_API_URL": api.url}
        )
        try:
            await asyncio.to_thread(worker.start)
            await asyncio.to_thread(api.start)
            yield api, _Worker(worker, metrics_port)
        finally:
            for process in (worker, api):
                await asyncio.to_thread(process.stop)


async def _syncs(database_url: str, api_url: str, site: DepotIds, count: int) -> list[float]:
    """Seconds from the change of a circuit until the microgrid follows, one after the other; a fifth is not counted."""
    driver = await asyncpg.connect(database_url)
    took: list[float] = []
    try:
        async with httpx.AsyncClient(base_url=api_url, trust_env=False, timeout=_LONGEST) as api:
            for number in range(count + count // 5):
                name = f"Feed {time.time_ns()}"
                began = time.perf_counter()
                answer = await api.patch(f"/api/circuits/{site.circuit_id}", json={"name": name})
                if not answer.is_success:
                    raise CommandFailedError(f"a circuit was not renamed: {answer.status_code} {answer.text[:300]}")
                while not await driver.fetchval("SELECT count(*) FROM microgrid_nodes WHERE name = $1", name):
                    if time.perf_counter() - began > _LONGEST:
                        raise CommandFailedError(f"The microgrid did not follow within {_LONGEST:.0f} s.")
                    await asyncio.sleep(_LOOK_EVERY)
                if number >= count // 5:
                    took.append(time.perf_counter() - began)
    finally:
        await driver.close()
    return took


async def _scrape(api: ApiProgram, worker: _Worker) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while True:
            for address in (f"{api.url}/metrics", f"http://127.0.0.1:{worker.metrics_port}/metrics"):
                (await client.get(address)).raise_for_status()
            await asyncio.sleep(_SCRAPE_EVERY)


def _table(ways: Sequence[Way], load: float) -> Table:
    table = Table(
        title=f"A product that is observed, beside one that is not ({CLIENTS} clients; medians; load {load:.1f})"
    )
    columns = (
        "", "by 1: packets/s", "ratio", "API µs a packet", f"by {ARRAY}: packets/s", "ratio", "API µs a packet",
        "sync p50, p99 ms", "ratio of p50",
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    plain = ways[0]
    for way in ways:
        cells: list[str] = []
        for array in (1, ARRAY):
            pairs = zip(way.rates[array], plain.rates[array], strict=True)
            cells += [
                f"{median(way.rates[array]):,.0f}",
                f"{median(rate / other for rate, other in pairs):.3f}",
                f"{median(way.processor[array]):,.1f}",
            ]
        p50 = median(each.p50 for each in way.syncs)
        ratio = median(each.p50 / other.p50 for each, other in zip(way.syncs, plain.syncs, strict=True))
        table.add_row(way.name, *cells, f"{p50:.1f}, {median(each.p99 for each in way.syncs):.1f}", f"{ratio:.3f}")
    return table

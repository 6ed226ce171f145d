"""`./dev bench overhead`: packets and syncs of a product that nobody observes, beside one that is observed.

For the packets an API of each way runs, all at once on the same database. They are loaded in turn, in an order that
changes; a turn is so short that whatever else slows the machine slows all of them. One process of a program is faster
than the next by some hundredths, as its memory happens to lie, so all are started several times; and what is not
observed runs twice, so that the table shows what chance does. For the syncs API and worker are started in each way. The
receiver of the traces runs on the same machine, and takes its share of it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median, stdev
from typing import NamedTuple

import asyncpg
import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

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
_LONGER = 4
"""So many times longer is a turn of arrays, and so many times fewer turns there are."""
_LONGEST = 60.0
_LOOK_EVERY = 0.002
_SCRAPE_EVERY = 5.0


class _Figure(NamedTuple):
    """What is measured of packets."""

    array: int
    """Packets a request."""
    is_rate: bool
    """Packets a second; otherwise microseconds of the API's processor time a packet."""


_FIGURES = [_Figure(array, is_rate) for array in (1, ARRAY) for is_rate in (True, False)]


@dataclass
class Way:
    """One way of observing the product, and what was measured."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    scraped: bool = False
    """Whether its figures are fetched as Prometheus does."""
    turns: dict[_Figure, list[float]] = field(default_factory=dict[_Figure, list[float]])
    """What was measured since the last start."""
    medians: dict[_Figure, list[float]] = field(default_factory=dict[_Figure, list[float]])
    """The median of each start."""
    ratios: dict[_Figure, list[float]] = field(default_factory=dict[_Figure, list[float]])
    """Of each start the median of how it stands to what is not observed, turn by turn."""
    syncs: list[Latency] = field(default_factory=list[Latency])


@dataclass(frozen=True)
class OverheadOptions:
    """What was asked for."""

    seconds: float
    rounds: int
    depots: int
    syncs: int
    starts: int


async def run(options: OverheadOptions) -> int:
    """Measure and print."""
    console = Console()
    async with stage() as made, _receiving() as address:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": address}
        few = traced | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
        ways = [
            Way("not observed"),
            Way("not observed, again"),
            Way(f"figures fetched each {_SCRAPE_EVERY:.0f} s", scraped=True),
            Way("traces, 1 in 100", few),
            Way("traces, all", traced),
        ]
        await made.execute("postgres", "CREATE DATABASE filled TEMPLATE migrated")
        async with made.copy("filled") as engine:
            async with engine.begin() as connection:
                await make_sites(connection, options.depots)
            load = os.getloadavg()[0]
            async with engine.connect() as connection:
                sites = await read_sites(connection)
            for start in track(range(options.starts), description="packets", console=console, transient=True):
                await _measure_packets(made, ways, sites, options, start)
                _note_start(ways)
            starts = range(options.starts if options.syncs else 0)
            steps = [way for number in starts for way in _in_turn(ways, number)]
            for way in track(steps, description="syncs", console=console, transient=True):
                async with _running(made, way) as api:
                    way.syncs.append(Latency.of(await _syncs(made.url_of("run"), api.url, sites[0], options.syncs)))
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


def _in_turn(ways: Sequence[Way], number: int) -> list[Way]:
    """All ways, in an order that changes: of twice as many turns as there are ways, each comes as often before another
    as after it.
    """
    first = number % len(ways)
    order = [*ways[first:], *ways[:first]]
    return order[::-1] if number // len(ways) % 2 else order


def _turns(ways: Sequence[Way], rounds: int, start: int, array: int, seconds: float) -> list[tuple[int, float, Way]]:
    """The turns after a start, whose order goes on from that of the start before."""
    numbers = range(start * rounds, (start + 1) * rounds)
    return [(array, seconds, way) for number in numbers for way in _in_turn(ways, number)]


async def _measure_packets(
    made: Stage, ways: Sequence[Way], sites: Sequence[DepotIds], options: OverheadOptions, start: int
) -> None:
    """Start an API of each way, and load them in turn."""
    async with AsyncExitStack() as stack:
        apis = {way.name: await stack.enter_async_context(_serving(made, way)) for way in ways}
        # Whoever is asked first makes what others find.
        for way in ways:
            await _load(way, apis[way.name], sites, 1, options.seconds)
            way.turns.clear()
        turns = _turns(ways, options.rounds, start, 1, options.seconds)
        # All clients' arrays together take more than a second.
        turns += _turns(ways, max(options.rounds // _LONGER, 1), start, ARRAY, options.seconds * _LONGER)
        scraped_at = 0.0
        for array, seconds, way in turns:
            api = apis[way.name]
            async with asyncio.TaskGroup() as group:
                # As often as Prometheus does, of the time in which this way is measured.
                if way.scraped and (scraped_at := scraped_at + seconds) >= _SCRAPE_EVERY:
                    scraped_at = 0.0
                    group.create_task(_scrape(api.url))
                await _load(way, api, sites, array, seconds)


def _note_start(ways: Sequence[Way]) -> None:
    """Compare what was measured since the last start."""
    plain = ways[0].turns
    for way in ways:
        for figure, values in way.turns.items():
            way.medians.setdefault(figure, []).append(median(values))
            pairs = zip(values, plain[figure], strict=True)
            way.ratios.setdefault(figure, []).append(median(value / other for value, other in pairs))


async def _load(way: Way, api: ApiProgram, sites: Sequence[DepotIds], array: int, seconds: float) -> None:
    begin = int(time.time() * 1000) - 60_000
    clients = [
        Client("POST", PACKETS, packets_body(sites, number * array, array), array, begin=begin)
        for number in range(CLIENTS)
    ]
    assert api.pid is not None
    used = processor_seconds(api.pid)
    outcome = await run_load(Plan("127.0.0.1", api.port, clients, seconds, seconds / 8))
    used = processor_seconds(api.pid) - used
    packets = sum(each - begin for each in outcome.next_times)
    way.turns.setdefault(_Figure(array, is_rate=True), []).append(len(outcome.latencies) * array / outcome.seconds)
    way.turns.setdefault(_Figure(array, is_rate=False), []).append(used / packets * 1e6)


def _environment(made: Stage, way: Way) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    address = made.client.service_client.config.target_host
    environment |= {"DATABASE_URL": made.url_of("run"), "TEMPORAL_ADDRESS": address, **way.environment}
    # The depots are made without grid connections: what repairs them all would stand before what is measured.
    return environment | {"MANAGE_METRICS_PORT": str(free_port(0)), "MANAGE_DRIFT_REPAIR": "false"}


@asynccontextmanager
async def _serving(made: Stage, way: Way) -> AsyncGenerator[ApiProgram]:
    """Run an API, a process."""
    with tempfile.TemporaryDirectory(prefix="bench-api-") as folder:
        api = ApiProgram("127.0.0.1", free_port(0), Path(folder) / "api.log", _environment(made, way))
        try:
            await asyncio.to_thread(api.start)
            yield api
        finally:
            await asyncio.to_thread(api.stop)


@asynccontextmanager
async def _running(made: Stage, way: Way) -> AsyncGenerator[ApiProgram]:
    """Run API and worker, each a process. Where figures are fetched, those of both are."""
    async with _serving(made, way) as api:
        with tempfile.TemporaryDirectory(prefix="bench-worker-") as folder:
            environment = _environment(made, way) | {"MANAGE_API_URL": api.url}
            worker = Program("worker", ["worker.py"], Path(folder) / "worker.log", environment)
            addresses = [api.url, f"http://127.0.0.1:{environment['MANAGE_METRICS_PORT']}"]
            try:
                await asyncio.to_thread(worker.start)
                began = time.perf_counter()
                while not await _answers(addresses[1]):
                    if time.perf_counter() - began > _LONGEST:
                        raise CommandFailedError(f"The worker did not start within {_LONGEST:.0f} s.")
                    await asyncio.sleep(_LOOK_EVERY)
                async with _scraping(addresses if way.scraped else ()):
                    yield api
            finally:
                await asyncio.to_thread(worker.stop)


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


async def _scrape(address: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        (await client.get(f"{address}/metrics")).raise_for_status()


async def _answers(address: str) -> bool:
    try:
        await _scrape(address)
    except httpx.ConnectError:
        return False
    return True


@asynccontextmanager
async def _scraping(addresses: Sequence[str]) -> AsyncGenerator[None]:
    async def scrape() -> None:
        while True:
            for address in addresses:
                await _scrape(address)
            await asyncio.sleep(_SCRAPE_EVERY)

    task = asyncio.create_task(scrape())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _with_error(ratios: Sequence[float]) -> str:
    """The mean, and its standard error."""
    error = f" ± {stdev(ratios) / len(ratios) ** 0.5:.3f}" if len(ratios) > 1 else ""
    return f"{fmean(ratios):.3f}{error}"


def _table(ways: Sequence[Way], load: float) -> Table:
    table = Table(title=f"A product that is observed, beside one that is not ({CLIENTS} clients; load {load:.1f})")
    table.add_column("")
    for figure in _FIGURES:
        table.add_column(f"by {figure.array}: packets/s" if figure.is_rate else "API µs a packet", justify="right")
        table.add_column("ratio", justify="right")
    for column in ("sync p50, p99 ms", "ratio of p50"):
        table.add_column(column, justify="right")
    for way in ways:
        cells: list[str] = []
        for figure in _FIGURES:
            cells += [f"{fmean(way.medians[figure]):,.0f}", _with_error(way.ratios[figure])]
        table.add_row(way.name, *cells, *_sync_cells(way, ways[0]))
    return table


def _sync_cells(way: Way, plain: Way) -> tuple[str, str]:
    if not way.syncs:
        return "", ""
    p50, p99 = (median(values) for values in zip(*((each.p50, each.p99) for each in way.syncs), strict=True))
    ratio = median(each.p50 / other.p50 for each, other in zip(way.syncs, plain.syncs, strict=True))
    return f"{p50:.1f}, {p99:.1f}", f"{ratio:.3f}"

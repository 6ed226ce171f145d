"""`./dev bench telemetry`: packet ingest, the latest-status read and the deadlines, each beside its baseline."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.commands.services import child_environment
from cli.errors import CommandFailedError
from devtools.bench.baselines.bare import BarePlan
from devtools.bench.baselines.flexmeasures import flexmeasures
from devtools.bench.baselines.same_rows import differences
from devtools.bench.baselines.server import CONSTANT
from devtools.bench.credentials import Door, door_table, make_secrets, measure_door, measure_guard
from devtools.bench.deadlines import measure_deadlines
from devtools.bench.figures import Latency
from devtools.bench.load import Client, Outcome, Plan
from devtools.bench.runners import BenchApi, processor_seconds, run_bare, run_load
from devtools.bench.site import (
    PACKETS,
    READINGS,
    DepotIds,
    make_sites,
    packet_answers,
    packet_template,
    packets_body,
    read_sites,
)
from devtools.bench.stage import Databases, databases
from runtime.servers.processes import free_port
from store.base.database import make_engine

CLIENTS = 64
ARRAY = 100
"""Packets in a request that has an array of them, each of another gateway."""


@dataclass(frozen=True)
class BenchOptions:
    """What was asked for."""

    seconds: float
    warm_up: float
    rounds: int
    depots: int
    processes: int

    def line(self, clients: int, array: int) -> Line:
        """A way of bringing packets in which no two of those that are under way are of one gateway."""
        return Line(clients, min(array, self.depots // clients))


@dataclass(frozen=True)
class Sample:
    """One measurement, of the product or of its baseline."""

    packets_a_second: float
    latency: Latency
    processor: float
    """Microseconds of processor time a packet, of the API or the bare process, and of PostgreSQL with it."""
    load: float = 0.0
    """Microseconds that the load generator took for a packet."""


@dataclass
class Line:
    """One way of bringing packets, over all rounds."""

    clients: int
    array: int
    groups: list[float] = field(default_factory=list[float])
    """Packets a transaction, on average."""
    ingest: list[Sample] = field(default_factory=list[Sample])
    bare: list[Sample] = field(default_factory=list[Sample])

    def ratio(self, of: Callable[[Sample], float]) -> float:
        """The median, over the pairs, of one figure of ingest divided by the same of the baseline."""
        return median(of(ingest) / of(bare) for ingest, bare in zip(self.ingest, self.bare, strict=True))


class Clock:
    """Times for packets that are never used twice, and never too far from now for a controller that is alive."""

    def __init__(self) -> None:
        self._next = 0
        self.other = 1_577_836_800_000
        """Where the times of FlexMeasures' readings go on. They lie years ago: it takes no others as measured."""

    def begin(self) -> int:
        """A time later than all that were taken, a minute ago or so."""
        self._next = max(self._next, int(time.time() * 1000) - 60_000)
        return self._next

    def take(self, until: int) -> None:
        """Note that times up to ``until`` are used."""
        self._next = max(self._next, until)


async def run(seconds: float, rounds: int, depots: int, processes: int, parts: Sequence[str]) -> int:
    """Measure and print."""
    if depots < CLIENTS:
        raise CommandFailedError(f"Each of {CLIENTS} clients sends packets of its own depot: give at least {CLIENTS}.")
    options = BenchOptions(seconds, min(2.0, seconds / 2), rounds, depots, processes)
    console = Console()
    async with databases() as made:
        await _fill(made, options.depots)
        if "packets" in parts or "reads" in parts:
            await _ingest(console, made, options, packets="packets" in parts, reads="reads" in parts)
        if "several" in parts:
            await _several(console, made, options)
        if "credentials" in parts:
            await _credentials(console, made, options)
        if "flexmeasures" in parts:
            await _flexmeasures(console, made, options)
        if "deadlines" in parts:
            console.print(await measure_deadlines(made, options.rounds))
    return 0


async def _fill(made: Databases, depots: int) -> None:
    await made.execute("postgres", "CREATE DATABASE filled TEMPLATE migrated")
    engine = make_engine(made.url_of("filled"), pool_size=1)
    async with engine.begin() as connection:
        await make_sites(connection, depots)
    await engine.dispose()
    await made.execute("filled", "VACUUM ANALYZE")


@dataclass(frozen=True)
class Running:
    """A database with sites and an API on it."""

    made: Databases
    engine: AsyncEngine
    api: BenchApi
    sites: list[DepotIds]
    clock: Clock
    options: BenchOptions

    async def load(self, clients: list[Client]) -> Outcome:
        """Put load on the API."""
        outcome = await run_load(Plan("127.0.0.1", self.api.port, clients, self.options.seconds, self.options.warm_up))
        self.clock.take(max(outcome.next_times))
        return outcome

    async def begin(self) -> None:
        """Send the first packet of each gateway: of it more is written than of those that are measured."""
        begin = self.clock.begin()
        bodies = [self.sites[n : n + ARRAY] for n in range(0, len(self.sites), ARRAY)]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.api.port}", timeout=60) as client:
            for sites in bodies:
                body = packets_body(sites, 0, len(sites)) % ((begin,) * len(sites))
                (await client.post(PACKETS, content=body)).raise_for_status()
        self.clock.take(begin + 1)

    async def packets(self, line: Line, *, baseline: bool = True) -> None:
        """Measure one way of bringing packets, then its baseline."""
        begin = self.clock.begin()
        clients = [
            Client("POST", PACKETS, packets_body(self.sites, number * line.array, line.array), line.array, begin=begin)
            for number in range(line.clients)
        ]
        assert self.api.pid is not None
        counted = await self._stored()
        used = processor_seconds(self.api.pid) + processor_seconds(self.made.server_pid)
        outcome = await self.load(clients)
        used = processor_seconds(self.api.pid) + processor_seconds(self.made.server_pid) - used
        packets, groups = (after - before for after, before in zip(await self._stored(), counted, strict=True))
        line.groups.append(packets / groups)
        taken = len(outcome.latencies) * line.array
        line.ingest.append(
            Sample(
                taken / outcome.seconds,
                Latency.of(outcome.latencies),
                used / packets * 1e6,
                outcome.processor_seconds / taken * 1e6,
            )
        )
        if baseline:
            await self._baseline(line, round(line.groups[-1]))

    async def _stored(self) -> tuple[int, int]:
        """Packets that are stored, and the groups that they came in."""
        async with self.engine.connect() as connection:
            # All packets of a group have the group's time.
            query = text("SELECT count(*), count(DISTINCT received_at) FROM packets")
            found = (await connection.execute(query)).one()
        return found[0], found[1]

    async def _baseline(self, line: Line, group: int) -> None:
        used = self.sites[: line.clients * line.array]
        outcome = await run_bare(
            BarePlan(
                self.made.url_of("run"),
                group,
                self.options.seconds,
                self.options.warm_up,
                self.clock.begin(),
                [[*map(str, site), packet_template(site), packet_answers(site)] for site in used],
            )
        )
        self.clock.take(outcome.next_time)
        processor = outcome.processor_seconds / outcome.packets * 1e6
        line.bare.append(Sample(outcome.packets / outcome.seconds, Latency.of(outcome.latencies), processor))


@asynccontextmanager
async def _running(made: Databases, options: BenchOptions) -> AsyncGenerator[Running]:
    """Start the API on a fresh copy of the database."""
    with tempfile.TemporaryDirectory(prefix="bench-api-") as folder:
        async with made.copy("filled") as engine:
            async with engine.connect() as connection:
                sites = await read_sites(connection)
            environment = child_environment(None, None, "") | {"DATABASE_URL": made.url_of("run")}
            with BenchApi(free_port(), Path(folder) / "api.log", environment, options.processes) as api:
                running = Running(made, engine, api, sites, Clock(), options)
                await running.begin()
                yield running


async def _ingest(console: Console, made: Databases, options: BenchOptions, *, packets: bool, reads: bool) -> None:
    lines = [options.line(clients, array) for array in (1, ARRAY) for clients in (1, CLIENTS)] if packets else []
    read = ReadFigures()
    unlike = await _unlike(made) if packets else []
    for _ in track(range(options.rounds), description="rounds", console=console, transient=True):
        async with _running(made, options) as running:
            for line in lines:
                await running.packets(line)
            if reads:
                await _reads(running, read)
    if packets:
        console.print(_packet_table(lines))
        for each in unlike:
            console.print(f"[red]The baseline does not write what the product writes:[/] {each}")
    if reads:
        console.print(read.table())


async def _unlike(made: Databases) -> list[str]:
    """Say how the rows of the baseline differ from those of the product."""
    async with made.copy("filled") as engine:
        async with engine.connect() as connection:
            product, bare, *_ = await read_sites(connection)
        return await differences(engine, product, bare)


async def _several(console: Console, made: Databases, options: BenchOptions) -> None:
    """Measure one API process and several, in turn."""
    measured = {
        count: [options.line(CLIENTS, 1), options.line(CLIENTS, ARRAY)] for count in (1, max(2, options.processes))
    }
    for _ in track(range(options.rounds), description="API processes", console=console, transient=True):
        for count, lines in measured.items():
            async with _running(made, replace(options, processes=count)) as running:
                for line in lines:
                    await running.packets(line, baseline=False)
    console.print(_several_table(measured))


def _several_table(measured: dict[int, list[Line]]) -> Table:
    table = Table(title=f"Packets a second at {CLIENTS} clients, by processes of the API (medians)")
    for column in ("packets a request", "processes", "packets/s", "p50 ms", "p99 ms", "µs a packet"):
        table.add_column(column, justify="right")
    for kinds in zip(*measured.values(), strict=True):
        for count, line in zip(measured, kinds, strict=True):
            table.add_row(
                f"{line.array}" if count == 1 else "",
                f"{count}",
                f"{median(each.packets_a_second for each in line.ingest):,.0f}",
                f"{median(each.latency.p50 for each in line.ingest):.1f}",
                f"{median(each.latency.p99 for each in line.ingest):.1f}",
                f"{median(each.processor for each in line.ingest):,.0f}",
            )
        one, more = kinds
        ratio = median(
            several.packets_a_second / alone.packets_a_second
            for several, alone in zip(more.ingest, one.ingest, strict=True)
        )
        table.add_row("", "ratio", f"{ratio:.2f}", end_section=True)
    table.caption = "µs a packet: processor time of API and PostgreSQL, on the machine that also makes the load."
    return table


async def _credentials(console: Console, made: Databases, options: BenchOptions) -> None:
    doors = [Door(1, 1), Door(CLIENTS, 1), Door(CLIENTS, ARRAY)]
    async with _running(made, options) as running:
        tokens = await make_secrets(running.engine, running.sites[:CLIENTS])
        for number in track(range(options.rounds), description="credentials", console=console, transient=True):
            for door in doors:
                used = tokens[: door.clients]
                await measure_door(running, PACKETS, door, used, proved_first=number % 2 == 1)
        guard = await measure_guard(made.url_of("run"), tokens[0])
    console.print(door_table(doors))
    console.print(str(guard))


def _packet_table(lines: Sequence[Line]) -> Table:
    table = Table(title="Packets through HTTP beside the same rows by the bare driver (medians)")
    columns = (
        "clients", "packets a request", "packets a group", "", "packets/s", "p50 ms", "p99 ms", "µs a packet", "load µs"
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right")
    for line in lines:
        for name, samples in (("HTTP", line.ingest), ("bare", line.bare)):
            first = name == "HTTP"
            table.add_row(
                *((f"{line.clients}", f"{line.array}", f"{median(line.groups):,.1f}") if first else ("", "", "")),
                name,
                f"{median(each.packets_a_second for each in samples):,.0f}",
                f"{median(each.latency.p50 for each in samples):.1f}",
                f"{median(each.latency.p99 for each in samples):.1f}",
                f"{median(each.processor for each in samples):,.0f}",
                f"{median(each.load for each in samples):,.0f}" if first else "",
            )
        rate, processor = (
            line.ratio(lambda sample: sample.packets_a_second),
            line.ratio(lambda sample: sample.processor),
        )
        table.add_row("", "", "", "ratio", f"{rate:.2f}", "", "", f"{processor:.2f}", end_section=True)
    table.caption = (
        "p50 and p99: of a request, and of a bare transaction. µs a packet: processor time of API and PostgreSQL, or "
        "of the bare process and PostgreSQL; load: of the load generator."
    )
    return table


@dataclass
class ReadFigures:
    """Latest-status reads beside a route that answers with a constant, over all rounds."""

    rates: list[float] = field(default_factory=list[float])
    constants: list[float] = field(default_factory=list[float])
    latencies: list[Latency] = field(default_factory=list[Latency])
    constant_latencies: list[Latency] = field(default_factory=list[Latency])
    loads: list[float] = field(default_factory=list[float])
    constant_loads: list[float] = field(default_factory=list[float])

    def table(self) -> Table:
        """The figures as they are printed."""
        table = Table(title=f"Latest-status reads a second at {CLIENTS} clients (medians)")
        for column in ("", "reads/s", "p50 ms", "p99 ms", "cores: load"):
            table.add_column(column, justify="right")
        for name, rates, latencies, loads in (
            ("capability-status", self.rates, self.latencies, self.loads),
            ("a constant of the same size", self.constants, self.constant_latencies, self.constant_loads),
        ):
            p50, p99 = (median(getattr(each, name) for each in latencies) for name in ("p50", "p99"))
            table.add_row(name, f"{median(rates):,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{median(loads):.2f}")
        ratio = median(rate / constant for rate, constant in zip(self.rates, self.constants, strict=True))
        table.add_row("ratio", f"{ratio:.2f}")
        return table


async def _reads(running: Running, figures: ReadFigures) -> None:
    clients = [
        Client("GET", f"/api/microgrids/{running.sites[n].microgrid_id}/capability-status") for n in range(CLIENTS)
    ]
    outcome = await running.load(clients)
    constant = await running.load([Client("GET", f"{CONSTANT}/{outcome.body_bytes}")] * CLIENTS)
    for found, rates, latencies, loads in (
        (outcome, figures.rates, figures.latencies, figures.loads),
        (constant, figures.constants, figures.constant_latencies, figures.constant_loads),
    ):
        rates.append(len(found.latencies) / found.seconds)
        latencies.append(Latency.of(found.latencies))
        loads.append(found.processor_seconds / found.seconds)


@dataclass
class Pair:
    """Readings a second of the product and of FlexMeasures with the same number a request, over all rounds."""

    packets: int
    """Packets a request; FlexMeasures gets as many readings as they have."""
    ingest: list[Sample] = field(default_factory=list[Sample])
    other: list[Sample] = field(default_factory=list[Sample])


async def _flexmeasures(console: Console, made: Databases, options: BenchOptions) -> None:
    pairs = [Pair(options.line(CLIENTS, array).array) for array in (1, ARRAY)]
    async with flexmeasures(made, CLIENTS) as other, _running(made, options) as running:
        for _ in track(range(options.rounds), description="FlexMeasures", console=console, transient=True):
            for pair in pairs:
                line = Line(CLIENTS, pair.packets)
                readings = pair.packets * READINGS
                clients = other.clients(CLIENTS, readings, running.clock.other)
                outcome = await run_load(
                    Plan("127.0.0.1", other.port, clients, options.seconds, options.warm_up, other.headers)
                )
                running.clock.other = max(outcome.next_times)
                rate = len(outcome.latencies) * readings / outcome.seconds
                pair.other.append(Sample(rate, Latency.of(outcome.latencies), 0))
                await running.packets(line, baseline=False)
                pair.ingest.append(line.ingest[0])
    console.print(_pair_table(pairs))


def _pair_table(pairs: Sequence[Pair]) -> Table:
    table = Table(title=f"Readings a second at {CLIENTS} clients, one PostgreSQL server (medians)")
    for column in ("readings a request", "", "readings/s", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for pair in pairs:
        for name, samples, readings in (("packet ingest", pair.ingest, READINGS), ("FlexMeasures", pair.other, 1)):
            table.add_row(
                f"{pair.packets * READINGS}" if samples is pair.ingest else "",
                name,
                f"{median(each.packets_a_second * readings for each in samples):,.0f}",
                f"{median(each.latency.p50 for each in samples):.1f}",
                f"{median(each.latency.p99 for each in samples):.1f}",
            )
        ratio = median(
            one.packets_a_second * READINGS / two.packets_a_second
            for one, two in zip(pair.ingest, pair.other, strict=True)
        )
        table.add_row("", "ratio", f"{ratio:.1f}", end_section=True)
    return table

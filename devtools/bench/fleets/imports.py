"""`./dev bench import`: a legacy fleet imported over HTTP, beside `COPY` of the same rows and of the same lines."""

from __future__ import annotations

import asyncio
import io
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import asyncpg
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cli.client import Api
from cli.commands.services import ApiProgram
from cli.errors import CommandFailedError
from devtools.bench.stage import Databases, databases
from fleet.make_fleet import lines
from runtime.servers.processes import free_port

_TABLES = ("depots", "circuits", "gateways", "devices", "power_sources")
"""What the lines of a fleet become, each table after those that it refers to."""
_SEED = 3
_TEMPORAL = "127.0.0.1:9"
"""Nobody is there: an import starts no workflow."""


class _Seconds(NamedTuple):
    """One round: the import, and both floors."""

    product: float
    rows: float
    text: float


async def run(depots: int, rounds: int) -> int:
    """Measure and print."""
    console = Console()
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        file = folder / "fleet.ndjson"
        count = await asyncio.to_thread(_write, file, depots)
        async with databases() as made:
            each_round = track(range(rounds), description=f"{count:,} lines", console=console, transient=True)
            measured = [await _round(made, folder, file, count) for _ in each_round]
    load = os.getloadavg()[0]
    product = [each.product for each in measured]
    table = Table(title=f"Import of {count:,} lines, {depots:,} depots: {rounds} rounds, load average {load:.1f}")
    for column in ("", "lines/s", "ratio of the import to it"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("POST /api/depots/import", f"{count / median(product):,.0f}", "")
    for what, floor in (
        ("COPY of the same rows into the same tables", [each.rows for each in measured]),
        ("COPY of the lines", [each.text for each in measured]),
    ):
        ratio = median(bare / whole for bare, whole in zip(floor, product, strict=True))
        table.add_row(what, f"{count / median(floor):,.0f}", f"{ratio:.2f}")
    console.print(table)
    return 0


def _write(file: Path, depots: int) -> int:
    """Write a fleet without flaws; answer how many lines it has."""
    made = list(lines(depots, _SEED, flaws=False))
    file.write_text("".join(made), encoding="utf-8")
    return len(made)


async def _round(made: Databases, folder: Path, file: Path, count: int) -> _Seconds:
    await made.execute("postgres", "CREATE DATABASE imported TEMPLATE migrated")
    await made.execute("postgres", "CREATE DATABASE copied TEMPLATE migrated")
    try:
        product = await _import(made, folder, file, count)
        rows = await _copy_rows(made, count)
        text = await _copy_lines(made, file)
    finally:
        await made.drop("imported")
        await made.drop("copied")
    return _Seconds(product, rows, text)


async def _import(made: Databases, folder: Path, file: Path, count: int) -> float:
    """Import as a user does, into an empty database and by an API that has just started."""
    environment = os.environ | {"DATABASE_URL": made.url_of("imported"), "TEMPORAL_ADDRESS": _TEMPORAL}
    program = ApiProgram("127.0.0.1", free_port(0), folder / "api.log", environment)
    await asyncio.to_thread(program.start)
    try:
        async with Api(program.url) as api:
            await made.execute("postgres", "CHECKPOINT")
            began = time.perf_counter()
            answer = await api.import_fleet(file, lambda _: None, io.BytesIO())
            took = time.perf_counter() - began
    finally:
        await asyncio.to_thread(program.stop)
    if sum(answer["landed"].values()) != count:
        raise CommandFailedError(f"The import stored {answer['landed']} of {count} lines.")
    return took


async def _copy_rows(made: Databases, count: int) -> float:
    """Copy what the import stored into the same tables, with their indexes, references and triggers."""
    source = await asyncpg.connect(made.url_of("imported"))
    target = await asyncpg.connect(made.url_of("copied"))
    try:
        stored: dict[str, io.BytesIO] = {}
        for table in _TABLES:
            stored[table] = io.BytesIO()
            await source.copy_from_table(table, output=stored[table], format="binary")
            stored[table].seek(0)
        await made.execute("postgres", "CHECKPOINT")
        began = time.perf_counter()
        async with target.transaction():
            # As the import does: no depot asks for a sync, that is the job of the backfill.
            await target.execute("SELECT set_config('manage.importing', 'on', true)")
            for table, rows in stored.items():
                await target.copy_to_table(table, source=rows, format="binary")
        took = time.perf_counter() - began
        copied = [await target.fetchval(f"SELECT count(*) FROM {table}") for table in _TABLES]  # noqa: S608
    finally:
        await source.close()
        await target.close()
    if sum(copied) != count:
        raise CommandFailedError(f"{sum(copied)} of {count} rows were copied.")
    return took


async def _copy_lines(made: Databases, file: Path) -> float:
    """Copy the lines as they are into a table with one column and no index."""
    connection = await asyncpg.connect(made.url_of("copied"))
    try:
        await connection.execute("CREATE TABLE lines (line text NOT NULL)")
        await made.execute("postgres", "CHECKPOINT")
        began = time.perf_counter()
        # Neither character is in a line of JSON: each is one value.
        await connection.copy_to_table("lines", source=file, format="csv", delimiter="\x01", quote="\x02")
        return time.perf_counter() - began
    finally:
        await connection.close()

"""Ten thousand circuits whose fail-safe falls due at once, beside one bare UPDATE of the same rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.errors import CommandFailedError
from devtools.bench.site import make_sites
from devtools.bench.stage import Databases
from store.base.database import make_engine
from store.monitoring.capacity_upkeep import pass_deadlines

CIRCUITS = 10_000
BATCH = 500

_SPEAK = text("""
    UPDATE circuit_capacities
    SET mode = 'CONTROLLER', capacity_w = 187500, basis = 'AVAILABLE_CHARGING_CAPACITY', observed_at = now(),
        deadline = now() + make_interval(secs => :seconds), reason = NULL
""")
_BARE = text("""
    UPDATE circuit_capacities
    SET mode = 'FAIL_SAFE', since = deadline, deadline = NULL, reason = 'NO_PACKET', capacity_w = 0,
        basis = 'FAIL_SAFE_UNKNOWN'
    WHERE deadline <= clock_timestamp()
""")
_FAIL_SAFE = text("SELECT count(*) FROM circuit_capacities WHERE mode = 'FAIL_SAFE'")


@dataclass
class _Figures:
    """Seconds, over all rounds."""

    sweeps: list[float] = field(default_factory=list[float])
    bare: list[float] = field(default_factory=list[float])
    idle: list[float] = field(default_factory=list[float])
    ping: list[float] = field(default_factory=list[float])


async def measure_deadlines(made: Databases, rounds: int) -> Table:
    """Measure, and make the table of it."""
    await made.execute("postgres", "CREATE DATABASE silent TEMPLATE migrated")
    engine = make_engine(made.url_of("silent"), pool_size=1)
    async with engine.begin() as connection:
        await make_sites(connection, CIRCUITS)
        await connection.execute(_SPEAK, {"seconds": -1.0})
    await engine.dispose()
    await made.execute("silent", "VACUUM ANALYZE")
    figures = _Figures()
    for _ in range(rounds):
        async with made.copy("silent") as engine:
            figures.bare.append(await _bare(engine))
        async with made.copy("silent") as engine:
            figures.sweeps.append(await _sweep(engine))
            async with engine.begin() as connection:
                await connection.execute(_SPEAK, {"seconds": 3600.0})
            figures.idle.append(await _nothing_due(engine))
            figures.ping.append(await _ping(engine))
    return _table(figures)


async def _sweep(engine: AsyncEngine) -> float:
    began = time.perf_counter()
    passed = -1
    while passed:
        async with engine.begin() as connection:
            passed = await pass_deadlines(connection, BATCH)
    took = time.perf_counter() - began
    await _check(engine)
    return took


async def _bare(engine: AsyncEngine) -> float:
    async with engine.connect() as connection:
        began = time.perf_counter()
        await connection.execute(_BARE)
        await connection.commit()
        took = time.perf_counter() - began
    await _check(engine)
    return took


async def _nothing_due(engine: AsyncEngine, times: int = 50) -> float:
    began = time.perf_counter()
    for _ in range(times):
        async with engine.begin() as connection:
            if await pass_deadlines(connection, BATCH):
                raise CommandFailedError("something was due")
    return (time.perf_counter() - began) / times


async def _ping(engine: AsyncEngine, times: int = 50) -> float:
    began = time.perf_counter()
    for _ in range(times):
        async with engine.begin() as connection:
            await connection.execute(text("SELECT 1"))
    return (time.perf_counter() - began) / times


async def _check(engine: AsyncEngine) -> None:
    """Refuse to report a run that did not do the work."""
    async with engine.connect() as connection:
        found = (await connection.execute(_FAIL_SAFE)).scalar_one()
    if found != CIRCUITS:
        raise CommandFailedError(f"{found} circuits of {CIRCUITS} in fail-safe")


def _table(figures: _Figures) -> Table:
    table = Table(title=f"{CIRCUITS:,} circuits that follow controllers (medians)")
    for column in ("", "ms", "baseline, ms", "ratio"):
        table.add_column(column, justify="right")
    for name, measured, baseline in (
        ("all fall due at once: one sweep beside one bare UPDATE of the rows", figures.sweeps, figures.bare),
        ("nothing due: one look beside a transaction with SELECT 1", figures.idle, figures.ping),
    ):
        ratio = median(one / other for one, other in zip(measured, baseline, strict=True))
        table.add_row(name, f"{median(measured) * 1000:,.2f}", f"{median(baseline) * 1000:,.2f}", f"{ratio:.1f}")
    return table

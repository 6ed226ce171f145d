"""Rollups of readings and of capability events, kept right under late and repeated data.

Each reading and event has in ``written_in`` the transaction that wrote it last. What was written since the mark, and
before the oldest transaction that is still open, is noted as blocks of a device's or a microgrid's time
(`note_touched`); blocks are rolled up from all that there is of them (`roll_up_page`). Both may be done again at any
time. One does it at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.rollups import BLOCK, RollupWidth
from store.base.driver import driver_errors, driver_in
from store.history.rolling.band_statements import (
    combine_bands_statement,
    roll_up_bands_statement,
    settled_bands_statement,
)
from store.history.rolling.marks import EVENTS, READINGS, Source, Stretch, aligned, arrays, complete, note, take
from store.history.rollup_statements import TABLES, combine_statement, roll_up_statement, settled_statement
from store.monitoring.history import oldest_month

PAGE = timedelta(hours=150)
"""Time of devices that is rolled up in one transaction, about: 54,000 readings at one each ten seconds. As much of
microgrids: 36,000 events at two each half minute."""


@dataclass(frozen=True)
class _Statements:
    """What makes the rollups of a source."""

    settled: Callable[[], str]
    """Which stretches have nothing that is still to be rolled up."""
    by_width: Mapping[RollupWidth, Callable[[], str]]
    """The narrowest from the source, and each that follows from the one before it."""


_STATEMENTS = {
    READINGS: _Statements(
        settled_statement,
        {
            RollupWidth.MINUTE: roll_up_statement,
            RollupWidth.QUARTER: partial(combine_statement, TABLES[RollupWidth.MINUTE], RollupWidth.QUARTER),
            RollupWidth.DAY: partial(combine_statement, TABLES[RollupWidth.QUARTER], RollupWidth.DAY),
        },
    ),
    EVENTS: _Statements(
        settled_bands_statement,
        {RollupWidth.QUARTER: roll_up_bands_statement, RollupWidth.DAY: combine_bands_statement},
    ),
}


@dataclass(frozen=True)
class RolledPage:
    """What one page came to."""

    blocks: int
    changed: int
    """Buckets of all widths that were written or removed."""


@dataclass(frozen=True)
class RollupBacklog:
    """What is still to be rolled up."""

    blocks: int
    """Stretches of a device's or a microgrid's time that are noted."""
    complete_at: datetime | None
    """Every reading that came before is rolled up; None: those that are there have not been looked through yet."""
    lag_seconds: float
    """How long ago everything that had come was rolled up."""


LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('rollups', 0))"
"""One makes rollups at a time."""
# A month is dropped under a lock that waits for this one, so what is read to be there stays there.
KEEP_MONTHS = "LOCK TABLE device_readings, capability_events IN ACCESS SHARE MODE"
BACKLOG = """
    SELECT (SELECT count(*) FROM rollup_blocks) + (SELECT count(*) FROM band_blocks) AS blocks, r.complete_at,
           coalesce(date_part('epoch', clock_timestamp() - least(r.complete_at, b.complete_at)), 0) AS lag_seconds
    FROM rollup_mark AS r, band_mark AS b
"""


async def note_touched(connection: AsyncConnection) -> None:
    """Note what was written since this was done last, as far as nothing older is still being written.

    To be called in a transaction that has written nothing yet.
    """
    driver = await driver_in(connection)
    with driver_errors():
        await driver.execute(LOCK)
        for source in (READINGS, EVENTS):
            await note(driver, source)


async def roll_up_page(connection: AsyncConnection, page: timedelta = PAGE) -> RolledPage | None:
    """Roll up the newest of what is noted of readings and of events; None: nothing is."""
    driver = await driver_in(connection)
    blocks = changed = 0
    with driver_errors():
        await driver.execute(LOCK)
        await driver.execute(KEEP_MONTHS)
        for source in (READINGS, EVENTS):
            taken = await take(driver, source, page)
            if taken:
                blocks += len(taken)
                stretches = [Stretch(each.subject_id, each.since - source.reach, each.until) for each in taken]
                changed += await roll_up(driver, source, stretches)
                await complete(driver, source)
    return RolledPage(blocks, changed) if blocks else None


async def read_backlog(connection: AsyncConnection) -> RollupBacklog:
    """Say what is still to be rolled up."""
    driver = await driver_in(connection)
    with driver_errors():
        row = await driver.fetchrow(BACKLOG)
    assert row is not None
    return RollupBacklog(*row)


async def roll_up(
    driver: asyncpg.Connection, source: Source, stretches: Iterable[Stretch], settled: int | None = None
) -> int:
    """Make the buckets of all widths that lie in these stretches what the source says; answer how many were not.

    Where ``settled`` is given, what has rows of that transaction or a later one is left out, and what is noted. Months
    whose source is no longer kept are left as they are.
    """
    oldest = await driver.fetchval(oldest_month(source.table))
    statements = _STATEMENTS[source]
    if settled is not None:
        # What comes between this and the next statement is left out there.
        rows = await driver.fetch(statements.settled(), *arrays(aligned(stretches, BLOCK, oldest)), settled)
        stretches = [Stretch(*row) for row in rows]
    changed = 0
    for width, statement in statements.by_width.items():
        stretches = aligned(stretches, width.span, oldest)
        if not stretches:
            break
        last = [settled] if width is source.narrowest else []
        changed += await driver.fetchval(statement(), *arrays(stretches), *last) or 0
    return changed

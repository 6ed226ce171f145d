"""Rollups of readings, kept right under late and repeated data.

Each reading has in ``written_in`` the transaction that wrote it last. What was written since the mark, and before the
oldest transaction that is still open, is noted as blocks of a device's time (`note_touched`); blocks are rolled up from
all of their readings, whatever is there (`roll_up_page`). Both may be done again at any time. One does it at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.rollups import BLOCK, RollupWidth
from domain.history.series import HELD_AT_MOST
from store.base.driver import driver_errors, driver_in
from store.history.rollup_statements import TABLES, combine_statement, roll_up_statement, settled_statement
from store.monitoring.device_readings import OLDEST_MONTH

PAGE = timedelta(hours=150)
"""Time of devices that is rolled up in one transaction, about: 54,000 readings at one each ten seconds."""
_BLOCKS = 1_000
"""Blocks in one transaction, at most."""
_MOMENT = timedelta(minutes=1)
"""What the door gives as the time of arrival is read before its transaction begins to write, by less."""


@dataclass(frozen=True)
class Stretch:
    """Time of one device."""

    device_id: UUID
    since: datetime
    until: datetime
    """Not in it."""


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
    """Stretches of a device's time that are noted."""
    complete_at: datetime | None
    """Everything that came before is rolled up; None: the readings that are there have not been looked through yet."""
    lag_seconds: float
    """How long ago that is."""


LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('rollups', 0))"
"""One makes rollups at a time."""
# A month is dropped under a lock that waits for this one, so what is read to be there stays there.
KEEP_MONTHS = "LOCK TABLE device_readings IN ACCESS SHARE MODE"
_SNAPSHOT = """
    SELECT pg_snapshot_xmin(s)::text::bigint AS oldest, pg_snapshot_xmax(s)::text::bigint AS next,
           clock_timestamp() AS at
    FROM pg_current_snapshot() AS s
"""
_MARK = "SELECT mark, next_transaction, next_at, noted_at FROM rollup_mark"
_TOUCH = """
    INSERT INTO rollup_blocks AS b (device_id, block_at, since, until)
    SELECT device_id, date_bin($3, at, 'epoch'), date_bin('1 minute', min(at), 'epoch'),
           date_bin('1 minute', max(at), 'epoch') + interval '1 minute'
    FROM (
        SELECT device_id, least(observed_at, received_at) AS at FROM device_readings
        WHERE written_in >= $1 AND written_in < $2
    ) AS r
    GROUP BY 1, 2
    ON CONFLICT (device_id, block_at) DO UPDATE
    SET since = least(b.since, excluded.since), until = greatest(b.until, excluded.until)
"""
_NOTE = "UPDATE rollup_mark SET mark = $1, next_transaction = $2, next_at = $3, noted_at = $4"
_COMPLETE = "UPDATE rollup_mark SET complete_at = noted_at WHERE NOT EXISTS (SELECT FROM rollup_blocks)"
# The newest first: those are looked at most.
_TAKE = """
    WITH waiting AS (
        SELECT * FROM rollup_blocks ORDER BY block_at DESC, device_id LIMIT $2
    ), counted AS (
        SELECT *, sum(until - since) OVER (ORDER BY block_at DESC, device_id) - (until - since) AS before FROM waiting
    )
    DELETE FROM rollup_blocks AS b USING counted AS c
    WHERE c.before < $1 AND b.device_id = c.device_id AND b.block_at = c.block_at
    RETURNING b.device_id, b.since, b.until
"""
BACKLOG = """
    SELECT (SELECT count(*) FROM rollup_blocks) AS blocks, complete_at,
           coalesce(date_part('epoch', clock_timestamp() - complete_at), 0) AS lag_seconds
    FROM rollup_mark
"""


async def note_touched(connection: AsyncConnection) -> None:
    """Note what was written since this was done last, as far as nothing older is still being written.

    To be called in a transaction that has written nothing yet.
    """
    driver = await driver_in(connection)
    with driver_errors():
        await driver.execute(LOCK)
        state = await driver.fetchrow(_MARK)
        found = await driver.fetchrow(_SNAPSHOT)
        assert state is not None
        assert found is not None
        oldest, following, at = found
        # A database that was restored from a dump counts its transactions anew: all is looked through again.
        mark = state["mark"] if state["mark"] <= oldest else 0
        await driver.execute(_TOUCH, mark, oldest, BLOCK)
        noted = state["noted_at"]
        candidate = state["next_transaction"], state["next_at"]
        if mark == 0 or oldest >= candidate[0]:
            # Whatever was being written when this was looked at is here by now.
            noted = noted if candidate[1] is None else candidate[1] - _MOMENT
            candidate = following, at
        if oldest >= following:
            noted = at - _MOMENT
        await driver.execute(_NOTE, oldest, *candidate, noted)
        await driver.execute(_COMPLETE)


async def roll_up_page(connection: AsyncConnection, page: timedelta = PAGE) -> RolledPage | None:
    """Roll up the newest of what is noted; None: nothing is."""
    driver = await driver_in(connection)
    with driver_errors():
        await driver.execute(LOCK)
        await driver.execute(KEEP_MONTHS)
        taken = [Stretch(*row) for row in await driver.fetch(_TAKE, page, _BLOCKS)]
        if not taken:
            return None
        # A reading may end what held before it.
        stretches = [Stretch(each.device_id, each.since - HELD_AT_MOST, each.until) for each in taken]
        changed = await roll_up(driver, stretches)
        await driver.execute(_COMPLETE)
    return RolledPage(len(taken), changed)


async def read_backlog(connection: AsyncConnection) -> RollupBacklog:
    """Say what is still to be rolled up."""
    driver = await driver_in(connection)
    with driver_errors():
        row = await driver.fetchrow(BACKLOG)
    assert row is not None
    return RollupBacklog(*row)


async def roll_up(driver: asyncpg.Connection, stretches: Iterable[Stretch], settled: int | None = None) -> int:
    """Make the buckets of all widths that lie in these stretches what the readings say; answer how many were not.

    Where ``settled`` is given, what has readings of that transaction or a later one is left out, and what is noted.
    Months whose readings are no longer kept are left as they are.
    """
    oldest = await driver.fetchval(OLDEST_MONTH)
    if settled is not None:
        # What comes between this and the next statement is left out there.
        rows = await driver.fetch(settled_statement(), *_arrays(aligned(stretches, BLOCK, oldest)), settled)
        stretches = [Stretch(*row) for row in rows]
    changed = 0
    source: RollupWidth | None = None
    for width in RollupWidth:
        stretches = aligned(stretches, width.span, oldest)
        if not stretches:
            break
        given = _arrays(stretches)
        if source is None:
            changed += await driver.fetchval(roll_up_statement(), *given, settled) or 0
        else:
            changed += await driver.fetchval(combine_statement(TABLES[source], width), *given) or 0
        source = width
    return changed


def _arrays(stretches: Sequence[Stretch]) -> tuple[list[UUID], list[datetime], list[datetime]]:
    return (
        [each.device_id for each in stretches],
        [each.since for each in stretches],
        [each.until for each in stretches],
    )


def aligned(stretches: Iterable[Stretch], width: timedelta, oldest: datetime | None) -> list[Stretch]:
    """Widen stretches to whole buckets, and join those of a device that touch; nothing before ``oldest`` is left."""
    made: list[Stretch] = []
    if oldest is None:
        return made
    by_device = sorted(stretches, key=lambda each: (each.device_id, each.since))
    for device_id, group in groupby(by_device, key=lambda each: each.device_id):
        for each in group:
            since = max(_floor(each.since, width), oldest)
            until = _floor(each.until + width - timedelta(microseconds=1), width)
            if since >= until:
                continue
            if made and made[-1].device_id == device_id and made[-1].until >= since:
                last = made.pop()
                since, until = last.since, max(last.until, until)
            made.append(Stretch(device_id, since, until))
    return made


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _floor(moment: datetime, width: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % width

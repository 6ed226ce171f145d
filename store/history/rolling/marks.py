"""What of a source changed since it was rolled up, found by the transactions that wrote it.

A source is a table by month, each row of which has in ``written_in`` the transaction that wrote it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

import asyncpg

from domain.history.rollups import BLOCK, RollupWidth
from domain.history.series import HELD_AT_MOST

_BLOCKS = 1_000
"""Blocks that are taken at once, at most."""
_MOMENT = timedelta(minutes=1)
"""What the door gives as the time of arrival is read before its transaction begins to write, by less."""


@dataclass(frozen=True)
class Stretch:
    """Time of one device, or of one microgrid."""

    subject_id: UUID
    since: datetime
    until: datetime
    """Not in it."""


@dataclass(frozen=True)
class Source:
    """What is rolled up."""

    table: str
    subject: str
    """The column that says whose a row is."""
    counted: str
    """The condition of the rows that count."""
    narrowest: RollupWidth
    reach: timedelta
    """How long before it a row may change a bucket."""
    mark: str
    """The table of how far it is looked through."""
    blocks: str
    """The table of what is still to be rolled up."""


READINGS = Source(
    "device_readings", "device_id", "true", RollupWidth.MINUTE, HELD_AT_MOST, "rollup_mark", "rollup_blocks"
)
EVENTS = Source(
    "capability_events", "microgrid_id", "effect IN ('SHOWN', 'LATE')", RollupWidth.QUARTER, timedelta(), "band_mark",
    "band_blocks",
)  # fmt: skip
_SNAPSHOT = """
    SELECT pg_snapshot_xmin(s)::text::bigint AS oldest, pg_snapshot_xmax(s)::text::bigint AS next,
           clock_timestamp() AS at
    FROM pg_current_snapshot() AS s
"""
_MARK = "SELECT mark, next_transaction, next_at, noted_at FROM {0.mark}"
_TOUCH = """
    INSERT INTO {0.blocks} AS b ({0.subject}, block_at, since, until)
    SELECT {0.subject}, date_bin($3, at, 'epoch'), date_bin($4, min(at), 'epoch'), date_bin($4, max(at), 'epoch') + $4
    FROM (
        SELECT {0.subject}, least(observed_at, received_at) AS at FROM {0.table}
        WHERE written_in >= $1 AND written_in < $2 AND {0.counted}
    ) AS r
    GROUP BY 1, 2
    ON CONFLICT ({0.subject}, block_at) DO UPDATE
    SET since = least(b.since, excluded.since), until = greatest(b.until, excluded.until)
"""
_NOTE = "UPDATE {0.mark} SET mark = $1, next_transaction = $2, next_at = $3, noted_at = $4"
_COMPLETE = "UPDATE {0.mark} SET complete_at = noted_at WHERE NOT EXISTS (SELECT FROM {0.blocks})"
# The newest first: those are looked at most.
_TAKE = """
    WITH waiting AS (
        SELECT * FROM {0.blocks} ORDER BY block_at DESC, {0.subject} LIMIT $2
    ), counted AS (
        SELECT *, sum(until - since) OVER (ORDER BY block_at DESC, {0.subject}) - (until - since) AS before FROM waiting
    )
    DELETE FROM {0.blocks} AS b USING counted AS c
    WHERE c.before < $1 AND b.{0.subject} = c.{0.subject} AND b.block_at = c.block_at
    RETURNING b.{0.subject}, b.since, b.until
"""


async def note(driver: asyncpg.Connection, source: Source) -> None:
    """Note what was written of a source since this was done last, as far as nothing older is still being written.

    To be called in a transaction that has written no row of a source.
    """
    state = await driver.fetchrow(_MARK.format(source))
    found = await driver.fetchrow(_SNAPSHOT)
    assert state is not None
    assert found is not None
    oldest, following, at = found
    # A database that was restored from a dump counts its transactions anew: all is looked through again.
    mark = state["mark"] if state["mark"] <= oldest else 0
    await driver.execute(_TOUCH.format(source), mark, oldest, BLOCK, source.narrowest.span)
    noted = state["noted_at"]
    candidate = state["next_transaction"], state["next_at"]
    if mark == 0 or oldest >= candidate[0]:
        # Whatever was being written when this was looked at is here by now.
        noted = noted if candidate[1] is None else candidate[1] - _MOMENT
        candidate = following, at
    if oldest >= following:
        noted = at - _MOMENT
    await driver.execute(_NOTE.format(source), oldest, *candidate, noted)
    await complete(driver, source)


async def take(driver: asyncpg.Connection, source: Source, page: timedelta) -> list[Stretch]:
    """Take the newest of what is noted, so much time about."""
    return [Stretch(*row) for row in await driver.fetch(_TAKE.format(source), page, _BLOCKS)]


async def complete(driver: asyncpg.Connection, source: Source) -> None:
    """Say that all is rolled up that was noted, where it is."""
    await driver.execute(_COMPLETE.format(source))


def arrays(stretches: Sequence[Stretch]) -> tuple[list[UUID], list[datetime], list[datetime]]:
    """Their subjects, beginnings and ends: parameters of a statement."""
    return (
        [each.subject_id for each in stretches],
        [each.since for each in stretches],
        [each.until for each in stretches],
    )


def aligned(stretches: Iterable[Stretch], width: timedelta, oldest: datetime | None) -> list[Stretch]:
    """Widen stretches to whole buckets, and join those of one subject that touch; nothing before ``oldest`` is left."""
    made: list[Stretch] = []
    if oldest is None:
        return made
    by_subject = sorted(stretches, key=lambda each: (each.subject_id, each.since))
    for subject_id, group in groupby(by_subject, key=lambda each: each.subject_id):
        for each in group:
            since = max(_floor(each.since, width), oldest)
            until = _floor(each.until + width - timedelta(microseconds=1), width)
            if since >= until:
                continue
            if made and made[-1].subject_id == subject_id and made[-1].until >= since:
                last = made.pop()
                since, until = last.since, max(last.until, until)
            made.append(Stretch(subject_id, since, until))
    return made


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _floor(moment: datetime, width: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % width

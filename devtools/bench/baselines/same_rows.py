"""Whether the baseline of packet ingest writes the rows that the product writes, table by table.

    python -m devtools.bench.baselines.same_rows DATABASE_URL

The database is empty; two depots are made in it. The product takes a packet of one, the baseline writes one of the
other, each in a transaction. The rows that each left are compared: how many in each table, and which of their columns
are filled. So a row that the product writes some day is not missed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from datetime import UTC, datetime

import asyncpg
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from devtools.bench.baselines.bare import STATEMENTS, write_group
from devtools.bench.site import DepotIds, make_sites, packet_answers, packet_template, read_sites
from domain.base.actor import Actor
from store.base.database import make_engine
from store.base.driver import driver_in
from store.monitoring.telemetry import ReceivedPacket, take_group
from telemetry.intake import read_body

_Rows = Counter[tuple[str, str]]
"""How many rows there are of a table with the same columns filled."""

_TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
"""
_NEXT_TRANSACTION = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_WRITTEN = """
    SELECT (SELECT string_agg(key, ', ' ORDER BY key) FROM jsonb_each(jsonb_strip_nulls(to_jsonb(t))) AS c (key))
    FROM {table} AS t WHERE xmin::text::bigint >= $1
"""


async def differences(engine: AsyncEngine, product: DepotIds, bare: DepotIds) -> list[str]:
    """Say how what the baseline writes of a packet of one depot differs from what the product writes of another's.

    Nothing else may write meanwhile.
    """
    async with engine.connect() as connection:
        driver = await driver_in(connection)
        await connection.rollback()
        statements = [await driver.prepare(each) for each in STATEMENTS]
        group = [(*bare, packet_template(bare), packet_answers(bare))]
        begin = int(time.time() * 1000) - 1_000
        # Of the first packet of a depot more is written: the second counts.
        for moment in (begin, begin + 1):
            by_product = await _rows_of(driver, _take(driver, packet_template(product) % moment))
            by_bare = await _rows_of(driver, write_group(driver, statements, group, moment))
    return [
        f"{table} ({columns}): {by_product[table, columns]} by the product, {by_bare[table, columns]} by the baseline"
        for table, columns in sorted(by_product | by_bare)
        if by_product[table, columns] != by_bare[table, columns]
    ]


async def _take(driver: asyncpg.Connection, packet: str) -> None:
    body = read_body(packet.encode(), Actor("bench"), datetime.now(UTC))
    async with driver.transaction():
        await take_group(driver, [each for each in body.packets if isinstance(each, ReceivedPacket)])


async def _rows_of(driver: asyncpg.Connection, writing: Awaitable[None]) -> _Rows:
    """Wait for a writer; answer what it left."""
    first = await driver.fetchval(_NEXT_TRANSACTION)
    await writing
    rows = _Rows()
    for (table,) in await driver.fetch(_TABLES):
        for (columns,) in await driver.fetch(_WRITTEN.format(table=table), first):
            rows[table, columns] += 1
    return rows


async def _main(url: str) -> int:
    engine = make_engine(url, pool_size=1)
    try:
        async with engine.begin() as connection:
            await make_sites(connection, 2)
        async with engine.connect() as connection:
            product, bare = await read_sites(connection)
        found = await differences(engine, product, bare)
    finally:
        await engine.dispose()
    for each in found:
        Console().print(each, markup=False)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1])))

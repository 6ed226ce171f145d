"""The orders of the list of depots by load: settled when somebody asks for one, and never by a packet.

What a depot draws moves with every packet. To keep it up to the moment would make each packet write what hardly anybody
looks at. So whoever asks for the order has it settled, at most every half minute, and is told of when it is.
"""

# ruff: noqa: S608 (what is put into the statements are constants)

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.site.fleet.fleet_load import LOADS, RECENT
from store.site.tables import load_settlement

SETTLED_EVERY = timedelta(seconds=30)
"""How old an order by load becomes before whoever asks for it settles it."""
_AT_ONCE = 1_000
"""Depots of one transaction: what else changes their ranks waits no longer than for these."""
_LAST = 4_000_000_000_000_000_000
"""The place of a depot that measured nothing lately."""

# What is begun is committed at once: whoever asks meanwhile does not begin too, and reads what is there. Of one that
# breaks off the next goes on after as long.
_BEGIN = text("""
    INSERT INTO load_settlement AS s (id, begun_at) VALUES (true, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET begun_at = excluded.begun_at
    WHERE s.begun_at <= excluded.begun_at - CAST(:every AS interval)
    RETURNING begun_at
""")
_END = text("UPDATE load_settlement SET settled_at = :at")
# The most comes first: the numbers are negative. Of a capacity below one watt any load is more than all. What moved by
# less than a hundredth keeps its place: a fleet that goes on as it did writes little. What was and what is meet in a
# GROUP BY, as in ``LOADS``; a depot that is in no order, as it is retired, has nothing that was.
MOVED = text(f"""
    {LOADS.format(within="true")}, settled AS (
        SELECT depot_id, max(load_was) AS load_was, max(share_was) AS share_was,
               coalesce(max(load), {_LAST}) AS load, coalesce(max(share), {_LAST}) AS share
        FROM (
            SELECT depot_id, load AS load_was, load_share AS share_was, NULL AS load, NULL AS share FROM depot_ranks
            UNION ALL
            SELECT depot_id, NULL, NULL, CAST(greatest(-9e17, least(9e17, -round(watts))) AS bigint),
                   CASE WHEN capacity_w IS NULL THEN 3000000000000000000
                        WHEN capacity_w < 1 THEN CASE WHEN watts > 0 THEN -1000000000000000000 ELSE 0 END
                        ELSE CAST(greatest(-9e17, least(9e17, -round(1e6 * watts / capacity_w))) AS bigint) END
            FROM loaded
        ) AS x
        GROUP BY depot_id
    )
    SELECT depot_id, load, share FROM settled
    WHERE abs(load - load_was) > least(abs(load_was), 4000000000000000) / 100
       OR abs(share - share_was) > least(abs(share_was), 4000000000000000) / 100
    ORDER BY depot_id
""")
"""The depots whose numbers moved, with those of now."""
# A row that something else changes at this moment is left as it is until the next time: nobody waits here.
_WRITE = text("""
    UPDATE depot_ranks AS k SET load = n.load, load_share = n.share
    FROM unnest(CAST(:depot_ids AS uuid[]), CAST(:loads AS bigint[]), CAST(:shares AS bigint[]))
         AS n (depot_id, load, share)
    WHERE k.depot_id = n.depot_id AND k.depot_id IN (
        SELECT depot_id FROM depot_ranks WHERE depot_id = ANY (CAST(:depot_ids AS uuid[])) FOR UPDATE SKIP LOCKED
    )
""")


async def settle_loads(engine: AsyncEngine, every: timedelta = SETTLED_EVERY) -> None:
    """Settle the orders by load, unless that was begun less than ``every`` ago."""
    async with engine.begin() as connection:
        begun_at = (await connection.execute(_BEGIN, {"every": every})).scalar_one_or_none()
    if begun_at is None:
        return
    async with engine.connect() as connection:
        moved = (await connection.execute(MOVED, {"recent": RECENT})).all()
    for place in range(0, len(moved), _AT_ONCE):
        depot_ids, loads, shares = zip(*moved[place : place + _AT_ONCE], strict=True)
        given: dict[str, Any] = {"depot_ids": list(depot_ids), "loads": list(loads), "shares": list(shares)}
        async with engine.begin() as connection:
            await connection.execute(_WRITE, given)
    async with engine.begin() as connection:
        await connection.execute(_END, {"at": begun_at})


async def read_settled_at(connection: AsyncConnection) -> datetime | None:
    """Of when the orders by load are; None: nobody has asked for one yet."""
    return (await connection.execute(select(load_settlement.c.settled_at))).scalar_one_or_none()

"""The months of the append-only history and of the journal: made ahead, dropped when they are old enough."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.upkeep import HistoryReport, HistoryRequest

# A month is made and dropped under a lock that everyone who reads or writes the history waits behind, in turn for
# those who read it now. Rather than make them wait for a long report, this gives up and is tried again.
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '3s'")
_KEEP = text("""
    SELECT partition_name, change FROM keep_months(:ahead, :kept, :journal, :rollups) ORDER BY change, partition_name
""")


def oldest_month(table: str) -> str:
    """Make the query of when the oldest month begins that a table by month has."""
    return f"""
        SELECT min(to_date(right(c.relname, 7), 'YYYY_MM'))::timestamp AT TIME ZONE 'UTC'
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = '{table}'::regclass
    """  # noqa: S608 - constants


# Of the tables the one that is worst off; by name, as keep_months names them.
MONTHS_AHEAD = text("""
    SELECT min(coalesce(months, -1))
    FROM (
        SELECT max(left(right(c.relname, 7), 4)::integer * 12 + right(c.relname, 2)::integer)
               - (extract(year FROM now() AT TIME ZONE 'UTC') * 12
                  + extract(month FROM now() AT TIME ZONE 'UTC'))::integer AS months
        FROM unnest(ARRAY['packets', 'capability_events', 'capacity_events', 'device_readings', 'changes',
                          'reading_minutes', 'reading_quarters', 'reading_days', 'band_quarters',
                          'band_days']) AS parents (name)
        LEFT JOIN pg_inherits AS i ON i.inhparent = parents.name::regclass
        LEFT JOIN pg_class AS c ON c.oid = i.inhrelid AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
        GROUP BY parents.name
    ) AS tables
""")


async def keep_months(connection: AsyncConnection, request: HistoryRequest) -> HistoryReport:
    """Make the months that are to come and drop those that are not kept; a second time does nothing.

    Raises:
        DBAPIError: the bounds are ones that the database refuses, or someone reads the history for too long.

    """
    await connection.execute(_LOCK_TIMEOUT)
    given = {
        "ahead": request.months_ahead,
        "kept": request.months_kept,
        "journal": request.journal_months_kept,
        "rollups": request.rollup_months_kept,
    }
    rows = (await connection.execute(_KEEP, given)).all()
    return HistoryReport(
        made=[row.partition_name for row in rows if row.change == "MADE"],
        dropped=[row.partition_name for row in rows if row.change == "DROPPED"],
    )


async def months_ahead(connection: AsyncConnection) -> int:
    """Say for how many months after this one there is room in every table. Below 0 nothing can be stored."""
    return (await connection.execute(MONTHS_AHEAD)).scalar_one()

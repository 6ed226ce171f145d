"""Fleets of many depots, made in one statement each, and what a statement reads of them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

FLEET = text("""
    INSERT INTO depots (name, timezone, provisioning, provisioning_code, created_by, updated_by)
    SELECT CASE n % 3 WHEN 0 THEN 'Arrow Road ' WHEN 1 THEN 'Malvern Garage ' ELSE 'Eglinton ' END || n, 'UTC',
           CASE WHEN n % 500 = 0 THEN 'FAILED' WHEN n % 2 = 0 THEN 'PROVISIONED' ELSE 'PENDING' END,
           CASE WHEN n % 500 = 0 THEN 'NO_TOP_LEVEL_CIRCUITS' END, 'tester', 'tester'
    FROM generate_series(1, :depots) AS n
""")
# The freshness of depots is given to them by hand: what lies behind it is the other tests' matter.
SHARES = text("""
    UPDATE depot_list SET freshness = CASE WHEN right(name, 1) IN ('1', '2') THEN 'STALE' ELSE 'FRESH' END
    WHERE right(name, 1) BETWEEN '1' AND '6'
""")
# And so are alarms: of those that are stale, and of one depot in fifty.
ALARMS = text("""
    INSERT INTO depot_alarms (depot_id, priority, since, silent_controllers, fail_safe_circuits, fail_safe_since,
                              open_remediations, remediations_since, failed_since, stale_since, stale_by_silence)
    SELECT depot_id, CASE WHEN fail_safe THEN 1 WHEN mended THEN 2 ELSE 3 END, moment, 0, CAST(fail_safe AS integer),
           CASE WHEN fail_safe THEN moment END, CAST(mended AS integer), CASE WHEN mended THEN moment END, NULL,
           CASE WHEN freshness = 'STALE' THEN moment END, false
    FROM (
        SELECT depot_id, freshness, now() - make_interval(secs => n) AS moment, n % 50 = 1 AS fail_safe,
               n % 50 IN (1, 7) AS mended
        FROM (SELECT *, CAST(substring(name FROM '[0-9]+$') AS integer) AS n FROM depot_list) AS numbered
    ) AS x
    WHERE freshness = 'STALE' OR fail_safe OR mended
    ON CONFLICT (depot_id) DO UPDATE
    SET priority = excluded.priority, since = excluded.since, fail_safe_circuits = excluded.fail_safe_circuits,
        fail_safe_since = excluded.fail_safe_since, open_remediations = excluded.open_remediations,
        remediations_since = excluded.remediations_since, stale_since = excluded.stale_since
""")

# What they draw, too; one in four measures nothing.
LOADS = text("""
    UPDATE depot_ranks AS k SET load = -n * 7919 % 500000, load_share = -n * 104729 % 1200000
    FROM (SELECT depot_id, CAST(substring(name FROM '[0-9]+$') AS bigint) AS n FROM depot_list) AS x
    WHERE x.depot_id = k.depot_id AND n % 4 <> 0
""")


async def blocks_read(connection: AsyncConnection, statement: TextClause, given: dict[str, Any]) -> int:
    """Count the blocks of 8 kB that a statement looks at, in memory or on disk."""
    explained = text(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement.text}")
    found = (await connection.execute(explained, given)).scalar_one()
    (whole,) = json.loads(found) if isinstance(found, str) else found
    return whole["Plan"]["Shared Hit Blocks"] + whole["Plan"]["Shared Read Blocks"]


async def rows_handled(connection: AsyncConnection, statement: TextClause, given: dict[str, Any]) -> int:
    """Count the rows that the steps of a statement's plan hand on or throw away, all together."""
    explained = text(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement.text}")
    found = (await connection.execute(explained, given)).scalar_one()
    (whole,) = json.loads(found) if isinstance(found, str) else found
    return _handled(whole["Plan"])


def _handled(step: dict[str, Any]) -> int:
    once = step["Actual Rows"] + sum(rows for name, rows in step.items() if name.startswith("Rows Removed"))
    return round(once * step["Actual Loops"]) + sum(_handled(each) for each in step.get("Plans", []))

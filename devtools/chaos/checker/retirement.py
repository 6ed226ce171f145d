"""Retired depots: each stays retired, with its microgrid, and takes no change any more."""

from __future__ import annotations

import asyncpg

from devtools.chaos.checker.circuits import TIMES
from devtools.chaos.checker.request_log import RequestLog

_DEPOTS = """
    SELECT d.id::text, d.retired_at IS NOT NULL AS retired,
           EXISTS (SELECT FROM microgrids AS m WHERE m.depot_id = d.id AND m.retired_at IS NULL) AS is_shown,
           (SELECT count(*) FROM changes AS c WHERE c.depot_id = d.id AND c.action = 'DEPOT_RETIRED') AS times
    FROM depots AS d WHERE d.id = ANY ($1::uuid[])
"""


async def check_retirement(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare the retired depots with those of which it was asked, and with what came after it."""
    asked = {each.asked["depot_id"]: each for each in log.of("RETIRE_DEPOT")}
    found = {row["id"]: row for row in await connection.fetch(_DEPOTS, list(asked))}
    findings: list[str] = []
    for depot_id, each in asked.items():
        row = found.get(depot_id)
        if row is None:
            findings.append(f"depot {depot_id} was to be retired and is not there")
            continue
        least, most = TIMES[each.outcome]
        if not least <= row["times"] <= most or row["retired"] != bool(row["times"]):
            is_it = "retired" if row["retired"] else "in service"
            findings.append(f"depot {depot_id} is {is_it}: asked {each.outcome}, and done {row['times']} times")
        if row["retired"] and row["is_shown"]:
            findings.append(f"depot {depot_id} is retired and has an active microgrid")
    for added in log.of("ADD_CIRCUIT"):
        retired = asked.get(added.asked["depot_id"])
        retired_at = None if retired is None else retired.acknowledged_at
        if retired_at is not None and retired_at < added.begun and added.acknowledged_at is not None:
            findings.append(
                f"circuit {added.asked['name']} was added to depot {added.asked['depot_id']}, which is retired"
            )
    return findings

"""All rules of the checker together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import asyncpg

from devtools.chaos.checker.circuits import check_circuits, check_depots, check_journal, check_nodes, check_outbox
from devtools.chaos.checker.exports import check_exports
from devtools.chaos.checker.jobs import (
    WorkflowSeen,
    check_backfills,
    check_open_jobs,
    check_runs,
    check_workflows,
    list_job_workflows,
)
from devtools.chaos.checker.request_log import RequestLog
from devtools.chaos.checker.retirement import check_retirement
from devtools.chaos.checker.telemetry import (
    check_capacities,
    check_capacity_events,
    check_latest,
    check_packets,
    check_references,
)

RULES: Mapping[str, Callable[[asyncpg.Connection, RequestLog], Awaitable[list[str]]]] = {
    "depots are those that were acknowledged": check_depots,
    "circuits are what was acknowledged": check_circuits,
    "the journal has each change as often as its sender was told": check_journal,
    "grid connections are the top-level circuits": check_nodes,
    "retired depots stay retired": check_retirement,
    "the outbox is empty": check_outbox,
    "every acknowledged packet is there": check_packets,
    "each provider event reference counts once": check_references,
    "the latest status is the fold of the events": check_latest,
    "the capacity is that of the last event": check_capacity_events,
    "the capacity is what the packets come to": check_capacities,
    "every job has completed": check_open_jobs,
    "imports and backfills did their work once": check_backfills,
    "an export has each reading once": check_exports,
    "evidence is that of an undisturbed run": check_runs,
}
"""What must hold, each with what finds that it does not."""
WORKFLOW_RULE = "no workflow is stuck or failed"


async def check(url: str, log: RequestLog, workflows: Iterable[WorkflowSeen]) -> dict[str, list[str]]:
    """Apply every rule; answer what each found, nothing where it holds. ``url`` is the database's."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = {name: await rule(connection, log) for name, rule in RULES.items()}
            jobs = await list_job_workflows(connection)
    finally:
        await connection.close()
    return found | {WORKFLOW_RULE: check_workflows(workflows, jobs)}

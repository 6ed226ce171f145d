"""Jobs and workflows: each ended, each did its work once, and a run that was disturbed left the same evidence."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

import asyncpg
from temporalio.client import Client

from devtools.chaos.checker.request_log import Outcome, RequestLog

_JOBS = {"backfills": "backfill", "scenario_runs": "scenario-run", "imports": "import", "exports": "export"}
"""The tables of jobs, each with how the ids of their workflows begin."""
_NEVER_ENDS = ("CapacityWatch",)
_BAD_ENDS = ("FAILED", "TERMINATED", "TIMED_OUT")


class WorkflowSeen(NamedTuple):
    """A workflow as Temporal lists it."""

    workflow_id: str
    kind: str
    status: str


async def list_workflows(address: str) -> list[WorkflowSeen]:
    """Ask Temporal for all executions that run or ended badly."""
    client = await Client.connect(address)
    statuses = ", ".join(f"'{each}'" for each in ("Running", "Failed", "Terminated", "TimedOut"))
    found = client.list_workflows(f"ExecutionStatus IN ({statuses})")
    return [WorkflowSeen(each.id, each.workflow_type, each.status.name if each.status else "") async for each in found]


async def list_job_workflows(connection: asyncpg.Connection) -> set[str]:
    """List the ids of the workflows of all jobs that are stored."""
    return {
        f"{beginning}/{row['id']}"
        for table, beginning in _JOBS.items()
        for row in await connection.fetch(f"SELECT id FROM {table}")  # noqa: S608
    }


def check_workflows(workflows: Iterable[WorkflowSeen], jobs: Collection[str]) -> list[str]:
    """Find workflows that still run, or that ended badly. ``jobs``: the ids of those whose jobs are stored.

    Temporal may be killed after it has begun a job and before it says so. Its sender is told that there is none,
    nothing is stored of it, and its workflow finds nothing to do and fails. That a job that was acknowledged is not
    stored, its own rule finds.
    """
    beginnings = tuple(f"{each}/" for each in _JOBS.values())
    findings: list[str] = []
    for each in workflows:
        if each.status == "FAILED" and each.workflow_id.startswith(beginnings) and each.workflow_id not in jobs:
            continue
        if each.status in _BAD_ENDS:
            findings.append(f"workflow {each.workflow_id} ended as {each.status}")
        elif not each.kind.startswith(_NEVER_ENDS):
            findings.append(f"workflow {each.workflow_id} still runs")
    return findings


async def check_open_jobs(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Find jobs that have not ended, or ended otherwise than by their work."""
    del log
    return [
        f"{beginning} {row['id']} is {row['state']}: {row['failure']}"
        for table, beginning in _JOBS.items()
        for row in await connection.fetch(
            f"SELECT id, state, failure FROM {table} WHERE state <> 'COMPLETED' ORDER BY id"  # noqa: S608
        )
    ]


async def check_backfills(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare the depots of each acknowledged import and backfill with what is stored."""
    findings: list[str] = []
    backfills = {str(row["id"]) for row in await connection.fetch("SELECT id FROM backfills")}
    for each in log.of("BACKFILL"):
        ids = {answer["backfill_id"] for answer in each.answers()}
        if len(ids) > 1 or not ids <= backfills:
            findings.append(f"backfill {each.operation_id} was answered with {sorted(ids)}")
    imported = [each for each in log.of("IMPORT") if each.outcome is Outcome.ACKNOWLEDGED]
    wanted = {depot for each in imported for depot in each.asked["depots"]}
    stored = {str(row["id"]) for row in await connection.fetch("SELECT id FROM depots")}
    findings += [f"depot {each} was imported and is not there" for each in sorted(wanted - stored)]
    rows = await connection.fetch("""
        SELECT o.depot_id::text, count(DISTINCT b.id) FILTER (WHERE o.outcome = 'CREATED') AS created,
               count(DISTINCT m.id) AS microgrids
        FROM backfill_outcomes AS o JOIN backfills AS b ON b.id = o.backfill_id AND NOT b.dry_run
        LEFT JOIN microgrids AS m ON m.depot_id = o.depot_id
        GROUP BY o.depot_id
    """)
    counted = {row["depot_id"]: row for row in rows}
    given = [each.asked["depots"] for each in log.of("BACKFILL") if each.outcome is Outcome.ACKNOWLEDGED]
    findings += [f"depot {each} is in no backfill" for depots in given for each in depots if each not in counted]
    # What one backfill made, another finds; none makes it again.
    return findings + [
        f"the backfills say that they made {row['created']} microgrids for depot {depot}, which has {row['microgrids']}"
        for depot, row in counted.items()
        if row["microgrids"] > 1 or row["created"] > row["microgrids"]
    ]


async def check_runs(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare the evidence of each run with that of the undisturbed one of its preset and seed."""
    rows = await connection.fetch(
        "SELECT id::text, outcome, evidence_sha256, run_record, result_record, steps_total FROM scenario_runs"
    )
    runs = {row["id"]: row for row in rows}
    steps: dict[str, list[str | None]] = defaultdict(list)
    for row in await connection.fetch("SELECT run_id::text, record FROM scenario_run_steps ORDER BY run_id, step"):
        steps[row["run_id"]].append(row["record"])
    findings: list[str] = []
    undisturbed: dict[tuple[str, int], str] = {}
    asked: set[str] = set()
    for each in log.of("RUN"):
        ids = {answer["run_id"] for answer in each.answers()}
        if len(ids) > 1 or not ids <= runs.keys():
            findings.append(f"run {each.operation_id} was answered with {sorted(ids)}")
            continue
        asked |= ids
        for run_id in ids:
            run = runs[run_id]
            lines = [run["run_record"], *steps[run_id], run["result_record"]]
            digest = _digest(lines)
            if run["outcome"] != "PASSED" or len(steps[run_id]) != run["steps_total"]:
                done = len(steps[run_id])
                findings.append(f"run {run_id} is {run['outcome']} after {done} of {run['steps_total']} steps")
            elif digest != run["evidence_sha256"]:
                findings.append(f"run {run_id} has evidence {digest}, and says {run['evidence_sha256']}")
            elif digest != undisturbed.setdefault((each.asked["preset"], each.asked["seed"]), digest):
                findings.append(f"run {run_id} of {each.asked['preset']} has other evidence than the undisturbed one")
    unknown = sum(each.outcome is Outcome.UNKNOWN for each in log.of("RUN"))
    if len(runs.keys() - asked) > unknown:
        findings.append(f"{len(runs.keys() - asked)} runs were asked for by nobody, and {unknown} starts are unknown")
    return findings


def _digest(lines: Iterable[str | None]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()

"""The evidence of scenario runs: each step stamped before it is sent, its record written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.simulation.scenario_runs import SCENARIO_RUN, ScenarioRunRequest
from store.base.notifications.notify import ChangeKind, notify
from store.simulation.tables import scenario_run_steps, scenario_runs


@dataclass(frozen=True)
class StepStamp:
    """A step that was begun at least."""

    step: int
    stamp_ms: int
    recorded: bool


@dataclass(frozen=True)
class StepRecord:
    """A step's evidence, to be written."""

    step: int
    stamp_ms: int
    """The stamp that it was sent with: where another try has taken a new one, this record is not the step's."""
    record: str
    packets: int
    passed: int
    failed: int


@dataclass(frozen=True)
class WrittenStep:
    """A step's evidence as it is stored."""

    step: int
    record: str
    sent_at: datetime


class StepTakenOverError(Exception):
    """Another try of the same step goes on, or the run has ended, so this one must not go on."""


async def list_stamps(connection: AsyncConnection, run_id: UUID) -> list[StepStamp]:
    """List the steps that were begun, in order."""
    query = (
        select(scenario_run_steps.c.step, scenario_run_steps.c.stamp_ms, scenario_run_steps.c.record.is_not(None))
        .where(scenario_run_steps.c.run_id == run_id)
        .order_by(scenario_run_steps.c.step)
    )
    return [StepStamp(*row) for row in await connection.execute(query)]


_EARLIER = text("""
    SELECT max(s.stamp_ms) FROM scenario_run_steps AS s
    WHERE s.run_id = (SELECT r.id FROM scenario_runs AS r
                      WHERE r.depot_id = :depot_id AND r.id < :run_id ORDER BY r.id DESC LIMIT 1)
""")


async def last_stamp_before(connection: AsyncConnection, request: ScenarioRunRequest) -> int | None:
    """Return the last stamp of the depot's run before this one: this one's must be later, or it would be late."""
    return (
        await connection.execute(_EARLIER, {"depot_id": request.depot_id, "run_id": request.run_id})
    ).scalar_one_or_none()


_STAMP = text("""
    INSERT INTO scenario_run_steps (run_id, step, stamp_ms)
    SELECT :run_id, step, stamp_ms
    FROM unnest(CAST(:steps AS integer[]), CAST(:stamps AS bigint[])) AS g (step, stamp_ms)
    ON CONFLICT (run_id, step) DO UPDATE SET stamp_ms = excluded.stamp_ms
    WHERE scenario_run_steps.record IS NULL
""")


async def store_stamps(connection: AsyncConnection, run_id: UUID, stamps: Mapping[int, int]) -> None:
    """Say with which timestamps steps are about to be sent; what is said later replaces it, until there is a record."""
    steps = sorted(stamps)
    await connection.execute(_STAMP, {"run_id": run_id, "steps": steps, "stamps": [stamps[step] for step in steps]})
    if 0 in stamps:
        await connection.execute(
            update(scenario_runs)
            .where(scenario_runs.c.id == run_id, scenario_runs.c.started_at.is_(None))
            .values(started_at=func.now())
        )


_STAMP_ANEW = text("""
    UPDATE scenario_run_steps AS s SET stamp_ms = g.stamp_ms
    FROM unnest(CAST(:steps AS integer[]), CAST(:before AS bigint[]), CAST(:stamps AS bigint[]))
        AS g (step, before, stamp_ms)
    WHERE s.run_id = :run_id AND s.step = g.step AND s.stamp_ms = g.before AND s.record IS NULL
""")


async def renew_stamps(
    connection: AsyncConnection, run_id: UUID, before: Mapping[int, int], stamps: Mapping[int, int]
) -> None:
    """Give steps of which nothing was sent yet new timestamps; ``before`` has those that they had.

    Raises:
        StepTakenOverError: another try has taken one of the steps over.

    """
    steps = sorted(stamps)
    given = {"run_id": run_id, "steps": steps}
    given |= {"before": [before[step] for step in steps], "stamps": [stamps[step] for step in steps]}
    if (await connection.execute(_STAMP_ANEW, given)).rowcount != len(steps):
        raise StepTakenOverError


_WRITE = text("""
    UPDATE scenario_run_steps AS s SET record = g.record, sent_at = now()
    FROM unnest(CAST(:steps AS integer[]), CAST(:stamps AS bigint[]), CAST(:records AS text[]))
        AS g (step, stamp_ms, record)
    WHERE s.run_id = :run_id AND s.step = g.step AND s.stamp_ms = g.stamp_ms AND s.record IS NULL
""")


async def write_records(
    connection: AsyncConnection, request: ScenarioRunRequest, records: Sequence[StepRecord]
) -> tuple[int, int]:
    """Write the evidence of steps, all of it or none; answer how many expectations passed and failed so far.

    Raises:
        StepTakenOverError: another try has taken one of the steps over, or the run has ended.

    """
    done = await connection.execute(
        _WRITE,
        {
            "run_id": request.run_id,
            "steps": [each.step for each in records],
            "stamps": [each.stamp_ms for each in records],
            "records": [each.record for each in records],
        },
    )
    if done.rowcount != len(records):
        raise StepTakenOverError
    runs = scenario_runs.c
    rows = await connection.execute(
        update(scenario_runs)
        .where(runs.id == request.run_id, runs.finished_at.is_(None))
        .values(
            steps_done=runs.steps_done + len(records),
            packets_sent=runs.packets_sent + sum(each.packets for each in records),
            checks_passed=runs.checks_passed + sum(each.passed for each in records),
            checks_failed=runs.checks_failed + sum(each.failed for each in records),
        )
        .returning(runs.checks_passed, runs.checks_failed)
    )
    sums = rows.one_or_none()
    if sums is None:
        raise StepTakenOverError
    await notify(connection, {request.depot_id: {ChangeKind.SCENARIO}})
    return sums.checks_passed, sums.checks_failed


async def list_steps(
    connection: AsyncConnection, run_id: UUID, *, after: int | None = None, limit: int | None = None
) -> list[WrittenStep]:
    """List the evidence of steps in order, beginning after the step ``after``."""
    steps = scenario_run_steps.c
    query = (
        select(steps.step, steps.record, steps.sent_at)
        .where(steps.run_id == run_id, steps.record.is_not(None))
        .order_by(steps.step)
        .limit(limit)
    )
    if after is not None:
        query = query.where(steps.step > after)
    return [WrittenStep(*row) for row in await connection.execute(query)]


async def list_newest_steps(
    connection: AsyncConnection, run_id: UUID, *, before: int | None, limit: int
) -> list[WrittenStep]:
    """List the evidence of steps, the last first, beginning before the step ``before``."""
    steps = scenario_run_steps.c
    query = (
        select(steps.step, steps.record, steps.sent_at)
        .where(steps.run_id == run_id, steps.record.is_not(None))
        .order_by(steps.step.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(steps.step < before)
    return [WrittenStep(*row) for row in await connection.execute(query)]


_UNMET = text("""
    SELECT s.step, s.record, s.sent_at FROM scenario_run_steps AS s
    WHERE s.run_id = :run_id AND s.record LIKE :unmet ORDER BY s.step LIMIT :most
""")


async def list_unmet_steps(connection: AsyncConnection, run_id: UUID, *, limit: int) -> list[WrittenStep]:
    """List the evidence of the first steps of which something did not come true."""
    return [
        WrittenStep(*row)
        for row in await connection.execute(_UNMET, {"run_id": run_id, "unmet": '%"passed":false%', "most": limit})
    ]


_CHECKED = text("""
    SELECT s.step, s.record, s.sent_at FROM scenario_run_steps AS s
    WHERE s.run_id = :run_id AND s.record LIKE :checked ORDER BY s.step DESC LIMIT :most
""")


async def list_checked_steps(connection: AsyncConnection, run_id: UUID, *, limit: int) -> list[WrittenStep]:
    """List the evidence of the last steps after which something was expected, the last first."""
    return [
        WrittenStep(*row)
        for row in await connection.execute(_CHECKED, {"run_id": run_id, "checked": '%"passed":%', "most": limit})
    ]


async def read_lines(
    connection: AsyncConnection, run_id: UUID, *, hold: bool = False
) -> tuple[str, list[str], str | None]:
    """Read the lines of a run's evidence: of the run, of its steps, and of its result where it has ended.

    With ``hold`` nothing is added to them until the transaction ends.

    Raises:
        Problem: ``RUN_NOT_FOUND``.

    """
    query = select(scenario_runs.c.run_record, scenario_runs.c.result_record).where(scenario_runs.c.id == run_id)
    row = (await connection.execute(query.with_for_update() if hold else query)).one_or_none()
    if row is None:
        raise SCENARIO_RUN.missing(run_id)
    steps = [each.record for each in await list_steps(connection, run_id)]
    return row.run_record, steps, row.result_record

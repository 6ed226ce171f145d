"""Scenario runs: started, listed, read, ended. Their evidence is in ``run_steps``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import EVERYWHERE, DepotScope
from domain.base.jobs import JobState
from domain.base.problems import Problem, ProblemCode
from domain.simulation.scenario_runs import SCENARIO_RUN, RunOutcome, RunTargets, ScenarioRunRequest
from store.access.narrowing import within
from store.base.jobs.rows import JobRecord, newest_first, set_job_state
from store.base.notifications.notify import ChangeKind, notify
from store.simulation.tables import scenario_runs
from store.site.depots import lock_depot, read_depot
from store.site.tables import depots


@dataclass(frozen=True)
class NewRun:
    """A run to store."""

    request: ScenarioRunRequest
    title: str
    document: str
    """The scenario as it was written."""
    digest: str
    gateway_id: UUID | None
    """The gateway whose devices alone are bound; None for all of the depot."""
    seed: int
    bindings: Mapping[str, Any]
    targets: RunTargets
    warnings: Sequence[Mapping[str, Any]]
    run_record: str
    """The first line of the evidence, without its end."""


@dataclass(frozen=True, kw_only=True)
class RunRecord(JobRecord):
    """A run as it is listed."""

    scenario: str
    title: str
    digest: str
    depot_id: UUID
    depot_name: str
    gateway_id: UUID | None
    seed: int
    time_scale: float
    warnings: list[dict[str, Any]]
    outcome: RunOutcome | None
    steps_total: int
    steps_done: int
    packets_sent: int
    checks_passed: int
    checks_failed: int
    evidence_sha256: str | None

    @property
    def run_id(self) -> UUID:
        """The run's id."""
        return self.job_id


@dataclass(frozen=True)
class RunScript:
    """What a run plays, and where."""

    document: str
    digest: str
    seed: int
    bindings: dict[str, Any]
    targets: RunTargets
    run_record: str


def simulation_not_allowed() -> Problem:
    """Say that scenarios may not run on a depot."""
    return Problem(
        ProblemCode.SIMULATION_NOT_ALLOWED,
        "This depot does not allow simulation: a run would send simulated packets in the place of its devices. "
        "Whoever configures the depot can allow it in its settings.",
        "depot_id",
    )


async def insert_run(connection: AsyncConnection, run: NewRun) -> None:
    """Store a new run.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``; ``DEPOT_RETIRED``; ``SIMULATION_NOT_ALLOWED``; ``RUN_IN_PROGRESS``: another run is
            in progress in the depot.

    """
    request = run.request
    values = {
        "id": request.run_id,
        "scenario": request.scenario,
        "title": run.title,
        "document": run.document,
        "digest": run.digest,
        "depot_id": request.depot_id,
        "gateway_id": run.gateway_id,
        "seed": run.seed,
        "time_scale": request.time_scale,
        "bindings": run.bindings,
        "targets": json.loads(json.dumps(asdict(run.targets), default=str)),
        "warnings": list(run.warnings),
        "run_record": run.run_record,
        "state": JobState.RUNNING,
        "steps_total": request.steps_total,
        "requested_by": request.requested_by,
    }
    await lock_depot(connection, request.depot_id)
    if not (await read_depot(connection, request.depot_id)).allows_simulation:
        raise simulation_not_allowed()
    active = await active_run(connection, request.depot_id)
    if active is not None:
        raise Problem(
            ProblemCode.RUN_IN_PROGRESS,
            "Another run is in progress in this depot, and each would read the other's effects. "
            "Wait until it ends, or cancel it.",
            "depot_id",
            context={"run_id": active},
        )
    await connection.execute(insert(scenario_runs).values(**values))
    await notify(connection, {request.depot_id: {ChangeKind.SCENARIO}})


async def gateways_of_open_run(connection: AsyncConnection, run_id: UUID) -> frozenset[UUID] | None:
    """Return the gateways that a run in progress speaks for, those among them that are gone; None: it is none."""
    query = select(scenario_runs.c.bindings["gateways"]).where(
        scenario_runs.c.id == run_id, scenario_runs.c.finished_at.is_(None)
    )
    found = (await connection.execute(query)).scalar_one_or_none()
    return None if found is None else frozenset(UUID(each["gateway_id"]) for each in found)


async def active_run(connection: AsyncConnection, depot_id: UUID) -> UUID | None:
    """Return the run that is in progress in a depot, if there is one."""
    query = select(scenario_runs.c.id).where(
        scenario_runs.c.depot_id == depot_id, scenario_runs.c.finished_at.is_(None)
    )
    return (await connection.execute(query)).scalar_one_or_none()


_LISTED = (
    "scenario", "title", "digest", "depot_id", "gateway_id", "seed", "time_scale", "warnings", "state", "outcome",
    "steps_total", "steps_done", "packets_sent", "checks_passed", "checks_failed", "evidence_sha256", "requested_by",
    "requested_at", "started_at", "finished_at", "failure",
)  # fmt: skip


def _runs() -> Select[*tuple[Any, ...]]:
    columns = [scenario_runs.c[name] for name in _LISTED]
    more = (
        scenario_runs.c.id.label("job_id"),
        depots.c.name.label("depot_name"),
        func.now().label("read_at"),
    )
    return select(*more, *columns).join(depots, depots.c.id == scenario_runs.c.depot_id)


def _record(row: Mapping[Any, Any]) -> RunRecord:
    values = dict(row)
    values["state"] = JobState(values["state"])
    values["outcome"] = None if values["outcome"] is None else RunOutcome(values["outcome"])
    return RunRecord(**values)


async def read_run(connection: AsyncConnection, run_id: UUID) -> RunRecord:
    """Read one run.

    Raises:
        Problem: ``RUN_NOT_FOUND``.

    """
    row = (await connection.execute(_runs().where(scenario_runs.c.id == run_id))).mappings().one_or_none()
    if row is None:
        raise SCENARIO_RUN.missing(run_id)
    return _record(row)


async def list_runs(
    connection: AsyncConnection,
    *,
    depot_id: UUID | None = None,
    scenario: str | None = None,
    only_open: bool = False,
    before: UUID | None,
    limit: int,
    scope: DepotScope = EVERYWHERE,
) -> list[RunRecord]:
    """List runs at the depots within ``scope``, the newest first, beginning before the id ``before``.

    All, or those that have not ended.
    """
    query = newest_first(_runs(), scenario_runs, before=before, limit=limit, only_open=only_open)
    query = query.where(within(scenario_runs.c.depot_id, scope))
    if depot_id is not None:
        query = query.where(scenario_runs.c.depot_id == depot_id)
    if scenario is not None:
        query = query.where(scenario_runs.c.scenario == scenario)
    return [_record(row) for row in (await connection.execute(query)).mappings()]


async def read_script(connection: AsyncConnection, run_id: UUID) -> RunScript:
    """Read what a run plays.

    Raises:
        Problem: ``RUN_NOT_FOUND``.

    """
    names = ("document", "digest", "seed", "bindings", "targets", "run_record")
    query = select(*(scenario_runs.c[name] for name in names)).where(scenario_runs.c.id == run_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise SCENARIO_RUN.missing(run_id)
    values = dict(row)
    values["targets"] = _targets(values["targets"])
    return RunScript(**values)


def _targets(stored: Mapping[str, Any]) -> RunTargets:
    def read(name: str) -> UUID | None:
        return None if stored[name] is None else UUID(stored[name])

    devices = tuple(UUID(each) for each in stored["device_ids"])
    return RunTargets(read("microgrid_id"), read("circuit_id"), read("power_source_id"), devices)


async def read_targets(connection: AsyncConnection, run_id: UUID) -> RunTargets:
    """Read where a run's effects are to be seen.

    Raises:
        Problem: ``RUN_NOT_FOUND``.

    """
    query = select(scenario_runs.c.targets).where(scenario_runs.c.id == run_id)
    stored = (await connection.execute(query)).scalar_one_or_none()
    if stored is None:
        raise SCENARIO_RUN.missing(run_id)
    return _targets(stored)


async def forget_run(connection: AsyncConnection, run_id: UUID) -> None:
    """Take back a run that could not be started."""
    await connection.execute(delete(scenario_runs).where(scenario_runs.c.id == run_id))


async def set_run_state(
    connection: AsyncConnection,
    run: ScenarioRunRequest | RunRecord,
    state: JobState,
    *,
    only_from: JobState | None = None,
) -> bool:
    """Note that a run is paused or goes on. An end is final: answers whether this was noted."""
    noted = await set_job_state(connection, scenario_runs, run.run_id, state, only_from=only_from)
    await notify(connection, {run.depot_id: {ChangeKind.SCENARIO}})
    return noted


async def end_run(
    connection: AsyncConnection,
    run: ScenarioRunRequest | RunRecord,
    state: JobState,
    outcome: RunOutcome,
    *,
    result_record: str,
    sha256: str,
    failure: str | None = None,
) -> bool:
    """Note how a run ended. The first end is final: answers whether this was it."""
    result = {"outcome": outcome, "result_record": result_record, "evidence_sha256": sha256}
    first = await set_job_state(connection, scenario_runs, run.run_id, state, failure, result=result)
    if first:
        await notify(connection, {run.depot_id: {ChangeKind.SCENARIO}})
    return first

"""Scenario runs: start, watch, steer; their evidence, their reports, and where two of them differ."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import AfterValidator, BaseModel, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.authorization import PermitDep
from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep, ScopeDep, resources_of
from api.base.idempotency import ONCE, Once, OnceDep
from api.base.jobs.service import JobsDep, JobService, control_responses
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.types import (
    Body,
    Cursor,
    Limit,
    OfDepot,
    RunId,
    Text,
    decode_cursor,
    encode_cursor,
    storable,
)
from api.simulation.scenario_starts import RunStart, start_run
from domain.base.actor import Actor
from domain.base.jobs import JobControl, JobState
from domain.base.names import MAX_NAME_LENGTH
from domain.base.problems import ProblemCode
from domain.simulation.scenario_runs import MAX_SEED, MAX_TIME_SCALE, SCENARIO_RUN, RunOutcome
from reconciliation.reconcile import ReconciledRow
from reconciliation.scenario_runs import SCENARIO_RUNS, close_evidence
from sim_scenarios.evidence.difference import NOTHING, Difference, diff
from sim_scenarios.evidence.evidence import read_evidence, sha256_of
from sim_scenarios.evidence.html_report import html_report
from sim_scenarios.evidence.junit import junit_xml
from store.base.database import snapshot
from store.simulation.run_steps import list_steps, read_lines
from store.simulation.scenario_runs import RunRecord, active_run, list_runs, read_run

router = APIRouter(prefix="/api/scenario-runs", tags=["scenario runs"], route_class=StrictRoute)

MAX_TEXT = 262_144
MAX_DIFFERENCES = 1_000
EVIDENCE_TYPE = "application/x-ndjson"


class ScenarioRunCreate(Body):
    """What to run, and where."""

    depot_id: UUID
    scenario: Text | None = Field(default=None, max_length=200, description="The name of a preset.")
    text: Annotated[str, AfterValidator(storable)] | None = Field(
        default=None, max_length=MAX_TEXT, description="Or a scenario of one's own, as YAML."
    )
    gateway_id: UUID | None = Field(default=None, description="Speak for the devices of this gateway alone.")
    seed: int = Field(default=1, ge=0, le=MAX_SEED, description="Another seed, another day.")
    time_scale: float = Field(
        default=0, ge=0, le=MAX_TIME_SCALE, allow_inf_nan=False,
        description="Real seconds a virtual second: 0 for as fast as possible, 1 for real time.",
    )  # fmt: skip
    confirm_depot_name: Text | None = Field(
        default=None, max_length=MAX_NAME_LENGTH,
        description="The depot's name, where a device of it really reported within the last day: the run sends in its "
        "place.",
    )  # fmt: skip
    force: bool = Field(
        default=False, description="Run although the configuration lacks what the scenario expects something of."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.scenario is None) is (self.text is None):
            raise ValueError("Give either scenario or text.")
        return self


class MissingDocument(BaseModel):
    """What the depot's configuration lacked."""

    code: str
    what: str
    to_do: str
    blocks: bool


class ScenarioRun(BaseModel):
    """A run and how far it is."""

    run_id: UUID
    scenario: str
    title: str
    digest: str
    depot_id: UUID
    depot_name: str
    gateway_id: UUID | None
    seed: int
    time_scale: float
    warnings: list[MissingDocument] = Field(
        description="What the configuration lacks: less effect than there could be."
    )
    state: JobState
    outcome: RunOutcome | None = Field(description="Null until it has ended.")
    steps_total: int
    steps_done: int
    packets_sent: int
    checks_passed: int
    checks_failed: int
    evidence_sha256: str | None = Field(description="Of the evidence; null until it has ended.")
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: str | None
    state_confirmed: bool = Field(
        description="False: Temporal did not answer, so a run that is shown as going on may have ended."
    )
    workflow_url: str | None = Field(description="The run in Temporal's UI.")

    @staticmethod
    def of(row: ReconciledRow[RunRecord], jobs: JobService) -> ScenarioRun:
        """The run as it is stored, held against its workflow."""
        record = row.record
        url = jobs.workflow_url(SCENARIO_RUN, record.job_id)
        extended = Extended(record, state_confirmed=row.confirmed, workflow_url=url)
        return ScenarioRun.model_validate(extended, from_attributes=True)


class ScenarioRunPage(BaseModel):
    """Runs, the newest first."""

    items: list[ScenarioRun]
    next_cursor: str | None


class RunStep(BaseModel):
    """A step that was sent, with its evidence."""

    step: int
    sent_at: datetime
    record: dict[str, Any] = Field(description="The step's record of the evidence.")


class RunStepPage(BaseModel):
    """Steps in their order."""

    items: list[RunStep]
    next_cursor: str | None


class DifferenceDocument(BaseModel):
    """One field that is not the same."""

    record: str = Field(description="`run`, `step` or `result`.")
    step: int | None
    field: str = Field(description="Where in the record, as a JSON pointer.")
    missing: str | None = Field(description="`first` or `second`, where that run does not have the field.")
    first: Any
    second: Any
    words: str

    @staticmethod
    def of(found: Difference) -> DifferenceDocument:
        """The difference as a document."""
        missing = "first" if found.first is NOTHING else "second" if found.second is NOTHING else None
        return DifferenceDocument(
            record=found.record,
            step=found.step,
            field=found.field,
            missing=missing,
            first=None if found.first is NOTHING else found.first,
            second=None if found.second is NOTHING else found.second,
            words=found.words,
        )


class RunDifferences(BaseModel):
    """Where two runs differ."""

    first: ScenarioRun
    second: ScenarioRun
    same: bool = Field(description="Whether the evidence of both is the same bytes.")
    items: list[DifferenceDocument]
    truncated: bool = Field(description=f"Whether there are more than {MAX_DIFFERENCES} differences.")


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(*ONCE,
        ProblemCode.SCENARIO_NOT_FOUND, ProblemCode.INVALID_SCENARIO, ProblemCode.DEPOT_NOT_FOUND,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.SIMULATION_NOT_ALLOWED, ProblemCode.SIMULATION_NOT_CONFIRMED,
        ProblemCode.SCENARIO_NOT_CONFIGURED, ProblemCode.RUN_IN_PROGRESS,
        ProblemCode.TEMPORAL_UNAVAILABLE, ProblemCode.BODY_TOO_LARGE,
    ),
)  # fmt: skip
async def start(
    body: ScenarioRunCreate, permit: PermitDep, actor: ActorDep, jobs: JobsDep, once: OnceDep
) -> ScenarioRun:
    """Start a run. It goes on by itself; read it to watch it.

    The same scenario, seed and configuration give the same evidence, to the byte.
    """
    await permit.check(depot_id=body.depot_id)
    run_id = await begin(jobs, actor, RunStart(**body.model_dump()), once)
    async with jobs.engine.connect() as connection:
        record = await read_run(connection, run_id)
    return ScenarioRun.of(ReconciledRow(record, confirmed=True), jobs)


async def begin(jobs: JobService, actor: Actor, asked: RunStart, once: Once) -> UUID:
    """Start a run. An open run of the depot whose workflow is gone is ended first."""
    async with jobs.engine.connect() as connection:
        active = await active_run(connection, asked.depot_id)
    if active is not None:
        await jobs.read(SCENARIO_RUNS, active)
    return await start_run(jobs.engine, jobs.client, jobs.settings.task_queue, actor, asked, once)


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    jobs: JobsDep,
    scope: ScopeDep,
    depot_id: OfDepot = None,
    scenario: Annotated[Text | None, Query(max_length=200)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ScenarioRunPage:
    """List runs, the newest first."""
    list_rows = partial(list_runs, depot_id=depot_id, scenario=scenario, scope=scope)
    rows, more = await jobs.list(SCENARIO_RUNS, cursor, limit, list_rows)
    return ScenarioRunPage(items=[ScenarioRun.of(row, jobs) for row in rows], next_cursor=more)


@router.get("/{run_id}", responses=problem_responses(ProblemCode.RUN_NOT_FOUND))
async def read(run_id: RunId, jobs: JobsDep) -> ScenarioRun:
    """Read how far a run is."""
    return ScenarioRun.of(await jobs.read(SCENARIO_RUNS, run_id), jobs)


@router.get("/{run_id}/steps", responses=problem_responses(ProblemCode.RUN_NOT_FOUND, ProblemCode.INVALID_CURSOR))
async def steps(run_id: RunId, engine: EngineDep, cursor: Cursor = None, limit: Limit = 100) -> RunStepPage:
    """List the steps that were sent, with their evidence."""
    after = decode_cursor(cursor, tuple[Annotated[int, Field(ge=0, lt=2**31)]])
    async with engine.connect() as connection:
        await read_run(connection, run_id)
        found = await list_steps(connection, run_id, after=after[0] if after else None, limit=limit + 1)
    items = found[:limit]
    more = encode_cursor(items[-1].step) if len(found) > limit else None
    return RunStepPage(
        items=[RunStep(step=each.step, sent_at=each.sent_at, record=json.loads(each.record)) for each in items],
        next_cursor=more,
    )


@router.get(
    "/{run_id}/evidence",
    response_class=Response,
    responses={
        200: {
            "description": "One canonical JSON object a line. `ETag` and `X-Evidence-SHA256` have the SHA-256 of all "
            "bytes. While the run goes on, it is what there is so far, with the outcome `INCOMPLETE`.",
            "content": {EVIDENCE_TYPE: {"schema": {"type": "string"}}},
        },
        **problem_responses(ProblemCode.RUN_NOT_FOUND),
    },
)
async def evidence(run_id: RunId, request: Request, engine: EngineDep) -> Response:
    """Download the evidence of a run."""
    record, found = await _exported(request, engine, run_id)
    digest = sha256_of(found)
    headers = {
        "ETag": f'"{digest}"',
        "X-Evidence-SHA256": digest,
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:",
        "Content-Disposition": f'attachment; filename="{_file_name(record)}.ndjson"',
    }
    return Response(found, media_type=EVIDENCE_TYPE, headers=headers)


@router.get(
    "/{run_id}/report.html",
    response_class=Response,
    responses={
        200: {"description": "The report, in one file.", "content": {"text/html": {"schema": {"type": "string"}}}},
        **problem_responses(ProblemCode.RUN_NOT_FOUND),
    },
)
async def report_html(run_id: RunId, request: Request, engine: EngineDep) -> Response:
    """Read the report of a run, for people."""
    _, found = await _exported(request, engine, run_id)
    made = await asyncio.to_thread(lambda: html_report(read_evidence(found)))
    # It holds what a scenario of anybody's own said; nothing in it may do anything.
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return Response(made, media_type="text/html", headers=headers)


@router.get(
    "/{run_id}/report.xml",
    response_class=Response,
    responses={
        200: {"description": "JUnit XML.", "content": {"application/xml": {"schema": {"type": "string"}}}},
        **problem_responses(ProblemCode.RUN_NOT_FOUND),
    },
)
async def report_xml(run_id: RunId, request: Request, engine: EngineDep) -> Response:
    """Read the report of a run as JUnit XML, for whatever reads test reports."""
    record, found = await _exported(request, engine, run_id)
    made = await asyncio.to_thread(lambda: junit_xml(read_evidence(found)))
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(record)}.xml"'}
    return Response(made, media_type="application/xml", headers=headers)


@router.get("/{run_id}/diff/{other_id}", responses=problem_responses(ProblemCode.RUN_NOT_FOUND))
async def differences(run_id: RunId, other_id: RunId, jobs: JobsDep) -> RunDifferences:
    """Say where two runs differ, by their evidence."""
    one, other = await jobs.read(SCENARIO_RUNS, run_id), await jobs.read(SCENARIO_RUNS, other_id)
    (_, first), (_, second) = await _evidence(jobs.engine, run_id), await _evidence(jobs.engine, other_id)
    found = await asyncio.to_thread(diff, first, second, most=MAX_DIFFERENCES + 1)
    return RunDifferences(
        first=ScenarioRun.of(one, jobs),
        second=ScenarioRun.of(other, jobs),
        same=first == second,
        items=[DifferenceDocument.of(each) for each in found[:MAX_DIFFERENCES]],
        truncated=len(found) > MAX_DIFFERENCES,
    )


_CONTROL = control_responses(SCENARIO_RUN)


@router.post("/{run_id}/pause", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def pause(run_id: RunId, actor: ActorDep, jobs: JobsDep) -> ScenarioRun:
    """Pause a run after what is being sent."""
    return ScenarioRun.of(await jobs.control(SCENARIO_RUNS, run_id, JobControl.PAUSE, actor), jobs)


@router.post("/{run_id}/resume", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def resume(run_id: RunId, actor: ActorDep, jobs: JobsDep) -> ScenarioRun:
    """Let a paused run go on."""
    return ScenarioRun.of(await jobs.control(SCENARIO_RUNS, run_id, JobControl.RESUME, actor), jobs)


@router.post("/{run_id}/cancel", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def cancel(run_id: RunId, actor: ActorDep, jobs: JobsDep) -> ScenarioRun:
    """End a run after what is being sent. Its evidence so far stays, with the outcome `INCOMPLETE`."""
    return ScenarioRun.of(await jobs.control(SCENARIO_RUNS, run_id, JobControl.CANCEL, actor), jobs)


async def _exported(request: Request, engine: AsyncEngine, run_id: UUID) -> tuple[RunRecord, bytes]:
    """The evidence of a run, of which the journal is told that it leaves the product."""
    record, found = await _evidence(engine, run_id)
    acts = resources_of(request.app).acts
    acts.note(request.scope, "SCENARIO_RUN_EXPORTED", depot_id=record.depot_id, subject_id=run_id)
    return record, found


async def _evidence(engine: AsyncEngine, run_id: UUID) -> tuple[RunRecord, bytes]:
    async with snapshot(engine) as connection:
        record = await read_run(connection, run_id)
        head, written, result = await read_lines(connection, run_id)
    if result is None:
        _, _, found = await asyncio.to_thread(close_evidence, head, written)
    else:
        found = "".join(f"{each}\n" for each in (head, *written, result)).encode()
    return record, found


def _file_name(record: RunRecord) -> str:
    return f"{record.scenario}-{str(record.run_id)[-12:]}"

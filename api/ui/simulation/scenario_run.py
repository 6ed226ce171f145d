"""One scenario run: watched step by step, what is sent beside what the product shows of it, and its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import ActorDep, ScopeDep
from api.base.jobs.service import JobsDep, JobService
from api.base.streams.live import Kind, Topic
from api.base.types import RunId
from api.simulation import scenario_runs as service
from api.site import capacities, power_sources
from api.ui.base import words
from api.ui.base.rendering import render
from domain.access.principals import DepotScope
from domain.base.jobs import JobControl
from domain.base.problems import Problem
from domain.simulation.scenario_runs import RunTargets
from domain.site.action_outcomes import ActionOutcome
from domain.site.measurands import MeasurandKey
from domain.site.sensor_actions import STATE_MEASURANDS, SensorActionKind
from reconciliation.scenario_runs import SCENARIO_RUNS
from sim_scenarios.language.quantities import duration_text
from store.monitoring.capability_status import read_latest
from store.simulation.run_steps import WrittenStep, list_checked_steps, list_newest_steps, list_unmet_steps
from store.simulation.scenario_runs import list_runs, read_targets

router = APIRouter(prefix="/scenario-runs", include_in_schema=False)

PAGE = 40
"""Steps that are loaded at a time."""
_UNMET = 20
"""Failed expectations that the page shows at once."""
_CHECKED = 10
"""Steps that the page shows before all others with what was checked after them, the last first."""
_OTHERS = 10
"""Runs of the same scenario that are offered for comparison."""

Before = Annotated[int | None, Query(ge=0, lt=2**31)]


@dataclass(frozen=True)
class Shown:
    """A measurand as it was last sent, beside what the product shows of it."""

    key: str
    sent: str
    sensor_id: str
    shows: str
    """Empty: nothing but the evidence has it."""


@router.get("/{run_id}", name="page_scenario_run")
async def watch(request: Request, run_id: RunId, jobs: JobsDep, scope: ScopeDep) -> Response:
    """Show a run, how far it is, and its steps."""
    context = await _one(run_id, jobs) | await _steps(run_id, jobs.engine)
    others = await _others(context["run"], jobs.engine, scope)
    return render(
        request, "scenario_run.html", context | {"topics": [Topic(Kind.RUN, run_id)], "asked": "", "others": others}
    )


@router.get("/{run_id}/progress", name="scenario_run_progress")
async def progress(request: Request, run_id: RunId, jobs: JobsDep) -> Response:
    """How far a run is now, what it last sent, and its newest steps."""
    context = await _one(run_id, jobs) | await _steps(run_id, jobs.engine) | {"asked": ""}
    return render(request, "scenario_run.html", context, block="moving")


@router.get("/{run_id}/steps", name="scenario_run_steps")
async def steps(
    request: Request,
    run_id: RunId,
    jobs: JobsDep,
    before: Before = None,
) -> Response:
    """Earlier steps of the list."""
    context = await _one(run_id, jobs) | await _steps(run_id, jobs.engine, before)
    return render(request, "scenario_run.html", context, block="more_rows")


@router.post("/{run_id}/{word}", name="scenario_run_steer")
async def steer(
    request: Request,
    run_id: RunId,
    word: JobControl,
    actor: ActorDep,
    jobs: JobsDep,
) -> Response:
    """Pause, resume or cancel a run."""
    await jobs.control(SCENARIO_RUNS, run_id, word, actor)
    context = await _one(run_id, jobs) | {"asked": word}
    return render(request, "scenario_run.html", context, block="progress")


async def _one(run_id: UUID, jobs: JobService) -> dict[str, Any]:
    run = await service.read(run_id, jobs)
    return {"run": run, "run_id": run_id, "badge": words.run_badge(run.state, run.outcome)}


async def _steps(run_id: UUID, engine: AsyncEngine, before: int | None = None) -> dict[str, Any]:
    async with engine.connect() as connection:
        found = await list_newest_steps(connection, run_id, before=before, limit=PAGE + 1)
        unmet = await list_unmet_steps(connection, run_id, limit=_UNMET)
        checked = await list_checked_steps(connection, run_id, limit=_CHECKED)
        targets = await read_targets(connection, run_id)
    listed = [_step(each) for each in found[:PAGE]]
    latest = next((each for each in listed if each["packets"]), None) if before is None else None
    return {
        "steps": listed,
        "rows": _rows(listed),
        "checked": [_step(each) for each in checked],
        "earlier": listed[-1]["step"] if len(found) > PAGE else None,
        "unmet": [
            (each.step, check["words"])
            for each in unmet
            for check in json.loads(each.record)["checks"]
            if not check["passed"]
        ],
        "latest": latest,
        "shown": [] if latest is None else await _beside(latest, engine, targets),
    }


def _step(written: WrittenStep) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(written.record)
    return {**record, "sent_at": written.sent_at, "at": duration_text(record["offset_ms"])}


def _rows(steps: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Put the steps into rows: one each, but steps in a row in which nothing happens are one together."""
    rows: list[list[dict[str, Any]]] = []
    for step in steps:
        if rows and _is_quiet(step) and _is_quiet(rows[-1][0]):
            rows[-1].append(step)
        else:
            rows.append([step])
    return rows


def _is_quiet(step: dict[str, Any]) -> bool:
    """Whether the scenario changes and expects nothing at a step, and nothing that was sent needs attention."""
    stopped = any(each["outcome"] == ActionOutcome.REMEDIATION for each in step["answers"])
    return not (step["name"] or step["checks"] or stopped)


async def _beside(step: dict[str, Any], engine: AsyncEngine, targets: RunTargets) -> list[Shown]:
    """Put what a step sent beside what the product shows now."""
    state, load = await _power_source(engine, targets)
    shows = {**await _capabilities(engine, targets), **await _circuit(engine, targets), **state}
    metered = {
        each["sensor_id"]
        for each in step["answers"]
        if each["action"] == SensorActionKind.UPDATE_POWER_SOURCE_LOAD and each["outcome"] == ActionOutcome.APPLIED
    }
    return [
        Shown(key, sent, sensor_id, (load if sensor_id in metered else shows).get(key, ""))
        for sensor_id, key, sent in _newest(step["packets"])
    ]


def _newest(packets: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Tell each measurand of the newest packets once: its sensor, its key, its value."""
    newest = max(each["packet"]["timestamp"] for each in packets)
    reported: set[tuple[str, str]] = set()
    for each in packets:
        for sensor in each["packet"]["sensors"] if each["packet"]["timestamp"] == newest else ():
            for measurand in sensor["measurands"]:
                place = (sensor["sensor_id"], measurand["key"])
                if place not in reported:
                    reported.add(place)
                    yield (*place, _value(measurand["value"], measurand["unit"]))


def _value(value: object, unit: str | None) -> str:
    if value is None:
        return "no value"
    if isinstance(value, int | float) and unit == "W":
        return words.power(value) if value >= 0 else f"-{words.power(-value)}"
    return f"{value}\u202f{unit}" if unit else str(value)


async def _capabilities(engine: AsyncEngine, targets: RunTargets) -> dict[str, str]:
    if targets.microgrid_id is None:
        return {}
    try:
        async with engine.connect() as connection:
            found = await read_latest(connection, targets.microgrid_id)
    except Problem:
        return {}
    statuses = {each.capability: "unknown" if each.status is None else each.status.lower() for each in found}
    return {each.measurand: f"{each.label} {status}" for each, status in statuses.items()}


async def _circuit(engine: AsyncEngine, targets: RunTargets) -> dict[str, str]:
    if targets.circuit_id is None:
        return {}
    try:
        held = await capacities.read_now(targets.circuit_id, engine)
    except Problem:
        return {}
    if held.mode is None:
        return {}
    why = f" ({words.FAIL_SAFE[held.reason]})" if held.reason is not None else ""
    mode = f"Circuit: {words.RUN_CAPACITY[held.mode]}{why}"
    power = "not known" if held.capacity_w is None else words.power(held.capacity_w)
    return {
        MeasurandKey.AVAILABLE_CHARGING_CAPACITY: f"Circuit carries {power}",
        MeasurandKey.HEARTBEAT_STATUS: mode,
        MeasurandKey.FAIL_SAFE_CAPACITY: f"Circuit: fail-safe, {power}"
        if held.reason is not None
        else "Kept for the fail-safe",
    }


async def _power_source(engine: AsyncEngine, targets: RunTargets) -> tuple[dict[str, str], dict[str, str]]:
    """Tell what is shown of the power source: its state, and its power."""
    if targets.power_source_id is None:
        return {}, {}
    try:
        found = await power_sources.read(targets.power_source_id, engine)
    except Problem:
        return {}, {}
    shown = {each.measurand: f"{found.name}: {_value(each.value, each.unit)}" for each in found.readings}
    return (
        {key: text for key, text in shown.items() if key in STATE_MEASURANDS},
        {key: text for key, text in shown.items() if key not in STATE_MEASURANDS},
    )


async def _others(run: service.ScenarioRun, engine: AsyncEngine, scope: DepotScope) -> list[Any]:
    async with engine.connect() as connection:
        found = await list_runs(
            connection, depot_id=None, scenario=run.scenario, before=None, limit=_OTHERS + 1, scope=scope
        )
    return [each for each in found if each.run_id != run.run_id][:_OTHERS]

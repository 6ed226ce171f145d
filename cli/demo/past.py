"""The last week of the demo depots: what a scenario run would have sent in it, written as of when it would have come.

A run sends in real time, so a week of it would take a week. This writes the same packets through the same ingest, with
the times of the past, and closes the run with its evidence. Nothing but a demo does so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from uuid_utils.compat import uuid7

from api.simulation.scenario_starts import bind_depot
from domain.base.actor import Actor
from domain.base.jobs import JobState
from domain.monitoring.packets import InvalidPacket, parse_packet
from domain.simulation.scenario_runs import ScenarioRunRequest
from reconciliation.scenario_runs import close_run
from sim_scenarios.evidence.evidence import line, run_record, step_record
from sim_scenarios.runs.expectations import Answer, Observed
from sim_scenarios.runs.library import controller_tables
from sim_scenarios.runs.scenario import InvalidScenario, parse_scenario
from sim_scenarios.runs.stamps import documents
from sim_scenarios.runs.steps import Step, expand
from store.base.database import transaction
from store.base.driver import driver_in
from store.monitoring.telemetry import ReceivedPacket, TakenPacket, take_group
from store.simulation.depot_configurations import read_depot_configuration
from store.simulation.run_steps import StepRecord, store_stamps, write_records
from store.simulation.scenario_runs import NewRun, insert_run


@dataclass(frozen=True)
class PastRun:
    """A run that is written as if it had gone on until now."""

    depot_id: UUID
    text: str
    """Its scenario."""


@dataclass(frozen=True)
class _Begun:
    request: ScenarioRunRequest
    steps: tuple[Step, ...]
    stamps: list[int]


async def write_past(engine: AsyncEngine, actor: Actor, runs: Sequence[PastRun]) -> None:
    """Write runs of one length that end now, side by side: all of them, or nothing.

    Changes of their depots wait meanwhile. In one transaction nobody sees a circuit whose controller was last heard in
    the past.

    Raises:
        Problem: a depot allows no simulation, or another run is in progress in it.

    """
    async with transaction(engine, actor) as connection:
        begun = [await _begin(connection, actor, run) for run in runs]
        records: list[list[StepRecord]] = [[] for _ in begun]
        for index in range(max(len(run.steps) for run in begun)):
            await _write_step(connection, actor, begun, index, records)
        for run, made in zip(begun, records, strict=True):
            await write_records(connection, run.request, made)
            await close_run(connection, actor, run.request, JobState.COMPLETED)


async def _begin(connection: AsyncConnection, actor: Actor, run: PastRun) -> _Begun:
    scenario = parse_scenario(run.text, controller_tables())
    if isinstance(scenario, InvalidScenario):
        raise TypeError(f"The demo's scenario breaks its rules: {scenario.violations}")
    bindings, targets = bind_depot(await read_depot_configuration(connection, run.depot_id))
    request = ScenarioRunRequest(uuid7(), run.depot_id, scenario.name, scenario.steps, 1, actor.name)
    await insert_run(
        connection,
        NewRun(
            request=request,
            title=scenario.model.title,
            document=scenario.text,
            digest=scenario.digest,
            gateway_id=None,
            seed=1,
            bindings=bindings.document(),
            targets=targets,
            warnings=[],
            run_record=line(run_record(scenario, 1, bindings)).decode().rstrip("\n"),
        ),
    )
    steps = expand(scenario, 1, bindings)
    # The last one is a step ago: the next is the first of the run that goes on in real time.
    start = datetime.now(UTC) - timedelta(milliseconds=steps[-1].offset_ms + scenario.model.every)
    stamps = [int(start.timestamp() * 1000) + step.offset_ms for step in steps]
    await store_stamps(connection, request.run_id, dict(enumerate(stamps)))
    return _Begun(request, steps, stamps)


async def _write_step(
    connection: AsyncConnection, actor: Actor, begun: Sequence[_Begun], index: int, records: list[list[StepRecord]]
) -> None:
    """Take one step's packets of all runs, and note what they were answered."""
    received: list[ReceivedPacket] = []
    places: list[tuple[int, int]] = []
    for place, run in enumerate(begun):
        if index < len(run.steps):
            for number, document in enumerate(documents(run.steps[index], run.stamps)):
                parsed = parse_packet(document)
                if isinstance(parsed, InvalidPacket):
                    raise TypeError(f"The demo's packet breaks the contract: {parsed.violations}")
                text = line(document).decode().rstrip("\n")
                received.append(ReceivedPacket(parsed, text, actor.name, run.request.run_id))
                places.append((place, number))
    answers: dict[int, list[Answer]] = {}
    if received:
        at = max(each.packet.observed_at for each in received)
        results = await take_group(await driver_in(connection), received, at=at)
        for (place, number), taken in zip(places, results, strict=True):
            if isinstance(taken, TakenPacket):
                found = answers.setdefault(place, [])
                found += [
                    Answer(number, each.sensor_id, each.action, each.outcome, each.code) for each in taken.answers
                ]
    for place, run in enumerate(begun):
        if index < len(run.steps):
            step = run.steps[index]
            made = step_record(step, Observed(tuple(answers.get(place, ())), None))
            passed = sum(check["passed"] for check in made["checks"])
            text = line(made).decode().rstrip("\n")
            records[place].append(
                StepRecord(index, run.stamps[index], text, len(step.packets), passed, len(made["checks"]) - passed)
            )

"""The start of a scenario run: the scenario is read and bound to the depot's configuration; gaps are reported."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from uuid_utils.compat import uuid7

from api.base.idempotency import Once
from api.base.temporal import temporal_calls
from api.simulation.scenarios import find_preset
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.violations import Violation
from domain.simulation.scenario_runs import RunTargets, ScenarioRunInput, ScenarioRunRequest
from domain.site.sensor_actions import SensorActionKind
from sim_scenarios.evidence.evidence import line, run_record
from sim_scenarios.language.problems import InvalidScenario
from sim_scenarios.runs.bindings import Bindings, ConfiguredDevice, bind
from sim_scenarios.runs.library import controller_tables
from sim_scenarios.runs.missing import Missing, MissingCode, missing_for
from sim_scenarios.runs.scenario import Scenario, parse_scenario
from store.base.changes import record_change
from store.base.database import snapshot, transaction
from store.simulation.depot_configurations import ConfiguredSensor, DepotConfiguration, read_depot_configuration
from store.simulation.overwrites import read_overwritten
from store.simulation.scenario_runs import NewRun, forget_run, insert_run, simulation_not_allowed
from store.site.depots import depot_retired, read_depot
from workflows.launch import start_scenario_run


@dataclass(frozen=True)
class RunStart:
    """What was asked for."""

    depot_id: UUID
    scenario: str | None
    """A preset's name, or None with ``text``."""
    text: str | None
    gateway_id: UUID | None
    seed: int
    time_scale: float
    confirm_depot_name: str | None
    """The depot's name, repeated by whoever knows that real devices report there."""
    force: bool
    """Whether to run although the configuration lacks what the scenario expects something of."""


async def read_scenario(start: RunStart) -> Scenario:
    """Read the scenario that was asked for.

    Raises:
        Problem: ``SCENARIO_NOT_FOUND`` or ``INVALID_SCENARIO``.

    """
    if start.scenario is not None:
        return find_preset(start.scenario)
    parsed = await asyncio.to_thread(parse_scenario, start.text or "", controller_tables())
    if isinstance(parsed, InvalidScenario):
        raise _invalid(parsed)
    return parsed


def _invalid(found: InvalidScenario) -> Problem:
    lines = [found.line(each.pointer) for each in found.violations]
    return Problem(
        ProblemCode.INVALID_SCENARIO,
        "The scenario breaks the rules of its language; `errors` says where.",
        violations=[Violation(f"/text{each.pointer}", each.code, each.reason) for each in found.violations],
        context={
            "violations": [
                {"pointer": each.pointer, "line": at, "code": each.code, "reason": each.reason}
                for each, at in zip(found.violations, lines, strict=True)
            ]
        },
    )


class _Begun(BaseModel):
    """What is kept of a start, for when it is asked for again."""

    run_id: UUID


async def start_run(
    engine: AsyncEngine, client: Client, task_queue: str, actor: Actor, start: RunStart, once: Once
) -> UUID:
    """Start a run; answer its id, or that of the run that the same request began.

    Raises:
        Problem: ``SCENARIO_NOT_FOUND``, ``INVALID_SCENARIO``, ``DEPOT_NOT_FOUND``,
            ``DEPOT_RETIRED``, ``SIMULATION_NOT_ALLOWED``, ``SIMULATION_NOT_CONFIRMED``, ``SCENARIO_NOT_CONFIGURED``,
            ``RUN_IN_PROGRESS`` or ``TEMPORAL_UNAVAILABLE``.

    """
    scenario = await read_scenario(start)
    async with snapshot(engine) as connection:
        site = await read_depot_configuration(connection, start.depot_id)
    if site.is_retired:
        raise depot_retired(start.depot_id)
    if not site.allows_simulation:
        raise simulation_not_allowed()
    bindings, targets = bind_depot(site, start.gateway_id)
    missing = missing_for(scenario, bindings)
    _refuse_what_blocks(missing, force=start.force)
    await _check_confirmed(engine, start, targets)
    request = ScenarioRunRequest(uuid7(), start.depot_id, scenario.name, scenario.steps, start.time_scale, actor.name)
    run = NewRun(
        request=request,
        title=scenario.model.title,
        document=scenario.text,
        digest=scenario.digest,
        gateway_id=start.gateway_id,
        seed=start.seed,
        bindings=bindings.document(),
        targets=targets,
        warnings=[asdict(each) for each in missing],
        run_record=line(run_record(scenario, start.seed, bindings)).decode().rstrip("\n"),
    )

    async def insert(connection: AsyncConnection) -> _Begun:
        await insert_run(connection, run)
        detail = {"scenario": scenario.name, "seed": start.seed, "time_scale": start.time_scale}
        await record_change(
            connection,
            actor,
            "SCENARIO_RUN_REQUESTED",
            depot_id=start.depot_id,
            subject_id=request.run_id,
            detail=detail,
        )
        return _Begun(run_id=request.run_id)

    begun = await once.create(engine, actor, start, _Begun, insert)
    if begun.run_id != request.run_id:
        # Whoever asks again may have lost the answer before the workflow was started.
        with suppress(WorkflowAlreadyStartedError):
            async with temporal_calls():
                await start_scenario_run(client, task_queue, ScenarioRunInput(replace(request, run_id=begun.run_id)))
        return begun.run_id
    # After the commit: the first step looks for the run at once.
    try:
        async with temporal_calls():
            await start_scenario_run(client, task_queue, ScenarioRunInput(request))
    except BaseException:
        async with transaction(engine, actor) as connection:
            await forget_run(connection, request.run_id)
            await once.forget(connection, actor)
        raise
    return request.run_id


def bind_depot(site: DepotConfiguration, gateway_id: UUID | None = None) -> tuple[Bindings, RunTargets]:
    """Find what a run in the depot speaks for, of one gateway or of all, and where to look for what it brings about."""
    devices = [each for each in site.devices if gateway_id in (None, each.gateway_id)]
    bindings = bind([_configured(each) for each in devices], has_microgrid=site.microgrid_id is not None)
    return bindings, _targets(site, devices, bindings)


async def _check_confirmed(engine: AsyncEngine, start: RunStart, targets: RunTargets) -> None:
    """Refuse a run in the place of devices that really report, unless its depot is named."""
    async with snapshot(engine) as connection:
        depot = await read_depot(connection, start.depot_id)
        found = await read_overwritten(connection, targets.device_ids)
    if not found.is_real or (start.confirm_depot_name or "").strip() == depot.name:
        return
    real = [name for _, name, last_at in found.devices if last_at is not None]
    raise Problem(
        ProblemCode.SIMULATION_NOT_CONFIRMED,
        f"{', '.join(real)} really reported within the last day. The run sends in the place of all devices that "
        f"`context` names, and overwrites what they said. To run it all the same, repeat the depot's name.",
        "confirm_depot_name",
        context={
            "devices": [
                {"device_id": device_id, "name": name, "last_real_at": last_at}
                for device_id, name, last_at in found.devices
            ],
            "capabilities": list(found.capabilities),
            "circuits": [{"circuit_id": circuit_id, "name": name} for circuit_id, name in found.circuits],
        },
    )


def _configured(device: ConfiguredSensor) -> ConfiguredDevice:
    return ConfiguredDevice(
        device.gateway_id,
        device.gateway_name,
        device.sensor_id,
        device.actions,
        device.circuit_name,
        device.power_source_kind,
    )


def _refuse_what_blocks(missing: tuple[Missing, ...], *, force: bool) -> None:
    # Without any controller there is nothing to send, whoever insists.
    blocking = [each for each in missing if each.blocks and (not force or each.code is MissingCode.NO_CONTROLLER)]
    if blocking:
        raise Problem(
            ProblemCode.SCENARIO_NOT_CONFIGURED,
            "The depot's configuration lacks something that the scenario needs. "
            + " ".join(f"{each.what} {each.to_do}" for each in blocking),
            violations=[Violation("/depot_id", each.code, f"{each.what} {each.to_do}") for each in blocking],
            context={"missing": [asdict(each) for each in missing]},
        )


def _targets(site: DepotConfiguration, devices: list[ConfiguredSensor], bindings: Bindings) -> RunTargets:
    bound = {(gateway.gateway_id, sensor.sensor_id) for gateway in bindings.gateways for sensor in gateway.sensors}
    ours = [each for each in devices if (each.gateway_id, each.sensor_id) in bound]

    def first(kind: SensorActionKind) -> ConfiguredSensor | None:
        return next((each for each in ours if any(action.kind is kind for action in each.actions)), None)

    follows = first(SensorActionKind.UPDATE_CIRCUIT_CAPACITY)
    updates = first(SensorActionKind.UPDATE_POWER_SOURCE_STATE)
    return RunTargets(
        microgrid_id=site.microgrid_id,
        circuit_id=None if follows is None else follows.circuit_id,
        power_source_id=None if updates is None else updates.power_source_id,
        device_ids=tuple(each.device_id for each in ours),
    )

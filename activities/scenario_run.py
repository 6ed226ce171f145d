"""The steps of a scenario run: packets out, answers in, a look at the product, evidence written.

What makes a step repeatable. Its timestamps are stored before anything is sent. A try that finds timestamps without
evidence asks the product whether packets with them have come. If they have, their first answers are the step's; if
they have not, the step takes new timestamps, because packets that were measured before a crash would be stale. A try
that was overtaken by another one cannot write: its timestamps are no longer the step's.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from activities.manage_api import ManageApi, RefusedError, milliseconds
from domain.base.actor import Actor
from domain.simulation.scenario_runs import (
    EndedRun,
    ExecutedSteps,
    PlayRequest,
    RunOutcome,
    RunStateRequest,
    RunTargets,
    ScenarioRunRequest,
)
from domain.site.circuit_capacity import CapacityMode, FailSafeReason
from domain.site.sensor_actions import STATE_MEASURANDS
from reconciliation.scenario_runs import close_run
from sim_scenarios.evidence.evidence import line, step_record
from sim_scenarios.runs.expectations import Answer, Downstream, Observed, ObservedCircuit
from sim_scenarios.runs.run_plan import RunPlan, open_run_plan
from sim_scenarios.runs.stamps import documents, due_ms, is_of_run, next_stamp
from sim_scenarios.runs.steps import Step
from store.base.database import transaction
from store.simulation.run_steps import (
    StepRecord,
    last_stamp_before,
    list_stamps,
    renew_stamps,
    store_stamps,
    write_records,
)
from store.simulation.scenario_runs import RunScript, read_run, read_script, set_run_state

BEAT = timedelta(seconds=1)
_PLAY_SECONDS = 2.0
"""So long at most an activity goes on with the next batch: what is paused or cancelled in between is heeded soon."""
_SHORT_WAIT_MS = 200
"""A wait that is not worth a timer of the workflow."""
_FRESH_MS = 1000
"""A packet that is sent so long after its timestamp is as good as sent at once: a fifth of the shortest heartbeat
threshold that a circuit can have."""
_STAMPS_ANEW = 3
"""Times that steps take new timestamps before they are sent all the same: on a machine this slow nothing is fresh."""
_MAX_PACKETS = 500
"""Packets that the API takes in one request."""


class ScenarioRunActivities:
    """Steps of the scenario run's workflow, on one database and against one API."""

    def __init__(self, engine: AsyncEngine, api: ManageApi) -> None:
        self._engine = engine
        self._api = api

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.play_steps, self.note_run_state, self.finish_run]

    @activity.defn
    async def play_steps(self, request: PlayRequest) -> ExecutedSteps:
        """Execute the next steps. Idempotent: run twice, steps that have their evidence are left alone."""
        async with beating(BEAT):
            return await _Executor(self._engine, self._api, request).execute()

    @activity.defn
    async def note_run_state(self, request: RunStateRequest) -> None:
        """Note a pause or its end, for whoever reads the run. Run twice, it says the same."""
        async with _as_requested(self._engine, request.run) as connection:
            await set_run_state(connection, request.run, request.state)

    @activity.defn
    async def finish_run(self, request: RunStateRequest) -> EndedRun:
        """Close the evidence and note how the run ended. Run twice, the first end stands."""
        run = request.run
        async with beating(BEAT), _as_requested(self._engine, run) as connection:
            ended = await close_run(connection, Actor(run.requested_by), run, request.state, request.failure)
        return EndedRun(ended.state, ended.outcome or RunOutcome.INCOMPLETE, ended.evidence_sha256 or "")


def _text(record: Mapping[str, Any]) -> str:
    return line(record).decode().rstrip("\n")


def _as_requested(engine: AsyncEngine, run: ScenarioRunRequest) -> AbstractAsyncContextManager[AsyncConnection]:
    return transaction(engine, Actor(run.requested_by))


class _Executor:
    """One attempt to execute the next steps."""

    def __init__(self, engine: AsyncEngine, api: ManageApi, request: PlayRequest) -> None:
        self.engine = engine
        self.api = api
        self.run = request.run
        self.stamps: list[int] = []
        """Of every step that was begun, in order; those of recorded steps are final."""
        self.done = 0
        """Steps that have their evidence."""
        self.stamp_before: int | None = None
        """The last stamp of the depot's run before this one."""

    async def execute(self) -> ExecutedSteps:
        run = self.run
        async with self.engine.connect() as connection:
            script = await read_script(connection, run.run_id)
            begun = await list_stamps(connection, run.run_id)
            record = await read_run(connection, run.run_id)
            if not begun or not begun[0].recorded:
                self.stamp_before = await last_stamp_before(connection, run)
        if record.state.ended:
            raise RefusedError(f"The run has ended: {record.state}.")
        self.stamps = [each.stamp_ms for each in begun]
        self.done = sum(each.recorded for each in begun)
        passed, failed = record.checks_passed, record.checks_failed
        plan = await _open(script)
        until = time.monotonic() + _PLAY_SECONDS
        while self.done < len(plan.steps):
            due = self._due(plan)
            wait = 0 if due is None else due - _now_ms()
            if wait > _SHORT_WAIT_MS:
                return ExecutedSteps(self.done, passed, failed, due)
            await asyncio.sleep(max(0, wait) / 1000)
            passed, failed = await self._execute_batch(plan, plan.batch(self.done, run.time_scale), script.targets)
            if time.monotonic() > until or run.time_scale:
                break
        return ExecutedSteps(self.done, passed, failed, self._due(plan) if self.done < len(plan.steps) else None)

    def _due(self, plan: RunPlan) -> int | None:
        step = plan.steps[self.done]
        previous = plan.steps[self.done - 1] if self.done else None
        return due_ms(step, previous, self.stamps[: self.done], self.run.time_scale)

    async def _execute_batch(self, plan: RunPlan, batch: tuple[Step, ...], targets: RunTargets) -> tuple[int, int]:
        answers = await self._deliver(batch)
        last = batch[-1]
        downstream = None
        if last.looks:
            reader = _StateReader(self.api, self.run.depot_id, targets, self.stamps)
            downstream = await reader.downstream(plan.newest[last.index], fail_safe_due=plan.fail_safe_due[last.index])
        records = [
            self._record(step, Observed(tuple(answers[step.index]), downstream if step is last else None))
            for step in batch
        ]
        async with _as_requested(self.engine, self.run) as connection:
            sums = await write_records(connection, self.run, records)
        self.done += len(batch)
        return sums

    def _record(self, step: Step, observed: Observed) -> StepRecord:
        made = step_record(step, observed)
        passed = sum(check["passed"] for check in made["checks"])
        return StepRecord(
            step.index,
            self.stamps[step.index],
            _text(made),
            len(step.packets),
            passed,
            len(made["checks"]) - passed,
        )

    async def _deliver(self, batch: Sequence[Step]) -> dict[int, list[Answer]]:
        """Send the packets of these steps, or find that they were sent; answer by step."""
        last = batch[-1].index
        # A try before this one may have sent them already.
        tried = len(self.stamps) > last
        found = await self._first_answers(batch) if tried else {}
        if not found:
            await self._stamp(batch)
        sent = [(step.index, number, document) for step, number, document in self._documents(batch)]
        missing = [(step, number, document) for step, number, document in sent if (step, number) not in found]
        for start in range(0, len(missing), _MAX_PACKETS):
            part = missing[start : start + _MAX_PACKETS]
            results = await self.api.post_packets(self.run.run_id, [document for *_, document in part])
            found |= {(step, number): actions for (step, number, _), actions in zip(part, results, strict=True)}
        if tried and missing:
            # What the other try brought in the meantime was answered first.
            found |= await self._first_answers(batch)
        answers: dict[int, list[Answer]] = {step.index: [] for step in batch}
        for (step, number), actions in found.items():
            answers[step] += [
                Answer(number, each["sensor_id"], each["action"], each["outcome"], each["code"]) for each in actions
            ]
        return answers

    def _documents(self, batch: Sequence[Step]) -> list[tuple[Step, int, dict[str, Any]]]:
        return [
            (step, number, document) for step in batch for number, document in enumerate(documents(step, self.stamps))
        ]

    async def _stamp(self, batch: Sequence[Step]) -> None:
        """Take timestamps for these steps, and store them before anything is sent."""
        self.stamps, taken = self._next_stamps(batch)
        async with _as_requested(self.engine, self.run) as connection:
            await store_stamps(connection, self.run.run_id, taken)
        for _ in range(_STAMPS_ANEW):
            if _now_ms() - self.stamps[-1] <= _FRESH_MS:
                break
            # This process, or the database, was held up. Nothing was sent yet, so what is measured is measured now.
            before = taken
            self.stamps, taken = self._next_stamps(batch)
            async with _as_requested(self.engine, self.run) as connection:
                await renew_stamps(connection, self.run.run_id, before, taken)

    def _next_stamps(self, batch: Sequence[Step]) -> tuple[list[int], dict[int, int]]:
        """All timestamps up to this batch, and those of its steps, which are new."""
        stamps = self.stamps[: batch[0].index]
        before = stamps or ([] if self.stamp_before is None else [self.stamp_before])
        for _ in batch:
            stamps.append(next_stamp(_now_ms(), stamps or before))
        return stamps, {step.index: stamps[step.index] for step in batch}

    async def _first_answers(self, batch: Sequence[Step]) -> dict[tuple[int, int], list[dict[str, Any]]]:
        """Find what the packets of these steps were answered when they first came, by step and number."""
        wanted = self._documents(batch)
        since: dict[str, int] = {}
        for *_, document in wanted:
            gateway = document["device_id"]
            since[gateway] = min(document["timestamp"], since.get(gateway, document["timestamp"]))
        stored = {gateway: await self.api.stored_packets(UUID(gateway), first) for gateway, first in since.items()}
        found: dict[tuple[int, int], list[dict[str, Any]]] = {}
        taken: Counter[tuple[str, int]] = Counter()
        for step, number, document in wanted:
            key = (document["device_id"], document["timestamp"])
            came = stored[key[0]].get(key[1], [])
            if taken[key] < len(came):
                found[step.index, number] = came[taken[key]]
                taken[key] += 1
        return found


class _StateReader:
    """A look at where the product stands after a step."""

    def __init__(self, api: ManageApi, depot_id: UUID, targets: RunTargets, stamps: Sequence[int]) -> None:
        self.api = api
        self.depot_id = depot_id
        self.targets = targets
        self.stamps = stamps

    async def downstream(self, newest: int, *, fail_safe_due: bool) -> Downstream:
        """Read the state that this run brought about.

        Args:
            newest: The step that measured the newest packet so far; -1 before the first.
            fail_safe_due: Whether the scenario has let the heartbeat threshold pass since.

        """
        capabilities, circuit, power_source, remediations = await asyncio.gather(
            self._capabilities(), self._circuit(newest, fail_safe_due), self._power_source(), self._remediations()
        )
        return Downstream(capabilities, circuit, power_source, remediations)

    def _is_ours(self, observed_at: str | None) -> bool:
        return is_of_run(None if observed_at is None else milliseconds(observed_at), self.stamps)

    async def _capabilities(self) -> dict[str, str | None]:
        if self.targets.microgrid_id is None:
            return {}
        found = await self.api.capability_statuses(self.targets.microgrid_id)
        return {each["capability"]: each["status"] for each in found if self._is_ours(each["observed_at"])}

    async def _circuit(self, newest: int, fail_safe_due: bool) -> ObservedCircuit | None:
        circuit_id = self.targets.circuit_id
        if circuit_id is None:
            return None
        held = await self.api.circuit_capacity(circuit_id)
        if held["mode"] is None or not self._is_ours(held["observed_at"]):
            return None
        lost = held["mode"] == CapacityMode.FAIL_SAFE and held["reason"] == FailSafeReason.NO_PACKET
        if lost and not fail_safe_due and milliseconds(held["since"]) > self.stamps[max(newest, 0)]:
            # The run itself was away for longer than the threshold: what its packets brought about is what held
            # before the deadline came.
            held = await self.api.capacity_held_before(circuit_id, held["since"]) or held
        return ObservedCircuit(held["mode"], held["reason"], held["capacity_w"])

    async def _power_source(self) -> dict[str, Any]:
        if self.targets.power_source_id is None:
            return {}
        found = await self.api.power_source(self.targets.power_source_id)
        return {
            each["measurand"]: each["value"]
            for each in found["readings"]
            if each["measurand"] in STATE_MEASURANDS and self._is_ours(each["observed_at"])
        }

    async def _remediations(self) -> tuple[str, ...]:
        found = await self.api.open_remediations(self.depot_id)
        ours = {str(each) for each in self.targets.device_ids}
        return tuple(each["code"] for each in found if each["device_id"] in ours)


async def _open(script: RunScript) -> RunPlan:
    return await asyncio.to_thread(open_run_plan, script.document, script.digest, script.seed, script.bindings)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

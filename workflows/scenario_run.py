"""A scenario run: the order of its steps, its waits, and how it is steered (COR-40)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from workflows.jobs import HEARTBEAT_TIMEOUT, NOTE_TIMEOUT, STEP_TIMEOUT, JobWorkflow

with workflow.unsafe.imports_passed_through():
    from activities.scenario_run import ScenarioRunActivities
    from domain.base.jobs import JobState
    from domain.simulation.scenario_runs import (
        EndedRun,
        PlayRequest,
        RunStateRequest,
        ScenarioRunInput,
        ScenarioRunProgress,
    )
    from runtime.search_attributes import OUTCOME

# Tried until it succeeds: a worker, an API or a database that is down comes back, and steps that have their evidence
# are not executed again. What can never succeed is no such error and ends the run.
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=2))


@workflow.defn(name="ScenarioRun")
class ScenarioRunWorkflow(JobWorkflow[ScenarioRunInput, ScenarioRunProgress, EndedRun]):
    """The workflow ``scenario-run/{run_id}``.

    It knows how many steps there are and when the next one is due; what a step is, its activities know. The evidence
    is in the database, never in the history.
    """

    @workflow.init
    def __init__(self, given: ScenarioRunInput) -> None:
        super().__init__(given, given.progress)
        self._request = given.request

    @workflow.run
    async def run(self, given: ScenarioRunInput) -> EndedRun:
        """Execute all steps; return how the run ended."""
        return await self._run()

    async def _work(self) -> JobState:
        executions = 0
        while self._progress.next_step < self._request.steps_total:
            if not await self._may_go_on():
                return JobState.CANCELLED
            if await self._wait_until_due():
                await self._play()
                executions += 1
            if executions >= self._given.plays_a_run and self._progress.next_step < self._request.steps_total:
                await self._continue_as_new()
        return JobState.COMPLETED

    async def _wait_until_due(self) -> bool:
        """Wait for the next step's time; False: something else is to be done first."""
        due = self._progress.due_ms
        if due is None:
            return True
        wait = due / 1000 - workflow.now().timestamp()
        if wait <= 0:
            return True
        try:
            await workflow.wait_condition(
                lambda: self._cancelled or self._progress.paused,
                timeout=timedelta(seconds=wait),
                timeout_summary=f"step {self._progress.next_step}",
            )
        except TimeoutError:
            return True
        return False

    async def _play(self) -> None:
        executed = await workflow.execute_activity_method(
            ScenarioRunActivities.play_steps,
            PlayRequest(self._request, self._progress.next_step),
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            summary=f"from step {self._progress.next_step} of {self._request.steps_total}",
        )
        # A pause may have come in the meantime.
        self._progress = replace(
            self._progress,
            next_step=executed.next_step,
            passed=executed.passed,
            failed=executed.failed,
            due_ms=executed.due_ms,
        )
        workflow.set_current_details(
            f"Step {executed.next_step} of {self._request.steps_total}: "
            f"{executed.passed} expectations passed, {executed.failed} failed."
        )

    async def _note(self, state: JobState) -> None:
        await workflow.execute_local_activity_method(
            ScenarioRunActivities.note_run_state,
            RunStateRequest(self._request, state),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )

    async def _end(self, state: JobState, failure: str | None = None) -> EndedRun:
        ended = await workflow.execute_activity_method(
            ScenarioRunActivities.finish_run,
            RunStateRequest(self._request, state, failure),
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            summary=state,
        )
        workflow.upsert_search_attributes([OUTCOME.value_set(ended.outcome)])
        workflow.set_current_details(
            f"**{ended.outcome}**: {self._progress.passed} expectations passed, {self._progress.failed} failed. "
            f"Evidence: {ended.sha256}"
        )
        return ended

    @workflow.query
    def progress(self) -> ScenarioRunProgress:
        """How far the run is."""
        return self._progress

"""The backfill: every depot that has top-level circuits and no microgrid gets one (COR-8.1)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import cast

from temporalio import workflow
from temporalio.common import RetryPolicy

from workflows.jobs import HEARTBEAT_TIMEOUT, NOTE_TIMEOUT, STEP_TIMEOUT, JobWorkflow

with workflow.unsafe.imports_passed_through():
    from activities.backfill import BackfillActivities
    from domain.base.jobs import JobState
    from domain.provisioning.backfill import (
        BackfillInput,
        BackfillProgress,
        EndRequest,
        FirstPages,
        PageBounds,
        PageRequest,
        PlanRequest,
        StateRequest,
    )
    from runtime.search_attributes import OUTCOME

_PAGES_AHEAD = 50
"""Pages that are planned at once: enough that planning is rare, few enough to stay small in the history."""

# Tried until it succeeds: a worker, a server or a database that is down comes back, and a page that was
# finished is not done again. An operator who does not want to wait cancels.
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10))


@workflow.defn(name="Backfill")
class BackfillWorkflow(JobWorkflow[BackfillInput, BackfillProgress, BackfillProgress]):
    """The workflow ``backfill/{backfill_id}``.

    It plans pages ahead, keeps a few of them in flight, and stops when no depot is left. The
    cursor moves forward with every planned page, which is why it ends.
    """

    @workflow.init
    def __init__(self, given: BackfillInput) -> None:
        super().__init__(given, given.progress)
        self._request = given.request
        self._in_flight: list[asyncio.Task[None]] = []

    @workflow.run
    async def run(self, given: BackfillInput) -> BackfillProgress:
        """Work through all depots; answer with the final progress."""
        return await self._run()

    async def _abandon(self) -> None:
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def _work(self) -> JobState:
        # Depots are counted and the first pages planned in the workflow's first task, and a plan that is shorter than
        # asked for is the last one: each spares the wait for an activity, which a small backfill mostly consists of.
        prepares = workflow.patched("prepare-in-the-first-task")
        plans_once = prepares or workflow.patched("plan-while-counting")
        planned: list[PageBounds] | None = None
        if self._progress.depots_total is None:
            if prepares:
                first = await self._prepare()
                total, planned = first.depots_total, first.pages
            elif plans_once:
                total, planned = await asyncio.gather(self._begin(), self._plan())
            else:
                total = await self._begin()
            self._progress = replace(self._progress, depots_total=total)
        pages_this_run = 0
        while pages := await self._plan() if planned is None else planned:
            planned = None
            for page in pages:
                if not await self._may_begin_a_page():
                    await self._drain(0)
                    return JobState.CANCELLED
                self._progress = replace(self._progress, next_page=page.page + 1, after=page.upto)
                self._in_flight.append(asyncio.create_task(self._run_page(page)))
            pages_this_run += len(pages)
            if plans_once and len(pages) < _PAGES_AHEAD:
                break
            if pages_this_run >= self._given.pages_a_run:
                await self._drain(0)
                await self._continue_as_new()
        await self._drain(0)
        return JobState.COMPLETED

    async def _may_begin_a_page(self) -> bool:
        """Wait for a free place and for the end of a pause; False: the backfill was cancelled."""
        await self._drain(self._given.pages_in_flight - 1)
        return await self._may_go_on()

    async def _drain(self, left: int) -> None:
        """Wait until at most ``left`` pages are in flight. A page that failed for good fails the backfill."""
        while len(self._in_flight) > left:
            done, pending = await workflow.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            self._in_flight = list(pending)
            for task in done:
                task.result()

    async def _prepare(self) -> FirstPages:
        return await workflow.execute_local_activity_method(
            BackfillActivities.prepare,
            self._plan_request(),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )

    async def _begin(self) -> int:
        return await workflow.execute_activity_method(
            BackfillActivities.begin,
            self._request,
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )

    async def _plan(self) -> list[PageBounds]:
        return await workflow.execute_activity_method(
            BackfillActivities.plan,
            self._plan_request(),
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            summary=f"from page {self._progress.next_page}",
        )

    def _plan_request(self) -> PlanRequest:
        return PlanRequest(self._request, self._progress.next_page, self._progress.after, _PAGES_AHEAD)

    async def _run_page(self, bounds: PageBounds) -> None:
        counts = await workflow.execute_activity_method(
            BackfillActivities.run_page,
            PageRequest(self._request, bounds),
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            summary=f"page {bounds.page}",
        )
        self._progress = replace(self._progress, counts=self._progress.counts + counts)

    async def _note(self, state: JobState) -> None:
        await workflow.execute_local_activity_method(
            BackfillActivities.note_state,
            StateRequest(self._request, state),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )

    async def _end(self, state: JobState, failure: str | None = None) -> BackfillProgress:
        pages = self._progress.next_page if state is JobState.COMPLETED else None
        noted = await workflow.execute_local_activity_method(
            BackfillActivities.end,
            EndRequest(self._request, state, failure, pages),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )
        # A history from before the step answered has nothing here.
        state = cast("JobState | None", noted) or state
        workflow.upsert_search_attributes([OUTCOME.value_set(state)])
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self._progress.counts.by_outcome().items())
        workflow.set_current_details(f"**{state}**: {counts}")
        return self._progress

    @workflow.query
    def progress(self) -> BackfillProgress:
        """How far the backfill is."""
        return self._progress

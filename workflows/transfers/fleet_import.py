"""The import of a fleet's file: what was uploaded is stored depot by depot, whether anybody watches or not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from workflows.jobs import HEARTBEAT_TIMEOUT, NOTE_TIMEOUT, STEP_TIMEOUT, JobWorkflow

with workflow.unsafe.imports_passed_through():
    from activities.transfers.fleet_import import ImportActivities
    from domain.base.jobs import JobState
    from domain.site.imports.import_jobs import ImportEnd, ImportInput, ImportProgress, ImportStateNote
    from runtime.search_attributes import OUTCOME

_STORE_TIMEOUT = timedelta(hours=6)
"""For one try: it reads the whole file and may wait for its turn, and for depots that are being changed."""
# Tried until it succeeds, as every job is: a try goes on after the last batch that was stored.
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10))


@workflow.defn(name="Import")
class ImportWorkflow(JobWorkflow[ImportInput, ImportProgress, ImportProgress]):
    """The workflow ``import/{import_id}``.

    One activity stores the whole file, in batches. A pause or the end that somebody asks for cancels it, which it
    notices between two batches; after a pause it goes on behind the last batch.
    """

    @workflow.init
    def __init__(self, given: ImportInput) -> None:
        super().__init__(given, given.progress)
        self._request = given.request
        self._storing: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, given: ImportInput) -> ImportProgress:
        """Store the file; answer with the final progress."""
        return await self._run()

    async def _abandon(self) -> None:
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.gather(self._storing, return_exceptions=True)

    async def _work(self) -> JobState:
        await workflow.execute_activity_method(
            ImportActivities.begin_import,
            self._request,
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )
        while await self._may_go_on():
            if await self._store():
                return JobState.COMPLETED
        return JobState.CANCELLED

    async def _store(self) -> bool:
        """Store what is left; False: somebody paused or cancelled it before its end."""
        self._storing = storing = asyncio.create_task(self._store_file())
        await workflow.wait_condition(lambda: storing.done() or self._is_stopped())
        if not storing.done():
            storing.cancel()
        try:
            await storing
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancelled_exception(error) and self._is_stopped():
                return False
            raise
        return True

    def _is_stopped(self) -> bool:
        return self._cancelled or self._progress.paused

    async def _store_file(self) -> None:
        await workflow.execute_activity_method(
            ImportActivities.store_import,
            self._request,
            start_to_close_timeout=_STORE_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=self._request.file_name,
        )

    async def _note(self, state: JobState) -> None:
        await workflow.execute_local_activity_method(
            ImportActivities.note_import_state,
            ImportStateNote(self._request, state),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )

    async def _end(self, state: JobState, failure: str | None = None) -> ImportProgress:
        ended = await workflow.execute_local_activity_method(
            ImportActivities.end_import,
            ImportEnd(self._request, state, failure),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )
        workflow.upsert_search_attributes([OUTCOME.value_set(ended)])
        workflow.set_current_details(f"**{ended}**: {self._request.file_name}")
        return self._progress

    @workflow.query
    def progress(self) -> ImportProgress:
        """Whether it waits to be resumed."""
        return self._progress

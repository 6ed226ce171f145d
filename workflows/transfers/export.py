"""An export that one answer is too small for: its file is made slice by slice, and kept for a while."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from workflows.jobs import HEARTBEAT_TIMEOUT, NOTE_TIMEOUT, STEP_TIMEOUT, JobWorkflow

with workflow.unsafe.imports_passed_through():
    from activities.transfers.export import ExportActivities
    from domain.base.jobs import JobState
    from domain.history.export_jobs import ExportEnd, ExportInput, ExportProgress, ExportStateNote
    from runtime.search_attributes import OUTCOME

_SLICE_TIMEOUT = timedelta(minutes=30)
"""For one try: it may wait for its turn, and look at too many rows several times."""
_FILE_TIMEOUT = timedelta(hours=2)
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10))


@workflow.defn(name="Export")
class ExportWorkflow(JobWorkflow[ExportInput, ExportProgress, ExportProgress]):
    """The workflow ``export/{export_id}``: a step a slice of the window, and one that finishes the file."""

    @workflow.init
    def __init__(self, given: ExportInput) -> None:
        super().__init__(given, given.progress)
        self._request = given.request

    @workflow.run
    async def run(self, given: ExportInput) -> ExportProgress:
        """Make the file; answer with the final progress."""
        return await self._run()

    async def _work(self) -> JobState:
        await workflow.execute_activity_method(
            ExportActivities.begin_export,
            self._request,
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )
        steps, is_last = 0, False
        while not is_last:
            if not await self._may_go_on():
                return JobState.CANCELLED
            is_last = await workflow.execute_activity_method(
                ExportActivities.export_slice,
                self._request,
                start_to_close_timeout=_SLICE_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=_RETRY,
            )
            steps += 1
            if steps >= self._given.steps_a_run and not is_last:
                await self._continue_as_new()
        if not await self._may_go_on():
            return JobState.CANCELLED
        await workflow.execute_activity_method(
            ExportActivities.finish_file,
            self._request,
            start_to_close_timeout=_FILE_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            summary=self._request.file_format,
        )
        return JobState.COMPLETED

    async def _note(self, state: JobState) -> None:
        await workflow.execute_local_activity_method(
            ExportActivities.note_export_state,
            ExportStateNote(self._request, state),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )

    async def _end(self, state: JobState, failure: str | None = None) -> ExportProgress:
        ended = await workflow.execute_local_activity_method(
            ExportActivities.end_export,
            ExportEnd(self._request, state, failure),
            start_to_close_timeout=NOTE_TIMEOUT,
            retry_policy=_RETRY,
        )
        workflow.upsert_search_attributes([OUTCOME.value_set(ended)])
        workflow.set_current_details(f"**{ended}**: {self._request.kind}")
        return self._progress

    @workflow.query
    def progress(self) -> ExportProgress:
        """Whether it waits to be resumed."""
        return self._progress

"""One depot's sync: its microgrid follows its top-level circuits, one pass after the other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from workflows.failures import failure_of

with workflow.unsafe.imports_passed_through():
    from activities.microgrid_sync import MicrogridSyncActivities
    from domain.provisioning.outcomes import FailedSync, SyncRequest, SyncResult
    from runtime.search_attributes import OUTCOME

PASSES_A_RUN = 50
"""After so many passes the workflow continues as new, should changes never pause for long enough to end it."""

BUSY = 10
"""A run that was asked more often than this is in a stream of changes, and lingers after each pass."""
_LINGER = timedelta(seconds=1)

_PASS_TIMEOUT = timedelta(seconds=30)
_FAILED = "FAILED"
"""The outcome in Temporal of a pass that failed for good."""

# The step is one short transaction. It is tried until it succeeds: a database that is down comes back. What cannot
# succeed is no such error: the depot then says so.
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=15))


@workflow.defn(name="MicrogridSync")
class MicrogridSyncWorkflow:
    """The entity workflow ``microgrid-sync/{depot_id}``.

    Signals and updates only note that a pass is wanted; the one loop makes the passes. Whatever arrives
    while a pass runs is covered by the one that follows, so a burst of changes costs two passes at most.
    The workflow ends as soon as nothing is wanted: the next change starts it afresh. Where its last pass failed for
    good, it ends as failed.
    """

    @workflow.init
    def __init__(self, request: SyncRequest) -> None:
        self._request = request
        self._wanted = 0
        self._covered = 0
        self._result: SyncResult | None = None
        self._failure: str | None = None
        """Why the last pass failed for good; None where it did not."""

    @workflow.run
    async def run(self, request: SyncRequest) -> SyncResult | None:
        """Make passes until none is wanted; answer with the last result."""
        # Started by hand, without a signal: that wants a pass as well.
        self._wanted = max(self._wanted, 1)
        passes = 0
        while True:
            await workflow.wait_condition(lambda: self._is_wanted or workflow.all_handlers_finished())
            if not self._is_wanted:
                return self._end()
            # A caller that waits for its result gets it from this run; the run after this one does not know it.
            if workflow.all_handlers_finished() and (
                passes >= PASSES_A_RUN or workflow.info().is_continue_as_new_suggested()
            ):
                workflow.continue_as_new(self._request)
            passes += 1
            await self._pass()
            if self._wanted > BUSY:
                await self._linger()

    async def _linger(self) -> None:
        """Leave the workflow task open for what comes next.

        Temporal refuses to end a run while signals wait for it. Under a stream of signals, a run that tried
        to end after every pass would be refused for as long as the stream lasts, and could not continue as
        new either.
        """
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._is_wanted, timeout=_LINGER)

    @property
    def _is_wanted(self) -> bool:
        return self._covered < self._wanted

    def _end(self) -> SyncResult | None:
        if self._failure is not None:
            raise ApplicationError(self._failure, type="SyncFailed", non_retryable=True)
        return self._result

    async def _pass(self) -> None:
        covers, request = self._wanted, self.take_request()
        try:
            result = await workflow.execute_local_activity_method(
                MicrogridSyncActivities.reconcile_depot,
                request,
                start_to_close_timeout=_PASS_TIMEOUT,
                retry_policy=_RETRY,
                # A longer pause is a timer of the server, so that a database that is down holds no worker.
                local_retry_threshold=timedelta(seconds=2),
                summary=request.reason,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            await self._fail(request, failure_of(error), covers)
            return
        self._result = result
        self._failure = None
        self._covered = covers
        workflow.upsert_search_attributes([OUTCOME.value_set(result.outcome)])
        workflow.set_current_details(f"**{result.outcome}**: {result.in_words()}")

    async def _fail(self, request: SyncRequest, failure: str, covers: int) -> None:
        """Say where operators look that a pass failed in a way that trying again does not change."""
        workflow.upsert_search_attributes([OUTCOME.value_set(_FAILED)])
        workflow.set_current_details(f"**{_FAILED}**: {failure}")
        await workflow.execute_local_activity_method(
            MicrogridSyncActivities.note_failure,
            FailedSync(request.depot_id, request.requested_by, failure, request.request_id),
            start_to_close_timeout=_PASS_TIMEOUT,
            retry_policy=_RETRY,
            local_retry_threshold=timedelta(seconds=2),
            summary="note that it failed",
        )
        self._failure = failure
        self._covered = covers

    @workflow.signal
    def circuits_changed(self, request: SyncRequest) -> None:
        """Note that the depot's circuits changed."""
        self._note(request)

    @workflow.update
    async def resync(self, request: SyncRequest) -> SyncResult:
        """Make a pass that begins after this call, and answer with what it did (COR-8.9)."""
        self._note(request)
        mine = self._wanted
        await workflow.wait_condition(lambda: self._covered >= mine)
        if self._failure is not None:
            raise ApplicationError(self._failure, type="SyncFailed", non_retryable=True)
        assert self._result is not None
        return self._result

    def take_request(self) -> SyncRequest:
        """What the next pass is for: whoever asked last, and the time of the first change that waits for it."""
        request = self._request
        # What comes from now on is for the pass after that one.
        self._request = replace(request, changed_at=None)
        return request

    def _note(self, request: SyncRequest) -> None:
        waiting = self._request.changed_at
        if waiting is not None and (request.changed_at is None or waiting < request.changed_at):
            request = replace(request, changed_at=waiting)
        self._request = request
        self._wanted += 1

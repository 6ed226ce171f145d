"""The capacity watch: where a controller falls silent, the fail-safe takes over by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.capacity_watch import CapacityWatchActivities
    from domain.monitoring.upkeep import WatchInput, WatchOutcome
    from runtime.search_attributes import OUTCOME

_SHORTEST_WAIT = 0.05
"""Seconds, so that a deadline of this very moment is not looked at in a tight loop."""

# Tried until it succeeds. What passed in a try that failed later stays passed.
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))


@workflow.defn(name="CapacityWatch")
class CapacityWatchWorkflow:
    """Looks, waits for the next deadline, looks again, and never ends by itself.

    One runs at a time, started by the schedule ``capacity-watch``, which starts another should it be ended. Two at
    once would do no harm: each deadline passes once.
    """

    @workflow.init
    def __init__(self, given: WatchInput) -> None:
        self._given = given
        self._passed = given.passed

    @workflow.run
    async def run(self, given: WatchInput) -> None:
        """Watch until cancelled."""
        workflow.upsert_search_attributes([OUTCOME.value_set(WatchOutcome.QUIET)])
        for _ in range(given.rounds_a_run):
            await workflow.sleep(await self._round())
        workflow.continue_as_new(replace(self._given, passed=self._passed))

    async def _round(self) -> timedelta:
        """Look once; answer how long to wait."""
        done = await workflow.execute_local_activity_method(
            CapacityWatchActivities.pass_due_deadlines,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=_RETRY,
            # A longer pause is a timer of the server, so that a database that is down holds no worker.
            local_retry_threshold=timedelta(seconds=2),
        )
        if done.passed:
            if self._passed == self._given.passed:
                workflow.upsert_search_attributes([OUTCOME.value_set(WatchOutcome.FAIL_SAFE_TAKEN)])
            self._passed += done.passed
            workflow.set_current_details(
                f"The fail-safe took over {self._passed} times, last at {workflow.now():%Y-%m-%d %H:%M:%S} UTC"
            )
        longest = self._given.longest_wait_seconds
        wait = longest if done.next_in_seconds is None else min(longest, done.next_in_seconds)
        return timedelta(seconds=max(_SHORTEST_WAIT, wait))

    @workflow.query
    def passed(self) -> int:
        """How many deadlines passed since the watch was started."""
        return self._passed

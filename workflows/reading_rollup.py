"""The reading rollup: what changed of the readings is rolled up by minute, by quarter of an hour and by day."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.rollups import RollupActivities
    from domain.history.rollups import RollupReport, RollupRequest
    from runtime.search_attributes import OUTCOME

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))


@workflow.defn(name="ReadingRollup")
class ReadingRollupWorkflow:
    """Started every five minutes by the schedule ``reading-rollup``."""

    @workflow.run
    async def run(self, request: RollupRequest) -> RollupReport:
        """Roll up until nothing is left or the rounds are over; answer how much that was."""
        total = RollupReport(0, 0, 0, 0)
        for _ in range(request.rounds):
            found = await workflow.execute_activity_method(
                RollupActivities.roll_up_readings,
                request,
                start_to_close_timeout=timedelta(minutes=15),
                heartbeat_timeout=timedelta(seconds=8),
                retry_policy=_RETRY,
                summary="roll up what changed",
            )
            total = total.followed_by(found)
            workflow.set_current_details(f"**{total.outcome}**: {total.in_words()}")
            if not found.blocks_left:
                break
        workflow.upsert_search_attributes([OUTCOME.value_set(total.outcome)])
        return total

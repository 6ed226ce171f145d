"""The reading fill: packets that came before their device, or before there were typed readings, are read into them."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.reading_fill import ReadingFillActivities
    from domain.monitoring.upkeep import ReadingFillReport, ReadingFillRequest
    from runtime.search_attributes import OUTCOME

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))


@workflow.defn(name="ReadingFill")
class ReadingFillWorkflow:
    """Started every five minutes by the schedule ``reading-fill``; usually there is nothing to do."""

    @workflow.run
    async def run(self, request: ReadingFillRequest) -> ReadingFillReport:
        """Read until nothing is left or the rounds are over; answer how much was read, and of how many gateways."""
        total = ReadingFillReport(0, 0, 0)
        for _ in range(request.rounds):
            found = await workflow.execute_activity_method(
                ReadingFillActivities.fill_readings,
                request,
                start_to_close_timeout=timedelta(minutes=10),
                heartbeat_timeout=timedelta(seconds=8),
                retry_policy=_RETRY,
                summary="read stored packets",
            )
            total = total.followed_by(found)
            workflow.set_current_details(f"**{total.outcome}**: {total.in_words()}")
            if not found.gateways_left:
                break
        workflow.upsert_search_attributes([OUTCOME.value_set(total.outcome)])
        return total

"""The history's upkeep: its months are made before they begin, and dropped when they are old enough."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.history_upkeep import HistoryUpkeepActivities
    from domain.monitoring.upkeep import HistoryReport, HistoryRequest
    from runtime.search_attributes import OUTCOME

# Someone who reads the history for long is let read; the months that are ahead give it the time.
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))


@workflow.defn(name="HistoryUpkeep")
class HistoryUpkeepWorkflow:
    """Started daily by the schedule ``history-upkeep``."""

    @workflow.run
    async def run(self, request: HistoryRequest) -> HistoryReport:
        """Do it once; answer what was made and dropped."""
        report = await workflow.execute_activity_method(
            HistoryUpkeepActivities.keep_months,
            request,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=8),
            retry_policy=_RETRY,
            summary=f"{request.months_ahead} ahead, {request.months_kept} kept",
        )
        workflow.upsert_search_attributes([OUTCOME.value_set(report.outcome)])
        workflow.set_current_details(f"**{report.outcome}**: {report.in_words()}")
        return report

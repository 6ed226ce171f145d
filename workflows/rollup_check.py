"""The rollup check: rollups are held against the readings that they are made from, and made right."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.rollups import RollupActivities
    from domain.history.rollups import RollupCheckReport, RollupCheckRequest
    from runtime.search_attributes import OUTCOME

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))


@workflow.defn(name="RollupCheck")
class RollupCheckWorkflow:
    """Started daily by the schedule ``rollup-check``, and by whoever asks for it."""

    @workflow.run
    async def run(self, request: RollupCheckRequest) -> RollupCheckReport:
        """Compare until all is compared or the rounds are over; answer how much differed."""
        asked = request if request.check_id is not None else replace(request, check_id=workflow.uuid4())
        report = RollupCheckReport(0, 0, request.repair, finished=False)
        for _ in range(request.rounds):
            report = await workflow.execute_activity_method(
                RollupActivities.check_rollups,
                asked,
                start_to_close_timeout=timedelta(minutes=15),
                heartbeat_timeout=timedelta(seconds=8),
                retry_policy=_RETRY,
                summary="compare and repair" if request.repair else "compare",
            )
            workflow.set_current_details(f"**{report.outcome}**: {report.in_words()}")
            if report.finished:
                break
        workflow.upsert_search_attributes([OUTCOME.value_set(report.outcome)])
        return report

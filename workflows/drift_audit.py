"""The drift audit: microgrids that do not follow their circuits are found before an operator finds them."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.drift_audit import DriftAuditActivities
    from domain.monitoring.upkeep import DriftReport, DriftRequest
    from runtime.search_attributes import OUTCOME

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))


@workflow.defn(name="DriftAudit")
class DriftAuditWorkflow:
    """Started hourly by the schedule ``drift-audit``."""

    @workflow.run
    async def run(self, request: DriftRequest) -> DriftReport:
        """Compare once; answer how many drifted and which."""
        report = await workflow.execute_activity_method(
            DriftAuditActivities.find_drift,
            request,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(seconds=8),
            retry_policy=_RETRY,
            summary="find and repair" if request.repair else "find",
        )
        workflow.upsert_search_attributes([OUTCOME.value_set(report.outcome)])
        workflow.set_current_details(f"**{report.outcome}**: {report.in_words()}")
        return report

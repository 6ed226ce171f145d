"""The run audit: a job whose workflow is gone ends, although nobody reads it."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.run_audit import RunAuditActivities
    from domain.monitoring.upkeep import RunAuditReport, RunAuditRequest
    from runtime.search_attributes import OUTCOME

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))


@workflow.defn(name="RunAudit")
class RunAuditWorkflow:
    """Started every minute by the schedule ``run-audit``."""

    @workflow.run
    async def run(self, request: RunAuditRequest) -> RunAuditReport:
        """Hold all open rows against their workflows once; answer what was done."""
        report = await workflow.execute_activity_method(
            RunAuditActivities.settle_all,
            request,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(seconds=8),
            retry_policy=_RETRY,
        )
        workflow.upsert_search_attributes([OUTCOME.value_set(report.outcome)])
        workflow.set_current_details(f"**{report.outcome}**: {report.in_words()}")
        return report

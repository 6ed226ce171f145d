"""What is around every step: its log lines say which step of which workflow they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from structlog.contextvars import bind_contextvars
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class Steps(Interceptor):
    """The worker's interceptor of activities."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 (the base's name)
        """Put a step's surroundings around it."""
        return _Step(next)


class _Step(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 (the base's name)
        """Run the step."""
        info = activity.info()
        # Each step has a task of its own, so nothing has to be taken back: what Temporal's worker says about the end of
        # the step is said in the same task and has the ids, too.
        bind_contextvars(
            workflow_id=info.workflow_id,
            workflow_run_id=info.workflow_run_id,
            workflow_type=info.workflow_type,
            activity_type=info.activity_type,
            activity_id=info.activity_id,
            attempt=info.attempt,
            **_depot_of(input.args),
        )
        return await super().execute_activity(input)


def _depot_of(given: Sequence[Any]) -> dict[str, str]:
    """The depot that a step is for, where it is for one: its request says so, or the run that it is of."""
    for each in given:
        for request in (each, getattr(each, "run", None)):
            depot_id = getattr(request, "depot_id", None)
            if depot_id is not None:
                return {"depot_id": str(depot_id)}
    return {}

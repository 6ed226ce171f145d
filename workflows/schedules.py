"""What runs without anyone asking for it: what a schedule is, and how Temporal is brought to have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from runtime.search_attributes import JOB_KIND
from runtime.workers.queues import Work, queue_of

_RPC_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True)
class Plan:
    """A schedule as the code wants it. Its id is also how the ids of its workflows begin."""

    schedule_id: str
    kind: str
    """The search attribute ``JobKind`` of its workflows."""
    summary: str
    every: timedelta
    action: Any
    """The method that runs the workflow."""
    given: Any
    """What it is given."""
    work: Work = Work.SYNCS
    """On whose queue it is started."""


async def ensure_schedules(client: Client, task_queue: str, wanted: list[Plan], *, missing_only: bool = False) -> None:
    """Make the schedules that are missing and bring the others to what the code wants; again changes nothing.

    ``task_queue`` is the product's. Each is run at once, unless it runs. An operator's pause, and the note to it, stay.
    With ``missing_only`` those that are there are left alone.

    Raises:
        RPCError: Temporal cannot be reached, or another worker does the same at this moment: try again.

    """
    for plan in wanted:
        schedule = _schedule(plan, task_queue)
        try:
            await client.create_schedule(plan.schedule_id, schedule, trigger_immediately=True, rpc_timeout=_RPC_TIMEOUT)
        except ScheduleAlreadyRunningError:
            if not missing_only:
                await _bring_to(client, plan, schedule)


async def _bring_to(client: Client, plan: Plan, schedule: Schedule) -> None:
    paused = False

    def change(found: ScheduleUpdateInput) -> ScheduleUpdate:
        nonlocal paused
        schedule.state = found.description.schedule.state
        paused = schedule.state.paused
        return ScheduleUpdate(schedule)

    handle = client.get_schedule_handle(plan.schedule_id)
    await handle.update(change, rpc_timeout=_RPC_TIMEOUT)
    if not paused:
        await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP, rpc_timeout=_RPC_TIMEOUT)


def _schedule(plan: Plan, task_queue: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            plan.action,
            plan.given,
            id=plan.schedule_id,
            task_queue=queue_of(task_queue, plan.work),
            typed_search_attributes=TypedSearchAttributes([SearchAttributePair(JOB_KIND, plan.kind)]),
            static_summary=plan.summary,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(plan.every)]),
        # After an outage of Temporal one run is enough, however many were missed.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )

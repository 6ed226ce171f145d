"""The status of workflows, asked of Temporal for many at once, within a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.base.job_endings import WorkflowStatus
from runtime.search_attributes import OUTCOME

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

AT_ONCE = 16
"""Calls to Temporal that are under way at the same time."""
FAILURE_LENGTH = 500
"""Characters that are kept of what a failed workflow said."""

_STATUSES = {
    WorkflowExecutionStatus.RUNNING: WorkflowStatus.RUNNING,
    WorkflowExecutionStatus.COMPLETED: WorkflowStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED: WorkflowStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: WorkflowStatus.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: WorkflowStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: WorkflowStatus.TIMED_OUT,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: WorkflowStatus.CONTINUED,
}


@dataclass(frozen=True)
class WorkflowDescription(Generic[ResultT]):
    """What Temporal reports of a workflow."""

    status: WorkflowStatus
    result: ResultT | None = None
    """Of a completed one; None where it cannot be read."""
    outcome: str | None = None
    """The search attribute."""
    failure: str = ""
    """What a failed one said."""


async def describe_workflows(
    client: Client, workflow_ids: Sequence[str], result_type: type[ResultT], within: timedelta
) -> dict[str, WorkflowDescription[ResultT]]:
    """Describe workflows by id; one that Temporal does not describe in time is ``UNREPORTED``."""
    found = await ask_all(workflow_ids, lambda one: _describe_workflow(client, one, result_type, within), within)
    unreported = WorkflowDescription[ResultT](WorkflowStatus.UNREPORTED)
    return {one: found.get(one, unreported) for one in workflow_ids}


async def ask_all(
    items: Sequence[ItemT], ask: Callable[[ItemT], Awaitable[AnswerT]], within: timedelta
) -> dict[ItemT, AnswerT]:
    """Ask the same of many, some at a time; what is not answered within the time is not in the answer."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: ItemT) -> AnswerT:
        async with places:
            return await ask(item)

    tasks = {item: asyncio.create_task(one(item)) for item in items}
    if not tasks:
        return {}
    try:
        await asyncio.wait(tasks.values(), timeout=within.total_seconds())
        return {item: task.result() for item, task in tasks.items() if task.done()}
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _describe_workflow(
    client: Client, workflow_id: str, result_type: type[ResultT], within: timedelta
) -> WorkflowDescription[ResultT]:
    handle = client.get_workflow_handle(workflow_id, result_type=result_type)
    try:
        found = await _describe(handle, within)
        status = WorkflowStatus.UNREPORTED if found.status is None else _STATUSES[found.status]
        outcome = found.typed_search_attributes.get(OUTCOME)
        if status is WorkflowStatus.COMPLETED:
            return WorkflowDescription(status, await _result(handle, within), outcome)
        if status is WorkflowStatus.FAILED:
            return WorkflowDescription(status, outcome=outcome, failure=await _failure(handle, within))
        return WorkflowDescription(status, outcome=outcome)
    except RPCError as error:
        gone = error.status is RPCStatusCode.NOT_FOUND and not _lacks_namespace(error)
        return WorkflowDescription(WorkflowStatus.NOT_FOUND if gone else WorkflowStatus.UNREPORTED)
    except RuntimeError:
        # A lazy client that could not connect says so in this way.
        return WorkflowDescription(WorkflowStatus.UNREPORTED)


async def _describe(handle: WorkflowHandle[object, ResultT], within: timedelta) -> WorkflowExecutionDescription:
    found = await handle.describe(rpc_timeout=within)
    if found.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW:
        return found
    # The server may have found the execution that was the last one at the very moment at which the next began.
    return await handle.describe(rpc_timeout=within)


async def _result(handle: WorkflowHandle[object, ResultT], within: timedelta) -> ResultT | None:
    try:
        return await handle.result(rpc_timeout=within)
    except (WorkflowFailureError, TypeError, ValueError):
        # It was written by other code than this.
        return None


async def _failure(handle: WorkflowHandle[object, ResultT], within: timedelta) -> str:
    try:
        await handle.result(rpc_timeout=within)
    except WorkflowFailureError as error:
        reason: BaseException = error.cause
        while reason.__cause__ is not None:
            reason = reason.__cause__
        return str(reason)[:FAILURE_LENGTH]
    return ""


def _lacks_namespace(error: RPCError) -> bool:
    """Whether it is the namespace that is not found: then nobody knows the status of a workflow in it."""
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)

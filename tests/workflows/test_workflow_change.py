"""The example of docs/workflows.md: a workflow is patched, the patch is deprecated, then removed."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, Worker
from temporalio.workflow import NondeterminismError

PATCH = "check-first"


async def _step(name: str) -> None:
    await workflow.sleep(timedelta(milliseconds=1), summary=name)


@workflow.defn(name="Example", sandboxed=False)
class Before:
    """As it began."""

    @workflow.run
    async def run(self) -> str:
        """Work."""
        await _step("work")
        return "worked"


@workflow.defn(name="Example", sandboxed=False)
class Patched:
    """Those that began before go on as they began."""

    @workflow.run
    async def run(self) -> str:
        """Check, then work."""
        if workflow.patched(PATCH):
            await _step("check")
        await _step("work")
        return "worked"


@workflow.defn(name="Example", sandboxed=False)
class Deprecated:
    """None that began before is left."""

    @workflow.run
    async def run(self) -> str:
        """Check, then work."""
        workflow.deprecate_patch(PATCH)
        await _step("check")
        await _step("work")
        return "worked"


@workflow.defn(name="Example", sandboxed=False)
class Removed:
    """None that notes the patch is left."""

    @workflow.run
    async def run(self) -> str:
        """Check, then work."""
        await _step("check")
        await _step("work")
        return "worked"


async def _history(client: Client, version: type) -> WorkflowHistory:
    """The history of a workflow that ran with this version of the code."""
    queue = f"example-{uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[version]):
        handle = await client.start_workflow("Example", id=queue, task_queue=queue)
        assert await handle.result() == "worked"
    return await handle.fetch_history()


async def _replays(history: WorkflowHistory, version: type) -> bool:
    try:
        await Replayer(workflows=[version]).replay_workflow(history)
    except NondeterminismError:
        return False
    return True


@pytest.mark.parametrize(
    ("ran", "replayed"),
    [
        (Before, (Before, Patched)),
        (Patched, (Patched, Deprecated)),
        (Deprecated, (Patched, Deprecated, Removed)),
        (Removed, (Deprecated, Removed)),
    ],
)
async def test_each_release_takes_up_what_the_one_before_began(
    client: Client, ran: type, replayed: tuple[type, ...]
) -> None:
    history = await _history(client, ran)
    found = [version for version in (Before, Patched, Deprecated, Removed) if await _replays(history, version)]
    assert found == list(replayed)

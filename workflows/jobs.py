"""What the workflow of every job does: it is paused, resumed and cancelled, and it ends by saying how."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from workflows.failures import failure_of

with workflow.unsafe.imports_passed_through():
    from domain.base.jobs import JobState

STEP_TIMEOUT = timedelta(minutes=5)
HEARTBEAT_TIMEOUT = timedelta(seconds=8)
NOTE_TIMEOUT = timedelta(seconds=30)


class Progress(Protocol):
    """How far a job is: what its query answers and what continue-as-new carries on. A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def paused(self) -> bool:
        """Whether it waits to be resumed."""
        ...


class Input(Protocol):
    """The one argument of a job's workflow. A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


ProgressT = TypeVar("ProgressT", bound=Progress)
InputT = TypeVar("InputT", bound=Input)
ResultT = TypeVar("ResultT")


class JobWorkflow(Generic[InputT, ProgressT, ResultT]):
    """The order of a job, whatever its work is: a kind says what the work is and how its state is noted."""

    def __init__(self, given: InputT, progress: ProgressT) -> None:
        self._given = given
        self._progress = progress
        self._cancelled = False

    async def _work(self) -> JobState:
        """Do what is left; answer COMPLETED or CANCELLED."""
        raise NotImplementedError

    async def _note(self, state: JobState) -> None:
        """Note a pause or its end, for whoever reads the job."""
        raise NotImplementedError

    async def _end(self, state: JobState, failure: str | None = None) -> ResultT:
        """Note how the job ended; answer the workflow's result."""
        raise NotImplementedError

    async def _abandon(self) -> None:
        """Let go of what is under way when the work broke off."""

    async def _run(self) -> ResultT:
        """Work until the end, and note it."""
        try:
            ended = await self._work()
        except (asyncio.CancelledError, FailureError) as error:
            # Cancelled from outside, by Temporal's own means, or a step that failed for good.
            await self._abandon()
            if is_cancelled_exception(error):
                await self._end(JobState.CANCELLED)
            else:
                await self._end(JobState.FAILED, failure_of(error))
            raise
        return await self._end(ended)

    async def _may_go_on(self) -> bool:
        """Wait for the end of a pause; False: the job was cancelled."""
        if self._progress.paused and not self._cancelled:
            await self._note(JobState.PAUSED)
            await workflow.wait_condition(lambda: self._cancelled or not self._progress.paused)
            if not self._cancelled:
                await self._note(JobState.RUNNING)
        return not self._cancelled

    async def _continue_as_new(self) -> None:
        """Continue as another execution, so that the history stays short; return where the job was cancelled."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._cancelled:
            workflow.continue_as_new(replace(self._given, progress=self._progress))

    @workflow.signal
    def pause(self) -> None:
        """Begin nothing more until ``resume``; what is under way is finished."""
        self._progress = replace(self._progress, paused=True)

    @workflow.signal
    def resume(self) -> None:
        """Go on after a pause."""
        self._progress = replace(self._progress, paused=False)

    @workflow.signal
    def cancel(self) -> None:
        """End after what is under way. What was done stays."""
        self._cancelled = True

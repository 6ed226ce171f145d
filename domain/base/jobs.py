"""A job: work that a workflow does, and that people watch, pause, resume and cancel.

A job has a row, which people read, and a workflow, which does the work. A kind of job, such as the backfill or the
scenario run, says what is its own with a ``JobKind``; what all kinds have in common asks for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode


class JobState(StrEnum):
    """The state of a job."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    """All of its work was done, whatever came of it."""
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    """It broke off; its failure says why."""

    @property
    def ended(self) -> bool:
        """Whether nothing will happen any more."""
        return self not in (JobState.RUNNING, JobState.PAUSED)

    @property
    def paused(self) -> bool:
        """Whether it continues when it is resumed."""
        return self is JobState.PAUSED


class JobControl(StrEnum):
    """What a job can be asked to do: the name of its workflow's signal, and the last part of its route."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"

    def came_too_late(self, state: JobState) -> bool:
        """Whether nothing came of it, although it was sent before the job ended in this state."""
        if self is JobControl.CANCEL:
            return state.ended and state is not JobState.CANCELLED
        if self is JobControl.RESUME:
            # What was resumed may have done the rest of its work by now.
            return state is JobState.CANCELLED
        return state.ended


@dataclass(frozen=True)
class JobKind:
    """The names of one kind of job."""

    name: str
    """The search attribute ``JobKind`` of its workflows."""
    noun: str
    """What people call it. The ids of its workflows and its words in the journal are made of it: it never changes."""
    not_found: ProblemCode
    not_running: ProblemCode

    @property
    def monitor(self) -> Actor:
        """Who ends a job whose workflow did not."""
        return Actor(f"system:{self.name.lower()}-monitor")

    def workflow_id(self, job_id: UUID) -> str:
        """Name the workflow of a job, such as ``scenario-run/0198c3a5-…``."""
        return f"{self.noun.replace(' ', '-')}/{job_id}"

    def event(self, what: str) -> str:
        """Name what happened to a job for the journal, such as ``SCENARIO_RUN_COMPLETED``."""
        return f"{self.noun.replace(' ', '_')}_{what}".upper()

    def missing(self, job_id: UUID) -> Problem:
        """Make the refusal for a job that is not there."""
        return Problem(self.not_found, f"There is no {self.noun} {job_id}.")

    def not_controllable(self, state: JobState) -> Problem:
        """Make the refusal for a job that cannot be controlled: it has ended, or its workflow is not there yet."""
        why = f"has ended: {state}." if state.ended else "is only starting. Try again."
        return Problem(self.not_running, f"This {self.noun.rpartition(' ')[2]} {why}")

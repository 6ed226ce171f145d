"""How a scenario run or a backfill ends where its row and its workflow disagree.

The row is what people read; the workflow is what does the work. They part where one of them is restored, deleted or
ended without the other. Every pair of them has a way to an end, and this module is the table of it.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

GRACE = timedelta(seconds=30)
"""So long one of both may be ahead of the other: a row that has no workflow yet, a workflow that is about to end."""


class RowStanding(StrEnum):
    """How a run or a backfill stands in the database."""

    OPEN = "OPEN"
    """It runs or is paused."""
    ENDED = "ENDED"
    ABSENT = "ABSENT"
    """The database does not know it: it was set back to before it was asked for."""


class WorkflowStanding(StrEnum):
    """How its workflow stands in Temporal."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    TIMED_OUT = "TIMED_OUT"
    CONTINUED = "CONTINUED"
    """It went on as another execution, which is gone."""
    NOT_KNOWN = "NOT_KNOWN"
    """It was deleted, its retention has passed, or it never was."""
    NOT_TOLD = "NOT_TOLD"
    """Temporal did not answer."""


class Act(StrEnum):
    """What is done about a pair of both."""

    LEAVE = "LEAVE"
    END_AS_IT_SAYS = "END_AS_IT_SAYS"
    """The row ends as the workflow's result says, if the database holds what the workflow did; else as failed."""
    END_CANCELLED = "END_CANCELLED"
    END_FAILED = "END_FAILED"
    STOP_WORKFLOW = "STOP_WORKFLOW"
    """Nobody can see or steer the workflow any more: it is asked to end. The row stays as it is."""


_ENDS = {
    WorkflowStanding.COMPLETED: Act.END_AS_IT_SAYS,
    WorkflowStanding.FAILED: Act.END_FAILED,
    WorkflowStanding.CANCELLED: Act.END_CANCELLED,
    WorkflowStanding.TERMINATED: Act.END_FAILED,
    WorkflowStanding.TIMED_OUT: Act.END_FAILED,
    WorkflowStanding.CONTINUED: Act.END_FAILED,
    WorkflowStanding.NOT_KNOWN: Act.END_FAILED,
}

_WHY = {
    WorkflowStanding.COMPLETED: "Its workflow ended, but this database does not hold all that it did: it was restored "
    "from an earlier backup.",
    WorkflowStanding.FAILED: "Its workflow failed.",
    WorkflowStanding.CANCELLED: "Its workflow was cancelled.",
    WorkflowStanding.TERMINATED: "Its workflow was terminated.",
    WorkflowStanding.TIMED_OUT: "Its workflow timed out.",
    WorkflowStanding.CONTINUED: "Its workflow continued as another execution, which Temporal does not know.",
    WorkflowStanding.NOT_KNOWN: "Temporal does not know its workflow.",
}


def act_on(row: RowStanding, workflow: WorkflowStanding, age: timedelta) -> Act:
    """Say what is done about a row and a workflow that stand like this.

    Args:
        row: How the row stands.
        workflow: How the workflow stands, looked at after the row was read.
        age: How long ago the row was made; of one that has ended, its end; of one that is absent, its workflow's start.

    """
    if row is not RowStanding.OPEN:
        return Act.STOP_WORKFLOW if workflow is WorkflowStanding.RUNNING and age >= GRACE else Act.LEAVE
    if workflow is WorkflowStanding.NOT_KNOWN and age < GRACE:
        return Act.LEAVE
    return _ENDS.get(workflow, Act.LEAVE)


def why_ended(workflow: WorkflowStanding, told: str = "") -> str:
    """Say to an operator why a row was ended by somebody else than its workflow.

    Args:
        workflow: How the workflow stands; not RUNNING and not NOT_TOLD.
        told: What a failed workflow said of its failure.

    """
    return f"Its workflow failed: {told}" if told and workflow is WorkflowStanding.FAILED else _WHY[workflow]

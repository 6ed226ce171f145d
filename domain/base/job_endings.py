"""How a job ends where its row and its workflow disagree.

The row is what people read; the workflow is what does the work. They part where one of them is restored, deleted or
ended without the other. Every pair of them has a way to an end, and this module is the table of it.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

GRACE = timedelta(seconds=30)
"""So long one of both may be ahead of the other: a row that has no workflow yet, a workflow that is about to end."""


class RowStatus(StrEnum):
    """The status of a job's row in the database."""

    OPEN = "OPEN"
    """It runs or is paused."""
    ENDED = "ENDED"
    ABSENT = "ABSENT"
    """The database does not know it: it was set back to before it was asked for."""


class WorkflowStatus(StrEnum):
    """The status of its workflow in Temporal."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    TIMED_OUT = "TIMED_OUT"
    CONTINUED = "CONTINUED"
    """It went on as another execution, which is gone."""
    NOT_FOUND = "NOT_FOUND"
    """It was deleted, its retention has passed, or it never was."""
    UNREPORTED = "UNREPORTED"
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
    WorkflowStatus.COMPLETED: Act.END_AS_IT_SAYS,
    WorkflowStatus.FAILED: Act.END_FAILED,
    WorkflowStatus.CANCELLED: Act.END_CANCELLED,
    WorkflowStatus.TERMINATED: Act.END_FAILED,
    WorkflowStatus.TIMED_OUT: Act.END_FAILED,
    WorkflowStatus.CONTINUED: Act.END_FAILED,
    WorkflowStatus.NOT_FOUND: Act.END_FAILED,
}

_WHY = {
    WorkflowStatus.COMPLETED: "Its workflow ended, but this database does not hold all that it did: it was restored "
    "from an earlier backup.",
    WorkflowStatus.FAILED: "Its workflow failed.",
    WorkflowStatus.CANCELLED: "Its workflow was cancelled.",
    WorkflowStatus.TERMINATED: "Its workflow was terminated.",
    WorkflowStatus.TIMED_OUT: "Its workflow timed out.",
    WorkflowStatus.CONTINUED: "Its workflow continued as another execution, which Temporal does not know.",
    WorkflowStatus.NOT_FOUND: "Temporal does not know its workflow.",
}


def act_on(row: RowStatus, workflow: WorkflowStatus, age: timedelta) -> Act:
    """Say what is done about a row and a workflow of these statuses.

    Args:
        row: The status of the row.
        workflow: The status of the workflow, asked for after the row was read.
        age: How long ago the row was made; of one that has ended, its end; of one that is absent, its workflow's start.

    """
    if row is not RowStatus.OPEN:
        return Act.STOP_WORKFLOW if workflow is WorkflowStatus.RUNNING and age >= GRACE else Act.LEAVE
    if workflow is WorkflowStatus.NOT_FOUND and age < GRACE:
        return Act.LEAVE
    return _ENDS.get(workflow, Act.LEAVE)


def why_ended(workflow: WorkflowStatus, reported: str = "") -> str:
    """Say to an operator why a row was ended by somebody else than its workflow.

    Args:
        workflow: The status of the workflow; not RUNNING and not UNREPORTED.
        reported: What a failed workflow reported of its failure.

    """
    return f"Its workflow failed: {reported}" if reported and workflow is WorkflowStatus.FAILED else _WHY[workflow]

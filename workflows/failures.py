"""What a step that failed for good says of itself."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, FailureError


def failure_of(error: BaseException) -> str:
    """Say why in a line, for whoever reads the row that the workflow belongs to."""
    # A local step's failure comes as it is, any other's inside one that names the step.
    cause = error.__cause__ if isinstance(error, ActivityError) and error.__cause__ else error
    return cause.message if isinstance(cause, FailureError) else str(cause)

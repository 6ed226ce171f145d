"""Every pair of a row and a workflow has a way to an end."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from domain.base.job_endings import GRACE, Act, RowStatus, WorkflowStatus, act_on, why_ended

OLD = GRACE
YOUNG = GRACE - timedelta(microseconds=1)
AHEAD = -timedelta(hours=1)
"""Of a clock that was set back since."""

ENDED = {
    "COMPLETED": "END_AS_IT_SAYS",
    "FAILED": "END_FAILED",
    "CANCELLED": "END_CANCELLED",
    "TERMINATED": "END_FAILED",
    "TIMED_OUT": "END_FAILED",
    "CONTINUED": "END_FAILED",
}


@pytest.mark.parametrize("age", [OLD, YOUNG, AHEAD, timedelta(days=400)])
@pytest.mark.parametrize(("row", "workflow"), list(product(RowStatus, WorkflowStatus)))
def test_each_pair(row: RowStatus, workflow: WorkflowStatus, age: timedelta) -> None:
    expected = "LEAVE"
    if row is RowStatus.OPEN:
        expected = ENDED.get(workflow, "LEAVE")
        if workflow is WorkflowStatus.NOT_FOUND and age >= GRACE:
            expected = "END_FAILED"
    elif workflow is WorkflowStatus.RUNNING and age >= GRACE:
        expected = "STOP_WORKFLOW"
    assert act_on(row, workflow, age) == expected


@pytest.mark.parametrize("workflow", list(WorkflowStatus))
def test_whatever_ends_a_row_says_why(workflow: WorkflowStatus) -> None:
    if act_on(RowStatus.OPEN, workflow, OLD) is not Act.LEAVE:
        assert why_ended(workflow).endswith(".")


def test_a_failed_workflow_says_what_failed() -> None:
    assert why_ended(WorkflowStatus.FAILED, "no disk") == "Its workflow failed: no disk"
    assert why_ended(WorkflowStatus.TERMINATED, "no disk") == "Its workflow was terminated."

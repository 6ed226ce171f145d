"""Every pair of a row and a workflow has a way to an end."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from domain.provisioning.endings import GRACE, Act, RowStanding, WorkflowStanding, act_on, why_ended

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
@pytest.mark.parametrize(("row", "workflow"), list(product(RowStanding, WorkflowStanding)))
def test_each_pair(row: RowStanding, workflow: WorkflowStanding, age: timedelta) -> None:
    expected = "LEAVE"
    if row is RowStanding.OPEN:
        expected = ENDED.get(workflow, "LEAVE")
        if workflow is WorkflowStanding.NOT_KNOWN and age >= GRACE:
            expected = "END_FAILED"
    elif workflow is WorkflowStanding.RUNNING and age >= GRACE:
        expected = "STOP_WORKFLOW"
    assert act_on(row, workflow, age) == expected


@pytest.mark.parametrize("workflow", list(WorkflowStanding))
def test_whatever_ends_a_row_says_why(workflow: WorkflowStanding) -> None:
    if act_on(RowStanding.OPEN, workflow, OLD) is not Act.LEAVE:
        assert why_ended(workflow).endswith(".")


def test_a_failed_workflow_says_what_failed() -> None:
    assert why_ended(WorkflowStanding.FAILED, "no disk") == "Its workflow failed: no disk"
    assert why_ended(WorkflowStanding.TERMINATED, "no disk") == "Its workflow was terminated."

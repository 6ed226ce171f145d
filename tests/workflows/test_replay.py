"""Workflows that began with yesterday's code finish with today's: the saved histories replay."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from domain.provisioning.backfill import BackfillInput
from tests.domain.documents import released, table
from worker import WORKFLOWS, plans

FOLDER = Path(__file__).parent.parent / "histories"
HISTORIES = sorted(FOLDER.glob("*/*.json"))
"""By the release that recorded them: every path through a workflow that was new in it."""


def _history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


def _kind(path: Path) -> str:
    return _history(path).events[0].workflow_execution_started_event_attributes.workflow_type.name


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_saved_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    result = await replayer.replay_workflow(_history(path))
    assert result.replay_failure is None


def test_every_workflow_has_saved_histories() -> None:
    names = {workflow._Definition.must_from_class(each).name for each in WORKFLOWS}  # pyright: ignore[reportPrivateUsage]
    assert names == {_kind(path) for path in HISTORIES}


def test_histories_are_those_of_releases_and_of_what_comes_next() -> None:
    assert {each.name for each in FOLDER.iterdir()} - {"unreleased"} <= released()
    assert len({path.stem for path in HISTORIES}) == len(HISTORIES)


def test_the_documentation_names_every_workflow_and_schedule() -> None:
    shown = {row[0]: row for row in table("../architecture.md", "workflow")}
    assert list(shown) == [workflow._Definition.must_from_class(each).name for each in WORKFLOWS]  # pyright: ignore[reportPrivateUsage]
    wanted = plans()
    scheduled = [row[1:3] for row in shown.values() if row[1].endswith("-{start}")]
    assert scheduled == [[f"{plan.schedule_id}-{{start}}", plan.kind] for plan in wanted]
    every = {
        timedelta(minutes=1): "minute",
        timedelta(minutes=5): "5 minutes",
        timedelta(hours=1): "hour",
        timedelta(days=1): "day",
    }
    documented = [row[:2] for row in table("../operations.md", "schedule")]
    assert documented == [[plan.schedule_id, every[plan.every]] for plan in wanted]


@workflow.defn(name="Backfill", sandboxed=False)
class _OtherBackfill:
    """Does something else first, as a careless change would."""

    @workflow.run
    async def run(self, given: BackfillInput) -> None:
        await workflow.sleep(timedelta(seconds=1))


async def test_a_change_that_would_break_running_workflows_fails() -> None:
    path = next(each for each in HISTORIES if _kind(each) == "Backfill")
    replayer = Replayer(workflows=[_OtherBackfill], data_converter=pydantic_data_converter)
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(_history(path))

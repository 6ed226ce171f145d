"""The plan of a run: its steps, which of them are sent together, and when the fail-safe is due by the scenario."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import rfc8785

from sim_scenarios.runs.bindings import read_bindings
from sim_scenarios.runs.library import controller_tables
from sim_scenarios.runs.scenario import Scenario, parse_scenario
from sim_scenarios.runs.steps import Step, batches, expand


class OtherScenarioError(Exception):
    """The text does not give the scenario that the run began with: the controller's table has changed since."""


@dataclass(frozen=True)
class RunPlan:
    """All steps of a run."""

    steps: tuple[Step, ...]
    batch_ends: dict[int, int]
    """Where the steps that travel in one request at time scale 0 end, by the first of them."""
    newest: tuple[int, ...]
    """By step: the step that measured the newest packet so far; -1 before the first."""
    fail_safe_due: tuple[bool, ...]
    """By step: whether the scenario has let the heartbeat threshold pass since the newest packet.

    Where it has not, a circuit that stands in the fail-safe because nothing came does so for the run's own delays,
    and not for the scenario's.
    """

    def batch(self, first: int, time_scale: float) -> tuple[Step, ...]:
        """Return the steps that are sent together, beginning with ``first``."""
        if time_scale:
            return (self.steps[first],)
        return self.steps[first : self.batch_ends.get(first, first + 1)]


def open_run_plan(document: str, digest: str, seed: int, bindings: dict[str, Any]) -> RunPlan:
    """Make the plan of a run from what is stored of it. The last ones are cached.

    Raises:
        OtherScenarioError: the text gives another scenario by now.

    """
    return _open(document, digest, seed, rfc8785.dumps(bindings))


@lru_cache(maxsize=64)
def _open(document: str, digest: str, seed: int, bindings: bytes) -> RunPlan:
    scenario = parse_scenario(document, controller_tables())
    if not isinstance(scenario, Scenario) or scenario.digest != digest:
        raise OtherScenarioError("The scenario or its controller's table has changed since the run began.")
    steps = expand(scenario, seed, read_bindings(json.loads(bindings)))
    ends = {batch[0].index: batch[-1].index + 1 for batch in batches(steps)}
    newest, due = zip(*_standing(steps), strict=True)
    return RunPlan(steps, ends, newest, due)


def _standing(steps: tuple[Step, ...]) -> Iterator[tuple[int, bool]]:
    newest, due = -1, False
    for step in steps:
        measured = max((packet.measured_step for packet in step.packets), default=-1)
        if measured > newest:
            newest, due = measured, False
        elif step.gap is not None:
            due = True
        yield newest, due

"""The presets of the depot simulation."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from api.base.problems import problem_responses
from domain.base.problems import Problem, ProblemCode
from sim_scenarios.language.quantities import duration_text
from sim_scenarios.runs.library import preset, preset_names
from sim_scenarios.runs.scenario import Scenario

router = APIRouter(prefix="/api/scenarios", tags=["scenarios"])


class ScenarioSummary(BaseModel):
    """A scenario as it is listed."""

    name: str
    title: str
    description: str
    duration: str = Field(description="Virtual time from the first step to the last, as the language writes it.")
    duration_seconds: float
    every_seconds: float = Field(description="Virtual time between two steps.")
    steps: int
    controller: str = Field(description="The controller's revision.")
    needs: list[str] = Field(description="The roles that a depot must have configured.")
    digest: str = Field(description="The SHA-256 of what scenario and controller's table say.")

    @staticmethod
    def of(scenario: Scenario) -> ScenarioSummary:
        """The summary of a scenario."""
        return ScenarioSummary(**_summary(scenario))


class ScenarioText(ScenarioSummary):
    """A scenario with its text."""

    text: str = Field(description="The YAML document as it is written.")


class ScenarioList(BaseModel):
    """All presets, by name."""

    items: list[ScenarioSummary]
    next_cursor: str | None = Field(default=None, description="Always null: they are one page.")


def _summary(scenario: Scenario) -> dict[str, Any]:
    model = scenario.model
    return {
        "name": scenario.name,
        "title": model.title,
        "description": model.description.strip(),
        "duration": duration_text(model.duration),
        "duration_seconds": model.duration / 1000,
        "every_seconds": model.every / 1000,
        "steps": scenario.steps,
        "controller": scenario.table.controller,
        "needs": list(model.needs),
        "digest": scenario.digest,
    }


def find_preset(name: str) -> Scenario:
    """Return a preset.

    Raises:
        Problem: ``SCENARIO_NOT_FOUND``.

    """
    try:
        return preset(name)
    except KeyError:
        known = ", ".join(preset_names())
        raise Problem(ProblemCode.SCENARIO_NOT_FOUND, f"There is no such scenario. There are: {known}.") from None


@router.get("")
async def list_all() -> ScenarioList:
    """List the presets."""
    return ScenarioList(items=[ScenarioSummary.of(preset(name)) for name in preset_names()])


@router.get("/{name}", responses=problem_responses(ProblemCode.SCENARIO_NOT_FOUND))
async def read(name: Annotated[str, Path(description="The preset's name.")]) -> ScenarioText:
    """Read one preset with its text."""
    scenario = find_preset(name)
    return ScenarioText(**_summary(scenario), text=scenario.text)

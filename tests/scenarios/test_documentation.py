"""The documentation of the scenarios says what the code does."""

from __future__ import annotations

from sim_scenarios.language.expected import Expect
from sim_scenarios.language.language import Deliver, ScenarioDocument, Settings
from sim_scenarios.language.problems import ScenarioCode
from sim_scenarios.runs.library import controller_tables
from sim_scenarios.runs.missing import MissingCode
from sim_scenarios.runs.offline_check import check_offline
from sim_scenarios.runs.scenario import Scenario, parse_scenario
from tests.domain.documents import examples, tables
from tests.scenarios.stand_in import run_scenario

DOCUMENT = "depot-simulation/scenarios.md"


def named(first_column: str, place: int = 0) -> set[str]:
    """The names in the first column of a table."""
    return {name.strip() for row in tables(DOCUMENT, first_column)[place] for name in row[0].split(",")}


def test_the_example_is_a_scenario_that_comes_true() -> None:
    (example,) = examples(DOCUMENT, "yaml")
    parsed = parse_scenario(example, controller_tables())
    assert isinstance(parsed, Scenario), parsed
    assert check_offline(parsed) == ()
    assert b'"outcome":"PASSED"' in run_scenario(parsed)[0]


def test_every_field_is_described() -> None:
    assert named("field") == set(ScenarioDocument.model_fields)
    assert named("setting") == set(Settings.model_fields)
    assert named("delivery") == set(Deliver.model_fields)
    assert named("expectation") == set(Expect.model_fields)


def test_every_code_is_described() -> None:
    assert named("code") == set(ScenarioCode)
    assert named("code", 1) == set(MissingCode)

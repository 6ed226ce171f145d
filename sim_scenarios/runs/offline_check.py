"""Checks a scenario's expectations against what it sends itself, without a product."""

from __future__ import annotations

from collections.abc import Iterator

from domain.base.violations import Violation
from sim_scenarios.language.problems import ScenarioCode
from sim_scenarios.language.quantities import duration_text
from sim_scenarios.runs.expectations import Expectation, Observed, check, matches
from sim_scenarios.runs.sample import sample_bindings
from sim_scenarios.runs.scenario import Scenario
from sim_scenarios.runs.steps import Step, expand


def check_offline(scenario: Scenario, seed: int = 1) -> tuple[Violation, ...]:
    """Expand a scenario for a sample depot and say which expectations cannot pass, whatever the product does.

    Those are the ones of ``sent``, and a circuit's or a power source's value that is not the one that was sent.
    """
    return tuple(_violations(scenario, seed))


def _violations(scenario: Scenario, seed: int) -> Iterator[Violation]:
    for step in expand(scenario, seed, sample_bindings()):
        for words in _unmet(step):
            reason = f"Step {step.index} at {duration_text(step.offset_ms)}, seed {seed}: {words}"
            yield Violation(_pointer(scenario, step), ScenarioCode.EXPECTATION_NOT_MET, reason)


def _unmet(step: Step) -> Iterator[str]:
    seen = Observed(sent=step.sent)
    exact: dict[str, Expectation] = {}
    for each in step.expectations:
        if each.subject.startswith("sent/"):
            checked = check(each, seen)
            if not checked.passed:
                yield checked.words
        elif each.subject == "circuit/capacity_w":
            # The first is what was sent; what the scenario says beside it must agree.
            first = exact.setdefault(each.subject, each)
            if not matches(each.wanted, first.wanted):
                yield f"the circuit's capacity is to be {each.document()}, in W, and {first.document()} was sent."


def _pointer(scenario: Scenario, step: Step) -> str:
    for index, entry in enumerate(scenario.model.timeline):
        here = step.offset_ms % entry.each == 0 if entry.each else entry.at == step.offset_ms
        if here and entry.expect is not None:
            return f"/timeline/{index}/expect"
    return "/timeline"

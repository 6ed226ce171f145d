"""What a step expects of the product, with every number settled, and whether it passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.site.action_outcomes import ActionOutcome
from sim_scenarios.language.expected import ABSENT, AS_SENT, NONE, Between, Expect
from sim_scenarios.language.quantities import plain, watts

Value = float | str | None
Wanted = Value | Between | tuple[str, ...]


@dataclass(frozen=True)
class Expectation:
    """One thing that must be true once a step's packets have been taken in."""

    subject: str
    """What it is about: ``capabilities/DER``, ``circuit/mode``, ``power_source/SOC``, ``remediations``,
    ``answers/UPDATE_CIRCUIT_CAPACITY``, ``sent/SOC`` and so on."""
    wanted: Wanted

    def document(self) -> Any:
        """Return what is wanted as JSON has it."""
        if isinstance(self.wanted, Between):
            return {"from": plain(self.wanted.low), "to": plain(self.wanted.high)}
        return list(self.wanted) if isinstance(self.wanted, tuple) else plain(self.wanted)


@dataclass(frozen=True)
class Answer:
    """What one sensor action answered for one packet."""

    packet: int
    """The packet's place among those of the step, from 0."""
    sensor_id: str
    action: str
    """A ``SensorActionKind``."""
    outcome: str
    """An ``ActionOutcome``."""
    code: str | None = None

    @property
    def text(self) -> str:
        """The answer as the scenario language writes it; what was applied has no code there."""
        return (
            self.outcome
            if self.code is None or self.outcome == ActionOutcome.APPLIED
            else f"{self.outcome} {self.code}"
        )


@dataclass(frozen=True)
class ObservedCircuit:
    """The capacity of the circuit that follows the controller."""

    mode: str
    reason: str | None = None
    capacity_w: float | None = None


@dataclass(frozen=True)
class Downstream:
    """Where the product stands after a step; without what this run did not bring about: see ``stamps.is_of_run``."""

    capabilities: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """``ON`` or ``OFF`` by capability."""
    circuit: ObservedCircuit | None = None
    power_source: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """By measurand, of the power source that the controller's sensor updates."""
    remediations: tuple[str, ...] = ()
    """Codes of what is open for the bound devices, each once, in order."""

    def document(self) -> dict[str, Any]:
        """Return it as the evidence has it; what is not known is not in it."""
        circuit = self.circuit
        return {
            "capabilities": {key: value for key, value in self.capabilities.items() if value is not None},
            "circuit": None
            if circuit is None
            else {"mode": circuit.mode, "reason": circuit.reason, "capacity_w": plain(circuit.capacity_w)},
            "power_source": {key: plain(value) for key, value in self.power_source.items() if value is not None},
            "remediations": sorted(set(self.remediations)),
        }


@dataclass(frozen=True)
class Observed:
    """What came of one step."""

    answers: tuple[Answer, ...] = ()
    downstream: Downstream | None = None
    """None: it was not looked at, because the step expects nothing of it."""
    sent: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """The newest packet's measurands; ``steps.check_step`` puts them in."""


@dataclass(frozen=True)
class Checked:
    """How an expectation ended."""

    expectation: Expectation
    passed: bool
    actual: Any
    """As JSON has it."""

    @property
    def words(self) -> str:
        """The outcome as a sentence."""
        subject = self.expectation.subject.replace("/", " ")
        wanted = value_words(self.expectation.document())
        if self.passed:
            return f"{subject} is {value_words(self.actual)}, as expected."
        return f"{subject} should be {wanted}, and is {value_words(self.actual)}."


def check(expectation: Expectation, observed: Observed) -> Checked:
    """Say whether an expectation passed."""
    area, _, name = expectation.subject.partition("/")
    if area == "answers":
        return _check_answers(expectation, name, observed.answers)
    if area == "sent":
        actual = plain(observed.sent[name]) if name in observed.sent else ABSENT
        return Checked(expectation, matches(expectation.wanted, actual), actual)
    if observed.downstream is None:
        return Checked(expectation, passed=False, actual="not looked at")
    actual = _actual(area, name, observed.downstream.document())
    return Checked(expectation, matches(expectation.wanted, actual), actual)


def _actual(area: str, name: str, found: Mapping[str, Any]) -> Any:
    if area == "capabilities":
        return found[area].get(name, NONE)
    if area == "remediations":
        return found[area]
    return (found[area] or {}).get(name)


def _check_answers(expectation: Expectation, action: str, answers: tuple[Answer, ...]) -> Checked:
    found = sorted((each for each in answers if each.action == action), key=lambda each: (each.packet, each.sensor_id))
    actual = [each.text for each in found]
    wanted = expectation.wanted
    assert isinstance(wanted, tuple)
    if len(wanted) == 1:
        wanted = wanted * len(actual)
    passed = bool(actual) and len(wanted) == len(actual)
    passed = passed and all(_answers(*pair) for pair in zip(wanted, actual, strict=True))
    return Checked(expectation, passed, actual)


def _answers(wanted: str, actual: str) -> bool:
    """Say whether an answer is the wanted one; without a code, any code will do."""
    return actual == wanted or (" " not in wanted and actual.startswith(f"{wanted} "))


def matches(wanted: Wanted, actual: Any) -> bool:
    """Say whether a value is the wanted one, or in the wanted range."""
    if isinstance(wanted, Between):
        number = isinstance(actual, int | float) and not isinstance(actual, bool)
        return number and wanted.low <= actual <= wanted.high
    if isinstance(wanted, tuple):
        return list(wanted) == actual
    return wanted == actual


def value_words(value: Any) -> str:
    """Say a value of the evidence: one, a range, several, or none."""
    if isinstance(value, dict):
        return f"from {value['from']:,} to {value['to']:,}"
    if isinstance(value, list):
        return ", ".join(value_words(each) for each in value) or "none"
    if value is None:
        return "without a value"
    return str(value) if isinstance(value, str) else f"{value:,}"


def resolve_expectations(expect: Expect, sent: Mapping[str, Value]) -> tuple[Expectation, ...]:
    """Make expectations of what the language says.

    Args:
        expect: What the scenario says.
        sent: The newest value of each measurand that has been delivered by then, nulls left out.

    """
    made = [Expectation(f"sent/{key}", _value(wanted, sent.get(key))) for key, wanted in expect.sent.items()]
    made += [Expectation(f"answers/{kind}", wanted) for kind, wanted in expect.answers.items()]
    made += [Expectation(f"capabilities/{key}", wanted) for key, wanted in expect.capabilities.items()]
    if expect.circuit is not None:
        circuit = expect.circuit
        made.append(Expectation("circuit/mode", circuit.mode))
        if circuit.reason is not None:
            made.append(Expectation("circuit/reason", circuit.reason.value))
        source = {"CONTROLLER": "AVAILABLE_CHARGING_CAPACITY", "FAIL_SAFE": "FAIL_SAFE_CAPACITY"}.get(circuit.mode)
        if source is not None and source in sent:
            made.append(Expectation("circuit/capacity_w", sent[source]))
        if circuit.capacity_kw is not None:
            made.append(Expectation("circuit/capacity_w", _in_watts(circuit.capacity_kw)))
    made += [
        Expectation(f"power_source/{key}", _value(each, sent.get(key))) for key, each in expect.power_source.items()
    ]
    if expect.remediations is not None:
        made.append(Expectation("remediations", tuple(sorted({code.value for code in expect.remediations}))))
    return tuple(made)


def _value(wanted: Value | Between, sent: Value) -> Value | Between:
    return sent if wanted == AS_SENT else wanted


def _in_watts(kilowatts: float | Between) -> float | Between:
    if isinstance(kilowatts, Between):
        return Between(watts(kilowatts.low), watts(kilowatts.high))
    return watts(kilowatts)

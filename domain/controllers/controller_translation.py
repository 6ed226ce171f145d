"""From a controller's inputs to generic measurands, by a table: one table a controller revision, and no code.

A table is data: ``domain.controllers.controller_tables`` reads it from a document, ``translate`` applies it. A
measurand whose inputs a revision does not have is absent: nothing is inferred from anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from domain.site.measurands import MEASURANDS, Measurand, MeasurandKey

InputValue = bool | float | None
"""What a controller says at one input; None: the input exists, and its value is not available."""


class InputKind(StrEnum):
    """What an input gives."""

    NUMBER = "number"
    """A number, in the unit of the measurand that it becomes, or in seconds where it is a time."""
    BOOLEAN = "boolean"


@dataclass(frozen=True)
class NumberRule:
    """The measurand is the input's number."""

    source: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.source,)

    def value(self, given: Sequence[InputValue]) -> float | str | None:
        """Return the number; None where it is not available."""
        number = given[0]
        assert not isinstance(number, bool)
        return number


@dataclass(frozen=True)
class TruthTableRule:
    """The measurand is a text for each combination of boolean inputs."""

    inputs: tuple[str, ...]
    rows: Mapping[tuple[bool, ...], str]
    """Every combination, in the order of ``inputs``."""

    def value(self, given: Sequence[InputValue]) -> float | str | None:
        """Return the text of the combination; None where an input is not available."""
        return None if None in given else self.rows[cast("tuple[bool, ...]", tuple(given))]


@dataclass(frozen=True)
class Case:
    """One line of a decision list: ``text`` holds where the input is ``equals``, or is greater than ``above``."""

    text: str
    source: str
    equals: bool | None = None
    above: float | None = None

    def matches(self, value: InputValue) -> bool:
        """Say whether the input's value fulfils the condition; one that is not available fulfils none."""
        if value is None:
            return False
        return value is self.equals if self.above is None else value > self.above


@dataclass(frozen=True)
class CasesRule:
    """The measurand is the text of the first case that matches, else ``otherwise``."""

    cases: tuple[Case, ...]
    otherwise: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs of the cases, one for each."""
        return tuple(case.source for case in self.cases)

    def value(self, given: Sequence[InputValue]) -> float | str | None:
        """Return the text; there always is one."""
        pairs = zip(self.cases, given, strict=True)
        return next((case.text for case, value in pairs if case.matches(value)), self.otherwise)


Rule = NumberRule | TruthTableRule | CasesRule


@dataclass(frozen=True)
class ControllerTable:
    """How one revision of a controller says what the packet contract says."""

    controller: str
    revision: str
    inputs: Mapping[str, InputKind]
    rules: Mapping[MeasurandKey, Rule]

    @property
    def title(self) -> str:
        """The controller and its revision, as a person reads it."""
        return f"{self.controller}, revision {self.revision}"


class InputError(Exception):
    """An input got a value of another kind than the table says, or the table has no such input."""


def translate(table: ControllerTable, inputs: Mapping[str, InputValue]) -> tuple[Measurand, ...]:
    """Make the measurands that follow from ``inputs``, in the order of the table.

    A rule with an input that is not in ``inputs`` gives no measurand. One with an input that is None gives null,
    unless the rule is a decision list, which decides without it.

    Raises:
        InputError: for an input that the table does not list, or a value of the wrong kind.

    """
    for name, value in inputs.items():
        kind = table.inputs.get(name)
        if kind is None:
            raise InputError(f"{table.controller} revision {table.revision} has no input {name!r}.")
        if value is not None and isinstance(value, bool) is not (kind is InputKind.BOOLEAN):
            raise InputError(f"The input {name!r} is a {kind}.")
    return tuple(
        Measurand(key.value, rule.value([inputs[name] for name in rule.inputs]), MEASURANDS[key].unit)
        for key, rule in table.rules.items()
        if all(name in inputs for name in rule.inputs)
    )

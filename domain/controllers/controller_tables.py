"""Reads the translation table of a controller revision from a document that was already loaded, from YAML say."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from domain.base.violations import Violation, below
from domain.controllers.controller_translation import (
    Case,
    CasesRule,
    ControllerTable,
    InputKind,
    NumberRule,
    Rule,
    TruthTableRule,
)
from domain.site.measurands import MEASURANDS, MeasurandKey, ValueKind


class TableCode(StrEnum):
    """What is wrong with a table."""

    WRONG_FORM = "WRONG_FORM"
    """Not the documented keys and types."""
    UNKNOWN_MEASURAND = "UNKNOWN_MEASURAND"
    """No standard key of the packet contract."""
    MEASURAND_REQUIRED = "MEASURAND_REQUIRED"
    """A measurand that every microgrid controller's packet must have is not in the table."""
    UNKNOWN_INPUT = "UNKNOWN_INPUT"
    """The rule names an input that the table does not list."""
    WRONG_INPUT_KIND = "WRONG_INPUT_KIND"
    """The rule cannot use an input of that kind."""
    WRONG_RULE = "WRONG_RULE"
    """A rule that gives numbers for a text, or the other way round."""
    UNKNOWN_TEXT = "UNKNOWN_TEXT"
    """A text that the measurand does not have."""
    INCOMPLETE_TRUTH_TABLE = "INCOMPLETE_TRUTH_TABLE"
    """A combination of the inputs is missing, or there twice."""


@dataclass(frozen=True)
class InvalidTable:
    """A document that is no table: all that is wrong with it."""

    violations: tuple[Violation, ...]


REQUIRED_MEASURANDS = (MeasurandKey.AVAILABLE_CHARGING_CAPACITY, MeasurandKey.HEARTBEAT_STATUS)
"""What every packet of a microgrid controller has."""


def parse_table(document: object) -> ControllerTable | InvalidTable:
    """Read a table, or say everything that is wrong with it."""
    reader = _TableReader()
    table = reader.table(document)
    return InvalidTable(tuple(reader.violations)) if table is None or reader.violations else table


class _TableReader:
    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._inputs: dict[str, InputKind] = {}

    def table(self, document: object) -> ControllerTable | None:
        fields = self._object(document, "", {"controller", "revision", "inputs", "measurands"})
        if fields is None:
            return None
        controller = self._text(fields["controller"], "/controller")
        revision = self._text(fields["revision"], "/revision")
        self._read_inputs(fields["inputs"])
        return ControllerTable(controller, revision, self._inputs, self._rules(fields["measurands"]))

    def _read_inputs(self, inputs: object) -> None:
        if not isinstance(inputs, dict) or not inputs:
            return self._wrong("/inputs", "Must be an object from input to kind.")
        for name, kind in cast("dict[Any, Any]", inputs).items():
            if not isinstance(name, str) or kind not in tuple(InputKind):
                self._wrong(below("/inputs", str(name)), f"Must be one of: {', '.join(InputKind)}.")
            else:
                self._inputs[name] = InputKind(kind)
        return None

    def _rules(self, measurands: object) -> dict[MeasurandKey, Rule]:
        rules: dict[MeasurandKey, Rule] = {}
        if not isinstance(measurands, dict):
            self._wrong("/measurands", "Must be an object from measurand to rule.")
            return rules
        for name, raw in cast("dict[Any, Any]", measurands).items():
            where = below("/measurands", str(name))
            if name not in tuple(MeasurandKey):
                self._add(where, TableCode.UNKNOWN_MEASURAND, "Is no standard key of the packet contract.")
            elif (rule := self._rule(MeasurandKey(name), raw, where)) is not None:
                rules[MeasurandKey(name)] = rule
        for key in REQUIRED_MEASURANDS:
            if key.value not in measurands:
                self._add("/measurands", TableCode.MEASURAND_REQUIRED, f"{key} is in every controller's packet.")
        return rules

    def _rule(self, key: MeasurandKey, raw: object, where: str) -> Rule | None:
        forms = {"number": self._number, "truth_table": self._truth_table, "cases": self._cases}
        if not isinstance(raw, dict) or len(raw) != 1 or next(iter(raw)) not in forms:
            return self._wrong(where, f"Must be an object with one of: {', '.join(forms)}.")
        ((form, content),) = cast("dict[str, Any]", raw).items()
        if (form == "number") is not (MEASURANDS[key].kind is ValueKind.NUMBER):
            return self._add(where, TableCode.WRONG_RULE, f"{key} is no {'number' if form == 'number' else 'text'}.")
        return forms[form](key, content, f"{where}/{form}")

    def _number(self, key: MeasurandKey, raw: object, where: str) -> Rule | None:  # noqa: ARG002
        source = self._input(raw, InputKind.NUMBER, where)
        return None if source is None else NumberRule(source)

    def _truth_table(self, key: MeasurandKey, raw: object, where: str) -> Rule | None:
        fields = self._object(raw, where, {"inputs", "rows"})
        if fields is None:
            return None
        names, rows = fields["inputs"], fields["rows"]
        if not isinstance(names, list) or not names or not isinstance(rows, list):
            return self._wrong(where, "Has the arrays inputs and rows.")
        inputs = [self._input(name, InputKind.BOOLEAN, f"{where}/inputs/{index}") for index, name in enumerate(names)]
        found: dict[tuple[bool, ...], str] = {}
        for index, row in enumerate(rows):
            here = f"{where}/rows/{index}"
            if not isinstance(row, list) or len(row) != len(names) + 1 or not all(type(v) is bool for v in row[:-1]):
                self._wrong(here, "Must be an array of a boolean for each input, and the text.")
                continue
            text, combination = self._choice(key, row[-1], here), cast("tuple[bool, ...]", tuple(row[:-1]))
            if combination in found:
                self._add(here, TableCode.INCOMPLETE_TRUTH_TABLE, "This combination is there twice.")
            found[combination] = text
        missing = [each for each in itertools.product((False, True), repeat=len(names)) if each not in found]
        if missing:
            combination = ", ".join(str(value).lower() for value in missing[0])
            self._add(f"{where}/rows", TableCode.INCOMPLETE_TRUTH_TABLE, f"The combination {combination} is missing.")
        return TruthTableRule(tuple(name for name in inputs if name is not None), found)

    def _cases(self, key: MeasurandKey, raw: object, where: str) -> Rule | None:
        fields = self._object(raw, where, {"first", "otherwise"})
        if fields is None:
            return None
        if not isinstance(fields["first"], list) or not fields["first"]:
            return self._wrong(f"{where}/first", "Must be an array of cases.")
        cases = [self._case(key, each, f"{where}/first/{index}") for index, each in enumerate(fields["first"])]
        otherwise = self._choice(key, fields["otherwise"], f"{where}/otherwise")
        return CasesRule(tuple(case for case in cases if case is not None), otherwise)

    def _case(self, key: MeasurandKey, raw: object, where: str) -> Case | None:
        if not isinstance(raw, dict) or raw.keys() not in ({"text", "input", "equals"}, {"text", "input", "above"}):
            return self._wrong(where, "Must be an object with text, input, and either equals or above.")
        fields = cast("dict[str, Any]", raw)
        text = self._choice(key, fields["text"], f"{where}/text")
        if "equals" in fields:
            equals = fields["equals"]
            if not isinstance(equals, bool):
                return self._wrong(f"{where}/equals", "Must be a boolean.")
            source = self._input(fields["input"], InputKind.BOOLEAN, f"{where}/input")
            return None if source is None else Case(text, source, equals=equals)
        above = fields["above"]
        if isinstance(above, bool) or not isinstance(above, int | float):
            return self._wrong(f"{where}/above", "Must be a number.")
        source = self._input(fields["input"], InputKind.NUMBER, f"{where}/input")
        return None if source is None else Case(text, source, above=above)

    def _input(self, name: object, kind: InputKind, where: str) -> str | None:
        if not isinstance(name, str):
            return self._wrong(where, "Must be the name of an input.")
        if name not in self._inputs:
            return self._add(where, TableCode.UNKNOWN_INPUT, "The table lists no such input.")
        if self._inputs[name] is not kind:
            return self._add(where, TableCode.WRONG_INPUT_KIND, f"Must be an input of kind {kind}.")
        return name

    def _choice(self, key: MeasurandKey, text: object, where: str) -> str:
        if not isinstance(text, str) or text not in MEASURANDS[key].texts:
            self._add(where, TableCode.UNKNOWN_TEXT, f"{key} is one of: {', '.join(MEASURANDS[key].texts)}.")
        return str(text)

    def _object(self, raw: object, where: str, keys: set[str]) -> dict[str, Any] | None:
        if isinstance(raw, dict) and raw.keys() == keys:
            return cast("dict[str, Any]", raw)
        return self._wrong(where, f"Must be an object with exactly: {', '.join(sorted(keys))}.")

    def _text(self, value: object, where: str) -> str:
        if not isinstance(value, str) or not value:
            self._wrong(where, "Must be a text.")
        return str(value)

    def _wrong(self, where: str, reason: str) -> None:
        self._add(where, TableCode.WRONG_FORM, reason)

    def _add(self, where: str, code: TableCode, reason: str) -> None:
        self.violations.append(Violation(where, code, reason))

"""Reads a scenario: its form by the language, then what only the whole of it can show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import rfc8785
from pydantic import ValidationError

from domain.base.violations import Violation, below
from domain.controllers.controller_tables import InvalidTable, parse_table
from domain.controllers.controller_translation import ControllerTable
from sim_scenarios.language.language import MAX_BUSES, Entry, ScenarioDocument, Settings
from sim_scenarios.language.problems import InvalidScenario, ScenarioCode
from sim_scenarios.language.quantities import duration_text, watts
from sim_scenarios.language.source import Source, read_source
from sim_scenarios.model.controller import INPUTS
from sim_scenarios.model.profiles import curve

MAX_STEPS = 20_000
"""In one scenario: a week in half minutes."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scenario that keeps every rule of the language."""

    text: str
    """As it was written; reading it with the same tables gives the same scenario."""
    document: Mapping[str, Any]
    """As it was read, in the language's own form."""
    model: ScenarioDocument
    table: ControllerTable
    table_document: Any
    """The controller's table as it was read."""
    lines: Mapping[str, int]
    """The line of each place of the text, by its pointer."""

    @property
    def name(self) -> str:
        """Its stable name."""
        return self.model.scenario

    @property
    def steps(self) -> int:
        """How many steps it has: one at the start, one at the end, and those between."""
        return self.model.duration // self.model.every + 1

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what the scenario says, controller included; layout and comments play no part."""
        said: dict[str, Any] = {"scenario": self.document, "controller": self.table_document}
        return hashlib.sha256(rfc8785.dumps(said)).hexdigest()


def parse_scenario(text: str, tables: Mapping[str, object]) -> Scenario | InvalidScenario:
    """Read a scenario, or say everything that is wrong with it.

    Args:
        text: The YAML document.
        tables: The controllers' tables by name, as documents that were already loaded.

    """
    source = read_source(text)
    if isinstance(source, InvalidScenario):
        return source
    try:
        model = ScenarioDocument.model_validate_json(json.dumps(source.data), by_alias=True)
    except ValidationError as error:
        return InvalidScenario(tuple(_violations(error)), source.lines)
    table, found = _table(model, tables)
    found = [*found, *_Whole(model, table).violations()]
    if found or table is None:
        return InvalidScenario(tuple(found), source.lines)
    return Scenario(text, _document(source), model, table, tables[model.controller], source.lines)


def _document(source: Source) -> Mapping[str, Any]:
    assert isinstance(source.data, dict)
    return source.data


_CODES = {
    "missing": ScenarioCode.MISSING,
    "extra_forbidden": ScenarioCode.UNKNOWN_FIELD,
    "enum": ScenarioCode.UNKNOWN_VALUE,
    "literal_error": ScenarioCode.UNKNOWN_VALUE,
    "string_pattern_mismatch": ScenarioCode.WRONG_FORM,
    "wrong_form": ScenarioCode.WRONG_FORM,
    "unknown_value": ScenarioCode.UNKNOWN_VALUE,
    "text_not_allowed": ScenarioCode.TEXT_NOT_ALLOWED,
    "contradiction": ScenarioCode.CONTRADICTION,
    "out_of_range": ScenarioCode.OUT_OF_RANGE,
}
_RANGES = ("greater_than", "less_than", "too_long", "too_short", "finite_number")


def _violations(error: ValidationError) -> Iterator[Violation]:
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        kind = each["type"]
        ranged = any(part in kind for part in _RANGES)
        code = _CODES.get(kind, ScenarioCode.OUT_OF_RANGE if ranged else ScenarioCode.WRONG_TYPE)
        # A mapping's key that is itself invalid is reported at its entry.
        pointer = ""
        for part in each["loc"]:
            pointer = pointer if part == "[key]" else below(pointer, str(part))
        yield Violation(pointer, code, _reason(code, each["msg"]))


def _reason(code: ScenarioCode, message: str) -> str:
    if code is ScenarioCode.UNKNOWN_FIELD:
        return "The language has no such field here."
    if code is ScenarioCode.MISSING:
        return "Is required."
    said = message.replace("Input should", "Must").replace("Must be a valid", "Must be a")
    return said if said.endswith(".") else f"{said}."


def _table(model: ScenarioDocument, tables: Mapping[str, object]) -> tuple[ControllerTable | None, list[Violation]]:
    where = "/controller"
    if model.controller not in tables:
        known = ", ".join(sorted(tables)) or "none"
        reason = f"There is no table file of that name. There are: {known}."
        return None, [Violation(where, ScenarioCode.UNKNOWN_CONTROLLER, reason)]
    table = parse_table(tables[model.controller])
    if isinstance(table, InvalidTable):
        reasons = [f"In the table, at {each.pointer or '/'}: {each.code}: {each.reason}" for each in table.violations]
        return None, [Violation(where, ScenarioCode.INVALID_CONTROLLER, reason) for reason in reasons]
    missing = [name for name, kind in table.inputs.items() if INPUTS.get(name) is not kind]
    reasons = [f"The table's input {name} is none that the simulated controller has." for name in missing]
    return table, [Violation(where, ScenarioCode.INPUT_NOT_SIMULATED, reason) for reason in reasons]


class _Whole:
    """What only the whole of a scenario can show."""

    def __init__(self, model: ScenarioDocument, table: ControllerTable | None) -> None:
        self.model = model
        self.table = table
        self.found: list[Violation] = []

    def violations(self) -> list[Violation]:
        self._time()
        self._settings(self.model.start, "/start")
        for index, entry in enumerate(self.model.timeline):
            self._entry(entry, f"/timeline/{index}")
        self._limits()
        return self.found

    def _add(self, pointer: str, code: ScenarioCode, reason: str) -> None:
        self.found.append(Violation(pointer, code, reason))

    def _time(self) -> None:
        if self.model.every == 0:
            self._add("/every", ScenarioCode.OUT_OF_RANGE, "Must be a second at least.")
        elif self.model.duration // self.model.every >= MAX_STEPS:
            self._add("/duration", ScenarioCode.TOO_LARGE, f"A scenario has at most {MAX_STEPS:,} steps.")
        else:
            self._on_a_step(self.model.duration, "/duration")

    def _on_a_step(self, time_ms: int, pointer: str) -> None:
        if self.model.every and time_ms % self.model.every:
            reason = f"Must be a multiple of every, which is {duration_text(self.model.every)}."
            self._add(pointer, ScenarioCode.NOT_ON_A_STEP, reason)

    def _within(self, time_ms: int, pointer: str) -> None:
        self._on_a_step(time_ms, pointer)
        if time_ms > self.model.duration:
            reason = f"The scenario ends at {duration_text(self.model.duration)}."
            self._add(pointer, ScenarioCode.BEYOND_THE_END, reason)

    def _entry(self, entry: Entry, where: str) -> None:
        if entry.each is not None:
            self._within(entry.each, f"{where}/each")
            if entry.each == 0:
                self._add(f"{where}/each", ScenarioCode.OUT_OF_RANGE, "Must be longer than 0s.")
        if entry.at is not None:
            self._within(entry.at, f"{where}/at")
        if entry.set is not None:
            self._settings(entry.set, f"{where}/set")
        if entry.deliver is not None:
            for field in sorted(entry.deliver.model_fields_set - {"copies"}):
                time_ms = getattr(entry.deliver, field)
                pointer = f"{where}/deliver/{field}"
                if time_ms == 0:
                    self._add(pointer, ScenarioCode.OUT_OF_RANGE, "Must be longer than 0s.")
                self._on_a_step(time_ms, pointer)
                last = (entry.at or 0) + time_ms - (0 if field == "late_by" else self.model.every)
                if last > self.model.duration:
                    reason = f"The scenario ends at {duration_text(self.model.duration)}."
                    self._add(pointer, ScenarioCode.BEYOND_THE_END, reason)

    def _settings(self, settings: Settings, where: str) -> None:
        site = self.model.site
        needed = {
            "battery_on": ("battery", site.battery),
            "automatic_dispatch": ("battery", site.battery),
            "manual_charge": ("battery", site.battery),
            "manual_discharge": ("battery", site.battery),
            "peak_shaving": ("peak_shaving", site.peak_shaving),
            "der_export_limit": ("der", site.der),
        }
        for field, (part, there) in needed.items():
            if there is None and getattr(settings, field) is not None:
                self._add(f"{where}/{field}", ScenarioCode.NOT_ON_SITE, f"The site has no {part}.")
        inputs = () if self.table is None else self.table.inputs
        for index, name in enumerate(settings.unavailable or []):
            if self.table is not None and name not in inputs:
                reason = f"The controller's inputs are: {', '.join(inputs)}."
                self._add(f"{where}/unavailable/{index}", ScenarioCode.UNKNOWN_VALUE, reason)

    def _limits(self) -> None:
        site, changes = self.model.site, [self.model.start, *(each.set for each in self.model.timeline if each.set)]
        import_limits = [watts(each.import_limit_kw) for each in changes if each.import_limit_kw is not None]
        fail_safes = [watts(each.fail_safe_kw) for each in changes if each.fail_safe_kw is not None]
        lowest = min([watts(site.grid.import_limit_kw), *import_limits])
        load = curve(site.load.kw, site.load.noise_percent).highest_w
        fail_safe = max([watts(site.charging.fail_safe_kw), *fail_safes])
        if load > lowest:
            reason = f"The load can reach {load:,} W, and the grid connection carries {lowest:,} W at its lowest."
            self._add("/site/load", ScenarioCode.LOAD_BEYOND_GRID, reason)
        elif load + fail_safe > lowest:
            reason = f"With the load that is up to {load + fail_safe:,} W; the grid connection carries {lowest:,} W."
            self._add("/site/charging/fail_safe_kw", ScenarioCode.FAIL_SAFE_BEYOND_GRID, reason)
        if sum(group.count for group in site.buses) > MAX_BUSES:
            self._add("/site/buses", ScenarioCode.TOO_LARGE, f"A scenario has at most {MAX_BUSES:,} buses.")

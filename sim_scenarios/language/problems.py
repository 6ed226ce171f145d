"""What can be wrong with a scenario, by stable codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.base.violations import Violation


class ScenarioCode(StrEnum):
    """Which rule of the scenario language a document breaks."""

    WRONG_YAML = "WRONG_YAML"
    """Not one YAML document of plain mappings, lists, texts, numbers, true, false and null."""
    TOO_LARGE = "TOO_LARGE"
    """More than a scenario may have: bytes, values, steps or buses."""
    REPEATED_KEY = "REPEATED_KEY"
    """A mapping has a key twice."""
    MISSING = "MISSING"
    """A required field is not there."""
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    """The language has no such field here."""
    WRONG_TYPE = "WRONG_TYPE"
    """A text where a number belongs, say."""
    UNKNOWN_VALUE = "UNKNOWN_VALUE"
    """None of the values that the field takes."""
    OUT_OF_RANGE = "OUT_OF_RANGE"
    """A number, a text or a list that is too small or too large."""
    WRONG_FORM = "WRONG_FORM"
    """A text that has not the form of the field: of a duration, say."""
    TEXT_NOT_ALLOWED = "TEXT_NOT_ALLOWED"
    """A text that holds what no text of the product holds, written as it is or as an escape, or that shows nothing."""
    CONTRADICTION = "CONTRADICTION"
    """Two fields that do not go together."""
    UNKNOWN_CONTROLLER = "UNKNOWN_CONTROLLER"
    """There is no table file of that name."""
    INVALID_CONTROLLER = "INVALID_CONTROLLER"
    """The table file is wrong in itself."""
    INPUT_NOT_SIMULATED = "INPUT_NOT_SIMULATED"
    """The table wants an input that the simulated controller does not have."""
    NOT_ON_A_STEP = "NOT_ON_A_STEP"
    """A time that is no multiple of the step."""
    BEYOND_THE_END = "BEYOND_THE_END"
    """A time after the scenario's end."""
    NOT_ON_SITE = "NOT_ON_SITE"
    """The site has no such part: no battery to switch, say."""
    LOAD_BEYOND_GRID = "LOAD_BEYOND_GRID"
    """The site's load alone can exceed what the grid connection carries."""
    FAIL_SAFE_BEYOND_GRID = "FAIL_SAFE_BEYOND_GRID"
    """Site load and fail-safe capacity together can exceed what the grid connection carries."""
    EXPECTATION_NOT_MET = "EXPECTATION_NOT_MET"
    """What the scenario itself sends is not what it expects to be sent."""


@dataclass(frozen=True)
class InvalidScenario:
    """A document that is no scenario: all that is wrong with it, and where."""

    violations: tuple[Violation, ...]
    lines: Mapping[str, int]
    """The line of each place, by its pointer, for those who write by hand; counted from 1."""

    def line(self, pointer: str) -> int | None:
        """Return the line of the place, or of the nearest one around it."""
        while pointer not in self.lines:
            if not pointer:
                return None
            pointer = pointer.rpartition("/")[0]
        return self.lines[pointer]

"""Reads YAML without its traps, for people who write it by hand.

What differs from PyYAML's own loader: ``on``, ``off``, ``yes`` and ``no`` are texts, as is ``12:30``, a key that is
there twice is an error, tags do not exist, and for everything it is known on which line it stands. Each text is in its
one form (``domain.base.texts``) and fit to be shown, once its escapes are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Never

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from domain.base.texts import fault_of, normal, why_not
from domain.base.violations import Violation, below
from sim_scenarios.language.problems import InvalidScenario, ScenarioCode

MAX_BYTES = 262_144
"""Of one file. The largest preset has a few thousand."""
MAX_VALUES = 20_000
"""In one file, those that an alias repeats counted each time."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")
}
"""What PyYAML resolves untagged nodes to."""


@dataclass(frozen=True)
class Source:
    """A document as it was written."""

    data: Any
    lines: dict[str, int]
    """Line by pointer, counted from 1."""


class _WrongYamlError(Exception):
    def __init__(self, pointer: str, line: int, code: ScenarioCode, reason: str) -> None:
        super().__init__(reason)
        self.found = InvalidScenario((Violation(pointer, code, reason),), {pointer: line})


def read_source(text: str) -> Source | InvalidScenario:
    """Read one YAML document; what cannot be read is reported with its line."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        reason = f"A file has at most {MAX_BYTES:,} bytes."
        return InvalidScenario((Violation("", ScenarioCode.TOO_LARGE, reason),), {})
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        reader = _Reader()
        found = Source(None if node is None else reader.value(node, ""), reader.lines)
    except _WrongYamlError as error:
        return error.found
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        return _unreadable(f"{error.problem or 'Cannot be read'}.", line)
    except (yaml.YAMLError, RecursionError, ValueError):
        return _unreadable("Cannot be read as YAML.", 1)
    return _unseen(text) or found


def _unseen(text: str) -> InvalidScenario | None:
    """Say what of the file, comments included, does not look like what it is."""
    for place, line in enumerate(normal(text, lines=True).split("\n"), start=1):
        fault = fault_of(line, lines=True)
        if fault is not None:
            return InvalidScenario((Violation("", ScenarioCode.TEXT_NOT_ALLOWED, why_not(fault)),), {"": place})
    return None


def _unreadable(reason: str, line: int) -> InvalidScenario:
    return InvalidScenario((Violation("", ScenarioCode.WRONG_YAML, reason[:1].upper() + reason[1:]),), {"": line})


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self._values = 0

    def value(self, node: Node, pointer: str) -> Any:
        self.lines.setdefault(pointer, node.start_mark.line + 1)
        self._values += 1
        if self._values > MAX_VALUES:
            self._fail(node, pointer, ScenarioCode.TOO_LARGE, f"A file has at most {MAX_VALUES:,} values.")
        if node.tag not in _TAGS:
            self._fail(node, pointer, ScenarioCode.WRONG_YAML, "Tags are not used here.")
        if isinstance(node, ScalarNode):
            return _scalar(node, self._text(node, pointer))
        if isinstance(node, SequenceNode):
            return [self.value(item, f"{pointer}/{index}") for index, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        return self._mapping(node, pointer)

    def _mapping(self, node: MappingNode, pointer: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                self._fail(key, pointer, ScenarioCode.WRONG_YAML, "A key is a text.")
            name = self._text(key, pointer)
            where = below(pointer, name)
            if name in made:
                self._fail(key, where, ScenarioCode.REPEATED_KEY, "This key is there twice.")
            self.lines[where] = key.start_mark.line + 1
            made[name] = self.value(item, where)
        return made

    def _text(self, node: ScalarNode, pointer: str) -> str:
        text = normal(node.value, lines=True)
        fault = fault_of(text, lines=True)
        if fault is not None:
            self._fail(node, pointer, ScenarioCode.TEXT_NOT_ALLOWED, why_not(fault))
        return text

    def _fail(self, node: Node, pointer: str, code: ScenarioCode, reason: str) -> Never:
        raise _WrongYamlError(pointer, node.start_mark.line + 1, code, reason)


def _scalar(node: ScalarNode, text: str) -> str | int | float | bool | None:
    if node.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text

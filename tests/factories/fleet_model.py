"""What an import must come to, said a second time: one line after the other, in plain Python, without a database.

The model follows docs/decisions/0006: whoever changes one changes the other, and the tests say where they part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from domain.base.bounds import DEVICES, GATEWAYS, POWER_SOURCES, Bound
from domain.site.circuits import MAX_CIRCUITS, MAX_DEPTH

Line: TypeAlias = Mapping[str, Any]
Key: TypeAlias = tuple[str, str]
"""A type and an id."""


@dataclass
class Report:
    """What one import came to: the lines by their numbers."""

    landed: set[int] = field(default_factory=set[int])
    unchanged: set[int] = field(default_factory=set[int])
    refused: dict[int, str] = field(default_factory=dict[int, str])


@dataclass
class Fleet:
    """What is stored."""

    rows: dict[Key, Line] = field(default_factory=dict[Key, Line])
    """The content of each thing as its line said it, without the position."""
    children: dict[tuple[str, str | None], list[str]] = field(default_factory=dict[tuple[str, str | None], list[str]])
    """Circuits in their order, by depot and parent."""

    def take(self, lines: Sequence[Line]) -> Report:
        """Import ``lines``, which are numbered from 1. A line with a blank name is one that is refused by itself."""
        return _Import(self, lines).run()


def key_of(line: Line) -> Key:
    """The type and the id of a line."""
    return line["type"], line["id"]


def content_of(line: Line) -> Line:
    """What counts when a line is compared with what is stored."""
    return {name: value for name, value in line.items() if name != "position"}


def _place(judged: tuple[int, Line, str | None]) -> tuple[float, int]:
    """Where a new circuit comes among its new siblings."""
    number, line, _ = judged
    position = line.get("position")
    return float("inf") if position is None else position, number


class _Import:
    def __init__(self, fleet: Fleet, lines: Sequence[Line]) -> None:
        self.fleet = fleet
        self.report = Report()
        self.broken: set[Key] = set()
        self.first: dict[Key, tuple[int, Line]] = {}
        self.repeats: list[tuple[int, Line]] = []
        for number, line in enumerate(lines, 1):
            if not line["name"].strip():
                self.report.refused[number] = "INVALID_NAME"
                self.broken.add(key_of(line))
            elif key_of(line) in self.first:
                self.repeats.append((number, line))
            else:
                self.first[key_of(line)] = number, line
        self.new: list[tuple[int, Line]] = []

    def run(self) -> Report:
        self._compare()
        for number, line in self._new("depot"):
            self._land(number, line, None)
        judged = [(number, line, self._circuit(line)) for number, line in self._new("circuit")]
        full = self._full_depots(judged)
        for number, line, code in sorted(judged, key=_place):
            too_many = "TOO_MANY_CIRCUITS" if line["depot_id"] in full else None
            self._land(number, line, code or too_many)
        self._land_bounded("gateway", GATEWAYS, self._depot)
        self._land_bounded("device", DEVICES, self._device)
        self._land_bounded(
            "power_source", POWER_SOURCES, lambda line: self._depot(line) or self._link(line, line["depot_id"])
        )
        for number, line in self.repeats:
            if self.fleet.rows.get(key_of(line)) == content_of(line):
                self.report.unchanged.add(number)
            else:
                self.report.refused[number] = "REPEATED_ID"
        return self.report

    def _compare(self) -> None:
        for key, (number, line) in self.first.items():
            if key not in self.fleet.rows:
                self.new.append((number, line))
            elif self.fleet.rows[key] == content_of(line):
                self.report.unchanged.add(number)
            else:
                self.report.refused[number] = "CONTENT_DIFFERS"

    def _new(self, kind: str) -> list[tuple[int, Line]]:
        return [(number, line) for number, line in self.new if line["type"] == kind]

    def _land(self, number: int, line: Line, code: str | None) -> None:
        """Store a line that nothing speaks against."""
        if code is not None:
            self.report.refused[number] = code
            return
        self.report.landed.add(number)
        self.fleet.rows[key_of(line)] = content_of(line)
        if line["type"] == "circuit":
            self.fleet.children.setdefault((line["depot_id"], line.get("parent_id")), []).append(line["id"])

    def _land_bounded(self, kind: str, bound: Bound, judge: Callable[[Line], str | None]) -> None:
        """Store good lines of a kind, then take them out again at depots that have too many with them."""
        new = self._new(kind)
        for number, line in new:
            self._land(number, line, judge(line))
        stored = Counter(self._site_of(row) for (each, _), row in self.fleet.rows.items() if each == kind)
        for number, line in new:
            if number in self.report.landed and stored[self._site_of(line)] > bound.most:
                self.report.landed.remove(number)
                del self.fleet.rows[key_of(line)]
                self.report.refused[number] = bound.code

    def _site_of(self, line: Line) -> str:
        """The depot of a line that landed."""
        return (
            self.fleet.rows["gateway", line["gateway_id"]]["depot_id"] if line["type"] == "device" else line["depot_id"]
        )

    def _full_depots(self, judged: Sequence[tuple[int, Line, str | None]]) -> set[str]:
        """The depots that would have too many circuits with their good lines."""
        wanted = Counter(line["depot_id"] for _, line, code in judged if code is None)
        stored = Counter(row["depot_id"] for (kind, _), row in self.fleet.rows.items() if kind == "circuit")
        return {depot for depot in wanted if wanted[depot] + stored[depot] > MAX_CIRCUITS}

    def _depot(self, line: Line) -> str | None:
        if ("depot", line["depot_id"]) in self.fleet.rows:
            return None
        return "DEPOT_REFUSED" if ("depot", line["depot_id"]) in self.broken else "DEPOT_NOT_FOUND"

    def _circuit(self, line: Line) -> str | None:
        """Judge a circuit by the whole way up from it."""
        code = self._depot(line)
        if code is not None:
            return code
        depot, above = line["depot_id"], [line]
        while (parent_id := above[-1].get("parent_id")) is not None and self._depot_of(parent_id) != depot:
            _, parent = self.first.get(("circuit", parent_id), (0, None))
            if parent is None or parent["depot_id"] != depot:
                return self._orphan(parent_id, parent) if len(above) == 1 else "PARENT_REFUSED"
            if self._depot_of(parent_id) is not None:
                return "PARENT_REFUSED"
            if parent in above:
                return "CIRCUIT_CYCLE" if parent is line else "PARENT_REFUSED"
            above.append(parent)
        depth = len(above) + self._stored_depth(parent_id)
        if depth <= MAX_DEPTH:
            return None
        return "CIRCUIT_TREE_TOO_DEEP" if depth == MAX_DEPTH + 1 else "PARENT_REFUSED"

    def _orphan(self, parent_id: str, parent: Line | None) -> str:
        if parent is not None or self._depot_of(parent_id) is not None:
            return "PARENT_IN_OTHER_DEPOT"
        return "PARENT_REFUSED" if ("circuit", parent_id) in self.broken else "PARENT_NOT_FOUND"

    def _depot_of(self, circuit_id: str) -> str | None:
        """The depot of a circuit that is stored."""
        stored = self.fleet.rows.get(("circuit", circuit_id))
        return None if stored is None else stored["depot_id"]

    def _stored_depth(self, at: str | None) -> int:
        depth = 0
        while at is not None:
            depth += 1
            at = self.fleet.rows["circuit", at].get("parent_id")
        return depth

    def _device(self, line: Line) -> str | None:
        gateway = self.fleet.rows.get(("gateway", line["gateway_id"]))
        if gateway is None:
            told = ("gateway", line["gateway_id"])
            return "GATEWAY_REFUSED" if told in self.first or told in self.broken else "GATEWAY_NOT_FOUND"
        code = self._link(line, gateway["depot_id"])
        if code is not None:
            return code
        taken = any(
            kind == "device" and (row["gateway_id"], row["sensor_id"]) == (line["gateway_id"], line["sensor_id"])
            for (kind, _), row in self.fleet.rows.items()
        )
        return "REPEATED_SENSOR" if taken else None

    def _link(self, line: Line, depot: str) -> str | None:
        circuit_id = line.get("circuit_id")
        if circuit_id is None or self._depot_of(circuit_id) == depot:
            return None
        _, told = self.first.get(("circuit", circuit_id), (0, None))
        if self._depot_of(circuit_id) is not None or (told is not None and told["depot_id"] != depot):
            return "CIRCUIT_IN_OTHER_DEPOT"
        refused = told is not None or ("circuit", circuit_id) in self.broken
        return "CIRCUIT_REFUSED" if refused else "CIRCUIT_NOT_FOUND"

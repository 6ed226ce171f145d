"""The circuits of a depot that is being created: lines with a level, as in an outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from api.ui.base.forms import FieldErrors, read_kilowatts, read_name
from domain.site.circuits import MAX_DEPTH


@dataclass(frozen=True)
class Line:
    """One circuit as it was filled in."""

    name: str = ""
    kilowatts: str = ""
    level: int = 0
    """0: a top-level circuit; else it hangs under the nearest line above with one level less."""

    @property
    def is_blank(self) -> bool:
        """Whether nothing was filled in."""
        return not self.name.strip() and not self.kilowatts.strip()


class Outline:
    """Lines whose levels always make a tree: the first is 0, and none is more than one below the line above."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines: list[Line] = []
        for line in lines:
            deepest = self.lines[-1].level + 1 if self.lines else 0
            self.lines.append(replace(line, level=max(0, min(line.level, deepest, MAX_DEPTH - 1))))

    def end(self, place: int) -> int:
        """Where the lines below the line at ``place`` end."""
        level = self.lines[place].level
        below = (each for each in range(place + 1, len(self.lines)) if self.lines[each].level <= level)
        return next(below, len(self.lines))

    def may_indent(self, place: int) -> bool:
        """Whether the line has a sibling above to hang under."""
        deepest = max(line.level for line in self.lines[place : self.end(place)])
        return place > 0 and self.lines[place].level <= self.lines[place - 1].level and deepest < MAX_DEPTH - 1

    def may_outdent(self, place: int) -> bool:
        """Whether the line hangs under another."""
        return self.lines[place].level > 0

    def may_grow(self, place: int) -> bool:
        """Whether a circuit may hang under the line."""
        return self.lines[place].level < MAX_DEPTH - 1

    def act(self, action: str, place: int) -> int:
        """Do what a button asked for; answer at which line one goes on. What is not possible changes nothing."""
        if not self.lines or not 0 <= place < len(self.lines):
            self.lines.append(Line())
            return len(self.lines) - 1
        end = self.end(place)
        level = self.lines[place].level
        if action == "beside":
            self.lines.insert(end, Line(level=level))
            return end
        if action == "below" and self.may_grow(place):
            self.lines.insert(end, Line(level=level + 1))
            return end
        if action == "remove":
            del self.lines[place:end]
            self.lines = Outline(self.lines).lines
            return min(place, len(self.lines) - 1)
        step = {"indent": int(self.may_indent(place)), "outdent": -int(self.may_outdent(place))}.get(action, 0)
        for each in range(place, end):
            self.lines[each] = replace(self.lines[each], level=self.lines[each].level + step)
        return place

    def read(self, errors: FieldErrors) -> list[dict[str, Any]]:
        """Make the nested circuits of it; a blank line with nothing below it is left out."""
        top: list[dict[str, Any]] = []
        path: list[list[dict[str, Any]]] = [top]
        for place, line in enumerate(self.lines):
            if line.is_blank and self.end(place) == place + 1:
                continue
            circuit: dict[str, Any] = {
                "name": errors.check(f"circuit-{place}-name", lambda given=line.name: read_name(given)),
                "rated_power_w": errors.check(
                    f"circuit-{place}-kilowatts", lambda given=line.kilowatts: read_kilowatts(given)
                ),
                "children": [],
            }
            del path[line.level + 1 :]
            path[line.level].append(circuit)
            path.append(circuit["children"])
        return top

"""How many things of a kind a depot may have. A real site is far below, and all that is done for one stays short."""

from __future__ import annotations

from dataclasses import dataclass

from domain.base.problems import Problem, ProblemCode


@dataclass(frozen=True)
class Bound:
    """The most of one kind of thing that a depot may have.

    A depot that has more already keeps them all; it only gets no more.
    """

    most: int
    things: str
    """What is counted, in the plural."""
    code: ProblemCode
    """What more are refused with."""

    def check(self, count: int) -> None:
        """Refuse a depot that would have ``count`` of them.

        Raises:
            Problem: ``code``, where that is too many.

        """
        if count > self.most:
            raise Problem(self.code, f"A depot has at most {self.most:,} {self.things}; this would be {count:,}.")


CIRCUITS = Bound(5_000, "circuits, on all levels together", ProblemCode.TOO_MANY_CIRCUITS)
"""Real sites have some dozens, the largest some hundreds."""
GATEWAYS = Bound(200, "gateways", ProblemCode.TOO_MANY_GATEWAYS)
"""Real sites have one to ten."""
DEVICES = Bound(2_000, "devices, at all gateways together", ProblemCode.TOO_MANY_DEVICES)
"""Real sites have some hundreds: a charger for each bus, meters, and a controller or two."""
POWER_SOURCES = Bound(500, "power sources", ProblemCode.TOO_MANY_POWER_SOURCES)
"""Real sites have one to ten. Dialogs offer them all in one list."""

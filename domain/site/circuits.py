"""A depot's circuits as a forest: who hangs under whom, in which order, and what may be changed.

Positions are dense: the children of a circuit (and the top-level circuits of a depot) are numbered from 0
without a gap, whatever is added, moved or removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from domain.base.bounds import CIRCUITS
from domain.base.problems import Problem, ProblemCode

MAX_DEPTH = 32
"""Levels from a top-level circuit down. Real sites have five or six; the bound keeps every walk short."""
MAX_CIRCUITS = CIRCUITS.most
"""Circuits of one depot, on all levels together."""
MAX_POSITION = 2**31 - 1
"""What PostgreSQL's integer holds."""
MAX_RATED_POWER_W = 1e10
"""Watts. Ten gigawatts: more can only be a slip."""


def path_of(names: Iterable[str]) -> str:
    """How the place of a circuit is written: the names from the top-level circuit down."""
    return " \u203a ".join(names)


@dataclass(frozen=True)
class CircuitPlace:
    """Where one circuit is: under which circuit (None: top level), and as which of its siblings."""

    circuit_id: UUID
    parent_id: UUID | None
    position: int


class CircuitTree:
    """The places of one depot's circuits, and the changes that keep them a forest in dense order.

    Every change answers with the places that are different afterwards, ready to be stored.
    """

    def __init__(self, places: Iterable[CircuitPlace]) -> None:
        self._parent: dict[UUID, UUID | None] = {}
        self._children: dict[UUID | None, list[UUID]] = {}
        ordered = sorted(places, key=lambda place: place.position)
        for place in ordered:
            self._parent[place.circuit_id] = place.parent_id
            self._children.setdefault(place.parent_id, []).append(place.circuit_id)
        self._stored = {place.circuit_id: place for place in ordered}

    def __contains__(self, circuit_id: UUID) -> bool:
        return circuit_id in self._parent

    def children(self, parent_id: UUID | None) -> tuple[UUID, ...]:
        """The circuits directly under ``parent_id``, in their order; of None, the top-level circuits."""
        return tuple(self._children.get(parent_id, ()))

    def walk(self, parent_id: UUID | None = None) -> Iterator[UUID]:
        """Every circuit below ``parent_id``, a parent before its children, siblings in their order."""
        stack = list(reversed(self.children(parent_id)))
        while stack:
            circuit_id = stack.pop()
            yield circuit_id
            stack.extend(reversed(self.children(circuit_id)))

    def add(self, circuit_id: UUID, parent_id: UUID | None, position: int | None) -> list[CircuitPlace]:
        """Put a new circuit under ``parent_id`` at ``position`` (None or beyond the end: last).

        Raises:
            Problem: ``PARENT_NOT_FOUND``, ``CIRCUIT_TREE_TOO_DEEP`` or ``TOO_MANY_CIRCUITS``.

        """
        self._require_parent(parent_id)
        self._require_depth(self._depth(parent_id) + 1)
        CIRCUITS.check(len(self._parent) + 1)
        return self._changed(parent_id, self._insert(circuit_id, parent_id, position))

    def move(self, circuit_id: UUID, parent_id: UUID | None, position: int | None) -> list[CircuitPlace]:
        """Put an existing circuit, with all below it, under ``parent_id`` at ``position``.

        Without a position, a circuit that stays under its parent keeps its place and one that changes
        its parent comes last.

        Raises:
            Problem: ``CIRCUIT_NOT_FOUND``, ``PARENT_NOT_FOUND``, ``CIRCUIT_CYCLE`` or ``CIRCUIT_TREE_TOO_DEEP``.

        """
        self._require(circuit_id)
        self._require_parent(parent_id)
        if parent_id is not None and (parent_id == circuit_id or parent_id in set(self.walk(circuit_id))):
            raise Problem(
                ProblemCode.CIRCUIT_CYCLE,
                "A circuit cannot be its own parent or be moved below itself.",
                "parent_id",
            )
        stays = self._parent[circuit_id] == parent_id
        if stays and position is None:
            return []
        self._require_depth(self._depth(parent_id) + self._height(circuit_id))
        left = self._parent[circuit_id]
        gap = self._take_out(circuit_id)
        place = self._insert(circuit_id, parent_id, position)
        if stays:
            return self._changed(parent_id, min(gap, place))
        return self._changed(left, gap) + self._changed(parent_id, place)

    def remove(self, circuit_id: UUID, *, cascade: bool) -> tuple[list[UUID], list[CircuitPlace]]:
        """Take a circuit out, with all below it where ``cascade`` says so.

        Returns:
            The circuits that go, children before their parents, and the places that change.

        Raises:
            Problem: ``CIRCUIT_NOT_FOUND``, or ``CIRCUIT_HAS_CHILDREN`` without ``cascade``.

        """
        self._require(circuit_id)
        below = list(self.walk(circuit_id))
        if below and not cascade:
            raise Problem(
                ProblemCode.CIRCUIT_HAS_CHILDREN,
                f"{len(below)} circuits are below this one. Move them first, or ask for the cascade.",
            )
        gone = [*reversed(below), circuit_id]
        left = self._parent[circuit_id]
        gap = self._take_out(circuit_id)
        for each in gone:
            self._children.pop(each, None)
            del self._parent[each]
            del self._stored[each]
        return gone, self._changed(left, gap)

    def _take_out(self, circuit_id: UUID) -> int:
        """Take a circuit from its siblings; answer where it was."""
        siblings = self._children[self._parent[circuit_id]]
        place = siblings.index(circuit_id)
        del siblings[place]
        return place

    def _insert(self, circuit_id: UUID, parent_id: UUID | None, position: int | None) -> int:
        """Put a circuit among its new siblings; answer where it is."""
        siblings = self._children.setdefault(parent_id, [])
        place = len(siblings) if position is None else min(position, len(siblings))
        siblings.insert(place, circuit_id)
        self._parent[circuit_id] = parent_id
        return place

    def _changed(self, parent_id: UUID | None, first: int) -> list[CircuitPlace]:
        """The children of a circuit from the place ``first`` on whose place is not the stored one.

        Nothing before ``first`` has changed, so that adding one circuit after the other does not look at all of them
        each time.
        """
        changed: list[CircuitPlace] = []
        siblings = self._children.get(parent_id, [])
        for position in range(first, len(siblings)):
            place = CircuitPlace(siblings[position], parent_id, position)
            if self._stored.get(place.circuit_id) != place:
                changed.append(place)
        self._stored.update((place.circuit_id, place) for place in changed)
        return changed

    def _depth(self, circuit_id: UUID | None) -> int:
        depth = 0
        while circuit_id is not None:
            depth += 1
            circuit_id = self._parent[circuit_id]
        return depth

    def _height(self, circuit_id: UUID) -> int:
        height, level = 0, [circuit_id]
        while level:
            height += 1
            level = [child for each in level for child in self.children(each)]
        return height

    def _require(self, circuit_id: UUID) -> None:
        if circuit_id not in self._parent:
            raise Problem(ProblemCode.CIRCUIT_NOT_FOUND, f"There is no circuit {circuit_id}.")

    def _require_parent(self, parent_id: UUID | None) -> None:
        if parent_id is not None and parent_id not in self._parent:
            raise Problem(
                ProblemCode.PARENT_NOT_FOUND,
                f"There is no circuit {parent_id} in this depot to be the parent.",
                "parent_id",
            )

    @staticmethod
    def _require_depth(depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Problem(
                ProblemCode.CIRCUIT_TREE_TOO_DEEP, f"Circuits nest at most {MAX_DEPTH} levels deep.", "parent_id"
            )

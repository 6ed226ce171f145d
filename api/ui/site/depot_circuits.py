"""A depot's circuits as dialogs offer them: by path, by place, by parent."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from domain.site.circuits import CircuitPlace, CircuitTree, path_of
from store.base.off_loop import off_loop
from store.site.circuits import CircuitRecord, list_circuits


class DepotCircuits:
    """A depot's circuits, with what dialogs ask of them."""

    def __init__(self, records: list[CircuitRecord]) -> None:
        self.by_id = {record.circuit_id: record for record in records}
        self.tree = CircuitTree(CircuitPlace(each.circuit_id, each.parent_id, each.position) for each in records)
        self._paths: dict[UUID, str] = {}
        for circuit_id in self.tree.walk():
            circuit = self.by_id[circuit_id]
            above = () if circuit.parent_id is None else (self._paths[circuit.parent_id],)
            self._paths[circuit_id] = path_of((*above, circuit.name))

    def find(self, circuit_id: UUID) -> CircuitRecord:
        """One circuit of this depot.

        Raises:
            Problem: ``CIRCUIT_NOT_FOUND``.

        """
        if circuit_id not in self.by_id:
            raise Problem(ProblemCode.CIRCUIT_NOT_FOUND, f"There is no circuit {circuit_id} in this depot.")
        return self.by_id[circuit_id]

    def below(self, circuit_id: UUID) -> list[CircuitRecord]:
        """All circuits below one."""
        return [self.by_id[each] for each in self.tree.walk(circuit_id)]

    def parents(self, without: UUID | None = None) -> list[tuple[UUID, str]]:
        """The circuits that a circuit may hang under: all but itself and those below it, each by its path."""
        barred = set[UUID]() if without is None else {without, *self.tree.walk(without)}
        return [(circuit_id, path) for circuit_id, path in self._paths.items() if circuit_id not in barred]

    def siblings(self, circuit: CircuitRecord) -> list[CircuitRecord]:
        """The other circuits under the same parent, in their order."""
        return [self.by_id[each] for each in self.tree.children(circuit.parent_id) if each != circuit.circuit_id]

    def before(self, circuit: CircuitRecord) -> UUID | None:
        """The sibling that a circuit comes after; None: it is the first."""
        siblings = self.tree.children(circuit.parent_id)
        place = siblings.index(circuit.circuit_id)
        return siblings[place - 1] if place else None

    def place(self, circuit: CircuitRecord, after: str) -> int:
        """The position after the sibling that was chosen by its id; empty: the first.

        Raises:
            Problem: ``INVALID_REQUEST``: there is no such sibling, or not any more.

        """
        siblings = ["", *(str(each.circuit_id) for each in self.siblings(circuit))]
        if after not in siblings:
            raise Problem(ProblemCode.INVALID_REQUEST, "Choose one of these. The siblings may have changed meanwhile.")
        return siblings.index(after)


async def read_circuits(engine: AsyncEngine, depot_id: UUID) -> DepotCircuits:
    """Read a depot's circuits.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    async with engine.connect() as connection:
        found = await list_circuits(connection, depot_id)
    return await off_loop(len(found), DepotCircuits, found)

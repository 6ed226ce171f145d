"""How a microgrid's first-level grid connections follow its depot's top-level circuits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.provisioning.outcomes import ChangeCounts, NodeChange


@dataclass(frozen=True)
class TopLevelCircuit:
    """A circuit without a parent, as the depot orders it."""

    circuit_id: UUID
    name: str


@dataclass(frozen=True)
class GridConnection:
    """A persisted first-level node of the microgrid, as the microgrid orders it."""

    circuit_id: UUID
    name: str
    position: int


@dataclass(frozen=True)
class ReconcilePlan:
    """What must change so that the nodes equal the top-level circuits, in their order."""

    target: tuple[GridConnection, ...]
    """The nodes as they must be afterwards."""
    added: tuple[NodeChange, ...]
    removed: tuple[NodeChange, ...]
    renamed: tuple[NodeChange, ...]
    moved: tuple[NodeChange, ...]
    version_moves: bool
    """Whether the set or the order of the nodes changes (COR-8.11). A rename alone does not move it."""
    rewritten: tuple[GridConnection, ...]
    """The nodes of ``target`` that are not stored like that: new, or with another name or place."""
    rewrites: bool
    """Whether any stored node differs from its target, be it only by a gap in the positions."""

    @property
    def counts(self) -> ChangeCounts:
        """How many grid connections change, by kind."""
        return ChangeCounts(len(self.added), len(self.removed), len(self.renamed), len(self.moved))


def plan_reconcile(nodes: Sequence[GridConnection], circuits: Sequence[TopLevelCircuit]) -> ReconcilePlan:
    """Compare the persisted nodes with the top-level circuits, both in their own order.

    Applying the plan and planning again gives a plan that does nothing (COR-8.11).
    """
    before = {node.circuit_id: node for node in nodes}
    after = {circuit.circuit_id: circuit for circuit in circuits}
    target = tuple(
        GridConnection(circuit.circuit_id, circuit.name, position) for position, circuit in enumerate(circuits)
    )
    added = tuple(NodeChange(c.circuit_id, c.name) for c in circuits if c.circuit_id not in before)
    removed = tuple(NodeChange(n.circuit_id, n.name) for n in nodes if n.circuit_id not in after)
    renamed = tuple(
        NodeChange(c.circuit_id, c.name, before[c.circuit_id].name)
        for c in circuits
        if c.circuit_id in before and before[c.circuit_id].name != c.name
    )
    stayed_before = [node.circuit_id for node in nodes if node.circuit_id in after]
    stayed_after = [circuit.circuit_id for circuit in circuits if circuit.circuit_id in before]
    old_rank = {circuit_id: rank for rank, circuit_id in enumerate(stayed_before)}
    moved = tuple(
        NodeChange(circuit_id, after[circuit_id].name)
        for rank, circuit_id in enumerate(stayed_after)
        if old_rank[circuit_id] != rank
    )
    rewritten = tuple(node for node in target if before.get(node.circuit_id) != node)
    return ReconcilePlan(
        target=target,
        added=added,
        removed=removed,
        renamed=renamed,
        moved=moved,
        version_moves=[node.circuit_id for node in nodes] != [circuit.circuit_id for circuit in circuits],
        rewritten=rewritten,
        rewrites=bool(removed or rewritten),
    )

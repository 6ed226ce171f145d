"""The circuit tree against a plain model: nested lists, changed in the obvious way."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from domain.base.problems import Problem, ProblemCode
from domain.site.circuits import MAX_DEPTH, CircuitPlace, CircuitTree


class TreeAgainstModel(RuleBasedStateMachine):
    """Random changes on the tree and on ``children``, a plain table from parent to ordered children."""

    circuits = Bundle("circuits")

    def __init__(self) -> None:
        super().__init__()
        self.children: dict[UUID | None, list[UUID]] = {None: []}
        self.stored: dict[UUID, CircuitPlace] = {}
        self.tree = CircuitTree(())

    def store(self, changed: list[CircuitPlace]) -> None:
        """Do what the store does, and begin again from what it holds: nothing lives in the tree alone."""
        self.stored.update((place.circuit_id, place) for place in changed)
        self.tree = CircuitTree(self.stored.values())

    def below(self, circuit_id: UUID) -> set[UUID]:
        found: set[UUID] = set()
        for child in self.children.get(circuit_id, []):
            found |= {child} | self.below(child)
        return found

    def parent_of(self, circuit_id: UUID) -> UUID | None:
        return next(parent for parent, each in self.children.items() if circuit_id in each)

    @rule(target=circuits, parent=st.none() | circuits, position=st.none() | st.integers(0, 6))
    def add(self, parent: UUID | None, position: int | None) -> UUID:
        circuit_id = uuid4()
        siblings = self.children[parent]
        siblings.insert(len(siblings) if position is None else position, circuit_id)
        self.children[circuit_id] = []
        self.store(self.tree.add(circuit_id, parent, position))
        return circuit_id

    @rule(circuit=circuits, parent=st.none() | circuits, position=st.none() | st.integers(0, 6))
    def move(self, circuit: UUID, parent: UUID | None, position: int | None) -> None:
        if parent is not None and (parent == circuit or parent in self.below(circuit)):
            with pytest.raises(Problem) as refused:
                self.tree.move(circuit, parent, position)
            assert refused.value.code is ProblemCode.CIRCUIT_CYCLE
            return
        before = self.parent_of(circuit)
        if not (before == parent and position is None):
            self.children[before].remove(circuit)
            siblings = self.children[parent]
            siblings.insert(len(siblings) if position is None else position, circuit)
        self.store(self.tree.move(circuit, parent, position))

    @rule(target=circuits, circuit=consumes(circuits))
    def remove_a_leaf(self, circuit: UUID) -> object:
        if self.children[circuit]:
            with pytest.raises(Problem) as refused:
                self.tree.remove(circuit, cascade=False)
            assert refused.value.code is ProblemCode.CIRCUIT_HAS_CHILDREN
            return circuit
        self.children[self.parent_of(circuit)].remove(circuit)
        del self.children[circuit]
        gone, changed = self.tree.remove(circuit, cascade=False)
        assert gone == [circuit]
        del self.stored[circuit]
        self.store(changed)
        return multiple()

    @invariant()
    def same_as_the_model(self) -> None:
        for parent, each in self.children.items():
            assert list(self.tree.children(parent)) == each
        assert {place.circuit_id for place in self.stored.values()} == set(self.children) - {None}

    @invariant()
    def positions_are_dense(self) -> None:
        for parent, each in self.children.items():
            assert [self.stored[circuit].position for circuit in each] == list(range(len(each)))
            assert all(self.stored[circuit].parent_id == parent for circuit in each)


TestTreeAgainstModel = TreeAgainstModel.TestCase


def _chain(length: int) -> tuple[CircuitTree, list[UUID]]:
    tree, ids = CircuitTree(()), [uuid4() for _ in range(length)]
    for parent, circuit in zip([None, *ids], ids, strict=False):
        tree.add(circuit, parent, None)
    return tree, ids


def test_cascade_takes_everything_below_children_first() -> None:
    tree, (top, middle, leaf) = _chain(3)
    other = uuid4()
    tree.add(other, None, None)
    gone, changed = tree.remove(top, cascade=True)
    assert gone == [leaf, middle, top]
    assert changed == [CircuitPlace(other, None, 0)]
    assert top not in tree
    assert leaf not in tree


def test_nesting_ends_at_the_limit() -> None:
    tree, ids = _chain(MAX_DEPTH)
    with pytest.raises(Problem) as refused:
        tree.add(uuid4(), ids[-1], None)
    assert refused.value.code is ProblemCode.CIRCUIT_TREE_TOO_DEEP


def test_a_subtree_moves_only_where_its_deepest_circuit_still_fits() -> None:
    tree, ids = _chain(MAX_DEPTH - 1)
    pair, (head, _) = _chain(2)
    assert len(list(pair.walk())) == 2
    tree.add(head, None, None)
    tree.add(below := uuid4(), head, None)
    with pytest.raises(Problem) as refused:
        tree.move(head, ids[-1], None)
    assert refused.value.code is ProblemCode.CIRCUIT_TREE_TOO_DEEP
    tree.move(below, ids[-1], None)
    assert tree.children(ids[-1]) == (below,)


def test_an_unknown_parent_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        CircuitTree(()).add(uuid4(), uuid4(), None)
    assert refused.value.code is ProblemCode.PARENT_NOT_FOUND


def test_an_unknown_circuit_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        CircuitTree(()).remove(uuid4(), cascade=True)
    assert refused.value.code is ProblemCode.CIRCUIT_NOT_FOUND

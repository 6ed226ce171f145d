"""What a sync must do, and when the version moves (COR-8.11)."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.provisioning.outcomes import NodeChange, SyncOutcome, SyncResult
from domain.provisioning.reconcile import GridConnection, TopLevelCircuit, plan_reconcile

_IDS = [UUID(int=number) for number in range(8)]
_NAMES = st.sampled_from(["Feed", "Incomer", "Utility"])

circuits_strategy = st.lists(st.tuples(st.sampled_from(_IDS), _NAMES), unique_by=lambda each: each[0]).map(
    lambda rows: [TopLevelCircuit(*row) for row in rows]
)
nodes_strategy = st.lists(st.tuples(st.sampled_from(_IDS), _NAMES, st.integers(0, 1)), unique_by=lambda e: e[0]).map(
    # Gaps in the positions are drift, too.
    lambda rows: [GridConnection(row[0], row[1], place * 2 + row[2]) for place, row in enumerate(rows)]
)


@given(nodes_strategy, circuits_strategy)
def test_after_the_plan_the_nodes_are_the_circuits_in_order(
    nodes: list[GridConnection], circuits: list[TopLevelCircuit]
) -> None:
    plan = plan_reconcile(nodes, circuits)
    assert [(node.circuit_id, node.name) for node in plan.target] == [(c.circuit_id, c.name) for c in circuits]
    assert [node.position for node in plan.target] == list(range(len(circuits)))


@pytest.mark.acceptance("COR-8.11")
@given(nodes_strategy, circuits_strategy)
def test_planning_again_finds_nothing_to_do(nodes: list[GridConnection], circuits: list[TopLevelCircuit]) -> None:
    again = plan_reconcile(plan_reconcile(nodes, circuits).target, circuits)
    assert not again.version_moves
    assert not again.rewrites
    assert (again.added, again.removed, again.renamed, again.moved) == ((), (), (), ())


@pytest.mark.acceptance("COR-8.11")
@given(nodes_strategy, circuits_strategy)
def test_the_version_moves_exactly_with_the_set_or_the_order(
    nodes: list[GridConnection], circuits: list[TopLevelCircuit]
) -> None:
    plan = plan_reconcile(nodes, circuits)
    same = [node.circuit_id for node in nodes] == [circuit.circuit_id for circuit in circuits]
    assert plan.version_moves is not same
    assert plan.version_moves is bool(plan.added or plan.removed or plan.moved)


@given(nodes_strategy, circuits_strategy)
def test_what_is_told_is_what_changes(nodes: list[GridConnection], circuits: list[TopLevelCircuit]) -> None:
    plan = plan_reconcile(nodes, circuits)
    before, after = {node.circuit_id for node in nodes}, {circuit.circuit_id for circuit in circuits}
    assert {change.circuit_id for change in plan.added} == after - before
    assert {change.circuit_id for change in plan.removed} == before - after
    named = {node.circuit_id: node.name for node in nodes}
    assert {change.circuit_id for change in plan.renamed} == {
        circuit.circuit_id for circuit in circuits if named.get(circuit.circuit_id, circuit.name) != circuit.name
    }


def test_a_rename_alone_rewrites_without_moving_the_version() -> None:
    circuit_id = uuid4()
    plan = plan_reconcile([GridConnection(circuit_id, "Old", 0)], [TopLevelCircuit(circuit_id, "New")])
    assert plan.renamed == (NodeChange(circuit_id, "New", "Old"),)
    assert plan.rewrites
    assert not plan.version_moves


def test_a_swap_moves_both() -> None:
    first, second = uuid4(), uuid4()
    plan = plan_reconcile(
        [GridConnection(first, "A", 0), GridConnection(second, "B", 1)],
        [TopLevelCircuit(second, "B"), TopLevelCircuit(first, "A")],
    )
    assert {change.name for change in plan.moved} == {"A", "B"}
    assert plan.version_moves


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (SyncResult(_IDS[0], _IDS[1], SyncOutcome.UNCHANGED, 3, 3), "nothing to change (version 3)"),
        (
            SyncResult(
                _IDS[0],
                _IDS[1],
                SyncOutcome.CHANGED,
                3,
                4,
                added=(NodeChange(_IDS[2], "Feed 2"),),
                renamed=(NodeChange(_IDS[3], "New", "Old"),),
            ),
            "added Feed 2; renamed Old → New (version 3 → 4)",
        ),
        (
            SyncResult(_IDS[0], None, SyncOutcome.NO_TOP_LEVEL_CIRCUITS, None, None),
            "No top-level circuit, so no microgrid.",
        ),
        (SyncResult(_IDS[0], None, SyncOutcome.DEPOT_GONE, None, None), "The depot does not exist any more."),
    ],
)
def test_a_result_says_itself_in_words(result: SyncResult, words: str) -> None:
    assert result.in_words() == words

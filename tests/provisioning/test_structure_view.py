"""What the Microgrid tab shows of a structure at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from api.ui.provisioning.structure_view import (
    LEAVES,
    MAX_CIRCUITS,
    SIBLINGS,
    DiagramCircuit,
    Place,
    StructureView,
    place_of,
    view_structure,
)
from store.provisioning.microgrids import MicrogridRecord, NodeRecord
from store.provisioning.structure import DeviceRecord, StructureRecord
from store.site.circuits import CircuitRecord

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_MADE = (_NOW, "tester", _NOW, "tester")
_SITE = UUID(int=2**100)


def structure(parents: list[int | None], devices_on: int = 0) -> StructureRecord:
    """A structure of circuits numbered from 1, each with its parent's number, a parent before its children."""
    places: dict[int | None, int] = {}
    circuits: list[CircuitRecord] = []
    for number, parent in enumerate(parents, 1):
        place = places[parent] = places.get(parent, -1) + 1
        above = None if parent is None else UUID(int=parent)
        circuits.append(CircuitRecord(UUID(int=number), _SITE, above, f"Circuit {number}", place, None, 1, *_MADE))
    tops = [each for each in circuits if each.parent_id is None]
    nodes = tuple(NodeRecord(each.circuit_id, each.circuit_id, each.name, each.position) for each in tops)
    microgrid = MicrogridRecord(_SITE, _SITE, 1, _NOW, *_MADE, nodes)
    linked = UUID(int=1) if parents else None
    devices = [DeviceRecord(UUID(int=n), _SITE, "Gateway", f"s{n}", f"Meter {n}", linked) for n in range(devices_on)]
    return StructureRecord(microgrid, circuits, devices, [], drifted=False)


def drawn(view: StructureView) -> Iterator[DiagramCircuit]:
    """Every rung of a view but the one that is looked at."""
    level = [each.circuit for each in view.connections if each.circuit] + (view.head.circuits if view.head else [])
    while level:
        yield from level
        level = [below for each in level for below in each.circuits]


parents_strategy = st.lists(st.integers(0, 400), max_size=400).map(
    lambda drawn: [None if draw % 7 == 0 or not n else 1 + draw % n for n, draw in enumerate(drawn)]
)


def _in_tree_order(parents: list[int | None]) -> StructureRecord:
    """The same with the circuits in the tree's order, as the store lists them."""
    made = structure(parents)
    below: dict[UUID | None, list[CircuitRecord]] = {}
    for each in made.circuits:
        below.setdefault(each.parent_id, []).append(each)
    ordered: list[CircuitRecord] = []
    stack = list(reversed(below.get(None, [])))
    while stack:
        ordered.append(stack.pop())
        stack.extend(reversed(below.get(ordered[-1].circuit_id, [])))
    return StructureRecord(made.microgrid, ordered, [], [], drifted=False)


@given(parents_strategy)
def test_every_circuit_is_on_a_page_that_the_links_lead_to(parents: list[int | None]) -> None:
    record = _in_tree_order(parents)
    seen: set[UUID] = set()
    waiting = [Place()]
    while waiting:
        view = view_structure(record, waiting.pop())
        drawn_circuits = list(drawn(view))
        assert len(drawn_circuits) <= MAX_CIRCUITS
        seen |= {drawn_circuit.circuit_id for drawn_circuit in drawn_circuits}
        if view.place.page < view.pages:
            waiting.append(view.at(view.place.page + 1))
        waiting += [Place(drawn_circuit.circuit_id) for drawn_circuit in drawn_circuits if drawn_circuit.folded]
    assert seen == {each.circuit_id for each in record.circuits}


def test_a_usual_depot_is_one_page() -> None:
    view = view_structure(structure([None, 1, 1, 2, None]), Place())
    assert (view.pages, view.trail, len(list(drawn(view)))) == (1, [], 5)
    assert not any(drawn_circuit.folded for drawn_circuit in drawn(view))


def test_what_is_nearer_to_the_grid_comes_first() -> None:
    record = structure([None, None, *([1] * 400), *([2] * 20)])
    first, second = (each.circuit for each in view_structure(record, Place()).connections)
    assert first is not None
    assert second is not None
    assert (first.folded, first.below, first.circuits) == (True, 400, [])
    assert (second.folded, len(second.circuits)) == (False, 20)


def test_many_devices_of_one_circuit_are_counted() -> None:
    (connection,) = view_structure(structure([None], devices_on=LEAVES + 5), Place()).connections
    assert connection.circuit is not None
    assert (len(connection.circuit.devices), connection.circuit.more_leaves) == (LEAVES, 5)


@pytest.mark.parametrize(
    ("place", "page", "under"),
    [
        (Place(None, 99), 2, None),
        (Place(UUID(int=1), 1), 1, UUID(int=1)),
        (Place(UUID(int=1), 7), 1, UUID(int=1)),
        # It is gone, or of another depot.
        (Place(UUID(int=99_999), 2), 2, None),
    ],
)
def test_a_place_that_is_not_there_is_the_nearest_one(place: Place, page: int, under: UUID | None) -> None:
    view = view_structure(structure([None] * (SIBLINGS + 1)), place)
    assert (view.place.page, view.place.under) == (page, under)


def request(query: str, *, current: str | None = None) -> Request:
    headers = [] if current is None else [(b"hx-request", b"true"), (b"hx-current-url", current.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": headers}
    return Request(scope | {"server": ("localhost", 80), "scheme": "http"})


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("", 1), ("page=3", 3), ("page=-3", 1), ("page=0", 1), ("page=%D9%A3", 1), ("page=1e3", 1), ("page=", 1),
        ("page=999999999999999999999999", 1), ("page=2&page=4", 4), ("under=nobody&page=2", 2),
    ],
)  # fmt: skip
def test_the_place_is_read_from_the_address(query: str, page: int) -> None:
    assert place_of(request(query)) == Place(None, page)
    assert place_of(request("", current=f"http://localhost/depots/x/microgrid?{query}")) == Place(None, page)


@pytest.mark.parametrize("current", ["http://[zz/?page=3", "", "page=3"])
def test_an_address_that_is_none_is_the_beginning(current: str) -> None:
    assert place_of(request("page=3", current=current)) == Place()


def test_a_place_writes_itself_as_it_is_read() -> None:
    place = Place(UUID(int=7), 3)
    assert place_of(request(place.query.removeprefix("?"))) == place

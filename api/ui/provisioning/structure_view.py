"""What the Microgrid tab shows of a structure at once: a part that fits a page, with ways to the rest of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from fastapi import Request

from api.ui.base.rendering import is_htmx
from store.provisioning.structure import DeviceRecord, PowerSourceRecord, StructureRecord
from store.site.circuits import CircuitRecord

SIBLINGS = 60
"""Grid connections, or circuits under the one that is looked at, on one page."""
MAX_CIRCUITS = 300
"""Circuits on one page, all levels together. What is below a circuit is shown whole or folded into a link."""
LEAVES = 30
"""Devices and power sources that are shown of one circuit, and of those that are linked to none."""


@dataclass(frozen=True)
class Place:
    """Which part of the structure is asked for."""

    under: UUID | None = None
    """The circuit whose own circuits are shown; None: the grid connections."""
    page: int = 1

    @property
    def query(self) -> str:
        """The place as the query of an address, with its question mark; empty for the beginning."""
        given = {"under": self.under, "page": self.page if self.page > 1 else None}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        return f"?{query}" if query else ""


def place_of(request: Request) -> Place:
    """Read the place from the address of the page that is shown, also where a part of it is asked for.

    What cannot be read is the beginning.
    """
    shown = request.headers.get("hx-current-url", "") if is_htmx(request) else str(request.url)
    try:
        query = parse_qs(urlsplit(shown).query)
    except ValueError:
        return Place()
    page = query.get("page", [""])[-1]
    try:
        under = UUID(query["under"][-1]) if "under" in query else None
    except ValueError:
        under = None
    return Place(under, max(1, int(page)) if page.isascii() and page.isdecimal() and len(page) < 6 else 1)


@dataclass
class DiagramCircuit:
    """A circuit as it is drawn."""

    circuit_id: UUID
    name: str
    rated_power_w: float | None
    devices: Sequence[DeviceRecord]
    power_sources: Sequence[PowerSourceRecord]
    more_leaves: int
    """Devices and power sources of it that are not shown."""
    below: int
    """Circuits below it, on all levels."""
    circuits: list[DiagramCircuit] = field(default_factory=list["DiagramCircuit"])
    folded: bool = False
    """Whether the circuits below it are a link, for they do not fit this page."""


@dataclass(frozen=True)
class Connection:
    """A grid connection as it is drawn."""

    node_id: UUID
    name: str
    circuit: DiagramCircuit | None
    """None: the circuit is gone and the sync has not run yet."""


@dataclass(frozen=True)
class StructureView:
    """The part of a structure that a page shows."""

    microgrid_id: UUID
    version: int
    synced_at: datetime
    connection_count: int
    place: Place
    trail: Sequence[CircuitRecord]
    """The way down to the circuit that is looked at, itself last; empty where the grid connections are."""
    head: DiagramCircuit | None
    """The circuit that is looked at, with a page of its circuits."""
    connections: Sequence[Connection]
    """A page of the grid connections; empty under a circuit."""
    first: int
    """The number of the first one of the page among its siblings, from 1."""
    last: int
    siblings: int
    unlinked_devices: Sequence[DeviceRecord]
    unlinked_power_sources: Sequence[PowerSourceRecord]
    more_unlinked: int

    @property
    def pages(self) -> int:
        """Pages that the siblings take."""
        return max(1, -(-self.siblings // SIBLINGS))

    def at(self, page: int) -> Place:
        """Another page of the same siblings."""
        return Place(self.place.under, page)


class _Drawing:
    """Makes rungs, as many as a page holds, level by level: what is nearer to the grid comes first."""

    def __init__(self, record: StructureRecord) -> None:
        self.by_id = {circuit.circuit_id: circuit for circuit in record.circuits}
        self.children: Mapping[UUID | None, list[CircuitRecord]] = defaultdict(list)
        for circuit in record.circuits:
            self.children[circuit.parent_id].append(circuit)
        self.devices: Mapping[UUID | None, list[DeviceRecord]] = defaultdict(list)
        for device in record.devices:
            self.devices[device.circuit_id].append(device)
        self.sources: Mapping[UUID | None, list[PowerSourceRecord]] = defaultdict(list)
        for source in record.power_sources:
            self.sources[source.circuit_id].append(source)
        self._below: dict[UUID, int] = defaultdict(int)
        # A parent comes before its children, so from the end every count is whole when it is added to the one above.
        for circuit in reversed(record.circuits):
            if circuit.parent_id is not None:
                self._below[circuit.parent_id] += 1 + self._below[circuit.circuit_id]

    def leaves(self, circuit_id: UUID | None) -> tuple[Sequence[DeviceRecord], Sequence[PowerSourceRecord], int]:
        """The devices and power sources that are shown of a circuit, and how many more it has."""
        sources = self.sources.get(circuit_id, [])
        devices = self.devices.get(circuit_id, [])
        shown = sources[:LEAVES], devices[: max(0, LEAVES - len(sources))]
        return shown[1], shown[0], len(sources) + len(devices) - len(shown[0]) - len(shown[1])

    def drawn_circuit(self, circuit: CircuitRecord) -> DiagramCircuit:
        """One circuit, nothing below it drawn yet."""
        return DiagramCircuit(
            circuit.circuit_id,
            circuit.name,
            circuit.rated_power_w,
            *self.leaves(circuit.circuit_id),
            below=self._below.get(circuit.circuit_id, 0),
        )

    def draw_below(self, tops: Sequence[DiagramCircuit]) -> None:
        """Draw what is below these rungs, as far as the page holds it."""
        left = MAX_CIRCUITS - len(tops)
        level = list(tops)
        while level:
            next_level: list[DiagramCircuit] = []
            for drawn_circuit in level:
                children = self.children.get(drawn_circuit.circuit_id, [])
                if len(children) <= left:
                    drawn_circuit.circuits = [self.drawn_circuit(child) for child in children]
                    next_level += drawn_circuit.circuits
                    left -= len(children)
                else:
                    drawn_circuit.folded = True
            level = next_level

    def trail(self, under: UUID | None) -> list[CircuitRecord]:
        """The way down to a circuit; empty for one that is not there."""
        trail: list[CircuitRecord] = []
        while under is not None and under in self.by_id:
            trail.insert(0, self.by_id[under])
            under = self.by_id[under].parent_id
        return trail


def view_structure(record: StructureRecord, place: Place) -> StructureView:
    """Choose what a page shows of a structure. A place that is not there any more is the nearest one that is."""
    drawing = _Drawing(record)
    trail = drawing.trail(place.under)
    nodes = record.microgrid.grid_connections
    siblings = len(drawing.children.get(trail[-1].circuit_id, [])) if trail else len(nodes)
    page = min(place.page, max(1, -(-siblings // SIBLINGS)))
    window = slice((page - 1) * SIBLINGS, page * SIBLINGS)
    head: DiagramCircuit | None = None
    connections: list[Connection] = []
    if trail:
        head = drawing.drawn_circuit(trail[-1])
        head.circuits = [drawing.drawn_circuit(child) for child in drawing.children.get(head.circuit_id, [])[window]]
        drawing.draw_below(head.circuits)
    else:
        for node in nodes[window]:
            circuit = drawing.by_id.get(node.circuit_id)
            drawn_circuit = None if circuit is None else drawing.drawn_circuit(circuit)
            connections.append(Connection(node.node_id, node.name, drawn_circuit))
        drawing.draw_below([each.circuit for each in connections if each.circuit is not None])
    devices, sources, more = drawing.leaves(None)
    return StructureView(
        microgrid_id=record.microgrid.microgrid_id,
        version=record.microgrid.version,
        synced_at=record.microgrid.synced_at,
        connection_count=len(nodes),
        place=Place(trail[-1].circuit_id if trail else None, page),
        trail=trail,
        head=head,
        connections=connections,
        first=window.start + 1,
        last=min(window.stop, siblings),
        siblings=siblings,
        unlinked_devices=devices,
        unlinked_power_sources=sources,
        more_unlinked=more,
    )

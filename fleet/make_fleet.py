"""Makes a legacy fleet, as `./dev fleet` writes it: depots, circuits, gateways, devices, power sources.

The same arguments always give the same bytes. With flaws, about one line in twenty is wrong in a way
that real exports are wrong: a parent in another depot, a cycle, a missing name, a repeated id, a number as
a string, a depot without circuits, a line cut short.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from typing import TypeAlias

Row: TypeAlias = dict[str, str | int | None]
"""One line of a fleet. What is one of them is said by its ``type``."""

SITES = [
    ("Arrow Road", "America/Toronto"),
    ("Birchmount", "America/Toronto"),
    ("Eglinton", "America/Toronto"),
    ("Malvern", "America/Toronto"),
    ("Mount Dennis", "America/Toronto"),
    ("Sandalwood", "America/Toronto"),
    ("Brookvale", "Australia/Sydney"),
    ("Leichhardt", "Australia/Sydney"),
    ("Sunshine West", "Australia/Melbourne"),
    ("Canberra Woden", "Australia/Sydney"),
    ("Waterloo", "Europe/London"),
    ("Camberwell", "Europe/London"),
    ("Québec Métrobus", "America/Toronto"),
    ("Zürich Hardau", "Europe/Zurich"),
    ("Kungsängen", "Europe/Stockholm"),
    ("Jamaica", "America/New_York"),
    ("East New York", "America/New_York"),
    ("Division 13", "America/Los_Angeles"),
]
FEEDS = ["Utility feed", "Main switchboard", "Grid supply", "HV intake", "Transformer T", "Incomer"]
BOARDS = ["Distribution board", "Charger bank", "Pantograph row", "Workshop", "Wash bay", "Site services"]
KINDS = ["BATTERY", "SOLAR", "GENERATOR"]
CUT_SHORT = '{"type": "circuit", "id": "'


class _Maker:
    """Makes rows from one stream of random numbers: the order of the draws is what makes the bytes the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (made-up fleets, no secrets)

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def circuits(self, depot: str, tops: int, made: list[str]) -> Iterator[Row]:
        """The circuit trees of one depot; their ids are appended to ``made``."""
        choice = self.random.choice
        for top in range(tops):
            root = self.new_id()
            made.append(root)
            yield {
                "type": "circuit",
                "id": root,
                "depot_id": depot,
                "parent_id": None,
                "name": f"{choice(FEEDS)} {top + 1}",
                "position": top,
                "rated_power_w": choice((500_000, 1_000_000, 1_500_000, 2_500_000)),
            }
            parents = [root]
            for child in range(self.random.randint(1, 5)):
                circuit = self.new_id()
                yield {
                    "type": "circuit",
                    "id": circuit,
                    "depot_id": depot,
                    "parent_id": choice(parents),
                    "name": f"{choice(BOARDS)} {child + 1}",
                    "position": child,
                    "rated_power_w": choice((100_000, 250_000, 400_000)),
                }
                parents.append(circuit)
                made.append(circuit)

    def equipment(self, depot: str, circuits: list[str]) -> Iterator[Row]:
        """A gateway, its microgrid controller, and up to two power sources."""
        gateway = self.new_id()
        yield {
            "type": "gateway",
            "id": gateway,
            "depot_id": depot,
            "name": "Site gateway",
            "site_model_name": None if self.random.random() < 0.7 else "legacy-v1",
            "output_translation": None,
        }
        yield {
            "type": "device",
            "id": self.new_id(),
            "gateway_id": gateway,
            "sensor_id": "mgc-1",
            "name": "Microgrid controller",
            "circuit_id": self.random.choice(circuits),
        }
        for number in range(self.random.choice((0, 1, 1, 1, 2))):
            yield {
                "type": "power_source",
                "id": self.new_id(),
                "depot_id": depot,
                "circuit_id": self.random.choice([*circuits, None]),
                "kind": self.random.choice(KINDS),
                "name": f"Source {number + 1}",
            }

    def flaw(self, depot: str, circuits: list[str], foreign: list[str]) -> Iterator[Row | None]:
        """At most one wrong line: a circuit that cannot be taken, or None for a line cut short."""
        drawn = self.random.random()
        bad: Row = {
            "type": "circuit",
            "id": self.new_id(),
            "depot_id": depot,
            "parent_id": None,
            "name": "Spare",
            "position": 9,
            "rated_power_w": 100_000,
        }
        if drawn < 0.06 and foreign:
            yield bad | {"parent_id": foreign[0]}
        elif drawn < 0.12:
            yield bad | {"parent_id": bad["id"]}
        elif drawn < 0.18:
            yield bad | {"name": "   "}
        elif drawn < 0.24:
            yield bad | {"id": circuits[0]}
        elif drawn < 0.30:
            yield bad | {"rated_power_w": "a lot"}
        elif drawn < 0.36:
            yield None


def fleet(depots: int, seed: int, flaws: bool) -> Iterator[Row | None]:
    """The rows of a fleet of ``depots`` depots in the order of the file; None stands for a line cut short."""
    maker = _Maker(seed)
    circuits_of_previous: list[str] = []
    for index in range(depots):
        site, zone = SITES[index % len(SITES)]
        depot = maker.new_id()
        yield {"type": "depot", "id": depot, "name": f"{site} {index // len(SITES) + 1}", "timezone": zone}
        circuits: list[str] = []
        tops = 0 if flaws and maker.random.random() < 0.05 else maker.random.choice((1, 1, 2, 2, 3, 4))
        yield from maker.circuits(depot, tops, circuits)
        if circuits and maker.random.random() < 0.6:
            yield from maker.equipment(depot, circuits)
        if flaws and circuits:
            yield from maker.flaw(depot, circuits, circuits_of_previous)
        circuits_of_previous = circuits


def lines(depots: int, seed: int, flaws: bool) -> Iterator[str]:
    """The same as lines of NDJSON, each with its line end."""
    for row in fleet(depots, seed, flaws):
        yield (CUT_SHORT if row is None else json.dumps(row, ensure_ascii=False)) + "\n"

"""The buses of the simulated depot: who is plugged in, what they ask for, and what each gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim_scenarios.language.language import Buses
from sim_scenarios.language.quantities import joules, watts
from sim_scenarios.model.random_source import RandomSource


@dataclass
class Bus:
    """One bus."""

    arrives_ms: int
    departs_ms: int
    charger_w: int
    missing_j: int
    """Energy that it still needs."""


def draw_buses(groups: Sequence[Buses], scenario: str, seed: int) -> list[Bus]:
    """Draw every bus."""
    made: list[Bus] = []
    for number, group in enumerate(groups):
        random_source = RandomSource(scenario, seed, "buses", number)
        for _ in range(group.count):
            arrives = random_source.between(group.arrive.from_ // 1000, group.arrive.to // 1000) * 1000
            departs = random_source.between(group.depart.from_ // 1000, group.depart.to // 1000) * 1000
            energy = random_source.between(joules(group.energy_kwh.from_), joules(group.energy_kwh.to))
            made.append(Bus(arrives, departs, watts(group.charger_kw), energy))
    return made


class Fleet:
    """All buses of a run."""

    def __init__(self, buses: list[Bus]) -> None:
        self._buses = buses
        self.left_short = 0
        """Buses that pulled out without all the energy that they need."""
        self._asking: list[tuple[Bus, int]] = []

    def demand_w(self, offset_ms: int, seconds: int) -> int:
        """Return what the plugged-in buses could draw, none of them more than it needs in so many seconds."""
        gone = [bus for bus in self._buses if bus.departs_ms <= offset_ms]
        if gone:
            # Less than a watt until the next step is nothing that anybody misses.
            self.left_short += sum(bus.missing_j >= seconds for bus in gone)
            self._buses = [bus for bus in self._buses if bus.departs_ms > offset_ms]
        asks = (
            (bus, min(bus.charger_w, bus.missing_j // seconds)) for bus in self._buses if bus.arrives_ms <= offset_ms
        )
        self._asking = [(bus, power) for bus, power in asks if power]
        return sum(power for _, power in self._asking)

    @property
    def charging(self) -> int:
        """Buses that ask for power."""
        return len(self._asking)

    def charge(self, power_w: int, seconds: int) -> None:
        """Share out ``power_w``, at most what was asked for, in proportion to what each asks for."""
        asked = sum(power for _, power in self._asking)
        given = 0
        before = 0
        for bus, power in self._asking:
            before += power
            # What all up to this one get, less what was given: whole watts, and nothing is lost.
            share = power_w * before // asked - given
            given += share
            bus.missing_j -= share * seconds

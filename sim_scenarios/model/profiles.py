"""Powers over time: straight lines between given points, with noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim_scenarios.language.quantities import permille, watts
from sim_scenarios.model.random_source import RandomSource


@dataclass(frozen=True)
class Curve:
    """A power over time in whole watts; before the first and after the last point it stays as it is there."""

    points: tuple[tuple[int, int], ...]
    """Milliseconds since the start, and watts; in the order of time."""
    noise_permille: int

    @property
    def highest_w(self) -> int:
        """What the power never exceeds."""
        return max(power for _, power in self.points) * (1000 + self.noise_permille) // 1000

    def at(self, offset_ms: int, random_source: RandomSource) -> int:
        """Return the power at a time, with this draw's noise."""
        exact = self._line(offset_ms)
        return exact * (1000 + random_source.between(-self.noise_permille, self.noise_permille)) // 1000

    def _line(self, offset_ms: int) -> int:
        before = self.points[0]
        for point in self.points:
            if point[0] >= offset_ms:
                span = point[0] - before[0]
                return point[1] if span <= 0 else before[1] + (point[1] - before[1]) * (offset_ms - before[0]) // span
            before = point
        return before[1]


def curve(kilowatts: Mapping[int, float], noise_percent: float) -> Curve:
    """Make a curve of what the language says."""
    return Curve(tuple(sorted((at, watts(kw)) for at, kw in kilowatts.items())), permille(noise_percent))

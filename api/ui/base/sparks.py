"""Small trends as drawings: the last hours of one measurand, with what it says in words and the way to all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.ui.base.words import figure
from domain.site.measurands import MEASURANDS, MeasurandKey

WIDTH, HEIGHT = 96, 24
_EDGE = 3
_KILO = {"W": "kW", "var": "kvar", "VA": "kVA"}


@dataclass(frozen=True)
class Spark:
    """A small trend."""

    path: str
    """Of an SVG of ``WIDTH`` by ``HEIGHT``: a line, interrupted where nothing was measured."""
    text: str
    """What it shows, in words."""


def draw_spark(key: MeasurandKey, values: Sequence[float | None], hours: int = 24) -> Spark:
    """Draw values of so many hours that are equally far apart, the earliest first; one of them at least is known."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    room = HEIGHT - 2 * _EDGE

    def height(value: float) -> float:
        return HEIGHT / 2 if high == low else HEIGHT - _EDGE - room * (value - low) / (high - low)

    parts: list[str] = []
    for place, value in enumerate(values):
        if value is None:
            continue
        at = f"{_EDGE + (WIDTH - 2 * _EDGE) * place / max(1, len(values) - 1):.1f} {height(value):.1f}"
        follows = place > 0 and values[place - 1] is not None
        # What stands alone is a dot: a line of no length has round ends.
        alone = not follows and (place + 1 == len(values) or values[place + 1] is None)
        parts.append(f"{'L' if follows else 'M'}{at}" + ("h0.01" if alone else ""))
    spec = MEASURANDS[key]
    scale = 1_000 if spec.unit in _KILO else 1
    unit = _KILO.get(spec.unit or "", spec.unit or "")
    lowest, highest, last = (f"{figure(value / scale)} {unit}".strip() for value in (low, high, known[-1]))
    gaps = ", with gaps" if None in values[1:-1] else ""
    said = f"{lowest} throughout" if low == high else f"{lowest} to {highest}, {last} at last"
    return Spark("".join(parts), f"{spec.meaning}, last {hours} hours: {said}{gaps}")

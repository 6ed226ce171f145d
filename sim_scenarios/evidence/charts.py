"""Lines over virtual time, as the inside of an SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 960
HEIGHT = 220
MAX_POINTS = 2_000
"""More would not be seen on so many pixels."""


@dataclass(frozen=True)
class Line:
    """One quantity over time, ready to draw."""

    label: str
    style: str
    """Its class in the style sheet."""
    points: str


@dataclass(frozen=True)
class Chart:
    """Lines with one scale."""

    title: str
    unit: str
    top: str
    bottom: str
    zero: float
    """Where the zero line is, from above."""
    lines: tuple[Line, ...]


def chart(
    title: str, unit: str, steps: Sequence[Mapping[str, Any]], lines: Mapping[str, tuple[str, str]]
) -> Chart | None:
    """Draw fields of the simulated site; None where no step has any of them.

    Args:
        title: What it shows.
        unit: Of all lines.
        steps: Records of steps.
        lines: Label and style by field.

    """
    stride = -(-len(steps) // MAX_POINTS) or 1
    shown = [step for index, step in enumerate(steps) if index % stride == 0]
    found = {field: [(s["offset_ms"], s["site"][field]) for s in shown if field in s["site"]] for field in lines}
    values = [value for points in found.values() for _, value in points]
    if not values:
        return None
    low, high = min(0, *values), max(0, *values)
    high = high if high > low else low + 1
    last = max(1, shown[-1]["offset_ms"])

    def place(offset: int, value: float) -> str:
        return f"{offset * WIDTH / last:.1f},{(high - value) * HEIGHT / (high - low):.1f}"

    drawn = tuple(
        Line(label, style, " ".join(place(*point) for point in found[field]))
        for field, (label, style) in lines.items()
        if found[field]
    )
    return Chart(title, unit, f"{high:,} {unit}", f"{low:,} {unit}", round(high * HEIGHT / (high - low), 1), drawn)

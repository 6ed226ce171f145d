"""Figures: medians, percentiles, rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Latency:
    """Durations of one kind, in milliseconds."""

    p50: float
    p99: float
    count: int

    @staticmethod
    def of(seconds: Sequence[float]) -> Latency:
        """Sum up durations in seconds."""
        percentiles = quantiles(seconds, n=100, method="inclusive")
        return Latency(median(seconds) * 1000, percentiles[98] * 1000, len(seconds))

"""Whether a status is recent enough to trust (COR-38.1, COR-38.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from domain.capabilities import Capability


class Freshness(StrEnum):
    """What the age of a status says."""

    FRESH = "FRESH"
    """Not older than its threshold."""
    STALE = "STALE"
    """Older: what is shown may not hold any more."""


class DepotFreshness(StrEnum):
    """How fresh a depot is as a whole: as fresh as the worse of its capabilities."""

    FRESH = "FRESH"
    """Both have a status that is not older than its threshold."""
    STALE = "STALE"
    """Both have a status, and one is older, or no device updates it any more."""
    NONE = "NONE"
    """At least one has no status yet."""


DEFAULT_THRESHOLDS: Mapping[Capability, timedelta] = MappingProxyType(
    dict.fromkeys(Capability, timedelta(minutes=5)),
)
"""How old a status may be, by capability; a microgrid may have its own."""


@dataclass(frozen=True)
class Timeliness:
    """The age of a status, and what it says. All of it follows from the record that gives the status (COR-38.4)."""

    age: timedelta
    """Since it was observed; zero for a clock that runs ahead."""
    freshness: Freshness
    stale_at: datetime
    """The last moment at which the status is still fresh."""


def threshold_for(capability: Capability, overrides: Mapping[Capability, timedelta] | None = None) -> timedelta:
    """Return how old a status of ``capability`` may be, with what the microgrid sets for itself in ``overrides``."""
    return (overrides or {}).get(capability, DEFAULT_THRESHOLDS[capability])


def timeliness(observed_at: datetime, now: datetime, threshold: timedelta) -> Timeliness:
    """Say how old a status is at ``now``."""
    age = max(now - observed_at, timedelta())
    freshness = Freshness.FRESH if age <= threshold else Freshness.STALE
    return Timeliness(age, freshness, observed_at + threshold)

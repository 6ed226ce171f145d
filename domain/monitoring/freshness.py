"""Whether a status is recent enough to trust (COR-38.1, COR-38.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.monitoring.capabilities import Capability

READING_THRESHOLD = timedelta(minutes=5)
"""A reading of a power source that is older may not hold any more."""


class Freshness(StrEnum):
    """What the age of a status says."""

    FRESH = "FRESH"
    """An enabled device updates it, and it is not older than its threshold."""
    STALE = "STALE"
    """Older, or no device updates it any more: what is shown may not hold."""


class DepotFreshness(StrEnum):
    """How fresh a depot is as a whole: as fresh as the worse of its capabilities."""

    # Those count that are expected, those that a device supplies, and those with a status.
    FRESH = "FRESH"
    """The status of each that counts is fresh."""
    STALE = "STALE"
    """Each that counts has a status, and at least one of them is stale."""
    NONE = "NONE"
    """At least one that counts has no status yet."""


@dataclass(frozen=True)
class Timeliness:
    """The age of a status, and what it says. All of it follows from the record that gives the status (COR-38.4)."""

    age: timedelta
    """Since its effective time."""
    freshness: Freshness
    stale_at: datetime
    """The last moment at which its age lets it be fresh."""


def threshold_for(capability: Capability, overrides: Mapping[Capability, timedelta] | None = None) -> timedelta:
    """Return how old a status of ``capability`` may be, with what the microgrid sets for itself in ``overrides``."""
    return (overrides or {}).get(capability, capability.threshold)


def timeliness(effective_at: datetime, now: datetime, threshold: timedelta) -> Timeliness:
    """Say how old a status that a device updates is at ``now``."""
    stale_at = effective_at + threshold
    return timeliness_of(effective_at, now, stale_at, is_fresh=now <= stale_at)


def timeliness_of(effective_at: datetime, now: datetime, stale_at: datetime, *, is_fresh: bool) -> Timeliness:
    """Say how old a status is at ``now``, where it is known whether it is fresh."""
    age = max(now - effective_at, timedelta())
    return Timeliness(age, Freshness.FRESH if is_fresh else Freshness.STALE, stale_at)

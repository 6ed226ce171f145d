"""Which version of the worker takes what comes, and when another one may take over from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

UNVERSIONED = ""
"""The build id that stands for workers without a version, as releases before 0.2.0 have them."""
GONE_AFTER = timedelta(minutes=2)
"""A version none of whose workers has asked for work for so long has none: each asks at least once a minute."""
UNHEARD_FOR = timedelta(seconds=15)
"""Temporal forgets who asked for work when it restarts, and for a moment when another version becomes the current one.
So a version of which it knows no worker is one without workers only if that stays so."""


@dataclass(frozen=True)
class KnownVersion:
    """A version of the worker, as Temporal knows it."""

    build_id: str
    state: str
    """``CURRENT``; ``DRAINING``: workflows that somebody pinned to it run; ``DRAINED``: none does; ``INACTIVE``: it
    never was the current one; ``RAMPING``."""
    since: datetime
    """Since when it is the current one; else when Temporal first heard of it."""
    was_current: bool
    """Whether it is the current one or ever was."""


@dataclass(frozen=True)
class KnownVersions:
    """All versions of the worker that Temporal knows."""

    current: str
    """The build id of the one that takes what comes; ``UNVERSIONED``: workers without a version do."""
    versions: tuple[KnownVersion, ...]
    """The newest first."""

    def find(self, build_id: str) -> KnownVersion | None:
        """Find one by its build id."""
        return next((each for each in self.versions if each.build_id == build_id), None)


def may_take_over(
    mine: KnownVersion, current_asked_at: datetime | None, unheard_since: datetime | None, now: datetime
) -> bool:
    """Say whether a worker makes its own version the current one, which another one is.

    A version that never was the current one is a new release, and takes over at once. One that was is an old worker
    that still runs, or a release that somebody goes back to: it takes over where the current version has no workers, so
    that work never waits for one that does not come. ``current_asked_at`` is when one of those last asked for work;
    None: Temporal does not know, and has not known ``unheard_since``.
    """
    if not mine.was_current:
        return True
    if current_asked_at is not None:
        return now - current_asked_at > GONE_AFTER
    return unheard_since is not None and now - unheard_since > UNHEARD_FOR

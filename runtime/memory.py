"""How a process that serves collects its garbage."""

from __future__ import annotations

import gc

_THRESHOLDS = (50_000, 20, 100)
"""New objects until the youngest are looked through; how often that happens until the next generation is."""


def collect_less_often() -> None:
    """Look for garbage less often from now on.

    A packet makes hundreds of small objects that are gone with its answer, none of them in a cycle. With Python's own
    thresholds a quarter of a busy API's time went into looking for cycles among them, and a seventh of its imports'.
    """
    gc.set_threshold(*_THRESHOLDS)


def freeze_startup_objects() -> None:
    """Leave what was made so far alone for good: most of it is what was imported."""
    gc.collect()
    gc.freeze()

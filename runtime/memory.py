"""How a process that serves collects its garbage."""

from __future__ import annotations

import gc

_THRESHOLDS = (50_000, 20, 100)
"""New objects until the youngest are looked through; how often that happens until the next generation is."""


def settle() -> None:
    """Leave what was made so far alone for good, and look less often through what is made from now on.

    A packet makes hundreds of small objects that are gone with its answer, none of them in a cycle. With Python's own
    thresholds a quarter of a busy API's time went into looking for cycles among them, and among all that was imported.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)

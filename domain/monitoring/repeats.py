"""A reading counts once, by gateway, sensor, measurand and time of measurement: what a packet is that came again."""

from __future__ import annotations

from enum import StrEnum


class Repeat(StrEnum):
    """What a packet is beside an earlier one of the same gateway and time of measurement."""

    REPEATED = "REPEATED"
    """The readings that both have are the same: it was sent again."""
    CONFLICTING = "CONFLICTING"
    """A reading that both have is another one here. The first one counts."""

"""What a sensor action answers for one packet."""

from __future__ import annotations

from enum import StrEnum


class ActionOutcome(StrEnum):
    """What a sensor action did with a packet."""

    APPLIED = "APPLIED"
    """It took what the packet says, also where that is what held already."""
    IGNORED = "IGNORED"
    """It had nothing to do; an ``IgnoredCode``, a ``ReadingCode`` or a ``FoldEffect`` says why."""
    REMEDIATION = "REMEDIATION"
    """The site's configuration stops it; a ``RemediationCode`` says why."""


class IgnoredCode(StrEnum):
    """Why a sensor action had nothing to do with a packet."""

    NO_MEASURAND = "NO_MEASURAND"
    """The packet has none of the action's measurands."""
    INCOMPLETE = "INCOMPLETE"
    """The packet lacks a measurand without which the others say nothing certain."""
    LATE = "LATE"
    """A packet that is as new or newer was taken before."""
    DISABLED = "DISABLED"
    """The action is switched off."""

"""The orders of the list of depots: each from one end or from the other, and which one a list has by itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from domain.monitoring.alarms import AlarmChoice
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState


class DepotOrder(StrEnum):
    """What depots are ordered by; of those that are alike in it, the name decides, then the id."""

    NAME = "NAME"
    """The name, as people count: Depot 2 before Depot 10."""
    WORST = "WORST"
    """The highest priority of its alarms, and since when it has it; depots without an alarm come last."""
    PROVISIONING = "PROVISIONING"
    """Failed, the longest first; then pending, then provisioned."""
    STATUS = "STATUS"
    """Stale, the longest first; then fresh, then those without a status."""
    FAIL_SAFE = "FAIL_SAFE"
    """Since when a circuit has been in fail-safe; then those without one."""
    REMEDIATIONS = "REMEDIATIONS"
    """Since when a remediation has been open; then those without one."""
    TIMEZONE = "TIMEZONE"
    """The name of the time zone."""
    LOAD = "LOAD"
    """What it draws, the most first; then those that measured nothing lately."""
    LOAD_SHARE = "LOAD_SHARE"
    """What it draws of what it may draw, the most first; then those whose capacity nobody knows, then those that
    measured nothing lately."""


BY_LOAD = frozenset({DepotOrder.LOAD, DepotOrder.LOAD_SHARE})
"""Orders that are settled when somebody asks for them, and not up to the moment."""


@dataclass(frozen=True)
class Sorting:
    """The order of a list, and from which end."""

    order: DepotOrder = DepotOrder.NAME
    is_descending: bool = False
    """Whether what comes last in the order comes first."""


def own_order(
    alarm: AlarmChoice | None, freshness: DepotFreshness | None, provisioning: ProvisioningState | None
) -> DepotOrder:
    """Return the order of a list for which none was asked: the worst first where it is of depots in trouble."""
    in_trouble = (
        alarm is not None or freshness is DepotFreshness.STALE or provisioning is ProvisioningState.FAILED
    )  # fmt: skip
    return DepotOrder.WORST if in_trouble else DepotOrder.NAME

"""How fresh the statuses are that are shown: the one rule in SQL, for one microgrid and for a whole fleet.

A status is fresh while an enabled device updates it and it is not older than its threshold, counted from its effective
time (``domain.base.clocks``).
"""

from __future__ import annotations

from typing import Any

from domain.monitoring.capabilities import Capability

STATUS_JOINS = """
    LEFT JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = m.depot_id AND o.capability = k.capability
"""
"""Joins the status ``l``, the threshold ``t`` and the owner ``o`` to a microgrid ``m`` and a capability ``k`` with its
usual threshold."""
EFFECTIVE_AT = "least(l.observed_at, l.received_at)"
"""When the status counts as seen."""
STALE_AT = f"{EFFECTIVE_AT} + coalesce(make_interval(secs => t.seconds), CAST(k.threshold AS interval))"
"""The last moment at which the age of the status lets it be fresh."""
IS_FRESH = f"(o.sensor_action_id IS NOT NULL AND {STALE_AT} >= clock_timestamp())"
"""Whether the status is fresh; null where there is none and a device updates it."""


def capabilities_and_thresholds() -> tuple[list[str], list[Any]]:
    """Return the capabilities and how old the status of each may usually be: what ``k`` is made of."""
    return list(Capability), [each.threshold for each in Capability]

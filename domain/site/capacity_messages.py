"""Why the capacity of a circuit is what it is, in words for an operator."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from domain.site.circuit_capacity import CapacityBasis, CapacityMode, CapacityState, FailSafeReason

NOT_FOLLOWING = "The circuit follows no controller. Its own rating applies."

MODE_MESSAGES: Mapping[CapacityMode, str] = MappingProxyType(
    {
        CapacityMode.AWAITING: "No packet has come from the controller yet. The circuit's own rating holds until one "
        "comes, or until the heartbeat threshold has passed.",
        CapacityMode.CONTROLLER: "The controller's heartbeat is ok. Its available charging capacity applies.",
    }
)
"""Why no fail-safe holds."""

REASON_MESSAGES: Mapping[FailSafeReason, str] = MappingProxyType(
    {
        FailSafeReason.CONNECTION_LOST: "The gateway reports that the controller's connection is lost.",
        FailSafeReason.HEARTBEAT_TIMEOUT: "The gateway reports that the controller's heartbeat is too slow.",
        FailSafeReason.CONTROLLER_ERROR: "The controller reports an error.",
        FailSafeReason.HEARTBEAT_UNAVAILABLE: "The controller's heartbeat status is not available.",
        FailSafeReason.HEARTBEAT_UNREADABLE: "The controller's heartbeat status is unknown.",
        FailSafeReason.CAPACITY_UNAVAILABLE: "The controller is well, but its available charging capacity is not "
        "available.",
        FailSafeReason.CAPACITY_UNREADABLE: "The controller is well, but its available charging capacity cannot be "
        "read as watts from 0 up.",
        FailSafeReason.NO_PACKET: "No packet with a newer measurement has come for longer than the "
        "heartbeat threshold.",
    }
)
"""Why a fail-safe holds."""

PACKETS_TOO_OLD = (
    "Packets come, but each was measured longer ago than the heartbeat threshold: they come late, or the clock that "
    "stamps them runs behind."
)
"""Why the fail-safe holds for ``NO_PACKET`` although packets come."""

FAIL_SAFE_ENDS = "Ends with its next packet with heartbeat ok and a capacity."
"""What ends a fail-safe, whatever its reason."""

BASIS_MESSAGES: Mapping[CapacityBasis, str] = MappingProxyType(
    {
        CapacityBasis.FAIL_SAFE_RECEIVED: "The last fail-safe capacity from the controller applies.",
        CapacityBasis.FAIL_SAFE_CONFIGURED: "The fail-safe capacity from the sensor action's settings applies.",
        CapacityBasis.FAIL_SAFE_UNKNOWN: "No fail-safe capacity is known, so 0 kW applies: charging stops.",
    }
)
"""Which fail-safe capacity it is."""


_LEAST_USUAL_W = 1_000
"""Below it, somebody has probably meant kilowatts."""


def doubt_of_fail_safe(fail_safe_w: float | None, circuit: str | None, rated_power_w: float | None) -> str | None:
    """Say what is worth a second look at a fail-safe capacity that somebody enters; None: nothing is.

    Args:
        fail_safe_w: Watts; None: none is given.
        circuit: The name of the circuit that it is for, where there is one.
        rated_power_w: That circuit's rating in watts, where it is known.

    """
    if fail_safe_w is None:
        return None
    if 0 < fail_safe_w < _LEAST_USUAL_W:
        return f"{fail_safe_w / 1000:.12g} kW is less than 1 kW."
    if rated_power_w is not None and fail_safe_w > rated_power_w:
        return f"{fail_safe_w / 1000:.12g} kW is above the rating of {circuit}, {rated_power_w / 1000:.12g} kW."
    return None


def capacity_message(state: CapacityState | None) -> str:
    """Say why what holds for a circuit does; None: it follows no controller."""
    if state is None:
        return NOT_FOLLOWING
    if state.reason is None or state.basis is None:
        return MODE_MESSAGES[state.mode]
    reason = REASON_MESSAGES[state.reason]
    if state.reason is FailSafeReason.NO_PACKET and state.received_at is not None and state.received_at >= state.since:
        reason = PACKETS_TOO_OLD
    return f"{reason} {BASIS_MESSAGES[state.basis]}"

"""What a sensor action writes to under the site's configuration, or what stops it.

The one place that decides it: packets are taken by it (``domain.monitoring.batch_state``), and the pages of a device's
configuration show by it what would happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from domain.site.packet_context import ConfiguredAction, PacketContext, alone
from domain.site.remediations import RemediationCode
from domain.site.routing import RoutingRemediation, RoutingRule
from domain.site.sensor_actions import SENSOR_ACTIONS, ActionTarget


class Resolved(NamedTuple):
    """What the action writes to."""

    target_id: UUID
    """The microgrid, power source or circuit."""
    rule: RoutingRule | None = None
    """How a power source was found; None for the others, which need no search."""


@dataclass(frozen=True)
class Unresolved:
    """The action has nowhere certain to write to."""

    code: RemediationCode
    candidates: tuple[UUID, ...] = ()
    """The power sources between which it could not be decided, by id."""


def resolve(context: PacketContext, action: ConfiguredAction) -> Resolved | Unresolved:
    """Say what an action that is switched on writes to."""
    target = SENSOR_ACTIONS[action.kind].target
    if target is ActionTarget.MICROGRID:
        if context.microgrid_id is None:
            return Unresolved(RemediationCode.MICROGRID_NOT_PROVISIONED)
        return Resolved(context.microgrid_id)
    if target is ActionTarget.POWER_SOURCE:
        routed = context.routing.route(action.circuit_id, context.output_translation)
        if isinstance(routed, RoutingRemediation):
            return Unresolved(routed.code, routed.candidates)
        return Resolved(routed.power_source_id, routed.rule)
    if action.circuit_id is None:
        return Unresolved(RemediationCode.DEVICE_WITHOUT_CIRCUIT)
    if not action.circuit_follows:
        return Unresolved(RemediationCode.CIRCUIT_FOLLOWS_ANOTHER_DEVICE)
    return Resolved(action.circuit_id)


def is_mended(context: PacketContext | None, sensor_action_id: UUID) -> bool:
    """Say whether nothing of today's configuration stops a sensor action any more: its next packet goes through.

    Of an action that is gone, or whose gateway is, no packet goes through.
    """
    only = None if context is None else alone(context, sensor_action_id)
    return only is not None and all(
        isinstance(resolve(only, action), Resolved) for actions in only.actions.values() for action in actions
    )

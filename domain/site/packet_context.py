"""The context of a gateway's packets: its sensors, their sensor actions, and what these can reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from uuid import UUID

from domain.site.circuit_capacity import CapacityPolicy
from domain.site.measurands import MeasurandKey
from domain.site.routing import PowerSource, Routing
from domain.site.sensor_actions import SensorActionKind


@dataclass(frozen=True)
class ConfiguredAction:
    """One sensor action of one device, with what it needs of its device."""

    sensor_action_id: UUID
    device_id: UUID
    sensor_id: str
    """The device's id within the gateway."""
    kind: SensorActionKind
    measurands: tuple[MeasurandKey, ...]
    enabled: bool
    circuit_id: UUID | None
    """The device's linked circuit."""
    capacity_policy: CapacityPolicy | None = None
    """The settings of ``UPDATE_CIRCUIT_CAPACITY``; None for the others."""
    circuit_follows: bool = False
    """Whether the linked circuit's capacity follows this very action, and not another device's."""


@dataclass(frozen=True)
class PacketContext:
    """A gateway with everything that its packets can reach."""

    gateway_id: UUID
    depot_id: UUID
    microgrid_id: UUID | None
    """The depot's active microgrid; None where it has none."""
    output_translation: object
    """The gateway's, as it is stored: the compatibility fallback of the routing."""
    devices: Mapping[str, UUID]
    """The devices of the gateway by sensor id; for a packet, as far as it names them."""
    actions: Mapping[str, tuple[ConfiguredAction, ...]]
    """The sensor actions by sensor, each sensor's in the order of their kinds."""
    power_sources: tuple[PowerSource, ...]
    """All of the depot."""

    @cached_property
    def routing(self) -> Routing:
        """How updates find their power source here."""
        return Routing(self.power_sources)


def alone(context: PacketContext, sensor_action_id: UUID) -> PacketContext | None:
    """The context with that sensor action and no other, switched on; None: it has no such action."""
    for sensor_id, actions in context.actions.items():
        for action in actions:
            if action.sensor_action_id == sensor_action_id:
                return replace(context, actions={sensor_id: (replace(action, enabled=True),)})
    return None

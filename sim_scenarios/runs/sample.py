"""A depot with everything configured, for trying scenarios out where no product runs."""

from __future__ import annotations

from uuid import UUID

from domain.site.circuit_capacity import CapacityPolicy
from domain.site.routing import PowerSourceKind
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorAction, SensorActionKind
from sim_scenarios.runs.bindings import Bindings, ConfiguredDevice, bind

GATEWAY_ID = UUID("00000000-0000-4000-8000-000000000001")


def whole_action(kind: SensorActionKind) -> SensorAction:
    """Return a sensor action with every measurand that it takes, and its default settings."""
    spec = SENSOR_ACTIONS[kind]
    return SensorAction(kind, spec.measurands, CapacityPolicy() if spec.settings else None)


def sample_devices() -> tuple[ConfiguredDevice, ...]:
    """Return a controller, a meter of the battery and one of the grid connection, on one gateway."""
    controller = ConfiguredDevice(
        gateway_id=GATEWAY_ID,
        gateway_name="Site gateway",
        sensor_id="mgc-1",
        actions=(
            whole_action(SensorActionKind.UPDATE_MICROGRID_STATE),
            whole_action(SensorActionKind.UPDATE_POWER_SOURCE_STATE),
            whole_action(SensorActionKind.UPDATE_CIRCUIT_CAPACITY),
        ),
        circuit_name="Charging",
        power_source_kind=PowerSourceKind.BATTERY,
    )
    battery = ConfiguredDevice(
        gateway_id=GATEWAY_ID,
        gateway_name="Site gateway",
        sensor_id="bess-meter",
        actions=(whole_action(SensorActionKind.UPDATE_POWER_SOURCE_LOAD),),
        circuit_name="Battery",
        power_source_kind=PowerSourceKind.BATTERY,
    )
    grid = ConfiguredDevice(GATEWAY_ID, "Site gateway", "grid-meter", circuit_name="Main switchboard")
    return (controller, battery, grid)


def sample_bindings() -> Bindings:
    """Return what such a depot lends to a run."""
    return bind(sample_devices(), has_microgrid=True)

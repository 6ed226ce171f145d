"""From the simulated site to generic sensor packets, through the controller's table and the depot's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.controllers.controller_translation import ControllerTable, InputValue, translate
from domain.site.measurands import MEASURANDS, Measurand, MeasurandKey
from sim_scenarios.language.language import GatewayIdentity
from sim_scenarios.model.site import Flows
from sim_scenarios.runs.bindings import Bindings, BoundGateway, BoundSensor, Metered


def controller_measurands(table: ControllerTable, inputs: Mapping[str, InputValue]) -> tuple[Measurand, ...]:
    """Return what the controller's integration makes of its inputs; a table takes the inputs that it lists."""
    return translate(table, {name: value for name, value in inputs.items() if name in table.inputs})


def metered_w(flows: Flows) -> Mapping[Metered, int]:
    """Return what meters measure, in W."""
    return {
        Metered.GRID_CONNECTION: flows.grid_w,
        Metered.BATTERY: flows.battery_w,
        Metered.SOLAR: flows.der_w,
        Metered.GENERATOR: 0,
    }


def identity(given: GatewayIdentity, scenario: str, table: ControllerTable) -> dict[str, str]:
    """Return what the gateway says of itself."""
    return {
        "manufacturer": given.manufacturer,
        "model": given.model or table.controller,
        "serial_number": given.serial_number or f"SIM-{scenario}",
        "firmware": given.firmware or f"revision {table.revision}",
    }


def packet_bodies(
    bindings: Bindings,
    who: Mapping[str, str],
    controller: tuple[Measurand, ...],
    powers: Mapping[Metered, int],
) -> list[tuple[BoundGateway, dict[str, Any]]]:
    """Make the packet of each gateway, without ``device_id`` and ``timestamp``; none for one with nothing to say."""
    made: list[tuple[BoundGateway, dict[str, Any]]] = []
    for gateway in bindings.gateways:
        sensors = [
            {"sensor_id": sensor.sensor_id, "measurands": measurands}
            for sensor in gateway.sensors
            if (measurands := _measurands(sensor, controller, powers[sensor.metered]))
        ]
        if sensors:
            made.append((gateway, {**who, "sensors": sensors}))
    return made


def _measurands(sensor: BoundSensor, controller: tuple[Measurand, ...], power_w: int) -> list[dict[str, Any]]:
    every = [*controller, *_powers(power_w)]
    return [each._asdict() for each in every if each.key in sensor.measurands]


def _powers(power_w: int) -> tuple[Measurand, ...]:
    """Return a meter's measurands: the simulated site has no reactive power."""
    said = {
        MeasurandKey.TOTAL_POWER_LOAD: power_w,
        MeasurandKey.TOTAL_REACTIVE_POWER: 0,
        MeasurandKey.TOTAL_APPARENT_POWER: abs(power_w),
    }
    return tuple(Measurand(key.value, value, MEASURANDS[key].unit) for key, value in said.items())

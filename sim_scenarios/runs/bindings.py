"""What a depot's configuration lends to a run: which sensor of which gateway carries what.

A scenario names roles and measurands, never a device. ``bind`` finds them in the configuration: a device's enabled
sensor actions say which measurands its sensor carries, so nothing has to be set up for a scenario by itself.

- *The controller's main sensor* is the one whose action takes ``AVAILABLE_CHARGING_CAPACITY``, else the first that
  takes anything of a controller. It also carries what no action asks for: an external controller sends its whole
  table, whatever Manage does with it, and the packets are evidence of it.
- *A meter* is a sensor with ``TOTAL_POWER_LOAD``. The kind of the power source that its updates are routed to says
  what it measures: a battery, solar panels, a generator, or else the grid connection. Where none measures the grid
  connection, the first device without any sensor action does; where there is none, the controller's main sensor.

The gateway's ``site_model_name`` and ``output_translation`` play no part here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from domain.site.measurands import MeasurandKey
from domain.site.routing import PowerSourceKind
from domain.site.sensor_actions import SensorAction, SensorActionKind

CONTROLLER_KEYS = (
    MeasurandKey.AVAILABLE_CHARGING_CAPACITY,
    MeasurandKey.FAIL_SAFE_CAPACITY,
    MeasurandKey.HEARTBEAT_STATUS,
    MeasurandKey.LIMIT_PEAK_SHAVING,
    MeasurandKey.LIMIT_DER_EXPORT,
    MeasurandKey.SOC,
    MeasurandKey.DEVICE_POWER_STATE,
    MeasurandKey.BESS_OPERATIONAL_MODE,
)
"""What a microgrid controller speaks of."""

POWER_KEYS = (
    MeasurandKey.TOTAL_POWER_LOAD,
    MeasurandKey.TOTAL_REACTIVE_POWER,
    MeasurandKey.TOTAL_APPARENT_POWER,
)
"""What a meter speaks of."""


class Metered(StrEnum):
    """What the power measurands of a sensor are about."""

    GRID_CONNECTION = "GRID_CONNECTION"
    """Positive: drawn from the grid."""
    BATTERY = "BATTERY"
    """Positive: it gives."""
    SOLAR = "SOLAR"
    GENERATOR = "GENERATOR"


@dataclass(frozen=True)
class ConfiguredDevice:
    """One device of the depot, as it is configured in Manage."""

    gateway_id: UUID
    gateway_name: str
    sensor_id: str
    actions: tuple[SensorAction, ...] = ()
    """The enabled ones."""
    circuit_name: str | None = None
    """The linked circuit's; None where the device is linked to none."""
    power_source_kind: PowerSourceKind | None = None
    """Of the power source that ``domain.site.routing.route`` finds for the device; None where it finds none."""


@dataclass(frozen=True)
class BoundSensor:
    """One sensor that the simulation speaks for."""

    sensor_id: str
    measurands: tuple[MeasurandKey, ...]
    """What it carries if the scenario has it, in the order of the contract."""
    metered: Metered = Metered.GRID_CONNECTION
    actions: tuple[SensorActionKind, ...] = ()
    circuit_name: str | None = None
    has_power_source: bool = False
    """Whether power source updates find their power source."""
    heartbeat_threshold_ms: int | None = None
    """Of its Update Circuit Capacity, where it has that."""


@dataclass(frozen=True)
class BoundGateway:
    """One gateway that the simulation sends packets for."""

    gateway_id: UUID
    """The packets' ``device_id``; not part of the evidence."""
    name: str
    sensors: tuple[BoundSensor, ...]


@dataclass(frozen=True)
class Bindings:
    """A depot's configuration, as far as a scenario drives it. The same configuration gives equal bindings."""

    gateways: tuple[BoundGateway, ...]
    has_microgrid: bool
    main_sensor: tuple[str, str] | None = None
    """The gateway's name and the sensor's id that carry what no action asks for."""

    @property
    def sensors(self) -> tuple[BoundSensor, ...]:
        """All sensors of all gateways."""
        return tuple(sensor for gateway in self.gateways for sensor in gateway.sensors)

    @property
    def heartbeat_threshold_ms(self) -> int | None:
        """The longest silence that a circuit stands without its fail-safe; None where none follows the controller."""
        found = [each.heartbeat_threshold_ms for each in self.sensors if each.heartbeat_threshold_ms is not None]
        return max(found, default=None)

    def document(self) -> dict[str, Any]:
        """Return the bindings as a JSON document; ``read_bindings`` gives them back."""
        return _ADAPTER.dump_python(self, mode="json")

    def evidence(self) -> dict[str, Any]:
        """Return them as the evidence has them: without what a database made."""
        made = self.document()
        for gateway in made["gateways"]:
            del gateway["gateway_id"]
        return made


_ADAPTER: TypeAdapter[Bindings] = TypeAdapter(Bindings)


def read_bindings(document: object) -> Bindings:
    """Read what ``Bindings.document`` made.

    Raises:
        pydantic.ValidationError: it is something else.

    """
    return _ADAPTER.validate_python(document)


def bind(devices: Iterable[ConfiguredDevice], *, has_microgrid: bool) -> Bindings:
    """Find in a depot's configuration what a scenario may drive. The order of the devices plays no part.

    Args:
        devices: All devices of the depot, or those of one gateway to leave the others alone.
        has_microgrid: Whether the depot has an active microgrid.

    """
    every = sorted(devices, key=lambda each: (each.gateway_name, each.sensor_id, str(each.gateway_id)))
    acting = [each for each in every if _keys(each)]
    main = next((each for each in acting if MeasurandKey.AVAILABLE_CHARGING_CAPACITY in _keys(each)), None)
    main = main or next((each for each in acting if set(CONTROLLER_KEYS) & set(_keys(each))), None)
    carried = {id(each): list(_keys(each)) for each in acting}
    if main is not None:
        taken = {key for keys in carried.values() for key in keys}
        carried[id(main)] += [key for key in CONTROLLER_KEYS if key not in taken]
    if not any(POWER_KEYS[0] in carried[id(each)] and _metered(each) is Metered.GRID_CONNECTION for each in acting):
        plain_meter = next((each for each in every if not each.actions), None)
        if plain_meter is not None:
            carried[id(plain_meter)] = [POWER_KEYS[0]]
        elif main is not None and POWER_KEYS[0] not in carried[id(main)]:
            carried[id(main)].append(POWER_KEYS[0])
    gateways: dict[UUID, list[BoundSensor]] = {}
    for each in every:
        if id(each) in carried:
            gateways.setdefault(each.gateway_id, []).append(_bound(each, carried[id(each)]))
    names = {each.gateway_id: each.gateway_name for each in every}
    return Bindings(
        tuple(BoundGateway(gateway_id, names[gateway_id], tuple(made)) for gateway_id, made in gateways.items()),
        has_microgrid,
        None if main is None else (main.gateway_name, main.sensor_id),
    )


def _keys(device: ConfiguredDevice) -> tuple[MeasurandKey, ...]:
    """Return what the device's actions take, of what the simulation has."""
    taken = {key for action in device.actions for key in action.measurands}
    return tuple(key for key in (*CONTROLLER_KEYS, *POWER_KEYS) if key in taken)


def _metered(device: ConfiguredDevice) -> Metered:
    kind = device.power_source_kind
    takes_load = any(action.kind is SensorActionKind.UPDATE_POWER_SOURCE_LOAD for action in device.actions)
    return Metered(kind.value) if takes_load and kind is not None else Metered.GRID_CONNECTION


def _bound(device: ConfiguredDevice, keys: list[MeasurandKey]) -> BoundSensor:
    policies = [action.capacity_policy for action in device.actions if action.capacity_policy is not None]
    thresholds = [round(policy.heartbeat_threshold.total_seconds() * 1000) for policy in policies]
    order = list(MeasurandKey)
    return BoundSensor(
        sensor_id=device.sensor_id,
        measurands=tuple(sorted(keys, key=order.index)),
        metered=_metered(device),
        actions=tuple(sorted({action.kind for action in device.actions})),
        circuit_name=device.circuit_name,
        has_power_source=device.power_source_kind is not None,
        heartbeat_threshold_ms=max(thresholds, default=None),
    )

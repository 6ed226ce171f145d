"""Typed readings: what one device measured at one time, read from its packets by the rules of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.monitoring.packets import Packet
from domain.site.measurands import MEASURANDS, MeasurandKey, ReadingCode, ReadValue, Unreadable, ValueKind

TypedValue = float | str | bool
"""A number in the measurand's unit, one of its texts, or a boolean."""


@dataclass
class DeviceReading:
    """The measurands of one device at one time of measurement. Each measurand is there once: the first that came."""

    device_id: UUID
    observed_at: datetime
    """When it was measured, by the gateway's clock."""
    received_at: datetime
    """When the first of it came."""
    values: dict[MeasurandKey, TypedValue] = field(default_factory=dict[MeasurandKey, TypedValue])
    faults: dict[MeasurandKey, ReadingCode] = field(default_factory=dict[MeasurandKey, ReadingCode])
    """Measurands that were sent without a value that can be used, and why."""
    scenario_run_id: UUID | None = None
    """A scenario run that sent something of it; None: nothing of it is simulated."""

    def add(self, readings: Mapping[MeasurandKey, ReadValue]) -> None:
        """Add what was measured at the same time and came later: what is there already counts."""
        for key, value in readings.items():
            if key in self.values or key in self.faults:
                continue
            if isinstance(value, Unreadable):
                self.faults[key] = value.code
            else:
                self.values[key] = _typed(key, value)


def _typed(key: MeasurandKey, value: float | str) -> TypedValue:
    kind = MEASURANDS[key].kind
    if kind is ValueKind.BOOLEAN_TEXT:
        return value == "true"
    return float(value) if type(value) is int else value


def device_readings(
    packets: Iterable[tuple[Packet, Mapping[str, UUID], datetime, UUID | None]],
) -> list[DeviceReading]:
    """Read packets in the order of arrival.

    Each comes with the devices of its gateway by sensor, its time of arrival, and the scenario run that sent it.

    The answer is in the order of its key, device and time. Sensors that no device stands for are left out, and keys
    that are no standard measurands.
    """
    found: dict[tuple[UUID, datetime], DeviceReading] = {}
    for packet, devices, received_at, scenario_run_id in packets:
        observed_at = packet.observed_at
        for sensor in packet.sensors:
            device_id = devices.get(sensor.sensor_id)
            if device_id is None or not sensor.readings:
                continue
            key = device_id, observed_at
            reading = found.get(key)
            if reading is None:
                reading = found[key] = DeviceReading(device_id, observed_at, received_at)
            reading.add(sensor.readings)
            reading.scenario_run_id = reading.scenario_run_id or scenario_run_id
    return [found[key] for key in sorted(found)]

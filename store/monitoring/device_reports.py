"""What devices really send: the last value of each measurand, from the last packets of their gateways."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.clocks import effective_at
from domain.site.measurands import MeasurandKey, Unreadable, read_measurand
from store.base.simulated import SCENARIO_OF, SimulatedBy

DEPTH = 200
"""How many of a gateway's packets are looked through, back from the last one that the device was in. What a device sent
last is known however long ago it was; a measurand that was in none of these packets has no value."""


@dataclass(frozen=True)
class ReportedValue:
    """The last value of a measurand that a device sent, as it was sent."""

    key: str
    """A standard key, or one that the contract does not know."""
    value: float | str | None
    unit: str | None
    observed_at: datetime
    received_at: datetime
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""

    @property
    def effective_at(self) -> datetime:
        """When it counts as measured: a stamp counts at most as its arrival."""
        return effective_at(self.observed_at, self.received_at)

    @property
    def standard(self) -> MeasurandKey | None:
        """The key as one of the contract's; None where it is none."""
        return MeasurandKey(self.key) if self.key in tuple(MeasurandKey) else None

    @property
    def unreadable(self) -> Unreadable | None:
        """Why the value cannot be used; None where it can, or is nothing to the contract."""
        if self.standard is None:
            return None
        read = read_measurand(self.standard, self.value, self.unit)
        return read if isinstance(read, Unreadable) else None


@dataclass(frozen=True)
class LastPacket:
    """The packet with the latest effective time that a device was in. It may be too old to be stored any more."""

    packet_id: UUID
    observed_at: datetime
    received_at: datetime
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""

    @property
    def effective_at(self) -> datetime:
        """When it counts as measured: a stamp counts at most as its arrival."""
        return effective_at(self.observed_at, self.received_at)


@dataclass(frozen=True)
class DeviceReport:
    """What a device sent."""

    last_packet: LastPacket
    values: dict[str, ReportedValue] = field(default_factory=dict[str, ReportedValue])
    """By key, the standard ones first, in the order of the contract; as far back as was looked."""


# The shape of a packet is domain.monitoring.packets'; the documents are as they came. Of a reading that came twice, the
# first counts.
_REPORTS = text(f"""
    WITH wanted AS (
        SELECT d.id AS device_id, s.*, p.scenario_run_id
        FROM devices AS d JOIN sensor_sightings AS s ON s.gateway_id = d.gateway_id AND s.sensor_id = d.sensor_id
        LEFT JOIN packets AS p ON (p.gateway_id, p.observed_at, p.id, p.received_at)
                                = (s.gateway_id, s.observed_at, s.packet_id, s.received_at)
        WHERE d.id = ANY (CAST(:device_ids AS uuid[]))
    ), seen AS MATERIALIZED (
        SELECT w.device_id, p.id AS packet_id, p.observed_at, p.received_at, p.scenario_run_id, s.sensor
        FROM wanted AS w
        CROSS JOIN LATERAL (
            SELECT id, observed_at, received_at, scenario_run_id, document FROM packets
            WHERE gateway_id = w.gateway_id AND observed_at <= w.observed_at
            ORDER BY observed_at DESC, id DESC LIMIT :depth
        ) AS p
        CROSS JOIN LATERAL jsonb_array_elements(p.document -> 'sensors') AS s (sensor)
        WHERE s.sensor ->> 'sensor_id' = w.sensor_id
    )
    SELECT DISTINCT ON (w.device_id, m.measurand ->> 'key')
           w.device_id, w.packet_id AS last_packet_id, w.observed_at AS last_observed_at,
           w.received_at AS last_received_at, s.packet_id, s.observed_at, s.received_at, m.measurand,
           s.scenario_run_id, {SCENARIO_OF.format("s.scenario_run_id")}, w.scenario_run_id AS last_run_id,
           (SELECT scenario FROM scenario_runs WHERE id = w.scenario_run_id) AS last_scenario
    FROM wanted AS w
    LEFT JOIN seen AS s USING (device_id)
    LEFT JOIN LATERAL jsonb_array_elements(s.sensor -> 'measurands') AS m (measurand) ON true
    ORDER BY w.device_id, m.measurand ->> 'key', least(s.observed_at, s.received_at) DESC, s.observed_at DESC,
             s.received_at, s.packet_id
""")  # noqa: S608 - constants

_ORDER = {key.value: place for place, key in enumerate(MeasurandKey)}


async def read_reports(connection: AsyncConnection, device_ids: Collection[UUID]) -> dict[UUID, DeviceReport]:
    """Read what these devices sent, in one query; a device that was in no packet ever is left out."""
    if not device_ids:
        return {}
    rows = await connection.execute(_REPORTS, {"device_ids": list(device_ids), "depth": DEPTH})
    packets: dict[UUID, LastPacket] = {}
    values: dict[UUID, list[ReportedValue]] = {}
    for row in rows:
        packets[row.device_id] = LastPacket(
            row.last_packet_id,
            row.last_observed_at,
            row.last_received_at,
            SimulatedBy.of(row.last_run_id, row.last_scenario),
        )
        rows = values.setdefault(row.device_id, [])
        if row.measurand is not None:
            simulated_by = SimulatedBy.of(row.scenario_run_id, row.scenario)
            rows.append(_value(row.measurand, row.observed_at, row.received_at, simulated_by))
    return {device_id: DeviceReport(packet, _sorted(values[device_id])) for device_id, packet in packets.items()}


def _value(
    measurand: dict[str, Any], observed_at: datetime, received_at: datetime, simulated_by: SimulatedBy | None
) -> ReportedValue:
    key, value, unit = str(measurand["key"]), measurand.get("value"), measurand.get("unit")
    return ReportedValue(key, value, unit, observed_at, received_at, simulated_by)


def _sorted(values: list[ReportedValue]) -> dict[str, ReportedValue]:
    ordered = sorted(values, key=lambda each: (_ORDER.get(each.key, len(_ORDER)), each.key))
    return {each.key: each for each in ordered}

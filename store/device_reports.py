"""What devices really send: the last value of each measurand, from the last packets of their gateways."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.measurands import MeasurandKey, Unreadable, read_measurand

DEPTH = 200
"""How many of a gateway's last packets are looked through. A device that was in none of them counts as silent."""


@dataclass(frozen=True)
class ReportedValue:
    """The last value of a measurand that a device sent, as it was sent."""

    key: str
    """A standard key, or one that the contract does not know."""
    value: float | str | None
    unit: str | None
    observed_at: datetime
    received_at: datetime

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
    """The packet with the latest time of measurement that a device was in."""

    packet_id: UUID
    observed_at: datetime
    received_at: datetime


@dataclass(frozen=True)
class DeviceReport:
    """What a device sent, as far back as was looked."""

    last_packet: LastPacket
    values: dict[str, ReportedValue] = field(default_factory=dict[str, ReportedValue])
    """By key, the standard ones first, in the order of the contract."""


# The shape of a packet is domain.packets'; the documents are as they came.
_REPORTS = text("""
    WITH seen AS MATERIALIZED (
        SELECT d.id AS device_id, p.id AS packet_id, p.observed_at, p.received_at, s.sensor
        FROM devices AS d
        CROSS JOIN LATERAL (
            SELECT id, observed_at, received_at, document FROM packets
            WHERE gateway_id = d.gateway_id ORDER BY observed_at DESC, id DESC LIMIT :depth
        ) AS p
        CROSS JOIN LATERAL jsonb_array_elements(p.document -> 'sensors') AS s (sensor)
        WHERE d.id = ANY (CAST(:device_ids AS uuid[])) AND s.sensor ->> 'sensor_id' = d.sensor_id
    )
    SELECT DISTINCT ON (w.device_id, m.measurand ->> 'key')
           w.device_id, w.packet_id, w.observed_at, w.received_at, m.measurand
    FROM seen AS w LEFT JOIN LATERAL jsonb_array_elements(w.sensor -> 'measurands') AS m (measurand) ON true
    ORDER BY w.device_id, m.measurand ->> 'key', w.observed_at DESC, w.packet_id DESC
""")

_ORDER = {key.value: place for place, key in enumerate(MeasurandKey)}


async def read_reports(connection: AsyncConnection, device_ids: Collection[UUID]) -> dict[UUID, DeviceReport]:
    """Read what these devices sent, in one query; a device of which no packet is known is left out."""
    if not device_ids:
        return {}
    rows = await connection.execute(_REPORTS, {"device_ids": list(device_ids), "depth": DEPTH})
    packets: dict[UUID, LastPacket] = {}
    values: dict[UUID, list[ReportedValue]] = {}
    for row in rows:
        packet = LastPacket(row.packet_id, row.observed_at, row.received_at)
        found = packets.get(row.device_id)
        if found is None or (packet.observed_at, packet.packet_id) > (found.observed_at, found.packet_id):
            packets[row.device_id] = packet
        told = values.setdefault(row.device_id, [])
        if row.measurand is not None:
            told.append(_value(row.measurand, packet))
    return {device_id: DeviceReport(packet, _sorted(values[device_id])) for device_id, packet in packets.items()}


def _value(measurand: dict[str, Any], packet: LastPacket) -> ReportedValue:
    return ReportedValue(
        str(measurand["key"]), measurand.get("value"), measurand.get("unit"), packet.observed_at, packet.received_at
    )


def _sorted(values: list[ReportedValue]) -> dict[str, ReportedValue]:
    ordered = sorted(values, key=lambda each: (_ORDER.get(each.key, len(_ORDER)), each.key))
    return {each.key: each for each in ordered}

"""The next packet of a bound device: what it says, what it did, and what it would have done if the binding were on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.action_answers import ActionAnswer
from domain.action_outcomes import IgnoredCode
from domain.capabilities import CAPABILITY_MEASURANDS, packet_event_ref
from domain.packets import DEFAULT_FUTURE_SKEW, DEFAULT_PAST_WINDOW, InvalidPacket, Packet, Sensor, parse_packet
from domain.site import alone
from domain.standing import Standing
from store.capability_status import load_statuses
from store.controller_bindings import BindingRecord
from store.database import clock
from store.device_reports import ReportedValue
from store.driver import driver_errors, driver_in
from store.sites import view_sites

WINDOW = timedelta(hours=1)
"""A packet counts as the next one if it came within so long."""
DEPTH = 500
"""How many of the gateway's packets since then are looked through."""


@dataclass(frozen=True)
class PacketArrival:
    """A packet that the device was in, as it came."""

    packet_id: UUID
    observed_at: datetime
    received_at: datetime
    values: tuple[ReportedValue, ...]
    """What the device sent, in the order of the packet."""
    answers: tuple[dict[str, Any], ...]
    """What each sensor action of the device did with it."""
    if_enabled: ActionAnswer | None
    """What the binding would have done, under today's configuration; None: it was switched on, and acted."""


@dataclass(frozen=True)
class Arrivals:
    """What came from the gateway of a bound device."""

    packet: PacketArrival | None
    """The first that had the device; None: none had, so far."""
    without: int
    """Packets of the gateway before it that did not have the device."""
    sensors: tuple[str, ...]
    """The sensors in those."""


# Whoever takes a packet refuses one that is older than the window, or too far ahead: so much bounds the search by the
# key, which begins with the time of measurement.
_PACKETS = text("""
    SELECT id, observed_at, received_at, document, answers FROM packets
    WHERE gateway_id = :gateway_id
      AND received_at > :after AND received_at <= CAST(:after AS timestamptz) + CAST(:window AS interval)
      AND observed_at > CAST(:after AS timestamptz) - CAST(:past AS interval)
      AND observed_at < CAST(:after AS timestamptz) + CAST(:window AS interval) + CAST(:ahead AS interval)
    ORDER BY received_at, id
    LIMIT :depth
""")


async def read_arrivals(connection: AsyncConnection, binding: BindingRecord, after: datetime) -> Arrivals:
    """Look for the first packet of the binding's device that was received after a moment."""
    given = {
        "gateway_id": binding.gateway_id,
        "after": after,
        "window": WINDOW,
        "past": DEFAULT_PAST_WINDOW + timedelta(minutes=1),
        "ahead": DEFAULT_FUTURE_SKEW + timedelta(minutes=1),
        "depth": DEPTH,
    }
    without: list[Packet] = []
    for row in await connection.execute(_PACKETS, given):
        packet = parse_packet(row.document)
        if isinstance(packet, InvalidPacket):  # taken under a contract that was wider
            continue
        sensor = next((each for each in packet.sensors if each.sensor_id == binding.sensor_id), None)
        if sensor is not None:
            return _arrivals(await _arrival(connection, binding, row, packet, sensor), without)
        without.append(packet)
    return _arrivals(None, without)


def _arrivals(arrival: PacketArrival | None, without: Sequence[Packet]) -> Arrivals:
    sensors = {sensor.sensor_id for packet in without for sensor in packet.sensors}
    return Arrivals(arrival, len(without), tuple(sorted(sensors)))


async def _arrival(
    connection: AsyncConnection, binding: BindingRecord, row: Row[Any], packet: Packet, sensor: Sensor
) -> PacketArrival:
    answers = tuple(each for each in row.answers if each["sensor_id"] == sensor.sensor_id)
    mine = next((each for each in answers if each["sensor_action_id"] == str(binding.binding_id)), None)
    acted = mine is not None and mine["code"] != IgnoredCode.DISABLED
    return PacketArrival(
        row.id,
        row.observed_at,
        row.received_at,
        tuple(
            ReportedValue(each.key, each.value, each.unit, row.observed_at, row.received_at)
            for each in sensor.measurands
        ),
        answers,
        None if acted else await _try(connection, binding, packet),
    )


async def _try(connection: AsyncConnection, binding: BindingRecord, packet: Packet) -> ActionAnswer | None:
    """Let the binding alone take the packet, as the packet door would, and store nothing of it."""
    sites = await view_sites(connection, (binding.gateway_id,))
    site = None if sites is None else alone(sites.by_gateway[binding.gateway_id], binding.binding_id)
    if site is None:
        return None
    standing = Standing(await clock(connection))
    if site.microgrid_id is not None:
        ref = packet_event_ref(packet.device_id, binding.sensor_id, packet.timestamp_ms)
        capabilities = [CAPABILITY_MEASURANDS[each.measurand] for each in binding.capabilities]
        # As for packets that are taken: the first with this reference cannot have come long before its own time.
        earliest = packet.observed_at - DEFAULT_FUTURE_SKEW - timedelta(minutes=1)
        driver = await driver_in(connection)
        with driver_errors():
            await load_statuses(driver, standing, [(site.microgrid_id, each, ref) for each in capabilities], earliest)
    return next(iter(standing.take_packet(packet, site, binding.updated_by)), None)

"""The taking of packets: a group of them in one transaction, each with what its sensor actions did."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from domain.action_answers import ActionAnswer
from domain.capabilities import CAPABILITY_MEASURANDS, Capability, packet_event_ref
from domain.measurands import MeasurandKey
from domain.packets import DEFAULT_FUTURE_SKEW, Packet
from domain.problems import Problem, ProblemCode
from domain.sensor_actions import SensorActionKind
from domain.site import Site
from domain.standing import Standing, unknown_sensors
from store.capability_status import load_earlier, load_latest, write_statuses
from store.capacity_upkeep import write_capacities
from store.notify import ChangeKind, notify
from store.remediation_upkeep import write_remediations
from store.sites import Sites, hold_sites


@dataclass(frozen=True)
class ReceivedPacket:
    """A packet that keeps the contract, as it came."""

    packet: Packet
    document: str
    """The whole document as JSON text, with the keys that the contract does not know."""
    sent_by: str
    """The actor who sent it."""


@dataclass(frozen=True)
class TakenPacket:
    """What became of a packet. It is stored, whatever its sensor actions answered."""

    packet_id: UUID
    answers: tuple[ActionAnswer, ...]
    unknown_sensors: tuple[str, ...]
    """Sensors that no device stands for: kept with the packet, acted on by nothing."""


async def take_packets(connection: AsyncConnection, received: Sequence[ReceivedPacket]) -> list[TakenPacket | Problem]:
    """Take a group of packets in this transaction, as if they came one by one in this order.

    A packet of a gateway that does not exist is answered with the problem ``UNKNOWN_DEVICE`` and not stored.
    """
    gateway_ids = {each.packet.device_id for each in received}
    sites = await hold_sites(connection, gateway_ids)
    if sites is None:
        return [_unknown(each.packet) for each in received]
    standing = Standing(sites.now, readings=sites.readings, capacities=sites.capacities)
    await _load_statuses(connection, standing, received, sites.by_gateway)
    results: list[TakenPacket | Problem] = []
    stored: list[tuple[ReceivedPacket, TakenPacket, Site]] = []
    for each in received:
        site = sites.by_gateway.get(each.packet.device_id)
        if site is None:
            results.append(_unknown(each.packet))
            continue
        answers = standing.take_packet(each.packet, site, each.sent_by)
        taken = TakenPacket(uuid7(), tuple(answers), tuple(unknown_sensors(each.packet, site)))
        results.append(taken)
        stored.append((each, taken, site))
    await _write(connection, standing, stored, sites)
    return results


def _unknown(packet: Packet) -> Problem:
    return Problem(ProblemCode.UNKNOWN_DEVICE, f"There is no gateway device {packet.device_id}.", "device_id")


async def _load_statuses(
    connection: AsyncConnection, standing: Standing, received: Sequence[ReceivedPacket], sites: dict[UUID, Site]
) -> None:
    keys: list[tuple[UUID, Capability, str]] = []
    for each in received:
        packet, site = each.packet, sites.get(each.packet.device_id)
        if site is None or site.microgrid_id is None:
            continue
        for sensor in packet.sensors:
            for action in site.actions.get(sensor.sensor_id, ()):
                if action.kind is SensorActionKind.UPDATE_MICROGRID_STATE:
                    ref = packet_event_ref(packet.device_id, sensor.sensor_id, packet.timestamp_ms)
                    keys += [(site.microgrid_id, CAPABILITY_MEASURANDS[key], ref) for key in action.measurands]
    if keys:
        await load_latest(connection, standing, {key[0] for key in keys})
        # A packet's reference holds its own time, so the first with it cannot have come long before that time.
        earliest = min(each.packet.observed_at for each in received) - DEFAULT_FUTURE_SKEW - timedelta(minutes=1)
        await load_earlier(connection, standing, keys, earliest)


_PACKETS = text("""
    INSERT INTO packets (id, gateway_id, depot_id, observed_at, received_at, document, answers)
    SELECT id, gateway_id, depot_id, observed_at, :received_at, document::jsonb, answers::jsonb
    FROM unnest(CAST(:ids AS uuid[]), CAST(:gateways AS uuid[]), CAST(:depots AS uuid[]),
                CAST(:observed AS timestamptz[]), CAST(:documents AS text[]), CAST(:answers AS text[]))
        AS g (id, gateway_id, depot_id, observed_at, document, answers)
""")

_READINGS = text("""
    INSERT INTO power_source_readings AS r (power_source_id, measurand, value_number, value_text, observed_at,
                                            received_at, device_id)
    SELECT g.power_source_id, g.measurand, g.number, g.text, g.observed_at, :received_at, g.device_id
    FROM unnest(CAST(:sources AS uuid[]), CAST(:measurands AS text[]), CAST(:numbers AS double precision[]),
                CAST(:texts AS text[]), CAST(:observed AS timestamptz[]), CAST(:devices AS uuid[]))
        AS g (power_source_id, measurand, number, text, observed_at, device_id)
    ON CONFLICT (power_source_id, measurand) DO UPDATE
    SET value_number = excluded.value_number, value_text = excluded.value_text, observed_at = excluded.observed_at,
        received_at = excluded.received_at, device_id = excluded.device_id
    WHERE excluded.observed_at > r.observed_at
""")


async def _write(
    connection: AsyncConnection,
    standing: Standing,
    stored: Sequence[tuple[ReceivedPacket, TakenPacket, Site]],
    sites: Sites,
) -> None:
    await connection.execute(
        _PACKETS,
        {
            "ids": [taken.packet_id for _, taken, _ in stored],
            "gateways": [site.gateway_id for _, _, site in stored],
            "depots": [site.depot_id for _, _, site in stored],
            "observed": [each.packet.observed_at for each, _, _ in stored],
            "documents": [each.document for each, _, _ in stored],
            "answers": [_answers(taken) for _, taken, _ in stored],
            "received_at": standing.now,
        },
    )
    changes: dict[UUID, set[str]] = defaultdict(set)
    for _, _, site in stored:
        changes[site.depot_id].add(ChangeKind.PACKET)
    depot_of_microgrid = {site.microgrid_id: site.depot_id for _, _, site in stored}
    await write_statuses(connection, standing)
    for folded in standing.events:
        changes[depot_of_microgrid[folded.given.microgrid_id]].add(ChangeKind.STATUS)
    await _write_readings(connection, standing)
    for depot_id in await write_capacities(connection, standing):
        changes[depot_id].add(ChangeKind.CAPACITY)
    for depot_id in await write_remediations(connection, standing, sites.stopped):
        changes[depot_id].add(ChangeKind.REMEDIATION)
    for _, taken, site in stored:
        if any(answer.rule is not None for answer in taken.answers):
            changes[site.depot_id].add(ChangeKind.POWER_SOURCE)
    await notify(connection, changes)


def _answers(taken: TakenPacket) -> str:
    return json.dumps([answer.document() for answer in taken.answers])


async def _write_readings(connection: AsyncConnection, standing: Standing) -> None:
    # In the order of the key, so that two transactions never wait for each other.
    changed = sorted(standing.changed_readings)
    if not changed:
        return
    found: list[tuple[UUID, MeasurandKey, float | None, str | None]] = []
    for place in changed:
        value = standing.readings[place].value
        number, words = (None, value) if isinstance(value, str) else (value, None)
        found.append((*place, number, words))
    await connection.execute(
        _READINGS,
        {
            "sources": [each[0] for each in found],
            "measurands": [each[1] for each in found],
            "numbers": [each[2] for each in found],
            "texts": [each[3] for each in found],
            "observed": [standing.readings[place].observed_at for place in changed],
            "devices": [standing.readings[place].device_id for place in changed],
            "received_at": standing.now,
        },
    )

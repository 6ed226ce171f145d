"""The taking of packets: a group of them in one transaction, each with what its sensor actions did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from domain.base.problems import Problem, ProblemCode
from domain.monitoring.action_answers import ActionAnswer
from domain.monitoring.batch_state import PacketBatchState, PacketSource, unknown_sensors
from domain.monitoring.capabilities import CAPABILITY_MEASURANDS, Capability, packet_event_ref
from domain.monitoring.device_readings import device_readings
from domain.monitoring.packets import DEFAULT_FUTURE_SKEW, Packet
from domain.site.packet_context import PacketContext
from domain.site.sensor_actions import SensorActionKind
from store.base.arrays import nullable
from store.base.driver import new_id
from store.base.notifications.notify import CHANNEL, ChangeKind, payloads
from store.monitoring.capability_status import WRITE_STATUSES, load_statuses, status_parameters
from store.monitoring.capacity_upkeep import (
    CAPACITY_PARAMETERS,
    WRITE_CAPACITIES,
    capacity_parameters,
    write_capacity_steps,
)
from store.monitoring.device_readings import reading_parameters, write_readings_cte
from store.monitoring.remediation_upkeep import write_remediations
from store.monitoring.statuses.transitions import settle_since
from store.site.depots import depot_retired
from store.site.packet_contexts import PacketContexts, lock_contexts


@dataclass(frozen=True)
class ReceivedPacket:
    """A packet that keeps the contract, as it came."""

    packet: Packet
    document: str
    """The whole document as JSON text, with the keys that the contract does not know."""
    sent_by: str
    """The actor who sent it."""
    scenario_run_id: UUID | None = None
    """The scenario run that sent it; None: it is no simulated one."""


@dataclass(frozen=True)
class TakenPacket:
    """What became of a packet. It is stored, whatever its sensor actions answered."""

    packet_id: UUID
    answers: tuple[ActionAnswer, ...]
    answers_text: str
    """The answers as JSON, as they are stored and sent."""
    unknown_sensors: tuple[str, ...]
    """Sensors that no device stands for: kept with the packet, acted on by nothing."""


async def take_group(
    driver: asyncpg.Connection, received: Sequence[ReceivedPacket], *, at: datetime | None = None
) -> list[TakenPacket | Problem]:
    """Take a group of packets in the open transaction, as if they came one by one in this order.

    A packet of a gateway that does not exist is answered with the problem ``UNKNOWN_DEVICE`` and not stored; one of a
    retired depot with ``DEPOT_RETIRED``.

    Args:
        driver: The connection, in its transaction.
        received: The packets.
        at: When they came, for a demo's past alone; None: now, by the database's clock.

    """
    named: dict[UUID, set[str]] = defaultdict(set)
    for each in received:
        named[each.packet.device_id].update(sensor.sensor_id for sensor in each.packet.sensors)
    contexts = await lock_contexts(driver, named)
    if contexts is None:
        return [_unknown(each.packet) for each in received]
    if at is not None:
        contexts = replace(contexts, now=at)
    state = PacketBatchState(contexts.now, readings=contexts.readings, capacities=contexts.capacities)
    await _load_statuses(driver, state, received, contexts.by_gateway)
    await load_sent(driver, state, [each.packet for each in received], contexts.by_gateway)
    results: list[TakenPacket | Problem] = []
    stored: list[tuple[ReceivedPacket, TakenPacket, PacketContext]] = []
    for each in received:
        context = contexts.by_gateway.get(each.packet.device_id)
        if context is None:
            results.append(_unknown(each.packet))
            continue
        if context.depot_id in contexts.retired:
            results.append(depot_retired(context.depot_id))
            continue
        answers = state.take_packet(each.packet, context, PacketSource(each.sent_by, each.scenario_run_id))
        taken = TakenPacket(new_id(), tuple(answers), _text(answers), tuple(unknown_sensors(each.packet, context)))
        results.append(taken)
        stored.append((each, taken, context))
    if stored:
        await _write(driver, state, stored, contexts)
    return results


def _unknown(packet: Packet) -> Problem:
    return Problem(ProblemCode.UNKNOWN_DEVICE, f"There is no gateway device {packet.device_id}.", "device_id")


async def _load_statuses(
    driver: asyncpg.Connection,
    state: PacketBatchState,
    received: Sequence[ReceivedPacket],
    contexts: dict[UUID, PacketContext],
) -> None:
    keys: list[tuple[UUID, Capability, str]] = []
    for each in received:
        packet, context = each.packet, contexts.get(each.packet.device_id)
        if context is None or context.microgrid_id is None:
            continue
        for sensor in packet.sensors:
            for action in context.actions.get(sensor.sensor_id, ()):
                if action.kind is SensorActionKind.UPDATE_MICROGRID_STATE:
                    ref = packet_event_ref(context.gateway_id, sensor.sensor_id, packet.timestamp_ms)
                    keys += [(context.microgrid_id, CAPABILITY_MEASURANDS[key], ref) for key in action.measurands]
    # A packet's reference holds its own time, so the first with it cannot have come long before that time.
    earliest = min(each.packet.observed_at for each in received) - DEFAULT_FUTURE_SKEW - timedelta(minutes=1)
    await load_statuses(driver, state, keys, earliest)


# With which measurands each of these sensors' stamps came before. Only sensors that something is done with are looked
# at: a packet may have tens of thousands of measurands, and may come very often.
_SENT = """
    SELECT k.n, s.value ->> 'sensor_id' AS sensor_id, array_agg(DISTINCT m.value ->> 'key') AS keys
    FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS k (gateway_id, observed_at, n)
    CROSS JOIN LATERAL (
        SELECT document FROM packets
        WHERE gateway_id = k.gateway_id AND observed_at = k.observed_at AND received_at >= $3
        OFFSET 0
    ) AS p
    CROSS JOIN LATERAL jsonb_array_elements(p.document -> 'sensors') AS s
    CROSS JOIN LATERAL jsonb_array_elements(s.value -> 'measurands') AS m
    WHERE s.value ->> 'sensor_id' = ANY ($4::text[])
    GROUP BY k.n, s.value ->> 'sensor_id'
"""


async def load_sent(
    driver: asyncpg.Connection,
    state: PacketBatchState,
    packets: Sequence[Packet],
    contexts: Mapping[UUID, PacketContext],
) -> None:
    """Put into ``state`` which of these packets' readings came before, where their stamps lie ahead."""
    ahead: list[Packet] = []
    acted_on: set[str] = set()
    for packet in packets:
        if packet.observed_at > state.now and (context := contexts.get(packet.device_id)) is not None:
            found = {sensor.sensor_id for sensor in packet.sensors if sensor.sensor_id in context.actions}
            if found:
                ahead.append(packet)
                acted_on |= found
    if not ahead:
        return
    stamps = [packet.observed_at for packet in ahead]
    # Who takes packets refuses what lies further ahead, so the first cannot have come long before its own time.
    earliest = min(stamps) - DEFAULT_FUTURE_SKEW - timedelta(minutes=1)
    gateway_ids = [packet.device_id for packet in ahead]
    for n, sensor_id, keys in await driver.fetch(_SENT, gateway_ids, stamps, earliest, list(acted_on)):
        packet = ahead[n - 1]
        place = (packet.device_id, packet.timestamp_ms, sensor_id)
        state.sent.setdefault(place, set()).update(keys)


# All that the usual group writes is one statement, one round trip: its parts do not see each other's rows, and none
# needs to. It also sends the notifications, which are delivered when the transaction commits.
_WRITE = f"""
    WITH {WRITE_STATUSES}, stored AS (
        INSERT INTO packets (id, gateway_id, depot_id, observed_at, received_at, document, answers, scenario_run_id)
        SELECT id, gateway_id, depot_id, observed_at, $10, document::jsonb, answers::jsonb, run_id
        FROM unnest($16::uuid[], $17::uuid[], $18::uuid[], $19::timestamptz[], $20::text[], $21::text[], $22::uuid[])
            AS g (id, gateway_id, depot_id, observed_at, document, answers, run_id)
    ), held AS ({WRITE_CAPACITIES.format(*(f"${n}" for n in range(23, 23 + CAPACITY_PARAMETERS)))}),
    read AS ({write_readings_cte(23 + CAPACITY_PARAMETERS)})
    SELECT pg_notify($14, payload) FROM unnest($15::text[]) AS notifications (payload)
"""  # noqa: S608 - constants

_READINGS = """
    INSERT INTO power_source_readings AS r (power_source_id, measurand, value_number, value_text, observed_at,
                                            received_at, device_id, scenario_run_id)
    SELECT g.power_source_id, g.measurand, g.number, g.text, g.observed_at, $7, g.device_id, g.run_id
    FROM unnest($1::uuid[], $2::text[], $3::double precision[], $4::text[], $5::timestamptz[], $6::uuid[], $8::uuid[])
        AS g (power_source_id, measurand, number, text, observed_at, device_id, run_id)
    ON CONFLICT (power_source_id, measurand) DO UPDATE
    SET value_number = excluded.value_number, value_text = excluded.value_text, observed_at = excluded.observed_at,
        received_at = excluded.received_at, device_id = excluded.device_id, released = false,
        scenario_run_id = excluded.scenario_run_id
    WHERE r.released OR (least(excluded.observed_at, excluded.received_at), excluded.observed_at)
                      > (least(r.observed_at, r.received_at), r.observed_at)
"""


async def _write(
    driver: asyncpg.Connection,
    state: PacketBatchState,
    stored: Sequence[tuple[ReceivedPacket, TakenPacket, PacketContext]],
    contexts: PacketContexts,
) -> None:
    await _write_readings(driver, state)
    await write_capacity_steps(driver, state)
    remedied = await write_remediations(driver, state, contexts.stopped)
    await driver.fetch(
        _WRITE,
        *status_parameters(state),
        CHANNEL,
        list(payloads(_changes(state, stored, contexts, remedied))),
        [taken.packet_id for _, taken, _ in stored],
        [context.gateway_id for _, _, context in stored],
        [context.depot_id for _, _, context in stored],
        [each.packet.observed_at for each, _, _ in stored],
        [each.document for each, _, _ in stored],
        [taken.answers_text for _, taken, _ in stored],
        nullable([each.scenario_run_id for each, _, _ in stored]),
        *capacity_parameters(state),
        *reading_parameters(
            device_readings(
                (each.packet, context.devices, state.now, each.scenario_run_id) for each, _, context in stored
            )
        ),
    )
    await settle_since(driver, state.unsettled)


def _changes(
    state: PacketBatchState,
    stored: Sequence[tuple[ReceivedPacket, TakenPacket, PacketContext]],
    contexts: PacketContexts,
    remedied: Collection[UUID],
) -> dict[UUID, set[str]]:
    """Say what of which depot changed."""
    changes: dict[UUID, set[str]] = defaultdict(set)
    depot_of_microgrid: dict[UUID | None, UUID] = {}
    for _, taken, context in stored:
        depot_of_microgrid[context.microgrid_id] = context.depot_id
        changes[context.depot_id].add(ChangeKind.PACKET)
        if any(answer.rule is not None for answer in taken.answers):
            changes[context.depot_id].add(ChangeKind.POWER_SOURCE)
    for folded in state.events:
        changes[depot_of_microgrid[folded.given.microgrid_id]].add(ChangeKind.STATUS)
    for step in state.capacity_steps:
        changes[contexts.depot_of_circuit[step.circuit_id]].add(ChangeKind.CAPACITY)
    for depot_id in remedied:
        changes[depot_id].add(ChangeKind.REMEDIATION)
    return changes


def _text(answers: Sequence[ActionAnswer]) -> str:
    return f"[{', '.join(answer.text() for answer in answers)}]"


async def _write_readings(driver: asyncpg.Connection, state: PacketBatchState) -> None:
    # In the order of the key, so that two transactions never wait for each other.
    changed = sorted(state.changed_readings)
    if not changed:
        return
    readings = [state.readings[place] for place in changed]
    await driver.fetch(
        _READINGS,
        [power_source_id for power_source_id, _ in changed],
        [measurand for _, measurand in changed],
        [None if isinstance(each.value, str) else each.value for each in readings],
        [each.value if isinstance(each.value, str) else None for each in readings],
        [each.observed_at for each in readings],
        [each.device_id for each in readings],
        state.now,
        [each.scenario_run_id for each in readings],
    )

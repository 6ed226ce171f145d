"""The next packet of a bound device: what it says, what it did, and what it would have done if the binding were on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.action_answers import ActionAnswer
from domain.monitoring.batch_state import PacketBatchState, PacketSource
from domain.monitoring.capabilities import CAPABILITY_MEASURANDS, packet_event_ref
from domain.monitoring.packets import DEFAULT_FUTURE_SKEW, DEFAULT_PAST_WINDOW, InvalidPacket, parse_packet
from domain.site.action_outcomes import IgnoredCode
from domain.site.packet_context import alone
from store.base.database import clock
from store.base.driver import driver_errors, driver_in
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.controllers.controller_bindings import BindingRecord
from store.monitoring.capability_status import load_statuses
from store.monitoring.device_reports import ReportedValue
from store.site.packet_contexts import view_contexts

WINDOW = timedelta(hours=1)
"""A packet counts as the next one if it came within so long."""
DEPTH = 500
"""Of how many of the gateway's packets without the device the sensors are named."""


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
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""


@dataclass(frozen=True)
class Arrivals:
    """What came from the gateway of a bound device."""

    packet: PacketArrival | None
    """The first that had the device; None: none had, so far."""
    without: int
    """Packets of the gateway before it that did not have the device."""
    sensors: tuple[str, ...]
    """The sensors in the first ``DEPTH`` of those."""


# Whoever takes a packet refuses one that is older than the window, or too far ahead: so much bounds the search by the
# key, which begins with the time of measurement.
_CAME = """
    FROM packets
    WHERE gateway_id = :gateway_id
      AND received_at > :after AND received_at <= CAST(:after AS timestamptz) + CAST(:window AS interval)
      AND observed_at > CAST(:after AS timestamptz) - CAST(:past AS interval)
      AND observed_at < CAST(:after AS timestamptz) + CAST(:window AS interval) + CAST(:ahead AS interval)
"""
# A packet may be large, so only the one that has the device is read here.
_FIRST = text(f"""
    SELECT id, observed_at, received_at, document, answers, scenario_run_id,
           {SCENARIO_OF.format("scenario_run_id")} {_CAME}
      AND document @> jsonb_build_object('sensors', jsonb_build_array(
          jsonb_build_object('sensor_id', CAST(:sensor_id AS text))))
    ORDER BY received_at, id
    LIMIT 1
""")
_WITHOUT = text(f"""
    WITH came AS (
        SELECT document, count(*) OVER () AS count {_CAME}
          AND (CAST(:before AS timestamptz) IS NULL
               OR (received_at, id) < (CAST(:before AS timestamptz), CAST(:packet_id AS uuid)))
        ORDER BY received_at, id
        LIMIT :depth
    )
    SELECT (SELECT max(count) FROM came) AS without,
           ARRAY(SELECT DISTINCT s.sensor ->> 'sensor_id'
                 FROM came CROSS JOIN jsonb_array_elements(came.document -> 'sensors') AS s (sensor)) AS sensors
""")  # noqa: S608 - constants


async def read_arrivals(connection: AsyncConnection, binding: BindingRecord, after: datetime) -> Arrivals:
    """Look for the first packet of the binding's device that was received after a moment."""
    given = {
        "gateway_id": binding.gateway_id,
        "after": after,
        "window": WINDOW,
        "past": DEFAULT_PAST_WINDOW + timedelta(minutes=1),
        "ahead": DEFAULT_FUTURE_SKEW + timedelta(minutes=1),
    }
    row = (await connection.execute(_FIRST, given | {"sensor_id": binding.sensor_id})).one_or_none()
    until = {"before": None, "packet_id": None} if row is None else {"before": row.received_at, "packet_id": row.id}
    without, sensors = (await connection.execute(_WITHOUT, given | until | {"depth": DEPTH})).one()
    arrival = None if row is None else await _arrival(connection, binding, row)
    return Arrivals(arrival, without or 0, tuple(sorted(sensors)))


async def _arrival(connection: AsyncConnection, binding: BindingRecord, row: Row[Any]) -> PacketArrival:
    sent = next(each for each in row.document["sensors"] if each["sensor_id"] == binding.sensor_id)
    answers = tuple(each for each in row.answers if each["sensor_id"] == binding.sensor_id)
    mine = next((each for each in answers if each["sensor_action_id"] == str(binding.binding_id)), None)
    acted = mine is not None and mine["code"] != IgnoredCode.DISABLED
    simulated_by = SimulatedBy.of(row.scenario_run_id, row.scenario)
    return PacketArrival(
        row.id,
        row.observed_at,
        row.received_at,
        tuple(
            ReportedValue(each["key"], each["value"], each.get("unit"), row.observed_at, row.received_at, simulated_by)
            for each in sent["measurands"]
        ),
        answers,
        None if acted else await _try(connection, binding, row.document),
        simulated_by,
    )


async def _try(connection: AsyncConnection, binding: BindingRecord, document: object) -> ActionAnswer | None:
    """Let the binding alone take the packet, as packet ingest would, and store nothing of it."""
    packet = parse_packet(document)
    if isinstance(packet, InvalidPacket):  # taken under a contract that was wider
        return None
    contexts = await view_contexts(connection, (binding.gateway_id,))
    context = None if contexts is None else alone(contexts.by_gateway[binding.gateway_id], binding.binding_id)
    if context is None:
        return None
    state = PacketBatchState(await clock(connection))
    if context.microgrid_id is not None:
        ref = packet_event_ref(packet.device_id, binding.sensor_id, packet.timestamp_ms)
        capabilities = [CAPABILITY_MEASURANDS[each.measurand] for each in binding.capabilities]
        # As for packets that are taken: the first with this reference cannot have come long before its own time.
        earliest = packet.observed_at - DEFAULT_FUTURE_SKEW - timedelta(minutes=1)
        driver = await driver_in(connection)
        with driver_errors():
            await load_statuses(driver, state, [(context.microgrid_id, each, ref) for each in capabilities], earliest)
    return next(iter(state.take_packet(packet, context, PacketSource(binding.updated_by))), None)

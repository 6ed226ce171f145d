"""The contexts of a batch of packets: configuration and states of their gateways, read in a few queries for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.batch_state import Reading
from domain.site.circuit_capacity import CapacityPolicy, CapacityState
from domain.site.measurands import MeasurandKey
from domain.site.packet_context import ConfiguredAction, PacketContext
from domain.site.routing import PowerSource, PowerSourceKind
from domain.site.sensor_actions import SENSOR_ACTIONS, ActionTarget, SensorActionKind
from store.base.driver import driver_errors, driver_in
from store.base.locks import lock_sites_of_gateways
from store.site.capacities import capacity_state


@dataclass(frozen=True)
class PacketContexts:
    """What was read for a batch of packets."""

    now: datetime
    """By the database's clock, which is the one clock of all who decide by it."""
    by_gateway: dict[UUID, PacketContext]
    capacities: dict[UUID, CapacityState]
    """The states of the circuits that follow an action of these gateways."""
    depot_of_circuit: dict[UUID, UUID]
    """The depots of those circuits."""
    readings: dict[tuple[UUID, MeasurandKey], Reading]
    """What is known of the depots' power sources."""
    stopped: frozenset[UUID]
    """The sensor actions for which a remediation is open."""
    retired: frozenset[UUID]
    """The depots that are retired: nothing of their packets is stored."""


_ACTIONS = """
    SELECT g.id AS gateway_id, g.depot_id, m.id AS microgrid_id, g.output_translation,
           d.sensor_id, d.id AS device_id, d.circuit_id AS linked_circuit,
           a.id AS action_id, a.action, a.measurands, a.enabled,
           a.heartbeat_threshold_seconds AS threshold, a.fail_safe_capacity_w AS fail_safe,
           r.id IS NOT NULL AS stopped, clock_timestamp() AS now,
           c.circuit_id, c.mode, c.since, c.deadline, c.reason, c.capacity_w, c.basis, c.observed_at,
           c.fail_safe_received_w, c.fail_safe_observed_at, c.received_at, c.fail_safe_received_at,
           c.scenario_run_id, c.fail_safe_scenario_run_id
    FROM {wanted} JOIN gateways AS g ON g.id = n.gateway_id
    LEFT JOIN microgrids AS m ON m.depot_id = g.depot_id AND m.retired_at IS NULL
    LEFT JOIN devices AS d ON d.gateway_id = g.id {named}
    LEFT JOIN sensor_actions AS a ON a.device_id = d.id
    LEFT JOIN remediations AS r ON r.sensor_action_id = a.id AND r.closed_at IS NULL
    LEFT JOIN circuit_capacities AS c ON c.sensor_action_id = a.id AND c.circuit_id = d.circuit_id
    ORDER BY g.id, d.id, a.action
"""
_ALL_ACTIONS = _ACTIONS.format(wanted="unnest($1::uuid[]) AS n (gateway_id)", named="")
_NAMED_ACTIONS = _ACTIONS.format(
    wanted="unnest($1::uuid[], $2::text[]) AS n (gateway_id, sensor_id)", named="AND d.sensor_id = n.sensor_id"
)

_POWER_SOURCES = """
    SELECT p.depot_id, p.id, p.kind, p.circuit_id, r.measurand, r.value_number, r.value_text, r.observed_at,
           r.device_id, r.received_at, r.released, r.scenario_run_id
    FROM power_sources AS p LEFT JOIN power_source_readings AS r ON r.power_source_id = p.id
    WHERE p.depot_id = ANY ($1::uuid[])
    ORDER BY p.id
"""

_RETIRED = "SELECT id FROM depots WHERE id = ANY ($1::uuid[]) AND retired_at IS NOT NULL"


_ROUTED = frozenset(kind.value for kind, spec in SENSOR_ACTIONS.items() if spec.target is ActionTarget.POWER_SOURCE)
"""The actions that need the depot's power sources."""


async def lock_contexts(driver: asyncpg.Connection, named: Mapping[UUID, Collection[str]]) -> PacketContexts | None:
    """Lock the depots of these gateways, then read their contexts, which hold until the transaction ends.

    ``named`` has by gateway the sensors that its packets name. The contexts have no others: a packet costs what it
    names, however many sensors its gateway has. A gateway that does not exist has no context; where none exists, the
    answer is None.
    """
    if not await lock_sites_of_gateways(driver, named):
        return None
    return await _read_contexts(driver, await _named_rows(driver, named))


async def _named_rows(driver: asyncpg.Connection, named: Mapping[UUID, Collection[str]]) -> Sequence[Any]:
    # A gateway whose packets name no sensor is there with none.
    wanted = [(gateway_id, sensor_id) for gateway_id, found in named.items() for sensor_id in found or (None,)]
    return await driver.fetch(_NAMED_ACTIONS, [each for each, _ in wanted], [each for _, each in wanted])


async def view_contexts(connection: AsyncConnection, gateway_ids: Collection[UUID]) -> PacketContexts | None:
    """Read the contexts of these gateways, with all sensors, as they are at this moment; None where none exists.

    Only what is read under the lock (``lock_contexts``) holds for longer: this is for showing, never for writing.
    """
    driver = await driver_in(connection)
    with driver_errors():
        return await _read_contexts(driver, await driver.fetch(_ALL_ACTIONS, list({*gateway_ids})))


async def view_named_contexts(
    connection: AsyncConnection, named: Mapping[UUID, Collection[str]]
) -> dict[UUID, PacketContext]:
    """Read, for showing as well, the contexts of gateways by their id, with no sensors but those that are named."""
    driver = await driver_in(connection)
    with driver_errors():
        found = await _read_contexts(driver, await _named_rows(driver, named))
    return {} if found is None else found.by_gateway


async def _read_contexts(driver: asyncpg.Connection, rows: Sequence[Any]) -> PacketContexts | None:
    if not rows:
        return None
    routed = {row["depot_id"] for row in rows if row["action"] in _ROUTED}
    sources, readings = await _read_power_sources(driver, routed)
    followed = [row for row in rows if row["circuit_id"] is not None]
    return PacketContexts(
        rows[0]["now"],
        {
            gateway_id: _context(list(found), sources)
            for gateway_id, found in groupby(rows, lambda row: row["gateway_id"])
        },
        {row["circuit_id"]: capacity_state(row) for row in followed},
        {row["circuit_id"]: row["depot_id"] for row in followed},
        readings,
        frozenset(row["action_id"] for row in rows if row["stopped"]),
        await _retired(driver, {row["depot_id"] for row in rows if row["microgrid_id"] is None}),
    )


async def _retired(driver: asyncpg.Connection, without_microgrid: Collection[UUID]) -> frozenset[UUID]:
    """Find out which depots are retired; those that have a microgrid are not, so that they cost no statement."""
    if not without_microgrid:
        return frozenset()
    return frozenset(row["id"] for row in await driver.fetch(_RETIRED, list(without_microgrid)))


async def _read_power_sources(
    driver: asyncpg.Connection, depot_ids: Collection[UUID]
) -> tuple[dict[UUID, dict[UUID, PowerSource]], dict[tuple[UUID, MeasurandKey], Reading]]:
    sources: dict[UUID, dict[UUID, PowerSource]] = defaultdict(dict)
    readings: dict[tuple[UUID, MeasurandKey], Reading] = {}
    if not depot_ids:
        return sources, readings
    for row in await driver.fetch(_POWER_SOURCES, list(depot_ids)):
        depot_id, source_id, kind, circuit_id, measurand, number, words, *given = row
        sources[depot_id][source_id] = PowerSource(source_id, PowerSourceKind(kind), circuit_id)
        if measurand is not None:
            readings[source_id, MeasurandKey(measurand)] = Reading(words if number is None else number, *given)
    return sources, readings


_CONFIGURATION = 13
"""So many columns of ``_ACTIONS`` come from the configuration; the others are states."""
_MOST_CONTEXTS = 20_000

_contexts: dict[UUID, tuple[object, PacketContext]] = {}
"""By gateway the last context that was made, with what it was made of: it is the same for most packets, which name the
same sensors again. This saves the making, not the reading, so it needs no invalidation."""


def _context(rows: Sequence[Any], sources: dict[UUID, dict[UUID, PowerSource]]) -> PacketContext:
    gateway_id, depot_id = rows[0][:2]
    power_sources = tuple(sources.get(depot_id, {}).values())
    made_of = (power_sources, [(*row[:_CONFIGURATION], row["circuit_id"] is not None) for row in rows])
    known = _contexts.get(gateway_id)
    if known is not None and known[0] == made_of:
        return known[1]
    context = _make_context(rows, power_sources)
    if len(_contexts) >= _MOST_CONTEXTS:
        _contexts.clear()
    _contexts[gateway_id] = (made_of, context)
    return context


def _make_context(rows: Sequence[Any], power_sources: tuple[PowerSource, ...]) -> PacketContext:
    actions: dict[str, list[ConfiguredAction]] = defaultdict(list)
    for row in rows:
        if row["action_id"] is not None:
            actions[row["sensor_id"]].append(_action(row))
    gateway_id, depot_id, microgrid_id, output_translation = rows[0][:4]
    return PacketContext(
        gateway_id,
        depot_id,
        microgrid_id,
        output_translation,
        {row["sensor_id"]: row["device_id"] for row in rows if row["device_id"] is not None},
        {sensor_id: tuple(found) for sensor_id, found in actions.items()},
        power_sources,
    )


def _action(row: Any) -> ConfiguredAction:
    return ConfiguredAction(
        row["action_id"],
        row["device_id"],
        row["sensor_id"],
        SensorActionKind(row["action"]),
        tuple(MeasurandKey(key) for key in row["measurands"]),
        row["enabled"],
        row["linked_circuit"],
        None if row["threshold"] is None else CapacityPolicy(timedelta(seconds=row["threshold"]), row["fail_safe"]),
        row["circuit_id"] is not None,
    )

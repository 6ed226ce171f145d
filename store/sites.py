"""The sites of the gateways whose packets came: their configuration and states, read in a few queries for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.circuit_capacity import CapacityPolicy, CapacityState
from domain.measurands import MeasurandKey
from domain.routing import PowerSource, PowerSourceKind
from domain.sensor_actions import SENSOR_ACTIONS, ActionTarget, SensorActionKind
from domain.site import ConfiguredAction, Site
from domain.standing import Reading
from store.capacities import capacity_state
from store.locks import lock_sites


@dataclass(frozen=True)
class Sites:
    """What was read of the sites of a group of packets."""

    now: datetime
    """By the database's clock, which is the one clock of all who decide by it."""
    by_gateway: dict[UUID, Site]
    capacities: dict[UUID, CapacityState]
    """The states of the circuits that follow an action of these gateways."""
    readings: dict[tuple[UUID, MeasurandKey], Reading]
    """What is known of the depots' power sources."""
    stopped: frozenset[UUID]
    """The sensor actions for which a remediation is open."""


_DEPOTS = text("SELECT DISTINCT depot_id FROM gateways WHERE id = ANY (CAST(:gateways AS uuid[]))")

_ACTIONS = text("""
    SELECT g.id AS gateway_id, g.depot_id, g.output_translation, m.id AS microgrid_id, d.id AS device_id,
           d.sensor_id, d.circuit_id AS linked_circuit, a.id AS action_id, a.action, a.measurands, a.enabled,
           a.heartbeat_threshold_seconds AS threshold, a.fail_safe_capacity_w AS fail_safe,
           r.id IS NOT NULL AS stopped, clock_timestamp() AS now,
           c.circuit_id, c.mode, c.since, c.deadline, c.reason, c.capacity_w, c.basis, c.observed_at,
           c.fail_safe_received_w, c.fail_safe_observed_at
    FROM gateways AS g
    LEFT JOIN microgrids AS m ON m.depot_id = g.depot_id AND m.retired_at IS NULL
    LEFT JOIN devices AS d ON d.gateway_id = g.id
    LEFT JOIN sensor_actions AS a ON a.device_id = d.id
    LEFT JOIN remediations AS r ON r.sensor_action_id = a.id AND r.closed_at IS NULL
    LEFT JOIN circuit_capacities AS c ON c.sensor_action_id = a.id AND c.circuit_id = d.circuit_id
    WHERE g.id = ANY (CAST(:gateways AS uuid[]))
    ORDER BY g.id, d.id, a.action
""")

_POWER_SOURCES = text("""
    SELECT p.depot_id, p.id, p.kind, p.circuit_id, r.measurand, r.value_number, r.value_text, r.observed_at, r.device_id
    FROM power_sources AS p LEFT JOIN power_source_readings AS r ON r.power_source_id = p.id
    WHERE p.depot_id = ANY (CAST(:depots AS uuid[]))
    ORDER BY p.id
""")


async def hold_sites(connection: AsyncConnection, gateway_ids: Collection[UUID]) -> Sites | None:
    """Lock the depots of these gateways, then read their sites: what was read holds until the transaction ends.

    A gateway that does not exist is not among them; where none does, the answer is None.
    """
    depot_ids = (await connection.execute(_DEPOTS, {"gateways": list(gateway_ids)})).scalars().all()
    if not depot_ids:
        return None
    await lock_sites(connection, depot_ids)
    return await read_sites(connection, gateway_ids)


async def read_sites(connection: AsyncConnection, gateway_ids: Collection[UUID]) -> Sites | None:
    """Read the sites of these gateways as they are at this moment; None where none of them exists.

    Only what is read under the lock holds for longer (``hold_sites``): for whoever writes, never for whoever shows.
    """
    by_gateway: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in await connection.execute(_ACTIONS, {"gateways": list(gateway_ids)}):
        by_gateway[row.gateway_id].append(row)
    every = [row for rows in by_gateway.values() for row in rows]
    if not every:
        return None
    routed = {
        row.depot_id
        for row in every
        if row.action is not None and SENSOR_ACTIONS[SensorActionKind(row.action)].target is ActionTarget.POWER_SOURCE
    }
    sources, readings = await _read_power_sources(connection, routed)
    return Sites(
        every[0].now,
        {gateway_id: _site(rows, sources) for gateway_id, rows in by_gateway.items()},
        {row.circuit_id: _capacity(row) for row in every if row.circuit_id is not None},
        readings,
        frozenset(row.action_id for row in every if row.stopped),
    )


async def _read_power_sources(
    connection: AsyncConnection, depot_ids: Collection[UUID]
) -> tuple[dict[UUID, dict[UUID, PowerSource]], dict[tuple[UUID, MeasurandKey], Reading]]:
    sources: dict[UUID, dict[UUID, PowerSource]] = defaultdict(dict)
    readings: dict[tuple[UUID, MeasurandKey], Reading] = {}
    if not depot_ids:
        return sources, readings
    for row in await connection.execute(_POWER_SOURCES, {"depots": list(depot_ids)}):
        sources[row.depot_id][row.id] = PowerSource(row.id, PowerSourceKind(row.kind), row.circuit_id)
        if row.measurand is not None:
            value = row.value_text if row.value_number is None else row.value_number
            readings[row.id, MeasurandKey(row.measurand)] = Reading(value, row.observed_at, row.device_id)
    return sources, readings


def _site(rows: Sequence[Row[Any]], sources: dict[UUID, dict[UUID, PowerSource]]) -> Site:
    actions: dict[str, list[ConfiguredAction]] = defaultdict(list)
    for row in rows:
        if row.action_id is not None:
            actions[row.sensor_id].append(_action(row))
    first = rows[0]
    return Site(
        first.gateway_id,
        first.depot_id,
        first.microgrid_id,
        first.output_translation,
        frozenset(row.sensor_id for row in rows if row.sensor_id is not None),
        {sensor_id: tuple(found) for sensor_id, found in actions.items()},
        tuple(sources.get(first.depot_id, {}).values()),
    )


def _capacity(row: Row[Any]) -> CapacityState:
    return capacity_state(row._asdict())  # pyright: ignore[reportPrivateUsage] - a public name of SQLAlchemy


def _action(row: Row[Any]) -> ConfiguredAction:
    return ConfiguredAction(
        row.action_id,
        row.device_id,
        row.sensor_id,
        SensorActionKind(row.action),
        tuple(MeasurandKey(key) for key in row.measurands),
        row.enabled,
        row.linked_circuit,
        None if row.threshold is None else CapacityPolicy(timedelta(seconds=row.threshold), row.fail_safe),
        row.circuit_id is not None,
    )

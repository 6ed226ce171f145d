"""What a device's sensor actions write to today, by the rules that packets are taken by."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.site.deletions import Affected, DeletionEffect, SubjectKind
from domain.site.packet_context import ConfiguredAction
from domain.site.resolution import Resolved, Unresolved, resolve
from domain.site.sensor_actions import SENSOR_ACTIONS, ActionTarget, SensorActionKind
from store.base.arrays import is_one_of
from store.site.devices import read_device
from store.site.packet_contexts import view_contexts
from store.site.tables import devices, gateways


@dataclass(frozen=True)
class ResolutionRecord:
    """What one sensor action of a device writes to."""

    sensor_action_id: UUID
    action: SensorActionKind
    target: ActionTarget
    found: Resolved | Unresolved | None
    """None: the action is switched off, so it writes to nothing."""
    target_name: str | None
    candidates: tuple[tuple[UUID, str], ...]
    """The power sources between which it could not be decided, with their names."""


@dataclass(frozen=True)
class WriterRecord:
    """A sensor action that writes to a power source."""

    sensor_action_id: UUID
    device_name: str
    title: str


_NAMES = text("""
    SELECT id, name FROM power_sources WHERE id = ANY (CAST(:ids AS uuid[]))
    UNION ALL SELECT id, name FROM circuits WHERE id = ANY (CAST(:ids AS uuid[]))
    UNION ALL SELECT m.id, p.name FROM microgrids AS m JOIN depots AS p ON p.id = m.depot_id
              WHERE m.id = ANY (CAST(:ids AS uuid[]))
""")


async def read_resolutions(connection: AsyncConnection, device_id: UUID) -> list[ResolutionRecord]:
    """Resolve every sensor action of a device, by its kind.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``.

    """
    device = await read_device(connection, device_id)
    sites = await view_contexts(connection, (device.gateway_id,))
    if sites is None:
        return []
    site = sites.by_gateway[device.gateway_id]
    found = [
        (action, resolve(site, action) if action.enabled else None) for action in site.actions.get(device.sensor_id, ())
    ]
    ids: set[UUID] = set()
    for _, each in found:
        if isinstance(each, Resolved):
            ids.add(each.target_id)
        elif each is not None:
            ids.update(each.candidates)
    names = {row.id: row.name for row in await connection.execute(_NAMES, {"ids": list(ids)})}
    return [
        ResolutionRecord(
            action.sensor_action_id,
            action.kind,
            SENSOR_ACTIONS[action.kind].target,
            each,
            names.get(each.target_id) if isinstance(each, Resolved) else None,
            tuple((one, names.get(one, "")) for one in each.candidates) if isinstance(each, Unresolved) else (),
        )
        for action, each in found
    ]


async def list_writers(connection: AsyncConnection, depot_id: UUID, power_source_id: UUID) -> list[WriterRecord]:
    """List the sensor actions of a depot that write to one of its power sources today, by their devices' names."""
    gateway_ids = (await connection.execute(select(gateways.c.id).where(gateways.c.depot_id == depot_id))).scalars()
    sites = await view_contexts(connection, list(gateway_ids))
    if sites is None:
        return []
    writing: list[ConfiguredAction] = []
    for site in sites.by_gateway.values():
        for action in (each for carried in site.actions.values() for each in carried if each.enabled):
            found = resolve(site, action)
            if isinstance(found, Resolved) and found.target_id == power_source_id:
                writing.append(action)
    query = select(devices.c.id, devices.c.name).where(
        is_one_of(devices.c.id, (action.device_id for action in writing))
    )
    names = {row.id: row.name for row in await connection.execute(query)}
    records = [
        WriterRecord(action.sensor_action_id, names.get(action.device_id, ""), SENSOR_ACTIONS[action.kind].title)
        for action in writing
    ]
    return sorted(records, key=lambda record: (record.device_name, record.title))


async def list_rerouted(connection: AsyncConnection, depot_id: UUID, power_source_id: UUID) -> list[Affected]:
    """List what deleting a power source sends elsewhere, or stops: the sensor actions that write to it."""
    return [
        Affected(
            SubjectKind.SENSOR_ACTION,
            each.sensor_action_id,
            f"{each.device_name}, {each.title}",
            DeletionEffect.REROUTED,
        )
        for each in await list_writers(connection, depot_id, power_source_id)
    ]

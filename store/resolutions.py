"""What a device's sensor actions write to today, by the rules that packets are taken by."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.resolution import Resolved, Unresolved, resolve
from domain.sensor_actions import SENSOR_ACTIONS, ActionTarget, SensorActionKind
from store.devices import read_device
from store.driver import driver_in
from store.sites import read_sites


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
    sites = await read_sites(await driver_in(connection), (device.gateway_id,))
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

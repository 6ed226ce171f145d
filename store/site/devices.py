"""Devices: the sensors of a gateway, and the circuit that each is linked to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from domain.base.actor import Actor
from domain.base.bounds import DEVICES
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.controllers.controller_support import ControllerTables, unsupported
from domain.site.deletions import SubjectKind
from domain.site.measurands import MeasurandKey
from domain.site.sensor_actions import SensorActionKind
from store.base.changes import differences, record_change
from store.base.versions import check_version
from store.site.deletions import check_consent
from store.site.depots import lock_depot
from store.site.gateways import read_gateway
from store.site.remediations import close_remediations
from store.site.site_changes import check_circuit, check_room, settle_site, unlink_devices
from store.site.tables import circuits, devices, gateways, sensor_actions


@dataclass(frozen=True)
class DeviceRecord:
    """A device as it is stored, with the names of what it belongs to."""

    device_id: UUID
    depot_id: UUID
    gateway_id: UUID
    gateway_name: str
    sensor_id: str
    """The device's id within the gateway, as packets name it."""
    name: str
    circuit_id: UUID | None
    circuit_name: str | None
    controller: str | None
    """The name of the table of the controller that it is; None: it is none, or not known which."""
    version: int
    """Moves with every change."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


_DEVICES = (
    select(
        devices.c.id.label("device_id"),
        devices.c.depot_id,
        devices.c.gateway_id,
        gateways.c.name.label("gateway_name"),
        devices.c.sensor_id,
        devices.c.name,
        devices.c.circuit_id,
        circuits.c.name.label("circuit_name"),
        devices.c.controller,
        devices.c.version,
        devices.c.created_at,
        devices.c.created_by,
        devices.c.updated_at,
        devices.c.updated_by,
    )
    .select_from(devices)
    .join(gateways, gateways.c.id == devices.c.gateway_id)
    .outerjoin(circuits, circuits.c.id == devices.c.circuit_id)
)
_CONFIGURED = ("gateway_id", "sensor_id", "name", "circuit_id", "controller")


async def list_devices(
    connection: AsyncConnection,
    *,
    depot_id: UUID | None,
    gateway_id: UUID | None,
    search: str | None = None,
    after: UUID | None,
    limit: int | None,
) -> list[DeviceRecord]:
    """List devices by id, beginning after ``after``. ``search`` is a part of the name or of the sensor id.

    Without a limit all of them; a depot's are at most ``domain.base.bounds.DEVICES``, but for one that had more before.
    """
    query = _DEVICES.order_by(devices.c.id).limit(limit).where(*_fitting(depot_id, gateway_id, search))
    if after is not None:
        query = query.where(devices.c.id > after)
    return [DeviceRecord(**row) for row in (await connection.execute(query)).mappings()]


async def count_devices(
    connection: AsyncConnection, *, depot_id: UUID | None, gateway_id: UUID | None = None, search: str | None = None
) -> int:
    """Count what ``list_devices`` would list."""
    query = select(func.count()).select_from(devices).where(*_fitting(depot_id, gateway_id, search))
    return (await connection.execute(query)).scalar_one()


def _fitting(depot_id: UUID | None, gateway_id: UUID | None, search: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if depot_id is not None:
        conditions.append(devices.c.depot_id == depot_id)
    if gateway_id is not None:
        conditions.append(devices.c.gateway_id == gateway_id)
    if search:
        parts = (column.icontains(search, autoescape=True) for column in (devices.c.name, devices.c.sensor_id))
        conditions.append(or_(*parts))
    return conditions


async def read_device(connection: AsyncConnection, device_id: UUID) -> DeviceRecord:
    """Read one device.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``.

    """
    row = (await connection.execute(_DEVICES.where(devices.c.id == device_id))).mappings().one_or_none()
    if row is None:
        raise Problem(ProblemCode.DEVICE_NOT_FOUND, f"There is no device {device_id}.")
    return DeviceRecord(**row)


async def lock_device(connection: AsyncConnection, device_id: UUID) -> DeviceRecord:
    """Take the lock of the device's depot, then read the device.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``.

    """
    # A device never changes its depot, so this much may be read before the lock.
    await lock_depot(connection, (await read_device(connection, device_id)).depot_id)
    return await read_device(connection, device_id)


async def create_device(
    connection: AsyncConnection,
    actor: Actor,
    *,
    gateway_id: UUID,
    sensor_id: str,
    name: str,
    circuit_id: UUID | None,
    controller: str | None = None,
) -> DeviceRecord:
    """Make a device in the gateway's depot.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND``, ``CIRCUIT_NOT_IN_DEPOT``, ``SENSOR_ID_TAKEN`` or ``TOO_MANY_DEVICES``.

    """
    depot_id = (await read_gateway(connection, gateway_id)).depot_id
    await lock_depot(connection, depot_id)
    await read_gateway(connection, gateway_id)
    await check_circuit(connection, depot_id, circuit_id)
    await _check_sensor_id(connection, gateway_id, sensor_id)
    await check_room(connection, depot_id, DEVICES)
    device_id = uuid7()
    await connection.execute(
        insert(devices).values(
            id=device_id,
            depot_id=depot_id,
            gateway_id=gateway_id,
            sensor_id=sensor_id,
            name=name,
            circuit_id=circuit_id,
            controller=controller,
            created_by=actor.name,
            updated_by=actor.name,
        )
    )
    made = await read_device(connection, device_id)
    await record_change(
        connection,
        actor,
        "DEVICE_CREATED",
        depot_id=depot_id,
        subject_id=device_id,
        detail=differences(None, made, _CONFIGURED),
    )
    await settle_site(connection, depot_id)
    return made


async def update_device(
    connection: AsyncConnection,
    actor: Actor,
    device_id: UUID,
    given: Mapping[str, Any],
    tables: ControllerTables,
    expected: Versions = None,
) -> DeviceRecord:
    """Change what ``given`` names of ``gateway_id``, ``sensor_id``, ``name``, ``circuit_id`` and ``controller``.

    A circuit whose capacity follows the device is released, and the one that it is linked to now begins to follow.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``, ``VERSION_CONFLICT``, ``GATEWAY_NOT_IN_DEPOT``, ``CIRCUIT_NOT_IN_DEPOT``,
            ``SENSOR_ID_TAKEN`` or ``UNSUPPORTED_BY_REVISION``: the device is bound to supply what that
            controller cannot send.

    """
    before = await lock_device(connection, device_id)
    await check_version(connection, before, "device", device_id, expected)
    changed = {name: value for name, value in given.items() if value != getattr(before, name)}
    if not changed:
        return before
    if "gateway_id" in changed:
        await _check_gateway(connection, before.depot_id, changed["gateway_id"])
    if "circuit_id" in changed:
        await check_circuit(connection, before.depot_id, changed["circuit_id"])
    if "gateway_id" in changed or "sensor_id" in changed:
        await _check_sensor_id(
            connection, changed.get("gateway_id", before.gateway_id), changed.get("sensor_id", before.sensor_id)
        )
    if "controller" in changed:
        await _check_controller(connection, tables, device_id, changed["controller"])
    await connection.execute(
        update(devices).where(devices.c.id == device_id).values(**changed, updated_at=func.now(), updated_by=actor.name)
    )
    after = await read_device(connection, device_id)
    await record_change(
        connection,
        actor,
        "DEVICE_CHANGED",
        depot_id=before.depot_id,
        subject_id=device_id,
        detail=differences(before, after, _CONFIGURED),
    )
    await settle_site(connection, before.depot_id)
    return after


async def delete_device(
    connection: AsyncConnection, actor: Actor, device_id: UUID, expected: Versions = None, consent: str | None = None
) -> None:
    """Delete a device with its sensor actions. What it reported stays in the history.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``, ``VERSION_CONFLICT`` or ``DELETION_CHANGED``.

    """
    before = await lock_device(connection, device_id)
    await check_version(connection, before, "device", device_id, expected)
    await check_consent(connection, SubjectKind.DEVICE, device_id, consent)
    closed = await close_remediations(connection, actor, before.depot_id, device_ids=(device_id,))
    await unlink_devices(connection, actor, (device_id,))
    await settle_site(connection, before.depot_id, *closed)
    await connection.execute(delete(devices).where(devices.c.id == device_id))
    await record_change(
        connection,
        actor,
        "DEVICE_DELETED",
        depot_id=before.depot_id,
        subject_id=device_id,
        detail=differences(before, None, _CONFIGURED),
    )


async def _check_gateway(connection: AsyncConnection, depot_id: UUID, gateway_id: UUID) -> None:
    query = select(gateways.c.id).where(gateways.c.id == gateway_id, gateways.c.depot_id == depot_id)
    if (await connection.execute(query)).first() is None:
        raise Problem(ProblemCode.GATEWAY_NOT_IN_DEPOT, f"Depot {depot_id} has no gateway {gateway_id}.", "gateway_id")


async def _check_controller(
    connection: AsyncConnection, tables: ControllerTables, device_id: UUID, controller: str | None
) -> None:
    query = select(sensor_actions.c.id, sensor_actions.c.measurands).where(
        sensor_actions.c.device_id == device_id, sensor_actions.c.action == SensorActionKind.UPDATE_MICROGRID_STATE
    )
    bound = (await connection.execute(query)).one_or_none()
    missing = () if bound is None else unsupported(tables, controller, map(MeasurandKey, bound.measurands))
    if bound is not None and missing:
        raise Problem(
            ProblemCode.UNSUPPORTED_BY_REVISION,
            f'The controller "{controller}" does not send {", ".join(missing)}, which the device is bound to supply. '
            "Change the binding first.",
            "controller",
            context={"binding_id": bound.id, "measurands": list(missing)},
        )


async def _check_sensor_id(connection: AsyncConnection, gateway_id: UUID, sensor_id: str) -> None:
    query = select(devices.c.id, devices.c.name).where(
        devices.c.gateway_id == gateway_id, devices.c.sensor_id == sensor_id
    )
    taken = (await connection.execute(query)).one_or_none()
    if taken is not None:
        raise Problem(
            ProblemCode.SENSOR_ID_TAKEN,
            f'The device "{taken.name}" of this gateway has this sensor id.',
            "sensor_id",
            context={"device_id": taken.id, "device_name": taken.name},
        )

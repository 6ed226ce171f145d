"""Devices: the sensors of a gateway, and the circuit that each is linked to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from domain.base.actor import Actor
from domain.base.bounds import DEVICES
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.controllers.controller_support import ControllerTables, unsupported
from domain.site.deletions import SubjectKind
from domain.site.measurands import MeasurandKey
from domain.site.sensor_actions import SensorActionKind
from store.access.narrowing import within
from store.base.arrays import containing
from store.site.deletions import check_consent
from store.site.gateways import read_gateway
from store.site.site_changes import (
    Configurable,
    change_in_depot_of,
    change_of,
    check_circuit,
    check_room,
    unlink_devices,
)
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


async def list_devices(
    connection: AsyncConnection,
    scope: DepotScope,
    *,
    depot_id: UUID | None,
    gateway_id: UUID | None,
    search: str | None = None,
    after: UUID | None,
    limit: int | None,
) -> list[DeviceRecord]:
    """List devices of the depots within ``scope`` by id, beginning after ``after``.

    ``search`` is a part of the name or of the sensor id.

    Without a limit all of them; a depot's are at most ``domain.base.bounds.DEVICES``, but for one that had more before.
    """
    query = _DEVICES.order_by(devices.c.id).limit(limit).where(*_fitting(depot_id, gateway_id, search))
    query = query.where(within(devices.c.depot_id, scope))
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
        pattern = containing(search)
        conditions.append(or_(devices.c.name.ilike(pattern), devices.c.sensor_id.ilike(pattern)))
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


_DEVICE = Configurable(
    SubjectKind.DEVICE, devices, read_device, ("gateway_id", "sensor_id", "name", "circuit_id", "controller")
)


async def create_device(connection: AsyncConnection, actor: Actor, values: Mapping[str, Any]) -> DeviceRecord:
    """Make a device of ``gateway_id``, ``sensor_id``, ``name``, ``circuit_id``, ``controller``, in the gateway's depot.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND``, ``CIRCUIT_NOT_IN_DEPOT``, ``SENSOR_ID_TAKEN`` or ``TOO_MANY_DEVICES``.

    """
    async with change_in_depot_of(connection, actor, read_gateway, values["gateway_id"]) as (change, gateway):
        await check_circuit(connection, gateway.depot_id, values["circuit_id"])
        await _check_sensor_id(connection, gateway.gateway_id, values["sensor_id"])
        await check_room(connection, gateway.depot_id, DEVICES)
        return await change.add_row(_DEVICE, values)


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
    async with change_of(connection, actor, _DEVICE, device_id, expected) as (change, before):
        changed = _DEVICE.changed(before, given)
        if "gateway_id" in changed:
            await _check_gateway(connection, before.depot_id, changed["gateway_id"])
        await check_circuit(connection, before.depot_id, changed.get("circuit_id"))
        if "gateway_id" in changed or "sensor_id" in changed:
            await _check_sensor_id(
                connection, changed.get("gateway_id", before.gateway_id), changed.get("sensor_id", before.sensor_id)
            )
        if "controller" in changed:
            await _check_controller(connection, tables, device_id, changed["controller"])
        return await change.change_row(_DEVICE, before, changed)


async def delete_device(
    connection: AsyncConnection, actor: Actor, device_id: UUID, expected: Versions = None, consent: str | None = None
) -> None:
    """Delete a device with its sensor actions. What it reported stays in the history.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``, ``VERSION_CONFLICT`` or ``DELETION_CHANGED``.

    """
    async with change_of(connection, actor, _DEVICE, device_id, expected) as (change, before):
        await check_consent(connection, SubjectKind.DEVICE, device_id, consent)
        await change.close_remediations(device_ids=(device_id,))
        await unlink_devices(connection, actor, (device_id,))
        await change.delete_row(_DEVICE, before)


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

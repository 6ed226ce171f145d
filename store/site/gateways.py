"""Gateways: what sends the packets of a depot's devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from domain.base.actor import Actor
from domain.base.bounds import GATEWAYS
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.site.deletions import SubjectKind
from store.access.gateway_secrets import count_secrets
from store.access.narrowing import within
from store.site.deletions import check_consent
from store.site.site_changes import Configurable, change_of, check_room, configuration_change, unlink_devices
from store.site.tables import devices, gateways


@dataclass(frozen=True)
class GatewayRecord:
    """A gateway as it is stored."""

    gateway_id: UUID
    depot_id: UUID
    name: str
    site_model_name: str | None
    output_translation: Any
    """A JSON object, or None; what an import brought may be another JSON value."""
    version: int
    """Moves with every change."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


_GATEWAYS = select(
    gateways.c.id.label("gateway_id"),
    gateways.c.depot_id,
    gateways.c.name,
    gateways.c.site_model_name,
    gateways.c.output_translation,
    gateways.c.version,
    gateways.c.created_at,
    gateways.c.created_by,
    gateways.c.updated_at,
    gateways.c.updated_by,
)


async def list_gateways(
    connection: AsyncConnection, scope: DepotScope, *, depot_id: UUID | None, after: UUID | None, limit: int
) -> list[GatewayRecord]:
    """List gateways of the depots within ``scope`` by id, beginning after ``after``."""
    query = _GATEWAYS.order_by(gateways.c.id).limit(limit).where(within(gateways.c.depot_id, scope))
    if depot_id is not None:
        query = query.where(gateways.c.depot_id == depot_id)
    if after is not None:
        query = query.where(gateways.c.id > after)
    return [GatewayRecord(**row) for row in (await connection.execute(query)).mappings()]


async def gateway_ids(connection: AsyncConnection, scope: DepotScope) -> frozenset[UUID]:
    """The ids of all gateways at the depots within ``scope``."""
    query = select(gateways.c.id).where(within(gateways.c.depot_id, scope))
    return frozenset((await connection.execute(query)).scalars())


async def read_gateway(connection: AsyncConnection, gateway_id: UUID) -> GatewayRecord:
    """Read one gateway.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND``.

    """
    row = (await connection.execute(_GATEWAYS.where(gateways.c.id == gateway_id))).mappings().one_or_none()
    if row is None:
        raise Problem(ProblemCode.GATEWAY_NOT_FOUND, f"There is no gateway {gateway_id}.")
    return GatewayRecord(**row)


_GATEWAY = Configurable(SubjectKind.GATEWAY, gateways, read_gateway, ("name", "site_model_name", "output_translation"))


async def create_gateway(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, values: Mapping[str, Any]
) -> GatewayRecord:
    """Make a gateway of ``name``, ``site_model_name`` and ``output_translation``.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``TOO_MANY_GATEWAYS``.

    """
    async with configuration_change(connection, actor, depot_id) as change:
        await check_room(connection, depot_id, GATEWAYS)
        return await change.add_row(_GATEWAY, values)


async def update_gateway(
    connection: AsyncConnection, actor: Actor, gateway_id: UUID, given: Mapping[str, Any], expected: Versions = None
) -> GatewayRecord:
    """Change what ``given`` names of ``name``, ``site_model_name`` and ``output_translation``.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND`` or ``VERSION_CONFLICT``.

    """
    async with change_of(connection, actor, _GATEWAY, gateway_id, expected) as (change, before):
        return await change.change_row(_GATEWAY, before, _GATEWAY.changed(before, given))


async def delete_gateway(
    connection: AsyncConnection,
    actor: Actor,
    gateway_id: UUID,
    *,
    cascade: bool,
    expected: Versions = None,
    consent: str | None = None,
) -> None:
    """Delete a gateway, with its devices and their sensor actions where ``cascade`` says so.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND``, ``VERSION_CONFLICT``, ``DELETION_CHANGED`` or ``GATEWAY_HAS_DEVICES``.

    """
    async with change_of(connection, actor, _GATEWAY, gateway_id, expected) as (change, before):
        await check_consent(connection, SubjectKind.GATEWAY, gateway_id, consent)
        query = select(devices.c.id).where(devices.c.gateway_id == gateway_id)
        device_ids = (await connection.execute(query)).scalars().all()
        if device_ids and not cascade:
            raise Problem(
                ProblemCode.GATEWAY_HAS_DEVICES,
                f"The gateway has devices ({len(device_ids)}). Delete them first, or ask for cascade=true.",
                context={"devices": len(device_ids)},
            )
        await change.close_remediations(device_ids=device_ids)
        await unlink_devices(connection, actor, device_ids)
        change.defer(partial(connection.execute, delete(devices).where(devices.c.gateway_id == gateway_id)))
        # They go with the row.
        secrets = await count_secrets(connection, gateway_id)
        await change.delete_row(_GATEWAY, before, with_devices=len(device_ids), with_secrets=secrets)

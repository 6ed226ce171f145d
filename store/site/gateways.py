"""Gateways: what sends the packets of a depot's devices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from domain.base.actor import Actor
from domain.base.bounds import GATEWAYS
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from domain.site.deletions import SubjectKind
from store.base.changes import differences, record_change
from store.base.versions import check_version
from store.site.deletions import check_consent
from store.site.depots import lock_depot
from store.site.remediations import close_remediations
from store.site.site_changes import check_room, settle_site, unlink_devices
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
_CONFIGURED = ("name", "site_model_name", "output_translation")


async def list_gateways(
    connection: AsyncConnection, *, depot_id: UUID | None, after: UUID | None, limit: int
) -> list[GatewayRecord]:
    """List gateways by id, beginning after ``after``."""
    query = _GATEWAYS.order_by(gateways.c.id).limit(limit)
    if depot_id is not None:
        query = query.where(gateways.c.depot_id == depot_id)
    if after is not None:
        query = query.where(gateways.c.id > after)
    return [GatewayRecord(**row) for row in (await connection.execute(query)).mappings()]


async def read_gateway(connection: AsyncConnection, gateway_id: UUID) -> GatewayRecord:
    """Read one gateway.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND``.

    """
    row = (await connection.execute(_GATEWAYS.where(gateways.c.id == gateway_id))).mappings().one_or_none()
    if row is None:
        raise Problem(ProblemCode.GATEWAY_NOT_FOUND, f"There is no gateway {gateway_id}.")
    return GatewayRecord(**row)


async def create_gateway(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, values: Mapping[str, Any]
) -> GatewayRecord:
    """Make a gateway of ``name``, ``site_model_name`` and ``output_translation``.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``TOO_MANY_GATEWAYS``.

    """
    await lock_depot(connection, depot_id)
    await check_room(connection, depot_id, GATEWAYS)
    gateway_id = uuid7()
    await connection.execute(
        insert(gateways).values(
            id=gateway_id, depot_id=depot_id, **values, created_by=actor.name, updated_by=actor.name
        )
    )
    made = await read_gateway(connection, gateway_id)
    await record_change(
        connection,
        actor,
        "GATEWAY_CREATED",
        depot_id=depot_id,
        subject_id=gateway_id,
        detail=differences(None, made, _CONFIGURED),
    )
    await settle_site(connection, depot_id)
    return made


async def update_gateway(
    connection: AsyncConnection, actor: Actor, gateway_id: UUID, given: Mapping[str, Any], expected: Versions = None
) -> GatewayRecord:
    """Change what ``given`` names of ``name``, ``site_model_name`` and ``output_translation``.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND`` or ``VERSION_CONFLICT``.

    """
    depot_id = (await read_gateway(connection, gateway_id)).depot_id
    await lock_depot(connection, depot_id)
    before = await read_gateway(connection, gateway_id)
    await check_version(connection, before, "gateway", gateway_id, expected)
    changed = {name: value for name, value in given.items() if _json(value) != _json(getattr(before, name))}
    if not changed:
        return before
    await connection.execute(
        update(gateways)
        .where(gateways.c.id == gateway_id)
        .values(**changed, updated_at=func.now(), updated_by=actor.name)
    )
    after = await read_gateway(connection, gateway_id)
    await record_change(
        connection,
        actor,
        "GATEWAY_CHANGED",
        depot_id=depot_id,
        subject_id=gateway_id,
        detail=differences(before, after, _CONFIGURED),
    )
    await settle_site(connection, depot_id)
    return after


def _json(value: object) -> str:
    # As JSON, because Python takes 1 and true for the same.
    return json.dumps(value, sort_keys=True)


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
    depot_id = (await read_gateway(connection, gateway_id)).depot_id
    await lock_depot(connection, depot_id)
    before = await read_gateway(connection, gateway_id)
    await check_version(connection, before, "gateway", gateway_id, expected)
    await check_consent(connection, SubjectKind.GATEWAY, gateway_id, consent)
    query = select(devices.c.id).where(devices.c.gateway_id == gateway_id)
    device_ids = (await connection.execute(query)).scalars().all()
    if device_ids and not cascade:
        raise Problem(
            ProblemCode.GATEWAY_HAS_DEVICES,
            f"The gateway has devices ({len(device_ids)}). Delete them first, or ask for cascade=true.",
            context={"devices": len(device_ids)},
        )
    closed = await close_remediations(connection, actor, depot_id, device_ids=device_ids)
    await unlink_devices(connection, actor, device_ids)
    await settle_site(connection, depot_id, *closed)
    await connection.execute(delete(devices).where(devices.c.gateway_id == gateway_id))
    await connection.execute(delete(gateways).where(gateways.c.id == gateway_id))
    await record_change(
        connection,
        actor,
        "GATEWAY_DELETED",
        depot_id=depot_id,
        subject_id=gateway_id,
        detail={**differences(before, None, _CONFIGURED), "with_devices": len(device_ids)},
    )

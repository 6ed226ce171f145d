"""Secrets of gateways as they are stored: at most two a gateway, none of which can be read back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.gateway_secrets import MOST_SECRETS, NewSecret, SecretRecord, Slot
from domain.access.secrets import USE_NOTED_AFTER
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from store.access.tables import gateway_secrets
from store.base.arrays import is_one_of
from store.base.changes import record_change
from store.base.notifications.notify import ChangeKind, notify

_C = gateway_secrets.c
# The site's tables are to the right of this wing. Locked, so that two do not take the same slot.
_GATEWAY = text("SELECT depot_id, name FROM gateways WHERE id = :gateway_id FOR NO KEY UPDATE")


def _secrets() -> Select[*tuple[Any, ...]]:
    return select(_C.id, _C.gateway_id, _C.slot, _C.created_at, _C.created_by, _C.used_at)


async def list_secrets(connection: AsyncConnection, gateway_ids: Collection[UUID]) -> list[SecretRecord]:
    """List the secrets of gateways, by gateway and slot."""
    query = _secrets().where(is_one_of(_C.gateway_id, gateway_ids)).order_by(_C.gateway_id, _C.slot)
    return [SecretRecord(id_, of, Slot(slot), *rest) for id_, of, slot, *rest in await connection.execute(query)]


async def read_secret(connection: AsyncConnection, gateway_id: UUID, secret_id: UUID) -> SecretRecord:
    """Read one secret of a gateway.

    Raises:
        Problem: ``GATEWAY_SECRET_NOT_FOUND``.

    """
    for each in await list_secrets(connection, [gateway_id]):
        if each.secret_id == secret_id:
            return each
    raise _no_secret(secret_id)


async def create_secret(connection: AsyncConnection, actor: Actor, gateway_id: UUID, secret: NewSecret) -> SecretRecord:
    """Store a new secret of a gateway, in the slot that is free.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND`` or ``TOO_MANY_GATEWAY_SECRETS``.

    """
    depot_id, name = await _lock_gateway(connection, gateway_id)
    taken = {each.slot for each in await list_secrets(connection, [gateway_id])}
    free = next((slot for slot in Slot if slot not in taken), None)
    if free is None:
        raise Problem(
            ProblemCode.TOO_MANY_GATEWAY_SECRETS,
            f"The gateway has {MOST_SECRETS} secrets. Revoke the one that it no longer uses first.",
        )
    row = insert(gateway_secrets).values(
        gateway_id=gateway_id, slot=free, digest=secret.digest, mqtt_hash=secret.mqtt_hash, created_by=actor.name
    )
    made = (await connection.execute(row.returning(_C.id, _C.created_at))).one()
    await _record(connection, actor, "GATEWAY_SECRET_CREATED", depot_id, gateway_id, name, made.id, free)
    return SecretRecord(made.id, gateway_id, free, made.created_at, actor.name, None)


async def delete_secret(connection: AsyncConnection, actor: Actor, gateway_id: UUID, secret_id: UUID) -> None:
    """Revoke a secret of a gateway.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND`` or ``GATEWAY_SECRET_NOT_FOUND``.

    """
    depot_id, name = await _lock_gateway(connection, gateway_id)
    row = delete(gateway_secrets).where(_C.id == secret_id, _C.gateway_id == gateway_id).returning(_C.slot)
    slot = (await connection.execute(row)).scalar_one_or_none()
    if slot is None:
        raise _no_secret(secret_id)
    await _record(connection, actor, "GATEWAY_SECRET_REVOKED", depot_id, gateway_id, name, secret_id, Slot(slot))


def _no_secret(secret_id: UUID) -> Problem:
    return Problem(ProblemCode.GATEWAY_SECRET_NOT_FOUND, f"The gateway has no secret {secret_id}.")


async def _lock_gateway(connection: AsyncConnection, gateway_id: UUID) -> tuple[UUID, str]:
    found = (await connection.execute(_GATEWAY, {"gateway_id": gateway_id})).one_or_none()
    if found is None:
        raise Problem(ProblemCode.GATEWAY_NOT_FOUND, f"There is no gateway {gateway_id}.")
    return found.depot_id, found.name


async def _record(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    depot_id: UUID,
    gateway_id: UUID,
    name: str,
    secret_id: UUID,
    slot: Slot,
) -> None:
    detail = {"gateway": name, "secret_id": str(secret_id), "slot": slot}
    await record_change(connection, actor, action, depot_id=depot_id, subject_id=gateway_id, detail=detail)
    await notify(connection, {depot_id: [ChangeKind.CONFIGURATION]})


_FIND = text("""
    SELECT s.id, s.gateway_id, g.depot_id FROM gateway_secrets AS s JOIN gateways AS g ON g.id = s.gateway_id
    WHERE s.digest = :digest
""")


async def find_secret(connection: AsyncConnection, digest: bytes) -> tuple[UUID, UUID, UUID] | None:
    """Find whose secret has this digest; None: it is nobody's, or was revoked.

    Answers the ids of the secret, of its gateway, and of the gateway's depot.
    """
    row = (await connection.execute(_FIND, {"digest": digest})).one_or_none()
    return None if row is None else (row.id, row.gateway_id, row.depot_id)


async def note_uses(connection: AsyncConnection, secret_ids: Collection[UUID]) -> None:
    """Note that these secrets are used now, those of which it was not noted in the last minute."""
    stale = or_(_C.used_at.is_(None), _C.used_at < func.now() - USE_NOTED_AFTER)
    row = update(gateway_secrets).where(is_one_of(_C.id, secret_ids), stale)
    await connection.execute(row.values(used_at=func.now()))


async def list_hashes(connection: AsyncConnection) -> list[tuple[UUID, Slot, str]]:
    """List all secrets as the accounts of an MQTT broker: the gateway's id, the slot and the hash of the password."""
    query = select(_C.gateway_id, _C.slot, _C.mqtt_hash).order_by(_C.gateway_id, _C.slot)
    return [(gateway_id, Slot(slot), hash_) for gateway_id, slot, hash_ in await connection.execute(query)]


async def count_secrets(connection: AsyncConnection, gateway_id: UUID) -> int:
    """Say how many secrets a gateway has."""
    query = select(func.count()).select_from(gateway_secrets).where(_C.gateway_id == gateway_id)
    return (await connection.execute(query)).scalar_one()

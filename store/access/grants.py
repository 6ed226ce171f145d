"""Grants as they are stored: who has which role, at one depot or at all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, delete, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.grants import GranteeKind, GrantRecord, is_keeping
from domain.access.principals import DepotScope, Grant, PrincipalKind
from domain.access.roles import Role
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from store.access.narrowing import within
from store.access.tables import grants
from store.base.arrays import is_one_of_texts
from store.base.changes import record_change

CHANNEL = "manage_access"
"""Notified when who may do what has changed: every table that decides it has a trigger for that. The payload is empty,
or ``SECRETS``."""
SECRETS = "gateway_secrets"
"""The payload when secrets of gateways were created or revoked."""


async def read_grants(
    connection: AsyncConnection, kind: PrincipalKind, subject: str, groups: Collection[str]
) -> tuple[Grant, ...]:
    """Read what was granted to a principal, itself or by one of the groups that the provider says it is in."""
    own = and_(grants.c.kind == kind, grants.c.subject == subject)
    by_group = and_(grants.c.kind == GranteeKind.GROUP, is_one_of_texts(grants.c.subject, groups))
    found = await connection.execute(select(grants.c.role, grants.c.depot_id).where(or_(own, by_group)).distinct())
    return tuple(Grant(Role(role), depot_id) for role, depot_id in found)


# The site's tables are to the right of this wing.
_DEPOT_NAME = text("(SELECT name FROM depots WHERE depots.id = grants.depot_id) AS depot_name")


def _grants() -> Select[*tuple[Any, ...]]:
    names = ("kind", "subject", "name", "role", "depot_id")
    return select(
        grants.c.id, *(grants.c[name] for name in names), _DEPOT_NAME, grants.c.created_at, grants.c.created_by
    )


async def _read(connection: AsyncConnection, query: Select[*tuple[Any, ...]]) -> list[GrantRecord]:
    return [
        GrantRecord(grant_id, GranteeKind(kind), subject, name, Role(role), *rest)
        for grant_id, kind, subject, name, role, *rest in await connection.execute(query)
    ]


async def list_grants(
    connection: AsyncConnection,
    scope: DepotScope,
    *,
    kind: GranteeKind | None = None,
    subject: str | None = None,
    depot_id: UUID | None = None,
    after: UUID | None,
    limit: int,
) -> list[GrantRecord]:
    """List grants within ``scope`` by id, which is the order in which they were made, beginning after ``after``.

    ``depot_id``: those that say something of this depot alone.
    """
    query = _grants().where(within(grants.c.depot_id, scope)).order_by(grants.c.id).limit(limit)
    for column, wanted in ((grants.c.kind, kind), (grants.c.subject, subject), (grants.c.depot_id, depot_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    if after is not None:
        query = query.where(grants.c.id > after)
    return await _read(connection, query)


async def granted_to(connection: AsyncConnection, kind: GranteeKind, subject: str) -> list[GrantRecord]:
    """Read all that was granted to somebody themselves."""
    return await _read(connection, _grants().where(grants.c.kind == kind, grants.c.subject == subject))


async def read_grant(connection: AsyncConnection, grant_id: UUID) -> GrantRecord:
    """Read one grant.

    Raises:
        Problem: ``GRANT_NOT_FOUND``.

    """
    found = await _read(connection, _grants().where(grants.c.id == grant_id))
    if not found:
        raise Problem(ProblemCode.GRANT_NOT_FOUND, f"There is no grant {grant_id}.")
    return found[0]


async def create_grant(connection: AsyncConnection, actor: Actor, values: Mapping[str, Any]) -> GrantRecord:
    """Grant ``role`` to the grantee of ``kind`` and ``subject``, called ``name``, at ``depot_id``; None: at all depots.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``GRANT_EXISTS``.

    """
    await check_depot(connection, values["depot_id"])
    row = insert(grants).values(**values, created_by=actor.name).on_conflict_do_nothing().returning(grants.c.id)
    grant_id = (await connection.execute(row)).scalar_one_or_none()
    if grant_id is None:
        raise Problem(ProblemCode.GRANT_EXISTS, f"{values['name']} has this role there already.")
    made = await read_grant(connection, grant_id)
    await _record(connection, actor, "ACCESS_GRANTED", made)
    return made


async def check_depot(connection: AsyncConnection, depot_id: UUID | None) -> None:
    """Refuse a depot that does not exist.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    if depot_id is not None:
        query = text("SELECT true FROM depots WHERE id = :depot_id FOR KEY SHARE")
        if (await connection.execute(query, {"depot_id": depot_id})).one_or_none() is None:
            raise Problem(ProblemCode.DEPOT_NOT_FOUND, f"There is no depot {depot_id}.", "depot_id")


async def delete_grant(connection: AsyncConnection, actor: Actor, grant_id: UUID) -> None:
    """Take a grant away.

    Raises:
        Problem: ``GRANT_NOT_FOUND`` or ``LAST_ADMINISTRATOR``.

    """
    # Two that each leave the other's administrator would leave none.
    await connection.execute(text("LOCK TABLE grants IN SHARE ROW EXCLUSIVE MODE"))
    record = await read_grant(connection, grant_id)
    if is_keeping(record):
        administrators = await _read(connection, _grants().where(grants.c.role == Role.ADMINISTRATOR))
        if not any(is_keeping(each) for each in administrators if each.grant_id != grant_id):
            raise Problem(
                ProblemCode.LAST_ADMINISTRATOR,
                f"{record.name} is the last administrator of all depots. Grant that to somebody else first.",
            )
    await connection.execute(delete(grants).where(grants.c.id == grant_id))
    await _record(connection, actor, "ACCESS_REVOKED", record)


async def _record(connection: AsyncConnection, actor: Actor, action: str, record: GrantRecord) -> None:
    detail = {"kind": record.kind, "subject": record.subject, "name": record.name, "role": record.role}
    await record_change(connection, actor, action, depot_id=record.depot_id, subject_id=record.grant_id, detail=detail)

"""Grants as they are stored: who has which role, at one depot or at all of them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import Grant, PrincipalKind
from domain.access.roles import Role
from store.access.tables import grants
from store.base.arrays import is_one_of_texts

CHANNEL = "manage_access"
"""Notified, without a payload, when who may do what has changed: every table that decides it has a trigger for that."""

GROUP = "group"
"""The kind of a grant to a group of the provider's claims; other grants have their principal's kind."""


async def read_grants(
    connection: AsyncConnection, kind: PrincipalKind, subject: str, groups: Collection[str]
) -> tuple[Grant, ...]:
    """Read what was granted to a principal, itself or by one of the groups that the provider says it is in."""
    own = and_(grants.c.kind == kind, grants.c.subject == subject)
    by_group = and_(grants.c.kind == GROUP, is_one_of_texts(grants.c.subject, groups))
    found = await connection.execute(select(grants.c.role, grants.c.depot_id).where(or_(own, by_group)).distinct())
    return tuple(Grant(Role(role), depot_id) for role, depot_id in found)

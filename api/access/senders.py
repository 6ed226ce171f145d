"""Of which gateways somebody may send packets."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.principals import Principal
from domain.access.roles import Permission
from store.site.gateways import gateway_ids

MaySend = Callable[[UUID], bool]
"""Whether the packets of a gateway, by its id, may be sent."""


def _of_any(_gateway_id: UUID) -> bool:
    return True


async def may_send_of(engine: AsyncEngine, principal: Principal) -> MaySend:
    """Say whose packets a principal may send: a gateway its own, anybody else those of the gateways at their depots.

    The database is asked for whoever sends at some depots alone: the local administrator's packets, and those of
    gateways themselves, cost no statement.
    """
    if principal.gateway_id is not None:
        return principal.gateway_id.__eq__
    scope = principal.scope(Permission.SEND)
    if scope.everywhere:
        return _of_any
    async with engine.connect() as connection:
        return (await gateway_ids(connection, scope)).__contains__

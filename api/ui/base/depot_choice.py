"""A depot that a form names by a part of its name, or by its id."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from api.site import depots
from domain.access.principals import DepotScope
from domain.base.names import MAX_NAME_LENGTH, best_matches
from domain.base.texts import fault_of, normal
from store.site.depots import depot_not_found

_SEARCHED = 500


async def find_depot(
    engine: AsyncEngine, scope: DepotScope, named: str, errors: dict[str, str], field: str = "depot"
) -> depots.Depot | None:
    """Find the one depot that is meant; None, and the error of the ``field`` noted, where it is none or not one.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``: there is none with this id.

    """
    if not named:
        errors[field] = "Name a depot."
        return None
    try:
        depot_id = UUID(named)
    except ValueError:
        pass
    else:
        if not scope.holds(depot_id):
            raise depot_not_found(depot_id)
        return await depots.read(depot_id, engine)
    term = normal(named)[:MAX_NAME_LENGTH]
    found = [] if fault_of(term) else (await depots.list_all(engine, scope, search=term, limit=_SEARCHED)).items
    chosen = best_matches(term, found, lambda each: each.name)
    if len(chosen) == 1:
        return chosen[0]
    errors[field] = (
        "Several depots match. Type more of the name, or the id." if chosen else "No depot's name contains that."
    )
    return None

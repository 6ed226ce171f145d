"""The remediations page: what stops updates by a site's configuration, and what a person does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import ActorDep, EngineDep, PrincipalDep, ScopeDep
from api.base.streams.live import Kind, Topic
from api.base.types import Cursor, RemediationId
from api.site import remediations as service
from api.site.remediations import StateFilter
from api.ui.base.rendering import is_htmx, render
from domain.access.principals import DepotScope
from domain.access.roles import Permission
from store.base.database import snapshot
from store.site.depots import depot_not_found, read_depot
from store.site.remediations import RemediationState, count_by_depot, count_open

router = APIRouter(prefix="/remediations", include_in_schema=False)

PAGE = 50
"""Remediations that are loaded at a time."""
DEPOTS = 200
"""Depots that the filter offers: those with the most."""

# A form that is sent as it is has the filter, and nothing in it.
OfDepot = Annotated[UUID | None, BeforeValidator(lambda given: given or None), Query(alias="depot_id")]
State = Annotated[StateFilter, Query()]


@dataclass(frozen=True)
class Wanted:
    """Which remediations are asked for."""

    state: StateFilter
    depot_id: UUID | None

    def query(self, **other: object) -> str:
        """Ask for the same with something else in it; None takes a filter away."""
        given = {"state": self.state.value, "depot_id": self.depot_id, **other}
        return urlencode({name: value for name, value in given.items() if value})


async def _read(engine: AsyncEngine, scope: DepotScope, wanted: Wanted, cursor: str | None = None) -> dict[str, Any]:
    page = await service.list_all(
        engine, scope, depot_id=wanted.depot_id, state=wanted.state, cursor=cursor, limit=PAGE
    )
    return {"page": page, "wanted": wanted, "resolved": False}


async def _filters(engine: AsyncEngine, scope: DepotScope, wanted: Wanted) -> dict[str, Any]:
    state = None if wanted.state is StateFilter.ALL else RemediationState(wanted.state)
    async with snapshot(engine) as connection:
        found = await count_by_depot(connection, scope, state, DEPOTS)
        chosen = None
        if wanted.depot_id is not None and not scope.holds(wanted.depot_id):
            raise depot_not_found(wanted.depot_id)
        if wanted.depot_id is not None and all(each.depot_id != wanted.depot_id for each in found):
            chosen = await read_depot(connection, wanted.depot_id)
        open_count = await count_open(connection, scope)
    return {"by_depot": found, "chosen": chosen, "open_count": open_count, "states": StateFilter}


@router.get("", name="page_remediations")
async def show(
    request: Request, engine: EngineDep, scope: ScopeDep, state: State = StateFilter.OPEN, depot_id: OfDepot = None
) -> Response:
    """Show the remediations: the open ones, unless asked otherwise."""
    wanted = Wanted(state, depot_id)
    context = await _read(engine, scope, wanted) | await _filters(engine, scope, wanted)
    block = "results" if is_htmx(request) else None
    return render(request, "remediations.html", context | {"topics": [Topic(Kind.REMEDIATIONS)]}, block=block)


@router.get("/rows", name="remediation_rows")
async def more(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    state: State = StateFilter.OPEN,
    depot_id: OfDepot = None,
    cursor: Cursor = None,
) -> Response:
    """The next remediations of the list."""
    context = await _read(engine, scope, Wanted(state, depot_id), cursor)
    return render(request, "remediations.html", context, block="more_rows")


@router.get("/count", name="remediation_count")
async def count(request: Request, engine: EngineDep, scope: ScopeDep) -> Response:
    """How many are open, as the navigation of every page shows it."""
    async with engine.connect() as connection:
        found = await count_open(connection, scope)
    return render(request, "remediations.html", {"open_count": found}, block="open_count")


@router.post("/{remediation_id}/resolve", name="remediation_resolve")
async def resolve(
    request: Request,
    remediation_id: RemediationId,
    actor: ActorDep,
    engine: EngineDep,
    principal: PrincipalDep,
    state: State = StateFilter.OPEN,
    depot_id: OfDepot = None,
) -> Response:
    """Close a remediation by hand, and show the list as it is then."""
    await service.resolve(remediation_id, actor, engine)
    wanted, scope = Wanted(state, depot_id), principal.scope(Permission.VIEW)
    context = await _read(engine, scope, wanted) | await _filters(engine, scope, wanted) | {"resolved": True}
    return render(request, "remediations.html", context, block="results")

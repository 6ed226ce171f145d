"""The first page: how the fleet does, and which depots need attention most."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import EngineDep, ScopeDep
from api.base.streams.live import Kind, Topic
from api.monitoring import overview as service
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render
from api.ui.site.depots import FILTERS
from domain.access.principals import DepotScope

router = APIRouter(include_in_schema=False)


async def _read(engine: AsyncEngine, scope: DepotScope) -> dict[str, Any]:
    topics = [Topic(Kind.ALARMS), Topic(Kind.FLEET)]
    return {"fleet": await service.read(engine, scope), "load": None, "topics": topics}


@router.get("/", name="page_overview")
async def show(request: Request, engine: EngineDep, scope: ScopeDep) -> Response:
    """Show the page. Addresses of the list of depots, which was here once, lead there."""
    if not FILTERS.isdisjoint(request.query_params):
        return RedirectResponse(f"{address_of(request, 'page_depots')}?{request.url.query}", 308)
    return render(request, "overview.html", await _read(engine, scope))


@router.get("/overview/parts", name="overview_parts")
async def parts(request: Request, engine: EngineDep, scope: ScopeDep) -> Response:
    """The parts of the page that change, as they are now."""
    return render(request, "overview.html", await _read(engine, scope), block="moving")


@router.get("/overview/load", name="overview_load")
async def load(request: Request, engine: EngineDep, scope: ScopeDep) -> Response:
    """What all depots draw together: a part of its own, for it costs more than the rest in a large fleet."""
    return render(request, "overview.html", {"load": await service.read_load(engine, scope)}, block="load")

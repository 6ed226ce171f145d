"""The head of a depot's pages: what of the depot needs attention, on every tab and live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import EngineDep
from api.base.streams.live import Kind, Topic
from api.base.types import DepotId
from api.monitoring.overview import DepotInAlarm
from api.ui.base.rendering import render
from store.base.database import snapshot
from store.site.depots import read_depot
from store.site.fleet.fleet_alarms import read_alarms

router = APIRouter(include_in_schema=False)


async def with_head(engine: AsyncEngine, depot_id: UUID, context: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the context of a depot's page what its head shows and watches."""
    async with engine.connect() as connection:
        found = await read_alarms(connection, depot_id)
    alarms = None if found is None else DepotInAlarm.of(found)
    topics = [*context.get("topics", ()), Topic(Kind.DEPOT_ALARMS, depot_id)]
    return {**context, "alarms": alarms, "topics": topics}


@router.get("/depots/{depot_id}/verdict", name="depot_verdict")
async def verdict(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """What of the depot needs attention, as it is now."""
    async with snapshot(engine) as connection:
        depot = await read_depot(connection, depot_id)
        found = await read_alarms(connection, depot_id)
    alarms = None if found is None else DepotInAlarm.of(found)
    return render(request, "depot_area.html", {"depot": depot, "alarms": alarms}, block="verdict")

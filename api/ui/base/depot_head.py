"""The head of a depot's pages, on every tab and live: what of the depot needs attention, and how far it is set up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.base.dependencies import EngineDep, resources_of
from api.base.streams.live import Kind, Topic
from api.base.types import DepotId
from api.monitoring.overview import DepotInAlarm
from api.ui.base.rendering import render
from domain.provisioning.set_up import SetUp, set_up_of
from store.base.database import snapshot
from store.provisioning.set_up import read_set_up
from store.site.depots import read_depot
from store.site.fleet.fleet_alarms import read_alarms

router = APIRouter(include_in_schema=False)

_OF_SET_UP = (Kind.DEPOT, Kind.PACKET)
"""What a depot that is not set up yet is watched for besides."""


async def with_head(
    request: Request, engine: AsyncEngine, depot_id: UUID, context: Mapping[str, Any]
) -> dict[str, Any]:
    """Add to the context of a depot's page what its head shows and watches."""
    async with engine.connect() as connection:
        found = await read_alarms(connection, depot_id)
        set_up = await _read_set_up(request, connection, depot_id)
    if set_up is not None and set_up.next_step is None:
        set_up = None
    alarms = None if found is None else DepotInAlarm.of(found)
    topics = [*context.get("topics", ()), Topic(Kind.DEPOT_ALARMS, depot_id)]
    wanted = [] if set_up is None else [Topic(kind, depot_id) for kind in _OF_SET_UP]
    topics += [topic for topic in wanted if topic not in topics]
    return {**context, "alarms": alarms, "set_up": set_up, "topics": topics}


async def _read_set_up(request: Request, connection: AsyncConnection, depot_id: UUID) -> SetUp | None:
    facts = await read_set_up(connection, depot_id)
    needs_secrets = resources_of(request.app).settings.needs_gateway_secrets
    return None if facts is None else set_up_of(facts, needs_secrets=needs_secrets)


@router.get("/depots/{depot_id}/verdict", name="depot_verdict")
async def verdict(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """What of the depot needs attention, as it is now.

    Only the page of a depot in service asks. Where the depot was retired meanwhile, the page offers what is refused:
    it is told to load itself anew (``static/js/dialogs.js``).
    """
    async with snapshot(engine) as connection:
        depot = await read_depot(connection, depot_id)
        found = await read_alarms(connection, depot_id)
    alarms = None if found is None else DepotInAlarm.of(found)
    outdated = {} if depot.retired_at is None else {"HX-Trigger": "page-outdated"}
    return render(request, "depot_area.html", {"depot": depot, "alarms": alarms}, block="verdict", headers=outdated)


@router.get("/depots/{depot_id}/set-up", name="depot_set_up")
async def set_up(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """How far the depot is set up, as it is now."""
    async with snapshot(engine) as connection:
        depot = await read_depot(connection, depot_id)
        found = await _read_set_up(request, connection, depot_id)
    return render(request, "depot_area.html", {"depot": depot, "set_up": found}, block="set_up")

"""Back in time: what the product showed of a depot at a moment, with a slider to go there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.base.dependencies import EngineDep
from api.base.types import DepotId, Moment
from api.monitoring.capability_status import StatusAsOfDocument
from api.site import depots
from api.ui.base.depot_head import with_head
from api.ui.base.rendering import render
from domain.base.problems import Problem
from domain.history.as_of import SPANS, STEPS
from store.base.database import clock, snapshot
from store.history.capacities_as_of import list_capacities_as_of
from store.history.rows_as_of import microgrid_of_depot_as_of
from store.history.statuses_as_of import read_statuses_as_of
from store.history.structure_as_of import read_structure_as_of
from store.site.depots import read_depot

router = APIRouter(include_in_schema=False)

_TEMPLATE = "as_of.html"

_Span = Annotated[str, Query(pattern="^(1h|24h|7d|31d)$")]
_Place = Annotated[int, Query(ge=0, le=STEPS)]


async def _told(connection: AsyncConnection, depot: depots.Depot, as_of: datetime) -> dict[str, Any]:
    """What was shown at the moment; where that cannot be told, why."""
    try:
        microgrid_id = await microgrid_of_depot_as_of(connection, depot.depot_id, as_of)
        statuses = await read_statuses_as_of(connection, microgrid_id, as_of)
        return {
            "untold": None,
            "statuses": [StatusAsOfDocument.at(each) for each in statuses],
            "capacities": await list_capacities_as_of(connection, depot.depot_id, as_of),
            "structure": await read_structure_as_of(connection, microgrid_id, as_of),
        }
    except Problem as problem:
        return {"untold": problem.detail}


async def _context(engine: EngineDep, depot_id: DepotId, span: str, place: int, at: datetime | None) -> dict[str, Any]:
    async with snapshot(engine) as connection:
        depot = depots.Depot.of(await read_depot(connection, depot_id))
        present = await clock(connection)
        as_of = at or present - timedelta(seconds=SPANS[span][1] * (STEPS - place) / STEPS)
        shown = None if at is None and place == STEPS else await _told(connection, depot, as_of)
    return {
        "depot": depot,
        "as_of": as_of,
        "shown": shown,
        "spans": SPANS,
        "steps": STEPS,
        "span": span,
        "place": place,
    }


@router.get("/depots/{depot_id}/as-of", name="page_as_of")
async def show(
    request: Request, depot_id: DepotId, engine: EngineDep, span: _Span = "24h", place: _Place = STEPS,
    at: Moment | None = None,
) -> Response:  # fmt: skip
    """Show the page; ``at`` names a moment for good, ``place`` is one of the slider's."""
    context = await with_head(request, engine, depot_id, await _context(engine, depot_id, span, place, at))
    return render(request, _TEMPLATE, context)


@router.get("/depots/{depot_id}/as-of/told", name="as_of_told")
async def told(
    request: Request, depot_id: DepotId, engine: EngineDep, span: _Span = "24h", place: _Place = STEPS
) -> Response:
    """What was shown at the place to which the slider was moved."""
    return render(request, _TEMPLATE, await _context(engine, depot_id, span, place, None), block="told")

"""The load page of a depot: its Microgrid card, the load beside the capacity, and what holds now."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.base.dependencies import ActorDep, EngineDep, FlagsDep
from api.base.flags import Flags
from api.base.streams.live import Kind, Topic
from api.base.types import Cursor, DepotId, MicrogridId
from api.monitoring import capability_status
from api.site import depots, power_sources
from api.site.capacities import Capacity
from api.ui.base.depot_head import with_head
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render
from api.ui.base.words import EXPORT
from api.ui.site.devices import source_now
from domain.access.principals import DepotScope
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.history.as_of import SPANS, STEPS
from domain.monitoring.capabilities import Capability
from runtime.settings import MICROGRID_CARD
from store.base.database import clock, snapshot
from store.controllers.controller_bindings import disabled_bindings
from store.controllers.controller_signs import read_signs
from store.history.parquet import can_write_parquet
from store.monitoring.capability_status import read_latest
from store.provisioning.microgrids import read_microgrid
from store.site.capacities import list_capacities
from store.site.circuits import list_circuits
from store.site.depots import read_depot
from store.site.power_sources import list_power_sources

router = APIRouter(include_in_schema=False)

RANGES = {"1h": ("1 h", 3_600), "6h": ("6 h", 21_600), "24h": ("24 h", 86_400), "7d": ("7 d", 604_800)}
"""What a chart may span: the word of it, and its seconds."""
TRANSITIONS = 5
"""Transitions of a capability that the card lists."""
EARLIER = 20
"""Earlier ones that are loaded at a time."""
SOURCES = 200
"""Power sources that the page lists."""

_WATCHED = (Kind.DEPOT, Kind.STATUS, Kind.CAPACITY, Kind.PACKET, Kind.POWER_SOURCE)


async def _read_page(engine: AsyncEngine, flags: Flags, actor: Actor, depot_id: UUID) -> dict[str, Any]:
    """Read all that the page shows beside the chart, as of one moment.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    has_card = await flags.is_on(MICROGRID_CARD, actor, depot_id)
    async with snapshot(engine) as connection:
        depot = await read_depot(connection, depot_id)
        card = None
        if has_card and depot.microgrid_id is not None:
            card = await _read_card(connection, depot_id, depot.microgrid_id)
        circuits = await list_circuits(connection, depot_id)
        held = await list_capacities(connection, depot_id, await clock(connection))
        suppliers = {each["latest"].owner_device_id for each in card or ()} | {each.device_id for each in held.values()}
        signs = await read_signs(connection, [each for each in suppliers if each is not None])
        sources = await list_power_sources(
            connection, DepotScope.of(depot_id), depot_id=depot_id, after=None, limit=SOURCES
        )
    return {
        "depot": depots.Depot.of(depot),
        "tops": [circuit.name for circuit in circuits if circuit.parent_id is None],
        "has_card": has_card,
        "card": card,
        "signs": signs,
        "capacities": [
            (circuit, Capacity.of(held[circuit.circuit_id])) for circuit in circuits if circuit.circuit_id in held
        ],
        "sources": [source_now(power_sources.PowerSource.of(record)) for record in sources],
        "topics": [Topic(kind, depot_id) for kind in _WATCHED],
    }


async def _read_card(connection: AsyncConnection, depot_id: UUID, microgrid_id: UUID) -> list[dict[str, Any]]:
    """Both capabilities, each from its one latest record, with its last transitions (COR-38.4)."""
    disabled = await disabled_bindings(connection, depot_id)
    return [
        {
            "latest": capability_status.LatestStatus.of(record),
            "disabled": disabled.get(record.capability) if record.owner_device_id is None else None,
            "transitions": await capability_status.read_transitions(
                connection, microgrid_id, record.capability, cursor=None, limit=TRANSITIONS
            ),
        }
        for record in await read_latest(connection, microgrid_id)
    ]


@router.get("/depots/{depot_id}/load", name="page_load")
async def show(
    request: Request,
    depot_id: DepotId,
    actor: ActorDep,
    engine: EngineDep,
    flags: FlagsDep,
    span: Annotated[str, Query(alias="range", pattern="^(1h|6h|24h|7d)$")] = "6h",
) -> Response:
    """Show the page (COR-9.1). Where its card has no microgrid to show, the status is 404 and the card says why."""
    context = await _read_page(engine, flags, actor, depot_id)
    missing = context["has_card"] and context["card"] is None
    context |= {"ranges": RANGES, "chosen": span, "spans": SPANS, "steps": STEPS}
    context["exports"] = [(text, f"/api/exports/{kind}?depot_id={depot_id}") for kind, text in EXPORT.items()]
    context["exports_parquet"] = can_write_parquet()
    context = await with_head(request, engine, depot_id, context)
    return render(request, "load.html", context, status=404 if missing else 200)


@router.get("/depots/{depot_id}/load/parts", name="load_parts")
async def parts(request: Request, depot_id: DepotId, actor: ActorDep, engine: EngineDep, flags: FlagsDep) -> Response:
    """The parts of the page that change, as they are now."""
    return render(request, "load.html", await _read_page(engine, flags, actor, depot_id), block="moving")


@router.get("/depots/{depot_id}/transitions", name="capability_transitions")
async def transitions(
    request: Request, depot_id: DepotId, capability: Annotated[Capability, Query()], engine: EngineDep,
    cursor: Cursor = None,
    more: Annotated[bool, Query()] = False,
) -> Response:  # fmt: skip
    """The dialog with the earlier transitions of a capability; with ``more``, further ones of it."""
    async with snapshot(engine) as connection:
        depot = await read_depot(connection, depot_id)
        if depot.microgrid_id is None:
            raise Problem(ProblemCode.MICROGRID_NOT_FOUND, "This depot has no microgrid.")
        page = await capability_status.read_transitions(
            connection, depot.microgrid_id, capability, cursor=cursor, limit=EARLIER
        )
    context = {"depot": depots.Depot.of(depot), "capability": capability, "page": page}
    return render(request, "transitions.html", context, block="items" if more else "dialog_of")


@router.get("/microgrids/{microgrid_id}", name="page_of_microgrid")
async def lead(request: Request, microgrid_id: MicrogridId, engine: EngineDep) -> Response:
    """Lead from a microgrid's own id to its depot (COR-9.15)."""
    async with engine.connect() as connection:
        microgrid = await read_microgrid(connection, microgrid_id=microgrid_id)
    return RedirectResponse(address_of(request, "page_load", depot_id=microgrid.depot_id), 303)

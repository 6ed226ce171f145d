"""The Controllers tab of a depot: which device supplies which capability of the microgrid, and the live test of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import EngineDep, SettingsDep, TablesDep
from api.base.streams.live import Kind, Topic
from api.base.streams.watch import Watch
from api.base.types import BindingId, Cursor, DepotId, Moment
from api.controllers import controller_bindings as service
from api.controllers import controller_packets
from api.controllers.controller_packets import WatchDep
from api.site import depots
from api.ui.access.sending import how_to_send
from api.ui.base.depot_head import with_head
from api.ui.base.navigation import address_of, device_address
from api.ui.base.rendering import render
from api.ui.controllers import controller_words
from domain.access.principals import DepotScope
from domain.base.problems import Problem, ProblemCode
from domain.controllers.controller_support import ControllerTables
from runtime.settings import Settings
from store.controllers.packet_arrivals import WINDOW
from store.site.circuits import list_circuits
from store.site.devices import DeviceRecord, list_devices

router = APIRouter(prefix="/depots/{depot_id}/controllers", include_in_schema=False)

_COOKIE = "live-test"
"""Which binding's packet the browser waits for at a depot, and since when: the page shows it again after it was left.
Of a wait that was not stopped the first packet stays known for as long as it counts as the next one."""
_BEGUN: TypeAdapter[tuple[UUID, datetime]] = TypeAdapter(tuple[UUID, Moment])
LISTENING = timedelta(minutes=2)
"""How long the page waits for a packet. A controller sends one every few seconds."""
HISTORY = 20
"""Changes of a binding that are loaded at a time."""
_WATCHED = (Kind.DEPOT, Kind.STATUS, Kind.PACKET)


async def all_bindings(engine: AsyncEngine, depot_id: UUID) -> list[service.ControllerBinding]:
    """Every binding of a depot, in the order in which they were made."""
    found: list[service.ControllerBinding] = []
    cursor: str | None = None
    while True:
        page = await service.list_all(engine, DepotScope.of(depot_id), depot_id=depot_id, cursor=cursor, limit=500)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def all_devices(engine: AsyncEngine, depot_id: UUID) -> list[DeviceRecord]:
    """Every device of a depot, by name."""
    async with engine.connect() as connection:
        found = await list_devices(
            connection, DepotScope.of(depot_id), depot_id=depot_id, gateway_id=None, after=None, limit=None
        )
    return sorted(found, key=lambda each: (each.name.casefold(), each.sensor_id))


async def read_binding(engine: AsyncEngine, depot_id: UUID, binding_id: UUID) -> service.ControllerBinding:
    """Read a binding of this depot.

    Raises:
        Problem: ``BINDING_NOT_FOUND``.

    """
    found = await service.read(binding_id, engine)
    if found.depot_id != depot_id:
        raise Problem(ProblemCode.BINDING_NOT_FOUND, f"There is no controller binding {binding_id} in this depot.")
    return found


async def read_tab(request: Request, engine: AsyncEngine, tables: ControllerTables, depot_id: UUID) -> dict[str, Any]:
    """Read all that the tab shows.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    depot = await depots.read(depot_id, engine)
    bindings = await all_bindings(engine, depot_id)
    async with engine.connect() as connection:
        circuits = await list_circuits(connection, depot_id) if depot.microgrid_id is None else []
    return {
        "depot": depot,
        "tops": [circuit.name for circuit in circuits if circuit.parent_id is None],
        "bindings": bindings,
        "owners": controller_words.owners(bindings),
        "revisions": {each.binding_id: controller_words.revision(tables, each.device.controller) for each in bindings},
        "says": controller_words,
        "device_address": partial(device_address, request),
        "topics": [Topic(kind, depot_id) for kind in _WATCHED],
    }


@router.get("", name="page_controllers")
async def show(
    request: Request, depot_id: DepotId, engine: EngineDep, tables: TablesDep, watch: WatchDep, settings: SettingsDep
) -> Response:
    """Show the tab (COR-39.1, COR-39.3). A live test that was begun goes on."""
    context = await with_head(request, engine, depot_id, await read_tab(request, engine, tables, depot_id))
    return render(request, "controllers.html", context | await _go_on(request, engine, watch, settings, depot_id))


@router.get("/parts", name="controllers_parts")
async def parts(request: Request, depot_id: DepotId, engine: EngineDep, tables: TablesDep) -> Response:
    """The parts of the tab that change, as they are now."""
    return render(request, "controllers.html", await read_tab(request, engine, tables, depot_id), block="parts")


@router.get("/{binding_id}/listen", name="binding_listen")
async def listen(
    request: Request,
    depot_id: DepotId,
    binding_id: BindingId,
    engine: EngineDep,
    watch: WatchDep,
    settings: SettingsDep,
    after: Annotated[Moment | None, Query()] = None,
    stop: Annotated[bool, Query()] = False,
) -> Response:
    """Wait for the next packet of the bound device: begin, look again, or stop."""
    context = await _listen(request, engine, watch, settings, depot_id, binding_id, after, stop=stop)
    answer = render(request, "controllers.html", context, block="listening")
    path = address_of(request, "page_controllers", depot_id=depot_id)
    secure = request.url.scheme == "https"
    if stop:
        answer.delete_cookie(_COOKIE, path=path, secure=secure, httponly=True, samesite="lax")
    else:
        begun = f"{binding_id}_{context['listening']['found'].after.isoformat()}"
        seconds = int(WINDOW.total_seconds())
        answer.set_cookie(_COOKIE, begun, max_age=seconds, path=path, secure=secure, httponly=True, samesite="lax")
    return answer


async def _listen(
    request: Request,
    engine: AsyncEngine,
    watch: Watch,
    settings: Settings,
    depot_id: UUID,
    binding_id: UUID,
    after: datetime | None,
    *,
    stop: bool = False,
) -> dict[str, Any]:
    """Look for the packet of a live test; what the page shows of it.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``BINDING_NOT_FOUND``.

    """
    binding = await read_binding(engine, depot_id, binding_id)
    found = await controller_packets.next_packet(binding_id, engine, watch, after)
    state = "ARRIVED" if found.packet is not None else "WAITING"
    if found.packet is None and (stop or datetime.now(UTC) - found.after > LISTENING):
        state = "STOPPED" if stop else "TIMED_OUT"
    keys = [each.measurand for each in binding.capabilities]
    device = binding.device
    return {
        "depot": await depots.read(depot_id, engine),
        "listening": {"state": state, "binding": binding, "found": found, "limit": LISTENING.total_seconds()},
        "sending": how_to_send(request, settings, device.gateway_id, device.sensor_id, keys),
        "began": after is None,
        "owners": controller_words.owners(await all_bindings(engine, depot_id)) if found.packet else {},
        "says": controller_words,
    }


async def _go_on(
    request: Request, engine: AsyncEngine, watch: Watch, settings: Settings, depot_id: UUID
) -> dict[str, Any]:
    """Go on with the live test that this browser began at the depot, while a packet counts as the next one."""
    nothing: dict[str, Any] = {"listening": None, "sending": None, "began": False}
    binding_id, _, begun = request.cookies.get(_COOKIE, "").partition("_")
    try:
        given = _BEGUN.validate_python((binding_id, begun))
        if datetime.now(UTC) - given[1] > WINDOW:
            return nothing
        told = await _listen(request, engine, watch, settings, depot_id, *given)
    except (ValidationError, Problem):
        # Nothing that was begun here, or its binding is deleted.
        return nothing
    return {name: told[name] for name in nothing} | {"began": False}


@router.get("/{binding_id}/history", name="binding_history")
async def history(
    request: Request, depot_id: DepotId, binding_id: BindingId, engine: EngineDep, cursor: Cursor = None
) -> Response:
    """The dialog that shows who changed what of a binding; with a cursor, older changes of it."""
    binding = await read_binding(engine, depot_id, binding_id)
    names = {each.device_id: each.name for each in await all_devices(engine, depot_id)}
    context = {
        "depot": await depots.read(depot_id, engine),
        "binding": binding,
        "page": await service.history(binding_id, engine, cursor=cursor, limit=HISTORY),
        "names": names,
        "says": controller_words,
    }
    return render(request, "controller_dialogs.html", context, block="changes" if cursor else "history")

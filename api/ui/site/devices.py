"""The Devices tab of a depot: its gateways, its power sources, and its devices with what each does and last sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qsl, urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.base.dependencies import EngineDep, resources_of
from api.base.streams.live import Kind, Topic
from api.base.types import DepotId, Search
from api.site import depots, gateways, power_sources, sensor_actions
from api.site import devices as service
from api.ui.base.depot_head import with_head
from api.ui.base.forms import shown_address
from api.ui.base.rendering import is_htmx, render
from api.ui.base.sparks import Spark, draw_spark
from api.ui.site.translations import Translation, read_translation
from domain.access.gateway_secrets import SecretRecord
from domain.access.principals import DepotScope
from domain.site.measurands import MeasurandKey
from domain.site.sensor_actions import STATE_MEASURANDS
from store.access.gateway_secrets import list_secrets
from store.base.database import clock, snapshot
from store.history.trends.sparks import SparkOf, read_sparks
from store.site.devices import count_devices
from store.site.remediations import list_stopped_actions
from store.site.site_overview import (
    list_carried_actions,
    list_unknown_sensors,
    read_gateway_overview,
    read_last_packets,
)

router = APIRouter(prefix="/depots/{depot_id}/devices", include_in_schema=False)

PAGE = 100
"""Devices that are shown, and that are added to them each time that more are wanted."""
MOST = 500
"""Gateways, and power sources, that the page lists. A depot has a few."""
_HEARD = 50
"""Sensors without a device that the page lists."""
_MOST_SHOWN = 20_000

_WATCHED = (Kind.DEPOT, Kind.PACKET, Kind.POWER_SOURCE)

# A form that is sent as it is has the filter, and nothing in it.
OfGateway = Annotated[UUID | None, BeforeValidator(lambda given: given or None), Query(alias="gateway_id")]
Shown = Annotated[int, Query(ge=1, le=_MOST_SHOWN)]
_GIVEN: TypeAdapter[tuple[str | None, UUID | None, int]] = TypeAdapter(tuple[Search, OfGateway, Shown])


@dataclass(frozen=True)
class Wanted:
    """Which devices are asked for."""

    search: str | None = None
    gateway_id: UUID | None = None
    shown: int = PAGE

    def query(self, **other: object) -> str:
        """Ask for the same with something else in it; None takes a filter away."""
        shown = self.shown if self.shown != PAGE else None
        given = {"search": self.search, "gateway_id": self.gateway_id, "shown": shown, **other}
        return urlencode({name: value for name, value in given.items() if value})

    @staticmethod
    def of_address(address: SplitResult) -> Wanted:
        """Read back which devices a page shows, of its address; all, where that does not say it."""
        given = dict(parse_qsl(address.query))
        try:
            search, gateway_id, shown = _GIVEN.validate_python(
                (given.get("search", ""), given.get("gateway_id"), given.get("shown", PAGE))
            )
        except ValidationError:
            return Wanted()
        return Wanted(search or None, gateway_id, shown)


async def _read_site(engine: AsyncEngine, depot_id: UUID) -> dict[str, Any]:
    """Read gateways and power sources.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    depot = await depots.read(depot_id, engine)
    found = await gateways.list_all(engine, DepotScope.of(depot_id), depot_id=depot_id, limit=MOST)
    sources = await power_sources.list_all(engine, DepotScope.of(depot_id), depot_id=depot_id, limit=MOST)
    names = {source.power_source_id: source.name for source in sources.items}
    translations: dict[UUID, Translation] = {
        gateway.gateway_id: read_translation(gateway.output_translation, names) for gateway in found.items
    }
    async with snapshot(engine) as connection:
        ids = [gateway.gateway_id for gateway in found.items]
        overview = await read_gateway_overview(connection, ids)
        secrets: dict[UUID, list[SecretRecord]] = {}
        for secret in await list_secrets(connection, ids):
            secrets.setdefault(secret.gateway_id, []).append(secret)
        sparks = await _read_source_sparks(connection, sources.items)
        heard = await list_unknown_sensors(connection, depot_id, _HEARD + 1)
    return {
        "depot": depot,
        "gateways": found,
        "gateway_overview": overview,
        "gateway_secrets": secrets,
        "translations": translations,
        "sources": [source_now(source) for source in sources.items],
        "source_sparks": sparks,
        "heard": heard[:_HEARD],
        "more_heard": len(heard) > _HEARD,
        "more_sources": sources.next_cursor is not None,
    }


async def _read_source_sparks(
    connection: AsyncConnection, sources: Sequence[power_sources.PowerSource]
) -> dict[UUID, tuple[MeasurandKey, Spark]]:
    """A small trend of each power source that has one: of its state of charge, else of its first number."""
    wanted: dict[UUID, SparkOf] = {}
    for source in sources:
        numbers = [each for each in source.readings if not isinstance(each.value, str)]
        numbers.sort(key=lambda each: each.measurand is not MeasurandKey.SOC)
        if numbers:
            wanted[source.power_source_id] = (numbers[0].device_id, numbers[0].measurand)
    found = await read_sparks(connection, set(wanted.values()), await clock(connection))
    return {source_id: (of[1], draw_spark(of[1], found[of])) for source_id, of in wanted.items() if of in found}


async def _read_devices(engine: AsyncEngine, depot_id: UUID, wanted: Wanted) -> dict[str, Any]:
    found: list[service.Device] = []
    cursor: str | None = None
    while len(found) < wanted.shown and (cursor or not found):
        page = await service.list_all(
            engine,
            DepotScope.of(depot_id),
            depot_id=depot_id,
            gateway_id=wanted.gateway_id,
            search=wanted.search,
            cursor=cursor,
            limit=min(wanted.shown - len(found), MOST),
        )
        found += page.items
        cursor = page.next_cursor
        if not page.items:
            break
    ids = [device.device_id for device in found]
    async with snapshot(engine) as connection:
        total = await count_devices(connection, depot_id=depot_id)
        fitting = await count_devices(connection, depot_id=depot_id, gateway_id=wanted.gateway_id, search=wanted.search)
        carried = await list_carried_actions(connection, ids)
        last_packets = await read_last_packets(connection, ids)
        stopped = await list_stopped_actions(connection, depot_id, ids)
    return {
        "devices": found,
        "carried": carried,
        "last_packets": last_packets,
        "stopped": stopped,
        "total": total,
        "fitting": fitting,
        "wanted": wanted,
        "page_size": PAGE,
    }


async def read_tab(engine: AsyncEngine, depot_id: UUID, wanted: Wanted) -> dict[str, Any]:
    """Read all that the tab shows.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    site = await _read_site(engine, depot_id)
    of_gateway = next((each for each in site["gateways"].items if each.gateway_id == wanted.gateway_id), None)
    schemas = await sensor_actions.schemas()
    context = site | await _read_devices(engine, depot_id, wanted)
    return context | {
        "of_gateway": of_gateway,
        "titles": {each.action: each.title for each in schemas.items},
        "topics": [Topic(kind, depot_id) for kind in _WATCHED],
    }


@router.get("", name="page_devices")
async def show(
    request: Request,
    depot_id: DepotId,
    engine: EngineDep,
    search: Search = None,
    gateway_id: OfGateway = None,
    shown: Shown = PAGE,
) -> Response:
    """Show the tab: all devices, or those that were searched for."""
    context = await read_tab(engine, depot_id, Wanted(search, gateway_id, shown))
    if is_htmx(request):
        return render(request, "devices.html", context, block="results")
    return render(request, "devices.html", await with_head(request, engine, depot_id, context))


@router.get("/site", name="devices_site")
async def site(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """Gateways and power sources, as they are now."""
    return render(request, "devices.html", await _read_site(engine, depot_id), block="site")


async def show_changed(request: Request, engine: AsyncEngine, depot_id: UUID) -> Response:
    """Close the dialog and show what it changed, on the page that it was opened on.

    Of this tab the parts are shown anew, with the devices that the page had been asked for; any other page is loaded
    anew.
    """
    address = shown_address(request)
    tab = resources_of(request.app).addresses("page_devices", depot_id=depot_id)
    if address.path not in ("", tab):
        return Response(headers={"HX-Redirect": address._replace(scheme="", netloc="", fragment="").geturl()})
    context = await read_tab(engine, depot_id, Wanted.of_address(address))
    return render(request, "devices.html", context, block="changed", headers={"HX-Trigger": "dialog-done"})


def source_now(source: power_sources.PowerSource) -> dict[str, Any]:
    """A power source, with those of its readings that say how it stands, and whether any of them is simulated."""
    readings = {reading.measurand: reading for reading in source.readings}
    return {
        "of": source,
        "states": [readings[key] for key in STATE_MEASURANDS if key in readings],
        "load": readings.get(MeasurandKey.TOTAL_POWER_LOAD),
        "simulated_by": next((each.simulated_by for each in source.readings if each.simulated_by is not None), None),
    }

"""The page of one device: what its sensor actions do with what it sends, and what it has sent lately."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import EngineDep
from api.base.streams.live import Kind, Topic
from api.base.types import DeviceId
from api.site import depots, resolutions, sensor_actions
from api.site import devices as service
from api.ui.base.depot_head import with_head
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render
from api.ui.base.schema_forms import FieldKind, draw_fields
from api.ui.base.sparks import Spark, draw_spark
from domain.base.problems import Problem, ProblemCode
from domain.site.measurands import MEASURANDS, MeasurandKey
from domain.site.sensor_actions import SensorActionKind
from store.base.database import clock
from store.history.trends.sparks import read_sparks
from store.monitoring.device_reports import DEPTH
from store.site.site_overview import read_gateway_overview, read_last_packets

router = APIRouter(prefix="/devices/{device_id}", include_in_schema=False)

_WATCHED = (Kind.DEPOT, Kind.PACKET)


async def read_page(request: Request, engine: AsyncEngine, device_id: UUID) -> dict[str, Any]:
    """Read all that the page shows.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``.

    """
    device = await service.read(device_id, engine)
    depot = await depots.read(device.depot_id, engine)
    carried = {each.action: each for each in (await sensor_actions.list_all(device_id, engine)).items}
    resolved = (await resolutions.list_resolutions(device_id, engine)).items
    async with engine.connect() as connection:
        last_packets = await read_last_packets(connection, (device_id,))
        overview = await read_gateway_overview(connection, (device.gateway_id,))
    schemas = (await sensor_actions.schemas()).items
    reported = await read_reported(engine, device_id)
    measured = [MeasurandKey(key) for key, heard in reported.items() if heard["of"].standard]
    return {
        "device": device,
        "depot": depot,
        "schemas": schemas,
        "carried": carried,
        "settings": {
            each.action: _settings(each.json_schema, carried[each.action]) for each in schemas if each.action in carried
        },
        "resolutions": {each.sensor_action_id: each for each in resolved},
        "reported": reported,
        "sparks": await _read_sparks(engine, device_id, measured),
        "in_trends": frozenset(key.value for key in measured),
        "meanings": {key.value: spec.meaning for key, spec in MEASURANDS.items()},
        "used_by": {key.value: _users(key, schemas, carried) for key in MeasurandKey},
        "last_packet_at": last_packets.get(device_id),
        "clock_ahead": overview[device.gateway_id].clock_ahead if device.gateway_id in overview else None,
        "looked_through": DEPTH,
        "controllers_at": address_of(request, "page_controllers", depot_id=device.depot_id),
        "topics": [Topic(kind, device.depot_id) for kind in _WATCHED],
    }


async def _read_sparks(engine: AsyncEngine, device_id: UUID, keys: list[MeasurandKey]) -> dict[str, Spark]:
    """Small trends of what the device measured in the last day, by measurand."""
    async with engine.connect() as connection:
        found = await read_sparks(connection, [(device_id, key) for key in keys], await clock(connection))
    return {key.value: draw_spark(key, values) for (_, key), values in found.items()}


async def read_reported(engine: AsyncEngine, device_id: UUID) -> dict[str, dict[str, Any]]:
    """Read the last value of each measurand that the device sent, as it is read: with the contract's unit."""
    found = (await resolutions.list_reported(device_id, engine)).items
    return {each.key: {"of": each, "unit": each.unit or _unit(each)} for each in found}


def _unit(reported: resolutions.Reported) -> str | None:
    return MEASURANDS[MeasurandKey(reported.key)].unit if reported.standard else None


def _users(
    key: MeasurandKey,
    schemas: list[sensor_actions.SensorActionSchema],
    carried: dict[SensorActionKind, sensor_actions.SensorAction],
) -> list[str]:
    """The titles of the device's actions that take a measurand."""
    return [each.title for each in schemas if each.action in carried and key in carried[each.action].measurands]


def _settings(schema: dict[str, Any], action: sensor_actions.SensorAction) -> list[tuple[str, str]]:
    numbers = [field for field in draw_fields(schema) if field.kind is FieldKind.NUMBER]
    return [(field.title, field.say(getattr(action, field.name))) for field in numbers]


@router.get("", name="page_device")
async def show(request: Request, device_id: DeviceId, engine: EngineDep) -> Response:
    """Show the page."""
    context = await read_page(request, engine, device_id)
    return render(request, "device.html", await with_head(request, engine, context["depot"].depot_id, context))


@router.get("/parts", name="device_parts")
async def parts(request: Request, device_id: DeviceId, engine: EngineDep) -> Response:
    """All of it that changes, as it is now; of a device that was deleted while the page was open, that it was."""
    try:
        context = await read_page(request, engine, device_id)
    except Problem as problem:
        if problem.code is not ProblemCode.DEVICE_NOT_FOUND:
            raise
        return render(request, "device.html", block="deleted")
    return render(request, "device.html", context, block="site")

"""The dialogs that add, change and delete a device: of the Devices tab, and of the device's own page."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.authorization import PermitDep
from api.base.dependencies import ActorDep, EngineDep, TablesDep
from api.base.idempotency import FormOnceDep
from api.base.types import DepotId, DeviceId, Text
from api.base.versions import Edit
from api.site import devices as service
from api.site import gateways, sensor_actions
from api.site.deletions import preview_deletion
from api.ui.base.forms import FieldErrors, read_name, shown_address
from api.ui.base.navigation import address_of
from api.ui.base.words import counted
from api.ui.site.depot_circuits import read_circuits
from api.ui.site.devices import MOST, Wanted, show_changed
from api.ui.site.site_forms import (
    NAMED,
    CascadeItem,
    Field,
    Filled,
    Focus,
    Forms,
    Refusal,
    delete,
    delete_dialog,
    gone,
    read_id,
)
from domain.access.principals import DepotScope
from domain.base.names import MAX_ID_LENGTH, clean_sensor_id
from domain.base.problems import Problem, ProblemCode
from domain.controllers.controller_support import ControllerTables
from domain.site.deletions import SubjectKind
from store.site.site_overview import UnknownSensor, list_unknown_sensors

router = APIRouter(prefix="/depots/{depot_id}/devices", include_in_schema=False)

_PREFIX = "device"
_FORMS = Forms("device", _PREFIX, "The API names it by its id")
_OFFERED = 100
"""Sensors that are heard of and have no device, which a form offers."""


async def _read(engine: AsyncEngine, depot_id: UUID, device_id: UUID) -> service.Device:
    device = await service.read(device_id, engine)
    if device.depot_id != depot_id:
        raise Problem(ProblemCode.DEVICE_NOT_FOUND, f"There is no device {device_id} in this depot.")
    return device


async def _fields(engine: AsyncEngine, depot_id: UUID, tables: ControllerTables) -> list[Field]:
    circuits = await read_circuits(engine, depot_id)
    found = (await gateways.list_all(engine, DepotScope.of(depot_id), depot_id=depot_id, limit=MOST)).items
    async with engine.connect() as connection:
        heard = await list_unknown_sensors(connection, depot_id, _OFFERED)
    offers = [(each.sensor_id, each.gateway_name) for each in heard]
    choose = [("", "Choose")] if len(found) != 1 else []
    hint = "" if found else "This depot has no gateway yet: add one first."
    return [
        Field("name", "Name"),
        Field("gateway_id", "Gateway", [*choose, *((str(each.gateway_id), each.name) for each in found)], hint),
        Field("sensor_id", "Sensor id", hint=_sensor_hint(heard), offers=offers),
        Field(
            "circuit_id",
            "Linked circuit",
            [("", "No circuit"), *((str(circuit_id), path) for circuit_id, path in circuits.parents())],
            "Identifies the power source that it measures and the circuit whose capacity its controller sets.",
        ),
        Field(
            "controller",
            "Controller revision",
            [
                ("", "None, or unknown"),
                *((name, f"{name}: {table.title}") for name, table in tables.items()),
            ],
            "If known, capabilities that this revision cannot send are refused.",
        ),
    ]


def _sensor_hint(heard: list[UnknownSensor]) -> str:
    hint = "The sensor's id within the gateway, exactly as in its packets."
    if heard:
        hint += f" Heard of, without a device: {', '.join(each.sensor_id for each in heard[:NAMED])}"
        hint += f" and {len(heard) - NAMED} more." if len(heard) > NAMED else "."
    return hint


def _body(filled: Filled, errors: FieldErrors) -> dict[str, Any]:
    values = filled.values
    body = {
        "name": errors.check(f"{_PREFIX}-name", lambda: read_name(values["name"])),
        "gateway_id": errors.check(f"{_PREFIX}-gateway_id", lambda: read_id(values["gateway_id"])),
        "sensor_id": errors.check(f"{_PREFIX}-sensor_id", lambda: clean_sensor_id(values["sensor_id"])),
        "circuit_id": errors.check(f"{_PREFIX}-circuit_id", lambda: read_id(values["circuit_id"])),
        "controller": values["controller"] or None,
    }
    if not values["gateway_id"]:
        errors[f"{_PREFIX}-gateway_id"] = "Choose the gateway that sends its packets."
    return body


@router.get("/new", name="device_new")
async def begin(
    request: Request,
    depot_id: DepotId,
    engine: EngineDep,
    tables: TablesDep,
    gateway_id: Annotated[UUID | None, Query()] = None,
    sensor_id: Annotated[Text | None, Query(max_length=MAX_ID_LENGTH)] = None,
) -> Response:
    """The dialog that adds a device: for a sensor that was heard, or of the gateway whose devices the page shows."""
    chosen = gateway_id or Wanted.of_address(shown_address(request)).gateway_id
    filled = Filled.begin(name=sensor_id, gateway_id=chosen, sensor_id=sensor_id, circuit_id=None, controller=None)
    return await _FORMS.adding(request, depot_id, await _fields(engine, depot_id, tables), filled)


@router.post("", name="device_create")
async def create(
    request: Request,
    depot_id: DepotId,
    permit: PermitDep,
    actor: ActorDep,
    engine: EngineDep,
    tables: TablesDep,
    once: FormOnceDep,
) -> Response:
    """Add a device."""

    async def save(made: service.DeviceCreate) -> None:
        try:
            gateway = await gateways.read(made.gateway_id, engine)
            # A gateway of another depot would make a device there.
            if gateway.depot_id != depot_id:
                raise Problem(ProblemCode.GATEWAY_NOT_FOUND, "The gateway is of another depot.")
            await service.create(made, permit, actor, engine, tables, once)
        except Problem as problem:
            if problem.code is not ProblemCode.GATEWAY_NOT_FOUND:
                raise
            detail = "This gateway was deleted. Choose another one."
            raise Problem(problem.code, detail, field="gateway_id") from problem

    return await _FORMS.create(
        request,
        depot_id,
        await _fields(engine, depot_id, tables),
        service.DeviceCreate,
        _body,
        save,
        lambda: show_changed(request, engine, depot_id),
    )


@router.get("/{device_id}", name="device_edit")
async def edit(
    request: Request,
    depot_id: DepotId,
    device_id: DeviceId,
    engine: EngineDep,
    tables: TablesDep,
    focus: Focus = "",
) -> Response:
    """The dialog that changes a device."""
    device = await _read(engine, depot_id, device_id)
    filled = Filled.begin(
        device.version,
        name=device.name,
        gateway_id=device.gateway_id,
        sensor_id=device.sensor_id,
        circuit_id=device.circuit_id,
        controller=device.controller,
    )
    fields = await _fields(engine, depot_id, tables)
    return await _FORMS.editing(request, depot_id, device_id, device.name, fields, filled, focus=focus)


@router.post("/{device_id}", name="device_change")
async def change(
    request: Request, depot_id: DepotId, device_id: DeviceId, actor: ActorDep, engine: EngineDep, tables: TablesDep
) -> Response:
    """Change what was changed of a device."""
    fields = await _fields(engine, depot_id, tables)
    try:
        device = await _read(engine, depot_id, device_id)
    except Problem as problem:
        return gone(request, problem)
    return await _FORMS.change(
        request,
        engine,
        depot_id,
        device_id,
        fields,
        service.DeviceChange,
        _body,
        device.name,
        lambda given, if_match: service.change(device_id, given, Edit(engine, actor, if_match), tables),
        lambda: show_changed(request, engine, depot_id),
    )


@router.get("/{device_id}/delete", name="device_delete")
async def ask(request: Request, depot_id: DepotId, device_id: DeviceId, engine: EngineDep) -> Response:
    """The dialog that asks before a device is deleted, and says what goes with it."""
    return await _asking(request, engine, depot_id, device_id)


async def _asking(
    request: Request, engine: AsyncEngine, depot_id: UUID, device_id: UUID, refused: Refusal | None = None
) -> Response:
    device = await _read(engine, depot_id, device_id)
    deletion = await preview_deletion(engine, SubjectKind.DEVICE, device_id)
    carried = (await sensor_actions.list_all(device_id, engine)).items
    titles = {each.action: each.title for each in (await sensor_actions.schemas()).items}
    cascade: list[CascadeItem] = []
    if carried:
        text = f"{counted(len(carried), 'sensor action')} {'goes' if len(carried) == 1 else 'go'} with it:"
        cascade.append(CascadeItem(text, [titles[each.action] for each in carried]))
    published = [capability.value for each in carried if each.enabled for capability in each.capabilities]
    if published:
        cascade.append(
            CascadeItem(f"No device publishes {' and '.join(published)} of this depot then; the last status is kept.")
        )
    cascade.append(CascadeItem("What it reported is kept in the history."))
    to = address_of(request, "device_remove", depot_id=depot_id, device_id=device_id)
    return delete_dialog(request, name=device.name, to=to, cascade=cascade, consent=deletion.consent, refused=refused)


@router.post("/{device_id}/delete", name="device_remove")
async def remove(
    request: Request, depot_id: DepotId, device_id: DeviceId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Delete a device with exactly those sensor actions that were shown."""

    async def take_away(consent: str | None, _: bool) -> None:
        await _read(engine, depot_id, device_id)
        await service.remove(device_id, Edit(engine, actor), consent=consent)

    async def done() -> Response:
        # The device's own page has nothing to show any more.
        if shown_address(request).path == f"/devices/{device_id}":
            return Response(headers={"HX-Redirect": address_of(request, "page_devices", depot_id=depot_id)})
        return await show_changed(request, engine, depot_id)

    return await delete(
        request, take_away, lambda refused: _asking(request, engine, depot_id, device_id, refused), done
    )

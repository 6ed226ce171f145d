"""The dialogs of a device's page that configure, change, switch and delete its sensor actions (COR-9.3).

Their forms are drawn from the schemas that the API serves (``api.ui.base.schema_forms``): an action that is added to
the product needs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import ActorDep, EngineDep, TablesDep
from api.base.idempotency import FormOnceDep
from api.base.limits import open_form
from api.base.types import DeviceId, SensorActionId
from api.base.versions import Edit
from api.site import depots, devices
from api.site import sensor_actions as service
from api.site.deletions import preview_deletion
from api.ui.base.conflicts import WAS, Conflict, EditForm, current, read_version
from api.ui.base.forms import FieldErrors
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render
from api.ui.base.schema_forms import (
    FieldKind,
    SchemaField,
    constants,
    draw_fields,
    fill,
    in_words,
    make_document,
    note_violations,
    read_form,
)
from api.ui.site.device import read_page, read_reported
from api.ui.site.site_forms import CascadeItem, Refusal, delete, delete_dialog, gone
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.controllers.controller_support import ControllerTables
from domain.site.capacity_messages import doubt_of_fail_safe
from domain.site.deletions import SubjectKind
from domain.site.sensor_actions import SensorActionKind
from store.site.circuits import read_circuit
from store.site.site_overview import read_last_packets

router = APIRouter(prefix="/devices/{device_id}/sensor-actions", include_in_schema=False)

_PREFIX = "action"
_TEMPLATE = "sensor_action_dialogs.html"
_FAIL_SAFE = "fail_safe_capacity_w"


@dataclass(kw_only=True)
class Form(EditForm):
    """The form of one sensor action, as it was filled in."""

    schema: service.SensorActionSchema
    fields: list[SchemaField]
    errors: FieldErrors = field(default_factory=FieldErrors)
    conflict: Conflict | None = None
    owners: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    """Who publishes the capabilities that were asked for."""
    doubt: str | None = None
    """What is worth a second look before it is stored; saved again as it is, it is stored."""
    looked_at: str = ""
    """The fail-safe capacity that was entered when it was looked at a second time."""

    @staticmethod
    async def of(kind: SensorActionKind, document: Mapping[str, Any] | None = None) -> Form:
        """The form of an action, with what a document says, or else with what it begins with."""
        schema = next(each for each in (await service.schemas()).items if each.action == kind)
        fields = draw_fields({**schema.json_schema, "properties": _with_enabled(schema.json_schema)})
        values = fill(fields, document or {})
        return Form(values=values, was=values, schema=schema, fields=fields)

    async def read(self, request: Request) -> Form:
        """Fill in what came."""
        async with open_form(request) as form:
            self.values = read_form(self.fields, form)
            self.was = read_form(self.fields, form, WAS)
            self.version = read_version(form)
            self.looked_at = str(form.get("looked_at", ""))
        return self

    async def is_doubtful(self, engine: AsyncEngine, device: devices.Device) -> bool:
        """Whether the fail-safe capacity is worth a second look that it did not have yet; the form then says why."""
        given = self.values.get(_FAIL_SAFE, "")
        watts = make_document(self.fields, self.values).get(_FAIL_SAFE)
        if not isinstance(watts, float) or given in (self.looked_at, self.was.get(_FAIL_SAFE)):
            return False
        rating = None
        if device.circuit_id is not None:
            async with engine.connect() as connection:
                rating = (await read_circuit(connection, device.circuit_id)).rated_power_w
        self.doubt, self.looked_at = doubt_of_fail_safe(watts, device.circuit_name, rating), given
        return self.doubt is not None

    def document(self) -> dict[str, Any]:
        """The form as the API takes it; of a change, what was changed."""
        made = constants(self.schema.json_schema) | make_document(self.fields, self.values)
        if self.version is None:
            return made
        return self.changed(made) | {"version": self.version}

    def note(self, problem: Problem) -> None:
        """Take a refusal in, each part of it beside its field.

        Raises:
            Problem: It is none that a person can put right in this form.

        """
        if problem.code is ProblemCode.VERSION_CONFLICT:
            titles = {each.name: each.title for each in self.fields} | {"device_id": "Device"}
            holds = current(problem)
            by_name = {each.name: each for each in self.fields}
            words = {name: each.say(holds[name]) for name, each in by_name.items()}
            self.conflict = self.go_on(
                problem,
                fill(self.fields, holds),
                titles,
                lambda name, value: by_name[name].say(value) if name in by_name else in_words(value),
                words,
            )
        elif problem.violations:
            note_violations(self.errors, _PREFIX, problem.violations, self.fields)
            self.owners = list((problem.context or {}).get("owners", ()))
        elif problem.code is ProblemCode.SENSOR_ACTION_EXISTS:
            self.errors[_PREFIX] = problem.detail
        else:
            raise problem


def _with_enabled(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema["properties"], "enabled": service.ENABLED}


async def _read(engine: AsyncEngine, device_id: UUID, sensor_action_id: UUID) -> service.SensorAction:
    action = await service.read(sensor_action_id, engine)
    if action.device_id != device_id:
        detail = f"Device {device_id} has no sensor action {sensor_action_id}."
        raise Problem(ProblemCode.SENSOR_ACTION_NOT_FOUND, detail)
    return action


async def _dialog(
    request: Request, engine: AsyncEngine, device: devices.Device, form: Form, action_id: UUID | None = None
) -> Response:
    path: dict[str, UUID] = {"device_id": device.device_id}
    address = partial(address_of, request)
    if action_id is None:
        to, delete_at = f"{address('action_create', **path)}?action={form.schema.action}", None
    else:
        path["sensor_action_id"] = action_id
        to, delete_at = address("action_change", **path), address("action_delete", **path)
    async with engine.connect() as connection:
        has_reported = device.device_id in await read_last_packets(connection, (device.device_id,))
    context = {
        "form": form,
        "action_id": action_id,
        "prefix": _PREFIX,
        "zone": (await depots.read(device.depot_id, engine)).timezone,
        "seen": await read_reported(engine, device.device_id),
        "has_reported": has_reported,
        "to": to,
        "delete_at": delete_at,
    }
    status = 409 if form.conflict else 422 if form.errors or form.doubt else 200
    return render(request, _TEMPLATE, context, block="form", status=status)


async def _done(request: Request, engine: AsyncEngine, device_id: UUID) -> Response:
    """Close the dialog and show the device as it is now."""
    context = await read_page(request, engine, device_id)
    return render(request, "device.html", context, block="site", headers={"HX-Trigger": "dialog-done"})


@router.get("/new", name="action_new")
async def begin(
    request: Request, device_id: DeviceId, engine: EngineDep, action: Annotated[SensorActionKind, Query()]
) -> Response:
    """The dialog that configures a sensor action, with what the device sends chosen already."""
    device = await devices.read(device_id, engine)
    form = await Form.of(action)
    seen = await read_reported(engine, device_id)
    for each in form.fields:
        if each.kind is FieldKind.CHOICES:
            form.values[each.name] = [one.value for one in each.choices if one.is_required or one.value in seen]
    return await _dialog(request, engine, device, form)


@router.post("", name="action_create")
async def create(
    request: Request,
    device_id: DeviceId,
    actor: ActorDep,
    engine: EngineDep,
    tables: TablesDep,
    once: FormOnceDep,
    action: Annotated[SensorActionKind, Query()],
) -> Response:
    """Configure a sensor action; or show the form again, with everything that is wrong."""
    form = await (await Form.of(action)).read(request)
    try:
        device = await devices.read(device_id, engine)
        if await form.is_doubtful(engine, device):
            return await _dialog(request, engine, device, form)
        await service.create(device_id, form.document(), actor, engine, tables, once)
    except Problem as problem:
        if problem.code is ProblemCode.DEVICE_NOT_FOUND:
            return gone(request, problem)
        form.note(problem)
        return await _dialog(request, engine, await devices.read(device_id, engine), form)
    return await _done(request, engine, device.device_id)


@router.get("/{sensor_action_id}", name="action_edit")
async def edit(request: Request, device_id: DeviceId, sensor_action_id: SensorActionId, engine: EngineDep) -> Response:
    """The dialog that changes a sensor action."""
    action = await _read(engine, device_id, sensor_action_id)
    form = await Form.of(action.action, action.model_dump(mode="json"))
    form.version = action.version
    return await _dialog(request, engine, await devices.read(device_id, engine), form, sensor_action_id)


@router.post("/{sensor_action_id}", name="action_change")
async def change(
    request: Request,
    device_id: DeviceId,
    sensor_action_id: SensorActionId,
    actor: ActorDep,
    engine: EngineDep,
    tables: TablesDep,
) -> Response:
    """Change a sensor action; or show the form again, with what is wrong, or what changed in between."""
    try:
        action = await _read(engine, device_id, sensor_action_id)
    except Problem as problem:
        return gone(request, problem)
    form = await (await Form.of(action.action)).read(request)
    device = await devices.read(device_id, engine)
    if await form.is_doubtful(engine, device):
        return await _dialog(request, engine, device, form, sensor_action_id)
    return await _save(request, engine, actor, tables, action, form, form.document())


@router.post("/{sensor_action_id}/switch", name="action_switch")
async def switch(
    request: Request,
    device_id: DeviceId,
    sensor_action_id: SensorActionId,
    actor: ActorDep,
    engine: EngineDep,
    tables: TablesDep,
) -> Response:
    """Switch a sensor action on or off; what stands in the way is shown in its form."""
    try:
        action = await _read(engine, device_id, sensor_action_id)
    except Problem as problem:
        return gone(request, problem)
    async with open_form(request) as given:
        enabled = given.get("enabled") == "on"
        version = read_version(given)
    form = await Form.of(action.action, action.model_dump(mode="json") | {"enabled": not enabled})
    form.values = {**form.values, "enabled": enabled}
    form.version = action.version if version is None else version
    document = {"enabled": enabled, "version": form.version}
    return await _save(request, engine, actor, tables, action, form, document)


async def _save(
    request: Request,
    engine: AsyncEngine,
    actor: Actor,
    tables: ControllerTables,
    action: service.SensorAction,
    form: Form,
    document: dict[str, Any],
) -> Response:
    try:
        await service.change(action.sensor_action_id, document, Edit(engine, actor), tables)
    except Problem as problem:
        if problem.code is ProblemCode.SENSOR_ACTION_NOT_FOUND:
            return gone(request, problem)
        form.note(problem)
        device = await devices.read(action.device_id, engine)
        return await _dialog(request, engine, device, form, action.sensor_action_id)
    return await _done(request, engine, action.device_id)


@router.get("/{sensor_action_id}/delete", name="action_delete")
async def ask(request: Request, device_id: DeviceId, sensor_action_id: SensorActionId, engine: EngineDep) -> Response:
    """The dialog that asks before a sensor action is deleted, and says what goes with it."""
    return await _asking(request, engine, device_id, sensor_action_id)


async def _asking(
    request: Request, engine: AsyncEngine, device_id: UUID, sensor_action_id: UUID, refused: Refusal | None = None
) -> Response:
    deletion = await preview_deletion(engine, SubjectKind.SENSOR_ACTION, sensor_action_id)
    action = await _read(engine, device_id, sensor_action_id)
    device = await devices.read(device_id, engine)
    form = await Form.of(action.action)
    cascade: list[CascadeItem] = []
    if action.enabled and action.capabilities:
        published = " and ".join(action.capabilities)
        cascade.append(CascadeItem(f"No device publishes {published} of this depot then; the last status is kept."))
    cascade.append(CascadeItem("Its open remediations are closed. What it wrote is kept."))
    to = address_of(request, "action_remove", device_id=device_id, sensor_action_id=sensor_action_id)
    name = f"{form.schema.title} of {device.name}"
    return delete_dialog(request, name=name, to=to, cascade=cascade, consent=deletion.consent, refused=refused)


@router.post("/{sensor_action_id}/delete", name="action_remove")
async def remove(
    request: Request, device_id: DeviceId, sensor_action_id: SensorActionId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Delete a sensor action as it was shown."""

    async def take_away(consent: str | None, _: bool) -> None:
        await _read(engine, device_id, sensor_action_id)
        await service.remove(sensor_action_id, Edit(engine, actor), consent=consent)

    return await delete(
        request,
        take_away,
        lambda refused: _asking(request, engine, device_id, sensor_action_id, refused),
        lambda: _done(request, engine, device_id),
    )

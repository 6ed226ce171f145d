"""The dialogs of the Devices tab that add, change and delete a power source."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.authorization import PermitDep
from api.base.dependencies import ActorDep, EngineDep
from api.base.idempotency import FormOnceDep
from api.base.types import DepotId, PowerSourceId
from api.base.versions import Edit
from api.site import power_sources as service
from api.site.deletions import preview_deletion
from api.ui.base.forms import FieldErrors, read_name
from api.ui.base.navigation import address_of
from api.ui.base.words import counted
from api.ui.site.depot_circuits import read_circuits
from api.ui.site.devices import show_changed
from api.ui.site.site_forms import (
    CascadeItem,
    Field,
    Filled,
    Forms,
    Refusal,
    delete,
    delete_dialog,
    gone,
    read_id,
)
from domain.base.problems import Problem, ProblemCode
from domain.site.deletions import DeletionEffect, SubjectKind
from domain.site.routing import PowerSourceKind

router = APIRouter(prefix="/depots/{depot_id}/power-sources", include_in_schema=False)

_PREFIX = "source"
_FORMS = Forms("power_source", _PREFIX)


async def _read(engine: AsyncEngine, depot_id: UUID, power_source_id: UUID) -> service.PowerSource:
    source = await service.read(power_source_id, engine)
    if source.depot_id != depot_id:
        raise Problem(ProblemCode.POWER_SOURCE_NOT_FOUND, f"There is no power source {power_source_id} in this depot.")
    return source


async def _fields(engine: AsyncEngine, depot_id: UUID) -> list[Field]:
    circuits = await read_circuits(engine, depot_id)
    linked = [("", "No circuit"), *((str(circuit_id), path) for circuit_id, path in circuits.parents())]
    return [
        Field("name", "Name"),
        Field("kind", "Kind", [("", "Choose"), *((kind.value, kind.capitalize()) for kind in PowerSourceKind)]),
        Field(
            "circuit_id",
            "Linked circuit",
            linked,
            "The circuit that it feeds. Devices linked to the same circuit update it.",
        ),
    ]


def _body(filled: Filled, errors: FieldErrors) -> dict[str, Any]:
    values = filled.values
    body = {
        "name": errors.check(f"{_PREFIX}-name", lambda: read_name(values["name"])),
        "kind": values["kind"],
        "circuit_id": errors.check(f"{_PREFIX}-circuit_id", lambda: read_id(values["circuit_id"])),
    }
    if body["kind"] not in tuple(PowerSourceKind):
        errors[f"{_PREFIX}-kind"] = "Choose the kind."
    return body


@router.get("/new", name="power_source_new")
async def begin(
    request: Request, depot_id: DepotId, engine: EngineDep, circuit_id: Annotated[UUID | None, Query()] = None
) -> Response:
    """The dialog that adds a power source; on a circuit, where one is given."""
    filled = Filled.begin(name=None, kind=None, circuit_id=circuit_id)
    return await _FORMS.adding(request, depot_id, await _fields(engine, depot_id), filled)


@router.post("", name="power_source_create")
async def create(
    request: Request, depot_id: DepotId, permit: PermitDep, actor: ActorDep, engine: EngineDep, once: FormOnceDep
) -> Response:
    """Add a power source."""
    fields = await _fields(engine, depot_id)
    return await _FORMS.create(
        request,
        depot_id,
        fields,
        service.PowerSourceCreate,
        _body,
        lambda made: service.create(made, permit, actor, engine, once),
        lambda: show_changed(request, engine, depot_id),
    )


@router.get("/{power_source_id}", name="power_source_edit")
async def edit(request: Request, depot_id: DepotId, power_source_id: PowerSourceId, engine: EngineDep) -> Response:
    """The dialog that changes a power source."""
    source = await _read(engine, depot_id, power_source_id)
    filled = Filled.begin(source.version, name=source.name, kind=source.kind.value, circuit_id=source.circuit_id)
    fields = await _fields(engine, depot_id)
    return await _FORMS.editing(request, depot_id, power_source_id, source.name, fields, filled)


@router.post("/{power_source_id}", name="power_source_change")
async def change(
    request: Request, depot_id: DepotId, power_source_id: PowerSourceId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Change what was changed of a power source."""
    fields = await _fields(engine, depot_id)
    try:
        source = await _read(engine, depot_id, power_source_id)
    except Problem as problem:
        return gone(request, problem)
    return await _FORMS.change(
        request,
        engine,
        depot_id,
        power_source_id,
        fields,
        service.PowerSourceChange,
        _body,
        source.name,
        lambda given, if_match: service.change(power_source_id, given, Edit(engine, actor, if_match)),
        lambda: show_changed(request, engine, depot_id),
    )


@router.get("/{power_source_id}/delete", name="power_source_delete")
async def ask(request: Request, depot_id: DepotId, power_source_id: PowerSourceId, engine: EngineDep) -> Response:
    """The dialog that asks before a power source is deleted, and says what goes with it."""
    return await _asking(request, engine, depot_id, power_source_id)


async def _asking(
    request: Request, engine: AsyncEngine, depot_id: UUID, power_source_id: UUID, refused: Refusal | None = None
) -> Response:
    source = await _read(engine, depot_id, power_source_id)
    deletion = await preview_deletion(engine, SubjectKind.POWER_SOURCE, power_source_id)
    cascade = [CascadeItem(f"Its latest readings ({len(source.readings)}) go with it.")] if source.readings else []
    writers = deletion.of(SubjectKind.SENSOR_ACTION, DeletionEffect.REROUTED)
    if writers:
        text = f"{counted(len(writers), 'sensor action')} {'writes' if len(writers) == 1 else 'write'} to it today, of "
        text += "which each will find another power source by the routing rules, or be stopped:"
        cascade.append(CascadeItem.of(text, [writer.name for writer in writers]))
    to = address_of(request, "power_source_remove", depot_id=depot_id, power_source_id=power_source_id)
    return delete_dialog(request, name=source.name, to=to, cascade=cascade, consent=deletion.consent, refused=refused)


@router.post("/{power_source_id}/delete", name="power_source_remove")
async def remove(
    request: Request, depot_id: DepotId, power_source_id: PowerSourceId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Delete a power source, with exactly those effects that were shown."""

    async def take_away(consent: str | None, _: bool) -> None:
        await _read(engine, depot_id, power_source_id)
        await service.remove(power_source_id, Edit(engine, actor), consent=consent)

    return await delete(
        request,
        take_away,
        lambda refused: _asking(request, engine, depot_id, power_source_id, refused),
        lambda: show_changed(request, engine, depot_id),
    )

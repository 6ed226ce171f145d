"""The dialogs of the Devices tab that add, change and delete a gateway."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.authorization import PermitDep
from api.base.dependencies import ActorDep, EngineDep
from api.base.idempotency import FormOnceDep
from api.base.types import DepotId, GatewayId
from api.base.versions import Edit
from api.site import gateways as service
from api.site import power_sources
from api.site.deletions import preview_deletion
from api.ui.base.conflicts import current
from api.ui.base.forms import FieldErrors, read_name
from api.ui.base.navigation import address_of
from api.ui.base.words import counted
from api.ui.site.devices import MOST, show_changed
from api.ui.site.site_forms import (
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
from api.ui.site.translations import AS_IT_IS, Translation, choose, read_translation
from domain.access.principals import DepotScope
from domain.base.problems import Problem, ProblemCode
from domain.site.deletions import SubjectKind

router = APIRouter(prefix="/depots/{depot_id}/gateways", include_in_schema=False)

_PREFIX = "gateway"
_FORMS = Forms("gateway", _PREFIX, "Packets name it by its id")


async def _source_names(engine: AsyncEngine, depot_id: UUID) -> dict[UUID, str]:
    page = await power_sources.list_all(engine, DepotScope.of(depot_id), depot_id=depot_id, limit=MOST)
    return {source.power_source_id: source.name for source in page.items}


async def _read(engine: AsyncEngine, depot_id: UUID, gateway_id: UUID) -> service.Gateway:
    gateway = await service.read(gateway_id, engine)
    if gateway.depot_id != depot_id:
        raise Problem(ProblemCode.GATEWAY_NOT_FOUND, f"There is no gateway {gateway_id} in this depot.")
    return gateway


def _fields(names: dict[UUID, str], translation: Translation | None = None) -> list[Field]:
    choices = [("", "None"), *((str(source_id), f"Names {name}") for source_id, name in names.items())]
    hint = "Names the power source where neither the device's linked circuit nor the only "
    hint += "battery of the depot identifies it."
    if translation is not None and not translation.is_sound:
        choices.append((AS_IT_IS, f"As it is: {translation.text.lower()}"))
    if translation is not None and translation.document:
        hint += (
            f" It holds besides: {translation.document}" if translation.is_sound else f" It is {translation.document}"
        )
    return [
        Field("name", "Name"),
        Field("site_model_name", "Site model", optional=True, hint="Most gateways have none."),
        Field("output_translation", "Output translation", choices, hint),
    ]


def _body(filled: Filled, errors: FieldErrors, before: object) -> dict[str, Any]:
    values = filled.values
    choice = errors.check(f"{_PREFIX}-output_translation", lambda: _choice(values["output_translation"]))
    return {
        "name": errors.check(f"{_PREFIX}-name", lambda: read_name(values["name"])),
        "site_model_name": errors.check(
            f"{_PREFIX}-site_model_name",
            lambda: read_name(values["site_model_name"]) if values["site_model_name"].strip() else None,
        ),
        "output_translation": before if choice == AS_IT_IS else choose(choice or "", before),
    }


def _choice(given: str) -> str:
    return given if given == AS_IT_IS else str(read_id(given) or "")


@router.get("/new", name="gateway_new")
async def begin(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """The dialog that adds a gateway."""
    filled = Filled.begin(name=None, site_model_name=None, output_translation=None)
    return await _FORMS.adding(request, depot_id, _fields(await _source_names(engine, depot_id)), filled)


@router.post("", name="gateway_create")
async def create(
    request: Request, depot_id: DepotId, permit: PermitDep, actor: ActorDep, engine: EngineDep, once: FormOnceDep
) -> Response:
    """Add a gateway."""
    return await _FORMS.create(
        request,
        depot_id,
        _fields(await _source_names(engine, depot_id)),
        service.GatewayCreate,
        lambda filled, errors: _body(filled, errors, None),
        lambda made: service.create(made, permit, actor, engine, once),
        lambda: show_changed(request, engine, depot_id),
    )


@router.get("/{gateway_id}", name="gateway_edit")
async def edit(
    request: Request, depot_id: DepotId, gateway_id: GatewayId, engine: EngineDep, focus: Focus = ""
) -> Response:
    """The dialog that changes a gateway."""
    gateway = await _read(engine, depot_id, gateway_id)
    names = await _source_names(engine, depot_id)
    translation = read_translation(gateway.output_translation, names)
    filled = Filled.begin(
        gateway.version,
        name=gateway.name,
        site_model_name=gateway.site_model_name,
        output_translation=translation.choice,
    )
    fields = _fields(names, translation)
    return await _FORMS.editing(request, depot_id, gateway_id, gateway.name, fields, filled, focus=focus)


@router.post("/{gateway_id}", name="gateway_change")
async def change(
    request: Request, depot_id: DepotId, gateway_id: GatewayId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Change what was changed of a gateway."""
    try:
        gateway = await _read(engine, depot_id, gateway_id)
    except Problem as problem:
        return gone(request, problem)
    names = await _source_names(engine, depot_id)
    return await _FORMS.change(
        request,
        engine,
        depot_id,
        gateway_id,
        _fields(names, read_translation(gateway.output_translation, names)),
        service.GatewayChange,
        lambda filled, errors: _body(filled, errors, gateway.output_translation),
        gateway.name,
        lambda given, if_match: service.change(gateway_id, given, Edit(engine, actor, if_match)),
        lambda: show_changed(request, engine, depot_id),
        lambda problem, filled: _stale(request, engine, problem, depot_id, gateway_id, filled),
    )


async def _stale(
    request: Request, engine: AsyncEngine, problem: Problem, depot_id: UUID, gateway_id: UUID, filled: Filled
) -> Response:
    names = await _source_names(engine, depot_id)

    def read(name: str, value: Any) -> object:
        return read_translation(value, names).choice if name == "output_translation" else value

    fields = _fields(names, read_translation(current(problem)["output_translation"], names))
    return await _FORMS.stale(request, engine, problem, depot_id, gateway_id, fields, filled, read)


@router.get("/{gateway_id}/delete", name="gateway_delete")
async def ask(request: Request, depot_id: DepotId, gateway_id: GatewayId, engine: EngineDep) -> Response:
    """The dialog that asks before a gateway is deleted, and says what goes with it."""
    return await _asking(request, engine, depot_id, gateway_id)


@router.post("/{gateway_id}/delete", name="gateway_remove")
async def remove(
    request: Request, depot_id: DepotId, gateway_id: GatewayId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Delete a gateway, with exactly those of its devices that were shown, where that was agreed to."""

    async def take_away(consent: str | None, cascade: bool) -> None:
        await _read(engine, depot_id, gateway_id)
        await service.remove(gateway_id, Edit(engine, actor), cascade=cascade, consent=consent)

    return await delete(
        request,
        take_away,
        lambda refused: _asking(request, engine, depot_id, gateway_id, refused),
        lambda: show_changed(request, engine, depot_id),
        "Confirm that its devices are deleted as well, or move them first.",
    )


async def _asking(
    request: Request, engine: AsyncEngine, depot_id: UUID, gateway_id: UUID, refused: Refusal | None = None
) -> Response:
    gateway = await _read(engine, depot_id, gateway_id)
    deletion = await preview_deletion(engine, SubjectKind.GATEWAY, gateway_id)
    found = deletion.of(SubjectKind.DEVICE)
    total = len(found)
    cascade: list[CascadeItem] = []
    agree = ""
    if total:
        text = f"{counted(total, 'device')} with all sensor actions of {'it' if total == 1 else 'them'}:"
        cascade.append(CascadeItem.of(text, [device.name for device in found]))
        agree = "Delete the device as well" if total == 1 else f"Delete these {counted(total, 'device')} as well"
    kept = "What its devices reported is kept in the history. Packets that still come are refused."
    cascade.append(CascadeItem(kept, agree=agree))
    to = address_of(request, "gateway_remove", depot_id=depot_id, gateway_id=gateway_id)
    return delete_dialog(request, name=gateway.name, to=to, cascade=cascade, consent=deletion.consent, refused=refused)

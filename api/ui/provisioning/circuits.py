"""The dialogs of the Microgrid tab: add, change, move and delete a circuit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import ActorDep, EngineDep
from api.base.idempotency import FormOnceDep
from api.base.types import CircuitId, DepotId
from api.base.versions import Edit
from api.site import circuits as service
from api.site import depots
from api.site.deletions import look_at
from api.ui.base.conflicts import changed, current
from api.ui.base.forms import FieldErrors, read_kilowatts, read_name
from api.ui.base.rendering import render_large
from api.ui.base.words import kilowatts
from api.ui.provisioning.microgrid import read_tab
from api.ui.provisioning.structure_view import place_of
from api.ui.site.depot_circuits import DepotCircuits, read_circuits
from api.ui.site.site_forms import GONE, Filled, Refusal, gone, read_consent
from domain.base.problems import Problem, ProblemCode
from domain.site.deletions import DeletionEffect, SubjectKind
from store.site.circuits import CircuitRecord

router = APIRouter(prefix="/depots/{depot_id}/circuits", include_in_schema=False)

_TEMPLATE = "circuit_dialogs.html"
_ELEMENTS = {
    "name": "circuit-name",
    "rated_power_w": "circuit-kilowatts",
    "parent_id": "circuit-parent",
    "position": "circuit-place",
}
_NAMES = {"name": "name", "rated_power_w": "kilowatts", "parent_id": "parent_id", "position": "place"}
"""The fields of the API, and what the form calls them."""
_TITLES = {
    "name": "Name",
    "rated_power_w": "Rated power",
    "kilowatts": "Rated power",
    "parent_id": "Parent circuit",
    "position": "Place",
    "place": "Place",
}
_OF_A_FIELD = (ProblemCode.PARENT_NOT_FOUND, ProblemCode.CIRCUIT_CYCLE, ProblemCode.CIRCUIT_TREE_TOO_DEEP)


async def _dialog(request: Request, block: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
    context = {"errors": FieldErrors(), "conflict": None, **context}
    return await render_large(request, _TEMPLATE, context, block=block, status=status)


async def _done(request: Request, depot_id: UUID, engine: AsyncEngine) -> Response:
    """Close the dialog and show the tab as it is now; the sync is heard of when it is through."""
    headers = {"HX-Trigger": "dialog-done"}
    context = await read_tab(engine, depot_id, place_of(request))
    return await render_large(request, "microgrid.html", context, block="parts", headers=headers)


@router.get("/new", name="circuit_new")
async def begin(
    request: Request, depot_id: DepotId, engine: EngineDep, parent_id: Annotated[UUID | None, Query()] = None
) -> Response:
    """The dialog that adds a circuit."""
    circuits = await read_circuits(engine, depot_id)
    values = {"name": "", "kilowatts": "", "parent_id": str(parent_id or "")}
    return await _dialog(request, "add", {"depot_id": depot_id, "parents": circuits.parents(), "values": values})


@router.post("", name="circuit_create")
async def create(
    request: Request, depot_id: DepotId, actor: ActorDep, engine: EngineDep, once: FormOnceDep
) -> Response:
    """Add a circuit (COR-8.4)."""
    filled, errors, body = await _read(request)
    made = errors.read(service.CircuitCreate, body, _ELEMENTS)
    if made is not None:
        try:
            await service.create(depot_id, made, actor, engine, once)
        except Problem as problem:
            _note(errors, problem)
        else:
            return await _done(request, depot_id, engine)
    circuits = await read_circuits(engine, depot_id)
    context = {"depot_id": depot_id, "parents": circuits.parents(), "values": filled.values, "errors": errors}
    return await _dialog(request, "add", context, status=422)


@router.get("/{circuit_id}", name="circuit_edit")
async def edit(request: Request, depot_id: DepotId, circuit_id: CircuitId, engine: EngineDep) -> Response:
    """The dialog that renames and moves a circuit, and leads to the others."""
    circuits = await read_circuits(engine, depot_id)
    circuit = circuits.find(circuit_id)
    return await _dialog(request, "edit", _editing(depot_id, circuits, circuit, _opened(circuits, circuit)))


@router.post("/{circuit_id}", name="circuit_change")
async def change(
    request: Request, depot_id: DepotId, circuit_id: CircuitId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Rename, move or rerate a circuit (COR-8.5, COR-8.7)."""
    filled, errors, body = await _read(request)
    circuits = await read_circuits(engine, depot_id)
    try:
        circuit = circuits.find(circuit_id)
    except Problem as problem:
        return gone(request, problem)
    touched = changed(filled.values, filled.was)
    body = {name: value for name, value in body.items() if _NAMES[name] in touched}
    # Under a new parent it comes last.
    if "place" in touched and filled.values["parent_id"] == str(circuit.parent_id or ""):
        body["position"] = errors.check(_ELEMENTS["position"], lambda: circuits.place(circuit, filled.values["place"]))
    given = errors.read(service.CircuitChange, body, _ELEMENTS)
    if given is not None:
        try:
            await service.change(circuit_id, given, Edit(engine, actor, filled.if_match))
        except Problem as problem:
            if problem.code is ProblemCode.VERSION_CONFLICT:
                return await _stale(request, engine, problem, depot_id, circuit_id, filled)
            if problem.code is ProblemCode.CIRCUIT_NOT_FOUND:
                return gone(request, problem)
            _note(errors, problem)
        else:
            return await _done(request, depot_id, engine)
    return await _dialog(
        request, "edit", _editing(depot_id, circuits, circuit, filled) | {"errors": errors}, status=422
    )


async def _stale(
    request: Request, engine: AsyncEngine, problem: Problem, depot_id: UUID, circuit_id: UUID, filled: Filled
) -> Response:
    """The form on top of what others made of the circuit meanwhile."""
    circuits = await read_circuits(engine, depot_id)
    circuit = circuits.find(circuit_id)
    paths = dict(circuits.parents())

    def say(name: str, value: Any) -> str:
        if name == "parent_id":
            return "top level" if not value else paths.get(UUID(str(value)), GONE)
        if name == "rated_power_w":
            return "none" if value is None else f"{kilowatts(value)} kW"
        return str(value + 1) if name == "position" else str(value)

    holds = current(problem)
    values = _opened(circuits, circuit).values
    words = {form_name: say(name, holds[name]) for name, form_name in _NAMES.items()}
    conflict = filled.go_on(problem, values, _TITLES, say, words)
    context = _editing(depot_id, circuits, circuit, filled)
    context |= {"conflict": conflict, "zone": (await depots.read(depot_id, engine)).timezone}
    return await _dialog(request, "edit", context, status=409)


@router.get("/{circuit_id}/delete", name="circuit_delete")
async def ask(request: Request, depot_id: DepotId, circuit_id: CircuitId, engine: EngineDep) -> Response:
    """The dialog that asks before a circuit is deleted, and names what would go with it."""
    try:
        return await _asking(request, engine, depot_id, circuit_id)
    except Problem as problem:
        return gone(request, problem)


async def _asking(
    request: Request, engine: AsyncEngine, depot_id: UUID, circuit_id: UUID, refused: Refusal | None = None
) -> Response:
    deletion = await look_at(engine, SubjectKind.CIRCUIT, circuit_id)
    stay = DeletionEffect.UNLINKED
    context: dict[str, Any] = {
        "depot_id": depot_id,
        "circuit": (await read_circuits(engine, depot_id)).find(circuit_id),
        "below": deletion.of(SubjectKind.CIRCUIT),
        "unlinked": [*deletion.of(SubjectKind.DEVICE, stay), *deletion.of(SubjectKind.POWER_SOURCE, stay)],
        "consent": deletion.consent,
        "changed": refused is not None and refused.is_stale,
    }
    if refused is not None and not refused.is_stale:
        context["errors"] = FieldErrors(cascade=refused.detail)
    status = 200 if refused is None else 409 if refused.is_stale else 422
    return await _dialog(request, "delete", context, status=status)


@router.post("/{circuit_id}/delete", name="circuit_remove")
async def remove(
    request: Request, depot_id: DepotId, circuit_id: CircuitId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Delete a circuit (COR-8.6), with exactly those below it that were shown, where that was agreed to."""
    consent, cascade = await read_consent(request)
    try:
        (await read_circuits(engine, depot_id)).find(circuit_id)
        await service.remove(circuit_id, Edit(engine, actor), cascade=cascade, consent=consent)
    except Problem as problem:
        refused = Refusal.of(problem, "Confirm that the circuits below are deleted as well, or move them first.")
        if refused is None:
            return gone(request, problem)
        return await _asking(request, engine, depot_id, circuit_id, refused)
    return await _done(request, depot_id, engine)


def _editing(depot_id: UUID, circuits: DepotCircuits, circuit: CircuitRecord, filled: Filled) -> dict[str, Any]:
    return {
        "depot_id": depot_id,
        "circuit": circuit,
        "parents": circuits.parents(without=circuit.circuit_id),
        "values": filled.values,
        "filled": filled,
        "places": [
            ("", "First"),
            *((str(each.circuit_id), f"After {each.name}") for each in circuits.siblings(circuit)),
        ],
        "below": circuits.below(circuit.circuit_id),
    }


def _opened(circuits: DepotCircuits, circuit: CircuitRecord) -> Filled:
    """The form of a circuit as it is."""
    return Filled.begin(
        circuit.version,
        name=circuit.name,
        kilowatts=kilowatts(circuit.rated_power_w),
        parent_id=circuit.parent_id,
        place=circuits.before(circuit),
    )


async def _read(request: Request) -> tuple[Filled, FieldErrors, dict[str, Any]]:
    """Read the fields of a circuit: as they were filled in, what is wrong with them, and as the API takes them."""
    filled = await Filled.read(request, _NAMES.values())
    values = filled.values
    errors = FieldErrors()
    body = {
        "name": errors.check("circuit-name", lambda: read_name(values["name"])),
        "rated_power_w": errors.check("circuit-kilowatts", lambda: read_kilowatts(values["kilowatts"])),
        "parent_id": values["parent_id"] or None,
    }
    return filled, errors, body


def _note(errors: FieldErrors, problem: Problem) -> None:
    if problem.code is ProblemCode.TOO_MANY_CIRCUITS:
        errors["circuit-name"] = problem.detail
        return
    if problem.code not in _OF_A_FIELD:
        raise problem
    errors["circuit-parent"] = problem.detail

"""The dialogs of the Microgrid tab: add, change, move and delete a circuit."""

from __future__ import annotations

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
from api.site.deletions import preview_deletion
from api.ui.base.conflicts import Conflict, changed, current
from api.ui.base.forms import FieldErrors, read_kilowatts, read_name
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render_large
from api.ui.base.words import counted, kilowatts
from api.ui.provisioning.microgrid import read_tab
from api.ui.provisioning.structure_view import place_of
from api.ui.site.depot_circuits import DepotCircuits, read_circuits
from api.ui.site.site_forms import GONE, CascadeItem, Field, Filled, Forms, Refusal, delete, delete_dialog, gone
from domain.base.problems import Problem, ProblemCode
from domain.site.deletions import DeletionEffect, SubjectKind
from store.site.circuits import CircuitRecord

router = APIRouter(prefix="/depots/{depot_id}/circuits", include_in_schema=False)

_FORMS = Forms("circuit", "circuit", note="", into="#parts")
_ACTIONS = (
    (
        DeletionEffect.STOPPED,
        "These sensor actions stop, with a remediation, until their device is linked again:",
    ),
    (DeletionEffect.REROUTED, "These sensor actions write to another power source of the depot, or stop:"),
)
"""What becomes of the sensor actions of devices that a deletion unlinks."""
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
_ELEMENTS = {name: f"circuit-{of_form}" for name, of_form in _NAMES.items()}
_OF_A_FIELD = (ProblemCode.PARENT_NOT_FOUND, ProblemCode.CIRCUIT_CYCLE, ProblemCode.CIRCUIT_TREE_TOO_DEEP)


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
    fields = _fields(await read_circuits(engine, depot_id))
    filled = Filled.begin(name=None, kilowatts=None, parent_id=parent_id)
    return await _FORMS.adding(request, depot_id, fields, filled)


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
    fields = _fields(await read_circuits(engine, depot_id))
    return await _FORMS.adding(request, depot_id, fields, filled, errors)


@router.get("/{circuit_id}", name="circuit_edit")
async def edit(request: Request, depot_id: DepotId, circuit_id: CircuitId, engine: EngineDep) -> Response:
    """The dialog that renames and moves a circuit, and leads to the others."""
    circuits = await read_circuits(engine, depot_id)
    circuit = circuits.find(circuit_id)
    return await _editing(request, circuits, circuit, _opened(circuits, circuit))


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
    return await _editing(request, circuits, circuit, filled, errors)


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
    zone = (await depots.read(depot_id, engine)).timezone
    return await _editing(request, circuits, circuit, filled, conflict=conflict, zone=zone)


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
    deletion = await preview_deletion(engine, SubjectKind.CIRCUIT, circuit_id)
    circuit = (await read_circuits(engine, depot_id)).find(circuit_id)
    below = [each.name for each in deletion.of(SubjectKind.CIRCUIT)]
    stay = DeletionEffect.UNLINKED
    unlinked = [*deletion.of(SubjectKind.DEVICE, stay), *deletion.of(SubjectKind.POWER_SOURCE, stay)]
    cascade: list[CascadeItem] = []
    if circuit.parent_id is None:
        cascade.append(CascadeItem("It is a top-level circuit: its grid connection is deleted with it."))
    if below:
        text = f"{counted(len(below), 'circuit')} {'hangs' if len(below) == 1 else 'hang'} below it:"
        number = "the circuit" if len(below) == 1 else f"these {counted(len(below), 'circuit')}"
        cascade.append(CascadeItem.of(text, below, f"Delete {number} below as well"))
    if unlinked:
        text = f"What is linked to {'them' if below else 'it'} stays, without a circuit:"
        cascade.append(CascadeItem.of(text, [each.name for each in unlinked]))
    for effect, text in _ACTIONS:
        actions = deletion.of(SubjectKind.SENSOR_ACTION, effect)
        if actions:
            cascade.append(CascadeItem.of(text, [each.name for each in actions]))
    return delete_dialog(
        request,
        name=circuit.name,
        to=address_of(request, "circuit_remove", depot_id=depot_id, circuit_id=circuit_id),
        cascade=cascade,
        consent=deletion.consent,
        refused=refused,
        into="#parts",
    )


@router.post("/{circuit_id}/delete", name="circuit_remove")
async def remove(
    request: Request, depot_id: DepotId, circuit_id: CircuitId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Delete a circuit (COR-8.6), with exactly those below it that were shown, where that was agreed to."""

    async def take_away(consent: str | None, cascade: bool) -> None:
        (await read_circuits(engine, depot_id)).find(circuit_id)
        await service.remove(circuit_id, Edit(engine, actor), cascade=cascade, consent=consent)

    return await delete(
        request,
        take_away,
        lambda refused: _asking(request, engine, depot_id, circuit_id, refused),
        lambda: _done(request, depot_id, engine),
        "Confirm that the circuits below are deleted as well, or move them first.",
    )


async def _editing(
    request: Request,
    circuits: DepotCircuits,
    circuit: CircuitRecord,
    filled: Filled,
    errors: FieldErrors | None = None,
    conflict: Conflict | None = None,
    zone: str = "UTC",
) -> Response:
    depot_id, circuit_id = circuit.depot_id, circuit.circuit_id
    below = f"{address_of(request, 'circuit_new', depot_id=depot_id)}?parent_id={circuit_id}"
    return await _FORMS.editing(
        request,
        depot_id,
        circuit_id,
        circuit.name,
        _fields(circuits, circuit),
        filled,
        errors,
        conflict,
        zone,
        [(below, "plus", "Add below")],
    )


def _fields(circuits: DepotCircuits, circuit: CircuitRecord | None = None) -> list[Field]:
    """The fields of a circuit, or of a new one; a place only among siblings."""
    parents = circuits.parents(without=circuit.circuit_id if circuit else None)
    fields = [
        Field("name", "Name"),
        Field("kilowatts", "Rated power", unit="kW", optional=True),
        Field(
            "parent_id",
            "Parent circuit",
            [("", "Top level: a grid connection"), *((str(parent_id), path) for parent_id, path in parents)],
        ),
    ]
    siblings = circuits.siblings(circuit) if circuit else []
    if siblings:
        places = [("", "First"), *((str(each.circuit_id), f"After {each.name}") for each in siblings)]
        hint = "Under a new parent it comes last."
        fields.append(Field("place", "Place among its siblings", places, hint))
    return fields


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
        "name": errors.check(_ELEMENTS["name"], lambda: read_name(values["name"])),
        "rated_power_w": errors.check(_ELEMENTS["rated_power_w"], lambda: read_kilowatts(values["kilowatts"])),
        "parent_id": values["parent_id"] or None,
    }
    return filled, errors, body


def _note(errors: FieldErrors, problem: Problem) -> None:
    if problem.code is ProblemCode.TOO_MANY_CIRCUITS:
        errors[_ELEMENTS["name"]] = problem.detail
        return
    if problem.code not in _OF_A_FIELD:
        raise problem
    errors[_ELEMENTS["parent_id"]] = problem.detail

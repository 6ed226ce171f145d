"""The dialog of a depot's settings: name, time zone, region, tags, and whether scenarios may run on it."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.base.dependencies import ActorDep, EngineDep, resources_of
from api.base.types import DepotId
from api.base.versions import Edit
from api.site import depots as service
from api.ui.base.forms import FieldErrors, shown_address
from api.ui.site.depots import depot_fields, write_value
from api.ui.site.site_forms import Field, Filled, Forms, gone
from domain.base.problems import Problem

router = APIRouter(prefix="/depots/{depot_id}", include_in_schema=False)

_FORMS = Forms("depot", "depot", deletes=False)
_ALLOWS = {True: "yes", False: "no"}


@cache
def _fields() -> tuple[Field, ...]:
    hint = (
        "A scenario sends simulated packets in the place of the depot's devices. Leave this off where real ones report."
    )
    choices = [("no", "Not allowed"), ("yes", "Allowed")]
    return (*depot_fields(), Field("allows_simulation", "Simulation", choices, hint))


def _written(name: str, value: Any) -> object:
    return _ALLOWS[value] if name == "allows_simulation" else write_value(value)


def _body(filled: Filled, errors: FieldErrors) -> dict[str, Any]:
    body = {
        field.name: errors.check(f"depot-{field.name}", lambda field=field: field.read(filled.values[field.name]))
        for field in depot_fields()
    }
    return body | {"allows_simulation": filled.values["allows_simulation"] == "yes"}


@router.get("/settings", name="depot_edit")
async def edit(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """The dialog that changes a depot."""
    depot = await service.read(depot_id, engine)
    values = {field.name: _written(field.name, getattr(depot, field.name)) for field in _fields()}
    leave = (resources_of(request.app).addresses("depot_retirement", depot_id=depot_id), "circle-slash", "Retire …")
    return await _FORMS.editing(
        request, depot_id, depot_id, depot.name, _fields(), Filled.begin(depot.version, **values), further=[leave]
    )


@router.post("/settings", name="depot_change")
async def change(request: Request, depot_id: DepotId, actor: ActorDep, engine: EngineDep) -> Response:
    """Change what was changed of a depot."""
    try:
        depot = await service.read(depot_id, engine)
    except Problem as problem:
        return gone(request, problem)
    return await _FORMS.change(
        request,
        engine,
        depot_id,
        depot_id,
        _fields(),
        service.DepotChange,
        _body,
        depot.name,
        lambda given, if_match: service.change(depot_id, given, Edit(engine, actor, if_match)),
        lambda: _done(request, depot_id),
        lambda problem, filled: _FORMS.stale(request, engine, problem, depot_id, depot_id, _fields(), filled, _written),
    )


async def _done(request: Request, depot_id: DepotId) -> Response:
    """Show the page again: name, time zone and what may be done are all over it."""
    shown = shown_address(request)
    own = resources_of(request.app).addresses("page_depot", depot_id=depot_id)
    there = shown.path + (f"?{shown.query}" if shown.query else "") if shown.path.startswith(f"{own}/") else own
    return Response(headers={"HX-Redirect": there})

"""Exports that jobs make: ask for one, watch one's own, download their files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.idempotency import FormOnceDep
from api.base.jobs.service import JobsDep, JobService
from api.base.limits import open_form
from api.base.types import Cursor, ExportId, Moment, OfDepot
from api.history import export_jobs as service
from api.history.exports import DEFAULT_SPAN
from api.ui.base.forms import FieldErrors
from api.ui.base.navigation import address_of
from api.ui.base.rendering import is_htmx, render
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.history.exports import ExportFormat, ExportKind
from domain.site.measurands import MeasurandKey
from store.base.database import clock, snapshot
from store.history.parquet import can_write_parquet

router = APIRouter(prefix="/exports", include_in_schema=False)

LISTED = 25
"""Exports that are loaded at a time."""
_BESIDE_THE_FORM = (ProblemCode.TEMPORAL_UNAVAILABLE, ProblemCode.TOO_MANY_EXPORTS)
_AS_FILLED_IN = "%Y-%m-%dT%H:%M:%S"

Devices = Annotated[list[UUID] | None, Query(alias="device_id", max_length=500)]
Measurands = Annotated[list[MeasurandKey] | None, Query(alias="measurand")]


@router.get("", name="page_exports")
async def show(request: Request, jobs: JobsDep, actor: ActorDep) -> Response:
    """Show one's exports."""
    return render(request, "exports.html", await _list(jobs, actor))


@router.get("/rows", name="export_rows")
async def rows(request: Request, jobs: JobsDep, actor: ActorDep, cursor: Cursor = None) -> Response:
    """The list as it is now, or what comes after ``cursor``."""
    return render(request, "exports.html", await _list(jobs, actor, cursor), block="more_rows" if cursor else "runs")


@router.get("/new/{kind}", name="page_new_export")
async def new(
    request: Request,
    engine: EngineDep,
    kind: ExportKind,
    depot_id: OfDepot = None,
    devices: Devices = None,
    measurands: Measurands = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Response:
    """Show the form that has a job make a file of what one answer is too small for."""
    if until is None:
        async with snapshot(engine) as connection:
            until = await clock(connection)
    given = {
        "depot_id": [str(depot_id)] if depot_id else [],
        "device_id": [str(each) for each in devices or ()],
        "measurand": [each.value for each in measurands or ()],
    }
    filled = {
        "since": f"{(since or until - DEFAULT_SPAN).astimezone(UTC):{_AS_FILLED_IN}}",
        "until": f"{until.astimezone(UTC):{_AS_FILLED_IN}}",
        "format": ExportFormat.CSV.value,
    }
    return render(request, "export_new.html", _form(kind, given, filled, FieldErrors()))


@router.post("/new/{kind}", name="export_start")
async def start(
    request: Request, kind: ExportKind, scope: ScopeDep, actor: ActorDep, jobs: JobsDep, once: FormOnceDep
) -> Response:
    """Start an export and lead to the list."""
    async with open_form(request) as form:
        named = {name: [str(each) for each in form.getlist(name)] for name in ("depot_id", "device_id", "measurand")}
        filled = {name: str(form.get(name, "")).strip() for name in ("since", "until", "format")}
    errors = FieldErrors()
    body = errors.read(service.ExportCreate, _body(kind, named, filled), {
        "kind": "start", "depot_id": "start", "device_ids": "start", "measurands": "start",
        "since": "since", "until": "until", "format": "format-csv",
    })  # fmt: skip
    if body is not None and not errors:
        try:
            await service.start(body, scope, actor, jobs, once)
        except Problem as problem:
            if problem.code not in _BESIDE_THE_FORM:
                raise
            errors["start"] = problem.detail
        else:
            there = address_of(request, "page_exports")
            return Response(headers={"HX-Redirect": there}) if is_htmx(request) else RedirectResponse(there, 303)
    context = _form(kind, named, filled, errors)
    return render(request, "export_new.html", context, block="form" if is_htmx(request) else None, status=422)


@router.post("/{export_id}/cancel", name="export_cancel")
async def cancel(request: Request, export_id: ExportId, jobs: JobsDep, actor: ActorDep) -> Response:
    """End an export that goes on."""
    await service.cancel(export_id, actor, jobs)
    return render(request, "exports.html", await _list(jobs, actor) | {"asked": export_id}, block="runs")


@router.post("/{export_id}/remove", name="export_remove")
async def remove(request: Request, export_id: ExportId, jobs: JobsDep, actor: ActorDep) -> Response:
    """Remove the file of an export."""
    await service.remove(export_id, jobs, actor)
    return render(request, "exports.html", await _list(jobs, actor), block="runs")


def _body(kind: ExportKind, named: dict[str, list[str]], filled: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": kind,
        "format": filled["format"],
        "since": _utc(filled["since"]),
        "until": _utc(filled["until"]),
        "depot_id": (named["depot_id"] or [None])[0],
        "device_ids": named["device_id"],
        "measurands": named["measurand"],
    }


def _utc(filled: str) -> str:
    """A time as it was filled in, in UTC; whatever is no time is refused where it is read."""
    try:
        return datetime.fromisoformat(filled).replace(tzinfo=UTC).isoformat()
    except ValueError:
        return filled


async def _list(jobs: JobService, actor: Actor, cursor: str | None = None) -> dict[str, Any]:
    page = await service.list_all(jobs, actor, cursor=cursor, limit=LISTED)
    return {"page": page, "topics": None, "asked": None, "follows": any(not each.state.ended for each in page.items)}


def _form(kind: ExportKind, named: dict[str, list[str]], filled: dict[str, str], errors: FieldErrors) -> dict[str, Any]:
    return {
        "kind": kind,
        "named": named,
        "filled": filled,
        "errors": errors,
        "parquet": can_write_parquet(),
        "topics": None,
    }

"""Saved views of the list of depots: save one, and the page that lists, renames and deletes them.

All of it works without a script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from api.base.dependencies import ActorDep, EngineDep, PrincipalDep
from api.base.idempotency import FormOnceDep
from api.base.limits import open_form
from api.base.versions import Edit, etag
from api.site import saved_views as service
from api.site.saved_views import ViewId
from api.ui.base import words
from api.ui.base.forms import FieldErrors
from api.ui.base.navigation import address_of
from api.ui.base.rendering import is_htmx, render
from api.ui.site.depots import ORDERS, ViewLink, Wanted, WantedDep, wanted_of
from domain.access.principals import Principal
from domain.base.problems import Problem, ProblemCode

router = APIRouter(prefix="/depots/views", include_in_schema=False)

_TEMPLATE = "saved_views.html"
_REFUSED = (
    ProblemCode.INVALID_NAME, ProblemCode.VIEW_NAME_TAKEN, ProblemCode.VERSION_CONFLICT, ProblemCode.VIEW_NOT_FOUND,
)  # fmt: skip
_BESIDE_THE_FORM = (ProblemCode.TOO_MANY_VIEWS, ProblemCode.NOT_PERMITTED)
_LONGEST_ADDRESS = 4_000


@dataclass(frozen=True)
class ShownView(ViewLink):
    """A view as its page shows it."""

    says: list[str]
    """What it asks for, in words."""


def say(wanted: Wanted) -> list[str]:
    """Say in words what a list is asked for."""
    alarm = "Needs attention" if wanted.alarm == "ANY" else wanted.alarm and words.ALARM[wanted.alarm].word
    found = {
        "": [
            None if wanted.provisioning is None else words.PROVISIONING[wanted.provisioning].word,
            None if wanted.freshness is None else words.FRESHNESS[wanted.freshness].word,
            alarm,
            "Retired" if wanted.retired else None,
        ],
        "Search: ": [wanted.search],
        "Region: ": [wanted.region],
        "Tag: ": [wanted.tag],
        "Sorted by: ": [None if wanted.sort is None else ORDERS[wanted.sort]],
    }
    said = [f"{title}{value}" for title, values in found.items() for value in values if value]
    return [*said, *(["From the end"] if wanted.descending else [])] or ["All depots"]


@router.get("", name="page_views")
async def show(request: Request, engine: EngineDep, principal: PrincipalDep) -> Response:
    """Show one's saved views."""
    return await _listed(request, engine, principal)


@router.get("/new", name="page_new_view")
async def begin(request: Request, wanted: WantedDep) -> Response:
    """Show the form that saves what the list was asked for."""
    return _form(request, wanted, "", FieldErrors())


@router.post("", name="view_save")
async def save(
    request: Request, engine: EngineDep, actor: ActorDep, principal: PrincipalDep, once: FormOnceDep
) -> Response:
    """Save a view and lead to the list as it says; or show the form again, with what is wrong."""
    async with open_form(request) as form:
        name, query = str(form.get("name", "")), str(form.get("query", ""))[:_LONGEST_ADDRESS]
        replaces = str(form.get("replaces", ""))
    # Whatever of the address is no filter is left out, as it is where a view is opened.
    filters, _ = service.ViewFilters.of_stored(dict(parse_qsl(query)))
    wanted = wanted_of(filters)
    errors = FieldErrors()
    body = errors.read(
        service.SavedViewCreate,
        {"name": name, "filters": filters.model_dump(), "replaces": replaces or None},
        {"name": "view-name", "filters": "view", "replaces": "view"},
    )
    if body is None:
        return _form(request, wanted, name, errors)
    try:
        await service.create(body, actor, principal, engine, once)
    except Problem as problem:
        if problem.code is ProblemCode.VIEW_NAME_TAKEN and problem.context is not None:
            current = problem.context["current"]
            there, _ = service.ViewFilters.of_stored(current["filters"])
            taken = {**current, "says": say(wanted_of(there))}
            return _form(request, wanted, name, errors, taken=taken)
        if problem.code not in _BESIDE_THE_FORM:
            raise
        errors["view"] = problem.detail
        return _form(request, wanted, name, errors)
    return _lead(request, f"{address_of(request, 'page_depots')}?{wanted.query()}")


@router.post("/{view_id}/rename", name="view_rename")
async def rename(
    request: Request, view_id: ViewId, engine: EngineDep, actor: ActorDep, principal: PrincipalDep
) -> Response:
    """Give a view another name; or show the list again, with what is wrong beside it."""
    async with open_form(request) as form:
        name, version = str(form.get("name", "")), str(form.get("version", ""))
    errors = FieldErrors()
    field = f"name-{view_id}"
    body = errors.read(service.SavedViewChange, {"name": name}, {"name": field})
    if body is not None:
        try:
            await service.change(view_id, body, principal, Edit(engine, actor, _tag(version)))
        except Problem as problem:
            if problem.code not in _REFUSED:
                raise
            errors["views" if problem.code is ProblemCode.VIEW_NOT_FOUND else field] = problem.detail
        else:
            return _lead(request, address_of(request, "page_views"))
    return await _listed(request, engine, principal, errors, {view_id: name})


@router.post("/{view_id}/delete", name="view_delete")
async def delete(
    request: Request, view_id: ViewId, engine: EngineDep, actor: ActorDep, principal: PrincipalDep
) -> Response:
    """Delete a view."""
    try:
        await service.remove(view_id, principal, Edit(engine, actor))
    except Problem as problem:
        if problem.code is not ProblemCode.VIEW_NOT_FOUND:
            raise
        return await _listed(request, engine, principal, FieldErrors(views=problem.detail))
    return _lead(request, address_of(request, "page_views"))


def _tag(version: str) -> str | None:
    # A form without its version was tampered with: no version fits.
    return etag(int(version)) if version.isascii() and version.isdigit() and len(version) <= 18 else '"0"'


def _lead(request: Request, there: str) -> Response:
    return Response(headers={"HX-Redirect": there}) if is_htmx(request) else RedirectResponse(there, 303)


def _form(
    request: Request, wanted: Wanted, name: str, errors: FieldErrors, *, taken: dict[str, Any] | None = None
) -> Response:
    context = {"wanted": wanted, "says": say(wanted), "name": name, "errors": errors, "taken": taken}
    failed = bool(errors) or taken is not None
    block = "form" if is_htmx(request) and failed else None
    status = 409 if taken is not None else 422 if errors else 200
    return render(request, "saved_view_new.html", {**context, "topics": None}, block=block, status=status)


async def _listed(
    request: Request,
    engine: EngineDep,
    principal: Principal,
    errors: FieldErrors | None = None,
    typed: dict[UUID, str] | None = None,
) -> Response:
    found = await service.list_all(engine, principal)
    wanted = [wanted_of(each.filters) for each in found.items]
    views = [ShownView(each, own.query(), say(own)) for each, own in zip(found.items, wanted, strict=True)]
    context = {"views": views, "errors": errors or FieldErrors(), "typed": typed or {}, "topics": None}
    block = "listed" if is_htmx(request) and errors else None
    return render(request, _TEMPLATE, context, block=block, status=422 if errors else 200)

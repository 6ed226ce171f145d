"""The page of API tokens: what there are, the dialog that creates one and shows it once, and the one that revokes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access import api_tokens as service
from api.access import sessions
from api.access.api_tokens import ApiTokenCreate, TokenId
from api.access.authentication import session_of
from api.access.sessions import PersonId
from api.base.access import PrincipalDep
from api.base.dependencies import ActorDep, EngineDep
from api.base.limits import open_form
from api.base.types import Cursor, Search
from api.site import depots
from api.ui.access.grants import ROLES
from api.ui.base.depot_choice import find_depot
from api.ui.base.forms import FieldErrors
from api.ui.base.rendering import render
from domain.access.api_tokens import may_give
from domain.access.principals import Principal
from domain.access.roles import Permission, Role
from domain.base.problems import Problem, ProblemCode
from store.site.depots import depot_names

router = APIRouter(prefix="/tokens", include_in_schema=False)

PAGE = 100
"""Tokens that are loaded at a time."""
_OFFERED = 20
_TEMPLATE = "tokens.html"
LIVES = {7: "A week", 30: "30 days", 90: "90 days", 180: "Half a year", 365: "A year"}
"""How long a token lasts, in days."""
_REFUSED = (ProblemCode.NOT_PERMITTED, ProblemCode.TOO_MANY_API_TOKENS, ProblemCode.DEPOT_NOT_FOUND)


@dataclass(frozen=True)
class Filled:
    """What the form of a token holds, as it was filled in."""

    name: str = ""
    role: str = Role.VIEWER
    reach: str = "some"
    """``all`` depots, or ``some``: the one that is named."""
    depot: str = ""
    days: str = "90"


async def _list(request: Request, engine: AsyncEngine, principal: Principal, cursor: str | None) -> dict[str, Any]:
    page = await service.list_all(engine, principal, cursor, PAGE)
    own = session_of(request.scope)
    scope = principal.scope(Permission.VIEW)
    given = {grant.depot_id for token in page.items for grant in token.grants if grant.depot_id is not None}
    # What somebody may no longer see has no name for them, although their token names it.
    named = [depot_id for depot_id in given if scope.holds(depot_id)]
    async with engine.connect() as connection:
        names = await depot_names(connection, named)
    return {
        "page": page,
        "names": names,
        "roles": {role: text.partition(":")[0] for role, text in ROLES.items()},
        "everybodys": principal.may(Permission.ADMINISTER, None),
        "own_person_id": None if own is None else own.person_id,
    }


@router.get("", name="page_tokens")
async def show(request: Request, engine: EngineDep, principal: PrincipalDep) -> Response:
    """Show the tokens, one's own or everybody's."""
    return render(request, _TEMPLATE, await _list(request, engine, principal, None))


@router.get("/rows", name="token_rows")
async def more(request: Request, engine: EngineDep, principal: PrincipalDep, cursor: Cursor = None) -> Response:
    """The next tokens of the list."""
    return render(request, _TEMPLATE, await _list(request, engine, principal, cursor), block="more_rows")


@router.get("/depots", name="token_depots")
async def offer_depots(request: Request, engine: EngineDep, principal: PrincipalDep, depot: Search = None) -> Response:
    """Depots that one sees, whose name holds what was typed."""
    page = await depots.list_all(engine, principal.scope(Permission.VIEW), search=depot, limit=_OFFERED)
    return render(request, _TEMPLATE, {"offered": [each.name for each in page.items]}, block="offers")


@router.get("/new", name="token_new")
async def begin(request: Request, principal: PrincipalDep) -> Response:
    """The dialog that creates a token."""
    return _form(request, principal, Filled(), {})


@router.post("", name="token_create")
async def create(request: Request, engine: EngineDep, actor: ActorDep, principal: PrincipalDep) -> Response:
    """Create a token, and show it this once."""
    async with open_form(request) as form:
        names = ("name", "role", "reach", "depot", "days")
        filled = Filled(**{name: str(form.get(name, "")).strip() for name in names})
    body, errors = await _read(engine, principal, filled)
    if body is None:
        return _form(request, principal, filled, errors, 422)
    try:
        made = await service.create(request, body, actor, principal, engine)
    except Problem as problem:
        if problem.code not in _REFUSED:
            raise
        return _form(request, principal, filled, {"token": problem.detail}, problem.code.status)
    return render(request, _TEMPLATE, {"made": made, **await _list(request, engine, principal, None)}, block="created")


async def _read(engine: AsyncEngine, principal: Principal, filled: Filled) -> tuple[ApiTokenCreate | None, FieldErrors]:
    """Read what was filled in; None, and every error, where it is no token."""
    errors = FieldErrors()
    depot_id = None
    if filled.reach not in ("all", "some"):
        errors["token-reach"] = "Choose one of these."
    elif filled.reach == "some":
        scope = principal.scope(Permission.VIEW)
        try:
            depot = await find_depot(engine, scope, filled.depot, errors, "token-depot")
        except Problem as problem:
            errors["token-depot"] = problem.detail
        else:
            depot_id = None if depot is None else depot.depot_id
    if not filled.days.isascii() or not filled.days.isdigit() or int(filled.days[:4]) not in LIVES:
        errors["token-days"] = "Choose one of these."
    days = 1 if "token-days" in errors else int(filled.days)
    body = {
        "name": filled.name,
        "grants": [{"role": filled.role, "depot_id": depot_id}],
        "expires_at": datetime.now(UTC) + timedelta(days=days),
    }
    made = errors.read(ApiTokenCreate, body, {"name": "token-name", "grants": "token-role"})
    return made, errors


@router.get("/{token_id:uuid}/revoke", name="token_ask")
async def ask(request: Request, token_id: TokenId, principal: PrincipalDep, engine: EngineDep) -> Response:
    """The dialog that asks before a token is revoked."""
    try:
        token = await service.read(token_id, principal, engine)
    except Problem as problem:
        return _gone(request, problem)
    return render(request, _TEMPLATE, {"token": token}, block="revoke")


@router.post("/{token_id:uuid}/revoke", name="token_revoke")
async def revoke(
    request: Request, token_id: TokenId, actor: ActorDep, principal: PrincipalDep, engine: EngineDep
) -> Response:
    """Revoke a token."""
    try:
        await service.remove(token_id, actor, principal, engine)
    except Problem as problem:
        return _gone(request, problem)
    context = await _list(request, engine, principal, None)
    return render(request, _TEMPLATE, context, block="changed", headers={"HX-Trigger": "dialog-done"})


def _gone(request: Request, problem: Problem) -> Response:
    if problem.code is not ProblemCode.API_TOKEN_NOT_FOUND:
        raise problem
    return render(request, "site_dialogs.html", {"detail": problem.detail}, block="gone", status=404)


def _form(
    request: Request, principal: Principal, filled: Filled, errors: dict[str, str], status: int = 200
) -> Response:
    roles = {role: text for role, text in ROLES.items() if may_give(principal, role)}
    context = {"filled": filled, "errors": errors, "roles": roles, "lives": LIVES}
    return render(request, _TEMPLATE, context, block="form", status=status)


@router.post("/of/{person_id:uuid}/shut-out", name="token_shut_out")
async def shut_out(
    request: Request, person_id: PersonId, engine: EngineDep, actor: ActorDep, principal: PrincipalDep
) -> Response:
    """Revoke all API tokens of a person, and end all their sessions."""
    await sessions.shut_out(person_id, engine, actor)
    return render(request, _TEMPLATE, await _list(request, engine, principal, None), block="results")

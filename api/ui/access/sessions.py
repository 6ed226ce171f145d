"""The Sessions page: one's own sessions, and for administrators everybody's; each can be ended."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access import sessions as service
from api.access.authentication import session_of
from api.access.provider import needs_provider
from api.access.sessions import PersonId, SessionId
from api.base.dependencies import ActorDep, EngineDep, PrincipalDep, SettingsDep
from api.base.types import Cursor
from api.ui.base.rendering import render
from domain.access.principals import Principal
from domain.base.problems import Problem, ProblemCode
from runtime.settings import Settings

router = APIRouter(prefix="/sessions", include_in_schema=False, dependencies=[Depends(needs_provider)])

PAGE = 100
"""Sessions that are loaded at a time."""
_TEMPLATE = "sessions.html"


async def _list(
    request: Request, engine: AsyncEngine, settings: Settings, principal: Principal, cursor: str | None = None
) -> dict[str, Any]:
    page = await service.list_all(engine, settings, principal, cursor, PAGE)
    own = session_of(request.scope)
    return {
        "page": page,
        "own_id": None if own is None else own.session_id,
        "own_person_id": None if own is None else own.person_id,
        "is_everybodys": service.own_or_all(principal) is None,
    }


@router.get("", name="page_sessions")
async def show(request: Request, engine: EngineDep, settings: SettingsDep, principal: PrincipalDep) -> Response:
    """Show who is signed in."""
    return render(request, _TEMPLATE, await _list(request, engine, settings, principal))


@router.get("/rows", name="session_rows")
async def more(
    request: Request, engine: EngineDep, settings: SettingsDep, principal: PrincipalDep, cursor: Cursor = None
) -> Response:
    """The next sessions of the list."""
    return render(request, _TEMPLATE, await _list(request, engine, settings, principal, cursor), block="more_rows")


@router.post("/{session_id:uuid}/end", name="session_end")
async def end(
    request: Request,
    session_id: SessionId,
    engine: EngineDep,
    settings: SettingsDep,
    actor: ActorDep,
    principal: PrincipalDep,
) -> Response:
    """End a session. One that has ended meanwhile is as it should be."""
    try:
        await service.remove(session_id, engine, actor, principal)
    except Problem as problem:
        if problem.code is not ProblemCode.SESSION_NOT_FOUND:
            raise
    return render(request, _TEMPLATE, await _list(request, engine, settings, principal), block="results")


@router.post("/of/{person_id:uuid}/end", name="sessions_end")
async def end_all(
    request: Request,
    person_id: PersonId,
    engine: EngineDep,
    settings: SettingsDep,
    actor: ActorDep,
    principal: PrincipalDep,
) -> Response:
    """End all sessions of a person."""
    await service.remove_all(person_id, engine, actor)
    return render(request, _TEMPLATE, await _list(request, engine, settings, principal), block="results")


@router.post("/of/{person_id:uuid}/shut-out", name="session_shut_out")
async def shut_out(
    request: Request,
    person_id: PersonId,
    engine: EngineDep,
    settings: SettingsDep,
    actor: ActorDep,
    principal: PrincipalDep,
) -> Response:
    """End all sessions of a person, and revoke all their API tokens."""
    await service.shut_out(person_id, engine, actor)
    return render(request, _TEMPLATE, await _list(request, engine, settings, principal), block="results")

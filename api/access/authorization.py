"""Whether who makes a request may use its route, at the depots that it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.access import note_depots, note_refused_at, principal_of
from api.base.dependencies import resources_of
from domain.access.principals import DepotScope, Principal, PrincipalKind
from domain.access.roles import Permission
from domain.access.routes import OPERATIONS, PAGES, PARAMETERS, Access, Decision, Reach, decide, decide_at
from domain.base.problems import Problem, ProblemCode
from store.access.depot_of import depots_of

_ACCESS = "manage.access"


async def authorize(request: Request, access: Access, parameters: Mapping[str, Any]) -> None:
    """Let a request pass to its route, whose path has these parameters.

    Raises:
        Problem: ``NOT_PERMITTED``, or ``…_NOT_FOUND`` of what the path names.

    """
    scope = request.scope
    scope[_ACCESS] = access
    if access.reach is Reach.PUBLIC:
        return
    principal = principal_of(scope)
    if principal is None:
        raise Problem(ProblemCode.ACCESS_REFUSED, "It is not known who makes this request.")
    if access.permission is None:
        if decide(access, principal) is not Decision.PERMITTED:
            raise Problem(ProblemCode.NOT_PERMITTED, "A gateway sends packets, and does nothing else here.")
        return
    permitted = principal.scope(access.permission)
    note_depots(scope, permitted)
    if permitted.everywhere and principal.kind is not PrincipalKind.GATEWAY:
        return
    named = _named(parameters) if access.reach is Reach.DEPOT else {}
    depots = await _depots_of(resources_of(request.app).engine, named) if named else {}
    if (decision := decide(access, principal, depots.values())) is not Decision.PERMITTED:
        found = {each for each in depots.values() if each is not None}
        if len(found) == 1:
            note_refused_at(scope, *found)
        raise _refusal(decision, principal, access.permission, depots)


def authorizer(name_of: Callable[[APIRoute], str]) -> Callable[[Request], Awaitable[None]]:
    """Make what stands before every route; ``name_of`` gives the operation id of a route of the API."""
    known: dict[tuple[object, str], Access] = {}

    async def authorize_route(request: Request) -> None:
        route: APIRoute = request.scope["route"]
        key = (route.endpoint, route.name)
        if key not in known:
            known[key] = access_of(route, name_of)
        await authorize(request, known[key], request.path_params)

    return authorize_route


def access_of(route: APIRoute, name_of: Callable[[APIRoute], str]) -> Access:
    """What a route asks for.

    Raises:
        Problem: ``NOT_PERMITTED``: it has no entry in the table, so nobody may use it.

    """
    module = route.endpoint.__module__
    is_api = module.startswith("api.") and not module.startswith("api.ui.")
    found = OPERATIONS.get(name_of(route)) if is_api else PAGES.get(route.name)
    if found is None:
        raise Problem(ProblemCode.NOT_PERMITTED, "It is not known who may use this.")
    return found


@dataclass(frozen=True)
class Permit:
    """What a route asks for, to be asked for what its body names."""

    principal: Principal
    permission: Permission
    engine: AsyncEngine

    @property
    def scope(self) -> DepotScope:
        """Where it is permitted."""
        return self.principal.scope(self.permission)

    def check_fleet(self) -> None:
        """Let a request pass that names what concerns all depots.

        Raises:
            Problem: ``NOT_PERMITTED``.

        """
        if not self.scope.everywhere:
            raise _refusal(Decision.REFUSED, self.principal, self.permission, {})

    async def check(self, **things: UUID | None) -> None:
        """Let a request pass that names these depots, or things of depots, by what parameters of paths are called.

        None: it names none of that kind.

        Raises:
            Problem: ``NOT_PERMITTED``, or ``…_NOT_FOUND`` of what it names.

        """
        if self.scope.everywhere:
            return
        depots = await _depots_of(self.engine, {name: each for name, each in things.items() if each is not None})
        decision = decide_at(self.permission, self.principal, depots.values())
        if decision is not Decision.PERMITTED:
            raise _refusal(decision, self.principal, self.permission, depots)


def permit_of(request: Request) -> Permit:
    """What the route of a request asks for."""
    access: Access = request.scope[_ACCESS]
    assert access.permission is not None
    principal = principal_of(request.scope)
    assert principal is not None
    return Permit(principal, access.permission, resources_of(request.app).engine)


async def _permit(request: Request) -> Permit:
    return permit_of(request)


PermitDep = Annotated[Permit, Depends(_permit)]
"""For a route whose body, form or query names the depot."""


def _named(parameters: Mapping[str, Any]) -> dict[str, UUID | None]:
    """What a path names that belongs to a depot; None: an id that is none, so there is no such thing."""
    return {name: _id(str(value)) for name, value in parameters.items() if name in PARAMETERS}


def _id(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None


async def _depots_of(engine: AsyncEngine, named: Mapping[str, UUID | None]) -> dict[str, UUID | None]:
    things = {name: thing for name, thing in named.items() if thing is not None}
    if things.keys() <= {"depot_id"}:
        return dict(named)
    async with engine.connect() as connection:
        return {**named, **await depots_of(connection, things)}


def _refusal(
    decision: Decision, principal: Principal, permission: Permission, depots: Mapping[str, UUID | None]
) -> Problem:
    if decision is Decision.REFUSED or not depots:
        return Problem(ProblemCode.NOT_PERMITTED, f"None of your roles permits you to {permission} here.")
    hidden = next(
        (name for name, depot in depots.items() if depot is None or not principal.may(Permission.VIEW, depot)),
        next(iter(depots)),
    )
    return Problem(PARAMETERS[hidden], PARAMETERS[hidden].meaning)

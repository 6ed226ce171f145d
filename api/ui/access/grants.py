"""The Access page: who has which role where; granting and revoking, each with its effect before it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access import grants as service
from api.access.grants import GrantCreate, GrantId
from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.idempotency import FormOnceDep
from api.base.limits import open_form
from api.base.types import Cursor, Search
from api.site import depots
from api.ui.base.depot_choice import find_depot
from api.ui.base.forms import FieldErrors
from api.ui.base.rendering import render
from domain.access.grants import Effect, GranteeKind, GrantRecord, effect_of
from domain.access.principals import EVERYWHERE, DepotScope, Grant
from domain.access.roles import Permission, Role
from domain.base.problems import Problem, ProblemCode
from domain.base.texts import fault_of, normal
from store.access.grants import granted_to, read_grant
from store.access.people import find_people
from store.base.database import snapshot

router = APIRouter(prefix="/access", include_in_schema=False)

PAGE = 100
"""Grants that are loaded at a time."""
_OFFERED = 20
_TEMPLATE = "access.html"
_LONGEST_LIST = 5
"""Depots that an effect names; of more it says how many."""

KINDS = {GranteeKind.PERSON: "Person", GranteeKind.GROUP: "Group", GranteeKind.PROGRAM: "Program"}
ROLES = {
    Role.VIEWER: "Viewer: sees depots",
    Role.OPERATOR: "Operator: resyncs, resolves remediations",
    Role.CONFIGURATOR: "Configurator: changes circuits, devices, bindings",
    Role.QA: "QA: runs scenarios",
    Role.ADMINISTRATOR: "Administrator: everything, and grants access",
    Role.AUDITOR: "Auditor: reads the journal",
    Role.GATEWAY: "Gateway: sends packets",
}
ACTS = {
    Permission.VIEW: "See depots",
    Permission.OPERATE: "Resync, resolve remediations",
    Permission.CONFIGURE: "Change the site, devices and bindings",
    Permission.SIMULATE: "Run scenarios",
    Permission.ADMINISTER: "Import, backfill, grant access",
    Permission.AUDIT: "Read the journal",
    Permission.SEND: "Send packets",
}

Kind = Annotated[GranteeKind | None, BeforeValidator(lambda given: given or None), Query()]


@dataclass(frozen=True)
class Filled:
    """What the form of a grant holds, as it was filled in."""

    kind: str = GranteeKind.PERSON
    who: str = ""
    role: str = Role.VIEWER
    reach: str = "some"
    """``all`` depots, or ``some``: the one that is named."""
    depot: str = ""

    @staticmethod
    async def of(request: Request) -> tuple[Filled, str]:
        """Read it, and what the grantee had when the effect was shown."""
        async with open_form(request) as form:
            given = {name: str(form.get(name, "")).strip() for name in ("kind", "who", "role", "reach", "depot")}
            return Filled(**given | {"who": normal(given["who"])}), str(form.get("seen", ""))


@dataclass(frozen=True)
class ShownEffect:
    """A permission that a change gives or takes, in words."""

    act: str
    before: str
    after: str
    gives: bool


async def _list(engine: AsyncEngine, scope: DepotScope, kind: GranteeKind | None, cursor: str | None) -> dict[str, Any]:
    page = await service.list_all(engine, scope, kind=kind, cursor=cursor, limit=PAGE)
    return {"page": page, "kind": kind, "kinds": KINDS, "roles": ROLES, "is_fleet": scope.everywhere}


@router.get("", name="page_access")
async def show(request: Request, engine: EngineDep, scope: ScopeDep, kind: Kind = None) -> Response:
    """Show who has which role where."""
    return render(request, _TEMPLATE, await _list(engine, scope, kind, None))


@router.get("/rows", name="access_rows")
async def more(
    request: Request, engine: EngineDep, scope: ScopeDep, kind: Kind = None, cursor: Cursor = None
) -> Response:
    """The next grants of the list."""
    return render(request, _TEMPLATE, await _list(engine, scope, kind, cursor), block="more_rows")


@router.get("/people", name="access_people")
async def offer_people(request: Request, engine: EngineDep, who: Search = None) -> Response:
    """People who signed in, whose name or address holds what was typed."""
    async with engine.connect() as connection:
        found = await find_people(connection, who or "", _OFFERED)
    return render(request, _TEMPLATE, {"offered": [(each.known_as, each.name) for each in found]}, block="offers")


@router.get("/depots", name="access_depots")
async def offer_depots(request: Request, engine: EngineDep, depot: Search = None) -> Response:
    """Depots whose name holds what was typed."""
    page = await depots.list_all(engine, EVERYWHERE, search=depot, limit=_OFFERED)
    return render(request, _TEMPLATE, {"offered": [(each.name, "") for each in page.items]}, block="offers")


@router.get("/new", name="access_new")
async def begin(request: Request) -> Response:
    """The dialog that grants a role."""
    return _form(request, Filled(), {})


@router.post("/new", name="access_back")
async def go_back(request: Request, engine: EngineDep) -> Response:
    """The same dialog again, from the effect back."""
    filled, _ = await Filled.of(request)
    depot = await find_depot(engine, EVERYWHERE, filled.depot, {}) if filled.depot else None
    if depot is not None:
        filled = replace(filled, depot=depot.name)
    return _form(request, filled, {})


@router.post("/effect", name="access_effect")
async def preview(request: Request, engine: EngineDep) -> Response:
    """Say what granting this would give."""
    filled, _ = await Filled.of(request)
    return await _effect(request, engine, filled)


@router.post("", name="access_grant")
async def grant(request: Request, engine: EngineDep, actor: ActorDep, scope: ScopeDep, once: FormOnceDep) -> Response:
    """Grant a role whose effect was shown; show the effect again where it is another one now."""
    filled, seen = await Filled.of(request)
    read, errors = await _read(engine, filled)
    if read is None:
        return _form(request, filled, errors, 422)
    body, _ = read
    async with snapshot(engine) as connection:
        held = await granted_to(connection, body.kind, body.subject)
    given = Grant(body.role, body.depot_id)
    if _digest(held) != seen and not any(each.grant == given for each in held):
        return await _effect(request, engine, filled, changed=True)
    try:
        await service.create(body, actor, engine, once)
    except Problem as problem:
        if problem.code not in (ProblemCode.GRANT_EXISTS, ProblemCode.DEPOT_NOT_FOUND):
            raise
        return _form(request, filled, {"access": problem.detail}, problem.code.status)
    return await _changed(request, engine, scope)


@router.get("/{grant_id:uuid}/revoke", name="access_ask")
async def ask(request: Request, grant_id: GrantId, engine: EngineDep) -> Response:
    """The dialog that asks before a role is revoked, and says what that takes."""
    try:
        return await _asking(request, engine, grant_id)
    except Problem as problem:
        return _gone(request, problem)


@router.post("/{grant_id:uuid}/revoke", name="access_revoke")
async def revoke(request: Request, grant_id: GrantId, engine: EngineDep, actor: ActorDep, scope: ScopeDep) -> Response:
    """Revoke a role whose effect was shown."""
    _, seen = await Filled.of(request)
    try:
        async with snapshot(engine) as connection:
            record = await read_grant(connection, grant_id)
            held = await granted_to(connection, record.kind, record.subject)
        if _digest(held) != seen:
            return await _asking(request, engine, grant_id, changed=True)
        await service.remove(grant_id, actor, engine)
    except Problem as problem:
        if problem.code is ProblemCode.LAST_ADMINISTRATOR:
            return await _asking(request, engine, grant_id, refused=problem)
        return _gone(request, problem)
    return await _changed(request, engine, scope)


async def _read(engine: AsyncEngine, filled: Filled) -> tuple[tuple[GrantCreate, str] | None, FieldErrors]:
    """Read what was filled in, with the depot's name; None, and every error, where it is no grant."""
    errors = FieldErrors()
    subject, name = filled.who, filled.who
    if not filled.who:
        errors["access-who"] = "Fill this in."
    elif filled.kind == GranteeKind.PERSON and not fault_of(filled.who):
        # Of a text that none can be, it is said where the grant is read.
        async with engine.connect() as connection:
            found = await find_people(connection, filled.who, 2, exactly=True)
        if len(found) == 1:
            subject, name = found[0].subject, found[0].name
        elif found:
            errors["access-who"] = "Several people have this address. Give the subject: issuer, # and sub."
        elif "#" not in filled.who:
            errors["access-who"] = (
                "Nobody with this address has signed in yet. Grant it to a group, or give the subject."
            )
    depot = None
    if filled.reach not in ("all", "some"):
        errors["access-reach"] = "Choose one of these."
    elif filled.reach == "some":
        depot = await find_depot(engine, EVERYWHERE, filled.depot, errors, "access-depot")
    depot_id = None if depot is None else depot.depot_id
    body = {"kind": filled.kind, "subject": subject, "name": name[:100], "role": filled.role, "depot_id": depot_id}
    elements = {"kind": "access-kind", "subject": "access-who", "name": "access-who", "role": "access-role"}
    made = errors.read(GrantCreate, body, elements | {"depot_id": "access-depot"})
    return (None if made is None else (made, "" if depot is None else depot.name)), errors


def _gone(request: Request, problem: Problem) -> Response:
    if problem.code is not ProblemCode.GRANT_NOT_FOUND:
        raise problem
    return render(request, "site_dialogs.html", {"detail": problem.detail}, block="gone", status=404)


async def _changed(request: Request, engine: AsyncEngine, scope: DepotScope) -> Response:
    """Close the dialog, and show the list as it is now."""
    context = await _list(engine, scope, None, None)
    return render(request, _TEMPLATE, context, block="changed", headers={"HX-Trigger": "dialog-done"})


def _form(request: Request, filled: Filled, errors: dict[str, str], status: int = 200) -> Response:
    context = {"filled": filled, "errors": errors, "kinds": KINDS, "roles": ROLES}
    return render(request, _TEMPLATE, context, block="form", status=status)


async def _effect(request: Request, engine: AsyncEngine, filled: Filled, *, changed: bool = False) -> Response:
    read, errors = await _read(engine, filled)
    if read is None:
        return _form(request, filled, errors, 422)
    body, depot_name = read
    async with snapshot(engine) as connection:
        held = await granted_to(connection, body.kind, body.subject)
    given = Grant(body.role, body.depot_id)
    if any(each.grant == given for each in held):
        return _form(request, filled, {"access": f"{body.name} has this role there already."}, 409)
    names = _names(held) | ({body.depot_id: depot_name} if body.depot_id else {})
    before = [each.grant for each in held]
    context = {
        "filled": filled,
        "name": body.name,
        "subject": body.subject,
        "role": ROLES[body.role].partition(":")[0],
        "depot_id": body.depot_id,
        "place": depot_name or "all depots",
        "effects": [_shown(each, names) for each in effect_of(before, [*before, given])],
        "seen": _digest(held),
        "changed": changed,
    }
    return render(request, _TEMPLATE, context, block="effect", status=409 if changed else 200)


async def _asking(
    request: Request, engine: AsyncEngine, grant_id: UUID, *, changed: bool = False, refused: Problem | None = None
) -> Response:
    async with snapshot(engine) as connection:
        record = await read_grant(connection, grant_id)
        held = await granted_to(connection, record.kind, record.subject)
    after = [each.grant for each in held if each.grant_id != grant_id]
    context = {
        "grant": record,
        "role": ROLES[record.role].partition(":")[0],
        "effects": [_shown(each, _names(held)) for each in effect_of([e.grant for e in held], after)],
        "seen": _digest(held),
        "changed": changed,
        "refused": refused,
    }
    return render(request, _TEMPLATE, context, block="revoke", status=409 if changed or refused else 200)


def _digest(held: Iterable[GrantRecord]) -> str:
    """What somebody has, so that a change of it between question and answer is seen."""
    return hashlib.sha256(" ".join(sorted(str(each.grant_id) for each in held)).encode()).hexdigest()


def _names(held: Sequence[GrantRecord]) -> dict[UUID, str]:
    return {each.depot_id: each.depot_name or "" for each in held if each.depot_id is not None}


def _shown(effect: Effect, names: dict[UUID, str]) -> ShownEffect:
    gives = effect.after.everywhere or (
        not effect.before.everywhere and effect.after.depot_ids >= effect.before.depot_ids
    )
    return ShownEffect(ACTS[effect.permission], _places(effect.before, names), _places(effect.after, names), gives)


def _places(scope: DepotScope, names: dict[UUID, str]) -> str:
    if scope.everywhere:
        return "all depots"
    if scope.is_empty:
        return "nowhere"
    known = sorted(names[each] for each in scope.depot_ids)
    more = len(known) - _LONGEST_LIST
    return ", ".join(known[:_LONGEST_LIST]) + (f" and {more} more" if more > 0 else "")

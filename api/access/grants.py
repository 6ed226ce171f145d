"""Grants: who has which role where; what a change of that would give or take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import problem_responses
from api.base.types import Body, Cursor, Limit, Name, OfDepot, Text, cut_page, decode_id
from domain.access.grants import Effect, GranteeKind, GrantRecord, effect_of
from domain.access.principals import DepotScope, Grant
from domain.access.roles import Permission, Role
from domain.base.problems import ProblemCode
from store.access.grants import (
    check_depot,
    create_grant,
    delete_grant,
    granted_to,
    list_grants,
    read_grant,
)
from store.access.tables import MAX_SUBJECT_LENGTH
from store.base.database import snapshot, transaction

router = APIRouter(prefix="/api/grants", tags=["grants"], route_class=StrictRoute)

GrantId = Annotated[UUID, Path(description="The grant's id.")]


class GrantCreate(Body):
    """A role to grant."""

    kind: GranteeKind = Field(description="What the grantee is.")
    subject: Text = Field(
        min_length=1,
        max_length=MAX_SUBJECT_LENGTH,
        description="Of a person `{issuer}#{sub}`, of a group its name in the provider's claims, of a program its id.",
        examples=["https://login.example.org#00u1f2"],
    )
    name: Name
    role: Role = Field(description="What the grantee is to be there.")
    depot_id: UUID | None = Field(default=None, description="Null: all depots, those that do not exist yet among them.")


class GrantDocument(BaseModel):
    """A role that somebody has."""

    grant_id: UUID = Field(description="The grant's id.")
    kind: GranteeKind = Field(description="What the grantee is.")
    subject: str = Field(description="What the kind's issuer calls the grantee.")
    name: str
    role: Role = Field(description="What the grantee is there; docs/access.md has what each role permits.")
    depot_id: UUID | None = Field(description="Null: all depots.")
    depot_name: str | None
    created_at: datetime
    created_by: str

    @staticmethod
    def of(record: GrantRecord) -> GrantDocument:
        """The grant as the store has it."""
        return GrantDocument.model_validate(record, from_attributes=True)


class GrantPage(BaseModel):
    """Grants by id, which is the order in which they were made."""

    items: list[GrantDocument]
    next_cursor: str | None


class PlacesDocument(BaseModel):
    """Where something is permitted."""

    everywhere: bool = Field(description="Whether it is permitted at all depots.")
    depot_ids: list[UUID] = Field(description="Empty where it is everywhere.")

    @staticmethod
    def of(scope: DepotScope) -> PlacesDocument:
        """The scope as the domain has it."""
        return PlacesDocument(everywhere=scope.everywhere, depot_ids=sorted(scope.depot_ids))


class EffectDocument(BaseModel):
    """Where a permission holds by what was granted to the grantee, before and after."""

    permission: Permission = Field(description="The kind of act.")
    before: PlacesDocument = Field(description="Where it is permitted now.")
    after: PlacesDocument = Field(description="Where it would be permitted.")

    @staticmethod
    def of(effect: Effect) -> EffectDocument:
        """The effect as the domain has it."""
        before, after = PlacesDocument.of(effect.before), PlacesDocument.of(effect.after)
        return EffectDocument(permission=effect.permission, before=before, after=after)


class GrantEffect(BaseModel):
    """What a change would give or take. Nothing was changed."""

    effects: list[EffectDocument] = Field(description="Empty: other grants permit the same already, or still.")


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep,
    scope: ScopeDep,
    kind: Annotated[GranteeKind | None, Query(description="Of grantees of this kind alone.")] = None,
    subject: Annotated[Text | None, Query(max_length=MAX_SUBJECT_LENGTH, description="Of this grantee alone.")] = None,
    depot_id: OfDepot = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> GrantPage:
    """List grants: those of the depots that one administers."""
    async with engine.connect() as connection:
        found = await list_grants(
            connection, scope, kind=kind, subject=subject, depot_id=depot_id, after=decode_id(cursor), limit=limit + 1
        )
    items, more = cut_page(found, limit, lambda record: record.grant_id)
    return GrantPage(items=[GrantDocument.of(record) for record in items], next_cursor=more)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=problem_responses(*ONCE, ProblemCode.DEPOT_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.GRANT_EXISTS),
)
async def create(body: GrantCreate, actor: ActorDep, engine: EngineDep, once: OnceDep) -> GrantDocument:
    """Grant a role. It holds from the next request of whoever has it now."""

    async def make(connection: AsyncConnection) -> GrantDocument:
        return GrantDocument.of(await create_grant(connection, actor, body.model_dump()))

    return await once.create(engine, actor, body, GrantDocument, make)


@router.post("/effect", responses=problem_responses(ProblemCode.DEPOT_NOT_FOUND, ProblemCode.INVALID_NAME))
async def validate(body: GrantCreate, engine: EngineDep) -> GrantEffect:
    """Say what granting this would give. Nothing is changed."""
    async with engine.begin() as connection:
        await check_depot(connection, body.depot_id)
        held = await granted_to(connection, body.kind, body.subject)
    return _effect(held, [*(each.grant for each in held), Grant(body.role, body.depot_id)])


@router.get("/{grant_id:uuid}", responses=problem_responses(ProblemCode.GRANT_NOT_FOUND))
async def read(grant_id: GrantId, engine: EngineDep) -> GrantDocument:
    """Read one grant."""
    async with engine.connect() as connection:
        return GrantDocument.of(await read_grant(connection, grant_id))


@router.get("/{grant_id:uuid}/deletion", responses=problem_responses(ProblemCode.GRANT_NOT_FOUND))
async def deletion(grant_id: GrantId, engine: EngineDep) -> GrantEffect:
    """Say what taking the grant away would take. Nothing is changed."""
    async with snapshot(engine) as connection:
        record = await read_grant(connection, grant_id)
        held = await granted_to(connection, record.kind, record.subject)
    return _effect(held, [each.grant for each in held if each.grant_id != grant_id])


@router.delete(
    "/{grant_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(ProblemCode.GRANT_NOT_FOUND, ProblemCode.LAST_ADMINISTRATOR),
)
async def remove(grant_id: GrantId, actor: ActorDep, engine: EngineDep) -> None:
    """Take a grant away. Event streams of whoever had it end; the last administrator of all depots stays."""
    async with transaction(engine, actor) as connection:
        await delete_grant(connection, actor, grant_id)


def _effect(before: Sequence[GrantRecord], after: Sequence[Grant]) -> GrantEffect:
    return GrantEffect(effects=[EffectDocument.of(each) for each in effect_of([e.grant for e in before], after)])

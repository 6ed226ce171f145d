"""API tokens: listed, created and revoked by their owners, and by administrators of all depots."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.access.authentication import session_of
from api.base.access import PrincipalDep
from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep
from api.base.problems import problem_responses
from api.base.types import Body, Cursor, Limit, Moment, Name, cut_page, decode_id
from domain.access.api_tokens import LONGEST_LIFE, MOST_GRANTS, Owner, TokenRecord, check_giver, check_life
from domain.access.principals import Grant, Principal, PrincipalKind
from domain.access.roles import Permission, Role
from domain.access.secrets import BITS, SecretKind, digest_of, make_secret
from domain.base.problems import Problem, ProblemCode
from store.access.api_tokens import create_token, delete_token, list_tokens, read_token
from store.access.people import find_person
from store.base.database import transaction

router = APIRouter(prefix="/api/tokens", tags=["tokens"], route_class=StrictRoute)

TokenId = Annotated[UUID, Path(description="The token's id; it is no part of the token.")]


class TokenGrant(Body):
    """A role of a token."""

    role: Role = Field(description="What whoever has the token is; docs/access.md has what each role permits.")
    depot_id: UUID | None = Field(default=None, description="Null: all depots, those that do not exist yet among them.")


class ApiTokenCreate(Body):
    """An API token to create."""

    name: Name
    grants: list[TokenGrant] = Field(
        min_length=1,
        max_length=MOST_GRANTS,
        description="What it may, which is never more than you may.",
        examples=[[{"role": "viewer"}]],
    )
    expires_at: Moment = Field(description=f"When it ends: in {LONGEST_LIFE.days} days at the latest.")


class ApiToken(BaseModel):
    """An API token, as far as it can be read again."""

    token_id: UUID = Field(description="The token's id; it is no part of the token.")
    name: str
    owner: str = Field(description="Who created it. It may never more than its owner may at that moment.")
    owner_id: UUID | None = Field(description="The person who created it; null: the local administrator.")
    grants: list[TokenGrant] = Field(description="What it was given.")
    created_at: datetime
    expires_at: datetime = Field(description="When it ends.")
    is_expired: bool = Field(description="Whether it has ended.")
    used_at: datetime | None = Field(description="When it was last used, to the minute; null: never.")

    @staticmethod
    def of(record: TokenRecord) -> ApiToken:
        """The token as the store has it."""
        return ApiToken.model_validate(record, from_attributes=True)


class CreatedApiToken(ApiToken):
    """An API token that was just created."""

    secret: str = Field(description="The token itself, for `Authorization: Bearer`. It is shown here and never again.")


class ApiTokenPage(BaseModel):
    """API tokens by id, which is the order in which they were created."""

    items: list[ApiToken]
    next_cursor: str | None


async def owner_of(connection: AsyncConnection, principal: Principal) -> Owner:
    """Say whose tokens and views somebody has: a person's of their own, and a program none."""
    if principal.kind is PrincipalKind.LOCAL:
        return Owner(is_local=True)
    return Owner(await find_person(connection, principal.subject) if principal.kind is PrincipalKind.PERSON else None)


def _sees_all(principal: Principal) -> bool:
    return principal.may(Permission.ADMINISTER, None)


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep, principal: PrincipalDep, cursor: Cursor = None, limit: Limit = 100
) -> ApiTokenPage:
    """List your API tokens; as an administrator of all depots, everybody's."""
    async with engine.connect() as connection:
        owner = await owner_of(connection, principal)
        found = await list_tokens(
            connection, owner=owner, everybodys=_sees_all(principal), after=decode_id(cursor), limit=limit + 1
        )
    items, more = cut_page(found, limit, lambda record: record.token_id)
    return ApiTokenPage(items=[ApiToken.of(each) for each in items], next_cursor=more)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=problem_responses(ProblemCode.DEPOT_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.TOO_MANY_API_TOKENS),
)
async def create(
    request: Request, body: ApiTokenCreate, actor: ActorDep, principal: PrincipalDep, engine: EngineDep
) -> CreatedApiToken:
    """Create an API token of yours, for a script or CI. People create tokens, and programs do not.

    An answer that was lost is not given again: revoke that token, and create another.
    """
    wanted = [Grant(each.role, each.depot_id) for each in body.grants]
    check_life(body.expires_at, datetime.now(UTC))
    check_giver(principal, wanted)
    secret = make_secret(SecretKind.API_TOKEN, secrets.token_bytes(BITS // 8))
    async with transaction(engine, actor) as connection:
        owner = await owner_of(connection, principal)
        # A token that is stolen must not become one that lasts longer.
        if not owner.is_local and (owner.person_id is None or session_of(request.scope) is None):
            raise Problem(ProblemCode.NOT_PERMITTED, "Sign in on the pages: only a session creates API tokens.")
        made = await create_token(
            connection,
            actor,
            owner=owner,
            name=body.name,
            digest=digest_of(secret),
            wanted=wanted,
            expires_at=body.expires_at,
        )
    return CreatedApiToken(**ApiToken.of(made).model_dump(), secret=secret)


@router.get("/{token_id}", responses=problem_responses(ProblemCode.API_TOKEN_NOT_FOUND))
async def read(token_id: TokenId, principal: PrincipalDep, engine: EngineDep) -> ApiToken:
    """Read what is known of one API token."""
    async with engine.connect() as connection:
        owner = await owner_of(connection, principal)
        return ApiToken.of(await read_token(connection, token_id, owner=owner, everybodys=_sees_all(principal)))


@router.delete(
    "/{token_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(ProblemCode.API_TOKEN_NOT_FOUND),
)
async def remove(token_id: TokenId, actor: ActorDep, principal: PrincipalDep, engine: EngineDep) -> None:
    """Revoke an API token: from now on nobody gets in with it."""
    async with transaction(engine, actor) as connection:
        owner = await owner_of(connection, principal)
        await delete_token(connection, actor, token_id, owner=owner, everybodys=_sees_all(principal))

"""API tokens as they are stored: none of them can be read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, false, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.api_tokens import MOST_TOKENS, Owner, TokenRecord, token_subject
from domain.access.grants import GranteeKind
from domain.access.people import Identity
from domain.access.principals import Grant
from domain.access.roles import Role
from domain.access.secrets import USE_NOTED_AFTER
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from store.access.grants import check_depot
from store.access.tables import api_tokens, grants, people
from store.base.arrays import is_one_of, is_one_of_texts
from store.base.changes import record_change

_C = api_tokens.c
_IS_EXPIRED = _C.expires_at <= func.now()
_GRANTS = (
    select(func.coalesce(func.jsonb_agg(func.jsonb_build_array(grants.c.role, grants.c.depot_id)), text("'[]'::jsonb")))
    .where(grants.c.kind == GranteeKind.PROGRAM, grants.c.subject == func.concat("token#", _C.id))
    .scalar_subquery()
)


def _tokens() -> Select[*tuple[Any, ...]]:
    return select(_C.id, _C.name, _C.owner, _C.owner_id, _GRANTS, _C.created_at, _C.expires_at, _C.used_at, _IS_EXPIRED)


async def _read(connection: AsyncConnection, query: Select[*tuple[Any, ...]]) -> list[TokenRecord]:
    return [
        TokenRecord(token_id, name, owner, owner_id, tuple(_grant(*each) for each in given), *rest)
        for token_id, name, owner, owner_id, given, *rest in await connection.execute(query)
    ]


def _grant(role: str, depot_id: str | None) -> Grant:
    return Grant(Role(role), None if depot_id is None else UUID(depot_id))


def _of(owner: Owner) -> ColumnElement[bool]:
    if owner.is_local:
        return _C.owner_id.is_(None)
    return false() if owner.person_id is None else _C.owner_id == owner.person_id


async def list_tokens(
    connection: AsyncConnection, *, owner: Owner, everybodys: bool, after: UUID | None, limit: int
) -> list[TokenRecord]:
    """List tokens by id, which is the order in which they were made, beginning after ``after``.

    They are the owner's alone, unless ``everybodys`` are wanted.
    """
    query = _tokens().order_by(_C.id).limit(limit)
    if not everybodys:
        query = query.where(_of(owner))
    if after is not None:
        query = query.where(_C.id > after)
    return await _read(connection, query)


async def read_token(connection: AsyncConnection, token_id: UUID, *, owner: Owner, everybodys: bool) -> TokenRecord:
    """Read one token, as far as its reader may.

    Raises:
        Problem: ``API_TOKEN_NOT_FOUND``.

    """
    query = _tokens().where(_C.id == token_id)
    found = await _read(connection, query if everybodys else query.where(_of(owner)))
    if not found:
        raise Problem(ProblemCode.API_TOKEN_NOT_FOUND, f"There is no API token {token_id}.")
    return found[0]


async def create_token(
    connection: AsyncConnection,
    actor: Actor,
    *,
    owner: Owner,
    name: str,
    digest: bytes,
    wanted: Sequence[Grant],
    expires_at: datetime,
) -> TokenRecord:
    """Store a new token with its roles.

    Raises:
        Problem: ``TOO_MANY_API_TOKENS`` or ``DEPOT_NOT_FOUND``.

    """
    # Two at once must not both be the last that fits.
    await connection.execute(text("LOCK TABLE api_tokens IN SHARE ROW EXCLUSIVE MODE"))
    count = (await connection.execute(select(func.count()).select_from(api_tokens).where(_of(owner)))).scalar_one()
    if count >= MOST_TOKENS:
        raise Problem(ProblemCode.TOO_MANY_API_TOKENS, f"You have {count} API tokens. Revoke one that is not used.")
    for depot_id in sorted({grant.depot_id for grant in wanted if grant.depot_id is not None}):
        await check_depot(connection, depot_id)
    row = insert(api_tokens).values(
        name=name, owner_id=owner.person_id, owner=actor.name, digest=digest, expires_at=expires_at
    )
    token_id = (await connection.execute(row.returning(_C.id))).scalar_one()
    given = {
        "kind": GranteeKind.PROGRAM, "subject": token_subject(token_id), "name": name, "created_by": actor.name,
    }  # fmt: skip
    await connection.execute(
        insert(grants),
        [{**given, "role": grant.role, "depot_id": grant.depot_id} for grant in dict.fromkeys(wanted)],
    )
    made = await read_token(connection, token_id, owner=owner, everybodys=False)
    await _record(connection, actor, "API_TOKEN_CREATED", made)
    return made


async def delete_token(
    connection: AsyncConnection, actor: Actor, token_id: UUID, *, owner: Owner, everybodys: bool
) -> None:
    """Revoke a token, with all that was granted to it.

    Raises:
        Problem: ``API_TOKEN_NOT_FOUND``.

    """
    record = await read_token(connection, token_id, owner=owner, everybodys=everybodys)
    await connection.execute(delete(api_tokens).where(_C.id == token_id))
    await connection.execute(
        delete(grants).where(grants.c.kind == GranteeKind.PROGRAM, grants.c.subject == token_subject(token_id))
    )
    await _record(connection, actor, "API_TOKEN_REVOKED", record)


async def delete_tokens_of(connection: AsyncConnection, actor: Actor, person_id: UUID) -> int:
    """Revoke all tokens of a person, with all that was granted to them; answers how many."""
    found = await _read(connection, _tokens().where(_C.owner_id == person_id).order_by(_C.id))
    ids = [each.token_id for each in found]
    await connection.execute(delete(api_tokens).where(is_one_of(_C.id, ids)))
    subjects = is_one_of_texts(grants.c.subject, [token_subject(each) for each in ids])
    await connection.execute(delete(grants).where(grants.c.kind == GranteeKind.PROGRAM, subjects))
    for each in found:
        await _record(connection, actor, "API_TOKEN_REVOKED", each)
    return len(found)


async def _record(connection: AsyncConnection, actor: Actor, action: str, record: TokenRecord) -> None:
    detail = {
        "name": record.name,
        "owner": record.owner,
        "expires_at": record.expires_at.isoformat(),
        "grants": [
            {"role": each.role, "depot_id": None if each.depot_id is None else str(each.depot_id)}
            for each in record.grants
        ],
    }
    await record_change(connection, actor, action, subject_id=record.token_id, detail=detail)


@dataclass(frozen=True)
class TokenUse:
    """Whose token came."""

    token_id: UUID
    name: str
    owner: Identity | None
    """The person who made it, as the provider last described them; None: the local administrator."""
    is_use_stale: bool
    """Whether this use is to be noted."""


_FIND = (
    select(
        _C.id,
        _C.name,
        _C.owner_id,
        people.c.issuer,
        people.c.sub,
        people.c.name,
        people.c.email,
        people.c.email_verified,
        people.c.groups,
        or_(_C.used_at.is_(None), _C.used_at < func.now() - USE_NOTED_AFTER),
    )
    .select_from(api_tokens.outerjoin(people, people.c.id == _C.owner_id))
    .where(~_IS_EXPIRED)
)


async def find_token(connection: AsyncConnection, digest: bytes) -> TokenUse | None:
    """Find the token that has this digest; None: there is none, it was revoked or has expired."""
    row = (await connection.execute(_FIND.where(_C.digest == digest))).one_or_none()
    if row is None:
        return None
    token_id, name, owner_id, *person, is_use_stale = row
    if owner_id is None:
        return TokenUse(token_id, name, None, is_use_stale)
    *profile, groups = person
    return TokenUse(token_id, name, Identity(*profile, groups=tuple(groups)), is_use_stale)


async def note_use(connection: AsyncConnection, token_id: UUID) -> None:
    """Note that a token is used now."""
    await connection.execute(update(api_tokens).where(_C.id == token_id).values(used_at=func.now()))

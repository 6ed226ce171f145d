"""Sessions: who is signed in, since when and from where; ended by whom they are of, or by an administrator."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, Field

from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep, PrincipalDep, SettingsDep
from api.base.problems import problem_responses
from api.base.types import Cursor, Limit, cut_page, decode_id
from domain.access.principals import Principal, PrincipalKind
from domain.access.roles import Permission
from domain.base.problems import Problem, ProblemCode
from store.access.api_tokens import delete_tokens_of
from store.access.people import read_identity_of
from store.access.sessions import SessionRecord, end_sessions, list_sessions
from store.base.changes import record_change
from store.base.database import transaction

router = APIRouter(tags=["sessions"], route_class=StrictRoute)

SessionId = Annotated[UUID, Path(description="The session's id.")]
PersonId = Annotated[UUID, Path(description="The person's id.")]


class SessionDocument(BaseModel):
    """A session of somebody on the pages."""

    session_id: UUID = Field(description="The session's id, which is no secret.")
    person_id: UUID = Field(description="Whose it is.")
    name: str = Field(description="As the provider calls the person.")
    email: str | None = Field(description="As the provider told it; null: it told none.")
    opened_at: datetime = Field(description="When they signed in.")
    used_at: datetime = Field(description="When they last did something, to the minute.")
    client: str | None = Field(description="The network address that they signed in from; null: not recorded.")

    @staticmethod
    def of(record: SessionRecord) -> SessionDocument:
        """The session as the store has it."""
        return SessionDocument.model_validate(record, from_attributes=True)


class SessionPage(BaseModel):
    """Sessions by id, which is the order in which they began."""

    items: list[SessionDocument]
    next_cursor: str | None


class ShutOut(BaseModel):
    """What shutting a person out came to."""

    sessions: int = Field(description="Sessions that were ended.")
    api_tokens: int = Field(description="API tokens that were revoked.")


def own_or_all(principal: Principal) -> str | None:
    """Whose sessions somebody sees and ends: their own, by their subject; None: everybody's. A program has none."""
    if principal.may(Permission.ADMINISTER, None):
        return None
    return principal.subject if principal.kind is PrincipalKind.PERSON else ""


@router.get("/api/sessions", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep, settings: SettingsDep, principal: PrincipalDep, cursor: Cursor = None, limit: Limit = 100
) -> SessionPage:
    """List one's own sessions; administrators of all depots: everybody's."""
    idle = timedelta(minutes=settings.session_idle_minutes)
    async with engine.connect() as connection:
        found = await list_sessions(
            connection, own_or_all(principal), idle=idle, after=decode_id(cursor), limit=limit + 1
        )
    items, more = cut_page(found, limit, lambda record: record.session_id)
    return SessionPage(items=[SessionDocument.of(record) for record in items], next_cursor=more)


@router.delete(
    "/api/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(ProblemCode.SESSION_NOT_FOUND),
)
async def remove(session_id: SessionId, engine: EngineDep, actor: ActorDep, principal: PrincipalDep) -> None:
    """End a session of one's own; administrators of all depots: anybody's. Its event streams end, too."""
    async with transaction(engine, actor) as connection:
        if not await end_sessions(connection, actor, own_or_all(principal), session_id=session_id):
            raise Problem(ProblemCode.SESSION_NOT_FOUND, f"There is no session {session_id}.")


@router.delete("/api/people/{person_id}/sessions", status_code=status.HTTP_204_NO_CONTENT)
async def remove_all(person_id: PersonId, engine: EngineDep, actor: ActorDep) -> None:
    """End all sessions of a person. Somebody who still may can sign in again."""
    async with transaction(engine, actor) as connection:
        await end_sessions(connection, actor, None, person_id=person_id)


@router.post("/api/people/{person_id}/shut-out", responses=problem_responses(ProblemCode.PERSON_NOT_FOUND))
async def shut_out(person_id: PersonId, engine: EngineDep, actor: ActorDep) -> ShutOut:
    """End all sessions of a person and revoke all their API tokens: they left, or somebody has what is theirs.

    Lock their account at the provider first, or they sign in again. An access token of the provider is valid until it
    expires.
    """
    async with transaction(engine, actor) as connection:
        identity = await read_identity_of(connection, person_id)
        if identity is None:
            raise Problem(ProblemCode.PERSON_NOT_FOUND, f"There is no person {person_id}.")
        ended = await end_sessions(connection, actor, None, person_id=person_id)
        revoked = await delete_tokens_of(connection, actor, person_id)
        detail = {"person": identity.actor.name, "sessions": ended, "api_tokens": revoked}
        await record_change(connection, actor, "PERSON_SHUT_OUT", subject_id=person_id, detail=detail)
    return ShutOut(sessions=ended, api_tokens=revoked)

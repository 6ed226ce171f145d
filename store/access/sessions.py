"""Sessions of people, and sign-ins that are under way at the provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, any_, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.people import Identity
from domain.access.sessions import SIGN_IN_TIME, USE_NOTED_AFTER
from domain.base.actor import Actor
from store.access.tables import people, sessions, sign_ins
from store.base.changes import record_change

_FORGOTTEN = 100
"""Sign-ins whose time is over that each new one forgets: more than come, and no more than a moment's work."""


@dataclass(frozen=True)
class SignIn:
    """What is kept of somebody who was sent to the provider, until they come back."""

    nonce: str
    verifier: str
    """Of PKCE: only whoever began this sign-in can turn its code into tokens."""
    return_to: str
    """Where to go on: an address of the product."""


@dataclass(frozen=True)
class Session:
    """A session that holds."""

    session_id: UUID
    person_id: UUID
    identity: Identity
    csrf_token: str
    """What forms of the session's pages send along."""
    used_at: datetime
    is_use_stale: bool
    """Whether its last use is to be noted again."""


async def begin_sign_in(connection: AsyncConnection, state: bytes, browser: bytes, sign_in: SignIn) -> None:
    """Keep a sign-in under the digests of its ``state`` and of the browser's secret; forget some that nobody ended."""
    old = (
        select(sign_ins.c.state_digest)
        .where(sign_ins.c.begun_at < func.now() - SIGN_IN_TIME)
        .order_by(sign_ins.c.begun_at)
        .limit(_FORGOTTEN)
        # Those that another one forgets at this moment, or somebody comes back with.
        .with_for_update(skip_locked=True)
    )
    await connection.execute(delete(sign_ins).where(sign_ins.c.state_digest == any_(old.scalar_subquery())))
    values = {"nonce": sign_in.nonce, "verifier": sign_in.verifier, "return_to": sign_in.return_to}
    await connection.execute(insert(sign_ins).values(state_digest=state, browser_digest=browser, **values))


async def forget_sign_ins(connection: AsyncConnection) -> int:
    """Forget all sign-ins whose time is over; answers how many."""
    ended = delete(sign_ins).where(sign_ins.c.begun_at < func.now() - SIGN_IN_TIME)
    return (await connection.execute(ended)).rowcount


async def take_sign_in(connection: AsyncConnection, state: bytes, browser: bytes) -> SignIn | None:
    """Take the sign-in that began in this browser with this ``state``: it can be taken once. None: there is none."""
    statement = (
        delete(sign_ins)
        .where(
            sign_ins.c.state_digest == state,
            sign_ins.c.browser_digest == browser,
            sign_ins.c.begun_at >= func.now() - SIGN_IN_TIME,
        )
        .returning(sign_ins.c.nonce, sign_ins.c.verifier, sign_ins.c.return_to)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else SignIn(row.nonce, row.verifier, row.return_to)


async def open_session(
    connection: AsyncConnection,
    digest: bytes,
    person_id: UUID,
    *,
    csrf_token: str,
    provider_sid: str | None,
    id_token: str,
    lasts: timedelta,
    idle: timedelta,
) -> UUID:
    """Open a session under the digest of its secret; and forget those that ran out."""
    ran_out = or_(sessions.c.expires_at < func.now(), sessions.c.used_at < func.now() - idle)
    await connection.execute(delete(sessions).where(ran_out))
    values = {"csrf_token": csrf_token, "provider_sid": provider_sid, "id_token": id_token}
    statement = insert(sessions).values(
        digest=digest, person_id=person_id, expires_at=func.now() + lasts, **values
    )  # fmt: skip
    return (await connection.execute(statement.returning(sessions.c.id))).scalar_one()


async def find_session(connection: AsyncConnection, digest: bytes, *, idle: timedelta) -> Session | None:
    """Find the session whose secret has this digest; None: there is none, or it ran out or was ended."""
    query = (
        select(
            sessions.c.id,
            sessions.c.person_id,
            sessions.c.csrf_token,
            sessions.c.used_at,
            (sessions.c.used_at < func.now() - USE_NOTED_AFTER).label("is_use_stale"),
            people.c.issuer,
            people.c.sub,
            people.c.name,
            people.c.email,
            people.c.email_verified,
            people.c.groups,
        )
        .join(people, people.c.id == sessions.c.person_id)
        .where(
            sessions.c.digest == digest,
            sessions.c.expires_at > func.now(),
            sessions.c.used_at > func.now() - idle,
        )
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Session(row.id, row.person_id, _identity(row), row.csrf_token, row.used_at, row.is_use_stale)


def _identity(row: Row[*tuple[Any, ...]]) -> Identity:
    return Identity(row.issuer, row.sub, row.name, row.email, row.email_verified, tuple(row.groups))


async def note_use(connection: AsyncConnection, session_id: UUID) -> None:
    """Note that somebody does something in a session now."""
    await connection.execute(update(sessions).where(sessions.c.id == session_id).values(used_at=func.now()))


async def end_session(connection: AsyncConnection, digest: bytes) -> str | None:
    """End a session; answers its ID token, by which the provider knows whom to sign out. None: there was none."""
    statement = delete(sessions).where(sessions.c.digest == digest).returning(sessions.c.id_token)
    return (await connection.execute(statement)).scalar_one_or_none()


_END_AT_PROVIDER = text("""
    DELETE FROM sessions AS s USING people AS p
    WHERE p.id = s.person_id AND p.issuer = :issuer AND s.opened_at <= :before
      AND (CAST(:sub AS text) IS NULL OR p.sub = :sub)
      AND (CAST(:sid AS text) IS NULL OR s.provider_sid = :sid)
      AND (CAST(:sub AS text) IS NOT NULL OR CAST(:sid AS text) IS NOT NULL)
    RETURNING p.id, p.issuer, p.sub, p.name, p.email, p.email_verified, p.groups
""")


async def end_sessions_of(
    connection: AsyncConnection, issuer: str, *, sub: str | None, sid: str | None, before: datetime
) -> list[tuple[UUID, Identity]]:
    """End the sessions that began before a moment with a sign-in of ``sub``, or with the provider's session ``sid``, or
    with both; answers whose each was, by the person's id and who they are.
    """
    given = {"issuer": issuer, "sub": sub, "sid": sid, "before": before}
    found = await connection.execute(_END_AT_PROVIDER, given)
    return [(row.id, _identity(row)) for row in found]


@dataclass(frozen=True)
class SessionRecord:
    """A session that holds, for people to see."""

    session_id: UUID
    person_id: UUID
    name: str
    email: str | None
    opened_at: datetime
    used_at: datetime
    client: str | None
    """The network address that it was opened from; None: not recorded."""


async def list_sessions(
    connection: AsyncConnection, subject: str | None, *, idle: timedelta, after: UUID | None, limit: int
) -> list[SessionRecord]:
    """List the sessions of a person, or of everybody (None), by id, beginning after ``after``."""
    c, p = sessions.c, people.c
    query = (
        select(c.id, c.person_id, p.name, p.email, c.opened_at, c.used_at, c.client)
        .join(people, p.id == c.person_id)
        .where(c.expires_at > func.now(), c.used_at > func.now() - idle)
        .order_by(c.id)
        .limit(limit)
    )
    if subject is not None:
        query = query.where(p.issuer + "#" + p.sub == subject)
    if after is not None:
        query = query.where(c.id > after)
    return [SessionRecord(*row) for row in await connection.execute(query)]


_END = text("""
    DELETE FROM sessions AS s USING people AS p
    WHERE p.id = s.person_id
      AND (CAST(:subject AS text) IS NULL OR p.issuer || '#' || p.sub = :subject)
      AND (s.id = :session_id OR s.person_id = :person_id)
    RETURNING p.id, p.issuer, p.sub, p.name, p.email, p.email_verified, p.groups
""")


async def end_sessions(
    connection: AsyncConnection,
    actor: Actor,
    subject: str | None,
    *,
    session_id: UUID | None = None,
    person_id: UUID | None = None,
) -> int:
    """End one session, or all of a person; with a ``subject`` only theirs. Answers how many there were."""
    given = {"subject": subject, "session_id": session_id, "person_id": person_id}
    ended = [(row.id, _identity(row).actor) for row in await connection.execute(_END, given)]
    for of in dict.fromkeys(ended):
        detail = {"person": of[1].name, "sessions": ended.count(of)}
        await record_change(connection, actor, "SESSION_ENDED", subject_id=of[0], detail=detail)
    return len(ended)

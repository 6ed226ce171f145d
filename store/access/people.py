"""People who signed in, as the provider told of them when they last did."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.people import Identity
from store.access.tables import people


async def keep_person(connection: AsyncConnection, identity: Identity) -> UUID:
    """Store who signed in, with what the provider says now; answers the person's id here."""
    told = {
        "name": identity.name,
        "email": identity.email,
        "email_verified": identity.email_verified,
        "groups": list(identity.groups),
    }
    statement = insert(people).values(issuer=identity.issuer, sub=identity.sub, **told)
    again = {**told, "signed_in_at": func.now()}
    statement = statement.on_conflict_do_update(constraint="people_subject", set_=again).returning(people.c.id)
    return (await connection.execute(statement)).scalar_one()


async def find_person(connection: AsyncConnection, subject: str) -> UUID | None:
    """Find a person by what grants call them (`Identity.subject`); None: they never signed in here."""
    query = select(people.c.id).where(func.concat(people.c.issuer, "#", people.c.sub) == subject)
    return (await connection.execute(query)).scalar_one_or_none()

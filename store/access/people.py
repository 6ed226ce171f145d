"""People who signed in, with what the provider said of them when they last did."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Text, and_, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.people import Identity
from store.access.tables import people

_SUBJECT = people.c.issuer.concat(literal_column("'#'", Text)).concat(people.c.sub)
"""What grants call a person, as the index `people_called` has it."""


async def keep_person(connection: AsyncConnection, identity: Identity) -> UUID:
    """Store who signed in, with what the provider says now; answers the person's id here."""
    profile = {
        "name": identity.name,
        "email": identity.email,
        "email_verified": identity.email_verified,
        "groups": list(identity.groups),
    }
    statement = insert(people).values(issuer=identity.issuer, sub=identity.sub, **profile)
    again = {**profile, "signed_in_at": func.now()}
    statement = statement.on_conflict_do_update(constraint="people_subject", set_=again).returning(people.c.id)
    return (await connection.execute(statement)).scalar_one()


async def find_person(connection: AsyncConnection, subject: str) -> UUID | None:
    """Find a person by what grants call them (`Identity.subject`); None: they never signed in here."""
    query = select(people.c.id).where(subject == _SUBJECT)
    return (await connection.execute(query)).scalar_one_or_none()


async def read_identity_of(connection: AsyncConnection, person_id: UUID) -> Identity | None:
    """Who a person is, as the provider last said; None: there is no such person."""
    c = people.c
    query = select(c.issuer, c.sub, c.name, c.email, c.email_verified, c.groups).where(c.id == person_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Identity(*row[:-1], groups=tuple(row[-1]))


@dataclass(frozen=True)
class KnownPerson:
    """Somebody who signed in once."""

    person_id: UUID
    subject: str
    """What grants refer to."""
    name: str
    email: str | None
    """None where it was not verified: anybody may claim another's."""

    @property
    def known_as(self) -> str:
        """What nobody else is called, for people to read where there is an address."""
        return self.email or self.subject


async def find_people(
    connection: AsyncConnection, sought: str, limit: int, *, exactly: bool = False
) -> list[KnownPerson]:
    """Find people whose name or verified address holds a text; ``exactly``: whose address, ``sub`` or subject it is."""
    c = people.c
    address, wanted = and_(c.email_verified, func.lower(c.email) == sought.lower()), sought.lower()
    if exactly:
        found = or_(address, c.sub == sought, sought == _SUBJECT)
    else:
        in_address = and_(c.email_verified, func.lower(c.email).contains(wanted, autoescape=True))
        found = or_(func.lower(c.name).contains(wanted, autoescape=True), in_address)
    query = select(c.id, _SUBJECT, c.name, c.email, c.email_verified).where(found).order_by(c.name, c.id).limit(limit)
    return [
        KnownPerson(person_id, of, name, email if verified else None)
        for person_id, of, name, email, verified in await connection.execute(query)
    ]

"""Grants as they are stored."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.access.principals import Grant, PrincipalKind
from domain.access.roles import Role
from domain.base.actor import LOCAL_ADMINISTRATOR
from store.access.grants import CHANNEL, GROUP, read_grants
from store.access.tables import grants
from store.base.database import transaction
from store.site.depots import create_depot

ANN = "https://id.example#ann"


async def grant(connection: AsyncConnection, kind: str, subject: str, role: Role, depot_id: UUID | None = None) -> None:
    row = {"kind": kind, "subject": subject, "name": subject, "role": role, "depot_id": depot_id, "created_by": "test"}
    await connection.execute(insert(grants).values(row))


async def test_a_principal_has_its_own_grants_and_those_of_its_groups(engine: AsyncEngine) -> None:
    async with transaction(engine, LOCAL_ADMINISTRATOR) as connection:
        depot_id = await create_depot(connection, LOCAL_ADMINISTRATOR, "North", "UTC", [])
        await grant(connection, PrincipalKind.PERSON, ANN, Role.OPERATOR, depot_id)
        await grant(connection, GROUP, "planners", Role.VIEWER)
        await grant(connection, GROUP, "owners", Role.ADMINISTRATOR)
        # The same name, and something else that it is a name of.
        await grant(connection, PrincipalKind.PROGRAM, ANN, Role.AUDITOR)
        await grant(connection, GROUP, ANN, Role.QA)

        found = await read_grants(connection, PrincipalKind.PERSON, ANN, ["planners", "nobody"])
        nothing = await read_grants(connection, PrincipalKind.PERSON, "planners", [])

    assert set(found) == {Grant(Role.OPERATOR, depot_id), Grant(Role.VIEWER)}
    assert nothing == ()


async def test_what_is_granted_twice_is_there_once(engine: AsyncEngine) -> None:
    async with transaction(engine, LOCAL_ADMINISTRATOR) as connection:
        await grant(connection, PrincipalKind.PERSON, ANN, Role.VIEWER)
        await grant(connection, GROUP, "planners", Role.VIEWER)

        assert await read_grants(connection, PrincipalKind.PERSON, ANN, ["planners"]) == (Grant(Role.VIEWER),)


async def test_whoever_listens_hears_that_rights_have_changed(engine: AsyncEngine, database_url: str) -> None:
    heard = asyncio.Event()

    def hear(*_: object) -> None:
        heard.set()

    listener = await asyncpg.connect(database_url)
    try:
        await listener.add_listener(CHANNEL, hear)
        async with transaction(engine, LOCAL_ADMINISTRATOR) as connection:
            await grant(connection, PrincipalKind.PERSON, ANN, Role.VIEWER)
        async with asyncio.timeout(30):
            await heard.wait()
    finally:
        await listener.close()

"""Grants as they are stored."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import httpx
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.access.grants import GranteeKind
from domain.access.principals import Grant, PrincipalKind
from domain.access.roles import Role
from domain.base.actor import LOCAL_ADMINISTRATOR
from store.access.grants import CHANNEL, read_grants
from store.access.tables import grants
from store.base.database import transaction
from store.site.depots import create_depot
from tests.helpers.support import make_depot

ANN = "https://id.example#ann"


async def grant(connection: AsyncConnection, kind: str, subject: str, role: Role, depot_id: UUID | None = None) -> None:
    row = {"kind": kind, "subject": subject, "name": subject, "role": role, "depot_id": depot_id, "created_by": "test"}
    await connection.execute(insert(grants).values(row))


async def test_a_principal_has_its_own_grants_and_those_of_its_groups(engine: AsyncEngine) -> None:
    async with transaction(engine, LOCAL_ADMINISTRATOR) as connection:
        depot_id = await create_depot(connection, LOCAL_ADMINISTRATOR, {"name": "North", "timezone": "UTC"}, [])
        await grant(connection, PrincipalKind.PERSON, ANN, Role.OPERATOR, depot_id)
        await grant(connection, GranteeKind.GROUP, "planners", Role.VIEWER)
        await grant(connection, GranteeKind.GROUP, "owners", Role.ADMINISTRATOR)
        # The same name, and something else that it is a name of.
        await grant(connection, PrincipalKind.PROGRAM, ANN, Role.AUDITOR)
        await grant(connection, GranteeKind.GROUP, ANN, Role.QA)

        found = await read_grants(connection, PrincipalKind.PERSON, ANN, ["planners", "nobody"])
        nothing = await read_grants(connection, PrincipalKind.PERSON, "planners", [])

    assert set(found) == {Grant(Role.OPERATOR, depot_id), Grant(Role.VIEWER)}
    assert nothing == ()


async def test_what_is_granted_twice_is_there_once(engine: AsyncEngine) -> None:
    async with transaction(engine, LOCAL_ADMINISTRATOR) as connection:
        await grant(connection, PrincipalKind.PERSON, ANN, Role.VIEWER)
        await grant(connection, GranteeKind.GROUP, "planners", Role.VIEWER)

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


GROUP = {"kind": "group", "subject": "owners", "name": "Owners", "role": "administrator"}


async def test_a_grant_is_made_seen_and_taken_away(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    depot_id = str(await make_depot(engine, "Feed"))
    given = {"kind": "person", "subject": ANN, "name": "Ann", "role": "operator", "depot_id": depot_id}

    made = await api.post("/api/grants", json=given)
    again = await api.post("/api/grants", json=given)
    listed = (await api.get("/api/grants", params={"subject": ANN})).json()["items"]
    taken = await api.delete(f"/api/grants/{made.json()['grant_id']}")

    assert (made.status_code, again.status_code, taken.status_code) == (201, 409, 204)
    assert again.json()["code"] == "GRANT_EXISTS"
    assert listed == [made.json()]
    assert {name: made.json()[name] for name in given} == given
    assert made.json()["depot_name"] == "Arrow Road"
    assert (await api.get("/api/grants")).json()["items"] == []


async def test_the_effect_says_what_is_new_and_what_is_lost(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    depot_id = str(await make_depot(engine, "Feed"))
    viewer = {"kind": "person", "subject": ANN, "name": "Ann", "role": "viewer"}
    await api.post("/api/grants", json=viewer)
    operator = viewer | {"role": "operator", "depot_id": depot_id}

    gives = (await api.post("/api/grants/effect", json=operator)).json()["effects"]
    made = (await api.post("/api/grants", json=operator)).json()
    takes = (await api.get(f"/api/grants/{made['grant_id']}/deletion")).json()["effects"]

    nowhere, there = {"everywhere": False, "depot_ids": []}, {"everywhere": False, "depot_ids": [depot_id]}
    # She sees all depots already.
    assert gives == [{"permission": "operate", "before": nowhere, "after": there}]
    assert takes == [{"permission": "operate", "before": there, "after": nowhere}]


async def test_a_grant_names_a_depot_that_exists(api: httpx.AsyncClient) -> None:
    given = GROUP | {"depot_id": str(uuid4())}

    assert (await api.post("/api/grants", json=given)).json()["code"] == "DEPOT_NOT_FOUND"
    assert (await api.post("/api/grants/effect", json=given)).json()["code"] == "DEPOT_NOT_FOUND"


async def test_the_last_administrator_stays(api: httpx.AsyncClient) -> None:
    owners = (await api.post("/api/grants", json=GROUP)).json()
    # Neither a program's nor one of a single depot lets people keep granting.
    await api.post("/api/grants", json=GROUP | {"kind": "program", "subject": "script"})

    refused = await api.delete(f"/api/grants/{owners['grant_id']}")
    ann = (await api.post("/api/grants", json=GROUP | {"kind": "person", "subject": ANN})).json()
    allowed = await api.delete(f"/api/grants/{owners['grant_id']}")

    assert (refused.status_code, refused.json()["code"]) == (409, "LAST_ADMINISTRATOR")
    assert allowed.status_code == 204
    assert (await api.delete(f"/api/grants/{ann['grant_id']}")).json()["code"] == "LAST_ADMINISTRATOR"


async def test_two_administrators_cannot_take_each_other_away_at_once(api: httpx.AsyncClient) -> None:
    made = [(await api.post("/api/grants", json=GROUP | {"subject": subject})).json() for subject in ("a", "b")]

    answers = await asyncio.gather(*(api.delete(f"/api/grants/{each['grant_id']}") for each in made))

    assert sorted(answer.status_code for answer in answers) == [204, 409]

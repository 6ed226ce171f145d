"""Who is signed in: seen and ended, and on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.commands.openid import grant_demo_roles
from tests.access.tokens.made import bearing, wanted
from tests.helpers.openid import Surfer, signing_in

JSON = {"accept": "application/json"}


async def listed(somebody: Surfer, url: str) -> list[dict[str, Any]]:
    answer = await somebody.send("GET", f"{url}/api/sessions", headers=JSON)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_somebody_who_left_is_shut_out_in_one_act(engine: AsyncEngine, database_url: str, tmp_path: Path) -> None:
    async with (
        signing_in(database_url, tmp_path) as (url, _),
        Surfer() as admin,
        Surfer() as viewer,
        Surfer() as phone,
        httpx.AsyncClient(base_url=url) as script,
    ):
        for somebody, login in ((admin, "administrator"), (viewer, "viewer"), (phone, "viewer")):
            await somebody.sign_in(f"{url}/", login)
        await grant_demo_roles(database_url)
        tokens = []
        for somebody, role in ((viewer, "viewer"), (viewer, "viewer"), (admin, "viewer")):
            made = await somebody.change("POST", f"{url}/api/tokens", json=wanted((role, None)))
            assert made.status_code == 201, made.text
            tokens.append(made.json())
        person_id = tokens[0]["owner_id"]
        path = f"{url}/api/people/{person_id}/shut-out"
        refused = await viewer.change("POST", path, headers=JSON)
        assert (refused.status_code, refused.json()["code"]) == (403, "NOT_PERMITTED")
        unknown = await admin.change("POST", f"{url}/api/people/{UUID(int=1)}/shut-out", headers=JSON)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "PERSON_NOT_FOUND")
        mine = bearing(tokens[0]["secret"])
        async with script.stream("GET", "/live?topic=remediations", headers=mine, timeout=60) as stream:
            assert stream.status_code == 200
            done = await admin.change("POST", path, headers=JSON)
            assert (done.status_code, done.json()) == (200, {"sessions": 2, "api_tokens": 2})
            # What is followed ends, too.
            async for _part in stream.aiter_raw():
                pass
        for somebody in (viewer, phone):
            assert (await somebody.send("GET", f"{url}/api/sessions", headers=JSON)).status_code == 401
        answers = [await script.get("/api/depots", headers=bearing(each["secret"])) for each in tokens]
        assert [each.status_code for each in answers] == [401, 401, 200]
        again = await admin.change("POST", path, headers=JSON)
        assert again.json() == {"sessions": 0, "api_tokens": 0}
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT action, subject_id, detail FROM changes ORDER BY id"))
        found = [(action, str(subject_id), detail) for action, subject_id, detail in rows]
    revoked = {subject for action, subject, _ in found if action == "API_TOKEN_REVOKED"}
    assert revoked == {each["token_id"] for each in tokens[:2]}
    (first, second) = [each for each in found if each[0] == "PERSON_SHUT_OUT"]
    assert (first[1], first[2]["sessions"], first[2]["api_tokens"]) == (person_id, 2, 2)
    assert "viewer@depot.example" in first[2]["person"]
    assert second[2]["api_tokens"] == 0
    async with engine.connect() as connection:
        left = await connection.execute(text("SELECT count(*) FROM grants WHERE kind = 'program'"))
        assert left.scalar_one() == 1


async def test_everybody_ends_their_own_sessions_and_administrators_all(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    async with (
        signing_in(database_url, tmp_path) as (url, _),
        Surfer() as admin,
        Surfer() as viewer,
        Surfer() as phone,
    ):
        for somebody, login in ((admin, "administrator"), (viewer, "viewer"), (phone, "viewer")):
            await somebody.sign_in(f"{url}/", login)
        (one, other), everybodys = await listed(viewer, url), await listed(admin, url)
        assert {each["email"] for each in (one, other)} == {"viewer@depot.example"}
        assert {each["client"] for each in everybodys} == {"127.0.0.1"}
        assert len(everybodys) == 3
        admins = next(each for each in everybodys if each["email"] != one["email"])

        foreign = await viewer.change("DELETE", f"{url}/api/sessions/{admins['session_id']}", headers=JSON)
        assert (foreign.status_code, foreign.json()["code"]) == (404, "SESSION_NOT_FOUND")
        everything = await viewer.change("DELETE", f"{url}/api/people/{admins['person_id']}/sessions", headers=JSON)
        assert everything.json()["code"] == "NOT_PERMITTED"
        assert (await viewer.change("DELETE", f"{url}/api/sessions/{other['session_id']}")).status_code == 204
        assert (await phone.send("GET", f"{url}/api/sessions", headers=JSON)).status_code == 401
        assert [each["session_id"] for each in await listed(viewer, url)] == [one["session_id"]]

        ended = await admin.change("DELETE", f"{url}/api/people/{one['person_id']}/sessions")
        assert ended.status_code == 204
        assert (await viewer.send("GET", f"{url}/api/sessions", headers=JSON)).status_code == 401
        assert len(await listed(admin, url)) == 1
        async with engine.connect() as connection:
            query = text("SELECT actor, detail FROM changes WHERE action = 'SESSION_ENDED' ORDER BY id")
            acts = [(actor.partition(" <")[2], detail["sessions"]) for actor, detail in await connection.execute(query)]
        assert acts == [("viewer@depot.example>", 1), ("administrator@depot.example>", 1)]

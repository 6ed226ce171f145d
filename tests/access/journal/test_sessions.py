"""Who is signed in: seen and ended, and on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.helpers.openid import Surfer, signing_in

JSON = {"accept": "application/json"}


async def listed(somebody: Surfer, url: str) -> list[dict[str, Any]]:
    answer = await somebody.send("GET", f"{url}/api/sessions", headers=JSON)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


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

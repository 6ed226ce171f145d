"""Saved views: their person's alone, bounded, replaced only on purpose, and opened whatever has become of a filter."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.people import Identity
from domain.access.principals import Grant, Principal, PrincipalKind
from domain.access.roles import Role
from domain.access.saved_views import MOST_VIEWS
from store.access.people import keep_person
from store.site.tables import saved_views
from tests.access.sites import WHO, asked_as, told

STALE = {"search": "north yard", "freshness": "STALE", "sort": "STATUS", "descending": True}


async def save(api: httpx.AsyncClient, name: str, filters: dict[str, Any], **more: Any) -> httpx.Response:
    return await api.post("/api/views", json={"name": name, "filters": filters, **more})


async def journal(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT action, actor FROM changes ORDER BY id"))
        return [(row.action, row.actor) for row in rows]


async def test_a_view_is_saved_read_changed_and_deleted(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    answer = await save(api, "  Stale in the north ", STALE)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["version"], made["lost"]) == ("Stale in the north", 1, [])
    assert {name: made["filters"][name] for name in STALE} == STALE
    assert (await api.get(answer.headers["location"])).json() == made
    for name in ("View 10", "view 2"):
        assert (await save(api, name, {})).status_code == 201
    listed = (await api.get("/api/views")).json()["items"]
    assert [each["name"] for each in listed] == ["Stale in the north", "view 2", "View 10"]
    path = f"/api/views/{made['view_id']}"
    changed = await api.patch(path, json={"name": "Stale", "filters": {"tag": "north"}}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["filters"]["tag"], changed.json()["filters"]["search"]) == ("north", None)
    # What stays as it is makes no version.
    assert (await api.patch(path, json={"name": "Stale"})).json()["version"] == 2
    stale = await api.patch(path, json={"name": "Other"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "VERSION_CONFLICT")
    assert stale.json()["context"]["current"]["name"] == "Stale"
    assert (await api.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await api.delete(path)).status_code == 204
    for gone in (api.get(path), api.patch(path, json={"name": "x"}), api.delete(path)):
        assert told(await gone) == (404, "VIEW_NOT_FOUND")
    actions = [f"SAVED_VIEW_{each}" for each in ("CREATED", "CREATED", "CREATED", "CHANGED", "DELETED")]
    assert await journal(engine) == [(each, "local-administrator") for each in actions]


async def test_a_name_is_taken_until_it_is_replaced_on_purpose(api: httpx.AsyncClient) -> None:
    first = (await save(api, "Mine", {"tag": "a"})).json()
    taken = await save(api, "MINE", {"tag": "b"})
    assert told(taken) == (409, "VIEW_NAME_TAKEN")
    current = taken.json()["context"]["current"]
    assert (current["view_id"], current["version"], current["filters"]) == (first["view_id"], 1, {"tag": "a"})
    replaced = (await save(api, "MINE", {"tag": "b"}, replaces=1)).json()
    assert (replaced["view_id"], replaced["name"], replaced["version"]) == (first["view_id"], "MINE", 2)
    # Another tab has seen the first one.
    assert told(await save(api, "Mine", {"tag": "c"}, replaces=1)) == (409, "VIEW_NAME_TAKEN")
    other = (await save(api, "Other", {})).json()
    renamed = await api.patch(f"/api/views/{other['view_id']}", json={"name": "mine"})
    assert told(renamed) == (409, "VIEW_NAME_TAKEN")
    # Its own name in another case is its own.
    assert (await api.patch(f"/api/views/{other['view_id']}", json={"name": "OTHER"})).json()["name"] == "OTHER"
    # There is nothing to replace any more: it is saved all the same.
    assert (await save(api, "Gone", {}, replaces=7)).status_code == 201


async def test_two_tabs_save_the_last_view_and_one_name_once(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(save(api, "Same", {"tag": str(place)}) for place in range(4)))
    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409]
    for place in range(MOST_VIEWS - 2):
        assert (await save(api, f"View {place}", {})).status_code == 201
    answers = await asyncio.gather(*(save(api, f"Last {place}", {}) for place in range(4)))
    assert {told(each)[1] for each in answers if each.status_code == 409} == {"TOO_MANY_VIEWS"}
    assert len((await api.get("/api/views")).json()["items"]) == MOST_VIEWS
    # Replacing needs no room.
    assert (await save(api, "same", {}, replaces=1)).status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "\u200b"}, "INVALID_NAME"),
        ({"name": "x" * 201}, "INVALID_NAME"),
        ({"name": "a\x00b"}, "INVALID_NAME"),
        ({"name": 5}, "INVALID_REQUEST"),
        ({"filters": {"alarm": "NO_SUCH"}}, "INVALID_REQUEST"),
        ({"filters": {"search": "x" * 201}}, "INVALID_REQUEST"),
        ({"filters": {"search": "a\x1bb"}}, "INVALID_REQUEST"),
        ({"filters": {"script": "<b>"}}, "INVALID_REQUEST"),
        ({"filters": None}, "INVALID_REQUEST"),
        ({"filters": []}, "INVALID_REQUEST"),
        ({"replaces": "x"}, "INVALID_REQUEST"),
        ({"owner_id": str(uuid4())}, "INVALID_REQUEST"),
    ],
)
async def test_what_is_no_view_is_refused(api: httpx.AsyncClient, body: dict[str, Any], code: str) -> None:
    answer = await api.post("/api/views", json={"name": "Mine", "filters": {}} | body)
    assert told(answer) == (422, code)
    assert (await api.get("/api/views")).json()["items"] == []


async def test_a_filter_that_is_gone_is_left_out_and_told(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    made = (await save(api, "Old", STALE)).json()
    old = {"search": "north", "alarm": "NO_LONGER", "colour": "red", "sort": "GONE", "retired": 7}
    async with engine.begin() as connection:
        await connection.execute(update(saved_views).values(filters=old))
    read = (await api.get(f"/api/views/{made['view_id']}")).json()
    assert read["lost"] == ["alarm", "colour", "retired", "sort"]
    assert {name: value for name, value in read["filters"].items() if value} == {"search": "north"}
    page = await api.get("/depots", headers={"accept": "text/html"})
    assert 'href="/depots?search=north"' in page.text
    assert "alarm, colour, retired, sort" in (await api.get("/depots/views", headers={"accept": "text/html"})).text


async def test_somebody_elses_view_does_not_exist(engine: AsyncEngine, database_url: str) -> None:
    def known(sub: str) -> Identity:
        return Identity("https://id.example", sub, sub, f"{sub}@example.org", email_verified=True, groups=())

    def somebody(sub: str, kind: PrincipalKind = PrincipalKind.PERSON) -> Principal:
        return Principal(kind, known(sub).subject, known(sub).actor, (Grant(Role.VIEWER),))

    async with engine.begin() as connection:
        for sub in ("ann", "ben"):
            await keep_person(connection, known(sub))
    people = {"ann": somebody("ann"), "ben": somebody("ben"), "new": somebody("new")}
    people["program"] = somebody("program", PrincipalKind.PROGRAM)
    async with asked_as(database_url, people) as caller:

        async def ask(who: str, method: str, path: str = "", **body: Any) -> httpx.Response:
            return await caller.request(method, f"/api/views{path}", headers={WHO: who}, json=body or None)

        made = (await ask("ann", "POST", name="Mine", filters={"tag": "a"})).json()
        path = f"/{made['view_id']}"
        for who in ("ben", "new", "program"):
            assert (await ask(who, "GET")).json()["items"] == []
            for method, body in (("GET", {}), ("PATCH", {"name": "x"}), ("DELETE", {})):
                assert told(await ask(who, method, path, **body)) == (404, "VIEW_NOT_FOUND"), (who, method)
        # Whoever has no name here yet, or is no person, has nothing to keep it under.
        for who in ("new", "program"):
            assert told(await ask(who, "POST", name="Mine", filters={})) == (403, "NOT_PERMITTED")
        # The same name is somebody else's too.
        assert (await ask("ben", "POST", name="Mine", filters={})).status_code == 201
        assert (await ask("ann", "GET", path)).json() == made

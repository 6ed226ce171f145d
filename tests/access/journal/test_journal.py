"""The journal through the API: filtered, paged, whole as NDJSON and CSV, and only of one's own depots."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.journal import spreadsheet_safe
from domain.access.principals import Grant
from domain.access.roles import Role
from store.migrate import alembic_config, upgrade
from tests.access.sites import WHO, asked_as, person
from tests.factories.equipped_depots import made
from tests.helpers.support import make_depot

ADD = text("""
    INSERT INTO changes (at, actor, action, depot_id, detail)
    SELECT now() - n * interval '1 second', 'ann', 'TESTED', :depot_id, jsonb_build_object('n', n)
    FROM generate_series(1, :many) AS n
""")


async def test_entries_are_filtered_and_paged(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id, other = await make_depot(engine, "Feed", name="North"), await make_depot(engine, "Feed", name="South")
    async with engine.begin() as connection:
        await connection.execute(ADD, {"depot_id": depot_id, "many": 7})
    await made(await api.post(f"/api/depots/{other}/circuits", json={"name": "New"}, headers={"x-request-id": "r-1"}))

    async def read(**query: object) -> dict[str, Any]:
        answer = await api.get("/api/journal", params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    (entry,) = (await read(kind="CIRCUIT_CREATED", depot_id=other))["items"]
    assert (entry["actor"], entry["request_id"], entry["client"], entry["depot_name"]) == (
        "local-administrator", "r-1", "127.0.0.1", "South",
    )  # fmt: skip
    seen, cursor = [], None
    while True:
        page = await read(person="ann", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [each["detail"]["n"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    newest = next(each for each in (await read(person="ann"))["items"] if each["detail"]["n"] == 2)["at"]
    assert [each["detail"]["n"] for each in (await read(person="ann", since=newest))["items"]] == [2, 1]
    assert len((await read(person="ann", until=newest))["items"]) == 5
    assert (await read(person="nobody"))["items"] == []
    refused = await api.get("/api/journal", params={"cursor": "x"})
    assert refused.json()["code"] == "INVALID_CURSOR"


async def test_all_of_it_comes_as_lines_and_as_a_table_and_that_is_recorded(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    depot_id = await make_depot(engine, "Feed", name='=HYPERLINK("http://evil")')
    async with engine.begin() as connection:
        await connection.execute(ADD, {"depot_id": depot_id, "many": 1_203})
    query = {"person": "ann", "depot_id": str(depot_id)}
    lines = await api.get("/api/journal", params={**query, "format": "ndjson"})
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["detail"]["n"] for line in lines.text.splitlines()] == list(range(1_203, 0, -1))
    table = await api.get("/api/journal", params={**query, "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert len(rows) == 1_203
    assert {row["depot_name"] for row in rows} == {'\'=HYPERLINK("http://evil")'}
    assert json.loads(rows[0]["detail"]) == {"n": 1_203}
    exports = (await api.get("/api/journal", params={"kind": "JOURNAL_EXPORTED"})).json()["items"]
    assert [each["detail"]["format"] for each in exports] == ["csv", "ndjson"]
    assert {each["detail"]["actor"] for each in exports} == {"ann"}


async def test_entries_of_a_time_are_from_its_beginning_and_before_its_end(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    add = text(
        "INSERT INTO changes (at, actor, action, detail) "
        "VALUES (:at, 'ann', 'TESTED', jsonb_build_object('n', CAST(:n AS integer)))"
    )
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    async with engine.begin() as connection:
        for n, minutes in enumerate((-1, 0, 1, 59, 60, 61)):
            at = noon + timedelta(minutes=minutes)
            await connection.execute(add, {"at": at, "n": n})

    async def read(**query: str) -> list[int]:
        found: list[int] = []
        for form in ("json", "ndjson", "csv"):
            answer = await api.get("/api/journal", params={"person": "ann", "format": form, **query})
            assert answer.status_code == 200, answer.text
            if form == "json":
                found = [each["detail"]["n"] for each in answer.json()["items"]]
            elif form == "ndjson":
                assert [json.loads(line)["detail"]["n"] for line in answer.text.splitlines()] == found
            else:
                rows = csv.DictReader(io.StringIO(answer.text, newline=""))
                assert [json.loads(row["detail"])["n"] for row in rows] == found
        return found

    one = noon + timedelta(hours=1)
    assert await read(since=noon.isoformat(), until=one.isoformat()) == [3, 2, 1]
    # The same moments, as a clock elsewhere tells them.
    abroad = timezone(timedelta(hours=-5))
    assert await read(since=noon.astimezone(abroad).isoformat(), until=one.astimezone(abroad).isoformat()) == [3, 2, 1]
    assert await read(since=one.isoformat()) == [5, 4]
    assert await read(until=noon.isoformat()) == [0]
    assert await read(since=one.isoformat(), until=noon.isoformat()) == []
    assert (await read(since="1970-01-01T00:00:00Z"))[-1] == 0
    exports = (await api.get("/api/journal", params={"kind": "JOURNAL_EXPORTED", "limit": 1})).json()["items"]
    assert exports[0]["detail"]["since"].startswith("1970-01-01")
    for wrong in ({"since": "yesterday"}, {"until": "2026-13-01T00:00:00Z"}, {"since": "2026-01-01T00:00:00"}):
        assert (await api.get("/api/journal", params=wrong)).status_code == 422, wrong


async def test_the_index_by_time_comes_to_a_journal_that_is_filled(
    engine: AsyncEngine, database_url: str, api: httpx.AsyncClient
) -> None:
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), "0018")
    async with engine.begin() as connection:
        await connection.execute(ADD, {"depot_id": None, "many": 3_000})
        # Of the month before this one as well, in a partition of its own.
        await connection.execute(
            text(
                "INSERT INTO changes (at, actor, action) SELECT date_trunc('month', now()) + n * interval '1 day', "
                "'old', 'TESTED' FROM generate_series(0, 45) AS n"
            )
        )
        before = (await connection.execute(text("SELECT count(*), max(id) FROM changes"))).one()
    await asyncio.to_thread(upgrade, database_url)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*), max(id) FROM changes"))).one() == before
        counts = text("""
            SELECT (SELECT count(*) FROM pg_inherits WHERE inhparent = 'changes'::regclass) AS months,
                   count(*) FILTER (WHERE x.indisvalid) AS valid, count(*) AS every
            FROM pg_inherits AS i JOIN pg_index AS x ON x.indexrelid = i.inhrelid
            WHERE i.inhparent = 'changes_at'::regclass
        """)
        months, valid, every = (await connection.execute(counts)).one()
        assert months == valid == every > 1
    query = {"person": "ann", "since": (datetime.now(UTC) - timedelta(seconds=90)).isoformat(), "limit": 500}
    assert 0 < len((await api.get("/api/journal", params=query)).json()["items"]) <= 90


@pytest.mark.parametrize("given", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1"])
def test_no_spreadsheet_computes_what_somebody_named_something(given: str) -> None:
    assert spreadsheet_safe(given) == f"'{given}"
    assert spreadsheet_safe(f"a{given}") == f"a{given}"


@pytest.mark.usefixtures("client")
async def test_one_reads_the_journal_of_ones_own_depots_alone(engine: AsyncEngine, database_url: str) -> None:
    own, foreign = await make_depot(engine, "Feed", name="Own"), await make_depot(engine, "Feed", name="Foreign")
    async with engine.begin() as connection:
        for depot_id in (own, foreign, None):
            await connection.execute(ADD, {"depot_id": depot_id, "many": 2})
    principals = {
        "auditor": person(Grant(Role.AUDITOR, own)),
        "everywhere": person(Grant(Role.AUDITOR)),
        "viewer": person(Grant(Role.VIEWER, own), Grant(Role.AUDITOR, foreign)),
        "nobody": person(Grant(Role.OPERATOR, own)),
    }
    expected = {
        "auditor": {str(own)},
        "everywhere": {str(own), str(foreign), None},
        "viewer": {str(foreign)},
        "nobody": set(),
    }
    async with asked_as(database_url, principals) as caller:
        for who, places in expected.items():
            for query in ({}, {"format": "ndjson"}):
                answer = await caller.get("/api/journal", params={"person": "ann", **query}, headers={WHO: who})
                assert answer.status_code == 200, answer.text
                items = [json.loads(line) for line in answer.text.splitlines()] if query else answer.json()["items"]
                assert {each["depot_id"] for each in items} == places
        hidden = {"person": "ann", "depot_id": str(foreign)}
        assert (await caller.get("/api/journal", params=hidden, headers={WHO: "auditor"})).json()["items"] == []
        # Nor is there an entry of theirs after they asked for all of it.
        told = await caller.get("/api/journal", params={**hidden, "format": "csv"}, headers={WHO: "auditor"})
        assert told.status_code == 200
        exports = {"kind": "JOURNAL_EXPORTED", "depot_id": str(foreign)}
        assert (await caller.get("/api/journal", params=exports, headers={WHO: "everywhere"})).json()["items"] == []

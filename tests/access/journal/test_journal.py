"""The journal through the API: filtered, paged, whole as NDJSON and CSV, and only of one's own depots."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.journal import spreadsheet_safe
from domain.access.principals import Grant
from domain.access.roles import Role
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

"""The journal by month: what was recorded before moves with its id, and each change knows where it came from."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.migrate import alembic_config, upgrade

_BEFORE = "0014"


async def test_what_was_recorded_before_moves_to_its_month(engine: AsyncEngine, database_url: str) -> None:
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), _BEFORE)
    connection = await asyncpg.connect(database_url)
    for at in ("2024-02-29T23:59:59.999999Z", "2024-03-01T00:00:00Z", "2025-12-31T12:00:00Z"):
        await connection.execute(
            "INSERT INTO changes (at, actor, action, detail) VALUES (CAST($1 AS text)::timestamptz, 'a', 'B', $2)",
            at,
            '{"c": 1}',
        )
    await connection.execute("INSERT INTO changes (actor, action) VALUES ('a', 'NOW')")
    columns = "id, at, actor, action, depot_id, subject_id, detail"
    before = await connection.fetch(f"SELECT {columns} FROM changes ORDER BY id")
    await connection.close()
    await asyncio.to_thread(upgrade, database_url)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetch(f"SELECT {columns} FROM changes ORDER BY id") == before
    places = await connection.fetch("SELECT tableoid::regclass::text AS place FROM changes ORDER BY id LIMIT 3")
    assert [row["place"] for row in places] == ["changes_2024_02", "changes_2024_03", "changes_2025_12"]
    after = await connection.fetchval("INSERT INTO changes (actor, action) VALUES ('a', 'LATER') RETURNING id")
    assert after == before[-1]["id"] + 1
    # Every month between has its place, and none of them can be changed.
    assert await connection.fetchval("SELECT to_regclass('changes_2024_10')") is not None
    for statement in ("UPDATE changes SET actor = 'b'", "DELETE FROM changes_2024_02"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await connection.execute(statement)
    await connection.close()


async def test_a_change_knows_its_request_and_the_callers_address(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    body = {"name": "North", "timezone": "Europe/Berlin", "circuits": [{"name": "Feed"}]}
    made = await api.post("/api/depots", json=body, headers={"x-request-id": "asked-1"})
    assert made.status_code == 201, made.text
    async with engine.begin() as connection:
        found = await connection.execute(
            text("SELECT DISTINCT request_id, client FROM changes WHERE depot_id IS NOT NULL")
        )
        assert [tuple(row) for row in found] == [("asked-1", "127.0.0.1")]
        # What no request made has neither.
        made_here = await connection.execute(
            text("INSERT INTO changes (actor, action) VALUES ('a', 'B') RETURNING request_id, client")
        )
        assert tuple(made_here.one()) == (None, None)

"""Event streams tell nothing of foreign depots, and end when a right is taken away."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.access.principals import Grant, Principal
from domain.access.roles import Role
from runtime.settings import Settings
from store.base.database import transaction
from tests.access.sites import WHO, by_header, depot_with_everything, person, told
from tests.helpers.live import TIMEOUT, http_client, serving
from tests.helpers.support import ACTOR

ANN = {WHO: "ann"}


async def rights_change(engine: AsyncEngine) -> None:
    async with transaction(engine, ACTOR) as connection:
        await connection.execute(
            text("""INSERT INTO grants (kind, subject, name, role, created_by)
                    VALUES ('group', gen_random_uuid()::text, 'Others', 'viewer', 'test')""")
        )


async def next_event(lines: asyncio.Queue[str | None]) -> str | None:
    """The name of the next event; None: the stream has ended."""
    while (line := await lines.get()) is not None and not line.startswith("event:"):
        pass
    return line and line.removeprefix("event:").strip()


async def read(caller: httpx.AsyncClient, path: str, lines: asyncio.Queue[str | None]) -> None:
    async with caller.stream("GET", path, headers=ANN) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            lines.put_nowait(line)
    lines.put_nowait(None)


@pytest.mark.parametrize("path", ["/live?topic=fleet&topic=depot:{depot_id}", "/api/microgrids/{microgrid_id}/events"])
async def test_a_stream_ends_when_its_right_is_taken_away(
    engine: AsyncEngine, database_url: str, client: Client, path: str
) -> None:
    ids = await depot_with_everything(engine, "Own Yard")
    principals: dict[str, Principal] = {"ann": person(Grant(Role.VIEWER, ids["depot_id"]))}
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    settings = Settings(database_url=SecretStr(database_url))

    async with (
        serving(settings, authenticate=by_header(principals)) as address,
        http_client(address) as caller,
        asyncio.timeout(TIMEOUT),
        asyncio.TaskGroup() as tasks,
    ):
        reading = tasks.create_task(read(caller, path.format_map(ids), lines))
        assert await next_event(lines) in ("hello", "capability-status")
        # What others were granted changes nothing for her.
        await rights_change(engine)
        assert not reading.done()

        principals["ann"] = person()
        await rights_change(engine)
        while await next_event(lines) is not None:
            pass
        again = await caller.get(path.format_map(ids), headers=ANN)
        assert told(again)[0] in (403, 404)


async def test_a_foreign_depot_is_not_to_be_watched(engine: AsyncEngine, database_url: str, client: Client) -> None:
    own, foreign = await depot_with_everything(engine, "Own Yard"), await depot_with_everything(engine, "Foreign")
    principals = {"ann": person(Grant(Role.VIEWER, own["depot_id"]))}
    settings = Settings(database_url=SecretStr(database_url))

    async with (
        serving(settings, authenticate=by_header(principals)) as address,
        http_client(address) as caller,
    ):
        for topic in (f"depot:{foreign['depot_id']}", f"packet:{foreign['depot_id']}", f"run:{foreign['run_id']}"):
            answer = await caller.get("/live", params={"topic": topic}, headers=ANN)
            assert answer.status_code == 404, topic
        for topic in ("backfills", f"backfill:{foreign['depot_id']}"):
            answer = await caller.get("/live", params={"topic": topic}, headers=ANN)
            assert told(answer) == (403, "NOT_PERMITTED")

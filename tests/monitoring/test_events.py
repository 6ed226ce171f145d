"""Server-sent events: whoever watches a microgrid sees what holds now, and every change as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from runtime.settings import Settings
from store.base.database import transaction
from store.provisioning.microgrids import reconcile_microgrid
from store.site.circuits import create_circuit
from tests.factories.packets import send
from tests.factories.sites import MadeDepot, controller_site, milliseconds, packet
from tests.helpers.live import http_client, serving
from tests.helpers.support import ACTOR


@pytest_asyncio.fixture
async def live(database_url: str, client: Client, task_queue: str) -> AsyncGenerator[httpx.AsyncClient]:
    """The API behind a real server."""
    assert client.namespace
    async with (
        serving(Settings(database_url=SecretStr(database_url), task_queue=task_queue)) as address,
        http_client(address) as caller,
    ):
        yield caller


class Stream:
    """Events as they come."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self, wanted: str) -> Any:
        """The data of the next event of this kind."""
        kind = ""
        async with asyncio.timeout(30):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == wanted:
                    return json.loads(value) if value.startswith("{") else value
        raise AssertionError(f"the stream ended before {wanted}")


@asynccontextmanager
async def watching(live: httpx.AsyncClient, site: MadeDepot) -> AsyncGenerator[Stream]:
    """Watch a microgrid's events."""
    async with live.stream("GET", f"/api/microgrids/{site.microgrid_id}/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer.aiter_lines())


def statuses(event: dict[str, Any]) -> dict[str, str | None]:
    """Capability to status."""
    return {item["capability"]: item["status"] for item in event["items"]}


async def test_a_stream_begins_with_what_holds_and_follows(live: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    other = await controller_site(engine)
    async with watching(live, site) as stream, watching(live, other) as elsewhere:
        assert statuses(await stream.next("capability-status")) == {"PEAK_SHAVING": None, "DER": None}
        assert statuses(await elsewhere.next("capability-status")) == {"PEAK_SHAVING": None, "DER": None}
        now = milliseconds()
        await send(live, packet(site, now, LIMIT_PEAK_SHAVING="true"))
        assert statuses(await stream.next("capability-status")) == {"PEAK_SHAVING": "ON", "DER": None}
        await send(live, packet(site, now + 1, LIMIT_PEAK_SHAVING="false", LIMIT_DER_EXPORT="true"))
        assert statuses(await stream.next("capability-status")) == {"PEAK_SHAVING": "OFF", "DER": "ON"}
        # The other site heard nothing of it: its next event is its own.
        await send(live, packet(other, now, LIMIT_DER_EXPORT="false"))
        assert statuses(await elsewhere.next("capability-status")) == {"PEAK_SHAVING": None, "DER": "OFF"}


async def test_a_change_of_the_structure_is_told(live: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    async with watching(live, site) as stream:
        assert await stream.next("changed") == "*"
        async with transaction(engine, ACTOR) as connection:
            await create_circuit(connection, ACTOR, site.depot_id, {"name": "Feed 9"})
            await reconcile_microgrid(connection, ACTOR, site.depot_id)
        assert "STRUCTURE" in (await stream.next("changed")).split()


async def test_a_listener_that_lost_its_connection_has_everyone_look_again(
    live: httpx.AsyncClient, engine: AsyncEngine, database_url: str
) -> None:
    site = await controller_site(engine)
    async with watching(live, site) as stream:
        assert await stream.next("changed") == "*"
        connection = await asyncpg.connect(database_url)
        try:
            ended = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = "
                "current_database()"
            )
            assert ended
        finally:
            await connection.close()
        assert await stream.next("changed") == "*"
        await send(live, packet(site, LIMIT_PEAK_SHAVING="true"))
        assert statuses(await stream.next("capability-status")) == {"PEAK_SHAVING": "ON", "DER": None}

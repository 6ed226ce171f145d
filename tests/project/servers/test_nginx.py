"""The proxy of the deployment before two processes of the API: what it passes on, and what it never sends twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from cli.commands.services import ApiProgram
from runtime.servers.processes import free_port
from tests.helpers.live import http_client, working
from tests.helpers.support import make_depot, synced
from tests.project.servers.nginx import nginx

BODY_LIMIT = 1_000_000
"""Bytes of a body that nginx takes unless it is told otherwise."""


@asynccontextmanager
async def two_apis(database_url: str, temporal_address: str, folder: Path) -> AsyncGenerator[list[ApiProgram]]:
    """Two processes of the API that believe a proxy on this machine."""
    given = {"MANAGE_PROXY_NETWORKS": '["127.0.0.0/8"]'}
    environment = os.environ | given | {"DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal_address}
    apis = [ApiProgram("127.0.0.1", free_port(0), folder / f"api-{n}.log", environment) for n in (1, 2)]
    try:
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in apis))
        yield apis
    finally:
        for each in apis:
            each.stop()


async def told(lines: AsyncIterator[str], word: str) -> None:
    """Read an event stream until an event says this."""
    async for line in lines:
        if line.startswith("data: ") and word in line.split():
            return
    raise AssertionError(f"the stream ended before {word}")


async def test_it_serves_two_processes_as_if_they_were_one(
    engine: AsyncEngine, client: Client, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    depot_id = await make_depot(engine, "Feed 1")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(working(client, engine, task_queue))
        microgrid_id = (await synced(engine, depot_id)).microgrid_id
        apis = await stack.enter_async_context(two_apis(database_url, temporal_address, tmp_path))
        address = await stack.enter_async_context(nginx(tmp_path, [each.port for each in apis]))
        caller = await stack.enter_async_context(http_client(address))

        # An event arrives while its stream is open.
        async with caller.stream("GET", f"/api/microgrids/{microgrid_id}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            await told(lines, "*")
            made = await caller.post(f"/api/depots/{depot_id}/circuits", json={"name": "Feed 2"})
            assert made.status_code == 201, made.text
            await told(lines, "STRUCTURE")

        # The caller's request id goes there and back, and is that of the journal.
        renamed = await caller.patch(
            f"/api/circuits/{made.json()['circuit_id']}", json={"name": "Feed 3"}, headers={"x-request-id": "given-1"}
        )
        assert (renamed.status_code, renamed.headers["x-request-id"]) == (200, "given-1")
        async with engine.connect() as connection:
            query = text("SELECT DISTINCT client FROM changes WHERE request_id = 'given-1'")
            assert (await connection.execute(query)).scalars().all() == ["127.0.0.1"]

        # Another proxy speaks for somebody elsewhere, who may not act here; with HTTPS, it is named in addresses.
        away = await caller.get("/api/depots", headers={"x-forwarded-for": "203.0.113.9"})
        assert (away.status_code, away.json()["code"]) == (403, "ACCESS_REFUSED")
        host = address.removeprefix("http://")
        for scheme, more in (("http", {}), ("https", {"x-forwarded-proto": "https"})):
            elsewhere = await caller.get("/api/depots/", headers=more)
            assert elsewhere.headers["location"] == f"{scheme}://{host}/api/depots"

        # A body is passed on as it comes, however long it is.
        depot = {"kind": "depot", "name": "x" * 60_000}
        line = json.dumps(depot).encode() + b"\n"
        many = 2 * BODY_LIMIT // len(line)

        async def body() -> AsyncIterator[bytes]:
            for _ in range(many):
                yield line

        counted = (await caller.post("/api/depots/import", content=body())).json()
        assert (counted["refused"], counted["landed"]["depots"]) == (many, 0)
        assert not [each for each in (tmp_path / "bodies").rglob("*") if each.is_file()]

        # One process is killed: whoever reads does not notice.
        killed = apis[0].pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        for _ in range(10):
            async with http_client(address) as another:
                assert (await another.get("/api/depots")).status_code == 200


async def test_a_change_that_may_have_been_made_is_not_sent_again(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def take_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n")).split(b" ")[0])
        writer.close()

    async with AsyncExitStack() as stack:
        servers = [await asyncio.start_server(take_and_leave, "127.0.0.1", 0) for _ in range(2)]
        for each in servers:
            await stack.enter_async_context(each)
        address = await stack.enter_async_context(
            nginx(tmp_path, [each.sockets[0].getsockname()[1] for each in servers])
        )
        caller = await stack.enter_async_context(http_client(address))

        assert (await caller.post("/api/depots", json={})).status_code == 502
        assert asked == [b"POST"]
        # The other one is asked for what may be asked twice.
        assert (await caller.get("/api/depots")).status_code == 502
        assert asked == [b"POST", b"GET"]

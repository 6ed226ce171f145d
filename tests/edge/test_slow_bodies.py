"""Bodies that trickle take nothing from others and are ended; imports are few, and hold nothing while they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base import limits
from runtime.settings import Settings
from tests.helpers.live import http_client, serving
from tests.helpers.support import until

LINE = {"type": "depot", "id": "4b5f0d1a-0000-4000-8000-000000000001", "name": "Arrow Road", "timezone": "UTC"}


class Trickle:
    """A request whose body comes a space at a time and never ends."""

    def __init__(self, url: str, path: str, kind: str) -> None:
        self._place = urlsplit(url)
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._place.netloc}\r\nContent-Type: {kind}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        self.sent = 0

    async def answer(self) -> tuple[int, str]:
        """Send until there is an answer, and read it to the end of the connection."""
        reader, writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        sending = asyncio.create_task(self._send(writer))
        try:
            answer = await reader.readuntil(b"}")
            status = int(answer.split(b" ", 2)[1])
            return status, json.loads(answer[answer.index(b"\r\n\r\n{") :])["code"] if status >= 400 else ""
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        writer.write(self._head.encode())
        while True:
            writer.write(b"1\r\n \r\n")
            await writer.drain()
            self.sent += 1
            await asyncio.sleep(0.02)


async def test_imports_that_trickle_take_nothing_from_others(
    database_url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GRACE", 3.0)
    settings = Settings(database_url=SecretStr(database_url), database_pool_size=2)
    async with serving(settings) as url, http_client(url) as caller:
        trickles = [Trickle(url, "/api/depots/import", "application/x-ndjson") for _ in range(30)]
        answers = [asyncio.create_task(each.answer()) for each in trickles]

        async def refused() -> bool:
            return sum(each.done() for each in answers) >= 30 - limits.MAX_IMPORTS

        await until(refused)
        # The others still come in, and nothing waits for them.
        assert (await caller.get("/api/depots")).status_code == 200
        ready = (await caller.get("/readyz")).json()
        assert (ready["status"], ready["database"]) == ("READY", "OK")
        told = await asyncio.gather(*answers)
        assert set(told) == {(429, "TOO_MANY_IMPORTS"), (408, "BODY_TOO_SLOW")}
        assert told.count((408, "BODY_TOO_SLOW")) >= limits.MAX_IMPORTS
        # Their places are free again.
        done = await caller.post("/api/depots/import", content=json.dumps(LINE))
        assert done.json()["landed"]["depots"] == 1


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/depots", "application/json"),
        ("/api/telemetry/packets", "application/json"),
        ("/depots/new", "application/x-www-form-urlencoded"),
        ("/api/backfills", "application/json"),
    ],
)
async def test_any_body_that_trickles_is_ended(
    database_url: str, client: Client, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    monkeypatch.setattr(limits, "GRACE", 0.5)
    async with serving(Settings(database_url=SecretStr(database_url))) as url:
        assert await Trickle(url, path, kind).answer() == (408, "BODY_TOO_SLOW")


async def test_a_body_that_stops_is_ended(database_url: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE", 0.5)

    async def stopping() -> AsyncGenerator[bytes]:
        yield json.dumps(LINE).encode() * 10
        await asyncio.Event().wait()

    async with (
        serving(Settings(database_url=SecretStr(database_url))) as url,
        http_client(url) as caller,
    ):
        for path in ("/api/depots/import", "/api/depots"):
            sending = asyncio.create_task(caller.post(path, content=stopping(), timeout=60))
            # The client goes on to send until it is told; httpx reads the answer only then.
            done, _ = await asyncio.wait({sending}, timeout=1.5)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            del done
        # What stopped holds no place.
        for _ in range(limits.MAX_IMPORTS + 1):
            assert (await caller.post("/api/depots/import", content=json.dumps(LINE))).status_code == 200


async def test_slow_but_steady_is_let_in(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GRACE", 0.2)

    async def steady() -> AsyncGenerator[bytes]:
        for number in range(10):
            await asyncio.sleep(0.05)
            yield json.dumps(LINE | {"id": f"4b5f0d1a-0000-4000-8000-{number:012d}"}).encode() + b"\n"

    answer = await api.post("/api/depots/import", content=steady())
    assert answer.json()["landed"]["depots"] == 10


async def test_a_body_beyond_the_bound_is_refused(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(limits.MAX_IMPORTS + 1):

        async def endless() -> AsyncGenerator[bytes]:
            while True:
                yield b" " * 1_000_000

        monkeypatch.setattr("api.base.limits.MAX_BODY_BYTES", 1000)
        answer = await api.post("/api/depots", content=endless())
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")

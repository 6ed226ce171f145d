"""Whoever sends a body that is refused early reads why, and the rest of it is read within bounds."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from api.base import limits
from api.ui.base import live
from runtime.settings import Settings
from tests.factories.equipped_depots import problem
from tests.helpers.live import http_client, serving

HEAD = "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{more}\r\n"
MUCH = limits.MAX_BODY_BYTES + limits.LINGER_BYTES // 2


async def in_pieces() -> AsyncGenerator[bytes]:
    for _ in range(MUCH // 65_536):
        yield b"x" * 65_536


@pytest.fixture
async def url(database_url: str, client: Client) -> AsyncGenerator[str]:
    assert client.namespace
    async with serving(Settings(database_url=SecretStr(database_url))) as address:
        yield address


async def connect(url: str, path: str, more: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(HEAD.format(path=path, host=place.netloc, more=more).encode())
    return reader, writer


@pytest.mark.parametrize("path", ["/api/depots", "/api/telemetry/packets"])
async def test_a_client_that_sends_before_it_reads_is_told_that_it_is_too_much(url: str, path: str) -> None:
    async with http_client(url) as caller:
        for content in (b"x" * MUCH, in_pieces()):
            refused = await caller.post(path, content=content, headers={"content-type": "application/json"})
            assert problem(refused) == (413, "BODY_TOO_LARGE")
            assert refused.headers["connection"] == "close"


async def test_whoever_asks_first_sends_nothing_that_is_too_much(url: str) -> None:
    reader, writer = await connect(url, "/api/depots", f"Content-Length: {MUCH}\r\nExpect: 100-continue\r\n")
    # At once: nothing of what will not come is waited for.
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer
    writer.close()


@pytest.mark.parametrize("length", ["0" * 5000, "0" * 5000 + "3", "9" * 5000])
async def test_a_length_of_thousands_of_digits_is_no_fault_of_the_server(url: str, length: str) -> None:
    reader, writer = await connect(url, "/api/depots", f"Content-Length: {length}\r\nConnection: close\r\n")
    writer.write(b"[]\n")
    status = (await reader.readline()).split()[1]
    assert status in (b"400", b"413", b"422")
    writer.close()


async def test_a_length_that_nobody_looked_at_before_is_read(api: httpx.AsyncClient) -> None:
    for length in ("9" * 5000, "0" * 5000):
        assert (await api.get("/healthz", headers={"content-length": length})).status_code == 200


async def test_an_answer_that_has_begun_is_not_taken_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT", 0.1)
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = f"GET /live?topic=fleet HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Encoding: gzip\r\nContent-Length: 5"
    writer.write(f"{head}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    await reader.readuntil(b"event: hello")
    writer.write(b"xxxxx")
    for _ in range(3):
        await reader.readuntil(b"event: beat")
    writer.close()


@pytest.mark.parametrize(("much", "seconds"), [(262_144, 600.0), (2**40, 0.2)])
async def test_a_refused_body_without_end_is_not_read_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch, much: int, seconds: float
) -> None:
    monkeypatch.setattr(limits, "LINGER_BYTES", much)
    monkeypatch.setattr(limits, "LINGER_SECONDS", seconds)
    reader, writer = await connect(url, "/api/depots", f"Content-Length: {2**40}\r\n")

    async def send() -> None:
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    sending = asyncio.create_task(send())
    answer = await reader.readuntil(b"}")
    assert json.loads(answer[answer.index(b"\r\n\r\n{") :])["code"] == "BODY_TOO_LARGE"
    # The server has closed the connection.
    with pytest.raises(ConnectionError):
        await sending
    writer.close()


@pytest.mark.parametrize("coding", ["gzip", "Deflate", "br", "identity, gzip"])
async def test_a_compressed_packet_is_refused_in_words(api: httpx.AsyncClient, coding: str) -> None:
    refused = await api.post(
        "/api/telemetry/packets", content=gzip.compress(b"[]"), headers={"content-encoding": coding}
    )
    assert problem(refused) == (415, "UNSUPPORTED_CONTENT_ENCODING")
    assert refused.headers["accept-encoding"] == "identity"
    assert coding in refused.json()["detail"]


async def test_a_body_that_is_as_it_is_may_say_so(api: httpx.AsyncClient) -> None:
    for coding in ("identity", "IDENTITY", ""):
        made = await api.post(
            "/api/depots", json={"name": "A", "timezone": "UTC"}, headers={"content-encoding": coding}
        )
        assert made.status_code == 201
    # What has no body has none that is compressed.
    assert (await api.get("/api/depots", headers={"content-encoding": "gzip"})).status_code == 200


async def test_no_route_takes_a_compressed_body(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    taking = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "requestBody" in operation
    ]
    assert len(taking) > 30
    for method, path, operation in taking:
        place = re.sub(r"\{(\w+)\}", "018f4e6c-0000-7000-8000-000000000000", path)
        (media, *_) = operation["requestBody"]["content"]
        headers = {"content-type": media, "content-encoding": "gzip"}
        refused = await api.request(method, place, content=gzip.compress(b"{}"), headers=headers)
        assert problem(refused) == (415, "UNSUPPORTED_CONTENT_ENCODING"), (method, path)
        assert {"408", "413", "415"} <= operation["responses"].keys()
    page = await api.post("/depots/new", content=gzip.compress(b"name=A"), headers={
        "content-type": "application/x-www-form-urlencoded", "content-encoding": "gzip", "accept": "text/html",
    })  # fmt: skip
    assert page.status_code == 415

"""The head of a request has a bound in size and time, and what follows a body is no header."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from runtime.servers.bounded_http import HTTP, BoundedHttp
from tests.helpers.support import until

HEAD = b"POST /here?x=1 HTTP/1.1\r\nHost: depot.example\r\n"


class Hasty(BoundedHttp):
    """Gives a head nearly no time."""

    head_seconds = 0.05


async def tell_headers(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with the names of the request's headers and the size of its body."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = b",".join(name for name, _ in scope["headers"]) + b" %d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def speaking(
    http: Any = HTTP, app: Any = tell_headers
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server that speaks HTTP so."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=http, lifespan="off", log_level="critical"))
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await task


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head.split(b" ")[1]), await reader.readexactly(size)


@pytest.mark.parametrize(
    "much",
    [
        b"X: " + b"a" * 70_000 + b"\r\nY: b\r\n",
        b"".join(b"X%d: a\r\n" % each for each in range(9_000)),
        b"X: " + b"a" * 900_000,
    ],
    ids=["one", "many", "endless"],
)
@pytest.mark.parametrize("piece", [100_000_000, 1_000], ids=["at once", "in pieces"])
async def test_headers_that_are_too_large_are_refused(much: bytes, piece: int) -> None:
    async with speaking() as (reader, writer):
        writer.write(HEAD)
        for at in range(0, len(much), piece):
            writer.write(much[at : at + piece])
            await writer.drain()
        status, text = await answer(reader)
        assert (status, text) == (431, b"The request line and its headers are too large.")
        assert await reader.read() == b""


async def test_an_address_that_is_too_long_is_refused() -> None:
    async with speaking() as (reader, writer):
        writer.write(b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: depot.example\r\n\r\n")
        assert (await answer(reader))[0] == 431


@pytest.mark.parametrize("piece", [100_000, 7], ids=["at once", "in pieces"])
async def test_what_fits_is_taken_again_and_again(piece: int) -> None:
    request = HEAD + b"X: " + b"a" * 30_000 + b"\r\nContent-Length: 100000\r\n\r\n" + b"b" * 100_000
    async with speaking() as (reader, writer):
        for _ in range(3):
            for at in range(0, 31_000, piece):
                writer.write(request[at : min(at + piece, 31_000)])
                await writer.drain()
            writer.write(request[31_000:])
            assert await answer(reader) == (200, b"host,x,content-length 100000")


async def test_the_next_request_may_begin_behind_a_long_body() -> None:
    async with speaking() as (reader, writer):
        writer.write(HEAD + b"Content-Length: 200000\r\n\r\n" + b"b" * 200_000 + HEAD)
        assert await answer(reader) == (200, b"host,content-length 200000")
        writer.write(b"Content-Length: 1\r\n\r\nx")
        assert await answer(reader) == (200, b"host,content-length 1")


async def test_a_trailer_is_no_header() -> None:
    trailer = b"2\r\n[]\r\n0\r\nAuthorization: Bearer x\r\nX-Client-Certificate: y\r\n\r\n"
    async with speaking() as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + trailer)
            assert await answer(reader) == (200, b"host,transfer-encoding 2")


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HT", HEAD, HEAD + b"X: a"], ids=["nothing", "line", "headers", "header"]
)
async def test_a_head_that_does_not_come_ends_the_connection(begun: bytes) -> None:
    async with speaking(Hasty) as (reader, writer):
        writer.write(begun)
        assert await reader.read() == b""


async def test_the_second_head_has_its_time_too() -> None:
    async with speaking(Hasty) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 1\r\n\r\nx")
        assert (await answer(reader))[0] == 200
        writer.write(HEAD)
        assert await reader.read() == b""


async def test_a_request_that_takes_long_is_not_cut_off() -> None:
    going = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await going.wait()
        await tell_headers(scope, receive, send)

    class Watched(Hasty):
        waits = 0

        def _wait(self) -> None:
            type(self).waits += 1
            super()._wait()

    async def waited() -> bool:
        return Watched.waits >= 4

    async with speaking(Watched, slow) as (reader, writer):
        # The next head has begun and does not come, while this one is being answered.
        writer.write(HEAD + b"Content-Length: 1\r\n\r\nx" + HEAD)
        await until(waited)
        going.set()
        assert (await answer(reader))[0] == 200

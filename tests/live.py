"""A real HTTP server in front of the application, for what needs one: streams, browsers, contract tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from api.main import create_app
from runtime.settings import Settings
from tests.support import until

PATIENCE = 180
"""Seconds, which only end a broken test."""


def http_client(address: str, **settings: Any) -> httpx.AsyncClient:
    """A client of what is served at ``address``, which waits as long as a busy machine needs; an `async with` ends it.

    ``settings`` are those of `httpx.AsyncClient`.
    """
    return httpx.AsyncClient(base_url=address, timeout=PATIENCE, trust_env=False, **settings)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncGenerator[str]:
    """Serve the application on a free port of this machine while the block runs; answers its address."""
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    try:
        await until(started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task

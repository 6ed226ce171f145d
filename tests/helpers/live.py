"""The processes of the product inside a test: the application behind a real HTTP server, and the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import uvicorn
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion

import worker
from activities.manage_api import ManageApi
from api.main import create_app
from runtime.servers.bounded_http import BoundedHttp
from runtime.settings import Settings
from runtime.workers.queues import EVERY_WORK, Work
from tests.helpers.support import until

TIMEOUT = 180
"""Seconds, which only end a broken test."""
NO_API = "http://127.0.0.1:9"
"""Where nobody answers: for workers whose tests run no scenario."""


def http_client(address: str, **settings: Any) -> httpx.AsyncClient:
    """A client of what is served at ``address``, which waits as long as a busy machine needs; an `async with` ends it.

    ``settings`` are those of `httpx.AsyncClient`.
    """
    return httpx.AsyncClient(base_url=address, timeout=TIMEOUT, trust_env=False, **settings)


@asynccontextmanager
async def serving(settings: Settings, *, port: int = 0, **application: Any) -> AsyncGenerator[str]:
    """Serve the application on a port of this machine, 0 for any, while the block runs; answers its address."""
    config = uvicorn.Config(
        create_app(settings, **application),
        host="127.0.0.1",
        port=port,
        http=BoundedHttp,
        log_level="warning",
        timeout_graceful_shutdown=1,
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


@asynccontextmanager
async def working(
    client: Client,
    engine: AsyncEngine,
    task_queue: str,
    *,
    api_url: str = NO_API,
    registry: CollectorRegistry | None = None,
    version: WorkerDeploymentVersion | None = None,
) -> AsyncGenerator[None]:
    """Run worker and relay while the block runs. ``api_url`` is where scenario runs find the API.

    ``version``: the worker's, where one with a version was there before; Temporal gives others nothing then.
    """
    async with (
        worker.open_resources(
            engine, client, task_queue=task_queue, api_url=api_url, registry=registry, version=version
        ) as resources,
        worker.working(resources),
    ):
        yield


def make_worker(
    client: Client,
    engine: AsyncEngine,
    task_queue: str,
    api: ManageApi | None = None,
    serves: frozenset[Work] = EVERY_WORK,
) -> AbstractAsyncContextManager[None]:
    """A worker without its relay, an `async with` runs it; scenario runs do through ``api`` what a person would do."""
    resources = worker.Resources(engine, client, api or ManageApi(NO_API), task_queue, serves=serves)
    return worker.running(worker.make_workers(resources))

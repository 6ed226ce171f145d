"""Alerts over what the product really serves: a Prometheus reads it, and the deployment's rules find what is wrong."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

from prometheus_client import start_http_server
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from runtime.observing.metrics import new_registry
from runtime.settings import Settings
from runtime.workers.versions import Takeover
from store.base.database import transaction
from store.monitoring.capacity_upkeep import pass_deadlines
from tests.factories.capacities import capacity_site, expire
from tests.factories.packets import PATH
from tests.factories.sites import packet
from tests.helpers.live import http_client, serving
from tests.helpers.support import ACTOR, make_depot, patiently, until
from tests.project.servers.prometheus import prometheus, remember
from tests.workflows.versions import serving_version

FAIL_SAFES = 10
"""So many more circuits in fail-safe than a quarter of an hour ago are an alert."""
WRONG = {"ManageNoCurrentWorker", "ManageChangesNotDelivered", "ManageFailSafesJump"}


async def test_a_prometheus_finds_what_is_wrong(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str, tmp_path: Path
) -> None:
    registry = new_registry()
    old = Takeover(client, task_queue, "1.0.0-a", registry, takes_over=True)
    new = Takeover(client, task_queue, "1.1.0-b", None, takes_over=True)
    sites = [await capacity_site(engine) for _ in range(FAIL_SAFES)]
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM outbox"))
    now = int(time.time())
    remember(tmp_path, "manage_fail_safe_circuits", 0, range(now - 1800, now - 600, 30))
    server, thread = start_http_server(0, "127.0.0.1", registry=registry)
    async with AsyncExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        await stack.enter_async_context(serving_version(client, task_queue, "1.0.0-a"))
        await until(lambda: patiently(old.look))
        address = await stack.enter_async_context(
            serving(Settings(database_url=SecretStr(database_url), task_queue=task_queue))
        )
        processes = {"manage-api": address.removeprefix("http://"), "manage-worker": f"127.0.0.1:{server.server_port}"}
        watching = await stack.enter_async_context(prometheus(tmp_path, processes))

        async def is_quiet() -> bool:
            return await watching.has_read_all() and not WRONG & await watching.alerts()

        await until(is_quiet)

        # The controllers fall silent.
        async with http_client(address) as caller:
            body = [packet(site, AVAILABLE_CHARGING_CAPACITY=250_000, HEARTBEAT_STATUS="ok") for site in sites]
            sent = await caller.post(PATH, json=body)
        assert {each["status"] for each in sent.json()["items"]} == {"ACCEPTED"}
        await expire(engine, *(site.circuit_ids[0] for site in sites))
        async with transaction(engine, ACTOR) as connection:
            assert await pass_deadlines(connection, FAIL_SAFES) == FAIL_SAFES
        # Nobody delivers a change, for longer than it may take.
        await make_depot(engine, "Feed")
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE outbox SET created_at = now() - interval '5 minutes'"))
        # Another release is the current one.
        await stack.enter_async_context(serving_version(client, task_queue, "1.1.0-b"))
        await until(lambda: patiently(new.look))
        await until(lambda: patiently(old.look))

        async def all_are_found() -> bool:
            return await watching.alerts() >= WRONG

        await until(all_are_found)

        # What is mended is quiet again.
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM outbox"))

        async def is_mended() -> bool:
            return WRONG & await watching.alerts() == WRONG - {"ManageChangesNotDelivered"}

        await until(is_mended)

"""The product for a benchmark: servers of its own, and each part a process that can be killed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from cli.commands.services import ApiProgram, Program
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.servers.processes import free_port
from store.migrate import upgrade


class Product(NamedTuple):
    """The product while it runs."""

    api: ApiProgram
    worker: Program


@asynccontextmanager
async def running_product() -> AsyncGenerator[Product]:
    """Run the product on a folder of its own while the block runs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        postgres, temporal = EmbeddedPostgres(folder / "postgres"), EmbeddedTemporal(folder / "temporal")
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(temporal.start)
        await asyncio.to_thread(upgrade, postgres.database_url)
        environment = os.environ | {"DATABASE_URL": postgres.database_url, "TEMPORAL_ADDRESS": temporal.address}
        api = ApiProgram("127.0.0.1", free_port(0), folder / "api.log", environment)
        environment["MANAGE_API_URL"] = api.url
        worker = Program("worker", ["worker.py"], folder / "worker.log", environment)
        await asyncio.to_thread(worker.start)
        await asyncio.to_thread(api.start)
        try:
            yield Product(api, worker)
        finally:
            for process in (worker, api, temporal, postgres):
                await asyncio.to_thread(process.stop)

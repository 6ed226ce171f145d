"""The stage of a benchmark: a PostgreSQL and a Temporal of its own, and databases copied from one that is filled."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from devtools.legacy_fleet import seed_legacy
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.temporal import ensure_search_attributes
from store.base.database import make_engine
from store.migrate import upgrade


class Databases:
    """A PostgreSQL server with data on disk, as in the field."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres

    @property
    def server_pid(self) -> int:
        """The process id of the server."""
        assert self._postgres.pid is not None
        return self._postgres.pid

    def url_of(self, name: str) -> str:
        """The address of a database."""
        return self._postgres.url_of(name)

    async def migrate(self) -> None:
        """Make the empty database that all others are copied from."""
        await self.execute("postgres", "CREATE DATABASE migrated")
        await asyncio.to_thread(upgrade, self._postgres.url_of("migrated"))

    async def restart(self) -> None:
        """End the server and start it again, so that nothing is in its memory."""
        await asyncio.to_thread(self._postgres.stop)
        self._postgres.launch()
        await asyncio.to_thread(self._postgres.wait_until_ready)

    async def fill(self, name: str, depots: int) -> None:
        """Make a database with a legacy fleet of ``depots``, to be copied."""
        await self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE migrated")
        engine = make_engine(self._postgres.url_of(name), pool_size=1)
        async with engine.begin() as connection:
            await seed_legacy(connection, depots)
        await engine.dispose()
        await self.execute(name, "VACUUM ANALYZE")

    async def drop(self, name: str) -> None:
        """Drop a database."""
        await self.execute("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def copy(self, name: str) -> AsyncGenerator[AsyncEngine]:
        """An engine on a fresh copy of a filled database, with nothing left to write from before."""
        await self.execute("postgres", f"CREATE DATABASE run TEMPLATE {name}")
        await self.execute("postgres", "CHECKPOINT")
        engine = make_engine(self._postgres.url_of("run"))
        try:
            yield engine
        finally:
            await engine.dispose()
            await self.drop("run")

    async def execute(self, database: str, statement: str) -> None:
        """Run a statement in a database, outside of a transaction."""
        connection = await asyncpg.connect(self._postgres.url_of(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


class Stage(Databases):
    """PostgreSQL and Temporal, with data on disk, as in the field."""

    def __init__(self, postgres: EmbeddedPostgres, client: Client) -> None:
        super().__init__(postgres)
        self.client = client


@asynccontextmanager
async def databases() -> AsyncGenerator[Databases]:
    """Start PostgreSQL alone, and end it with the block."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.prepare()
        postgres.launch()
        try:
            await asyncio.to_thread(postgres.wait_until_ready)
            made = Databases(postgres)
            await made.migrate()
            yield made
        finally:
            postgres.stop()


@asynccontextmanager
async def stage() -> AsyncGenerator[Stage]:
    """Start the servers, and end them with the block."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres")
        temporal = EmbeddedTemporal(folder / "temporal")
        postgres.prepare()
        postgres.launch()
        temporal.prepare()
        temporal.launch()
        try:
            await asyncio.to_thread(postgres.wait_until_ready)
            await asyncio.to_thread(temporal.wait_until_ready)
            client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
            await ensure_search_attributes(client)
            made = Stage(postgres, client)
            await made.migrate()
            yield made
        finally:
            temporal.stop()
            postgres.stop()

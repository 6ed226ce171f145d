"""Backups of a filled database are restored as the documentation says, and Temporal is lost, kept, older or newer.

Whatever the pair, afterwards no microgrid is out of step and nothing is stuck.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

import worker
from api.main import create_app
from devtools.legacy_fleet import seed_legacy
from relay import Relay
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal, postgres_program
from runtime.settings import Settings
from runtime.temporal import connect
from store.base.database import make_engine
from store.migrate import upgrade
from tests.factories.backfills import begin, reached, read
from tests.factories.packets import send
from tests.factories.sites import controller_site, packet
from tests.helpers.support import drifted_depots, follows, until
from tests.helpers.worker_process import WorkerProcess

# They share what was kept of one installation, and its server.
pytestmark = pytest.mark.xdist_group("restore")

OPERATIONS = Path(__file__).parent.parent.parent / "docs" / "operations.md"
QUEUE = "restore"
DEPOTS = 30
_IN_CONTAINER = "docker compose exec -T postgres "


def documented(heading: str, kind: str = "sh") -> list[str]:
    """The blocks of code of a section of operations.md."""
    section = OPERATIONS.read_text().partition(f"### {heading}\n")[2].partition("\n### ")[0]
    found = re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL)
    assert found, heading
    return found


def in_container(block: str) -> str:
    """What of a block Compose has the server's container do."""
    return "".join(
        f"{line.removeprefix(_IN_CONTAINER)}\n" for line in block.splitlines() if line.startswith(_IN_CONTAINER)
    )


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server with what belongs to it."""

    folder: Path
    postgres: EmbeddedPostgres

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def run(self, script: str, **variables: str) -> None:
        """Run a script as the server's own user, who finds PostgreSQL's programs and the server."""
        uid, gid = self.postgres.user() or (None, None)
        place = Path(postgres_program("psql")).parent
        environment = dict(self.postgres.environment()) | {
            "PATH": os.pathsep.join([str(place), os.environ["PATH"]]),
            "PGHOST": str(self.postgres.socket_folder),
            "ARCHIVE": str(self.archive),
            **variables,
        }
        done = subprocess.run(
            ["/bin/sh", "-e"], input=script, text=True, cwd=self.archive, env=environment, user=uid, group=gid,
            extra_groups=None if uid is None else [], capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def make_folder(self, name: str) -> Path:
        """A folder for the server's own user."""
        made = self.folder / name
        made.mkdir(mode=0o700)
        if (owner := self.postgres.user()) is not None:
            os.chown(made, *owner)
        return made


@dataclass(frozen=True)
class Past:
    """An installation that ran, and what was kept of it."""

    server: Server
    earlier_temporal: Path
    """As it was at the time of the dump."""
    latest_temporal: Path
    moment: str
    """A moment after the dump."""
    backfill_id: str
    """Which was under way at the time of the dump."""


@asynccontextmanager
async def calling(database_url: str, temporal: EmbeddedTemporal) -> AsyncGenerator[httpx.AsyncClient]:
    """The API on a database and a Temporal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_ADDRESS", temporal.address)
        application = create_app(Settings(database_url=SecretStr(database_url), task_queue=QUEUE))
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as caller,
        ):
            yield caller


@asynccontextmanager
async def database(url: str) -> AsyncGenerator[AsyncEngine]:
    engine = make_engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


async def add_depot(api: httpx.AsyncClient, name: str) -> str:
    body = {"name": name, "timezone": "UTC", "circuits": [{"name": "Feed 1"}]}
    answer = await api.post("/api/depots", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["depot_id"]


async def add_circuit(api: httpx.AsyncClient, depot_id: str, name: str) -> None:
    answer = await api.post(f"/api/depots/{depot_id}/circuits", json={"name": name})
    assert answer.status_code == 201, answer.text


async def in_step(engine: AsyncEngine, *, without_microgrid: int = 0) -> None:
    """Wait until nothing is to be delivered and no microgrid is out of step; so many depots still have none."""

    async def check() -> bool:
        async with engine.connect() as connection:
            waiting = (await connection.execute(text("SELECT count(*) FROM outbox"))).scalar_one()
            lacking = set((await connection.execute(_WITHOUT_MICROGRID)).scalars())
            return (
                not waiting and len(lacking) == without_microgrid and set(await drifted_depots(connection)) == lacking
            )

    await until(check)


_WITHOUT_MICROGRID = text("""
    SELECT id FROM depots AS d
    WHERE EXISTS (SELECT FROM circuits AS c WHERE c.depot_id = d.id AND c.parent_id IS NULL)
        AND NOT EXISTS (SELECT FROM microgrids AS m WHERE m.depot_id = d.id AND m.retired_at IS NULL)
""")
"""Depots that could have a microgrid."""


@pytest.fixture(scope="module")
def past() -> Iterator[Past]:
    """Run an installation for a while, with backups of it on the way."""
    # Not below pytest's own folder: PostgreSQL runs as a user of its own.
    with tempfile.TemporaryDirectory(prefix="manage-restore-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres")
        server = Server(folder, postgres)
        postgres.prepare()
        archive = server.make_folder("archive")
        (settings,) = documented("To a point in time", "ini")
        with (postgres.data_folder / "postgresql.auto.conf").open("a") as file:
            file.write(settings.replace("$ARCHIVE", str(archive)))
        temporal = EmbeddedTemporal(folder / "temporal")
        with postgres, temporal:
            postgres.make_roles()
            upgrade(postgres.owner_url)
            yield asyncio.run(_live(server, temporal))


async def _live(server: Server, temporal: EmbeddedTemporal) -> Past:
    postgres, folder = server.postgres, server.folder
    url = postgres.application_url
    product = WorkerProcess(url, temporal.address, QUEUE, folder / "worker.log")
    async with database(url) as engine, calling(url, temporal) as api:
        async with engine.begin() as connection:
            await seed_legacy(connection, DEPOTS)
        await asyncio.to_thread(product.start)
        await reached(api, await begin(api, page_size=10), "COMPLETED")
        site = await controller_site(engine)
        await send(api, packet(site, LIMIT_PEAK_SHAVING="true"))
        first = await add_depot(api, "Before the backup")
        await in_step(engine)
        await asyncio.to_thread(product.stop)
        # A change that is not delivered yet, and a backfill that is under way.
        await add_circuit(api, first, "Line 2")
        await add_depot(api, "While the worker was away")
        backfill_id = await begin(api, page_size=10)

        (dump, _) = documented("A dump")
        (base, _) = documented("To a point in time")
        await asyncio.to_thread(server.run, in_container(dump))
        await asyncio.to_thread(server.run, base)
        earlier = folder / "earlier"
        await asyncio.to_thread(_copy_state, folder / "temporal", earlier)

        await asyncio.to_thread(product.start)
        await reached(api, backfill_id, "COMPLETED")
        await add_depot(api, "After the backup")
        await add_circuit(api, first, "Line 3")
        await in_step(engine)
        async with engine.connect() as connection:
            moment = str((await connection.execute(text("SELECT clock_timestamp()"))).scalar_one())
        await add_depot(api, "After the moment")
        await add_circuit(api, first, "Line 4")
        await in_step(engine)
        await asyncio.to_thread(product.stop)
        # Temporal is asked for syncs, and is lost before any is done.
        await add_circuit(api, first, "Line 5")
        await add_depot(api, "Asked for at the end")
        asked, _ = await Relay(engine, await _connected(temporal), QUEUE).relay_once()
        assert asked == 2
    await asyncio.to_thread(temporal.stop)
    await execute(postgres, "SELECT pg_switch_wal()")
    await execute(postgres, "CREATE DATABASE latest TEMPLATE manage")
    return Past(server, earlier, folder / "temporal", moment, backfill_id)


async def _connected(temporal: EmbeddedTemporal) -> Client:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_ADDRESS", temporal.address)
        return await connect()


def _copy_state(source: Path, target: Path) -> None:
    """Copy the state of a Temporal that runs, as of one moment."""
    target.mkdir(mode=0o700)
    with (
        closing(sqlite3.connect(source / "temporal.db")) as one,
        closing(sqlite3.connect(target / "temporal.db")) as other,
    ):
        one.backup(other)


async def execute(postgres: EmbeddedPostgres, *statements: str) -> None:
    connection = await asyncpg.connect(postgres.url_of("postgres"))
    for each in statements:
        await connection.execute(each)
    await connection.close()


async def circuits_like(engine: AsyncEngine, pattern: str) -> set[str]:
    """Names of circuits that are like this."""
    async with engine.connect() as connection:
        query = text("SELECT name FROM circuits WHERE name LIKE :pattern")
        return set((await connection.execute(query, {"pattern": pattern})).scalars())


@asynccontextmanager
async def restored_database(past: Past, which: str) -> AsyncGenerator[EmbeddedPostgres]:
    """Bring the database to what a case says, with the documentation's commands."""
    server = past.server
    if which == "moment":
        folder = server.make_folder("restored")
        (_, restore) = documented("To a point in time")
        await asyncio.to_thread(server.run, restore, PGDATA=str(folder), RESTORE_TO=past.moment)
        # Of the embedded server alone: its socket is in the data folder.
        (folder / ".s.PGSQL.5432.lock").unlink()
        with EmbeddedPostgres(folder) as postgres:
            yield postgres
        return
    if which == "dump":
        (_, restore) = documented("A dump")
        await asyncio.to_thread(server.run, in_container(restore))
    else:
        await execute(
            server.postgres, "DROP DATABASE manage WITH (FORCE)", "CREATE DATABASE manage TEMPLATE latest",
            "ALTER DATABASE manage OWNER TO manage_owner",
        )  # fmt: skip
    await asyncio.to_thread(upgrade, server.postgres.owner_url)
    yield server.postgres


@asynccontextmanager
async def restored_temporal(past: Past, which: str, folder: Path) -> AsyncGenerator[EmbeddedTemporal]:
    """Start a Temporal with the state that a case says."""
    state = {"kept": past.latest_temporal, "older": past.earlier_temporal}.get(which)
    if state is not None:
        shutil.copytree(state, folder / "temporal")
    with EmbeddedTemporal(folder / "temporal") as temporal:
        yield temporal


@pytest.mark.parametrize(
    ("which", "temporal_is"),
    [
        ("dump", "lost"),
        ("dump", "kept"),
        ("dump", "older"),
        ("latest", "lost"),
        ("latest", "older"),
        ("moment", "kept"),
    ],
)
async def test_after_a_restore_all_is_in_step_and_nothing_is_stuck(
    past: Past, tmp_path: Path, which: str, temporal_is: str
) -> None:
    async with (
        restored_database(past, which) as postgres,
        restored_temporal(past, temporal_is, tmp_path) as temporal,
        database(postgres.application_url) as engine,
        calling(postgres.application_url, temporal) as api,
    ):
        there = {
            "dump": {"Line 2"},
            "moment": {"Line 2", "Line 3"},
            "latest": {"Line 2", "Line 3", "Line 4", "Line 5"},
        }
        assert await circuits_like(engine, "Line _") == there[which]
        product = WorkerProcess(postgres.application_url, temporal.address, QUEUE, tmp_path / "worker.log")
        await asyncio.to_thread(product.start)
        try:
            # A first sync that Temporal was asked for and lost is found by the backfill.
            await in_step(engine, without_microgrid=1 if which == "latest" else 0)
            # What was under way has ended, one way or the other.
            ended = await reached(api, past.backfill_id, "COMPLETED", "FAILED")
            assert ended["state"] == "COMPLETED" or ended["failure"], ended
            await reached(api, await begin(api, page_size=10), "COMPLETED")
            await in_step(engine)
            await nothing_is_stuck(engine, await _connected(temporal))
            depot_id = await add_depot(api, "After the restore")
            await add_circuit(api, depot_id, "Feed 2")

            async def is_synced() -> bool:
                return await follows(engine, depot_id)  # type: ignore[arg-type]

            await until(is_synced)
            assert (await read(api, past.backfill_id))["state"] == ended["state"]
        finally:
            await asyncio.to_thread(product.stop)


async def nothing_is_stuck(engine: AsyncEngine, client: Client) -> None:
    """Wait until no job is open, on either side, and see that what runs by itself is there."""
    schedules = {each.id async for each in await client.list_schedules()}
    assert schedules == {plan.schedule_id for plan in worker.plans()}

    async def jobs_have_ended() -> bool:
        async with engine.connect() as connection:
            for table in ("backfills", "scenario_runs", "imports", "exports"):
                query = text(f"SELECT count(*) FROM {table} WHERE state IN ('RUNNING', 'PAUSED')")
                if (await connection.execute(query)).scalar_one():
                    return False
        return not await running_jobs(client)

    await until(jobs_have_ended)


async def running_jobs(client: Client) -> list[Any]:
    """Workflows of jobs and syncs that still run."""
    query = "ExecutionStatus = 'Running' AND JobKind IN ('BACKFILL', 'SYNC')"
    return [each.id async for each in client.list_workflows(query)]

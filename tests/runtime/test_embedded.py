"""The embedded servers: they start, stop, keep their data when killed, and end with their parent."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy.engine import make_url
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.servers import embedded
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.servers.processes import ManagedProcess, ProcessFailedError, free_port
from store.migrate import upgrade
from tests.helpers.support import until

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server on a folder of its own."""
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        yield server


@pytest.fixture
def temporal(tmp_path: Path) -> Iterator[EmbeddedTemporal]:
    """A server on a folder of its own."""
    with EmbeddedTemporal(tmp_path / "temporal") as server:
        yield server


async def ask(url: str, statement: str) -> object:
    """Run one statement on a new connection."""
    connection = await asyncpg.connect(make_url(url).render_as_string(hide_password=False))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def kill(server: ManagedProcess) -> None:
    """End a server as a crash would."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait(30) == -signal.SIGKILL


def alive_in(folder: Path) -> list[psutil.Process]:
    """Every process whose command line names ``folder``."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in part for part in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


async def test_postgres_has_the_database_and_stays_on_this_machine(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres.database_url, "SELECT current_database()") == "manage"
    assert await ask(postgres.database_url, "SHOW listen_addresses") == ""
    assert await ask(postgres.database_url, "SHOW max_wal_size") == "2GB"
    # Beyond ASCII, too, and on every machine alike.
    assert await ask(postgres.database_url, "SELECT 'zürich' ILIKE 'ZÜRICH'") is True


async def test_postgres_keeps_its_data_when_stopped_and_when_killed(postgres: EmbeddedPostgres) -> None:
    await ask(postgres.database_url, "CREATE TABLE kept AS SELECT 1 AS value")
    postgres.stop()
    assert postgres.exit_code == 0
    postgres.start()
    await ask(postgres.database_url, "INSERT INTO kept VALUES (2)")
    kill(postgres)
    assert not postgres.running
    postgres.start()
    assert await ask(postgres.database_url, "SELECT sum(value) FROM kept") == 3


async def test_postgres_is_taken_over_from_a_process_that_is_gone(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "postgres").start()
    await ask(first.database_url, "CREATE TABLE kept AS SELECT 1 AS value")
    with EmbeddedPostgres(tmp_path / "postgres") as second:
        assert first.wait(30) == 0
        assert await ask(second.database_url, "SELECT value FROM kept") == 1


async def test_postgres_is_not_misled_by_the_pid_of_something_else(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "postgres").start()
    pid_file = tmp_path / "postgres" / "postmaster.pid"
    written = pid_file.read_text().splitlines()
    kill(first)
    # The dead server's process id was given to this very process, which must survive.
    pid_file.write_text("\n".join([str(os.getpid()), *written[1:]]))
    with EmbeddedPostgres(tmp_path / "postgres") as second:
        assert await ask(second.database_url, "SELECT 1") == 1


async def test_postgres_starts_over_when_its_making_was_cut_short(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18")
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        assert await ask(server.database_url, "SELECT 1") == 1
    assert not unfinished.exists()


async def test_postgres_works_in_a_folder_whose_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("a folder with a long name, " * 4) / "postgres"
    with EmbeddedPostgres(folder) as server:
        assert server.socket_folder != folder
        assert await ask(server.database_url, "SELECT 1") == 1
    assert not server.socket_folder.exists()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres").start()
    server.stop()
    (tmp_path / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ProcessFailedError, match="initialized by PostgreSQL version 12"):
        server.start()
    assert not server.running


async def test_temporal_keeps_its_workflows_when_stopped_and_when_killed(temporal: EmbeddedTemporal) -> None:
    async def started() -> set[str]:
        client = await Client.connect(temporal.address)
        handle = await client.start_workflow("Waits", id=f"waits-{len(known)}", task_queue="nobody")
        return {*known, handle.id}

    async def found() -> set[str]:
        client = await Client.connect(temporal.address)
        return {handle for handle in known if (await client.get_workflow_handle(handle).describe()).id == handle}

    known: set[str] = set()
    known = await started()
    address, ui_url = temporal.address, temporal.ui_url
    temporal.stop()
    temporal.start()
    assert await found() == known
    known = await started()
    kill(temporal)
    temporal.start()
    assert await found() == known
    assert (temporal.address, temporal.ui_url) == (address, ui_url)


async def test_temporal_has_the_search_attributes(temporal: EmbeddedTemporal) -> None:
    client = await Client.connect(temporal.address)
    present = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    assert set(SEARCH_ATTRIBUTES) <= set(present.custom_attributes)


async def test_temporal_in_memory_forgets() -> None:
    with EmbeddedTemporal(None) as server:
        client = await Client.connect(server.address)
        handle = await client.start_workflow("Waits", id="waits", task_queue="nobody")
        server.stop()
        server.start()
        client = await Client.connect(server.address)
        with pytest.raises(RPCError, match="not found"):
            await client.get_workflow_handle(handle.id).describe()


async def test_temporal_ignores_an_environment_that_is_about_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.invalid:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")
    with EmbeddedTemporal(None) as server:
        await Client.connect(server.address)


async def test_one_process_at_a_time_makes_the_user_of_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(embedded, "ensure_user_exists", made.append)

    def waiting() -> list[str]:
        return [line for line in Path("/proc/locks").read_text().splitlines() if "->" in line]

    async def is_waited_for() -> bool:
        return any(str(os.getpid()) in line.split() for line in waiting())

    with embedded.USERS_FILE.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = asyncio.create_task(asyncio.to_thread(embedded.make_system_user))
        await until(is_waited_for)
        assert made == []
    await second
    assert made == ["embedded_postgres"]


def test_a_taken_port_is_left_to_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        server = EmbeddedTemporal(None, port=port, ui_port=port)
    assert len({port, server.port, server.ui_port}) == 3


async def test_two_that_chose_one_port_are_two_servers() -> None:
    # Both found the ports free; the first one that starts has them.
    first = EmbeddedTemporal(None)
    second = EmbeddedTemporal(None, port=first.port, ui_port=first.ui_port)
    assert (second.port, second.ui_port) == (first.port, first.ui_port)
    with first, second:
        assert len({first.port, first.ui_port, second.port, second.ui_port}) == 4
        here, there = [await Client.connect(server.address) for server in (first, second)]
        await here.start_workflow("Waits", id="waits", task_queue="nobody")
        with pytest.raises(RPCError, match="not found"):
            await there.get_workflow_handle("waits").describe()


def test_an_address_that_is_known_does_not_change_any_more(tmp_path: Path) -> None:
    server = EmbeddedTemporal(tmp_path / "temporal").start()
    address, ui_url = server.address, server.ui_url
    server.stop()
    with socket.create_server(("127.0.0.1", server.port)), pytest.raises(ProcessFailedError, match="already in use"):
        server.start()
    assert not server.running
    assert (server.address, server.ui_url) == (address, ui_url)
    with server:
        assert (server.address, server.ui_url) == (address, ui_url)


def test_a_free_port_is_the_wanted_one() -> None:
    port = free_port()
    assert free_port(port) == port
    assert free_port(port, but=frozenset({port})) != port
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(port) != port


@pytest.mark.skipif(sys.platform != "linux", reason="other systems say elsewhere which ports they give to connections")
def test_a_free_port_is_none_that_a_connection_may_get() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(free_port() for _ in range(50)) < lowest


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_the_servers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal\n"
        "servers = [kind(Path(sys.argv[1]) / kind.__name__) for kind in (EmbeddedPostgres, EmbeddedTemporal)]\n"
        "[server.start() for server in servers]\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        said = parent.stdout.readline()
        # It says nothing only where it ended, and then it says why.
        assert said == b"up\n", parent.stderr.read().decode()
        children = psutil.Process(parent.pid).children(recursive=True)
        assert {child.name() for child in children} >= {"postgres", "temporal"}
        parent.kill()
        assert parent.stderr.read() == b"", "nothing of the servers' packages belongs into the terminal"
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert alive_in(tmp_path) == []


def test_a_process_that_does_not_want_to_end_is_ended(tmp_path: Path) -> None:
    stubborn = Stubborn(tmp_path / "log")
    with stubborn:
        pass
    assert stubborn.exit_code == -signal.SIGKILL


class Stubborn(ManagedProcess):
    """Takes no notice of SIGTERM."""

    timeout = 0.1

    def __init__(self, log_path: Path) -> None:
        super().__init__("stubborn", log_path)

    def command(self) -> list[str]:
        deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
        return [sys.executable, "-c", deaf]

    def is_ready(self) -> bool:
        return "deaf" in self.last_lines()


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100)
    monkeypatch.setattr("runtime.servers.processes._LARGEST_LOG", 99)
    with Stubborn(log):
        pass
    assert (tmp_path / "log.1").read_bytes() == b"x" * 100
    assert log.read_text() == "deaf\n"


async def test_the_two_roles_are_those_of_a_deployment_on_old_data_and_on_new(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        # A database that a superuser migrated, before there were roles.
        await asyncio.to_thread(upgrade, server.database_url)
        for _ in range(2):
            server.make_roles()
        await asyncio.to_thread(upgrade, server.owner_url)
        owners = "SELECT array_agg(DISTINCT tableowner) FROM pg_tables WHERE schemaname = 'public'"
        assert await ask(server.database_url, owners) == ["manage_owner"]
        app = await asyncpg.connect(server.application_url)
        await app.execute("INSERT INTO depots (name, timezone, created_by, updated_by) VALUES ('a', 'UTC', 'b', 'b')")
        await app.execute("UPDATE depots SET name = 'c'")
        await app.execute("INSERT INTO changes (actor, action) VALUES ('a', 'b')")
        assert await app.fetch("SELECT keep_months(6, 25, 84)")
        assert not await app.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        for statement in (
            "DELETE FROM changes",
            "UPDATE packets SET observed_at = now()",
            "TRUNCATE capability_events",
            "UPDATE alembic_version SET version_num = '0001'",
            "UPDATE retention_floors SET months = 2",
            "ALTER TABLE changes DISABLE TRIGGER ALL",
            "SET ROLE manage_owner",
            "SET ROLE postgres",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)
        await app.close()

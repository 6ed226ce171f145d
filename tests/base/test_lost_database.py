"""A database that is lost, silent or busy is told as what it is: never as an unexpected error, never after long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest
from alembic.script import ScriptDirectory
from asyncpg.connection import LoggedQuery
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base.dependencies import resources_of
from api.main import create_app
from runtime.settings import Settings
from store.base.database import (
    CALLER,
    JOB,
    Connector,
    OutcomeUnknownError,
    Timeouts,
    blames_data,
    is_busy,
    is_retryable_conflict,
    is_unavailable,
    make_engine,
    transaction,
)
from store.base.driver import KeptConnection, driver_errors
from store.base.liveness import watch_liveness
from store.base.locks import lock_sites
from store.base.notifications.listen import listen
from store.migrate import alembic_config, upgrade
from store.schema_version import NEEDED
from telemetry.mqtt import passes
from tests.factories.sites import controller_site, milliseconds, packet
from tests.helpers.databases import ended_committing, without_standby
from tests.helpers.support import ACTOR, make_depot, until

DEPOT = {"name": "Arrow Road", "timezone": "America/Toronto"}
BOUND = 30
"""Seconds; ends a broken test. The driver alone would wait for 60."""


@asynccontextmanager
async def calling(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller,
    ):
        yield caller


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        asyncpg.ProtocolError("unexpected"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
    ],
)
def test_a_lost_connection_is_one_however_the_driver_says_it(error: Exception) -> None:
    with pytest.raises(DBAPIError) as raised, driver_errors():
        raise error
    for each in (error, raised.value):
        assert is_unavailable(each)
        assert not is_busy(each)
        assert passes(each)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataError("invalid input for query argument $1: 'a' (an integer is required)"),
        asyncpg.InterfaceError("the number of query arguments cannot exceed 32767"),
        TypeError("a bug"),
    ],
)
def test_what_is_wrong_with_the_request_is_no_lost_connection(error: Exception) -> None:
    assert not is_unavailable(error)
    assert not is_busy(error)
    wrapped = DBAPIError("", None, error)
    assert not is_unavailable(wrapped)
    assert blames_data(wrapped) is not isinstance(error, TypeError)


@pytest.mark.parametrize(
    ("error", "busy"),
    [
        (asyncpg.LockNotAvailableError("canceling statement due to lock timeout"), True),
        (asyncpg.QueryCanceledError("canceling statement due to statement timeout"), True),
        (asyncpg.DeadlockDetectedError("deadlock detected"), False),
        (asyncpg.SerializationError("could not serialize access"), False),
    ],
)
def test_a_busy_database_is_there(error: Exception, busy: bool) -> None:
    wrapped = DBAPIError("", None, error)
    assert is_busy(wrapped) is busy
    assert is_retryable_conflict(wrapped) is not busy
    assert passes(wrapped)


async def _end_others(postgres_url: str, database_url: str, where: str, by: str = "pg_terminate_backend") -> bool:
    name = make_url(database_url).database
    server = await asyncpg.connect(postgres_url)
    try:
        ended = await server.fetchval(
            f"SELECT count({by}(pid)) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND {where}",
            name,
        )
        return bool(ended)
    finally:
        await server.close()


async def test_a_connection_that_is_ended_while_it_works_is_told_as_away(
    postgres_url: str, database_url: str, engine: AsyncEngine
) -> None:
    kept = KeptConnection(engine)

    async def in_transaction() -> None:
        async with kept.transaction() as driver:
            await driver.fetch("SELECT pg_sleep(60)")

    for work in (lambda: kept.fetch("SELECT pg_sleep(60)"), in_transaction) * 3:
        running: asyncio.Task[Any] = asyncio.ensure_future(work())
        await until(
            lambda: _end_others(postgres_url, database_url, "state = 'active' AND query = 'SELECT pg_sleep(60)'")
        )
        with pytest.raises((DBAPIError, OSError)) as raised:
            await running
        assert is_unavailable(raised.value)
        assert not isinstance(raised.value, OutcomeUnknownError)
    await kept.close()


async def test_packets_that_wait_while_the_connection_is_ended_are_told_so(
    postgres_url: str, database_url: str, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    async with calling(Settings(database_url=SecretStr(database_url))) as caller:
        body = packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true")
        for _ in range(5):
            async with transaction(engine, ACTOR) as connection:
                await lock_sites(connection, (site.depot_id,))
                sent = asyncio.create_task(caller.post("/api/telemetry/packets", json=body))
                await until(lambda: _end_others(postgres_url, database_url, "wait_event_type = 'Lock'"))
                assert told(await sent) == (503, "DATABASE_UNAVAILABLE")
        assert (await caller.post("/api/telemetry/packets", json=body)).status_code == 200


async def test_who_waits_for_a_lock_hears_that_it_is_busy(database_url: str, engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    async with (
        calling(Settings(database_url=SecretStr(database_url))) as caller,
        transaction(engine, ACTOR) as connection,
    ):
        await lock_sites(connection, (depot_id,))
        async with asyncio.timeout(BOUND):
            answer = await caller.post(f"/api/depots/{depot_id}/circuits", json={"name": "B"})
        assert told(answer) == (503, "DATABASE_BUSY")
        assert answer.headers["retry-after"]


async def test_a_process_that_hangs_in_a_transaction_loses_its_locks(database_url: str, engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    hanging = make_engine(database_url, timeouts=replace(CALLER, idle=0.2))
    try:
        with pytest.raises((DBAPIError, OSError)) as raised:
            async with transaction(hanging, ACTOR) as connection:
                await lock_sites(connection, (depot_id,))
                async with asyncio.timeout(BOUND), transaction(engine, ACTOR) as other:
                    await lock_sites(other, (depot_id,))
                # When it goes on after all, it hears that nothing of its transaction holds.
                await connection.execute(text("SELECT 1"))
        assert is_unavailable(raised.value)
        assert not isinstance(raised.value, OutcomeUnknownError)
        # On another connection it works again.
        async with transaction(hanging, ACTOR) as connection:
            await lock_sites(connection, (depot_id,))
    finally:
        await hanging.dispose()


@pytest.mark.parametrize("timeouts", [CALLER, JOB])
async def test_every_connection_limits_how_long_a_transaction_may_hang(database_url: str, timeouts: Timeouts) -> None:
    engine = make_engine(database_url, timeouts=timeouts)
    try:
        async with engine.connect() as connection:
            setting = text(
                "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)"
            )
            assert (await connection.execute(setting)).scalar_one() == timeouts.idle > 0
    finally:
        await engine.dispose()


async def test_what_takes_too_long_is_told_so(postgres_url: str, database_url: str, engine: AsyncEngine) -> None:
    async with (
        calling(Settings(database_url=SecretStr(database_url))) as caller,
        transaction(engine, ACTOR) as connection,
    ):
        # Broken off by hand, as by PostgreSQL where its time is over.
        await connection.execute(text("LOCK TABLE depots, depot_list"))
        for method, said in (("GET", "Ask for less"), ("POST", "Nothing was changed")):
            asked = asyncio.create_task(caller.request(method, "/api/depots", json=DEPOT if method == "POST" else None))
            while not asked.done():
                await _end_others(postgres_url, database_url, "wait_event_type = 'Lock'", "pg_cancel_backend")
            answer = await asked
            assert told(answer) == (503, "DATABASE_BUSY")
            assert "took longer than the 20 seconds" in answer.json()["detail"]
            assert said in answer.json()["detail"]
            assert "others" not in answer.json()["detail"]
            assert answer.headers["retry-after"] == "60"


async def test_a_commit_without_an_answer_is_not_told_as_nothing(
    postgres_url: str, database_url: str, engine: AsyncEngine
) -> None:
    async with calling(Settings(database_url=SecretStr(database_url))) as caller:
        async with without_standby(postgres_url) as server:
            sent = asyncio.create_task(caller.post("/api/depots", json=DEPOT))
            await ended_committing(server)
            answer = await sent
        assert told(answer) == (503, "OUTCOME_UNKNOWN")
        assert "Nothing was changed" not in answer.text
        # This time it holds.
        assert [each["name"] for each in (await caller.get("/api/depots")).json()["items"]] == ["Arrow Road"]


async def test_packets_without_an_answer_to_their_commit(
    postgres_url: str, database_url: str, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    body = packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true")
    async with calling(Settings(database_url=SecretStr(database_url))) as caller:
        async with without_standby(postgres_url) as server:
            sent = asyncio.create_task(caller.post("/api/telemetry/packets", json=body))
            await ended_committing(server)
            assert told(await sent) == (503, "OUTCOME_UNKNOWN")
        assert (await caller.post("/api/telemetry/packets", json=body)).status_code == 200


async def test_a_commit_that_is_refused_is_no_riddle(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError) as raised:
        async with transaction(engine, ACTOR) as connection:
            await connection.execute(text("CREATE TEMPORARY TABLE parents (id int PRIMARY KEY) ON COMMIT DROP"))
            await connection.execute(
                text("CREATE TEMPORARY TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
            )
            await connection.execute(text("INSERT INTO t VALUES (1), (1)"))
    assert not isinstance(raised.value, OutcomeUnknownError)
    assert blames_data(raised.value)


@asynccontextmanager
async def stopped(postgres_url: str) -> AsyncGenerator[None]:
    """PostgreSQL with all its processes is stopped, so that it says nothing, while the block runs."""
    folder = make_url(postgres_url).query["host"]
    processes: list[psutil.Process] = []
    with open(f"{folder}/postmaster.pid") as file:  # noqa: ASYNC230, PTH123
        master = psutil.Process(int(file.readline()))
    try:
        processes += [master, *master.children(recursive=True)]
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()


async def test_callers_hear_of_a_database_that_says_nothing(
    postgres_url: str, database_url: str, client: Client
) -> None:
    assert client.namespace == "default"
    async with calling(Settings(database_url=SecretStr(database_url), database_pool_size=2)) as caller:
        assert (await caller.get("/api/depots")).status_code == 200
        body = {"device_id": str(uuid4()), "timestamp": milliseconds(), "sensors": []}
        assert told(await caller.post("/api/telemetry/packets", json=body)) == (404, "UNKNOWN_DEVICE")
        async with stopped(postgres_url), asyncio.timeout(BOUND):
            calls = [caller.get("/api/depots") for _ in range(12)]
            calls += [caller.post("/api/depots", json=DEPOT), caller.post("/api/telemetry/packets", json=body)]
            answers = await asyncio.gather(*calls)
            assert {each.status_code for each in answers} == {503}
            assert {each.json()["code"] for each in answers} <= {"DATABASE_UNAVAILABLE", "DATABASE_BUSY"}
            ready = await caller.get("/readyz")
            assert (ready.status_code, ready.json()["database"]) == (503, "AWAY")

        async def back() -> bool:
            return (await caller.get("/api/depots")).status_code == 200

        await until(back)
        assert told(await caller.post("/api/telemetry/packets", json=body)) == (404, "UNKNOWN_DEVICE")


async def test_callers_hear_of_a_port_that_swallows_everything(client: Client) -> None:
    assert client.namespace == "default"

    writers: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with (
            asyncio.timeout(BOUND),
            calling(
                Settings(database_url=SecretStr(f"postgresql://a:b@127.0.0.1:{port}/c"), database_pool_size=1)
            ) as caller,
        ):
            answers = await asyncio.gather(*(caller.get("/api/depots") for _ in range(6)))
            assert {each.status_code for each in answers} == {503}
            assert (await caller.get("/readyz")).json()["status"] == "UNAVAILABLE"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def test_a_listener_notices_that_the_other_end_is_gone(
    postgres_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.base.notifications.listen._LOOK_EVERY", 0.1)
    monkeypatch.setattr("store.base.notifications.listen._LOOK_WITHIN", 0.5)
    engine = make_engine(database_url, timeouts=CALLER)
    connected = asyncio.Queue[None]()
    heard = asyncio.Queue[str]()
    listening = asyncio.create_task(listen(engine, "told", heard.put_nowait, lambda: connected.put_nowait(None)))
    try:
        async with asyncio.timeout(BOUND):
            await connected.get()
            async with stopped(postgres_url):
                await until(lambda: _waits_anew(engine))
            await connected.get()
            async with engine.begin() as connection:
                await connection.execute(text("SELECT pg_notify('told', 'something')"))
            assert await heard.get() == "something"
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await engine.dispose()


async def _waits_anew(engine: AsyncEngine) -> bool:
    return engine.pool.checkedout() == 0  # pyright: ignore[reportAttributeAccessIssue]


async def test_readiness_tells_a_used_up_pool_from_a_database_that_is_away(database_url: str, client: Client) -> None:
    assert client.namespace == "default"
    app = create_app(Settings(database_url=SecretStr(database_url), database_pool_size=2))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller,
    ):

        async def state() -> tuple[int, str, str]:
            ready = await caller.get("/readyz")
            return ready.status_code, ready.json()["status"], ready.json()["database"]

        assert await state() == (200, "READY", "OK")
        held = []
        while len(held) < 4:
            try:
                held.append(await resources_of(app).engine.connect())
            except (OperationalError, DBAPIError):
                break
            except Exception:  # noqa: BLE001 - the pool is used up: the watch holds one of it
                break
        assert await state() == (200, "DEGRADED", "BUSY")
        assert told(await caller.get("/api/depots")) == (503, "DATABASE_BUSY")
        assert (await caller.get("/metrics")).status_code == 200
        for each in held:
            await each.close()
        assert await state() == (200, "READY", "OK")


class Proxy:
    """What stands between the product and PostgreSQL, and can hold connections that are being made."""

    def __init__(self, database_url: str) -> None:
        self._there = make_url(database_url)
        self._open = asyncio.Event()
        self._open.set()
        self._ways: set[asyncio.Task[None]] = set()
        self.url = ""
        """The database's address through this."""
        self.held = 0
        """Connections that wait."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.held += 1
        await self._open.wait()
        self.held -= 1
        there, back = await asyncio.open_unix_connection(f"{self._there.query['host']}/.s.PGSQL.5432")
        self._ways |= {asyncio.create_task(_copy(reader, back)), asyncio.create_task(_copy(there, writer))}

    def hold(self) -> None:
        """Let nobody in any more."""
        self._open.clear()

    def let_in(self) -> None:
        """Let everybody in who waits."""
        self._open.set()

    @asynccontextmanager
    async def standing(self) -> AsyncGenerator[Proxy]:
        """Stand there while the block runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        self.url = self._there.set(host=host, port=port, query={}).render_as_string(hide_password=False)
        try:
            yield self
        finally:
            server.close()
            for way in self._ways:
                way.cancel()
            await asyncio.gather(*self._ways, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while part := await source.read(65_536):
            target.write(part)
            await target.drain()
    finally:
        target.close()


@asynccontextmanager
async def pulse_watched(connector: Connector, database_url: str) -> AsyncGenerator[None]:
    watching = asyncio.create_task(watch_liveness(connector, database_url))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.base.liveness.EVERY", 0.001)
    monkeypatch.setattr("store.base.liveness._STEP", 0.001)


@pytest.mark.usefixtures("quick_probe")
async def test_a_server_that_is_slow_to_connect_to_is_not_silent(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.base.liveness._STEPS_TO_CONNECT", 10**9)
    async with Proxy(database_url).standing() as proxy:
        connector = Connector(proxy.url)
        connection = await connector()
        proxy.hold()
        async with pulse_watched(connector, proxy.url):

            async def is_connecting() -> bool:
                return proxy.held == 1

            await until(is_connecting)
            # Each takes longer than some steps of the probe.
            for number in range(200):
                assert await connection.fetchval("SELECT $1::int", number) == number
            assert not connector.silent
        proxy.let_in()
        await connection.close()


@pytest.mark.usefixtures("quick_probe")
async def test_a_server_that_lets_nobody_in_is_silent_until_it_does(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.base.liveness._STEPS", 10**9)
    async with Proxy(database_url).standing() as proxy:
        connector = Connector(proxy.url)
        connection = await connector()
        proxy.hold()
        async with pulse_watched(connector, proxy.url):

            async def is_silent() -> bool:
                return connector.silent

            async def answers() -> bool:
                return not connector.silent

            await until(is_silent)
            assert connection.is_closed()
            with pytest.raises(ConnectionError):
                await connector()
            proxy.let_in()
            await until(answers)
            await (await connector()).close()


async def test_requests_tell_a_database_that_was_not_migrated(database_url: str, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    page = {"accept": "text/html"}
    async with calling(Settings(database_url=SecretStr(database_url))) as caller:
        # What is missing although every migration was applied is no matter of migrations.
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE depots RENAME TO once"))
        assert told(await caller.get("/api/depots")) == (500, "INTERNAL_ERROR")
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
        sent = packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true")
        for answer in (
            await caller.get("/api/depots"),
            await caller.post("/api/depots", json=DEPOT),
            await caller.post("/api/depots", json=DEPOT, headers={"idempotency-key": '"once"'}),
            await caller.get(f"/api/microgrids/{site.microgrid_id}/capability-status"),
            await caller.post("/api/telemetry/packets", json=sent),
        ):
            assert told(answer) == (503, "DATABASE_NOT_MIGRATED"), answer.request.url
            assert "python -m cli.migrate" in answer.json()["detail"]
        # Its own figures the process has all the same.
        assert "manage_database_up 0.0" in (await caller.get("/metrics")).text
        for path in ("/", f"/depots/{site.depot_id}", f"/depots/{site.depot_id}/load", "/backfills"):
            shown = await caller.get(path, headers=page)
            assert (shown.status_code, "python -m cli.migrate" in shown.text) == (503, True), path
        await asyncio.to_thread(upgrade, database_url)
        assert (await caller.get("/api/depots")).json()["items"] == []
        assert (await caller.post("/api/depots", json=DEPOT)).status_code == 201


async def test_readiness_tells_a_database_that_was_not_migrated(database_url: str, engine: AsyncEngine) -> None:
    async def database_state() -> tuple[int, str]:
        async with calling(Settings(database_url=SecretStr(database_url))) as caller:
            ready = await caller.get("/readyz")
            return ready.status_code, ready.json()["database"]

    assert await database_state() == (200, "OK")
    script = ScriptDirectory.from_config(alembic_config(database_url))
    assert script.get_current_head() == NEEDED
    # A version before went on working on what a later one made.
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert await database_state() == (200, "OK")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert await database_state() == (503, "NOT_MIGRATED")
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
    assert await database_state() == (503, "NOT_MIGRATED")
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    assert await database_state() == (503, "NOT_MIGRATED")


class _Overheard(Connector):
    """Makes connections and keeps what they are asked."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url, JOB)
        self.asked: list[str] = []

    async def __call__(self) -> asyncpg.Connection:
        made = await super().__call__()
        made.add_query_logger(self._note)
        return made

    def _note(self, record: LoggedQuery) -> None:
        self.asked.append(record.query)


async def test_a_connection_from_the_pool_is_asked_once_and_a_new_one_is_not(database_url: str) -> None:
    overheard = _Overheard(database_url)
    engine = make_engine(database_url, pool_size=1, connector=overheard)
    alive = "BEGIN; ROLLBACK;"
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        assert overheard.asked
        assert alive not in overheard.asked
        overheard.asked.clear()
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        assert overheard.asked[0] == alive
        assert overheard.asked.count(alive) == 1
    finally:
        await engine.dispose()


async def test_connections_that_the_server_ended_in_the_pool_are_made_again(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=3)
    own = text("SELECT pg_backend_pid()")
    try:
        async with engine.connect() as one, engine.connect() as two, engine.connect() as three:
            pids = {(await each.execute(own)).scalar_one() for each in (one, two, three)}
        killer = await asyncpg.connect(database_url)
        await killer.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", list(pids))
        await killer.close()
        async with engine.connect() as one, engine.connect() as two, engine.connect() as three:
            assert pids.isdisjoint({(await each.execute(own)).scalar_one() for each in (one, two, three)})
    finally:
        await engine.dispose()

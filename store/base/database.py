"""Connections and transactions. A transaction always knows who acts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakSet

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine import AdaptedConnection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from domain.base.actor import Actor
from store.base.origin import current_origin


@dataclass(frozen=True)
class Timeouts:
    """How long is waited for PostgreSQL, in seconds. What takes longer fails, and nothing of it holds."""

    connect: float
    """Until a connection is made."""
    pool: float
    """Until one of the process's connections is free."""
    lock: float
    """Until others have ended what stands in the way."""
    statement: float
    """Until a statement is done, waiting for locks included."""
    idle: float
    """Until the next statement of a transaction comes. A process that hangs thereby loses what it has locked."""


CALLER = Timeouts(connect=4.5, pool=4, lock=4, statement=20, idle=20)
"""Where somebody waits for the answer: whoever cannot be served hears of it within 5 seconds."""
JOB = Timeouts(connect=5, pool=30, lock=60, statement=600, idle=60)
"""Where nobody does, and a job goes on by itself."""
MIGRATION = Timeouts(connect=5, pool=30, lock=4, statement=600, idle=600)
"""Where a migration waits for a table, everybody else waits behind it: it gives up before a caller does."""


class Connector:
    """Makes the connections of an engine, and knows those that are open."""

    def __init__(self, database_url: str, timeouts: Timeouts = JOB) -> None:
        """Take the address.

        Raises:
            ValueError: it is none; the message does not hold the password.

        """
        if not database_url:
            raise ValueError(
                "Neither DATABASE_URL nor DATABASE_URL_FILE is set. `./dev up` sets it for what it starts."
            )
        try:
            address = make_url(database_url).set(drivername="postgresql")
        except (ArgumentError, ValueError):
            # What the parser quotes may be a piece of the password.
            raise ValueError(
                "DATABASE_URL has the form postgresql://user:password@host/database, user and password percent-encoded."
            ) from None
        self._address = address.render_as_string(hide_password=False)
        self._timeouts = timeouts
        self.silent = False
        """Whether PostgreSQL is known not to answer, so that nobody need wait for it."""
        self._limits: set[asyncio.Timeout] = set()
        """Of the connections that are being made."""
        self.connections: WeakSet[asyncpg.Connection] = WeakSet()

    async def __call__(self) -> asyncpg.Connection:
        """Make a connection.

        Raises:
            OSError: there is none to be had, for whatever reason.

        """
        if self.silent:
            raise ConnectionError("PostgreSQL does not answer.")
        limit = asyncio.timeout(self._timeouts.connect)
        self._limits.add(limit)
        try:
            async with limit:
                # The driver reads the address itself: it knows PostgreSQL's parameters (sslmode, sslrootcert, …).
                made = await asyncpg.connect(self._address)
                self.connections.add(made)
                await self._set(made)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise ConnectionError(str(error)) from error
        finally:
            self._limits.discard(limit)
        return made

    async def _set(self, connection: asyncpg.Connection) -> None:
        # Not as parameters of the start, which a pooler between may refuse.
        try:
            await connection.execute(
                f"SET lock_timeout = {self._timeouts.lock * 1000:.0f}; "
                f"SET statement_timeout = {self._timeouts.statement * 1000:.0f}; "
                f"SET idle_in_transaction_session_timeout = {self._timeouts.idle * 1000:.0f}; "
                # Compiling a statement takes longer than running it saves: none works for many seconds.
                "SET jit = off"
            )
        except BaseException:
            connection.terminate()
            raise

    def cut(self) -> None:
        """Cut all connections, and those that are being made, so that whoever waits on one hears of it."""
        for connection in list(self.connections):
            connection.terminate()
        for limit in list(self._limits):
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())


_IS_NEW = "is new"
"""Noted of a connection in the pool that nobody has had yet."""


def make_engine(
    database_url: str, *, pool_size: int = 10, timeouts: Timeouts = JOB, connector: Connector | None = None
) -> AsyncEngine:
    """An engine on ``database_url``, which may be written in PostgreSQL's own form, with its own parameters.

    Raises:
        ValueError: it is none; the message does not hold the password.

    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connector or Connector(database_url, timeouts),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=timeouts.pool,
        # An error's message is logged; what was to be stored is not for the log.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _note_that_it_is_new)
    event.listen(engine.sync_engine, "checkout", _ask_whether_it_lives)
    return engine


def _note_that_it_is_new(_: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    record.info[_IS_NEW] = True


def _ask_whether_it_lives(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
    """Ask a connection that was in the pool, in one round trip; SQLAlchemy's own way (``pool_pre_ping``) takes three.

    Raises:
        InvalidatePoolError: it does not; the pool makes another, and asks none that is as old.

    """
    if record.info.pop(_IS_NEW, False):
        return
    assert isinstance(connection, AdaptedConnection)
    try:
        connection.run_async(_answer)
    except (*AWAY, asyncpg.PostgresError) as error:
        if not is_unavailable(error):
            raise
        raise InvalidatePoolError from error


async def _answer(driver: asyncpg.Connection) -> None:
    # Not an empty statement, whose answer the driver cannot read. Traces leave out what begins with BEGIN.
    await driver.execute("BEGIN; ROLLBACK;")


class OutcomeUnknownError(DBAPIError):
    """The connection was lost while a COMMIT was under way: all of the transaction holds, or nothing of it."""

    @staticmethod
    def of(error: BaseException) -> OutcomeUnknownError:
        """The same as an error of its own."""
        lost = error.orig if isinstance(error, DBAPIError) else error
        return OutcomeUnknownError("COMMIT", None, lost or error, hide_parameters=True, connection_invalidated=True)


_ACT = text("""
    SELECT set_config('manage.actor', :name, true), set_config('manage.request_id', :request_id, true),
           set_config('manage.client', :client, true), set_config('manage.traceparent', :traceparent, true)
""")


@asynccontextmanager
async def transaction(engine: AsyncEngine, actor: Actor) -> AsyncGenerator[AsyncConnection]:
    """One transaction in which ``actor`` acts; the outbox triggers read the actor's name from it.

    Raises:
        OutcomeUnknownError: the COMMIT was not answered. Any other error of the database means that nothing holds.

    """
    committing = False
    try:
        async with engine.begin() as connection:
            await act_as(connection, actor)
            yield connection
            committing = True
    except FAILURES as error:
        if committing and is_unavailable(error) and not is_busy(error):
            raise OutcomeUnknownError.of(error) from error
        raise


async def act_as(connection: AsyncConnection, actor: Actor) -> None:
    """Say who acts in the transaction that runs, and in which request, for the triggers and the journal."""
    origin = current_origin()
    given = {
        "name": actor.name,
        "request_id": origin.request_id,
        "client": origin.client,
        "traceparent": origin.traceparent,
    }
    await connection.execute(_ACT, given)


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A read-only transaction whose statements all see one moment."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            yield connection


_PLAN_ONCE = text("SET LOCAL plan_cache_mode = force_generic_plan")


async def plan_once(connection: AsyncConnection) -> None:
    """Have PostgreSQL plan what follows in the transaction once a connection, whatever values it is given.

    By itself it plans each time what looks into tables of many months, which takes longer than to run it: it does not
    see that a plan for any values leaves out months, too, as it runs. A plan is kept with the connection and takes a
    megabyte or more, so statements of many forms come before.
    """
    await connection.execute(_PLAN_ONCE)


AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    # The driver loses its way where the server ends the connection at the wrong moment.
    asyncpg.InternalClientError,
    OSError,
)
"""What the driver raises where the database cannot be reached."""
FAILURES = (SQLAlchemyError, asyncpg.PostgresError, *AWAY)
"""What anything that asks the database may raise because of the database."""
_BUSY = frozenset({"55P03", "57014", "53300"})
"""SQLSTATEs: a lock was not had in time, a statement was not done in time, no connection is free."""
_OUTRUN = frozenset({"40001", "40P01"})
"""SQLSTATEs: another transaction was faster, and this one was undone."""


def _causes(error: BaseException) -> tuple[BaseException | None, ...]:
    # Through SQLAlchemy the driver's own error is the cause; past it, the error itself.
    return (error.orig, getattr(error.orig, "__cause__", None)) if isinstance(error, DBAPIError) else (error,)


def _sqlstate(error: BaseException) -> str:
    return next((str(found) for each in _causes(error) if (found := getattr(each, "sqlstate", None))), "")


def is_unavailable(error: BaseException) -> bool:
    """Say whether an error means that the database cannot be reached, rather than that it refused something."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return any(isinstance(cause, AWAY) and not _is_misuse(cause) for cause in _causes(error))


def _is_misuse(cause: BaseException | None) -> bool:
    # The driver says by the same class that a connection is lost, that another statement still holds it, and that it
    # was given what it cannot send.
    said = str(cause).lower()
    return isinstance(cause, asyncpg.InterfaceError) and "connection" not in said and "operation" not in said


def is_used_up(engine: AsyncEngine) -> bool:
    """Say whether every connection that the pool may have is in use, so that the next caller waits."""
    return pool_use(engine)["in_use"] >= pool_limit(engine)


def pool_limit(engine: AsyncEngine) -> int:
    """Say how many connections the pool may have."""
    return 2 * _pool(engine).size()


def pool_use(engine: AsyncEngine) -> dict[str, int]:
    """Say how many connections the pool has that are in use, and how many are idle."""
    pool = _pool(engine)
    return {"in_use": pool.checkedout(), "idle": pool.checkedin()}


def _pool(engine: AsyncEngine) -> QueuePool:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool


def is_busy(error: BaseException) -> bool:
    """Say whether the database is there and could not serve this in time. Nothing was changed."""
    return isinstance(error, PoolTimeoutError) or _sqlstate(error) in _BUSY


def took_too_long(error: BaseException) -> bool:
    """Say whether a statement itself took longer than it may: no lock and no connection was waited for in vain."""
    return _sqlstate(error) == "57014"


def was_locked_out(error: BaseException) -> bool:
    """Say whether a lock was not had in time. Nothing was changed; tried again later, it may be had."""
    return _sqlstate(error) == "55P03"


def is_retryable_conflict(error: BaseException) -> bool:
    """Say whether the transaction lost against another one. Nothing was changed; tried again, it may win."""
    return _sqlstate(error) in _OUTRUN


_MISSING = frozenset({"42P01", "42703", "42883", "42704", "3F000"})
"""SQLSTATEs: there is no such table, column, function, type or schema."""


def misses_schema(error: BaseException) -> bool:
    """Say whether a statement named what the database does not have, as where it was not migrated."""
    return _sqlstate(error) in _MISSING


async def clock(connection: AsyncConnection) -> datetime:
    """Return the database's time at this moment, not at the transaction's beginning.

    One clock for all processes: what is stored under a lock comes after what was stored before the lock was had.
    """
    return (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()


_DATA = ("22", "23")
"""SQLSTATE classes: a value that cannot be stored, and a constraint that it breaks."""


def blames_data(error: DBAPIError) -> bool:
    """Say whether the database refused what it was given, so that giving it again changes nothing.

    Anything else passes: a deadlock, a full disk, a standby that does not write, a schema that is being migrated.
    """
    return _sqlstate(error).startswith(_DATA) or any(_is_misuse(cause) for cause in _causes(error))

"""Connections and transactions. A transaction always knows who acts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from domain.actor import Actor


def make_engine(database_url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine on ``database_url``, which may be written in PostgreSQL's own form, with its own parameters.

    Raises:
        ValueError: it is none; the message does not hold the password.

    """
    if not database_url:
        raise ValueError("DATABASE_URL is not set. `./dev up` sets it for the processes that it starts.")
    try:
        address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    except (ArgumentError, ValueError):
        # What the parser quotes may be a piece of the password.
        raise ValueError(
            "DATABASE_URL has the form postgresql://user:password@host/database, user and password percent-encoded."
        ) from None

    async def connect() -> asyncpg.Connection:
        # The driver reads the address itself: it knows PostgreSQL's parameters (sslmode, sslrootcert, …).
        return await asyncpg.connect(address)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        # An error's message is logged; what was to be stored is not for the log.
        hide_parameters=True,
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, actor: Actor) -> AsyncGenerator[AsyncConnection]:
    """One transaction in which ``actor`` acts; the outbox triggers read the actor's name from it."""
    async with engine.begin() as connection:
        await act_as(connection, actor)
        yield connection


async def act_as(connection: AsyncConnection, actor: Actor) -> None:
    """Say who acts in the transaction that runs."""
    await connection.execute(text("SELECT set_config('manage.actor', :name, true)"), {"name": actor.name})


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A read-only transaction whose statements all see one moment."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            yield connection


AWAY = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError, OSError)
"""What the driver raises where the database cannot be reached."""


def is_away(error: BaseException) -> bool:
    """Say whether an error means that the database cannot be reached, rather than that it refused something."""
    if isinstance(error, DBAPIError):
        # Through SQLAlchemy the driver's own error is the cause; past it, the error itself.
        causes = (error.orig, getattr(error.orig, "__cause__", None))
        return error.connection_invalidated or any(isinstance(cause, AWAY) for cause in causes)
    return isinstance(error, (PoolTimeoutError, *AWAY))


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
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_DATA)

"""The driver's own connection, for the few statements that run thousands of times a second.

SQLAlchemy takes longer for such a statement than PostgreSQL does. What goes past it is written with the driver's own
placeholders (``$1``), is prepared once a connection, and fails as if it had gone through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

import asyncpg
import uuid_utils
from asyncpg.pgproto import pgproto
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.base.database import FAILURES, OutcomeUnknownError, is_busy, is_unavailable

_CLOSE_WITHIN = 5.0
"""Seconds."""
_PLAN_ONCE = """
    SET plan_cache_mode = force_generic_plan; SET jit = off;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off
"""
"""Planning takes longer than running these statements, so they are planned once. All of them look rows up by their
keys, one by one; a plan that was made while a table was empty must not read the whole of it later."""


def new_id() -> UUID:
    """Make an id of version 7 as the driver gives ids, which takes a third of the time to make and to write."""
    return pgproto.UUID(uuid_utils.uuid7().bytes)


class KeptConnection:
    """One connection of an engine, kept between transactions and replaced once it is lost.

    A connection from the pool is asked whether it lives each time it is taken, which costs a round trip. This one is
    looked at instead: where PostgreSQL has gone, the system has already said so.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._driver: asyncpg.Connection | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[asyncpg.Connection]:
        """One transaction. Only one can be open at a time.

        Raises:
            OutcomeUnknownError: the COMMIT was not answered: nothing of the transaction holds, or all of it.
            DBAPIError, OSError: as through SQLAlchemy. Nothing of it holds.

        """
        driver = await self._connected()
        committing = False
        try:
            with driver_errors():
                async with driver.transaction():
                    yield driver
                    committing = True
        except BaseException as error:
            if driver.is_closed() or driver.is_in_transaction():
                await self.close()
            if committing and is_unavailable(error) and not is_busy(error):
                raise OutcomeUnknownError.of(error) from error
            raise

    async def fetch(self, statement: str, *given: object) -> list[asyncpg.Record]:
        """Read in a transaction of its own.

        Raises:
            DBAPIError, OSError: as through SQLAlchemy.

        """
        driver = await self._connected()
        try:
            with driver_errors():
                return await driver.fetch(statement, *given)
        except DBAPIError as error:
            if is_unavailable(error):
                await self.close()
            raise

    async def close(self) -> None:
        """Give the connection up; the next call makes another."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            with suppress(*FAILURES):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await connection.invalidate()
                    await connection.close()

    async def _connected(self) -> asyncpg.Connection:
        if self._driver is not None and not self._driver.is_closed():
            return self._driver
        await self.close()
        self._connection = await self._engine.connect()
        driver = await _driver_of(self._connection)
        with driver_errors():
            await driver.execute(_PLAN_ONCE)
        self._driver = driver
        return driver


async def driver_in(connection: AsyncConnection) -> asyncpg.Connection:
    """The driver's connection in the transaction that ``connection`` has open."""
    # SQLAlchemy begins with the first statement that goes through it.
    await connection.execute(text("SELECT"))
    return await _driver_of(connection)


async def _driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, asyncpg.Connection)
    return driver


@contextmanager
def driver_errors() -> Generator[None]:
    """Raise what the driver raises as SQLAlchemy would, so that callers need to know one kind of error."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DBAPIError("", None, error) from error

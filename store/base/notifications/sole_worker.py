"""What one process of several does: the one that holds a lock of PostgreSQL's. When it is gone, another takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.base.database import is_busy, is_unavailable
from store.base.notifications.listen import connection_lost

_log = structlog.get_logger("sole-worker")

_SEED = 29
"""Keeps these advisory locks apart from others that are made of a text. It never changes: processes of two
releases, side by side, must mean the same lock."""
_PAUSE = 1.0
"""Seconds between two tries to get the lock."""
_SILENT = 15
"""Seconds after which a holder that says nothing loses the lock: it hangs, or its machine is gone. Others look at their
connection every five."""


async def work_alone(engine: AsyncEngine, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` whenever this process is the one that holds the lock ``name``, until cancelled or the work ends.

    Who loses the database goes on, and stops once it hears that another has the lock: two may work for a moment.
    """
    holder = _Holder(name, work)
    try:
        while not holder.has_ended:
            try:
                async with engine.connect() as connection:
                    await holder.hold(connection)
            except Exception as error:
                if not (is_unavailable(error) or is_busy(error)):
                    raise
                _log.warning("lock lost", name=name, error=str(error))
            if not holder.has_ended:
                await asyncio.sleep(_PAUSE)
        await holder.result()
    finally:
        await holder.stop()


class _Holder:
    """The work while it is done, and the lock on one connection after the other."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the work ended by itself."""
        return self._task is not None and self._task.done()

    async def result(self) -> None:
        """Raise what ended the work."""
        assert self._task is not None
        await self._task

    async def stop(self) -> None:
        """End the work, if it is done."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def hold(self, connection: AsyncConnection) -> None:
        """Work while this connection has the lock; return at once where another has it."""
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        try:
            # Past SQLAlchemy: a transaction that stays open would hold others back.
            await driver.execute(f"SET idle_session_timeout = '{_SILENT}s'")
            if not await driver.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, $2))", self._name, _SEED):
                if self._task is not None:
                    _log.info("another process took over", name=self._name)
                    await self.stop()
                return
            if self._task is None:
                _log.info("works alone", name=self._name)
                self._task = asyncio.create_task(self._run(), name=f"{self._name}, alone")
            losing = asyncio.create_task(connection_lost(driver))
            try:
                await asyncio.wait({self._task, losing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                losing.cancel()
                await asyncio.gather(losing, return_exceptions=True)
        finally:
            # With the connection goes the lock.
            await connection.invalidate()

    async def _run(self) -> None:
        await self._work()

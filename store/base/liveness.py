"""The liveness of PostgreSQL: whether it answers at all, so that nobody waits for one that does not.

A server that is stopped, or whose packets are swallowed on the way, says nothing: a connection to it looks like one
with a slow statement. So it is asked something small all the time, on a connection of its own. Where even that is not
answered, all connections are cut, which whoever waits on one hears at once, and no new one is tried until it answers
again.

A server that is short of processor answers on a connection that it has, and may need seconds to make another: a process
of its own, with the catalogue to read. That is no silence. Cut connections would all have to be made anew, which is
what it is slow at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.database import CALLER, FAILURES, Connector, Timeouts, make_engine

_log = structlog.get_logger("liveness")

EVERY = 0.5
"""Seconds between two questions."""
_STEP = 0.5
_STEPS = 6
"""So many steps without an answer, and PostgreSQL counts as silent. Counted, not timed: where this process itself was
held up, that is one step, however long it took."""
_STEPS_TO_CONNECT = 20
"""The same where a connection has to be made first. Who makes one meanwhile has a limit of their own."""
_UNLIMITED = Timeouts(connect=3600, pool=0, lock=20, statement=20, idle=20)
"""The steps are the limit."""


@dataclass(frozen=True)
class Database:
    """The connections of a process."""

    engine: AsyncEngine
    """For everything that it does."""
    health_engine: AsyncEngine
    """Beside those, for its health and its figures: never taken by work."""


@asynccontextmanager
async def open_database(database_url: str, *, pool_size: int, timeouts: Timeouts) -> AsyncGenerator[Database]:
    """Keep the connections of a process, and watch whether the server answers, while the block runs."""
    connector = Connector(database_url, timeouts)
    engine = make_engine(database_url, pool_size=pool_size, timeouts=timeouts, connector=connector)
    health_engine = make_engine(database_url, pool_size=1, timeouts=CALLER)
    watching = asyncio.create_task(watch_liveness(connector, database_url))
    try:
        yield Database(engine, health_engine)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await engine.dispose()
        await health_engine.dispose()


async def watch_liveness(connector: Connector, database_url: str) -> None:
    """Keep ``connector`` informed whether PostgreSQL answers at ``database_url``, until cancelled."""
    probe = _LivenessProbe(Connector(database_url, _UNLIMITED))
    try:
        while True:
            answers = await probe.is_alive()
            if connector.silent == answers:
                _log.warning("database answers again" if answers else "database does not answer")
            connector.silent = not answers
            if not answers:
                connector.cut()
            await asyncio.sleep(EVERY)
    finally:
        probe.release()


class _LivenessProbe:
    """A connection on which nothing is asked but whether there is an answer."""

    def __init__(self, connect: Connector) -> None:
        self._connect = connect
        self._connection: asyncpg.Connection | None = None

    async def is_alive(self) -> bool:
        """Say whether PostgreSQL answers; a refusal is an answer, for then nobody waits."""
        if self._connection is None or self._connection.is_closed():
            answers = await _in_steps(self._make(), _STEPS_TO_CONNECT)
        else:
            answers = await _in_steps(self._ask(self._connection), _STEPS)
        if not answers:
            self.release()
        return answers

    async def _make(self) -> None:
        self._connection = await self._connect()

    async def _ask(self, connection: asyncpg.Connection) -> None:
        await connection.execute("SELECT 1")

    def release(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def _in_steps(asked: Coroutine[Any, Any, None], steps: int) -> bool:
    """Say whether there was an answer, whatever it was, within so many steps."""
    asking = asyncio.create_task(asked)
    try:
        for _ in range(steps):
            done, _ = await asyncio.wait({asking}, timeout=_STEP)
            if done:
                return not isinstance(await _failure(asking), TimeoutError)
        return False
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _failure(asking: asyncio.Task[None]) -> Exception | None:
    try:
        await asking
    except FAILURES as error:
        return error
    except Exception:  # noqa: BLE001 - the probe must not stop, whatever it is
        # It was no question of whether PostgreSQL answers.
        _log.exception("liveness not probed")
    return None

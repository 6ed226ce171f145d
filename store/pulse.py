"""The pulse of PostgreSQL: whether it answers at all, so that nobody waits for one that does not.

A server that is stopped, or whose packets are swallowed on the way, says nothing: a connection to it looks like one
with a slow statement. So it is asked something small all the time, on a connection of its own. Where even that is not
answered, all connections are cut, which whoever waits on one hears at once, and no new one is tried until it answers
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import CALLER, FAILURES, Connector, Patience, make_engine

_log = structlog.get_logger("pulse")

EVERY = 0.5
"""Seconds between two questions."""
_STEP = 0.5
_STEPS = 6
"""So many steps without an answer, and PostgreSQL counts as silent. Counted, not timed: where this process itself was
held up, that is one step, however long it took."""


@dataclass(frozen=True)
class Database:
    """The connections of a process."""

    engine: AsyncEngine
    """For everything that it does."""
    lookout: AsyncEngine
    """Two connections beside those, for its health and its figures: never taken by work."""


@asynccontextmanager
async def open_database(database_url: str, *, pool_size: int, patience: Patience) -> AsyncGenerator[Database]:
    """Keep the connections of a process, and watch the pulse of what they lead to, while the block runs."""
    connector = Connector(database_url, patience)
    engine = make_engine(database_url, pool_size=pool_size, patience=patience, connector=connector)
    lookout = make_engine(database_url, pool_size=1, patience=CALLER)
    watching = asyncio.create_task(watch_pulse(connector, lookout))
    try:
        yield Database(engine, lookout)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await engine.dispose()
        await lookout.dispose()


async def watch_pulse(connector: Connector, lookout: AsyncEngine) -> None:
    """Keep ``connector`` told whether PostgreSQL answers on ``lookout``, until cancelled."""
    while True:
        answers = await _answers(lookout)
        if connector.silent == answers:
            _log.warning("database answers again" if answers else "database does not answer")
        connector.silent = not answers
        if not answers:
            connector.cut()
        await asyncio.sleep(EVERY)


async def _answers(lookout: AsyncEngine) -> bool:
    """Say whether it answers; a refusal is an answer, for then nobody waits."""
    asking = asyncio.create_task(_ask(lookout))
    try:
        for _ in range(_STEPS):
            done, _ = await asyncio.wait({asking}, timeout=_STEP)
            if done:
                return asking.result()
        return False
    finally:
        asking.cancel()


async def _ask(lookout: AsyncEngine) -> bool:
    try:
        async with lookout.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except FAILURES as error:
        return not isinstance(error, TimeoutError)
    except Exception:  # noqa: BLE001 - the pulse must not stop, whatever it is
        # It was no question of whether PostgreSQL answers.
        _log.exception("pulse not taken")
    return True

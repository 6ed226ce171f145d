"""Hearing what PostgreSQL says on a channel, for as long as the process lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.base.database import is_busy, is_unavailable

_log = structlog.get_logger("listen")

_PAUSE = 1.0
"""Seconds between two tries to connect again."""
_LOOK_EVERY = 5.0
"""Seconds between two looks at whether the connection is still one."""
_LOOK_WITHIN = 5.0
"""Seconds that it may take to answer."""


def _nothing() -> None:
    pass


async def listen(
    engine: AsyncEngine,
    channel: str,
    on_payload: Callable[[str], None],
    on_connected: Callable[[], None],
    on_lost: Callable[[], None] = _nothing,
) -> None:
    """Call ``on_payload`` with each notification until cancelled. One that it cannot read, which it says by a
    ``ValueError``, is skipped: whoever reaches the database may send anything.

    ``on_connected`` is called whenever the connection is made: what was said before that moment was not heard.
    ``on_lost`` is called when it is lost, which is noticed within 10 seconds.
    """
    while True:
        try:
            async with engine.connect() as connection:
                try:
                    await _hear(connection, channel, on_payload, on_connected)
                finally:
                    on_lost()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would listen
            if is_unavailable(error) or is_busy(error):
                _log.warning("listener lost", channel=channel, error=str(error))
            else:
                _log.exception("listener failed", channel=channel)
        await asyncio.sleep(_PAUSE)


async def _hear(
    connection: AsyncConnection, channel: str, on_payload: Callable[[str], None], on_connected: Callable[[], None]
) -> None:
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, asyncpg.Connection)

    is_told = False

    def on_notified(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        nonlocal is_told
        try:
            on_payload(str(payload))
        except ValueError:
            # Once a connection: whoever sends one may send thousands.
            if not is_told:
                _log.warning("malformed notifications skipped", channel=channel)
            is_told = True

    try:
        await driver.add_listener(channel, on_notified)
        on_connected()
        await connection_lost(driver)
    finally:
        # It would go on listening in the hands of whoever gets it next from the pool.
        await connection.invalidate()


async def connection_lost(driver: asyncpg.Connection) -> None:
    """Wait until a connection is lost. One whose other end is gone without a word is found out by asking.

    Raises:
        DBAPIError, asyncpg.PostgresError, OSError: what it was lost by, where that is known.

    """
    lost = asyncio.Event()

    def on_lost(*_: object) -> None:
        lost.set()

    driver.add_termination_listener(on_lost)
    try:
        while not lost.is_set() and not driver.is_closed():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await lost.wait()
            if not lost.is_set():
                try:
                    await driver.execute("SELECT", timeout=_LOOK_WITHIN)
                except TimeoutError:
                    # It is not to be closed in good order either, which would wait for an answer, too.
                    driver.terminate()
                    raise
    finally:
        driver.remove_termination_listener(on_lost)

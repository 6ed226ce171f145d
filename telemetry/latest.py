"""The latest statuses, read in groups: whoever asks while one query runs is answered by the next one, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from runtime.supervision import supervised
from store.base.driver import KeptConnection
from store.monitoring.capability_status import LatestRecord, read_many_latest

MAX_GROUP = 200
"""Microgrids in one query."""


class LatestReader:
    """Reads latest statuses. What is answered was read after it was asked for, never before."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._connection = KeptConnection(engine)
        self._asked: dict[UUID, asyncio.Future[list[LatestRecord]]] = {}
        self._rung = asyncio.Event()

    async def read(self, microgrid_id: UUID) -> list[LatestRecord]:
        """Read the latest status of every capability of a microgrid.

        Raises:
            Problem: ``MICROGRID_NOT_FOUND``.
            DBAPIError, OSError: the database is down.

        """
        asked = self._asked.get(microgrid_id)
        if asked is None:
            asked = self._asked[microgrid_id] = asyncio.get_running_loop().create_future()
            self._rung.set()
        # Others may wait for the same answer, so one that leaves does not take it away.
        found = await asyncio.shield(asked)
        if not found:
            raise Problem(ProblemCode.MICROGRID_NOT_FOUND, f"There is no microgrid {microgrid_id}.")
        return found

    async def work(self) -> None:
        """Answer until cancelled."""
        self._rung.set()  # for who asked before, where this is not the first time
        try:
            while True:
                await self._rung.wait()
                self._rung.clear()
                while self._asked:
                    await self._answer(self._next_group())
        finally:
            await self._connection.close()

    def _next_group(self) -> dict[UUID, asyncio.Future[list[LatestRecord]]]:
        group = {each: self._asked[each] for each, _ in zip(self._asked, range(MAX_GROUP), strict=False)}
        for each in group:
            del self._asked[each]
        return group

    async def _answer(self, group: dict[UUID, asyncio.Future[list[LatestRecord]]]) -> None:
        try:
            found = await read_many_latest(self._connection, group.keys())
        except BaseException as error:
            # Whoever waits must hear of it, whatever it is.
            reported = error if isinstance(error, Exception) else InterruptedError("The reader was interrupted.")
            for asked in group.values():
                asked.set_exception(reported)
                # Read once here: a caller that left will not.
                asked.exception()
            if reported is not error:
                raise
            return
        for microgrid_id, asked in group.items():
            asked.set_result(found.get(microgrid_id, []))


@asynccontextmanager
async def open_reader(engine: AsyncEngine) -> AsyncGenerator[LatestReader]:
    """Keep a reader at work while the block runs."""
    reader = LatestReader(engine)
    async with supervised("latest reader", reader.work):
        yield reader

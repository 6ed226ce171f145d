"""What API processes tell each other: counts that hold for all of them together, however many there are.

By PostgreSQL's NOTIFY, several in one statement. Whoever is not heard is not waited for: each process counts in its own
memory, and what the others say is added to it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Annotated
from uuid import uuid4

import structlog
from pydantic import Field, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.supervision import supervised
from store.base.database import is_busy, is_unavailable
from store.base.notifications.listen import listen
from store.base.notifications.notify import MAX_PAYLOAD_BYTES, tell_processes

_log = structlog.get_logger("exchange")

_CHANNEL = "api_processes"
_COLLECT = 0.1
"""Seconds in which is collected what one statement tells."""
MOST = 1_000
"""Of what waits to be told or to be counted, so much is kept; more is not told."""

Hear = Callable[..., Awaitable[None]]
"""Counts what another process told."""

_MESSAGE: TypeAdapter[list[str | int]] = TypeAdapter(Annotated[list[str | int], Field(min_length=3)])
"""Which process tells, the number of what it tells, the word for it, and values."""


class Exchange:
    """Tells the other API processes, and hears them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._me = uuid4().hex
        self._numbers = count()
        self._to_tell: asyncio.Queue[str] = asyncio.Queue(MOST)
        self._heard: asyncio.Queue[tuple[Hear, tuple[str, ...]]] = asyncio.Queue(MOST)
        self._hearing: dict[str | int, tuple[TypeAdapter[tuple[str, ...]], Hear]] = {}

    def when_told(self, what: str, values: type[tuple[str, ...]], hear: Hear) -> None:
        """Call this with what another process told under this word: values of this type, a tuple of texts."""
        self._hearing[what] = TypeAdapter(values), hear

    def tell(self, what: str, *values: str) -> None:
        """Tell the other processes soon. With too much to tell, or without a database, they do not hear of it."""
        # Numbered: PostgreSQL makes one of equal notifications in a transaction.
        payload = json.dumps([self._me, next(self._numbers), what, *values])
        # What a proxy calls an address may be of any length.
        if not self._to_tell.full() and len(payload) <= MAX_PAYLOAD_BYTES:
            self._to_tell.put_nowait(payload)

    async def listen(self) -> None:
        """Hear the others until cancelled."""
        await listen(self._engine, _CHANNEL, self._hear, lambda: None)

    def _hear(self, payload: str) -> None:
        sender, _, what, *values = _MESSAGE.validate_json(payload)
        # A process of a later release may tell what this one does not know.
        if sender == self._me or what not in self._hearing:
            return
        expected, hear = self._hearing[what]
        told = expected.validate_python(tuple(values))
        if not self._heard.full():
            self._heard.put_nowait((hear, told))

    async def count(self) -> None:
        """Count what is heard until cancelled."""
        while True:
            hear, told = await self._heard.get()
            await hear(*told)

    async def send(self) -> None:
        """Send what is to be told until cancelled."""
        while True:
            payloads = [await self._to_tell.get()]
            await asyncio.sleep(_COLLECT)
            while not self._to_tell.empty():
                payloads.append(self._to_tell.get_nowait())
            try:
                async with self._engine.begin() as connection:
                    await tell_processes(connection, _CHANNEL, payloads)
            except Exception as error:
                if not (is_unavailable(error) or is_busy(error)):
                    raise
                _log.warning("other processes not told", things=len(payloads), error=str(error))


@asynccontextmanager
async def open_exchange(engine: AsyncEngine) -> AsyncGenerator[Exchange]:
    """Tell and hear while the block runs."""
    exchange = Exchange(engine)
    async with (
        supervised("exchange's listener", exchange.listen),
        supervised("exchange's counting", exchange.count),
        supervised("exchange", exchange.send),
    ):
        yield exchange

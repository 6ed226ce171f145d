"""The bodies of imports: put aside on the disk before the database is asked for anything, and few at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from domain.problems import Problem, ProblemCode

AT_ONCE = 4
"""Imports of one process. Each holds a connection to the database while it lands and its report is read."""
_PIECE = 65_536


class Imports:
    """The imports that go on in one process."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = at_once

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Have one of the places while the block runs.

        Raises:
            Problem: ``TOO_MANY_IMPORTS``.

        """
        if not self._free:
            raise Problem(
                ProblemCode.TOO_MANY_IMPORTS, "Other imports are going on, as many as may. Send this one again later."
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


@asynccontextmanager
async def put_aside(chunks: AsyncIterable[bytes]) -> AsyncGenerator[AsyncIterator[bytes]]:
    """Write a stream to a temporary file, then give it back from there while the block runs."""
    with tempfile.TemporaryFile() as file:
        waiting = bytearray()
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= _PIECE:
                await asyncio.to_thread(file.write, waiting)
                waiting = bytearray()
        await asyncio.to_thread(file.write, waiting)
        file.seek(0)
        yield _pieces(file)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece

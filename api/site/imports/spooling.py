"""The bodies of imports: put aside on the disk before the database is asked for anything."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

_PIECE = 65_536


@asynccontextmanager
async def spool(chunks: AsyncIterable[bytes]) -> AsyncGenerator[AsyncIterator[bytes]]:
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

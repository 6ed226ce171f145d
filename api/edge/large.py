"""Answers that grow with a depot: made in a thread and sent in pieces, so that nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from fastapi import Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from store.base.off_loop import off_loop

_PIECE = 65_536
"""Bytes that are compressed at once, which takes a millisecond or two."""


async def large_document(items: int, make: Callable[[], BaseModel]) -> Response:
    """Answer with the document that ``make`` makes of about so many ``items``."""
    return in_pieces(await off_loop(items, lambda: make().model_dump_json().encode()), "application/json")


def in_pieces(body: bytes, media_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with ``body``; others have their turn between its pieces where it is large."""
    if len(body) <= _PIECE:
        return Response(body, status, headers, media_type)
    return StreamingResponse(_pieces(body), status, headers, media_type)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]
        await asyncio.sleep(0)

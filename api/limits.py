"""How large a request's body may be."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 1_048_576
"""A depot with a few thousand circuits fits; the import streams its own body and is not bound by this."""


class BodyLimit:
    """Refuses a body beyond the limit before it is held in memory."""

    def __init__(self, app: ASGIApp, *, unbounded: frozenset[str]) -> None:
        self._app = app
        self._unbounded = unbounded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http" or scope["path"] in self._unbounded:
            await self._app(scope, receive, send)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                raise HTTPException(413, f"A body here has at most {MAX_BODY_BYTES} bytes.")
            return message

        await self._app(scope, bounded, send)

"""What lets Temporal's UI, a page of another origin, ask the codec of its payloads: CORS, for its origin alone."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.base.access import TEMPORAL_CODEC


class TemporalUi:
    """Answers the questions that a browser asks before the UI's request, and lets the UI read the answers.

    It stands before the guard, because such a question carries no proof; the request itself does.
    """

    def __init__(self, app: ASGIApp, *, origin: str) -> None:
        """Take the UI's origin."""
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=[origin],
            allow_methods=["POST"],
            # Without cookies: a session's changes come from the product's own pages.
            allow_headers=["authorization", "content-type", "x-namespace"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        is_codec = scope["type"] == "http" and scope["path"].startswith(TEMPORAL_CODEC)
        await (self._cors if is_codec else self._app)(scope, receive, send)

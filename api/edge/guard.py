"""The guard of the whole application: nothing is reached past it, and no answer leaves without its headers.

It stands before the routes, the files, the documentation and the fast path, so refusals of the framework itself and
answers to unexpected errors carry the same headers as any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.base.access import admit
from api.base.problems import answer_error
from domain.base.problems import Problem
from runtime.settings import Settings

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For what is no page: nothing in it is ever run or loaded. Pages bring their own (``api/ui/base/rendering.py``)."""
_DOCS_POLICY = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    b"frame-ancestors 'none'"
)
"""Swagger UI begins with a script in its page and styles itself; it shows nothing but our own document."""


class Guard:
    """Lets requests in, or not (``api/base/access.py``)."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "http":
            try:
                admit(scope, self._settings)
            except Problem as problem:
                response = await answer_error(Request(scope, receive), problem)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Dressed:
    """Puts the security headers on every answer, whoever gave it."""

    def __init__(self, app: ASGIApp, *, docs: str | None) -> None:
        """Take where the documentation page is."""
        self._app = app
        self._docs = docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = _DOCS_POLICY if scope["path"] == self._docs else _POLICY

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _dress(message.get("headers", ()), policy)
            await send(message)

        await self._app(scope, receive, dressed)


def _dress(headers: Iterable[tuple[bytes, bytes]], policy: bytes) -> list[tuple[bytes, bytes]]:
    found = list(headers)
    names = {name for name, _ in found}
    found += [each for each in _HEADERS if each[0] not in names]
    if b"content-security-policy" not in names:
        found.append((b"content-security-policy", policy))
    return found

"""The guard of the whole application: nothing is reached past it, and no answer leaves without its headers.

It stands before the routes, the files, the documentation and the fast path, so refusals of the framework itself and
answers to unexpected errors carry the same headers as any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import authentication
from api.access.browser.form_tokens import note_form_token
from api.access.certificates import has_certificate
from api.base.access import admit, note_principal, note_proof, principal_of
from api.base.dependencies import Resources, resources_of
from api.base.problems import answer_error
from domain.access.principals import LOCAL_PRINCIPAL, Principal
from runtime.settings import Settings

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # What is meant for one person is kept by nobody; what may be kept says so itself.
    (b"cache-control", b"no-store"),
)
_HTTPS = (b"strict-transport-security", b"max-age=31536000")
_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For what is no page: nothing in it is ever run or loaded. Pages bring their own (``api/ui/base/rendering.py``)."""
_DOCS_POLICY = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    b"frame-ancestors 'none'"
)
"""Swagger UI begins with a script in its page and styles itself; it shows nothing but our own document."""

Authenticate = Callable[[Scope, Resources], Awaitable[Principal]]
"""Says who makes a request, by the proof that it carries; raises a ``Problem`` where there is none that is right."""


class Guard:
    """Lets requests in, or not: by where they come from and under which name (``api/base/access.py``), and by who makes
    them (``api/access/authentication.py``).
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, authenticate: Authenticate | None = None) -> None:
        """Take how somebody proves who they are; None: by the caller's network."""
        self._app = app
        self._settings = settings
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "http":
            try:
                if admit(scope, self._settings):
                    authenticate = None if authentication.is_public(scope["path"]) else authentication.authenticate
                elif principal_of(scope) is LOCAL_PRINCIPAL:
                    # A place is the last proof: whoever sends a token or a certificate is who that says.
                    proves = authentication.has_token(scope) or has_certificate(scope)
                    authenticate = authentication.authenticate if proves else self._authenticate
                else:
                    authenticate = None
                if authenticate is not None:
                    receive = await note_form_token(scope, receive)
                    prove = partial(authenticate, scope, resources_of(scope["app"]))
                    note_proof(scope, prove)
                    note_principal(scope, await prove())
            except Exception as error:  # noqa: BLE001 - every error has its answer
                response = await answer_error(Request(scope, receive), error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


class SecurityHeadersMiddleware:
    """Puts the security headers on every answer, whoever gave it."""

    def __init__(self, app: ASGIApp, *, docs: str | None, https: bool) -> None:
        """Take where the documentation page is, and whether browsers are to come by HTTPS alone."""
        self._app = app
        self._docs = docs
        self._headers = (*_HEADERS, _HTTPS) if https else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = _DOCS_POLICY if scope["path"] == self._docs else _POLICY

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _dress(message.get("headers", ()), self._headers, policy)
            await send(message)

        await self._app(scope, receive, dressed)


def _dress(
    headers: Iterable[tuple[bytes, bytes]], ours: Iterable[tuple[bytes, bytes]], policy: bytes
) -> list[tuple[bytes, bytes]]:
    found = list(headers)
    names = {name for name, _ in found}
    found += [each for each in ours if each[0] not in names]
    if b"content-security-policy" not in names:
        found.append((b"content-security-policy", policy))
    return found

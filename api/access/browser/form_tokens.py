"""How a form proves that it is of the session's own pages where no script sends it: a token in its first field.

A script sends the session's token as a header. A form that sends itself has it in its body, which is otherwise read
long after it is decided who makes a request: so its beginning is read before, and given again. The field's token is
another one on every page, so that nothing can be learned from how well a page is compressed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets

from starlette.types import Message, Receive, Scope

from api.access.cookies import SESSION, read_cookie
from api.base.access import SAFE_METHODS
from api.base.limits import GRACE, too_slow

CSRF_HEADER = b"x-csrf-token"
FIELD = "csrf_token"
_TOKEN = "manage.form_token"  # noqa: S105 - where it is noted
_ROOM = 1_024
"""Bytes in which the first field ends."""
_FIRST = {
    b"application/x-www-form-urlencoded": re.compile(rb"csrf_token=([\w.-]{1,200})(?:&|$)", re.ASCII),
    b"multipart/form-data": re.compile(
        rb'--[^\r\n]{1,100}\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n([\w.-]{1,200})\r\n', re.ASCII
    ),
}
"""How the body of a form begins, by its type, as browsers write it."""


def make_form_token(csrf_token: str) -> str:
    """Make the token of a form for a session; each is another one."""
    return _made(secrets.token_urlsafe(16), csrf_token)


def is_form_token(scope: Scope, csrf_token: str) -> bool:
    """Whether a request's form has a token of this session."""
    given: str = scope.get(_TOKEN, "")
    return hmac.compare_digest(given, _made(given.partition(".")[0], csrf_token))


def _made(nonce: str, csrf_token: str) -> str:
    return f"{nonce}.{hmac.new(csrf_token.encode(), nonce.encode(), hashlib.sha256).hexdigest()}"


async def note_form_token(scope: Scope, receive: Receive) -> Receive:
    """Note the token that a form has, for ``is_form_token``; answers what gives the body from its beginning.

    Raises:
        HTTPException: the body comes too slowly.

    """
    headers = dict(scope["headers"])
    first = _FIRST.get(headers.get(b"content-type", b"").partition(b";")[0].strip().lower())
    proves_otherwise = CSRF_HEADER in headers or b"authorization" in headers
    if (
        first is None
        or proves_otherwise
        or scope["method"] in SAFE_METHODS
        or read_cookie(scope["headers"], SESSION) is None
    ):
        return receive
    messages: list[Message] = []
    begun, goes_on = b"", True
    try:
        async with asyncio.timeout(GRACE):
            while goes_on and len(begun) < _ROOM:
                message = await receive()
                messages.append(message)
                begun += message.get("body", b"")
                goes_on = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        raise too_slow() from None
    if found := first.match(begun):
        scope[_TOKEN] = found[1].decode()

    async def from_the_beginning() -> Message:
        return messages.pop(0) if messages else await receive()

    return from_the_beginning

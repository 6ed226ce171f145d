"""How large, how slow and how encoded a request's body may be, and how many imports and exports go on at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.base.problems import Problem, ProblemCode

if TYPE_CHECKING:
    from starlette._utils import AwaitableOrContextManager
    from starlette.datastructures import FormData
    from starlette.requests import Request

MAX_FIELDS = 20_000
"""Fields in one form; a depot with a few thousand circuits has three for each."""
MAX_BODY_BYTES = 1_048_576
"""A depot with a few thousand circuits fits; the import streams its own body and is not bound by this."""
MAX_IMPORT_BYTES = 2 * 1024**3
"""An import's body, which is put aside on the disk: some ten million lines."""
FORM_ROOM = 65_536
"""Bytes that a form has around the file in it."""
MAX_IMPORTS = 4
"""Imports of one process. Each holds a connection to the database while it lands and its report is read, or its
file is stored."""
MAX_EXPORTS = 2
"""Exports of one process. Each holds a connection to the database and a processor while its file is written."""
GRACE = 10.0
"""Seconds of waiting for a body that cost nothing; a pause that is longer ends the request."""
MIN_RATE = 1024
"""Bytes for each second of waiting beyond the grace."""
LINGER_BYTES = 8 * MAX_BODY_BYTES
"""So much of a refused body is thrown away before the connection is closed. With unread data a connection is reset, and
a client that reads the answer after it has sent everything finds none."""
LINGER_SECONDS = 2.0
"""So long what still comes of a refused body is thrown away, at most: shorter than a process has to end."""


class BodyLimit:
    """Ends a request whose body is beyond the limit before it is held in memory, one whose body trickles, and one whose
    body is compressed.

    What counts is the time that is spent waiting for the body, not what is done with it meanwhile.
    """

    def __init__(self, app: ASGIApp, *, larger: dict[str, int]) -> None:
        """Take the paths whose bodies may be larger, with their limits."""
        self._app = app
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, send, self._larger.get(scope["path"], MAX_BODY_BYTES))
        await self._app(scope, body.receive, body.send)


class _Body:
    """The body of one request as it comes in, and what is answered to it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        self._receive = receive
        self._send = send
        self._most = most
        self._declared = _declared(scope)
        self._clock = asyncio.get_running_loop().time
        self._seen, self._waited = 0, 0.0
        self._begun = self._whole = self._refused = self._answered = False

    async def receive(self) -> Message:
        """Hand on what comes next.

        Raises:
            HTTPException: the body is refused.

        """
        if self._whole or self._answered:
            # What comes now is the end of the connection, be it in a day; an answer that has begun is not taken back.
            return await self._receive()
        if self._declared.length > self._most:
            # Whoever asked with Expect whether to send it does not.
            raise self._refuse(_too_large(self._most))
        self._begun = True
        began = self._clock()
        try:
            async with asyncio.timeout(GRACE):
                message = await self._receive()
        except TimeoutError:
            if self._answered:
                return await self._receive()
            raise self._refuse(too_slow()) from None
        self._waited += self._clock() - began
        self._seen += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if not self._answered and (refusal := self._fault()) is not None:
            raise self._refuse(refusal)
        return message

    async def send(self, message: Message) -> None:
        """Hand on the answer; that to a body that was refused ends when enough of the body was thrown away."""
        self._answered = True
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and self._refused and not self._whole and (self._begun or not self._declared.waits):
            # It is all there for whoever reads it; the server closes the connection at its end.
            await self._send({**message, "more_body": True})
            await _throw_away(self._receive)
            message = {"type": "http.response.body"}
        await self._send(message)

    def _fault(self) -> HTTPException | None:
        """What is wrong with what came until now."""
        if self._declared.coding and (self._seen or not self._whole):
            return _encoded(self._declared.coding)
        if self._seen > self._most:
            return _too_large(self._most)
        if not self._whole and self._seen < (self._waited - GRACE) * MIN_RATE:
            return too_slow()
        return None

    def _refuse(self, refusal: HTTPException) -> HTTPException:
        self._refused = True
        return refusal


class _Declared(NamedTuple):
    """What the headers of a request say of its body."""

    length: int
    """Bytes; 0: they do not say."""
    coding: str
    """How it is encoded; empty: it is as it is."""
    waits: bool
    """Whether it is sent only when that is asked for."""


def _declared(scope: Scope) -> _Declared:
    length, coding, waits = 0, "", False
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            length = _number(value)
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            coding = value.decode("latin-1").strip()
        elif name == b"expect":
            waits = True
    return _Declared(length, coding, waits)


def _number(digits: bytes) -> int:
    """The number; one that no length has is the largest there is. Python itself reads no thousands of digits, zeros in
    front among them.
    """
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) < len(str(sys.maxsize)) else sys.maxsize


async def _throw_away(receive: Receive) -> None:
    """Read what still comes of a body, within bounds."""
    left = LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


def open_form(request: Request, *, files: int = 0) -> AwaitableOrContextManager[FormData]:
    """Read the form of a request; it is read once, by whoever is first.

    A file in the place of a text would be taken for one, so no more than these ``files`` may be among its fields.

    Raises:
        HTTPException: 400; it is no form, or has too much of something.

    """
    return request.form(max_files=files, max_fields=MAX_FIELDS)


class Places:
    """How many of something may go on at once in one process."""

    def __init__(self, at_once: int, code: ProblemCode) -> None:
        """Take how many, and the code with which one more is refused."""
        self._free = at_once
        self._code = code

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Have one of the places while the block runs.

        Raises:
            Problem: all are taken.

        """
        if not self._free:
            raise Problem(self._code, "Others are going on, as many as may. Try again later.")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


def import_places() -> Places:
    """How many imports may go on."""
    return Places(MAX_IMPORTS, ProblemCode.TOO_MANY_IMPORTS)


def export_places() -> Places:
    """How many exports may go on."""
    return Places(MAX_EXPORTS, ProblemCode.TOO_MANY_EXPORTS)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"A body here has at most {most} bytes.", {"Connection": "close"})


def _encoded(coding: str) -> HTTPException:
    # What is taken is told as RFC 9110, 15.5.16 has it.
    return HTTPException(
        415,
        f"The body comes with the content encoding {coding[:100]!r}. Send it as it is, without Content-Encoding.",
        {"Connection": "close", "Accept-Encoding": "identity"},
    )


def too_slow() -> HTTPException:
    """The refusal of a body that trickles."""
    return HTTPException(
        408,
        f"The body came too slowly: after {GRACE:.0f} seconds at least {MIN_RATE} bytes a second, and no longer pause.",
        {"Connection": "close"},
    )

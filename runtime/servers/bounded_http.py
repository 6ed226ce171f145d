"""HTTP as uvicorn speaks it, with a bound on what comes before a body: its size, its time, and what it may be.

    uvicorn --http runtime.servers.bounded_http:BoundedHttp …

uvicorn's own parser takes a header of any size, for as long as it takes, and adds the trailers of a chunked body to the
headers of its request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HTTP = f"{__name__}:BoundedHttp"
"""What uvicorn's ``--http`` is told."""

_OVERHEAD = 4
"""Bytes of a header besides its name and value."""


class _HeadTooLargeError(Exception):
    """Ends the parsing of a request."""


class BoundedHttp(HttpToolsProtocol):
    """A connection whose requests begin in time, and with a head of bounded size.

    The head is the request line with its headers. A larger one is answered 431 (RFC 6585, 5), and one that does not
    come in time is not answered: the connection is closed. Trailers are dropped (RFC 9110, 6.5.1): whoever checks or
    replaces a header in front of the API does not see them, so none may prove who calls.
    """

    most_head_bytes = 65_536
    """Several cookies, a token of the provider and a forwarded certificate have their place in half of it."""
    head_seconds = 30.0
    """From the beginning of a connection or a head until the head is complete."""
    linger_seconds = 2.0
    """So long what still comes is thrown away after a refusal. With unread data a connection is reset, and its answer
    may be lost."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_head = False
        self._head_bytes = 0
        # Of a header that has not ended, the parser says nothing.
        self._unparsed_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came. A head that is complete at once, as nearly all are, costs no timer."""
        if self._refused:
            return
        began = self._in_head
        super().data_received(data)
        if not self._in_head or self._refused or self.transport.is_closing():
            return
        if began:
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > self.most_head_bytes:
                self._refuse()
                return
        if self._head_timer is None:
            self._wait()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self._head_bytes = self._unparsed_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, and take no trailer for one."""
        if self._in_head:
            self._count(len(name) + len(value) + _OVERHEAD)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong with a request that cannot be parsed."""
        if self._head_bytes > self.most_head_bytes:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.most_head_bytes:
            raise _HeadTooLargeError

    def _refuse(self) -> None:
        text = b"The request line and its headers are too large."
        self.transport.write(
            b"%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[431], len(text), text)
        )
        self.transport.write_eof()
        self._refused = True
        self._stop_waiting()
        self._head_timer = self.loop.call_later(self.linger_seconds, self.transport.close)

    def _wait(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self._is_answering():
            # The next request waits behind it.
            self._wait()
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        """Say whether a request has not been answered yet."""
        return bool(self.cycle) and not self.cycle.response_complete

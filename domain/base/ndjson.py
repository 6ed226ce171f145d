"""Lines out of a stream of bytes, numbered, with a bound on what is held of any one of them."""

from __future__ import annotations

from collections.abc import Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineSplitter:
    """Cuts chunks of any size into numbered lines.

    Lines are numbered from 1 as an editor numbers them. Blank ones are numbered and left out. A line of more than
    ``max_bytes`` comes out as None, and no more than ``max_bytes`` of it is kept in between. A byte order mark at
    the very beginning, which some exports have, is left out.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        self._skipping = False
        self._number = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | None]]:
        """Take the next chunk; answer the lines that end in it."""
        *ended, rest = (self._rest + chunk).split(b"\n")
        for line in ended:
            yield from self._line(line)
        # A line that is skipped needs no more of its bytes.
        self._skipping = self._skipping or len(rest) > self._max_bytes + 1
        self._rest = b"" if self._skipping else rest

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        """Say that no chunk follows; answer the last line where it has no line end."""
        rest, self._rest = self._rest, b""
        yield from self._line(rest)

    def _line(self, line: bytes) -> Iterator[tuple[int, bytes | None]]:
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        line = line.removesuffix(b"\r")
        if self._skipping or len(line) > self._max_bytes:
            self._skipping = False
            yield self._number, None
        elif line.strip():
            yield self._number, line

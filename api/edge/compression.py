"""Answers are compressed for whoever takes them so, as ``Accept-Encoding`` says (RFC 9110, 12.5.3)."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware, IdentityResponder
from starlette.types import ASGIApp, Receive, Scope, Send

_MINIMUM_SIZE = 1000
"""Bytes of an answer that is compressed, at least."""


class Compression:
    """Compresses with gzip, but not where a weight of 0 refuses it: the base looks for the word alone.

    Words are compressed well. Measured values are not worth it: with level 6, those of a chart take 4 ms instead of
    one, and become smaller by a tenth.
    """

    def __init__(self, app: ASGIApp, *, numbers: Collection[str]) -> None:
        """Take what answers, and the paths whose answers are numbers."""
        self._app = app
        self._numbers = frozenset(numbers)
        self._of_words = GZipMiddleware(app, _MINIMUM_SIZE, compresslevel=6)
        self._of_numbers = GZipMiddleware(app, _MINIMUM_SIZE, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and not takes_gzip(",".join(Headers(scope=scope).getlist("accept-encoding"))):
            # It says that the answer varies, as the other does.
            await IdentityResponder(self._app, _MINIMUM_SIZE)(scope, receive, send)
            return
        compressed = self._of_numbers if scope.get("path") in self._numbers else self._of_words
        await compressed(scope, receive, send)


def takes_gzip(accepted: str) -> bool:
    """Whether somebody who accepts these encodings takes gzip. Who does not name it does not get it."""
    for each in accepted.split(","):
        coding, *parameters = (part.strip().lower() for part in each.split(";"))
        if coding in ("gzip", "x-gzip"):
            return all(_is_weight(parameter) for parameter in parameters)
    return False


def _is_weight(parameter: str) -> bool:
    """Whether a parameter is a weight of more than 0."""
    name, _, value = parameter.partition("=")
    try:
        return name.strip() == "q" and 0 < float(value) <= 1
    except ValueError:
        return False

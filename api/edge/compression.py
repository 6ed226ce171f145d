"""Answers are compressed for whoever takes them so, as ``Accept-Encoding`` says (RFC 9110, 12.5.3)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware, IdentityResponder
from starlette.types import Receive, Scope, Send


class Compression(GZipMiddleware):
    """Compresses with gzip, but not where a weight of 0 refuses it: the base looks for the word alone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and not takes_gzip(",".join(Headers(scope=scope).getlist("accept-encoding"))):
            # It says that the answer varies, as the other does.
            plain = IdentityResponder(self.app, self.minimum_size, exclude_content_types=self.exclude_content_types)
            await plain(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


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

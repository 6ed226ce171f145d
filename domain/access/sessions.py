"""Sessions of people on the pages: how long they last, and where one goes on after signing in."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

SIGN_IN_TIME = timedelta(minutes=15)
"""How long somebody may take at the provider; what comes back later is refused."""
USE_NOTED_AFTER = timedelta(minutes=1)
"""A session's last use is noted again when the noted one is older than this, so that not every request writes."""
HOME = "/"
_MAX_ADDRESS = 2000


def return_address(given: str | None) -> str:
    r"""Say where to go on after signing in: to the address that was asked for, if it is one of the product's pages.

    Anything else would let a link that begins at the product lead elsewhere: another host in any of its spellings
    (``//host``, ``/\host``, control characters that browsers leave out), or the way in itself.
    """
    if not given or len(given) > _MAX_ADDRESS or not given.isascii() or not given.isprintable():
        return HOME
    if not given.startswith("/") or given.startswith("//") or "\\" in given or " " in given:
        return HOME
    try:
        parts = urlsplit(given)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or parts.path.startswith(("//", "/sign-in", "/sign-out", "/live", "/static/")):
        return HOME
    return given

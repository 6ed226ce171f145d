"""The cookies of signing in. All are `__Host-`: of this host alone, for its whole path, and never sent in the clear.

Browsers take such a cookie over plain HTTP from this machine itself, which they count as safe; from nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import cookie_parser
from starlette.responses import Response

SESSION = "__Host-manage-session"
"""The session's secret. No script reads it."""
CSRF = "__Host-manage-csrf"
"""What the session's pages send along with every change. Scripts read it, so that all open pages of a browser have that
of the session that holds now; a page of another origin can neither read it nor send the header."""
BROWSER = "__Host-manage-sign-in"
"""In which browser a sign-in began: only there it can end."""


def read_cookie(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """Read a cookie of a request; None: it is not there."""
    for key, value in headers:
        if key == b"cookie" and name.encode() in value:
            found = cookie_parser(value.decode("latin-1")).get(name)
            if found:
                return found
    return None


def set_cookie(response: Response, name: str, value: str, *, seconds: int) -> None:
    """Give the browser a cookie for so long."""
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=name != CSRF, samesite="lax")


def forget_cookie(response: Response, name: str) -> None:
    """Take a cookie from the browser."""
    response.delete_cookie(name, path="/", secure=True, httponly=name != CSRF, samesite="lax")

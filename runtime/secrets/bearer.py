"""Whether a request carries a token that a setting has."""

from __future__ import annotations

import hmac

from pydantic import SecretStr


def bears(authorization: str, token: SecretStr) -> bool:
    """Say whether an ``Authorization`` header has this token as its bearer token; an empty token is nobody's.

    Comparing takes the same time, however much of it is right.
    """
    expected = token.get_secret_value()
    scheme, _, given = authorization.partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="replace"), expected.encode())
    return bool(expected) and scheme.lower() == "bearer" and right

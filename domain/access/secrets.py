"""Secrets that the product makes: what they look like, and the digest that is stored instead of them."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from enum import StrEnum

BITS = 256
"""What nobody can guess, and so needs no slow hash (docs/decisions/0025)."""
USE_NOTED_AFTER = timedelta(minutes=1)
"""A secret's last use is noted no more often than this."""


class SecretKind(StrEnum):
    """What a secret is for; its text begins with this, so that one that leaked is recognised."""

    SESSION = "mgs"
    """The id of a session, in the browser's cookie."""
    API_TOKEN = "mgt"  # noqa: S105 - what it begins with
    """What a script or CI proves with who made it, and what it may."""
    WORKER = "mgw"
    """What the worker proves to the API with that it is the product's own."""
    GATEWAY = "mgg"
    """What a gateway proves with that it is the gateway which its text names."""


def make_secret(kind: SecretKind, drawn: bytes) -> str:
    """Write random bytes as a secret of a kind.

    Raises:
        ValueError: they are not `BITS` many.

    """
    if len(drawn) * 8 != BITS:
        raise ValueError(f"A secret has {BITS} random bits.")
    return f"{kind}_{base64.urlsafe_b64encode(drawn).decode().rstrip('=')}"


def digest_of(secret: str) -> bytes:
    """What is stored of a secret, and looked up when somebody shows it."""
    return hashlib.sha256(secret.encode()).digest()

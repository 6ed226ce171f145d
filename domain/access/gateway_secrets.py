"""Secrets of gateways: how many a gateway has at once, and the account at the MQTT broker that each is."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.access.secrets import SecretKind, digest_of, make_secret

SALT_BYTES = 12
_ITERATIONS = 101
"""mosquitto's own number. What has 256 random bits needs no slow hash."""
_FORM = re.compile(rf"{SecretKind.GATEWAY}_(?P<gateway>[0-9a-f]{{32}})_[A-Za-z0-9_-]{{43}}")


class Slot(StrEnum):
    """Which of the two secrets of a gateway: with a second one a gateway goes over to a new secret without a gap."""

    A = "a"
    B = "b"


MOST_SECRETS = len(Slot)
"""Secrets that a gateway has at once."""


@dataclass(frozen=True)
class NewSecret:
    """A secret that was just made: its text is shown once, and only what follows from it is stored."""

    text: str = field(repr=False)
    digest: bytes = field(repr=False)
    mqtt_hash: str = field(repr=False)
    """As the broker keeps a password, so that its accounts can be written anew at any time."""


@dataclass(frozen=True)
class SecretRecord:
    """A secret of a gateway, as far as it is stored for people to see."""

    secret_id: UUID
    gateway_id: UUID
    slot: Slot
    created_at: datetime
    created_by: str
    used_at: datetime | None
    """When it last came over HTTP, to the minute; None: never."""

    @property
    def mqtt_user(self) -> str:
        """What the broker calls whoever comes with this secret."""
        return account_name(self.gateway_id, self.slot)


def make_gateway_secret(gateway_id: UUID, drawn: bytes, salt: bytes) -> NewSecret:
    """Write random bytes as a secret of a gateway. Its text names the gateway, so that the log can, too.

    Raises:
        ValueError: they are not as many as a secret has.

    """
    kind, _, rest = make_secret(SecretKind.GATEWAY, drawn).partition("_")
    text = f"{kind}_{gateway_id.hex}_{rest}"
    return NewSecret(text, digest_of(text), mosquitto_hash(text, salt))


def gateway_of(secret: str) -> UUID | None:
    """Say whose secret a text claims to be; None: it is none of a gateway."""
    found = _FORM.fullmatch(secret)
    return None if found is None else UUID(found["gateway"])


def account_name(gateway_id: UUID, slot: Slot) -> str:
    """The user name at the broker whose password a secret is."""
    return f"{gateway_id}/{slot}"


def mosquitto_hash(password: str, salt: bytes) -> str:
    """Write a password as mosquitto keeps it: PBKDF2 with SHA-512, in its format ``$7$``."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def is_mosquitto_hash(text: str, password: str) -> bool:
    """Whether ``mosquitto_hash`` writes this password so, with some salt."""
    try:
        salt = base64.b64decode(text.split("$")[3], validate=True)
    except (IndexError, ValueError):
        return False
    return text == mosquitto_hash(password, salt)

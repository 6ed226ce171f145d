"""The keys that Temporal's payloads are encrypted with, as a setting has them: several, each with an id."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
KEY_BYTES = 32
"""Of AES-256."""


@dataclass(frozen=True)
class PayloadKeys:
    """Keys by their ids. The first encrypts, all decrypt: a new one is put before the others."""

    by_id: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)

    @property
    def first(self) -> str:
        """The id of the key that encrypts."""
        return next(iter(self.by_id))

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.by_id)


def read_payload_keys(given: str) -> PayloadKeys:
    """Read ``ID:KEY`` pairs, between commas or white space; a key is 32 bytes in Base64, of either alphabet.

    Raises:
        ValueError: it has another form. The message says which pair is wrong, and nothing of what it says.

    """
    keys: dict[str, bytes] = {}
    for place, pair in enumerate(re.split(r"[\s,]+", given.strip(" \t\r\n,")) if given.strip(" \t\r\n,") else (), 1):
        name, colon, text = pair.partition(":")
        if not colon or not _ID.fullmatch(name):
            raise ValueError(f"Pair {place} has not the form ID:KEY, with an id of up to 32 letters, digits, . _ or -.")
        try:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"The key of pair {place} is not in Base64.") from None
        if len(key) != KEY_BYTES:
            raise ValueError(f"The key of pair {place} has {len(key)} bytes instead of {KEY_BYTES}.")
        if name in keys:
            raise ValueError(f"Pair {place} has the id of an earlier one.")
        keys[name] = key
    return PayloadKeys(keys)

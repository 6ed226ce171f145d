"""Temporal's payloads, encrypted where a key is configured.

They are what workflows and their steps are given, what they answer, and why they failed. Ids, types and search
attributes stay plain, because Temporal itself works with them: they hold ids and names of states alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
)

from runtime.secrets.keys import PayloadKeys

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
"""In a payload's metadata: what its key is called."""
_NONCE_BYTES = 12
HOW = "MANAGE_PAYLOAD_KEYS must have the keys of all payloads that Temporal still holds (docs/operations.md)."


class UnreadablePayloadError(Exception):
    """A payload is encrypted, and this process cannot decrypt it; the message says why, without anything secret."""


def data_converter(keys: PayloadKeys) -> DataConverter:
    """Make what turns values into payloads and back; without keys nothing is encrypted, and nothing is looked at."""
    plain = replace(pydantic_data_converter, payload_converter_class=_Converter)
    if not keys:
        return plain
    # What an error says, and where it was raised, goes through the codec as well.
    return replace(
        plain,
        payload_codec=EncryptingCodec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


class EncryptingCodec(PayloadCodec):
    """Encrypts each payload as a whole with AES-256-GCM; what is not encrypted is read as it is."""

    def __init__(self, keys: PayloadKeys) -> None:
        """Take at least one key."""
        # Only who has keys waits for this to be loaded.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._first = keys.first
        self._ciphers = {name: AESGCM(key) for name, key in keys.by_id.items()}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt with the first key."""
        return [self._encrypted(each) for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt with the key that each payload names.

        Raises:
            UnreadablePayloadError: it is not here, or the payload was changed.

        """
        return [self._decrypted(each) for each in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        if is_encrypted(payload):
            return payload
        key_id, nonce = self._first.encode(), os.urandom(_NONCE_BYTES)
        data = self._ciphers[self._first].encrypt(nonce, payload.SerializeToString(), _bound_to(key_id))
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id}, data=nonce + data)

    def _decrypted(self, payload: Payload) -> Payload:
        if not is_encrypted(payload):
            return payload
        from cryptography.exceptions import InvalidTag

        key_id = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(name := key_id.decode(errors="replace"))
        if cipher is None:
            raise UnreadablePayloadError(f"A payload is encrypted with key {_shown(name)}, which is not here. {HOW}")
        try:
            data = cipher.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], _bound_to(key_id))
        except (InvalidTag, ValueError):
            raise UnreadablePayloadError(
                f"A payload was encrypted with another key than {_shown(name)} is here, or was changed. {HOW}"
            ) from None
        return Payload.FromString(data)


def is_encrypted(payload: Payload) -> bool:
    """Whether a payload is one that a codec with a key has encrypted."""
    return payload.metadata.get("encoding") == ENCODING


def _bound_to(key_id: bytes) -> bytes:
    """What is authenticated with a payload's content: it cannot be passed off as another key's."""
    return ENCODING + b";" + key_id


def _shown(name: str) -> str:
    return repr(name[:32])


class _Converter(PydanticPayloadConverter):
    """Says why an encrypted payload cannot be read where there is no key at all."""

    def __init__(self) -> None:
        super().__init__()
        self._set_converters(*self.converters.values(), _Encrypted())


class _Encrypted(EncodingPayloadConverter):
    @property
    def encoding(self) -> str:
        return ENCODING.decode()

    def to_payload(self, value: Any) -> Payload | None:  # noqa: ARG002 (the base's name)
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ARG002 (the base's name)
        name = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        raise UnreadablePayloadError(f"A payload is encrypted with key {_shown(name)}, and there is no key here. {HOW}")

"""The token by which commands prove who runs them, where they are not run beside the product itself."""

from __future__ import annotations

import os
from collections.abc import Generator

import httpx

from cli.errors import CommandFailedError
from runtime.secrets.files import SUFFIX, SecretFileError, read_secret

VARIABLE = "MANAGE_TOKEN"


def read_token(*, is_private: bool) -> str:
    """Read the token that says who runs a command; empty where the environment has none.

    ``is_private`` is whether nobody reads along: the API is on this machine, or the connection is encrypted.

    Raises:
        CommandFailedError: the token cannot be read, or would be sent in the clear.

    """
    token = os.environ.get(VARIABLE, "").strip()
    path = os.environ.get(VARIABLE + SUFFIX)
    if path:
        if token:
            raise CommandFailedError(f"{VARIABLE} and {VARIABLE}{SUFFIX} are both set; set one of them.")
        try:
            token = read_secret(path).strip()
        except SecretFileError as error:
            raise CommandFailedError(f"{VARIABLE}{SUFFIX}: {error}") from error
    if not token:
        return ""
    if not (token.isascii() and token.isprintable()):
        raise CommandFailedError(f"{VARIABLE} holds no token: it has characters that no token has.")
    if not is_private:
        raise CommandFailedError(f"{VARIABLE} is not sent over http, where others read along. Name the API by https.")
    return token


class TokenProof(httpx.Auth):
    """Sends a token with each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Put the token into a request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

"""What `./dev login` keeps: one file for each API, in the user's configuration folder, that nobody else may read."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote

import httpx

from cli.addresses import origin_of
from cli.errors import CommandFailedError
from cli.provider import Provider, ProviderRefusedError, Tokens
from runtime.modes import make_private, private_file

_EARLY = 30.0
"""Seconds before its end from which an access token is refreshed: it has to be valid when it arrives."""


@dataclass(frozen=True)
class Login:
    """One login at one API."""

    api_url: str
    issuer: str
    client_id: str
    resource: str
    access_token: str
    refresh_token: str
    expires_at: float
    """When the access token ends, in seconds since 1970."""

    @property
    def is_fresh(self) -> bool:
        """Whether the access token is still valid."""
        return time.time() + _EARLY < self.expires_at

    def with_tokens(self, tokens: Tokens) -> Login:
        """The same login with other tokens."""
        ends = time.time() + tokens.expires_in
        return replace(
            self, access_token=tokens.access_token, refresh_token=tokens.refresh_token, expires_at=ends
        )  # fmt: skip

    def __repr__(self) -> str:
        """Say where, and no token."""
        return f"Login({self.api_url})"


def read_login(url: str) -> Login | None:
    """The login at this API; None: there is none."""
    try:
        return Login(**json.loads(_path(url).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise CommandFailedError(f"{_path(url)} cannot be read. Log in again with {again('login', url)}") from error


def keep_login(login: Login) -> None:
    """Write a login, in the place of one that is there."""
    path = _path(login.api_url)
    make_private(path.parent)
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    with open(written, "w", encoding="utf-8", opener=private_file) as file:
        json.dump(asdict(login), file)
    written.replace(path)


def forget_login(url: str) -> None:
    """Delete the login at this API."""
    _path(url).unlink(missing_ok=True)


def known_logins() -> list[str]:
    """The APIs that there are logins at."""
    return sorted(unquote(path.stem) for path in _folder().glob("*.json"))


@asynccontextmanager
async def changing(url: str) -> AsyncGenerator[None]:
    """Let no other command change this login while the block runs: a refresh token is good for one use."""
    lock = await asyncio.to_thread(_lock, url)
    try:
        yield
    finally:
        lock.close()


def _lock(url: str) -> IO[str]:
    make_private(_folder())
    lock = open(_path(url).with_suffix(".lock"), "w", opener=private_file)  # noqa: SIM115 (kept open)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


class LoginProof(httpx.Auth):
    """Sends the access token of a login with each request, and refreshes it before it ends."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._lock = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Put the token into a request.

        Raises:
            CommandFailedError: the login has ended, or the provider does not answer.

        """
        async with self._lock:
            if not self._login.is_fresh:
                self._login = await _refreshed(self._login)
        request.headers["Authorization"] = f"Bearer {self._login.access_token}"
        yield request


async def _refreshed(login: Login) -> Login:
    url = login.api_url
    ended = f"Your login at {url} has ended. Log in again with {again('login', url)}"
    async with changing(url):
        # Another command may have done it meanwhile.
        found = read_login(url)
        if found is None:
            raise CommandFailedError(ended)
        if found.is_fresh:
            return found
        if not found.refresh_token:
            forget_login(url)
            raise CommandFailedError(ended)
        async with Provider(found.issuer, found.client_id) as provider:
            try:
                tokens = await provider.refresh(found.refresh_token, found.resource)
            except ProviderRefusedError as error:
                if error.code == "invalid_grant":
                    forget_login(url)
                    raise CommandFailedError(ended) from error
                raise
        found = found.with_tokens(tokens)
        keep_login(found)
        return found


def again(command: str, url: str) -> str:
    """How somebody logs in or out at an API."""
    return f"./dev {command} --api {url}."


def _folder() -> Path:
    given = os.environ.get("XDG_CONFIG_HOME", "")
    # A relative one is ignored, as the XDG Base Directory Specification has it.
    base = Path(given) if given.startswith("/") else Path.home() / ".config"
    return base / "depot-microgrid" / "logins"


def _path(url: str) -> Path:
    return _folder() / f"{quote(origin_of(url), safe='')}.json"

"""`./dev login` and `./dev logout`: the command line signs in as a person, by the device flow of the provider."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from cli.addresses import is_private, is_same_place, origin_of
from cli.client import Api, RefusedError, find_address
from cli.console import make_console
from cli.errors import CommandFailedError
from cli.logins import Login, LoginProof, changing, forget_login, keep_login, known_logins, read_login
from cli.provider import Provider, Tokens, Waiting

_DESCRIPTION = "/.well-known/oauth-protected-resource/api"
"""Where the API says by whom one signs in (RFC 9728)."""
_INSTEAD = "Until then, create an API token on the Tokens page and set MANAGE_TOKEN to it."


def run_login() -> int:
    """Sign in at the provider of the API, and keep what it gives.

    Raises:
        CommandFailedError: nobody signs in there, or it was refused.

    """
    return asyncio.run(_login())


async def _login() -> int:
    url, console = find_address().url, make_console()
    if not is_private(url):
        raise CommandFailedError(f"Nobody logs in at {url}: over http, others read along. Name the API by https.")
    described = await _describe(url)
    issuer, client_id, resource = described["authorization_servers"][0], described["device_client_id"], ""
    if not client_id:
        raise CommandFailedError(
            f"The API at {url} names no client for the command line: MANAGE_OIDC_DEVICE_CLIENT_ID is not set there. "
            f"{_INSTEAD}"
        )
    if urlsplit(described["resource"]).scheme in ("http", "https"):
        resource = described["resource"]
        if not is_same_place(resource, url):
            raise CommandFailedError(f"What answers at {url} asks for a token for {resource}: that is another API.")
    async with Provider(issuer, client_id) as provider:
        begun = await provider.begin(" ".join(described["scopes_supported"]), resource)
        _tell(console, begun)
        tokens = await provider.wait(begun, resource)
        login = Login(origin_of(url), issuer, client_id, resource, "", "", 0.0).with_tokens(tokens)
        await _try(provider, url, login, tokens)
    async with changing(url):
        keep_login(login)
    console.print(f"Logged in at {escape(url)}. ./dev logout ends it.", soft_wrap=True)
    if not tokens.refresh_token:
        console.print("The provider gave no refresh token, so this login ends with the first access token.")
    return 0


async def _describe(url: str) -> dict[str, Any]:
    async with Api(url, proof=None) as api:
        try:
            return await api.get(_DESCRIPTION)
        except RefusedError as error:
            if error.code == "ROUTE_NOT_FOUND":
                raise CommandFailedError(
                    f"Nobody signs in at {url}: it has no OpenID provider, and takes commands of its own machine."
                ) from error
            raise


async def _try(provider: Provider, url: str, login: Login, tokens: Tokens) -> None:
    """Find out whether the API takes the token, before it is kept."""
    try:
        async with Api(url, proof=LoginProof(login)) as api:
            await api.get("/api/tokens")
    except RefusedError as error:
        if tokens.refresh_token:
            await provider.revoke(tokens.refresh_token)
        if error.code == "TOKEN_REFUSED":
            raise CommandFailedError(
                f"The API at {url} does not take the provider's access token: it has to be a JWT of the type at+jwt "
                f"for the audience that MANAGE_OIDC_AUDIENCE names (docs/operations.md)."
            ) from error
        raise


def _tell(console: Console, begun: Waiting) -> None:
    console.print(f"Open {escape(begun.address)} and enter the code", soft_wrap=True)
    console.print(f"\n  [bold]{escape(begun.user_code)}[/]\n", soft_wrap=True)
    if begun.complete_address:
        console.print(f"or open {escape(begun.complete_address)}", soft_wrap=True)
    minutes = max(1, round(begun.expires_in / 60))
    console.print(f"Waiting for up to {minutes} min …")


def run_logout() -> int:
    """Forget the login at the API, and have its refresh token end at the provider.

    Raises:
        CommandFailedError: there is none.

    """
    return asyncio.run(_logout())


async def _logout() -> int:
    console = make_console()
    try:
        url = find_address().url
    except CommandFailedError as error:
        known = [f"  --api {each}" for each in known_logins()]
        raise CommandFailedError(
            "\n".join([str(error), *(["You are logged in at:", *known] if known else [])])
        ) from error
    async with changing(url):
        login = _readable(url)
        # First here: whatever the provider says, nobody goes on with it on this machine.
        forget_login(url)
    if login is None:
        console.print(f"There was no login at {escape(url)}.", soft_wrap=True)
        return 0
    console.print(f"Logged out at {escape(url)}.", soft_wrap=True)
    if login.refresh_token:
        await _end(console, login)
    return 0


def _readable(url: str) -> Login | None:
    try:
        return read_login(url)
    except CommandFailedError:
        return None


async def _end(console: Console, login: Login) -> None:
    try:
        async with Provider(login.issuer, login.client_id) as provider:
            ended = await provider.revoke(login.refresh_token)
        told = "" if ended else f"{login.issuer} has no place to revoke it; there it ends by itself."
    except CommandFailedError as error:
        told = f"The refresh token was not revoked: {error}"
    if told:
        console.print(f"[yellow]![/] {escape(told)}", soft_wrap=True)

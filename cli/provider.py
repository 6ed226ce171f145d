"""The OpenID provider, as the command line asks it: the device flow (RFC 8628), refreshing, and revoking (RFC 7009)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Self, TypeGuard, cast

import httpx

from cli.addresses import is_loopback, is_private
from cli.errors import CommandFailedError

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_TIMEOUT = httpx.Timeout(20, connect=10)
_INTERVAL = 5.0
"""Seconds between two questions where the provider names none (RFC 8628, 3.2)."""
_SLOWER = 5.0
"""Seconds that the interval grows by where the provider asks for it (RFC 8628, 3.5)."""
_LASTS = 300.0
"""Seconds that an access token is used for where the provider does not say how long it is valid."""
_INSTEAD = "Create an API token on the Tokens page and set MANAGE_TOKEN to it instead."


class ProviderRefusedError(CommandFailedError):
    """The provider refused; ``code`` is OAuth's reason, empty where it gave none."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True)
class Waiting:
    """A sign-in that somebody is to confirm in a browser."""

    device_code: str
    user_code: str
    address: str
    complete_address: str
    """With the code in it already; empty where the provider has no such address."""
    expires_in: float
    """Seconds."""
    interval: float
    """Seconds between two questions whether it was confirmed."""


@dataclass(frozen=True)
class Tokens:
    """What a provider gave."""

    access_token: str
    refresh_token: str
    """Empty where there is none: then the login ends with the access token."""
    expires_in: float
    """Seconds that the access token is valid for."""


class Provider:
    """A provider, and the public client that the command line is there."""

    def __init__(self, issuer: str, client_id: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Name the issuer and the client; ``transport`` is another way there than by the network.

        Raises:
            CommandFailedError: the issuer's address is none that secrets may be sent to.

        """
        if not is_private(issuer):
            raise CommandFailedError(f"{_plain(issuer)} is no https address: nobody signs in there.")
        self.issuer = issuer
        self.client_id = client_id
        self._metadata: Mapping[str, Any] = {}
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            headers={"Accept": "application/json"},
            trust_env=not is_loopback(issuer),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def begin(self, scope: str, resource: str) -> Waiting:
        """Ask for a code that somebody confirms; ``resource`` is what the access token is for (RFC 8707), or empty.

        Raises:
            CommandFailedError: the provider has no device flow, refuses, or does not answer.

        """
        endpoint = await self._endpoint("device_authorization_endpoint")
        if endpoint is None:
            raise CommandFailedError(
                f"The OpenID provider {self.issuer} has no device flow: its metadata names no "
                f"device_authorization_endpoint. {_INSTEAD}"
            )
        if "offline_access" in (await self._known()).get("scopes_supported", ()) and "offline_access" not in scope:
            # Many providers give a refresh token to whoever asks for this, and to nobody else.
            scope = f"{scope} offline_access"
        answer = await self._post(endpoint, {"scope": scope} | _of(resource))
        found = self._read(answer)
        try:
            begun = Waiting(
                device_code=str(found["device_code"]),
                user_code=_plain(str(found["user_code"])),
                address=_plain(str(found["verification_uri"])),
                complete_address=_plain(str(found.get("verification_uri_complete") or "")),
                expires_in=float(found["expires_in"]),
                interval=float(found.get("interval", _INTERVAL)),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise self._odd(answer) from error
        if not is_private(begun.address):
            raise self._odd(answer)
        return begun

    async def wait(
        self,
        begun: Waiting,
        resource: str,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> Tokens:
        """Wait until somebody confirmed it.

        Raises:
            CommandFailedError: it was denied, it took too long, or the provider refuses.

        """
        endpoint = await self._token_endpoint()
        form = {"grant_type": _DEVICE_GRANT, "device_code": begun.device_code} | _of(resource)
        interval, ends = begun.interval, clock() + begun.expires_in
        while clock() + interval < ends:
            await pause(interval)
            try:
                answer = await self._http.post(endpoint, data=form | {"client_id": self.client_id})
            except httpx.TransportError:
                # It may be busy: RFC 8628, 3.5 has it asked less often.
                interval *= 2
                continue
            reason = _error_of(answer)
            if reason == "slow_down":
                interval += _SLOWER
            elif reason == "expired_token":
                break
            elif reason == "access_denied":
                raise ProviderRefusedError(reason, "Signing in was denied at the provider.")
            elif reason != "authorization_pending":
                return self._tokens(answer)
        raise ProviderRefusedError(
            "expired_token", "The code expired before somebody confirmed it. Run ./dev login again."
        )

    async def refresh(self, refresh_token: str, resource: str) -> Tokens:
        """Exchange a refresh token for an access token, and a refresh token to use next.

        Raises:
            CommandFailedError: the provider refuses, or does not answer.

        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token} | _of(resource)
        found = self._tokens(await self._post(await self._token_endpoint(), form))
        # A provider that does not rotate them leaves it out.
        return found if found.refresh_token else Tokens(found.access_token, refresh_token, found.expires_in)

    async def revoke(self, refresh_token: str) -> bool:
        """Have a refresh token end; False: the provider has no place for that.

        Raises:
            CommandFailedError: the provider refuses, or does not answer.

        """
        endpoint = await self._endpoint("revocation_endpoint")
        if endpoint is None:
            return False
        answer = await self._post(endpoint, {"token": refresh_token, "token_type_hint": "refresh_token"})
        if not answer.is_success:
            self._refuse(answer)
        return True

    async def _known(self) -> Mapping[str, Any]:
        if not self._metadata:
            answer = await self._reach("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            found = self._read(answer)
            if found.get("issuer") != self.issuer:
                raise CommandFailedError(f"What answers at {self.issuer} calls itself another provider.")
            self._metadata = found
        return self._metadata

    async def _endpoint(self, name: str) -> str | None:
        address = (await self._known()).get(name)
        if address is None:
            return None
        if not isinstance(address, str) or not is_private(address):
            raise CommandFailedError(f"The {name} of {self.issuer} is no https address.")
        return address

    async def _token_endpoint(self) -> str:
        endpoint = await self._endpoint("token_endpoint")
        if endpoint is None:
            raise CommandFailedError(f"The metadata of {self.issuer} names no token_endpoint.")
        return endpoint

    async def _post(self, address: str, form: Mapping[str, str]) -> httpx.Response:
        return await self._reach("POST", address, data={**form, "client_id": self.client_id})

    async def _reach(self, method: str, address: str, **given: Any) -> httpx.Response:
        try:
            return await self._http.request(method, address, **given)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise CommandFailedError(f"The OpenID provider {self.issuer} does not answer ({reason}).") from error

    def _tokens(self, answer: httpx.Response) -> Tokens:
        found = self._read(answer)
        access, refresh = found.get("access_token"), found.get("refresh_token") or ""
        if not _is_token(access) or (refresh and not _is_token(refresh)):
            raise self._odd(answer)
        try:
            lasts = float(found.get("expires_in", _LASTS))
        except (ValueError, TypeError) as error:
            raise self._odd(answer) from error
        return Tokens(access, refresh, lasts)

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        if not answer.is_success:
            self._refuse(answer)
        try:
            found = answer.json()
        except ValueError as error:
            raise self._odd(answer) from error
        if not isinstance(found, dict):
            raise self._odd(answer)
        return cast("dict[str, Any]", found)

    def _refuse(self, answer: httpx.Response) -> NoReturn:
        reason = _error_of(answer)
        told = f"The OpenID provider {self.issuer} answered {answer.status_code} {reason}".strip() + "."
        if reason in ("unauthorized_client", "invalid_client", "unsupported_grant_type"):
            told += f" The client {self.client_id} is to be a public one there that may use the device flow. {_INSTEAD}"
        raise ProviderRefusedError(reason, told)

    def _odd(self, answer: httpx.Response) -> CommandFailedError:
        path = answer.request.url.path
        return CommandFailedError(f"The OpenID provider {self.issuer} answered at {path} what nobody understands.")


def _of(resource: str) -> dict[str, str]:
    return {"resource": resource} if resource else {}


def _is_token(found: object) -> TypeGuard[str]:
    return isinstance(found, str) and bool(found) and found.isascii() and found.isprintable() and " " not in found


def _error_of(answer: httpx.Response) -> str:
    """The code of an OAuth error, and nothing else that might be in it."""
    if answer.is_success:
        return ""
    try:
        found = answer.json().get("error")
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) and found.replace("_", "").isalpha() and len(found) < 60 else ""


def _plain(text: str) -> str:
    """Leave out what a terminal would act on."""
    return "".join(each for each in text if each.isprintable())

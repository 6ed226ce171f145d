"""The OpenID provider, as the product asks it: discovery, keys, codes for tokens, and whose a token is.

Signatures and claims are judged by joserfc. What is needed for that is imported when a provider is first asked, so that
a process without one does not pay for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urlsplit

import structlog

from domain.base.problems import Problem, ProblemCode
from runtime.remembered import Remembered
from runtime.settings import Settings, is_loopback

if TYPE_CHECKING:
    import httpx
    from joserfc.jwk import KeySet

_log = structlog.get_logger("sign-in")

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""By which a provider may sign: with a key of its own that nobody else has. Never ``none``, never a shared secret."""
LEEWAY = 60
"""Seconds by which the clocks of provider and product may differ."""
_TIMEOUT = 10.0
_ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
"""What an access token says that it is (RFC 9068), so that no other token passes as one."""
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class SignedIn:
    """What a code was exchanged for."""

    claims: Mapping[str, Any]
    """Of the ID token, and of the provider's own information on the person where it gives any."""
    id_token: str
    sid: str | None
    """The provider's session, which its back channel names when it ends."""


@dataclass(frozen=True)
class LogoutNotice:
    """What a provider says that ended: a session of its own, or all of a person."""

    sub: str | None
    sid: str | None
    issued_at: datetime


class OpenIdProvider:
    """One provider, for as long as the process lives."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the settings that name the provider, and a clock in seconds."""
        self._settings = settings
        self._client: httpx.AsyncClient | None = None
        self._metadata = Remembered("the provider's metadata", self._ask_metadata, clock=clock)
        self._keys = Remembered("the provider's keys", self._ask_keys, clock=clock)

    async def close(self) -> None:
        """Close the connections."""
        await self._keys.close()
        await self._metadata.close()
        if self._client is not None:
            await self._client.aclose()

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to."""
        return f"{self._settings.public_url}/sign-in/callback"

    async def metadata(self) -> Mapping[str, Any]:
        """What the provider says of itself.

        Raises:
            Problem: ``PROVIDER_UNAVAILABLE``.

        """
        return await self._metadata.get()

    async def _ask_metadata(self) -> Mapping[str, Any]:
        issuer = self._settings.oidc_issuer
        found = await self._document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise _unavailable("it names another issuer than MANAGE_OIDC_ISSUER does")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _is_safe(found.get(name), issuer):
                raise _unavailable(f"its {name} is missing, or no https address")
        return found

    async def authorization_address(self, *, state: str, nonce: str, challenge: str) -> str:
        """Where somebody signs in; ``challenge`` is PKCE's, of the method S256.

        Raises:
            Problem: ``PROVIDER_UNAVAILABLE``.

        """
        endpoint = (await self.metadata())["authorization_endpoint"]
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self._settings.oidc_scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(endpoint, asked)

    async def sign_out_address(self, *, id_token: str, return_to: str) -> str | None:
        """Where somebody signs out at the provider, and comes back; None: it has no such place, or cannot be asked."""
        try:
            endpoint = (await self.metadata()).get("end_session_endpoint")
        except Problem:
            # Signing out here must not wait for the provider.
            return None
        if not _is_safe(endpoint, self._settings.oidc_issuer):
            return None
        asked = {"client_id": self._settings.oidc_client_id, "id_token_hint": id_token}
        return _with_query(str(endpoint), asked | {"post_logout_redirect_uri": return_to})

    async def redeem(self, code: str, *, verifier: str, nonce: str) -> SignedIn:
        """Exchange a code for who signed in.

        Raises:
            Problem: ``SIGN_IN_REFUSED``: the provider does not take the code, or its answer is not to be believed;
                ``PROVIDER_UNAVAILABLE``.

        """
        metadata = await self.metadata()
        tokens = await self._exchange(metadata, code, verifier)
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str):
            raise _refused("its answer has no ID token")
        claims = await self.read_id_token(id_token, nonce=nonce)
        endpoint = metadata.get("userinfo_endpoint")
        if isinstance(access_token, str) and _is_safe(endpoint, self._settings.oidc_issuer):
            claims = await self._userinfo(str(endpoint), access_token, claims["sub"]) | claims
        sid = claims.get("sid")
        return SignedIn(claims, id_token, sid if isinstance(sid, str) else None)

    async def _userinfo(self, endpoint: str, access_token: str, sub: str) -> dict[str, Any]:
        """What else the provider says of somebody, who is known already: without it, the ID token has to do."""
        try:
            userinfo = await self._get(endpoint, headers={"Authorization": f"Bearer {access_token}"})
        except Problem as problem:
            _log.warning("the provider said no more", reason=problem.detail)
            return {}
        if userinfo.get("sub") != sub:
            raise _refused("it tells of another person than its ID token")
        return userinfo

    async def _read_own(self, token: str, *present: str, **values: str) -> dict[str, Any]:
        """Read a token that the provider made for this product: these claims are there, those have these values."""
        values |= {"iss": self._settings.oidc_issuer, "aud": self._settings.oidc_client_id}
        claims = {name: {"essential": True} for name in present}
        return await self.read_token(token, **claims, **{n: {"essential": True, "value": v} for n, v in values.items()})

    async def read_id_token(self, token: str, *, nonce: str) -> dict[str, Any]:
        """Read an ID token that is the provider's answer to this sign-in.

        Raises:
            Problem: ``SIGN_IN_REFUSED``, ``PROVIDER_UNAVAILABLE``.

        """
        claims = await self._read_own(token, "exp", "iat", "sub", nonce=nonce)
        audiences = claims["aud"]
        several = isinstance(audiences, list) and len(cast("list[Any]", audiences)) > 1
        if claims.get("azp", None if several else self._settings.oidc_client_id) != self._settings.oidc_client_id:
            raise _refused("its ID token was made for another client")
        return claims

    async def read_logout_token(self, token: str) -> LogoutNotice:
        """Read what the provider's back channel sends when somebody signed out there (OpenID Connect Back-Channel
        Logout 1.0).

        Raises:
            Problem: ``SIGN_IN_REFUSED``, ``PROVIDER_UNAVAILABLE``.

        """
        claims = await self._read_own(token, "exp", "iat", "jti", "events")
        events, sub, sid = claims["events"], claims.get("sub"), claims.get("sid")
        if not isinstance(events, dict) or _LOGOUT_EVENT not in events or "nonce" in claims:
            raise _refused("the token is no logout token")
        if not isinstance(sub, str | None) or not isinstance(sid, str | None) or (sub is None and sid is None):
            raise _refused("the logout token names nobody")
        return LogoutNotice(sub, sid, datetime.fromtimestamp(claims["iat"], UTC))

    async def read_access_token(self, token: str) -> dict[str, Any]:
        """Read an access token that the provider made for this product's API (RFC 9068).

        Raises:
            Problem: ``SIGN_IN_REFUSED``, ``PROVIDER_UNAVAILABLE``.

        """
        values = {"iss": self._settings.oidc_issuer, "aud": self._settings.api_audience}
        wanted = {name: {"essential": True, "value": value} for name, value in values.items()}
        wanted |= {name: {"essential": True} for name in ("exp", "iat", "sub", "client_id", "jti")}
        return await self.read_token(token, types=_ACCESS_TOKEN_TYPES, **wanted)

    async def read_token(self, token: str, *, types: Collection[str] = (), **wanted: Any) -> dict[str, Any]:
        """Read a token that the provider signed and whose claims are as ``wanted``, in joserfc's form.

        ``types`` are what its header may say that it is, in lower case; without any, that does not matter.

        Raises:
            Problem: ``SIGN_IN_REFUSED``, ``PROVIDER_UNAVAILABLE``.

        """
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        try:
            try:
                read = jwt.decode(token, await self._keys.get(), algorithms=ALGORITHMS)
            except InvalidKeyIdError:
                # The provider may have changed its keys since.
                read = jwt.decode(token, await self._keys.get(newer=True), algorithms=ALGORITHMS)
            jwt.JWTClaimsRegistry(leeway=LEEWAY, **wanted).validate(read.claims)
        except (JoseError, ValueError) as error:
            raise _refused(f"its token is not to be believed: {type(error).__name__}") from error
        if types and str(read.header.get("typ")).lower() not in types:
            raise _refused("its token was made for something else")
        return read.claims

    async def _ask_keys(self) -> KeySet:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        found = await self._document((await self.metadata())["jwks_uri"])
        try:
            return KeySet.import_key_set(cast("Any", found))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _unavailable("its keys cannot be read") from error

    async def _document(self, address: str) -> dict[str, Any]:
        """Read what the provider tells everybody. Where it refuses, it is no token that is wrong."""
        try:
            return await self._get(address)
        except Problem as problem:
            if problem.code is ProblemCode.SIGN_IN_REFUSED:
                raise _unavailable("it does not say what it says to everybody") from problem
            raise

    async def _exchange(self, metadata: Mapping[str, Any], code: str, verifier: str) -> dict[str, Any]:
        import httpx

        client_id, secret = self._settings.oidc_client_id, self._settings.oidc_client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        auth = None
        if "client_secret_basic" in metadata.get("token_endpoint_auth_methods_supported", ("client_secret_basic",)):
            auth = httpx.BasicAuth(quote(client_id, safe=""), quote(secret, safe=""))
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        return await self._send("POST", metadata["token_endpoint"], data=form, auth=auth)

    async def _get(self, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await self._send("GET", address, headers=headers)

    async def _send(self, method: str, address: str, **given: Any) -> dict[str, Any]:
        import httpx

        if self._client is None:
            trusts = not is_loopback(urlsplit(self._settings.oidc_issuer).hostname)
            self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=trusts, headers={"Accept": "application/json"})
        try:
            answer = await self._client.request(method, address, **given)
        except httpx.HTTPError as error:
            raise _unavailable(type(error).__name__) from error
        if answer.status_code in (400, 401, 403):
            raise _refused(f"it answered {answer.status_code} {_error_of(answer)}".strip())
        try:
            found = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unavailable(f"it answered {answer.status_code}") from error
        if not isinstance(found, dict):
            raise _unavailable("its answer is no JSON object")
        return cast("dict[str, Any]", found)


def _error_of(answer: httpx.Response) -> str:
    """The code of an OAuth error, and nothing that a stranger could have chosen."""
    try:
        found = answer.json().get("error")
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) and found.replace("_", "").isalpha() and len(found) < 60 else ""


def _is_safe(address: object, issuer: str) -> bool:
    """Whether an address of the provider is as safe as the issuer's own."""
    return isinstance(address, str) and urlsplit(address).scheme in ("https", urlsplit(issuer).scheme)


def _with_query(address: str, asked: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"


def _unavailable(why: str) -> Problem:
    return Problem(ProblemCode.PROVIDER_UNAVAILABLE, f"The OpenID provider cannot be used: {why}.")


def _refused(why: str) -> Problem:
    return Problem(ProblemCode.SIGN_IN_REFUSED, f"The OpenID provider did not confirm who you are: {why}.")

"""What is not the provider's word is not believed: forged, unsigned, tricked, expired, or meant for somebody else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from pydantic import SecretStr

from domain.base.problems import Problem, ProblemCode
from runtime.openid import OpenIdProvider
from runtime.remembered import AGAIN, FRESH, KEPT
from runtime.servers.processes import free_port
from runtime.settings import Settings
from tests.helpers.support import until

CLIENT = "manage"
URL = "http://127.0.0.1:8000"
EVENTS = {"http://schemas.openid.net/event/backchannel-logout": {}}


class Forge:
    """A provider whose keys the test has: no real one can be made to sign what it should not."""

    def __init__(self) -> None:
        self.issuer = f"http://localhost:{free_port()}"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.asked_for_keys = 0
        self.told_issuer = self.issuer
        self.now = 0.0
        self.answers = asyncio.Event()
        """Unset: the provider hangs when it is asked for its keys."""
        self.answers.set()
        self.is_broken = False
        self.app = FastAPI()
        self.app.get("/.well-known/openid-configuration")(self.metadata)
        self.app.get("/jwks")(self.jwks)

    async def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.told_issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }

    async def jwks(self) -> Any:
        self.asked_for_keys += 1
        await self.answers.wait()
        if self.is_broken:
            raise HTTPException(403)
        return KeySet([self.key]).as_dict(private=False)

    async def was_asked_twice(self) -> bool:
        return self.asked_for_keys == 2

    def claims(self, **other: Any) -> dict[str, Any]:
        now = int(time.time())
        made = {"iss": self.issuer, "aud": CLIENT, "sub": "ada", "nonce": "n", "iat": now, "exp": now + 300} | other
        return {name: value for name, value in made.items() if value is not None}

    def sign(self, claims: dict[str, Any], *, key: Any = None, **header: Any) -> str:
        given = {"alg": "RS256", "kid": "one"} | header
        return jwt.encode(given, claims, key or self.key, algorithms=[given["alg"]])

    def provider(self) -> OpenIdProvider:
        return OpenIdProvider(
            Settings(
                oidc_issuer=self.issuer,
                oidc_client_id=CLIENT,
                oidc_client_secret=SecretStr("secret"),
                public_url=URL,
            ),
            clock=lambda: self.now,
        )


@asynccontextmanager
async def asking(forge: Forge) -> AsyncGenerator[OpenIdProvider]:
    port = int(forge.issuer.rpartition(":")[2])
    server = uvicorn.Server(uvicorn.Config(forge.app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started)
    provider = forge.provider()
    try:
        yield provider
    finally:
        await provider.close()
        server.should_exit = True
        await task


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def by_shared_secret(secret: bytes, claims: dict[str, Any], **header: str) -> str:
    signed = f"{part({'alg': 'HS256', 'kid': 'one'} | header)}.{part(claims)}"
    signature = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_only_the_providers_own_word_is_believed() -> None:
    forge = Forge()
    async with asking(forge) as provider:
        good = forge.sign(forge.claims())
        assert (await provider.read_id_token(good, nonce="n"))["sub"] == "ada"
        header, payload, signature = good.split(".")
        public = forge.key.as_pem(private=False)
        other = RSAKey.generate_key(2048, {"kid": "one"})
        now = int(time.time())
        forged = {
            "unsigned": f"{part({'alg': 'none', 'kid': 'one'})}.{payload}.",
            "unsigned, spelled otherwise": f"{part({'alg': 'nOnE', 'kid': 'one'})}.{payload}.",
            "without its signature": f"{header}.{payload}.",
            "another's signature": forge.sign(forge.claims(), key=other),
            "a key in the token itself": forge.sign(forge.claims(), key=other, jwk=other.as_dict(private=False)),
            "changed": f"{header}.{part(forge.claims(sub='eve'))}.{signature}",
            "the public key as a shared secret": by_shared_secret(public, forge.claims()),
            "an unknown key": forge.sign(forge.claims(), kid="two"),
            "another audience": forge.sign(forge.claims(aud="other")),
            "another client of the same provider": forge.sign(forge.claims(aud=[CLIENT, "other"], azp="other")),
            "several audiences, and nobody says whose": forge.sign(forge.claims(aud=[CLIENT, "other"])),
            "another issuer": forge.sign(forge.claims(iss="https://evil.example")),
            "expired": forge.sign(forge.claims(exp=now - 120)),
            "from the future": forge.sign(forge.claims(iat=now + 600)),
            "of another sign-in": forge.sign(forge.claims(nonce="m")),
            **{f"without {each}": forge.sign(forge.claims(**{each: None})) for each in ("exp", "iat", "sub", "nonce")},
            **{f"without {each}": forge.sign(forge.claims(**{each: None})) for each in ("aud", "iss")},
            "no token": "x", "empty": "", "five parts": "a.b.c.d.e",
        }  # fmt: skip
        for what, token in forged.items():
            with pytest.raises(Problem) as refused:
                await provider.read_id_token(token, nonce="n")
            assert refused.value.code is ProblemCode.SIGN_IN_REFUSED, what
            assert token not in refused.value.detail or not token


async def test_only_access_tokens_for_this_api_are_believed() -> None:
    forge = Forge()
    async with asking(forge) as provider:
        own: dict[str, Any] = {"aud": f"{URL}/api", "client_id": "job", "jti": "1", "nonce": None}
        now = int(time.time())

        def token(*, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
            return forge.sign(forge.claims(**(own | claims)), key=key, **({"typ": "at+jwt"} | (header or {})))

        several = token(aud=["https://other.example", own["aud"]], header={"typ": "application/at+JWT"})
        for good in (token(), several, token(nbf=now + 30)):
            assert (await provider.read_access_token(good))["sub"] == "ada"
        _, payload, _ = token().split(".")
        public = forge.key.as_pem(private=False)
        forged = {
            "an ID token": forge.sign(forge.claims()),
            "an ID token for this audience": token(header={"typ": "JWT"}),
            "a logout token": token(header={"typ": "logout+jwt"}),
            "unsigned": f"{part({'alg': 'none', 'kid': 'one', 'typ': 'at+jwt'})}.{payload}.",
            "the public key as a shared secret": by_shared_secret(public, forge.claims(**own), typ="at+jwt"),
            "another's signature": token(key=RSAKey.generate_key(2048, {"kid": "one"})),
            "an unknown key": token(header={"kid": "two"}),
            "another audience": token(aud="https://other.example/api"),
            "for sign-in": token(aud=CLIENT),
            "another issuer": token(iss="https://evil.example"),
            "expired": token(exp=now - 120),
            "from the future": token(iat=now + 600),
            "not yet": token(nbf=now + 600),
            "odd times": token(exp="x"),
            "a type that is none": f"{part({'alg': 'RS256', 'kid': 'one', 'typ': 7})}.{payload}.x",
            "no claims": f"{part({'alg': 'RS256', 'kid': 'one', 'typ': 'at+jwt'})}.{part([])}.x",
            "no header": f"{part([])}.{payload}.x",
            **{f"without {each}": token(**{each: None}) for each in ("exp", "iat", "sub", "client_id", "jti", "aud")},
            "opaque": "x" * 43, "dots": "..", "five parts": "a.b.c.d.e", "empty": "",
        }  # fmt: skip
        for what, wrong in forged.items():
            with pytest.raises(Problem) as refused:
                await provider.read_access_token(wrong)
            assert refused.value.code is ProblemCode.SIGN_IN_REFUSED, what


async def test_clocks_may_differ_a_little() -> None:
    forge = Forge()
    async with asking(forge) as provider:
        now = int(time.time())
        for times in ({"exp": now - 30}, {"iat": now + 30}):
            assert await provider.read_id_token(forge.sign(forge.claims(**times)), nonce="n")


async def test_a_provider_may_change_its_keys() -> None:
    forge = Forge()
    async with asking(forge) as provider:
        await provider.read_id_token(forge.sign(forge.claims()), nonce="n")
        forge.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
        new = forge.sign(forge.claims(), kid="two")
        # Whoever makes up names of keys does not have the provider asked each time.
        with pytest.raises(Problem):
            await provider.read_id_token(new, nonce="n")
        assert forge.asked_for_keys == 1
        forge.now += AGAIN
        assert (await provider.read_id_token(new, nonce="n"))["sub"] == "ada"


async def test_nobody_waits_for_a_provider_that_hangs() -> None:
    forge = Forge()
    async with asking(forge) as provider:
        good, unknown = forge.sign(forge.claims()), forge.sign(forge.claims(), kid="two")
        await provider.read_id_token(good, nonce="n")
        forge.answers.clear()
        forge.now += FRESH + 1
        for _ in range(3):
            # The keys that are known judge it, while newer ones are asked for, once.
            await provider.read_id_token(good, nonce="n")
            await until(forge.was_asked_twice)
        waiting = [asyncio.create_task(provider.read_id_token(unknown, nonce="n")) for _ in range(3)]
        await provider.read_id_token(good, nonce="n")
        waiting[0].cancel()
        forge.answers.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [asyncio.CancelledError, Problem, Problem]
        assert forge.asked_for_keys == 2


async def test_keys_outlast_a_provider_that_is_away_for_a_day() -> None:
    forge = Forge()
    async with asking(forge) as provider:
        good, unknown = forge.sign(forge.claims()), forge.sign(forge.claims(), kid="two")
        await provider.read_id_token(good, nonce="n")
        forge.is_broken = True
        forge.now += FRESH + 1
        with pytest.raises(Problem) as refused:
            await provider.read_id_token(unknown, nonce="n")
        assert (refused.value.code, forge.asked_for_keys) == (ProblemCode.PROVIDER_UNAVAILABLE, 2)
        for token in (unknown, good, unknown, good):
            with suppress(Problem):
                await provider.read_id_token(token, nonce="n")
        assert forge.asked_for_keys == 2
        await provider.read_id_token(good, nonce="n")
        forge.now = KEPT + 1
        for _ in range(3):
            with pytest.raises(Problem) as refused:
                await provider.read_id_token(good, nonce="n")
            assert refused.value.code is ProblemCode.PROVIDER_UNAVAILABLE
        assert forge.asked_for_keys == 3
        forge.is_broken = False
        forge.now += AGAIN
        assert (await provider.read_id_token(good, nonce="n"))["sub"] == "ada"


async def test_only_logout_tokens_end_sessions() -> None:
    forge = Forge()
    async with asking(forge) as provider:

        def token(**other: Any) -> str:
            return forge.sign(forge.claims(**({"nonce": None, "jti": "1", "events": EVENTS, "sid": "s"} | other)))

        notice = await provider.read_logout_token(token())
        assert (notice.sub, notice.sid) == ("ada", "s")
        for wrong in (
            {"nonce": "n"}, {"events": None}, {"events": {}}, {"events": "x"}, {"jti": None}, {"aud": "other"},
            {"sub": None, "sid": None}, {"sid": 1}, {"iss": "https://evil.example"}, {"iat": None},
        ):  # fmt: skip
            with pytest.raises(Problem) as refused:
                await provider.read_logout_token(token(**wrong))
            assert refused.value.code is ProblemCode.SIGN_IN_REFUSED, wrong


async def test_a_provider_that_names_another_issuer_is_not_used() -> None:
    forge = Forge()
    forge.told_issuer = "https://evil.example"
    async with asking(forge) as provider:
        with pytest.raises(Problem) as refused:
            await provider.metadata()
        assert refused.value.code is ProblemCode.PROVIDER_UNAVAILABLE


async def test_a_provider_that_is_away_is_told_as_such() -> None:
    provider = Forge().provider()
    with pytest.raises(Problem) as refused:
        await provider.metadata()
    assert refused.value.code is ProblemCode.PROVIDER_UNAVAILABLE
    # Signing out here needs nobody.
    assert await provider.sign_out_address(id_token="x", return_to="y") is None
    await provider.close()

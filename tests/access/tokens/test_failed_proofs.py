"""Whoever guesses is stopped by the address they come from, and whoever was right at the same address goes on."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from domain.access.attempts import MOST_FAILED, WINDOW_SECONDS, network_of
from domain.access.secrets import SecretKind, make_secret
from tests.access.sites import told
from tests.access.tokens.made import bearing, make
from tests.factories.sites import make_site, packet
from tests.helpers.openid import Surfer, signing_in


def wrong(kind: SecretKind = SecretKind.API_TOKEN) -> dict[str, str]:
    return bearing(make_secret(kind, os.urandom(32)))


async def guess(api: httpx.AsyncClient) -> None:
    """Send as many different wrong tokens as are looked at."""
    for _ in range(MOST_FAILED):
        assert told(await api.get("/api/depots", headers=wrong())) == (401, "TOKEN_REFUSED")


async def test_whoever_guesses_is_stopped_and_whoever_was_right_goes_on(api: httpx.AsyncClient) -> None:
    _, known = await make(api, ("viewer", None))
    _, new = await make(api, ("viewer", None))
    assert (await api.get("/api/depots", headers=bearing(known))).status_code == 200
    with capture_logs() as logs:
        await guess(api)
    warnings = [each for each in logs if each["event"] == "too many wrong proofs"]
    assert [(each["kind"], each["client"]) for each in warnings] == [("bearer", "127.0.0.1")]
    # Wrong or right is no longer looked at: a guess learns nothing.
    for header in (wrong(), bearing(new), wrong(SecretKind.GATEWAY), bearing("x" * 43)):
        answer = await api.get("/api/depots", headers=header)
        assert told(answer) == (429, "TOO_MANY_FAILED_PROOFS")
        assert 1 <= int(answer.headers["retry-after"]) <= WINDOW_SECONDS
        assert header["authorization"][7:] not in answer.text
    assert (await api.get("/api/depots", headers=bearing(known))).status_code == 200
    # Without a token, nothing is guessed.
    assert (await api.get("/api/depots")).status_code == 200


async def test_a_gateway_goes_on_beside_one_that_guesses(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    made = await api.post(f"/api/gateways/{site.gateway_id}/secrets", json={})
    assert made.status_code == 201, made.text
    mine, body = bearing(made.json()["secret"]), [packet(site)]
    assert (await api.post("/api/telemetry/packets", json=body, headers=mine)).status_code < 300
    for expected in (*[401] * MOST_FAILED, 429):
        answer = await api.post("/api/telemetry/packets", json=body, headers=wrong(SecretKind.GATEWAY))
        assert answer.status_code == expected
    assert (await api.post("/api/telemetry/packets", json=body, headers=mine)).status_code < 300


async def test_a_secret_that_was_right_is_refused_once_revoked(api: httpx.AsyncClient) -> None:
    token_id, known = await make(api, ("viewer", None))
    assert (await api.get("/api/depots", headers=bearing(known))).status_code == 200
    assert (await api.delete(f"/api/tokens/{token_id}")).status_code == 204
    assert told(await api.get("/api/depots", headers=bearing(known))) == (401, "TOKEN_REFUSED")
    for _ in range(MOST_FAILED - 1):
        await api.get("/api/depots", headers=wrong())
    assert told(await api.get("/api/depots", headers=bearing(known))) == (429, "TOO_MANY_FAILED_PROOFS")


async def test_an_outdated_secret_is_repeated_and_no_guess(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, new = await make(api, ("viewer", None))
    outdated = wrong()
    for _ in range(3 * MOST_FAILED):
        assert told(await api.get("/api/depots", headers=outdated)) == (401, "TOKEN_REFUSED")
    assert (await api.get("/api/depots", headers=bearing(new))).status_code == 200
    # After the first time it is not even looked up.
    asked: list[object] = []

    async def look_up(*given: object) -> None:
        asked.append(given)

    monkeypatch.setattr("api.access.authentication.find_token", look_up)
    assert told(await api.get("/api/depots", headers=outdated)) == (401, "TOKEN_REFUSED")
    assert asked == []
    await api.get("/api/depots", headers=wrong())
    assert len(asked) == 1


async def test_signing_in_is_bounded_and_apart_from_tokens(
    database_url: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as attacker, Surfer() as viewer:
        for _ in range(MOST_FAILED + 1):
            await attacker.send("GET", f"{url}/api/depots", headers=wrong())
        # Tokens that are wrong keep nobody at the same address from signing in.
        assert (await viewer.sign_in(f"{url}/", "viewer")).status_code == 200
        for number in range(MOST_FAILED):
            answer = await attacker.send("GET", f"{url}/sign-in/callback?code=x&state=guess-{number}")
            assert answer.status_code == 400
        answer = await attacker.send("GET", f"{url}/sign-in/callback?code=x&state=another")
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        # Who is signed in stays so.
        assert (await viewer.get(f"{url}/")).status_code == 200


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1%eth0", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_one_subscriber_is_one_address(host: str, key: str) -> None:
    assert network_of(host) == key

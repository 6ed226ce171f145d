"""Whoever guesses is stopped by the address they come from, and whoever was right at the same address goes on."""

from __future__ import annotations

import asyncio
import base64
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from temporalio.testing import ActivityEnvironment

from activities.history_upkeep import HistoryUpkeepActivities
from api.base.kept.exchange import open_exchange
from api.base.kept.failed_proofs import BEARER, FailedProofs
from domain.access.attempts import MOST_FAILED, MOST_STARTED, WINDOW_SECONDS, network_of
from domain.access.secrets import SecretKind, digest_of, make_secret
from domain.access.sessions import SIGN_IN_TIME
from domain.monitoring.upkeep import HistoryRequest
from store.access.sessions import SignIn, begin_sign_in
from store.access.tables import sign_ins
from store.access.worker_tokens import create_worker_token
from tests.access.sites import told
from tests.access.tokens.made import bearing, make
from tests.access.tokens.of_provider import CLIENTS, VIEWER, of_person, of_program
from tests.factories.sites import make_site, packet
from tests.helpers.answers import HTMX
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


async def test_guesses_at_once_are_no_more_than_guesses_one_after_another(api: httpx.AsyncClient) -> None:
    _, known = await make(api, ("viewer", None))
    assert (await api.get("/api/depots", headers=bearing(known))).status_code == 200
    headers = [wrong() for _ in range(3 * MOST_FAILED)] + [bearing(known)] * 5
    answers = await asyncio.gather(*(api.get("/api/depots", headers=each) for each in headers))
    assert Counter(each.status_code for each in answers) == {401: MOST_FAILED, 429: 2 * MOST_FAILED, 200: 5}
    # Each has given its place back: of what was wrong, none is looked at any more, and nobody waits.
    assert told(await api.get("/api/depots", headers=wrong())) == (429, "TOO_MANY_FAILED_PROOFS")


async def test_right_proofs_at_once_are_none_too_many(api: httpx.AsyncClient) -> None:
    _, new = await make(api, ("viewer", None))
    others = [(await make(api, ("viewer", None)))[1] for _ in range(MOST_FAILED + 5)]
    for _ in range(MOST_FAILED - 1):
        await api.get("/api/depots", headers=wrong())
    # One place is left: who comes later waits for it, and the same proof needs one alone.
    headers = [bearing(each) for each in ([new] * 40 + others)]
    answers = await asyncio.gather(*(api.get("/api/depots", headers=each) for each in headers))
    assert {each.status_code for each in answers} == {200}


async def test_a_place_is_given_back_whatever_happens(engine: AsyncEngine) -> None:
    async with open_exchange(engine) as exchange:
        proofs = FailedProofs(exchange)

        async def look(until: asyncio.Event) -> None:
            async with proofs.looking_at(BEARER, "192.0.2.7", os.urandom(32)):
                await until.wait()
                raise LookupError

        never, now = asyncio.Event(), asyncio.Event()
        now.set()
        hanging = [asyncio.create_task(look(never)) for _ in range(MOST_FAILED + 3)]
        other = asyncio.create_task(look(now))
        await asyncio.sleep(0)
        # Those that have a place, and some that wait for one.
        for each in hanging:
            each.cancel()
        assert [type(each) for each in await asyncio.gather(*hanging, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * len(hanging)
        with pytest.raises(LookupError):
            await other
        for _ in range(MOST_FAILED + 1):
            with pytest.raises(LookupError):
                await look(now)


async def test_claims_that_nobody_can_read_are_no_error(database_url: str, tmp_path: Path) -> None:
    async with (
        signing_in(database_url, tmp_path) as (url, _),
        httpx.AsyncClient(base_url=url) as caller,
    ):
        for claims in (b"[" * 3_000, rb'{"sub": "\ud800"}', b'{"sub": []}', b"null", b"\xff"):
            payload = base64.urlsafe_b64encode(claims).decode().rstrip("=")
            assert told(await caller.get("/api/depots", headers=bearing(f"x.{payload}.x"))) == (401, "TOKEN_REFUSED")


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


async def test_renewed_proofs_go_on_beside_one_that_guesses(
    database_url: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with (
        signing_in(database_url, tmp_path, people=[VIEWER], clients=CLIENTS) as (url, provider),
        httpx.AsyncClient(base_url=url) as caller,
    ):
        resource = f"{url}/api"

        async def of(token: str) -> int:
            return (await caller.get("/api/depots", headers=bearing(token))).status_code

        assert await of(await of_program(caller, provider, resource)) == 200
        for number in range(MOST_FAILED):
            assert await of(f"{number}.made.up") == 401
        assert await of("another.made.up") == 429
        # A new token of whom that address is known to be is looked at; somebody else's waits.
        renewed = await of_program(caller, provider, resource)
        assert await of(renewed) == 200
        assert await of(renewed[:-4]) == 401
        assert await of((await of_person(provider, "viewer", resource))["access_token"]) == 429
        # The product's own tokens are counted apart, and the worker's are never refused for their number.
        for _ in range(MOST_FAILED):
            assert told(await caller.get("/api/depots", headers=wrong())) == (401, "TOKEN_REFUSED")
        for _ in range(MOST_FAILED + 1):
            answer = await caller.get("/api/depots", headers=wrong(SecretKind.WORKER))
            assert told(answer) == (401, "TOKEN_REFUSED")
        token = make_secret(SecretKind.WORKER, os.urandom(32))
        async with engine.begin() as connection:
            await create_worker_token(connection, digest_of(token))
        assert await of(token) == 200


async def test_forged_logout_tokens_are_bounded(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as attacker, Surfer() as viewer:
        for number in range(MOST_FAILED + 1):
            form = {"logout_token": f"{number}.made.up"}
            answer = await attacker.send("POST", f"{url}/sign-out/back-channel", data=form)
            assert answer.status_code == (400 if number < MOST_FAILED else 429)
        assert (await viewer.sign_in(f"{url}/", "viewer")).status_code == 200


async def test_the_providers_logouts_go_on_beside_forged_ones(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, provider), Surfer() as viewer, Surfer() as again:
        for surfer in (viewer, again):
            await surfer.sign_in(f"{url}/", "viewer")
        leave = (await viewer.change("POST", f"{url}/sign-out", headers=HTMX)).headers["hx-redirect"]
        await viewer.sign_out_at_provider(leave)
        for number in range(MOST_FAILED + 1):
            form = {"logout_token": f"{number}.made.up"}
            answer = await viewer.send("POST", f"{url}/sign-out/back-channel", data=form)
            assert answer.status_code == 400
        metadata = (await again.get(f"{provider.issuer}/.well-known/openid-configuration")).json()
        await again.sign_out_at_provider(metadata["end_session_endpoint"])
        assert (await again.send("GET", f"{url}/", headers={"accept": "text/html"})).is_redirect


async def test_sign_ins_that_are_begun_are_bounded_and_forgotten(
    database_url: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    async def under_way() -> int:
        async with engine.connect() as connection:
            return (await connection.execute(select(func.count()).select_from(sign_ins))).scalar_one()

    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as attacker:
        for _number in range(MOST_STARTED):
            answer = await attacker.send("GET", f"{url}/sign-in")
            assert answer.status_code == 303, answer.text
        answer = await attacker.send("GET", f"{url}/sign-in")
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= WINDOW_SECONDS
        assert "Too many sign-ins" in answer.text
        assert answer.headers["content-type"].startswith("text/html")
    assert await under_way() == MOST_STARTED
    async with engine.begin() as connection:
        old = datetime.now(UTC) - SIGN_IN_TIME - timedelta(seconds=1)
        await connection.execute(update(sign_ins).values(begun_at=old))
        # A new one forgets some of them, and does not wait for those that others have.
        await begin_sign_in(connection, b"s" * 32, b"b" * 32, SignIn("n", "v", "/"))
    await ActivityEnvironment().run(HistoryUpkeepActivities(engine).keep_months, HistoryRequest())
    assert await under_way() == 1


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

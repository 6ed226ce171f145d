"""People sign in at a real provider, and what an attacker may try on the way in leads nowhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.helpers.answers import HTMX
from tests.helpers.openid import BROWSER, CSRF, SESSION, Surfer, signing_in
from tests.helpers.support import make_depot

ADMIN = "administrator"


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def test_somebody_signs_in_and_out(engine: AsyncEngine, database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, provider), Surfer() as somebody:
        # Sent to the provider, and back to where she wanted to go.
        page = await somebody.sign_in(f"{url}/depots/new?x=1", ADMIN)
        assert (page.status_code, str(page.url)) == (200, f"{url}/depots/new?x=1")
        assert "Ada Administrator" in page.text
        asked = next(each for each in somebody.visited if each.startswith(f"{provider.issuer}/auth?"))
        query = parse_qs(urlsplit(asked).query)
        assert query["code_challenge_method"] == ["S256"]
        assert {"state", "nonce", "code_challenge"} <= query.keys()

        made = await somebody.change("POST", f"{url}/api/depots", json={"name": "Arrow Road", "timezone": "UTC"})
        assert made.status_code == 201
        async with engine.connect() as connection:
            actors = await connection.execute(text("SELECT DISTINCT actor FROM changes"))
            assert actors.scalars().all() == ["Ada Administrator <administrator@depot.example>"]

        out = await somebody.change("POST", f"{url}/sign-out", headers=HTMX)
        assert await count(engine, "sessions") == 0
        assert SESSION not in somebody.cookies(url)
        address = out.headers["hx-redirect"]
        assert address.startswith(f"{provider.issuer}/session/end?")
        done = await somebody.sign_out_at_provider(address)
        assert str(done.url) == f"{url}/sign-out/done"
        assert "You are signed out" in done.text
        # There she is asked for her name again.
        assert "Demo provider" in (await somebody.get(f"{url}/")).text


async def test_nothing_is_reached_without_a_proof(database_url: str, tmp_path: Path) -> None:
    paths = ("/", "/docs", "/openapi.json", "/metrics", "/api/depots", "/live?topic=remediations", "/no/such/page")
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as stranger:
        for path in paths:
            answer = await stranger.send("GET", f"{url}{path}", headers={"accept": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_IN_REQUIRED"), path
            assert answer.headers["www-authenticate"] == 'Bearer realm="manage"'
            assert answer.headers["cache-control"] == "no-store"
        for path in ("/healthz", "/readyz"):
            assert (await stranger.send("GET", f"{url}{path}")).status_code == 200
        for cookie in ("", "x", "mgs_" + "A" * 43):
            stranger.cookies(url)[SESSION] = cookie
            answer = await stranger.send("GET", f"{url}/api/depots")
            assert answer.status_code == 401
        # What follows the right proof is not asked where there is a wrong one.
        await stranger.sign_in(f"{url}/", ADMIN)
        for authorization in ("Bearer x", "Basic eDp5", ""):
            answer = await stranger.send("GET", f"{url}/api/depots", headers={"authorization": authorization})
            assert answer.status_code == 401


async def test_whoever_was_granted_nothing_sees_nothing(engine: AsyncEngine, database_url: str, tmp_path: Path) -> None:
    depot_id = await make_depot(engine, "Feed")
    body = {"name": "Arrow Road", "timezone": "UTC"}
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as somebody:
        page = await somebody.sign_in(f"{url}/", "viewer")
        assert "Vera Viewer" in page.text
        assert "Arrow Road" not in page.text
        assert (await somebody.send("GET", f"{url}/api/depots")).json()["items"] == []
        assert (await somebody.send("GET", f"{url}/api/depots/{depot_id}")).status_code == 404
        assert (await somebody.change("POST", f"{url}/api/depots", json=body)).status_code == 403
        assert (await somebody.change("POST", f"{url}/sign-out")).status_code == 200


ELSEWHERE = (
        "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example", "/\t/evil.example",
        "/%09/evil.example/\n", "javascript:alert(1)", "http:evil.example", "///evil.example", "/sign-in?return_to=/",
        "/sign-out/done", "/x\r\nSet-Cookie: a=b", "/\u2028", "/" + "a" * 3000,
)  # fmt: skip


async def test_after_signing_in_one_goes_on_here(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as victim:
        for elsewhere in ELSEWHERE:
            page = await victim.sign_in(f"{url}/sign-in?{urlencode({'return_to': elsewhere})}", ADMIN)
            assert str(page.url) == f"{url}/", elsewhere
        assert all(urlsplit(each).hostname in ("127.0.0.1", "localhost") for each in victim.visited)


async def test_a_sign_in_is_answered_once_and_where_it_began(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as victim, Surfer() as attacker:
        stopped = await victim.sign_in(f"{url}/", ADMIN, until="/sign-in/callback")
        callback = stopped.headers["location"]
        # Stolen on its way: the code is worth nothing in another browser, and neither does it sign the victim in there.
        stolen = await attacker.send("GET", callback)
        assert (stolen.status_code, "SIGN_IN_REFUSED" in stolen.text) == (400, True)
        await attacker.get(f"{url}/", until="localhost")
        assert (await attacker.send("GET", callback)).status_code == 400
        assert await count(engine, "sessions") == 0

        assert (await victim.get(callback)).status_code == 200
        assert await count(engine, "sessions") == 1
        # Replayed: state and code are used up.
        again = await victim.send("GET", callback)
        assert again.status_code == 400
        code = parse_qs(urlsplit(callback).query)["code"][0]
        await victim.send("GET", f"{url}/sign-in")
        replayed = await victim.send("GET", f"{url}/sign-in", headers={})
        state = parse_qs(urlsplit(replayed.headers["location"]).query)["state"][0]
        answer = await victim.send("GET", f"{url}/sign-in/callback?{urlencode({'code': code, 'state': state})}")
        assert (answer.status_code, "SIGN_IN_REFUSED" in answer.text) == (400, True)
        assert await count(engine, "sessions") == 1


async def test_an_answer_of_another_provider_is_refused(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as victim:
        for given in (
            {"code": "x", "iss": "https://evil.example"}, {"code": "x"}, {}, {"error": "access_denied"},
            {"error": "<script>alert(1)</script>", "error_description": "<script>alert(1)</script>"},
        ):  # fmt: skip
            begun = await victim.send("GET", f"{url}/sign-in")
            state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
            answer = await victim.send("GET", f"{url}/sign-in/callback?{urlencode(given | {'state': state})}")
            assert answer.status_code == 400
            assert "<script>alert" not in answer.text
            assert SESSION not in victim.cookies(url)


async def test_a_session_is_new_with_every_sign_in(engine: AsyncEngine, database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as victim:
        fixed = "mgs_" + "B" * 43
        victim.cookies(url)[SESSION] = fixed
        await victim.sign_in(f"{url}/sign-in", ADMIN)
        first = victim.cookies(url)[SESSION]
        assert first != fixed
        await victim.get(f"{url}/sign-in")
        second = victim.cookies(url)[SESSION]
        assert second != first
        assert await count(engine, "sessions") == 1
        for old in (fixed, first):
            async with Surfer() as attacker:
                attacker.cookies(url)[SESSION] = old
                assert (await attacker.send("GET", f"{url}/api/depots")).status_code == 401
        async with engine.connect() as connection:
            stored = str((await connection.execute(text("SELECT * FROM sessions"))).all())
        assert second not in stored


async def test_the_cookies_are_of_this_host_alone(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as somebody:
        begun = await somebody.send("GET", f"{url}/sign-in")
        stopped = await somebody.sign_in(f"{url}/", ADMIN, until="/sign-in/callback")
        done = await somebody.send("GET", stopped.headers["location"])
        given = [*begun.headers.get_list("set-cookie"), *done.headers.get_list("set-cookie")]
        assert {each.partition("=")[0] for each in given} == {BROWSER, SESSION, CSRF}
        for each in given:
            flags = {flag.strip().lower() for flag in each.split(";")[1:]}
            assert {"secure", "path=/", "samesite=lax"} <= flags, each
            assert not any(flag.startswith("domain") for flag in flags)
            assert ("httponly" in flags) == (CSRF not in each)


async def test_a_page_sends_for_whom_it_is_alone(engine: AsyncEngine, database_url: str, tmp_path: Path) -> None:
    body = {"name": "Arrow Road", "timezone": "UTC"}
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as somebody:
        await somebody.sign_in(f"{url}/", ADMIN)
        person = (await somebody.get(f"{url}/signed-in")).headers["x-manage-person"]
        for wrong in ("", "x", str(uuid4()), person.upper()[:-1], f"{person} {person}"):
            whose = {"x-manage-person": wrong}
            answer = await somebody.change("POST", f"{url}/api/depots", json=body, headers=whose)
            assert (answer.status_code, answer.json()["code"]) == (403, "OTHER_PERSON_SIGNED_IN"), wrong
            assert "You are signed in as Ada Administrator now" in answer.json()["detail"]
            # A page stays as it is, and says it.
            answer = await somebody.change("POST", f"{url}/depots/new", data=body, headers=HTMX | whose)
            assert (answer.status_code, answer.headers["hx-reswap"]) == (403, "none")
            assert answer.headers["x-manage-problem"] == "OTHER_PERSON_SIGNED_IN"
            assert answer.text.startswith("You are signed in as Ada Administrator now")
            # Nor does it end the other's session.
            assert (await somebody.change("POST", f"{url}/sign-out", headers=HTMX | whose)).status_code == 403
        assert await count(engine, "depots") == 0
        # Reading is for whoever is signed in; and who comes back goes on, in another session.
        assert (await somebody.get(f"{url}/api/depots", headers={"x-manage-person": "x"})).status_code == 200
        await somebody.change("POST", f"{url}/sign-out", headers=HTMX)
        await somebody.sign_in(f"{url}/", ADMIN)
        whose = {"x-manage-person": person}
        assert (await somebody.change("POST", f"{url}/api/depots", json=body, headers=whose)).status_code == 201


async def test_changes_need_the_token_and_the_origin(database_url: str, tmp_path: Path) -> None:
    body = {"name": "Arrow Road", "timezone": "UTC"}
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as victim, Surfer() as other:
        await victim.sign_in(f"{url}/", ADMIN)
        await other.sign_in(f"{url}/", ADMIN)
        token = victim.cookies(url)[CSRF]
        refused = (
            {},
            {"x-csrf-token": ""},
            {"x-csrf-token": token[:-1]},
            {"x-csrf-token": other.cookies(url)[CSRF]},
            {"x-csrf-token": token, "origin": "https://evil.example"},
            {"x-csrf-token": token, "origin": url.replace("127.0.0.1", "localhost")},
            {"x-csrf-token": token, "origin": "null"},
            {"x-csrf-token": token, "sec-fetch-site": "cross-site"},
        )
        for headers in refused:
            for method, path in (("POST", "/api/depots"), ("POST", "/depots/new"), ("POST", "/sign-out")):
                answer = await victim.send(
                    method, f"{url}{path}", json=body, headers={"accept": "application/json"} | headers
                )
                assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REFUSED"), (path, headers)
        assert (await victim.send("GET", f"{url}/api/depots")).json()["items"] == []
        assert (await victim.change("POST", f"{url}/api/depots", json=body)).status_code == 201


async def test_signing_out_at_the_provider_ends_the_session_here(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    async with signing_in(database_url, tmp_path) as (url, provider), Surfer() as somebody, Surfer() as phone:
        await somebody.sign_in(f"{url}/", ADMIN)
        await phone.sign_in(f"{url}/", ADMIN)
        assert await count(engine, "sessions") == 2
        await somebody.sign_out_at_provider(f"{provider.issuer}/session/end")
        # The provider's own session on the desk ended, and not that on the phone.
        assert (await somebody.send("GET", f"{url}/api/depots")).status_code == 401
        assert (await phone.send("GET", f"{url}/api/depots")).status_code == 200


async def test_sessions_end_when_nobody_uses_them_and_at_last(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    async with (
        signing_in(database_url, tmp_path, session_idle_minutes=30, session_hours=8) as (url, _),
        Surfer() as somebody,
    ):
        await somebody.sign_in(f"{url}/", ADMIN)

        async def age(column: str, by: str) -> None:
            async with engine.begin() as connection:
                await connection.execute(text(f"UPDATE sessions SET {column} = {column} - interval '{by}'"))

        await age("used_at", "29 minutes")
        background = {"x-manage-background": "true"}
        assert (await somebody.send("GET", f"{url}/api/depots", headers=background)).status_code == 200
        await age("used_at", "2 minutes")
        # What a page asked for by itself kept nothing alive.
        assert (await somebody.send("GET", f"{url}/api/depots")).status_code == 401

        await somebody.sign_in(f"{url}/sign-in", ADMIN)
        await age("used_at", "29 minutes")
        assert (await somebody.send("GET", f"{url}/api/depots")).status_code == 200
        await age("used_at", "29 minutes")
        assert (await somebody.send("GET", f"{url}/api/depots")).status_code == 200
        await age("expires_at", "8 hours")
        assert (await somebody.send("GET", f"{url}/api/depots")).status_code == 401


async def test_what_sign_out_shows_the_provider_is_no_proof(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as somebody, Surfer() as thief:
        await somebody.sign_in(f"{url}/", ADMIN)
        leave = (await somebody.change("POST", f"{url}/sign-out", headers=HTMX)).headers["hx-redirect"]
        (hint,) = parse_qs(urlsplit(leave).query)["id_token_hint"]
        for headers, cookies in (({"authorization": f"Bearer {hint}"}, {}), ({}, {SESSION: hint})):
            thief.cookies(url).update(cookies)
            assert (await thief.send("GET", f"{url}/api/depots", headers=headers)).status_code == 401


async def test_no_token_is_taken_from_an_address(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _), Surfer() as somebody, Surfer() as thief:
        await somebody.sign_in(f"{url}/", ADMIN)
        secret = somebody.cookies(url)[SESSION]
        for name in ("access_token", "token", "session", SESSION):
            answer = await thief.send("GET", f"{url}/api/depots?{urlencode({name: secret})}")
            assert answer.status_code == 401
        assert not any(secret in each or somebody.cookies(url)[CSRF] in each for each in somebody.visited)

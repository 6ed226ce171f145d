"""Access tokens of a real provider: whose they are, what they may, and what is no access token for this API."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.sites import told
from tests.access.tokens.made import bearing
from tests.access.tokens.of_provider import CLIENTS, VIEWER, of_person, of_program
from tests.helpers.openid import Surfer, signing_in
from tests.helpers.support import make_depot

IMPOSTOR: dict[str, object] = {"login": "job", "password": "job", "claims": {"name": "Eve"}}
ADMINISTRATOR: dict[str, object] = {"login": "admin", "password": "admin", "claims": {"name": "Ada"}}


async def grant(admin: Surfer, url: str, **wanted: Any) -> None:
    answer = await admin.change(
        "POST", f"{url}/api/grants", json={"name": wanted["subject"], "depot_id": None} | wanted
    )
    assert answer.status_code == 201, answer.text


async def test_a_person_may_what_they_may_in_a_session(database_url: str, engine: AsyncEngine, tmp_path: Path) -> None:
    here, there = await make_depot(engine, "Feed"), await make_depot(engine, "Feed", name="Elsewhere")
    async with AsyncExitStack() as stack:
        url, provider = await stack.enter_async_context(
            signing_in(
                database_url, tmp_path, people=[VIEWER, ADMINISTRATOR], clients=CLIENTS, administrators=["sub:admin"]
            )
        )
        admin, client = await stack.enter_async_context(Surfer()), await stack.enter_async_context(httpx.AsyncClient())
        await admin.sign_in(f"{url}/sign-in", "admin")
        await grant(admin, url, kind="group", subject="watch", role="viewer", depot_id=str(here))
        await grant(
            admin, url, kind="person", subject=f"{provider.issuer}#viewer", role="configurator", depot_id=str(here)
        )
        token = (await of_person(provider, "viewer", f"{url}/api"))["access_token"]
        mine = bearing(token)
        listed = await client.get(f"{url}/api/depots", headers=mine)
        assert [each["depot_id"] for each in listed.json()["items"]] == [str(here)]
        assert told(await client.get(f"{url}/api/depots/{there}", headers=mine)) == (404, "DEPOT_NOT_FOUND")
        # No cookie is read with it, so a change needs no token of a page.
        made = await client.post(f"{url}/api/depots/{here}/circuits", json={"name": "New"}, headers=mine)
        assert made.status_code == 201, made.text
        refused = await client.post(f"{url}/api/depots", json={"name": "D", "timezone": "UTC"}, headers=mine)
        assert told(refused) == (403, "NOT_PERMITTED")
        entries = (await admin.get(f"{url}/api/journal", headers={"accept": "application/json"})).json()["items"]
        assert "Vera <v@depot.example>" in {each["actor"] for each in entries}
        # Whom the settings name is administrator by a token too.
        own = bearing((await of_person(provider, "admin", f"{url}/api"))["access_token"])
        made = await client.post(f"{url}/api/depots", json={"name": "D", "timezone": "UTC"}, headers=own)
        assert made.status_code == 201, made.text


async def test_a_program_may_what_was_granted_to_it(database_url: str, engine: AsyncEngine, tmp_path: Path) -> None:
    await make_depot(engine, "Feed")
    async with AsyncExitStack() as stack:
        url, provider = await stack.enter_async_context(
            signing_in(
                database_url, tmp_path, people=[IMPOSTOR, ADMINISTRATOR], clients=CLIENTS,
                administrators=["sub:admin", "sub:job"],
            )
        )  # fmt: skip
        admin, client = await stack.enter_async_context(Surfer()), await stack.enter_async_context(httpx.AsyncClient())
        await admin.sign_in(f"{url}/sign-in", "admin")
        mine = bearing(await of_program(client, provider, f"{url}/api"))
        # The settings name people alone.
        assert (await client.get(f"{url}/api/depots", headers=mine)).json()["items"] == []
        assert told(await client.post(f"{url}/api/depots/import", headers=mine)) == (403, "NOT_PERMITTED")
        await grant(admin, url, kind="program", subject=f"{provider.issuer}#job", role="operator")
        assert len((await client.get(f"{url}/api/depots", headers=mine)).json()["items"]) == 1
        # A program makes no API tokens, which would outlast its own.
        wanted = {"name": "x", "grants": [{"role": "viewer"}], "expires_at": "2030-01-01T00:00:00Z"}
        assert (await client.post(f"{url}/api/tokens", json=wanted, headers=mine)).status_code in (403, 422)


async def test_a_person_is_no_program_by_its_sub(database_url: str, engine: AsyncEngine, tmp_path: Path) -> None:
    await make_depot(engine, "Feed")
    async with AsyncExitStack() as stack:
        url, provider = await stack.enter_async_context(
            signing_in(
                database_url, tmp_path, people=[IMPOSTOR, ADMINISTRATOR], clients=CLIENTS, administrators=["sub:admin"]
            )
        )
        admin, client = await stack.enter_async_context(Surfer()), await stack.enter_async_context(httpx.AsyncClient())
        await admin.sign_in(f"{url}/sign-in", "admin")
        await grant(admin, url, kind="program", subject=f"{provider.issuer}#job", role="operator")
        mine = bearing((await of_person(provider, "job", f"{url}/api"))["access_token"])
        assert (await client.get(f"{url}/api/depots", headers=mine)).json()["items"] == []


async def test_a_service_account_is_a_program(database_url: str, engine: AsyncEngine, tmp_path: Path) -> None:
    await make_depot(engine, "Feed")
    # As Keycloak has them: an account whose `sub` is not the client's id.
    account: dict[str, object] = {
        "login": "robot", "password": "robot", "sub": "0f3e",
        "claims": {"preferred_username": "service-account-desk", "groups": ["watch", "rule"]},
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        url, provider = await stack.enter_async_context(
            signing_in(
                database_url, tmp_path, people=[account, ADMINISTRATOR], clients=CLIENTS,
                administrators=["sub:admin", "sub:0f3e", "group:rule"],
            )
        )  # fmt: skip
        admin, client = await stack.enter_async_context(Surfer()), await stack.enter_async_context(httpx.AsyncClient())
        await admin.sign_in(f"{url}/sign-in", "admin")
        await grant(admin, url, kind="group", subject="watch", role="viewer")
        await grant(admin, url, kind="person", subject=f"{provider.issuer}#0f3e", role="viewer")
        await grant(admin, url, kind="program", subject=f"{provider.issuer}#desk", role="viewer")
        mine = bearing((await of_person(provider, "robot", f"{url}/api"))["access_token"])
        # Neither groups nor the settings nor what a person of this `sub` was granted, nor another's client id.
        assert (await client.get(f"{url}/api/depots", headers=mine)).json()["items"] == []
        await grant(admin, url, kind="program", subject=f"{provider.issuer}#0f3e", role="viewer")
        assert len((await client.get(f"{url}/api/depots", headers=mine)).json()["items"]) == 1
        assert told(await client.post(f"{url}/api/depots/import", headers=mine)) == (403, "NOT_PERMITTED")


async def test_other_tokens_of_the_provider_are_refused(database_url: str, engine: AsyncEngine, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url, provider = await stack.enter_async_context(
            signing_in(database_url, tmp_path, people=[ADMINISTRATOR], clients=CLIENTS, administrators=["sub:admin"])
        )
        client = await stack.enter_async_context(httpx.AsyncClient())
        tokens = await of_person(provider, "admin", f"{url}/api")
        elsewhere = await of_program(client, provider, "https://other.example/api")
        wrong = (tokens["id_token"], elsewhere, tokens["access_token"][:-4])
        for token in wrong:
            answer = await client.get(f"{url}/api/depots", headers=bearing(token))
            assert told(answer) == (401, "TOKEN_REFUSED")
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert token not in answer.text
        # It is taken from the header alone.
        for name in ("access_token", "token"):
            answer = await client.get(f"{url}/api/depots", params={name: tokens["access_token"]})
            assert told(answer) == (401, "SIGN_IN_REQUIRED")
        assert (await client.get(f"{url}/api/depots", headers=bearing(tokens["access_token"]))).status_code == 200

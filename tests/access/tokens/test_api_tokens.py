"""API tokens: shown once, bounded by their owners, revoked at once, and right in one form alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.access.api_tokens import LONGEST_LIFE, MOST_TOKENS, token_actor
from domain.access.people import Identity
from domain.access.principals import EVERYWHERE, NOWHERE, DepotScope, Grant, Principal, PrincipalKind
from domain.access.roles import Permission, Role
from domain.access.secrets import SecretKind, digest_of, make_secret
from domain.base.actor import Actor
from runtime.settings import Settings
from store.access.people import keep_person
from store.access.tables import api_tokens
from tests.access.sites import WHO, asked_as, person, told
from tests.access.tokens.made import bearing, make, wanted
from tests.factories.sites import make_site, packet
from tests.helpers.live import serving
from tests.helpers.openid import Surfer, signing_in
from tests.helpers.support import make_depot

DEPOT = {"name": "Arrow Road", "timezone": "UTC"}


async def test_a_token_is_shown_once_and_stored_as_a_digest(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "Feed")
    answer = await api.post("/api/tokens", json=wanted(("viewer", None), ("operator", depot_id)))
    made = answer.json()
    token = made.pop("secret")
    assert token.startswith("mgt_")
    assert (made["owner"], made["used_at"], made["is_expired"]) == ("local-administrator", None, False)
    assert {(each["role"], each["depot_id"]) for each in made["grants"]} == {
        ("viewer", None), ("operator", str(depot_id)),
    }  # fmt: skip
    assert (await api.get(answer.headers["location"])).json() == made
    assert (await api.get("/api/tokens")).json() == {"items": [made], "next_cursor": None}
    granted = (await api.get("/api/grants", params={"subject": f"token#{made['token_id']}"})).json()["items"]
    assert {(each["kind"], each["role"]) for each in granted} == {("program", "viewer"), ("program", "operator")}
    async with engine.connect() as connection:
        row = (await connection.execute(select(api_tokens))).mappings().one()
        last = (await connection.execute(text("SELECT action, detail FROM changes ORDER BY id DESC LIMIT 1"))).one()
    assert row["digest"] == digest_of(token)
    assert last.action == "API_TOKEN_CREATED"
    assert token[4:] not in f"{dict(row)} {last}"


async def test_a_token_may_what_it_was_given_and_acts_under_its_name(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    here, there = await make_depot(engine, "Feed"), await make_depot(engine, "Feed", name="Elsewhere")
    token_id, token = await make(api, ("configurator", here), name="Nightly job")
    mine = bearing(token)
    assert [each["depot_id"] for each in (await api.get("/api/depots", headers=mine)).json()["items"]] == [str(here)]
    assert told(await api.get(f"/api/depots/{there}", headers=mine)) == (404, "DEPOT_NOT_FOUND")
    assert told(await api.post("/api/depots", json=DEPOT, headers=mine)) == (403, "NOT_PERMITTED")
    made = await api.post(f"/api/depots/{here}/circuits", json={"name": "New"}, headers=mine)
    assert made.status_code == 201
    async with engine.connect() as connection:
        actor = await connection.execute(text("SELECT actor FROM changes ORDER BY id DESC LIMIT 1"))
        assert actor.scalar_one() == f"Nightly job <token#{token_id}>"
    # Whoever has it makes no further ones, and sees none.
    assert told(await api.post("/api/tokens", json=wanted(("viewer", here)), headers=mine)) == (403, "NOT_PERMITTED")
    assert (await api.get("/api/tokens", headers=mine)).json()["items"] == []
    assert told(await api.delete(f"/api/tokens/{token_id}", headers=mine)) == (404, "API_TOKEN_NOT_FOUND")
    assert (await api.get(f"/api/tokens/{token_id}")).json()["used_at"] is not None


async def test_a_revoked_or_expired_token_is_refused_at_once(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    first, second = await make(api, ("viewer", None)), await make(api, ("viewer", None), name="Other")
    for _, token in (first, second):
        assert (await api.get("/api/depots", headers=bearing(token))).status_code == 200
    assert (await api.delete(f"/api/tokens/{first[0]}")).status_code == 204
    assert told(await api.delete(f"/api/tokens/{first[0]}")) == (404, "API_TOKEN_NOT_FOUND")
    async with engine.begin() as connection:
        await connection.execute(update(api_tokens).values(expires_at=datetime.now(UTC)))
    for _, token in (first, second):
        answer = await api.get("/api/depots", headers=bearing(token))
        assert told(answer) == (401, "TOKEN_REFUSED")
        assert answer.headers["www-authenticate"] == 'Bearer realm="manage", error="invalid_token"'
    assert (await api.get(f"/api/tokens/{second[0]}")).json()["is_expired"]
    granted = await api.get("/api/grants", params={"subject": f"token#{first[0]}"})
    assert granted.json()["items"] == []


async def test_a_wrong_token_falls_through_to_no_other_proof(api: httpx.AsyncClient) -> None:
    _, right = await make(api, ("viewer", None))
    unknown = make_secret(SecretKind.API_TOKEN, bytes(32))
    wrong = [
        "", "Bearer", "Bearer ", right, f"Basic {right}", f"Token {right}", f"Bearer {right}x", f"Bearer {right} x",
        f"Bearer {right},{right}", f"Bearer {unknown}", f"Bearer mgs_{right[4:]}", f"Bearer mgg_{right[4:]}",
        f"Bearer {right[:-1]}", f"Bearer {right.upper()}", "Bearer mgt_", "Bearer x", f"Bearer {'x' * 9000}",
        f"Bearer {right}\x00", f"Bearer ä{right}",
    ]  # fmt: skip
    for each in wrong:
        answer = await api.get("/api/depots", headers=[(b"authorization", each.encode("latin-1"))])
        assert told(answer) == (401, "TOKEN_REFUSED"), each
        assert right[4:] not in answer.text
    twice = [("authorization", f"Bearer {right}"), ("authorization", f"Bearer {right}")]
    assert told(await api.get("/api/depots", headers=twice)) == (401, "TOKEN_REFUSED")
    for good in (f"Bearer {right}", f"bearer {right}", f"BEARER   {right}"):
        assert (await api.get("/api/depots", headers={"authorization": good})).status_code == 200
    # In an address or a form it is none.
    assert "next_cursor" in (await api.get("/api/depots", params={"access_token": unknown})).json()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, "INVALID_REQUEST"),
        ({"expires_at": (datetime.now(UTC) + LONGEST_LIFE + timedelta(hours=1)).isoformat()}, "INVALID_REQUEST"),
        ({"expires_at": "9999-12-31T23:59:59.999-05:00"}, "INVALID_REQUEST"),
        ({"expires_at": None}, "INVALID_REQUEST"),
        ({"name": "\u200b"}, "INVALID_NAME"),
        ({"name": "a\x1b[31m"}, "INVALID_NAME"),
        ({"grants": []}, "INVALID_REQUEST"),
        ({"grants": [{"role": "viewer"}] * 51}, "INVALID_REQUEST"),
        ({"grants": [{"role": "owner"}]}, "INVALID_REQUEST"),
        ({"grants": [{"role": "viewer", "depot_id": str(uuid4())}]}, "DEPOT_NOT_FOUND"),
    ],
)
async def test_what_is_no_token_is_refused_whole(
    api: httpx.AsyncClient, engine: AsyncEngine, change: dict[str, Any], code: str
) -> None:
    answer = await api.post("/api/tokens", json={**wanted(("viewer", None)), **change})
    assert answer.json()["code"] == code
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM grants"))).scalar_one() == 0
    assert (await api.get("/api/tokens")).json()["items"] == []


async def test_an_owner_has_so_many_tokens_and_no_more(api: httpx.AsyncClient) -> None:
    # A role that is given twice is there once.
    body = wanted(("viewer", None), ("viewer", None))
    for _ in range(MOST_TOKENS - 2):
        made = await api.post("/api/tokens", json=body)
        assert len(made.json()["grants"]) == 1
    answers = await asyncio.gather(*(api.post("/api/tokens", json=body) for _ in range(5)))
    assert sorted(each.status_code for each in answers) == [201, 201, 409, 409, 409]
    assert {told(each)[1] for each in answers if each.status_code == 409} == {"TOO_MANY_API_TOKENS"}
    first = (await api.get("/api/tokens", params={"limit": 30})).json()
    rest = (await api.get("/api/tokens", params={"limit": 30, "cursor": first["next_cursor"]})).json()
    assert len({each["token_id"] for each in (*first["items"], *rest["items"])}) == MOST_TOKENS


async def test_packets_of_a_program_are_those_of_its_depots(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    mine, other = await make_site(engine), await make_site(engine)
    _, token = await make(api, ("gateway", mine.depot_id))
    packets = [packet(mine, None, "em-1", SOC=5), packet(other, None, "em-1", SOC=5)]
    answer = await api.post("/api/telemetry/packets", json=packets, headers=bearing(token))
    items = answer.json()["items"]
    assert [each["status"] for each in items] == ["ACCEPTED", "REFUSED"]
    assert items[1]["problem"]["code"] == "FOREIGN_GATEWAY"
    assert told(await api.get("/api/depots", headers=bearing(token)))[0] == 200
    assert (await api.get("/api/depots", headers=bearing(token))).json()["items"] == []


async def test_a_gateways_secret_sends_its_packets_and_does_nothing_else(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    mine, other = await make_site(engine), await make_site(engine)
    secret = (await api.post(f"/api/gateways/{mine.gateway_id}/secrets")).json()["secret"]
    packets = [packet(mine, None, "em-1", SOC=5), packet(other, None, "em-1", SOC=5)]
    answer = await api.post("/api/telemetry/packets", json=packets, headers=bearing(secret))
    items = answer.json()["items"]
    assert [each["status"] for each in items] == ["ACCEPTED", "REFUSED"]
    assert items[1]["problem"]["code"] == "FOREIGN_GATEWAY"
    for path in ("/api/depots", "/api/scenarios", "/", "/docs", "/metrics", f"/api/gateways/{mine.gateway_id}"):
        refused = await api.get(path, headers={**bearing(secret), "accept": "application/json"})
        assert refused.status_code in (403, 404), path


async def test_a_persons_token_may_never_more_than_the_person(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    here, there = await make_depot(engine, "Feed"), await make_depot(engine, "Feed", name="Elsewhere")
    async with (
        signing_in(database_url, tmp_path) as (url, provider),
        Surfer() as admin,
        Surfer() as somebody,
        httpx.AsyncClient(base_url=url) as script,
    ):
        await admin.sign_in(f"{url}/", "administrator")
        await somebody.sign_in(f"{url}/", "viewer")
        subject = f"{provider.issuer}#viewer"

        async def grant(role: str, depot_id: UUID) -> str:
            body = {"kind": "person", "subject": subject, "name": "Vera", "role": role, "depot_id": str(depot_id)}
            return (await admin.change("POST", f"{url}/api/grants", json=body)).json()["grant_id"]

        operator = await grant("operator", here)

        async def ask(*grants: tuple[str, UUID | None]) -> httpx.Response:
            return await somebody.change("POST", f"{url}/api/tokens", json=wanted(*grants))

        for too_much in (("viewer", None), ("operator", there), ("configurator", here), ("gateway", here)):
            assert told(await ask(too_much)) == (403, "NOT_PERMITTED"), too_much
        made = (await ask(("operator", here))).json()
        mine = bearing(made["secret"])
        assert made["owner"] == "Vera Viewer <viewer@depot.example>"
        assert (await script.get(f"/api/depots/{here}", headers=mine)).status_code == 200

        # Each sees their own, an administrator all.
        other = (await admin.change("POST", f"{url}/api/tokens", json=wanted(("viewer", None)))).json()
        listed = (await somebody.send("GET", f"{url}/api/tokens")).json()["items"]
        assert [each["token_id"] for each in listed] == [made["token_id"]]
        assert len((await admin.send("GET", f"{url}/api/tokens")).json()["items"]) == 2
        refused = await somebody.change("DELETE", f"{url}/api/tokens/{other['token_id']}")
        assert told(refused) == (404, "API_TOKEN_NOT_FOUND")

        # What is taken from the person is taken from the token, and from what is followed with it.
        async def follow() -> None:
            async with script.stream("GET", f"/live?topic=depot:{here}", headers=mine) as stream:
                following.set()
                async for _ in stream.aiter_raw():
                    pass

        following = asyncio.Event()
        followed = asyncio.create_task(follow())
        await following.wait()
        await grant("viewer", here)
        assert not followed.done()
        assert (await admin.change("DELETE", f"{url}/api/grants/{operator}")).status_code == 204
        assert (await script.get(f"/api/depots/{here}", headers=mine)).status_code == 200
        async with asyncio.timeout(30):
            await followed
        resync = await script.post(f"/api/depots/{here}/microgrid/resync", headers=mine)
        assert told(resync) == (403, "NOT_PERMITTED")
        # No cookie is read with a token, so a change needs no CSRF token, and a foreign page's is refused all the same.
        foreign = {**mine, "origin": "https://evil.example"}
        crossed = await script.post(f"/api/depots/{here}/microgrid/resync", headers=foreign)
        assert told(crossed) == (403, "CROSS_SITE_REFUSED")
        assert (await admin.change("DELETE", f"{url}/api/tokens/{made['token_id']}")).status_code == 204
        assert told(await script.get("/api/depots", headers=mine)) == (401, "TOKEN_REFUSED")


async def test_what_is_followed_with_a_token_ends_with_it(
    engine: AsyncEngine, database_url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.namespace
    monkeypatch.setattr("api.base.streams.rights.PROVE_EVERY", 0.2)
    async with (
        serving(Settings(database_url=SecretStr(database_url))) as address,
        httpx.AsyncClient(base_url=address, timeout=30) as caller,
    ):
        _, token = await make(caller, ("viewer", None))
        async with caller.stream("GET", "/live?topic=remediations", headers=bearing(token)) as stream:
            assert stream.status_code == 200
            # Nobody is notified of an end that comes by itself.
            async with engine.begin() as connection:
                await connection.execute(update(api_tokens).values(expires_at=datetime.now(UTC)))
            async for _ in stream.aiter_raw():
                pass
        assert told(await caller.get("/api/depots", headers=bearing(token))) == (401, "TOKEN_REFUSED")


async def test_a_session_alone_creates_tokens(engine: AsyncEngine, database_url: str) -> None:
    identity = Identity("https://id.example", "ann", "Ann", None, email_verified=False, groups=())
    async with engine.begin() as connection:
        await keep_person(connection, identity)
    who = person(Grant(Role.ADMINISTRATOR), subject=identity.subject)
    async with asked_as(database_url, {"ann": who}) as caller:
        # She is known, but comes with an access token of the provider, which ends in minutes.
        answer = await caller.post("/api/tokens", json=wanted(("viewer", None)), headers={WHO: "ann"})
    assert told(answer) == (403, "NOT_PERMITTED")


async def test_tokens_of_the_machine_itself_end_where_people_sign_in(
    api: httpx.AsyncClient, database_url: str, tmp_path: Path
) -> None:
    _, token = await make(api, ("administrator", None))
    async with signing_in(database_url, tmp_path) as (url, _), httpx.AsyncClient(base_url=url) as script:
        assert told(await script.get("/api/grants", headers=bearing(token))) == (401, "TOKEN_REFUSED")
    assert (await api.get("/api/grants", headers=bearing(token))).status_code == 200


def test_a_token_is_named_by_what_nobody_chooses() -> None:
    token_id = uuid4()
    assert token_actor("Ada <ada@depot.example>", token_id).name == f"Ada ada@depot.example <token#{token_id}>"
    assert token_actor("<>", token_id).name == f"Unnamed <token#{token_id}>"


HERE, THERE = uuid4(), uuid4()


@pytest.mark.parametrize(
    ("given", "bounds", "expected"),
    [
        ([Grant(Role.VIEWER)], [Grant(Role.VIEWER)], EVERYWHERE),
        ([Grant(Role.VIEWER)], [Grant(Role.OPERATOR, HERE)], DepotScope.of(HERE)),
        ([Grant(Role.VIEWER, HERE)], [Grant(Role.OPERATOR)], DepotScope.of(HERE)),
        ([Grant(Role.VIEWER, HERE)], [Grant(Role.OPERATOR, THERE)], NOWHERE),
        ([Grant(Role.VIEWER, HERE), Grant(Role.VIEWER, THERE)], [Grant(Role.QA, HERE)], DepotScope.of(HERE)),
        ([Grant(Role.VIEWER)], [], NOWHERE),
        ([], [Grant(Role.ADMINISTRATOR)], NOWHERE),
    ],
)
def test_a_token_is_permitted_what_both_are(given: list[Grant], bounds: list[Grant], expected: DepotScope) -> None:
    program = Principal(PrincipalKind.PROGRAM, "token#1", Actor("CI"), tuple(given), bounds=tuple(bounds))
    assert program.scope(Permission.VIEW) == expected


def test_an_administrators_token_may_send_packets() -> None:
    bounds = (Grant(Role.ADMINISTRATOR, HERE),)
    program = Principal(PrincipalKind.PROGRAM, "token#1", Actor("CI"), (Grant(Role.GATEWAY),), bounds=bounds)
    assert program.scope(Permission.SEND) == DepotScope.of(HERE)

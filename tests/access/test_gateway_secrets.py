"""Secrets of gateways: what is stored of them, how many there are, and that a revoked one ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest
import structlog
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.kept.known_gateways import KnownGateways, open_known_gateways
from api.base.streams.rights import RightsWatch
from domain.access.gateway_secrets import gateway_of, make_gateway_secret
from domain.access.principals import Grant, PrincipalKind
from domain.access.roles import Role
from domain.access.secrets import digest_of
from runtime.supervision import supervised
from store.access.tables import gateway_secrets
from tests.access.sites import told
from tests.factories.sites import MadeDepot, make_site
from tests.helpers.counting import statements_of
from tests.helpers.support import until


def path(site: MadeDepot) -> str:
    return f"/api/gateways/{site.gateway_id}/secrets"


async def make(api: httpx.AsyncClient, site: MadeDepot) -> tuple[str, str]:
    """Create a secret; its id and its text."""
    answer = await api.post(path(site))
    assert answer.status_code == 201, answer.text
    return answer.json()["secret_id"], answer.json()["secret"]


@asynccontextmanager
async def knowing(engine: AsyncEngine, *, hears: bool = True) -> AsyncGenerator[KnownGateways]:
    """What a process of the API knows."""
    rights = RightsWatch()

    async def is_listening() -> bool:
        return rights.hears

    async with open_known_gateways(engine, rights) as known:
        if not hears:
            yield known
            return
        async with supervised("rights", lambda: rights.run(engine)):
            await until(is_listening)
            yield known


async def test_a_secret_is_shown_once_and_stored_as_a_digest(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    answer = await api.post(path(site))
    made = answer.json()
    secret = made.pop("secret")
    assert secret.startswith(f"mgg_{site.gateway_id.hex}_")
    assert made["mqtt_user"] == f"{site.gateway_id}/a"
    assert made["used_at"] is None
    assert (await api.get(answer.headers["location"])).json() == made
    assert (await api.get(path(site))).json() == {"items": [made]}
    async with engine.connect() as connection:
        row = (await connection.execute(select(gateway_secrets))).mappings().one()
        journal = (await connection.execute(text("SELECT action, detail FROM changes ORDER BY id DESC LIMIT 1"))).one()
    assert row["digest"] == digest_of(secret)
    assert journal.action == "GATEWAY_SECRET_CREATED"
    assert journal.detail == {"gateway": "Gateway", "secret_id": made["secret_id"], "slot": "a"}
    assert secret.rpartition("_")[2] not in f"{dict(row)} {journal}"


async def test_a_gateway_has_two_secrets_at_once_and_no_third(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    answers = await asyncio.gather(*(api.post(path(site)) for _ in range(5)))
    assert sorted(each.status_code for each in answers) == [201, 201, 409, 409, 409]
    assert {told(each)[1] for each in answers} == {None, "TOO_MANY_GATEWAY_SECRETS"}
    made = [each.json() for each in answers if each.status_code == 201]
    assert {each["slot"] for each in made} == {"a", "b"}
    first = made[0]
    assert (await api.delete(f"{path(site)}/{first['secret_id']}")).status_code == 204
    assert told(await api.delete(f"{path(site)}/{first['secret_id']}")) == (404, "GATEWAY_SECRET_NOT_FOUND")
    again = (await api.post(path(site))).json()
    assert again["slot"] == first["slot"]
    assert again["secret"] != first["secret"]


async def test_a_secret_is_revoked_at_its_own_gateway(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, other = await make_site(engine), await make_site(engine)
    secret_id, _ = await make(api, site)
    for ask in (api.get, api.delete):
        assert told(await ask(f"{path(other)}/{secret_id}")) == (404, "GATEWAY_SECRET_NOT_FOUND")
    unknown = f"/api/gateways/{uuid4()}/secrets"
    assert told(await api.post(unknown)) == told(await api.get(unknown)) == (404, "GATEWAY_NOT_FOUND")
    assert len((await api.get(path(site))).json()["items"]) == 1


async def test_the_secrets_of_a_deleted_gateway_are_gone(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    _, secret = await make(api, site)
    async with knowing(engine) as known:
        assert await known.find(secret) is not None
        assert (await api.delete(f"/api/gateways/{site.gateway_id}")).status_code == 204

        async def is_forgotten() -> bool:
            return await known.find(secret) is None

        await until(is_forgotten)
    async with engine.connect() as connection:
        query = text("SELECT detail ->> 'with_secrets' FROM changes WHERE action = 'GATEWAY_DELETED'")
        assert (await connection.execute(query)).scalar_one() == "1"


async def test_a_known_secret_costs_no_statement_until_it_is_revoked(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine)
    secret_id, secret = await make(api, site)
    async with knowing(engine) as known:
        found = await known.find(secret)
        assert found is not None
        assert (found.kind, found.gateway_id) == (PrincipalKind.GATEWAY, site.gateway_id)
        assert found.grants == (Grant(Role.GATEWAY, site.depot_id),)
        with statements_of(engine) as seen:
            assert [await known.find(secret) for _ in range(50)] == [found] * 50
        # Only the use, which is noted beside.
        assert seen.count <= 1
        assert (await api.delete(f"{path(site)}/{secret_id}")).status_code == 204

        async def is_refused() -> bool:
            return await known.find(secret) is None

        await until(is_refused)


async def test_what_cannot_hear_of_revocations_looks_every_secret_up(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine)
    secret_id, secret = await make(api, site)
    async with knowing(engine, hears=False) as known:
        assert await known.find(secret) is not None
        assert (await api.delete(f"{path(site)}/{secret_id}")).status_code == 204
        assert await known.find(secret) is None


async def test_the_log_alone_tells_a_wrong_secret_from_an_unknown_gateway(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine)
    _, secret = await make(api, site)
    wrong, unknown = (
        make_gateway_secret(gateway_id, bytes(32), bytes(12)).text for gateway_id in (site.gateway_id, uuid4())
    )
    async with knowing(engine) as known:
        with structlog.testing.capture_logs() as logged:
            for each in (wrong, unknown, f"{secret}x", "mgg_", "mgg_\n"):
                assert await known.find(each) is None
    nothing = "no secret of a gateway looks like this"
    assert [each["reason"] for each in logged] == ["wrong secret", "unknown gateway", *[nothing] * 3]
    assert [each.get("gateway_id") for each in logged[:2]] == [str(site.gateway_id), str(gateway_of(unknown))]
    for each in (wrong, unknown, secret):
        assert each.rpartition("_")[2] not in str(logged)


async def test_the_last_use_is_noted_once_a_minute(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    _, secret = await make(api, site)

    async def used_at() -> str | None:
        return (await api.get(path(site))).json()["items"][0]["used_at"]

    async with knowing(engine) as known:
        await known.find(secret)
        await known.note()
        first = await used_at()
        assert first is not None
    # Another process does not note it again so soon, and does later.
    async with knowing(engine) as known:
        await known.find(secret)
        await known.note()
        assert await used_at() == first
        async with engine.begin() as connection:
            earlier = text("used_at - interval '2 minutes'")
            await connection.execute(update(gateway_secrets).values(used_at=earlier))
    async with knowing(engine) as known:
        await known.find(secret)
    assert await used_at() is not None
    assert await used_at() > first  # type: ignore[operator]


@pytest.mark.parametrize("given", ["", "mgg", "mgs_" + "A" * 43, "mgg_" + "0" * 32 + "_" + "A" * 42, "mgg_\u0660"])
def test_what_looks_like_no_secret_names_no_gateway(given: str) -> None:
    assert gateway_of(given) is None


def test_a_secret_names_its_gateway_and_keeps_itself() -> None:
    gateway_id = UUID(int=7)
    made = make_gateway_secret(gateway_id, bytes(range(32)), bytes(12))
    assert gateway_of(made.text) == gateway_id
    assert made.text not in repr(made)

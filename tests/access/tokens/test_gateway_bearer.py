"""The secret of a gateway as a bearer token: with it the gateway sends its own packets and does nothing else."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.gateway_secrets import create_one
from domain.access.gateway_secrets import make_gateway_secret
from store.access.gateway_secrets import delete_secret
from store.base.database import transaction
from tests.access.sites import NO_PROVIDER, asked_with_proof, told
from tests.factories.packets import PATH
from tests.factories.sites import controller_site, packet
from tests.helpers.support import ACTOR, until

pytestmark = pytest.mark.usefixtures("client")
WAYS = pytest.mark.parametrize(
    ("address", "settings"), [("192.0.2.7", {}), ("127.0.0.1", NO_PROVIDER)], ids=["provider", "no provider"]
)
"""A secret is judged alike where people sign in and where the place is the last proof."""


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def without_id(answer: httpx.Response) -> dict[str, Any]:
    """What a caller is told, but for what is new with each request."""
    changing = {"date", "x-request-id"}
    headers = {name: each for name, each in answer.headers.items() if name not in changing}
    return {**answer.json(), "headers": headers, "request_id": None}


@WAYS
async def test_a_gateway_sends_its_own_packets_with_its_secret(
    engine: AsyncEngine, database_url: str, address: str, settings: dict[str, Any]
) -> None:
    own, foreign = await controller_site(engine), await controller_site(engine)
    record, secret = await create_one(engine, ACTOR, own.gateway_id)
    _, second = await create_one(engine, ACTOR, own.gateway_id)
    mine, theirs = (packet(site, LIMIT_PEAK_SHAVING="true") for site in (own, foreign))
    async with asked_with_proof(database_url, address, **settings) as caller:
        for each in (secret, second):
            assert (await caller.post(PATH, json=mine, headers=bearer(each))).status_code == 200
            assert told(await caller.post(PATH, json=theirs, headers=bearer(each))) == (403, "FOREIGN_GATEWAY")
        items = (await caller.post(PATH, json=[theirs, mine], headers=bearer(secret))).json()["items"]
        assert [each["status"] for each in items] == ["REFUSED", "ACCEPTED"]
        for path in ("/api/depots", f"/api/gateways/{own.gateway_id}", "/api/scenarios", "/metrics", "/docs", "/"):
            assert (await caller.get(path, headers=bearer(secret))).status_code in (403, 404), path
        async with transaction(engine, ACTOR) as connection:
            await delete_secret(connection, ACTOR, own.gateway_id, record.secret_id)

        async def is_refused() -> bool:
            return told(await caller.post(PATH, json=mine, headers=bearer(secret)))[0] == 401

        await until(is_refused)
        assert (await caller.post(PATH, json=mine, headers=bearer(second))).status_code == 200


@WAYS
async def test_a_wrong_secret_and_an_unknown_gateway_are_told_the_same(
    engine: AsyncEngine, database_url: str, address: str, settings: dict[str, Any]
) -> None:
    site = await controller_site(engine)
    _, secret = await create_one(engine, ACTOR, site.gateway_id)
    wrong, unknown = (make_gateway_secret(each, bytes(32), bytes(12)).text for each in (site.gateway_id, uuid4()))
    body = packet(site, LIMIT_PEAK_SHAVING="true")
    async with asked_with_proof(database_url, address, **settings) as caller:
        answers = [
            await caller.post(PATH, json=body, headers=bearer(each)) for each in (wrong, unknown, f"{secret}x", "mgg_x")
        ]
        assert {each.status_code for each in answers} == {401}
        assert all(without_id(each) == without_id(answers[0]) for each in answers)
        # A wrong proof does not fall through to the place, nor to another proof.
        assert told(await caller.get("/api/depots", headers=bearer(wrong)))[0] == 401
        for each in (wrong, secret):
            assert each.rpartition("_")[2] not in "".join(answer.text for answer in answers)


async def test_no_secret_is_taken_from_an_address(engine: AsyncEngine, database_url: str) -> None:
    site = await controller_site(engine)
    _, secret = await create_one(engine, ACTOR, site.gateway_id)
    body = packet(site, LIMIT_PEAK_SHAVING="true")
    async with asked_with_proof(database_url) as caller:
        for query in ({"access_token": secret}, {"token": secret}, {"authorization": f"Bearer {secret}"}):
            answer = await caller.post(PATH, json=body, params=query)
            assert told(answer) == (401, "SIGN_IN_REQUIRED")
            assert secret not in answer.text

"""Event streams: how many one may follow, and that thousands of readers are not asked all at once who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import Request
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.streams.rights import PROVE_EVERY, PROVEN_AT_ONCE, RightsWatch, next_proof, while_permitted
from domain.access.principals import LOCAL_PRINCIPAL, Principal
from runtime.settings import Settings
from tests.access.sites import told
from tests.access.tokens.made import bearing, make
from tests.factories.sites import make_site
from tests.helpers.live import serving
from tests.helpers.support import until


@pytest.mark.usefixtures("client")
async def test_one_follows_so_many_streams_and_no_more(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.base.streams.rights.MOST_STREAMS", 2)
    site = await make_site(engine)
    live, events = "/live?topic=remediations", f"/api/microgrids/{site.microgrid_id}/events"
    async with (
        serving(Settings(database_url=SecretStr(database_url))) as address,
        httpx.AsyncClient(base_url=address, timeout=30) as caller,
    ):
        (_, mine), (_, other) = [await make(caller, ("viewer", None)) for _ in range(2)]
        async with caller.stream("GET", live, headers=bearing(mine)) as first:
            assert first.status_code == 200
            async with caller.stream("GET", events, headers=bearing(mine)) as second:
                assert second.status_code == 200
                for path in (live, events):
                    answer = await caller.get(path, headers=bearing(mine))
                    assert told(answer) == (429, "TOO_MANY_STREAMS")
                    assert int(answer.headers["retry-after"]) >= 1
                # Somebody else's streams are their own.
                async with caller.stream("GET", live, headers=bearing(other)) as another:
                    assert another.status_code == 200

            async def has_room() -> bool:
                async with caller.stream("GET", live, headers=bearing(mine)) as again:
                    return again.status_code == 200

            await until(has_room)


async def test_readers_are_asked_again_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rights, asked, most = RightsWatch(), 0, 0
    going_on = asyncio.Event()

    async def prove_again(_scope: object) -> Principal:
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await going_on.wait()
        asked -= 1
        return LOCAL_PRINCIPAL

    async def events() -> AsyncGenerator[int]:
        yield 1

    def who(_scope: object) -> Principal:
        return LOCAL_PRINCIPAL

    monkeypatch.setattr("api.base.streams.rights.prove_again", prove_again)
    monkeypatch.setattr("api.base.streams.rights.principal_of", who)
    monkeypatch.setattr("api.base.streams.rights.PROVE_EVERY", 0)
    streams = [while_permitted(Request({"type": "http"}), rights, events()) for _ in range(5 * PROVEN_AT_ONCE)]
    following = [asyncio.ensure_future(anext(each)) for each in streams]

    async def is_full() -> bool:
        return asked == PROVEN_AT_ONCE

    await until(is_full)
    # Nobody is told anything before it is known who they are.
    assert not any(each.done() for each in following)
    going_on.set()
    assert await asyncio.gather(*following) == [1] * len(streams)
    assert most == PROVEN_AT_ONCE
    for each in streams:
        await each.aclose()


def test_readers_that_came_together_are_asked_again_apart() -> None:
    drawn = {next_proof(100) for _ in range(1000)}
    assert len(drawn) > 900
    assert min(drawn) >= 100 + PROVE_EVERY / 2
    assert max(drawn) <= 100 + PROVE_EVERY

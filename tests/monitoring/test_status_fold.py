"""The latest status is the fold of the history, whatever order, repetition and grouping events come in."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.monitoring.capabilities import Capability, fold
from domain.monitoring.packets import parse_packet
from store.base.database import make_engine
from store.base.driver import driver_in
from store.monitoring.telemetry import ReceivedPacket, take_group
from tests.factories.folds import assert_latest_is_the_fold, assert_since_is_the_fold, histories, shown
from tests.factories.packets import send
from tests.factories.sites import MadeDepot, controller_site, milliseconds, packet

VALUES = st.sampled_from(["true", "false", None, "nonsense"])
RUNS = st.sampled_from([None, UUID(int=1), UUID(int=2)])
Event = tuple[int, str | None, str | None, UUID | None]
EVENT = st.tuples(st.integers(0, 12) | st.integers(80, 84), VALUES, VALUES, RUNS)
"""A packet: how many steps of time, what it says of each capability, and which scenario run sent it.
Equal times are equal references. The late steps lie ahead of the time of arrival."""
GROUPS = st.lists(st.lists(EVENT, min_size=1, max_size=6), min_size=1, max_size=8)


def as_packet(site: MadeDepot, base: int, event: Event) -> dict[str, Any]:
    step, peak, der, _ = event
    return packet(site, base + step * 1000, LIMIT_PEAK_SHAVING=peak, LIMIT_DER_EXPORT=der)


@pytest.mark.acceptance("COR-9.9")
@pytest.mark.acceptance("COR-9.12")
def test_shuffled_repeated_late_and_future_events_come_to_the_fold(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = make_engine(database_url, pool_size=2)

        @settings(
            max_examples=120,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            derandomize=True,
        )
        @given(GROUPS)
        def check(groups: list[list[Event]]) -> None:
            runner.run(_check_groups(engine, groups))

        try:
            check()
            runner.run(assert_latest_is_the_fold(engine))
            runner.run(assert_since_is_the_fold(engine))
        finally:
            runner.run(engine.dispose())


async def _check_groups(engine: AsyncEngine, groups: list[list[Event]]) -> None:
    site = await controller_site(engine)
    base = milliseconds(datetime.now(UTC) - timedelta(minutes=1))
    for group in groups:
        received: list[ReceivedPacket] = []
        for event in group:
            document = as_packet(site, base, event)
            parsed = parse_packet(document)
            assert not hasattr(parsed, "violations")
            received.append(ReceivedPacket(parsed, "{}", "tester", event[3]))  # pyright: ignore[reportArgumentType]
        async with engine.begin() as connection:
            results = await take_group(await driver_in(connection), received)
        assert len(results) == len(group)
    assert site.microgrid_id is not None
    expected = {
        (microgrid_id, capability): fold(events)
        for (microgrid_id, capability), events in (await histories(engine)).items()
        if microgrid_id == site.microgrid_id
    }
    found = {place: event for place, event in (await shown(engine)).items() if place[0] == site.microgrid_id}
    assert found == {place: event for place, event in expected.items() if event is not None}
    # And the history is whole: every readable value is there, in every repetition.
    readable = {"true", "false", None}
    for place, capability in enumerate(Capability, start=1):
        wanted = sum(event[place] in readable for group in groups for event in group)
        assert len((await histories(engine)).get((site.microgrid_id, capability), [])) == wanted


async def test_many_senders_at_once_come_to_the_fold(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    sites = [await controller_site(engine) for _ in range(4)]
    chance = random.Random(7)
    base = milliseconds(datetime.now(UTC) - timedelta(minutes=1))

    def some() -> dict[str, Any]:
        event = (chance.randrange(20), chance.choice(["true", "false", None]), chance.choice(["true", "false"]), None)
        return as_packet(chance.choice(sites), base, event)

    async def sender(bodies: list[Any]) -> None:
        for body in bodies:
            await send(api, body)

    loads = [[[some() for _ in range(chance.randint(1, 20))] for _ in range(6)] for _ in range(12)]
    total = sum(len(body) for load in loads for body in load)
    await asyncio.gather(*(sender(load) for load in loads))
    await assert_latest_is_the_fold(engine)
    await assert_since_is_the_fold(engine)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM packets"))).scalar_one() == total
        assert (await connection.execute(text("SELECT count(*) FROM capability_events"))).scalar_one() == 2 * total


async def test_the_two_ways_in_are_one_history(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    base = datetime.now(UTC) - timedelta(minutes=1)
    path = f"/api/microgrids/{site.microgrid_id}/capability-status"

    async def canonical(step: int, value: object) -> str:
        body = {
            "capability": "PEAK_SHAVING",
            "value": value,
            "observed_at": (base + timedelta(seconds=step)).isoformat(),
            "provider_event_ref": f"provider-{step}",
        }
        answer = await api.post(path, json=body)
        assert answer.status_code == 201
        return answer.json()["effect"]

    await send(api, packet(site, milliseconds(base), LIMIT_PEAK_SHAVING="true"))
    assert await canonical(5, value=False) == "SHOWN"
    await send(api, packet(site, milliseconds(base) + 3000, LIMIT_PEAK_SHAVING="true"))
    assert await canonical(4, value=True) == "LATE"
    assert await canonical(9, value=None) == "UNAVAILABLE"
    await asyncio.gather(*(canonical(10 + step, value=bool(step % 2)) for step in range(8)))
    await assert_latest_is_the_fold(engine)
    await assert_since_is_the_fold(engine)

"""Rollups that differ from their readings are found, said, and made right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.history.rollups import RollupCheckReport, RollupWidth
from store.history.rollup_checks import read_last_check
from store.history.tables import rollup_blocks, rollups
from store.monitoring.tables import device_readings
from tests.factories.rollups import add_readings, at, check_rollups, roll_up, stored
from tests.factories.sites import add_device, make_site
from tests.factories.stored_packets import ask_for_fill
from tests.helpers.journal import journal
from tests.helpers.live import make_worker
from tests.helpers.support import until

CORRUPTIONS = {
    "wrong": (3, "UPDATE {table} SET soc_most = 99, soc_readings = soc_readings + 1 WHERE device_id = :device_id"),
    "missing": (3, "DELETE FROM {table} WHERE device_id = :device_id"),
    "without readings": (
        3, "INSERT INTO {table} (device_id, begins_at, soc_last) SELECT uuidv7(), begins_at, 1 FROM {table} LIMIT 1",
    ),
}  # fmt: skip


async def rolled_up(engine: AsyncEngine) -> UUID:
    device_id = uuid4()
    await add_readings(engine, *(at(10 * n, device_id, soc=float(n)) for n in range(4)))
    await add_readings(engine, at(0, uuid4(), soc=1.0), at(90_000, uuid4(), soc=1.0))
    await roll_up(engine)
    return device_id


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("width", RollupWidth)
async def test_what_differs_is_counted_and_made_right(engine: AsyncEngine, kind: str, width: RollupWidth) -> None:
    device_id = await rolled_up(engine)
    right = await stored(engine)
    assert await check_rollups(engine) == RollupCheckReport(3, 0, True, True)
    _, statement = CORRUPTIONS[kind]
    async with engine.begin() as connection:
        given = {"device_id": device_id} if ":device_id" in statement else {}
        await connection.execute(text(statement.format(table=rollups[width].name)), given)
    wrong = await stored(engine)
    assert wrong != right
    counted = await check_rollups(engine, repair=False, page=1)
    assert counted.differences >= 1
    assert await stored(engine) == wrong
    repaired = await check_rollups(engine, page=2)
    assert (repaired.differences, repaired.repaired) == (counted.differences, True)
    assert await stored(engine) == right
    assert (await check_rollups(engine)).differences == 0


async def test_what_is_still_to_be_rolled_up_is_no_difference(engine: AsyncEngine) -> None:
    device_id = await rolled_up(engine)
    before = await stored(engine)
    await add_readings(engine, at(1000, device_id, soc=7.0))
    assert (await check_rollups(engine)).differences == 0
    assert await stored(engine) == before
    async with engine.begin() as connection:
        await connection.execute(
            rollup_blocks.insert().values(
                device_id=device_id, block_at=at(0, device_id)["observed_at"],
                since=at(0, device_id)["observed_at"], until=at(60, device_id)["observed_at"],
            )
        )  # fmt: skip
        await connection.execute(text("UPDATE reading_minutes SET soc_most = 5"))
    assert (await check_rollups(engine)).differences == 2


async def test_months_whose_readings_are_dropped_are_left(engine: AsyncEngine) -> None:
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    device_id = uuid4()
    await add_readings(engine, {"device_id": device_id, "observed_at": first - timedelta(hours=1), "soc": 1.0})
    await roll_up(engine)
    before = await stored(engine)
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP TABLE device_readings_{first - timedelta(hours=1):%Y_%m}"))
    assert (await check_rollups(engine, days=None)).differences == 0
    assert (await check_rollups(engine, days=62)).differences == 0
    assert await stored(engine) == before


async def test_before_anything_is_rolled_up_there_is_nothing_to_check(engine: AsyncEngine) -> None:
    await add_readings(engine, at(0, uuid4(), soc=1.0))
    assert await check_rollups(engine, days=None) == RollupCheckReport(0, 0, True, True)


async def test_a_check_that_is_asked_for_is_watched_to_its_end(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    await rolled_up(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE reading_days SET soc_most = 99"))
    made = await api.post("/api/rollups/check", json={"days": 5})
    assert made.status_code == 202
    shown = (await api.get("/api/rollups")).json()
    assert shown["stretches_left"] == 0
    assert shown["last_check"] == made.json()
    assert made.json()["finished_at"] is None
    async with make_worker(client, engine, task_queue):

        async def finished() -> bool:
            async with engine.connect() as connection:
                found = await read_last_check(connection)
            return found is not None and found.finished_at is not None

        await until(finished)
    ended: dict[str, Any] = (await api.get("/api/rollups")).json()["last_check"]
    assert (ended["compared"], ended["differences"], ended["repair"]) == (3, 3, True)
    async with engine.connect() as connection:
        assert set((await connection.execute(select(rollups[RollupWidth.DAY].c.soc_most))).scalars()) == {3, 1}
    ((action, _, detail),) = await journal(engine, ended["check_id"])
    assert (action, detail) == ("ROLLUP_CHECK_REQUESTED", {"days": 5, "repair": True})


async def test_operators_see_what_is_left(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async def figures() -> dict[str, float]:
        families = text_string_to_metric_families((await api.get("/metrics")).text)
        return {sample.name: sample.value for family in families for sample in family.samples}

    site = await make_site(engine, feeds=1)
    await add_device(engine, site, "em-1", None)
    shown = (await api.get("/api/rollups")).json()
    assert shown["complete_at"] is None
    assert shown["last_check"] is None
    await rolled_up(engine)
    async with engine.begin() as connection:
        await ask_for_fill(connection, site.gateway_id)
        await connection.execute(update(device_readings).values(soc=5.0))
        await connection.execute(
            text("INSERT INTO rollup_blocks VALUES (uuidv7(), now(), now(), now() + interval '1 minute')")
        )
    shown = (await api.get("/api/rollups")).json()
    assert shown["fill"] == {"gateways_left": 1, "packets_read": 0}
    assert shown["stretches_left"] == 1
    page = (await api.get("/backfills")).text
    assert "1 gateway left" in page
    part = (await api.get("/backfills/readings")).text
    assert part[part.index("<dl") : part.index("</dl>")] in page
    found = await figures()
    assert (found["manage_reading_fill_gateways_left"], found["manage_rollup_stretches_left"]) == (1, 1)
    assert found["manage_rollup_lag_seconds"] >= shown["lag_seconds"] >= 0

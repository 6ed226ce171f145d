"""Readings are stored with their packet, once each, typed; packets that came before their device are read later."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from alembic import command
from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.reading_fill import ReadingFillActivities
from domain.monitoring.upkeep import ReadingFillOutcome, ReadingFillReport, ReadingFillRequest
from domain.site.measurands import MEASURANDS, ValueKind
from runtime.search_attributes import OUTCOME
from store.migrate import alembic_config, upgrade
from store.monitoring.device_readings import COLUMN_TYPES, column_of
from store.monitoring.reading_fills import FilledPage, fill_page
from store.monitoring.tables import capability_events, device_readings, packets, reading_fills
from telemetry.ingest import open_ingest
from telemetry.intake import ingest_packets, read_body
from tests.factories.sites import MadeDepot, add_device, controller_site, make_site, milliseconds, packet
from tests.factories.stored_packets import ask_for_fill, fill
from tests.helpers.live import make_worker
from tests.helpers.support import ACTOR, until
from workflows.reading_fill import ReadingFillWorkflow

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
_BEFORE_READINGS = "0016"


async def send(api: httpx.AsyncClient, *documents: dict[str, Any]) -> None:
    answer = await api.post("/api/telemetry/packets", json=list(documents))
    assert [each["status"] for each in answer.json()["items"]] == ["ACCEPTED"] * len(documents)


async def stored(engine: AsyncEngine) -> list[dict[str, Any]]:
    """All readings, without what was not measured."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(device_readings).order_by(device_readings.c.device_id, device_readings.c.observed_at)
        )
        return [
            {name: value for name, value in row.items() if value is not None and name != "written_in"}
            for row in rows.mappings()
        ]


async def forget(engine: AsyncEngine, site: MadeDepot) -> None:
    """Have the readings made anew from the packets."""
    async with engine.begin() as connection:
        await connection.execute(delete(device_readings))
        await ask_for_fill(connection, site.gateway_id)


async def meter(engine: AsyncEngine) -> tuple[MadeDepot, UUID]:
    site = await make_site(engine, feeds=1)
    return site, await add_device(engine, site, "em-1", site.circuit_ids[0])


def without_arrival(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "received_at"} for row in rows]


async def test_a_packet_is_stored_typed(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, device_id = await meter(engine)
    await send(
        api,
        packet(site, milliseconds(NOW), "em-1", TOTAL_POWER_LOAD=1250, LIMIT_PEAK_SHAVING="true", HEARTBEAT_STATUS="ok",
               SOC=None),
        packet(site, milliseconds(NOW), "nobody", TOTAL_POWER_LOAD=5),
    )  # fmt: skip
    (row,) = await stored(engine)
    assert abs(row.pop("received_at") - datetime.now(UTC)) < timedelta(minutes=5)
    assert row == {
        "device_id": device_id, "observed_at": NOW, "total_power_load": 1250.0, "limit_peak_shaving": True,
        "heartbeat_status": "ok", "faults": {"SOC": "VALUE_UNAVAILABLE"},
    }  # fmt: skip


async def test_a_reading_counts_once_whoever_repeats_it_and_however(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site, _ = await meter(engine)
    stamp = milliseconds(NOW)
    first = packet(site, stamp, "em-1", TOTAL_POWER_LOAD=1, SOC=None)
    await send(api, first)
    (before,) = await stored(engine)
    async with engine.connect() as connection:
        version = (await connection.execute(text("SELECT xmin::text FROM device_readings"))).scalar_one()
    await send(api, first, first)
    await send(api, packet(site, stamp, "em-1", TOTAL_POWER_LOAD=2, SOC=5))
    assert await stored(engine) == [before]
    await send(api, packet(site, stamp, "em-1", TOTAL_POWER_LOAD=2, SOC=5, CURRENT=7, VOLTAGE=None))
    (after,) = await stored(engine)
    assert after == {
        **before, "current": 7.0, "faults": {"SOC": "VALUE_UNAVAILABLE", "VOLTAGE": "VALUE_UNAVAILABLE"},
    }  # fmt: skip
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT xmin::text FROM device_readings"))).scalar_one() != version


_FAILS = """
    CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$
"""
_AT_COMMIT = """
    CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON {} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fails()
"""
"""Lets each transaction that adds to a table fail when it commits."""


@pytest.mark.parametrize("table", ["packets", "device_readings", "capability_events"])
async def test_packet_readings_and_statuses_are_there_together_or_not_at_all(
    api: httpx.AsyncClient, engine: AsyncEngine, table: str
) -> None:
    site = await controller_site(engine)
    sent = packet(site, milliseconds(NOW), LIMIT_PEAK_SHAVING="true")

    async def counts() -> list[int]:
        async with engine.connect() as connection:
            return [
                (await connection.execute(select(func.count()).select_from(each))).scalar_one()
                for each in (packets, device_readings, capability_events)
            ]

    async with engine.begin() as connection:
        await connection.execute(text(_FAILS))
        await connection.execute(text(_AT_COMMIT.format(table)))
    answer = await api.post("/api/telemetry/packets", json=sent)
    assert (answer.status_code, await counts()) == (500, [0, 0, 0])
    async with engine.begin() as connection:
        await connection.execute(text("DROP FUNCTION fails CASCADE"))
    await send(api, sent)
    assert await counts() == [1, 1, 1]


async def test_every_measurand_has_its_column(engine: AsyncEngine) -> None:
    assert set(COLUMN_TYPES) == set(ValueKind)
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
                "WHERE attrelid = 'device_readings'::regclass AND attnum > 4 AND NOT attisdropped "
                "AND attname NOT IN ('scenario_run_id', 'written_in')"
            )
        )
        found = {tuple(row) for row in rows}
    assert found == {(column_of(key), COLUMN_TYPES[spec.kind]) for key, spec in MEASURANDS.items()}


async def test_packets_that_are_there_are_read_to_the_same_readings(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site, _ = await meter(engine)
    await add_device(engine, site, "em-2", None)
    samples: dict[ValueKind, list[Any]] = {
        ValueKind.NUMBER: [0.5, 0, None, "text", 1e12],
        ValueKind.BOOLEAN_TEXT: ["true", "false", None, "TRUE", 1],
        ValueKind.TEXT: ["error", "on", None, 5, "none of ours"],
    }
    for n in range(5):
        for sensor in ("em-1", "em-2"):
            values = {key.value: samples[spec.kind][n] for key, spec in MEASURANDS.items()}
            await send(api, packet(site, milliseconds(NOW + timedelta(seconds=n // 2)), sensor, **values))
    before = await stored(engine)
    assert len(before) == 6
    await forget(engine, site)
    assert await stored(engine) == []
    while True:
        async with engine.begin() as connection:
            page = await fill_page(connection, page=2)
        if page is None:
            break
    assert await stored(engine) == before


async def test_the_migration_has_the_packets_read_that_are_there(engine: AsyncEngine, database_url: str) -> None:
    site, first = await meter(engine)
    second = await add_device(engine, site, "em-2", None)
    await add_device(engine, site, "never heard of", None)
    await meter(engine)
    sent = [
        (sensor, NOW + timedelta(seconds=n // 3), {"TOTAL_POWER_LOAD": 100.0 * n, key: float(n)})
        for n, key in enumerate(("SOC", "CURRENT", "SOC", "VOLTAGE", "VOLTAGE", "FREQUENCY", "SOC"))
        for sensor in ("em-1", "em-2", "nobody")
    ]
    async with open_ingest(engine) as ingest:
        for sensor, at, values in sent:
            body = json.dumps(packet(site, milliseconds(at), sensor, **values)).encode()
            await ingest_packets(ingest, read_body(body, ACTOR, datetime.now(UTC)))
    before = await stored(engine)
    # The first that came counts, measurand by measurand.
    folded: dict[tuple[UUID, datetime], dict[str, float]] = {}
    for sensor, at, values in sent:
        if sensor in site.devices:
            reading = folded.setdefault((site.devices[sensor], at), {})
            for key, value in values.items():
                reading.setdefault(key.lower(), value)
    assert len(folded) == 6

    await engine.dispose()
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), _BEFORE_READINGS)
    await asyncio.to_thread(upgrade, database_url)
    assert await stored(engine) == []
    async with engine.connect() as connection:
        asked = await connection.execute(select(reading_fills.c.gateway_id, reading_fills.c.device_ids))
        assert [tuple(row) for row in asked] == [(site.gateway_id, sorted([first, second]))]
    await fill(engine)
    found = await stored(engine)
    assert found == before
    assert {(row.pop("device_id"), row.pop("observed_at")): row for row in without_arrival(found)} == folded


async def test_a_fill_that_breaks_off_goes_on_where_it_ended(
    api: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, _ = await meter(engine)
    await send(api, *(packet(site, milliseconds(NOW + timedelta(seconds=n)), "em-1", SOC=n) for n in range(9)))
    before = await stored(engine)
    await forget(engine, site)
    pages = 0

    async def dies(connection: AsyncConnection) -> FilledPage | None:
        nonlocal pages
        pages += 1
        page = await fill_page(connection, page=2)
        if pages == 3:
            raise OSError("the connection is gone")
        return page

    async def run() -> ReadingFillReport:
        return await ActivityEnvironment().run(ReadingFillActivities(engine).fill_readings, ReadingFillRequest())

    with monkeypatch.context() as broken, pytest.raises(OSError, match="gone"):
        broken.setattr("activities.reading_fill.fill_page", dies)
        await run()
    # Of the third page nothing is there, neither its readings nor that it was read.
    assert await stored(engine) == before[:4]
    # What the first try read is not read again.
    assert await run() == ReadingFillReport(5, 1, 0)
    assert await stored(engine) == before
    async with engine.connect() as connection:
        assert (await connection.execute(select(reading_fills.c.packets_read))).scalar_one() == 9


async def test_a_device_that_comes_after_its_packets_has_their_history(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site, first = await meter(engine)
    await send(api, *(packet(site, milliseconds(NOW + timedelta(seconds=n)), "em-2", SOC=n) for n in range(3)))
    await send(api, packet(site, milliseconds(NOW), "em-1", SOC=50))
    (only,) = await stored(engine)
    late = await add_device(engine, site, "em-2", None)
    await add_device(engine, site, "never heard of", None)
    async with engine.connect() as connection:
        asked = (await connection.execute(select(reading_fills.c.device_ids))).scalars().all()
    assert asked == [[late]]
    await fill(engine)
    rows = await stored(engine)
    assert [(row["device_id"], row["soc"]) for row in rows if row["device_id"] == late] == [
        (late, 0.0), (late, 1.0), (late, 2.0),
    ]  # fmt: skip
    assert [row for row in rows if row["device_id"] == first] == [only]


async def test_what_came_before_is_read_by_the_workflow_and_again_is_nothing(
    api: httpx.AsyncClient, engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    site, _ = await meter(engine)
    await send(api, *(packet(site, milliseconds(NOW + timedelta(seconds=n)), "em-1", SOC=n) for n in range(9)))
    before = await stored(engine)
    await forget(engine, site)
    async with make_worker(client, engine, task_queue):

        async def run() -> ReadingFillReport:
            handle = await client.start_workflow(
                ReadingFillWorkflow.run, ReadingFillRequest(), id=f"reading-fill/{uuid4()}", task_queue=task_queue
            )
            report = await handle.result()

            async def told() -> bool:
                return (await handle.describe()).typed_search_attributes.get(OUTCOME) == report.outcome

            await until(told)
            return report

        assert await run() == ReadingFillReport(9, 1, 0)
        assert await stored(engine) == before
        assert (await run()).outcome is ReadingFillOutcome.NOTHING_TO_DO


@pytest.mark.parametrize("document", ["{}", '{"sensors": 5}', '"text"'])
async def test_what_is_no_packet_does_not_stop_the_others(
    api: httpx.AsyncClient, engine: AsyncEngine, document: str
) -> None:
    site, _ = await meter(engine)
    await send(api, packet(site, milliseconds(NOW), "em-1", SOC=5))
    async with engine.begin() as connection:
        await connection.execute(
            packets.insert().values(
                gateway_id=site.gateway_id, depot_id=site.depot_id, observed_at=NOW - timedelta(seconds=1),
                received_at=NOW, document=text(f"'{document}'::jsonb"), answers=[],
            )
        )  # fmt: skip
    before = await stored(engine)
    await forget(engine, site)
    report = await ActivityEnvironment().run(ReadingFillActivities(engine).fill_readings, ReadingFillRequest())
    assert report == ReadingFillReport(2, 1, 0)
    assert await stored(engine) == before


async def test_a_gateway_that_goes_leaves_its_readings_and_no_fill(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, _ = await meter(engine)
    await send(api, packet(site, milliseconds(NOW), "em-1", SOC=5))
    before = await stored(engine)
    await forget(engine, site)
    await fill(engine)
    await api.delete(f"/api/gateways/{site.gateway_id}", params={"cascade": True})
    async with engine.connect() as connection:
        assert (await connection.execute(select(reading_fills))).all() == []
    assert await stored(engine) == before

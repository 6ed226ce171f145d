"""Rollups are what the readings say: however late, in whatever order, and however often these come."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.history.rollups import RollupOutcome, RollupReport, RollupRequest, RollupWidth
from domain.history.series import DELAYED_AFTER, HELD_AT_MOST
from domain.site.measurands import MEASURANDS, MeasurandKey, ValueKind
from runtime.search_attributes import OUTCOME
from store.history.rollup_statements import parts_of, rollup_column
from store.history.rollups import read_backlog
from store.history.tables import rollup_mark, rollups
from store.monitoring.device_readings import column_of
from store.monitoring.tables import device_readings
from tests.factories.rollups import NOON, Rollup, Rollups, add_readings, at, roll_up, stored
from tests.factories.sites import add_device, make_site, milliseconds, packet
from tests.helpers.live import make_worker
from tests.helpers.support import until
from workflows.reading_rollup import ReadingRollupWorkflow


async def expected(engine: AsyncEngine) -> Rollups:
    """What the rule says of the readings that are there, measurand by measurand."""
    async with engine.connect() as connection:
        rows = [dict(row) for row in (await connection.execute(select(device_readings))).mappings()]
    by_device: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        row["at"] = min(row["observed_at"], row["received_at"])
        by_device[row["device_id"]].append(row)
    return {
        width: {
            (device_id, begins_at): rollup
            for device_id, readings in by_device.items()
            for begins_at, rollup in of_device(readings, width.span).items()
        }
        for width in RollupWidth
    }


def of_device(readings: Iterable[dict[str, Any]], width: timedelta) -> dict[datetime, Rollup]:
    found: dict[datetime, Rollup] = defaultdict(dict)
    in_order = sorted(readings, key=lambda each: (each["at"], each["observed_at"]))
    for key, spec in MEASURANDS.items():
        sent = [each for each in in_order if each[column_of(key)] is not None or key in (each["faults"] or {})]
        for reading, following in zip(sent, [*sent[1:], None][: len(sent)], strict=True):
            begins_at = reading["at"] - (reading["at"] - datetime.fromtimestamp(0, UTC)) % width
            ends = reading["at"] + HELD_AT_MOST
            held = (ends if following is None else min(ends, following["at"])) - reading["at"]
            add(found[begins_at], key, spec.kind, reading, held.total_seconds())
    return dict(found)


def add(rollup: Rollup, key: MeasurandKey, kind: ValueKind, reading: dict[str, Any], seconds: float) -> None:
    name = column_of(key)
    rollup.setdefault(f"{name}_first_at", reading["at"])
    rollup[f"{name}_last_at"] = reading["at"]
    value = reading[name]
    if value is None:
        codes = rollup.setdefault("faults", {}).setdefault(key.value, {})
        code = reading["faults"][key]
        codes[code] = codes.get(code, 0) + 1
        return
    rollup[f"{name}_readings"] = rollup.get(f"{name}_readings", 0) + 1
    if reading["received_at"] - reading["observed_at"] > DELAYED_AFTER:
        rollup[f"{name}_delayed"] = rollup.get(f"{name}_delayed", 0) + 1
    if reading["scenario_run_id"] is not None:
        rollup[f"{name}_simulated"] = rollup.get(f"{name}_simulated", 0) + 1
    if kind is not ValueKind.TEXT:
        value = float(value)
        rollup[f"{name}_least"] = min(value, rollup.get(f"{name}_least", value))
        rollup[f"{name}_most"] = max(value, rollup.get(f"{name}_most", value))
        rollup[f"{name}_weighted"] = rollup.get(f"{name}_weighted", 0) + value * seconds
        rollup[f"{name}_seconds"] = rollup.get(f"{name}_seconds", 0) + seconds
    rollup[f"{name}_last"] = value


async def assert_right(engine: AsyncEngine) -> None:
    found, wanted = await stored(engine), await expected(engine)
    for width in RollupWidth:
        assert found[width].keys() == wanted[width].keys()
        for place, rollup in wanted[width].items():
            # Sums of the same numbers in another order.
            assert found[width][place] == {
                name: pytest.approx(value, rel=1e-9, abs=1e-6) if isinstance(value, float) else value
                for name, value in rollup.items()
            }, place
    assert await roll_up(engine) == 0


@pytest.mark.parametrize("seed", range(6))
async def test_rollups_are_what_the_readings_say_in_whatever_order_these_come(engine: AsyncEngine, seed: int) -> None:
    chance = random.Random(seed)
    devices = [uuid4() for _ in range(2)]
    samples: dict[ValueKind, list[Any]] = {
        ValueKind.NUMBER: [-5.5, 0.1, 7, 1000], ValueKind.BOOLEAN_TEXT: [True, False], ValueKind.TEXT: ["on", "error"],
    }  # fmt: skip
    keys = list(MEASURANDS)
    taken: set[tuple[UUID, datetime]] = set()
    for _ in range(4):
        readings: list[dict[str, Any]] = []
        for _ in range(chance.randint(1, 40)):
            # Around midnight in UTC, which ends a minute, a quarter of an hour and a day.
            observed = NOON + timedelta(hours=12, seconds=chance.choice([1, 37.5, 600]) * chance.randint(-60, 60))
            device_id = chance.choice(devices)
            if (device_id, observed) in taken:
                continue
            taken.add((device_id, observed))
            chosen = chance.sample(keys, chance.randint(1, 4))
            faulty = [key for key in chosen if chance.random() < 0.2]
            values = {
                column_of(key): chance.choice(samples[MEASURANDS[key].kind]) for key in chosen if key not in faulty
            }
            came = observed + timedelta(seconds=chance.choice([-400, -3, 0.2, 400, 90_000]))
            faults = {key.value: chance.choice(["VALUE_UNAVAILABLE", "WRONG_UNIT"]) for key in faulty}
            run_id = chance.choice([None, uuid4()])
            reading = {"device_id": device_id, "observed_at": observed, "received_at": came, **values}
            reading["scenario_run_id"] = run_id
            readings.append(reading | {"faults": faults} if faults else reading)
        await add_readings(engine, *readings)
        await roll_up(engine, page=timedelta(hours=chance.choice([1, 100])))
        await assert_right(engine)


async def test_a_minute_says_least_mean_most_last_and_how_many(engine: AsyncEngine) -> None:
    device_id = uuid4()
    await add_readings(
        engine, at(0, device_id, total_power_load=100.0), at(10, device_id, total_power_load=400.0),
        at(40, device_id, faults={"TOTAL_POWER_LOAD": "VALUE_UNAVAILABLE"}), at(50, device_id, total_power_load=10.0),
        at(70, device_id, total_power_load=0.0, limit_der_export=True), at(100, device_id, limit_der_export=False),
    )  # fmt: skip
    await roll_up(engine)
    found = (await stored(engine))[RollupWidth.MINUTE]
    assert found[device_id, NOON] == {
        "faults": {"TOTAL_POWER_LOAD": {"VALUE_UNAVAILABLE": 1}},
        "total_power_load_least": 10, "total_power_load_most": 400, "total_power_load_last": 10,
        # 100 W for 10 s, 400 W for 30 s, nothing for 10 s, and 10 W until 10 s into the next minute.
        "total_power_load_weighted": 100 * 10 + 400 * 30 + 10 * 20, "total_power_load_seconds": 60,
        "total_power_load_readings": 3, "total_power_load_first_at": NOON,
        "total_power_load_last_at": NOON + timedelta(seconds=50),
    }  # fmt: skip
    then = found[device_id, NOON + timedelta(minutes=1)]
    # Nothing follows: it counts for a quarter of an hour.
    assert then["total_power_load_seconds"] == HELD_AT_MOST.total_seconds()
    # ON for 30 s of them.
    assert then["limit_der_export_weighted"] == 30
    assert then["limit_der_export_last"] == 0


async def test_what_comes_late_ends_what_held_before(engine: AsyncEngine) -> None:
    device_id = uuid4()
    await add_readings(engine, at(-60, device_id, soc=50.0), at(700, device_id, soc=60.0))
    await roll_up(engine)
    before = NOON - timedelta(minutes=15)
    assert (await stored(engine))[RollupWidth.QUARTER][device_id, before]["soc_seconds"] == 760
    await add_readings(engine, at(30, device_id, soc=70.0, received_at=NOON + timedelta(days=1)))
    await roll_up(engine)
    found = (await stored(engine))[RollupWidth.QUARTER]
    assert found[device_id, before]["soc_seconds"] == 90
    assert found[device_id, NOON]["soc_delayed"] == 1
    await assert_right(engine)


async def test_a_measurand_that_comes_later_for_the_same_time_is_rolled_up_too(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine, feeds=1)
    device_id = await add_device(engine, site, "em-1", site.circuit_ids[0])
    stamp = milliseconds(datetime.now(UTC) - timedelta(minutes=5))
    for measured in ({"SOC": 5}, {"SOC": 5}, {"SOC": 6, "CURRENT": 7}):
        await api.post("/api/telemetry/packets", json=packet(site, stamp, "em-1", **measured))
        await roll_up(engine)
        await assert_right(engine)
    ((place, found),) = (await stored(engine))[RollupWidth.DAY].items()
    assert place[0] == device_id
    assert (found["soc_last"], found["soc_readings"], found["current_last"]) == (5, 1, 7)


async def test_what_is_still_being_written_is_rolled_up_once_it_is_there(engine: AsyncEngine) -> None:
    slow, quick = uuid4(), uuid4()
    async with engine.connect() as open_transaction:
        await open_transaction.execute(
            device_readings.insert().values(device_id=slow, observed_at=NOON, received_at=NOON, soc=1.0)
        )
        # Committed later, and seen before the other is.
        await add_readings(engine, at(0, quick, soc=2.0))
        await roll_up(engine)
        async with engine.connect() as connection:
            assert (await read_backlog(connection)).complete_at is None
        await open_transaction.commit()
    await roll_up(engine)
    await assert_right(engine)
    assert {device_id for device_id, _ in (await stored(engine))[RollupWidth.DAY]} == {slow, quick}
    async with engine.connect() as connection:
        assert (await read_backlog(connection)).complete_at is not None


async def test_an_open_transaction_holds_back_only_what_came_since_it_began(engine: AsyncEngine) -> None:
    await roll_up(engine)
    async with engine.connect() as connection:
        before = (await read_backlog(connection)).complete_at
    async with engine.connect() as open_transaction:
        await open_transaction.execute(
            device_readings.insert().values(device_id=uuid4(), observed_at=NOON, received_at=NOON)
        )
        await roll_up(engine)
        await roll_up(engine)
        async with engine.connect() as connection:
            held = (await read_backlog(connection)).complete_at
        assert before is not None
        assert held is not None
        await open_transaction.rollback()
    assert held - before < timedelta(minutes=1)


async def test_a_database_that_counts_its_transactions_anew_is_looked_through_again(engine: AsyncEngine) -> None:
    device_id = uuid4()
    async with engine.begin() as connection:
        await connection.execute(update(rollup_mark).values(mark=2**40, next_transaction=2**40))
    await add_readings(engine, at(0, device_id, soc=1.0))
    await roll_up(engine)
    await assert_right(engine)
    async with engine.connect() as connection:
        assert (await read_backlog(connection)).complete_at is not None


async def test_readings_that_are_gone_leave_no_rollup(engine: AsyncEngine) -> None:
    device_id = uuid4()
    await add_readings(engine, at(0, device_id, soc=1.0), at(30, device_id, soc=2.0), at(90, device_id, soc=3.0))
    await roll_up(engine)
    async with engine.begin() as connection:
        await connection.execute(delete(device_readings).where(device_readings.c.soc < 3))
        await connection.execute(update(device_readings).values(soc=4.0))
        await connection.execute(text("UPDATE device_readings SET soc = 4.5"))
    await roll_up(engine)
    found = (await stored(engine))[RollupWidth.MINUTE]
    assert found[device_id, NOON + timedelta(minutes=1)]["soc_last"] == 4.5
    await assert_right(engine)


async def test_rollups_of_months_whose_readings_are_dropped_stay(engine: AsyncEngine) -> None:
    first = NOON.replace(day=1, hour=0)
    device_id = uuid4()
    values = {"device_id": device_id, "soc": 1.0}
    await add_readings(
        engine, values | {"observed_at": first - timedelta(minutes=5)}, values | {"observed_at": first}
    )  # fmt: skip
    await roll_up(engine)
    before = await stored(engine)
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP TABLE device_readings_{first - timedelta(minutes=5):%Y_%m}"))
    await add_readings(engine, values | {"observed_at": first + timedelta(seconds=5)})
    await roll_up(engine)
    after = await stored(engine)
    for width in RollupWidth:
        kept = {place: found for place, found in before[width].items() if place[1] < first}
        assert kept
        assert kept.items() <= after[width].items()


async def test_every_measurand_has_its_columns(engine: AsyncEngine) -> None:
    wanted = [(rollup_column(key, part), kind) for key in MEASURANDS for part, kind in parts_of(key).items()]
    async with engine.connect() as connection:
        for width in RollupWidth:
            rows = await connection.execute(
                text(
                    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
                    "WHERE attrelid = CAST(:name AS text)::regclass AND attnum > 3 AND NOT attisdropped ORDER BY attnum"
                ),
                {"name": rollups[width].name},
            )
            assert [tuple(row) for row in rows] == wanted


async def test_the_workflow_rolls_up_what_changed_and_again_is_nothing(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    device_id = uuid4()
    await add_readings(engine, *(at(20 * n, device_id, soc=float(n)) for n in range(9)))
    async with make_worker(client, engine, task_queue):

        async def run() -> RollupReport:
            handle = await client.start_workflow(
                ReadingRollupWorkflow.run, RollupRequest(), id=f"reading-rollup/{uuid4()}", task_queue=task_queue
            )
            report = await handle.result()

            async def told() -> bool:
                return (await handle.describe()).typed_search_attributes.get(OUTCOME) == report.outcome

            await until(told)
            return report

        report = await run()
        assert (report.blocks, report.changed, report.blocks_left) == (1, 5, 0)
        assert report.outcome is RollupOutcome.UP_TO_DATE
        await assert_right(engine)
        assert (await run()).changed == 0

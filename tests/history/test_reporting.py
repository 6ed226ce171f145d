"""The views of the schema `reporting`: what they show, to whom, and that the board asks only for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.place import ROOT
from domain.site.measurands import MEASURANDS, ValueKind
from store.migrate import upgrade
from store.monitoring.device_readings import column_of
from store.site.tables import remediations
from tests.factories.load_sites import held, make_load_site
from tests.factories.packets import send
from tests.factories.rollups import add_readings, roll_up
from tests.factories.sites import (
    MadeDepot,
    add_action,
    add_device,
    controller_site,
    milliseconds,
    open_remediation,
    packet,
)
from tests.helpers.deployed import roles_and_databases

BOARD = json.loads((ROOT / "deploy/grafana/depot.json").read_text())
SOME_DEPOT = "01a21c02-64bb-742e-b82f-a1b637243381"
VIEWS = (
    "depots", "circuits", "capability_status", "capability_history", "capacity_history", "remediations", "readings",
    "readings_by_quarter", "readings_by_day",
)  # fmt: skip


@pytest.fixture(scope="module")
def report_url(postgres_url: str) -> Iterator[str]:
    """The deployment's database for the role that reads reports, migrated by its owner."""
    with roles_and_databases(postgres_url):
        url = make_url(postgres_url).set(database="manage")
        upgrade(url.set(username="manage_owner").render_as_string(hide_password=False))
        yield url.set(username="manage_report").render_as_string(hide_password=False)


@pytest.fixture
async def reader(report_url: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(report_url)
    yield connection
    await connection.close()


async def test_the_role_reads_the_views_and_nothing_else(reader: asyncpg.Connection) -> None:
    names = "SELECT table_name FROM information_schema.views WHERE table_schema = 'reporting'"
    assert {row["table_name"] for row in await reader.fetch(names)} == set(VIEWS)
    for view in VIEWS:
        assert await reader.fetch(f"SELECT * FROM reporting.{view}") == []
    for statement in (
        "SELECT * FROM depots", "SELECT * FROM sessions", "SELECT * FROM changes", "SELECT * FROM gateway_secrets",
        "DELETE FROM reporting.depots", "CREATE VIEW reporting.mine AS SELECT 1", "CREATE TABLE mine ()",
        "UPDATE reporting.depots SET depot = 'x'", "CREATE TEMP TABLE mine ()",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(statement)


async def test_every_column_says_what_it_means(reader: asyncpg.Connection) -> None:
    silent = await reader.fetch("""
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'reporting'::regnamespace AND a.attnum > 0
          AND coalesce(col_description(c.oid, a.attnum), '') = ''
    """)
    assert silent == []


async def test_every_measurand_is_there_with_its_unit(reader: asyncpg.Connection) -> None:
    columns = {
        row["attname"]: row["meaning"]
        for row in await reader.fetch("""
            SELECT attname, col_description(attrelid, attnum) AS meaning FROM pg_attribute
            WHERE attrelid = 'reporting.readings'::regclass AND attnum > 0
        """)
    }
    for key, spec in MEASURANDS.items():
        assert column_of(key) in columns
        if spec.unit is not None:
            assert columns[column_of(key)].endswith(f", {spec.unit}"), key
    wide = await reader.fetch("SELECT * FROM reporting.readings_by_quarter LIMIT 0")
    assert wide == []
    for key, spec in MEASURANDS.items():
        if spec.kind is ValueKind.NUMBER:
            await reader.fetch(f"SELECT {column_of(key)}_mean FROM reporting.readings_by_day LIMIT 0")


def queries() -> list[tuple[str, str]]:
    """Every query of the board, by what it is for, with Grafana's macros and variables written out."""
    found = [(panel["title"], target["rawSql"]) for panel in BOARD["panels"] for target in panel["targets"]]
    found += [(each["name"], each["query"]) for each in BOARD["templating"]["list"] if each["type"] == "query"]
    return [(name, in_sql(query)) for name, query in found]


def in_sql(query: str) -> str:
    window = r"(\1 BETWEEN now() - interval '2 days' AND now() + interval '2 days')"
    written = re.sub(r"\$__timeFilter\(([\w.]+)\)", window, query)
    written = written.replace("$depot", SOME_DEPOT)
    assert "$" not in written
    return written


@pytest.mark.parametrize(("name", "query"), queries())
async def test_the_board_asks_only_for_what_there_is(reader: asyncpg.Connection, name: str, query: str) -> None:
    assert await reader.fetch(query) == [], name


def test_every_panel_says_what_it_shows() -> None:
    assert all(panel["title"] and panel["description"] for panel in BOARD["panels"])
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


async def rows(engine: AsyncEngine, view: str) -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        found = await connection.execute(text(f"SELECT * FROM reporting.{view}"))
        return [dict(row) for row in found.mappings()]


async def test_the_views_show_what_the_api_shows(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    await send(api, packet(site, None, LIMIT_PEAK_SHAVING="true", SOC=40, TOTAL_POWER_LOAD=None))
    latest = (await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status")).json()["items"][0]
    (status,) = await rows(engine, "capability_status")
    assert (status["capability"], status["status"], status["is_fresh"], status["device"]) == (
        latest["capability"], latest["status"], True, latest["source_device_name"],
    )  # fmt: skip
    assert status["seen_at"].isoformat().replace("+00:00", "Z") == latest["effective_at"]
    (reading,) = await rows(engine, "readings")
    assert (reading["soc"], reading["limit_peak_shaving"], reading["total_power_load"]) == (40.0, True, None)
    assert (reading["depot_id"], reading["faults"]) == (site.depot_id, {"TOTAL_POWER_LOAD": "VALUE_UNAVAILABLE"})
    assert reading["scenario_run_id"] is None
    (event,) = await rows(engine, "capability_history")
    assert (event["effect"], event["status"]) == ("SHOWN", "ON")
    assert [each["depot"] for each in await rows(engine, "depots")] == ["Arrow Road"]


async def test_capacities_are_shown_by_circuit(engine: AsyncEngine) -> None:
    made = await make_load_site(engine, feeds=1)
    (circuit,) = await rows(engine, "circuits")
    assert (circuit["circuit_id"], circuit["mode"]) == (made.site.circuit_ids[0], "AWAITING")
    history = sorted(await rows(engine, "capacity_history"), key=lambda row: row["at"])
    assert [row["capacity_w"] for row in history if row["mode"] != "AWAITING"] == [400e3, 150e3, 320e3, 380e3]


NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""Of today: it may be yet to come, and is within the board's window at any hour."""


async def measured(engine: AsyncEngine, site: MadeDepot, watts: float = 1) -> dict[str, UUID]:
    """Two meters, of which the first measured 1 kWh in all, and the second 50 Wh: by ``watts`` as many times."""
    meters = {name: await add_device(engine, site, name, site.circuit_ids[0]) for name in ("em-1", "em-2")}
    # Seconds after noon. Nothing follows the last of each, so it counts for a quarter of an hour.
    for name, load in (
        ("em-1", {0: 6_000, 300: 3_000, 600: 0, 7_200: 1_000}),
        ("em-2", {3_000: 1_200, 3_300: 0, 3_900: -300, 4_500: 0}),
    ):
        at = [(NOON + timedelta(seconds=seconds), power * watts) for seconds, power in load.items()]
        await add_readings(
            engine,
            *({"device_id": meters[name], "observed_at": time, "total_power_load": power} for time, power in at),
        )
    return meters


async def test_energy_is_the_power_over_the_time_that_readings_cover(engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    meters = await measured(engine, site)
    await roll_up(engine)
    energy = {
        (row["device_id"], row["time"] - NOON): (row["energy_wh"], row["covered_seconds"])
        for row in await rows(engine, "readings_by_quarter")
    }
    first, second = meters["em-1"], meters["em-2"]

    def minutes(n: int) -> timedelta:
        return timedelta(minutes=n)

    # Of a quarter is what was measured in it: the power holds until the next reading, also beyond its end.
    assert energy == {
        # 6 kW and 3 kW for five minutes each, and nothing for as long as a reading counts.
        (first, minutes(0)): (500 + 250, 300 + 300 + 900),
        (first, minutes(120)): (250, 900),
        (second, minutes(45)): (100, 300 + 600),
        # What is given back counts against it.
        (second, minutes(60)): (-50, 600),
        (second, minutes(75)): (0, 900),
    }
    days = await rows(engine, "readings_by_day")
    assert {(row["device_id"], row["time"]): row["energy_wh"] for row in days} == {
        (first, NOON - timedelta(hours=12)): 1_000,
        (second, NOON - timedelta(hours=12)): 50,
    }
    assert {(row["depot_id"], row["depot"], row["device"], row["circuit"]) for row in days} == {
        (site.depot_id, "Arrow Road", f"Device {name}", "Feed 1") for name in meters
    }


async def worked(api: httpx.AsyncClient, engine: AsyncEngine, *, watts: float) -> MadeDepot:
    """A depot of which every panel of the board has something to show."""
    site = await controller_site(engine)
    now = datetime.now(UTC)
    await measured(engine, site, watts)
    await add_device(engine, site, "bess-1")
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC", sensor_id="bess-1")
    await send(api, packet(site, None, "bess-1", SOC=40))
    closed = await open_remediation(engine, site, now)
    async with engine.begin() as connection:
        change = update(remediations).where(remediations.c.id == closed)
        await connection.execute(change.values(closed_at=now, closed_by="ann"))
    for seconds, peak, der in ((20, "true", "false"), (10, "false", "false"), (15, "true", "true")):
        stamp = milliseconds(now - timedelta(seconds=seconds))
        await send(api, packet(site, stamp, LIMIT_PEAK_SHAVING=peak, LIMIT_DER_EXPORT=der))
    await held(
        engine, site, 0, (timedelta(hours=2), "CONTROLLER", None, 400e3),
        (timedelta(hours=1), "FAIL_SAFE", "NO_PACKET", 150e3),
    )  # fmt: skip
    await roll_up(engine)
    return site


async def test_the_board_shows_what_there_is_of_the_depot_that_is_chosen(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site, other = [await worked(api, engine, watts=watts) for watts in (1, 7)]
    shown: dict[str, list[tuple[Any, ...]]] = {}
    async with engine.connect() as connection:
        for name, query in queries():
            found = await connection.execute(text(query.replace(SOME_DEPOT, str(site.depot_id))))
            shown[name] = [tuple(row) for row in found]

    assert sorted(shown.pop("depot")) == sorted(("Arrow Road", each.depot_id) for each in (site, other))
    status = shown.pop("Capabilities now")
    assert [(*row[:3], *row[4:]) for row in status] == [
        ("DER", "OFF", True, "Device mgc-1", False), ("PEAK_SHAVING", "OFF", True, "Device mgc-1", False),
    ]  # fmt: skip
    (opened,) = shown.pop("Open remediations")
    assert (*opened[:2], opened[4]) == ("NO_POWER_SOURCE", "Device bess-1", 1)
    quarters = {0: ("em-1", 1_800), 45: ("em-2", 400), 60: ("em-2", -300), 75: ("em-2", 0), 120: ("em-1", 1_000)}
    assert shown.pop("Load by device") == [
        (NOON + timedelta(minutes=minutes), f"Device {name}", load) for minutes, (name, load) in quarters.items()
    ]
    assert [row[1:] for row in shown.pop("State of charge")] == [("Device bess-1", 40)]
    assert [row[1:] for row in shown.pop("Capacity of circuits")] == [("Feed 1", 400e3), ("Feed 1", 150e3)]
    # The last first; what came late was never shown.
    changes = shown.pop("Changes of capabilities")
    assert [received for received, *_ in changes] == sorted((received for received, *_ in changes), reverse=True)
    assert sorted(row[1:4] for row in changes if row[1] == "PEAK_SHAVING") == [
        ("PEAK_SHAVING", "OFF", "SHOWN"), ("PEAK_SHAVING", "ON", "SHOWN"),
    ]  # fmt: skip
    assert {row[4:] for row in changes} == {("Device mgc-1", False)}
    assert shown.pop("Energy by day") == [(NOON - timedelta(hours=12), 1_050)]
    assert shown == {}

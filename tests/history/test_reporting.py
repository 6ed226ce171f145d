"""The views of the schema `reporting`: what they show, to whom, and that the board asks only for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.place import ROOT
from domain.site.measurands import MEASURANDS, ValueKind
from store.migrate import upgrade
from store.monitoring.device_readings import column_of
from tests.factories.load_sites import make_load_site
from tests.factories.packets import send
from tests.factories.sites import controller_site, packet
from tests.helpers.deployed import roles_and_databases

BOARD = json.loads((ROOT / "deploy/grafana/depot.json").read_text())
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
    window = r"(\1 BETWEEN now() - interval '1 day' AND now() + interval '1 day')"
    written = re.sub(r"\$__timeFilter\(([\w.]+)\)", window, query)
    written = written.replace("$depot", "01a21c02-64bb-742e-b82f-a1b637243381")
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

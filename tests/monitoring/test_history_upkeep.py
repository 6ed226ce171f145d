"""The append-only history: who may do what to it, and its months, which are made ahead and dropped."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base.metrics import DatabaseFigures
from domain.monitoring.upkeep import HistoryOutcome, HistoryReport, HistoryRequest
from store.base.database import make_engine
from store.migrate import upgrade
from store.monitoring.history import keep_months, months_ahead
from tests.helpers.deployed import roles_and_databases
from tests.helpers.live import make_worker
from workflows.history_upkeep import HistoryUpkeepWorkflow

APPEND_ONLY = ("packets", "capability_events", "capacity_events", "changes")
BANDS = ("band_quarters", "band_days")
ROLLUPS = ("reading_quarters", "reading_days")
TABLES = (
    "packets", "capability_events", *BANDS, "capacity_events", "device_readings", "reading_minutes", *ROLLUPS,
    "changes",
)  # fmt: skip
"""All that are partitioned by month. Readings and rollups can be made again, so they may be changed."""


def month(offset: int) -> str:
    """The month that lies so many months from this one, as the names of partitions end."""
    today = datetime.now(UTC)
    years, place = divmod(today.year * 12 + today.month - 1 + offset, 12)
    return f"{years:04}_{place + 1:02}"


async def partitions(engine: AsyncEngine, table: str) -> list[str]:
    """The months of a table."""
    query = text(
        "SELECT right(c.relname, 7) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = CAST(:name AS text)::regclass ORDER BY 1"
    )
    async with engine.connect() as connection:
        return list((await connection.execute(query, {"name": table})).scalars())


async def keep(engine: AsyncEngine, ahead: int, kept: int, journal: int = 12, rollups: int = 120) -> HistoryReport:
    async with engine.begin() as connection:
        return await keep_months(connection, HistoryRequest(ahead, kept, journal, rollups))


async def add_month(engine: AsyncEngine, offset: int) -> None:
    """A month that was made long ago, in every table."""
    async with engine.begin() as connection:
        for table in TABLES:
            first = month(offset).replace("_", "-") + "-01 00:00:00+00"
            after = month(offset + 1).replace("_", "-") + "-01 00:00:00+00"
            await connection.execute(
                text(
                    f"CREATE TABLE {table}_{month(offset)} PARTITION OF {table} "
                    f"FOR VALUES FROM ('{first}') TO ('{after}')"
                )
            )


INSERTS = (
    """INSERT INTO packets (gateway_id, depot_id, observed_at, received_at, document, answers)
    VALUES (uuidv7(), uuidv7(), $1, $1, '{}', '[]')""",
    """INSERT INTO capability_events (microgrid_id, capability, observed_at, received_at, provider_event_ref, effect,
                                       recorded_by)
    VALUES (uuidv7(), 'DER', $1, $1, 'ref', 'UNAVAILABLE', 'tester')""",
    *(
        f"""INSERT INTO {table} (microgrid_id, capability, begins_at, n, status, tenure, first_at, last_at, longest_gap)
            VALUES (uuidv7(), 'DER', $1, 1, 'ON', 0, $1, $1, '0')"""
        for table in BANDS
    ),
    """INSERT INTO capacity_events (circuit_id, depot_id, mode, at, received_at)
    VALUES (uuidv7(), uuidv7(), 'RELEASED', $1, $1)""",
    "INSERT INTO device_readings (device_id, observed_at, received_at) VALUES (uuidv7(), $1, $1)",
    *(
        f"INSERT INTO {table} (device_id, begins_at) VALUES (uuidv7(), $1)"
        for table in ("reading_minutes", "reading_quarters", "reading_days")
    ),
    "INSERT INTO changes (at, actor, action) VALUES ($1, 'tester', 'TESTED')",
)
AT = {"capacity_events": "at", "changes": "at"}
"""The column of a table that says when, where it is not ``observed_at``."""


# The months


async def test_months_are_made_ahead_once(engine: AsyncEngine) -> None:
    before = await partitions(engine, "packets")
    assert before == [month(offset) for offset in range(-1, 4)]
    report = await keep(engine, 6, 25)
    assert report.outcome is HistoryOutcome.CHANGED
    assert report.made == sorted(f"{table}_{month(offset)}" for table in TABLES for offset in (4, 5, 6))
    assert report.dropped == []
    for table in TABLES:
        assert await partitions(engine, table) == [month(offset) for offset in range(-1, 7)]
    assert await keep(engine, 6, 25) == HistoryReport()
    assert await keep(engine, 2, 25) == HistoryReport()


async def test_months_that_are_old_enough_are_dropped_with_what_is_in_them(
    engine: AsyncEngine, database_url: str
) -> None:
    for offset in (-4, -3, -2):
        await add_month(engine, offset)
    connection = await asyncpg.connect(database_url)
    old = datetime.strptime(month(-4) + "_15", "%Y_%m_%d").replace(tzinfo=UTC)
    for insert in INSERTS:
        await connection.execute(insert, old)
        await connection.execute(insert, datetime.now(UTC))
    # Three full months before this one are kept.
    history = [table for table in TABLES if table not in (*ROLLUPS, "changes")]
    report = await keep(engine, 3, 3)
    assert report.dropped == sorted(f"{table}_{month(-4)}" for table in history)
    for table in history:
        assert (await partitions(engine, table))[0] == month(-3)
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 1
    # The journal and the wider rollups have a retention of their own.
    for table in (*ROLLUPS, "changes"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 2
    assert await keep(engine, 3, 3) == HistoryReport()
    # Rollups are never kept for less than what they are made from.
    assert (await keep(engine, 3, 3, rollups=2)).dropped == sorted(f"{table}_{month(-4)}" for table in ROLLUPS)
    await connection.close()


@pytest.mark.parametrize(("ahead", "kept"), [(0, 25), (25, 25), (-1, 25), (3, 1), (3, 0), (3, -5), (3, 1201)])
async def test_bounds_that_could_do_harm_are_refused(engine: AsyncEngine, ahead: int, kept: int) -> None:
    before = [await partitions(engine, table) for table in TABLES]
    with pytest.raises(DBAPIError, match="between 1 and 24 months"):
        await keep(engine, ahead, kept)
    assert [await partitions(engine, table) for table in TABLES] == before


async def test_rows_land_in_the_month_in_which_they_were_received(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for received, expected in ((first, month(0)), (first - timedelta(microseconds=1), month(-1))):
        for insert, table in zip(INSERTS, TABLES, strict=True):
            place = await connection.fetchval(f"{insert} RETURNING tableoid::regclass::text", received)
            assert place == f"{table}_{expected}"
    for insert in INSERTS:
        with pytest.raises(asyncpg.CheckViolationError, match="no partition"):
            await connection.execute(insert, first + timedelta(days=5 * 31))
    await connection.close()


async def test_a_long_report_is_not_waited_behind(engine: AsyncEngine) -> None:
    await add_month(engine, -3)
    async with engine.begin() as reading:
        await reading.execute(text("SELECT count(*) FROM packets"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await keep(engine, 3, 2)
    assert (await keep(engine, 3, 2)).dropped == sorted(
        f"{table}_{month(-3)}" for table in TABLES if table not in (*ROLLUPS, "changes")
    )


async def test_operators_see_how_much_room_there_is(
    api: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each scrape is to tell what is, not what was a moment ago.
    monkeypatch.setattr(DatabaseFigures, "KEPT", 0.0)

    async def shown() -> tuple[str, int, bool]:
        ready = (await api.get("/readyz")).json()
        metrics = (await api.get("/metrics")).text
        assert f"manage_history_months_ahead {ready['history_months_ahead']}.0\n" in metrics
        return ready["status"], ready["history_months_ahead"], True

    assert await shown() == ("READY", 3, True)
    async with engine.begin() as connection:
        for offset in (1, 2, 3):
            await connection.execute(text(f"DROP TABLE capacity_events_{month(offset)}"))
    assert await shown() == ("DEGRADED", 0, True)
    async with engine.begin() as connection:
        for offset in (-1, 0):
            await connection.execute(text(f"DROP TABLE capacity_events_{month(offset)}"))
        assert await months_ahead(connection) == -1
    await keep(engine, 2, 25)
    assert await shown() == ("READY", 2, True)


async def test_the_workflow_does_it_and_says_what_it_did(engine: AsyncEngine, client: Client, task_queue: str) -> None:
    async with make_worker(client, engine, task_queue):

        async def run() -> HistoryReport:
            return await client.execute_workflow(
                HistoryUpkeepWorkflow.run, HistoryRequest(4, 25), id=f"history/{uuid4()}", task_queue=task_queue
            )

        assert (await run()).made == sorted(f"{table}_{month(4)}" for table in TABLES)
        assert await run() == HistoryReport()


# Who may do what


@pytest.fixture
def owned(postgres_url: str) -> Iterator[str]:
    """The deployment's database, migrated by its owner; answers its address as the superuser."""
    with roles_and_databases(postgres_url):
        url = make_url(postgres_url).set(database="manage")
        upgrade(url.set(username="manage_owner", password="manage_owner_password").render_as_string(False))
        yield url.render_as_string(hide_password=False)


@asynccontextmanager
async def as_role(url: str, role: str) -> AsyncGenerator[asyncpg.Connection]:
    """A connection of a role of the deployment."""
    named = make_url(url).set(username=role, password=f"{role}_password")
    connection = await asyncpg.connect(named.render_as_string(hide_password=False))
    try:
        yield connection
    finally:
        await connection.close()


async def every_relation(connection: asyncpg.Connection) -> list[str]:
    """The tables of the history, each with its months."""
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_class AS c WHERE c.relkind IN ('r', 'p') AND c.relname ~ $1 ORDER BY 1",
        f"^({'|'.join(APPEND_ONLY)})(_[0-9]{{4}}_[0-9]{{2}})?$",
    )
    return [row["relname"] for row in rows]


async def test_the_application_only_adds_to_the_history(owned: str) -> None:
    async with as_role(owned, "manage_app") as app:
        for insert in INSERTS:
            await app.execute(insert, datetime.now(UTC))
        # Months that the application's own call makes, when it is the owner's function that makes them.
        made = await app.fetch("SELECT partition_name FROM keep_months(6, 25) WHERE change = 'MADE'")
        assert len(made) == 3 * len(TABLES)
        relations = await every_relation(app)
        assert len(relations) == len(APPEND_ONLY) * (1 + 8)
        for relation in relations:
            column = AT.get(re.sub(r"_[0-9]{4}_[0-9]{2}$", "", relation), "observed_at")
            for statement in (
                f"UPDATE {relation} SET {column} = now()",
                f"DELETE FROM {relation}",
                f"TRUNCATE {relation}",
                f"DROP TABLE {relation}",
                f"SELECT 1 FROM {relation} FOR UPDATE",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await app.execute(statement)
            granted = await app.fetch(
                "SELECT privilege_type FROM information_schema.role_table_grants "
                "WHERE table_name = $1 AND grantee = 'manage_app'",
                relation,
            )
            assert {row["privilege_type"] for row in granted} == {"SELECT", "INSERT"}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("DROP TRIGGER append_only ON packets")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("ALTER TABLE packets DISABLE TRIGGER ALL")


async def test_not_even_the_superuser_changes_history_by_accident(owned: str) -> None:
    connection = await asyncpg.connect(owned)
    await connection.execute("SELECT keep_months(6, 25)")
    for insert in INSERTS:
        await connection.execute(insert, datetime.now(UTC))
    for relation in await every_relation(connection):
        if await connection.fetchval(f"SELECT count(*) FROM {relation}") == 0:
            continue
        column = AT.get(re.sub(r"_[0-9]{4}_[0-9]{2}$", "", relation), "observed_at")
        for statement in (f"UPDATE {relation} SET {column} = now()", f"DELETE FROM {relation}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(statement)
    assert [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES] == [1] * len(TABLES)
    await connection.close()


async def test_the_upkeep_works_as_the_application(owned: str) -> None:
    url = make_url(owned).set(username="manage_app", password="manage_app_password")
    engine = make_engine(url.render_as_string(hide_password=False))
    report = await keep(engine, 4, 25)
    assert report.made == sorted(f"{table}_{month(4)}" for table in TABLES)
    async with engine.connect() as connection:
        assert await months_ahead(connection) == 4
    await engine.dispose()


async def test_the_journal_is_kept_at_least_as_long_as_the_owner_of_the_schema_says(owned: str) -> None:
    async with as_role(owned, "manage_app") as app, as_role(owned, "manage_owner") as owner:
        for asked in (11, 1201):
            with pytest.raises(asyncpg.InvalidParameterValueError, match="between 12 and 1200 are kept of the journal"):
                await app.execute("SELECT keep_months(3, 25, $1)", asked)
        await owner.execute("UPDATE retention_floors SET months = 36")
        for history, journal, told in ((35, 36, "history"), (36, 35, "journal")):
            with pytest.raises(asyncpg.InvalidParameterValueError, match=f"36 and 1200 are kept of the {told}"):
                await app.execute("SELECT keep_months(3, $1, $2)", history, journal)
        await app.execute("SELECT keep_months(3, 36, 36)")
        # The version before asks by two numbers: it makes the journal's months, and drops none.
        assert len(await app.fetch("SELECT keep_months(4, 36)")) == len(TABLES)
        for statement in (
            "UPDATE retention_floors SET months = 2",
            "DELETE FROM retention_floors",
            "INSERT INTO retention_floors VALUES ('journal', 2)",
            "TRUNCATE retention_floors",
            "SELECT keep_months_of(ARRAY['changes'], 'history', 3, 36)",
            "SET ROLE manage_owner",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)


async def test_the_application_cannot_change_which_migrations_there_were(owned: str) -> None:
    async with as_role(owned, "manage_app") as app:
        assert await app.fetchval("SELECT count(*) FROM alembic_version") == 1
        for statement in (
            "UPDATE alembic_version SET version_num = '0001'",
            "DELETE FROM alembic_version",
            "INSERT INTO alembic_version VALUES ('9999')",
            "TRUNCATE alembic_version",
            "DROP TABLE alembic_version",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)

"""The migrations and store/schema.py say the same, up and down."""

from __future__ import annotations

import asyncio
import re
import sys
import unicodedata
from dataclasses import replace

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from cli.place import ROOT
from devtools.generate import HINT, dump_schema
from domain.monitoring.capabilities import Capability
from domain.site.circuit_capacity import CapacityPolicy
from store import migrate
from store.base import database
from store.base.database import was_locked_out
from store.migrate import alembic_config, upgrade
from store.schema import metadata
from tests.factories.sites import add_action, add_device, add_power_source, make_site

_BEFORE_ONE_FORM = "0005"
_BEFORE_CLOCKS = "0008"


def _is_no_partition(name: str | None, kind: str, _: object) -> bool:
    # The months of the partitioned tables come and go; tests/monitoring/test_history_upkeep.py is about them.
    return not (kind == "table" and name is not None and re.search(r"_\d{4}_\d{2}$", name))


def _differences(connection: Connection) -> list[object]:
    # Read from the connection's own view of the database, with types and server defaults.
    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_no_partition})
    return list(compare_metadata(context, metadata))


async def test_the_tables_are_what_the_migrations_make(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


_DEFINITIONS = """
    WITH shown AS (
        SELECT oid, relname FROM pg_class
        WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind IN ('r', 'p')
          AND relname <> 'alembic_version' AND relname !~ '_[0-9]{4}_[0-9]{2}$'
    )
    SELECT 'constraint', relname::text, conname::text, pg_get_constraintdef(c.oid, true)
    FROM pg_constraint AS c JOIN shown ON shown.oid = conrelid
    UNION ALL
    SELECT 'index', relname, indexrelid::regclass::text, pg_get_indexdef(indexrelid, 0, true)
    FROM pg_index JOIN shown ON shown.oid = indrelid
    UNION ALL
    SELECT 'column', relname, attname::text, concat_ws(' ', format_type(atttypid, atttypmod),
        CASE WHEN attnotnull THEN 'NOT NULL' END, 'identity ' || nullif(attidentity::text, ''),
        'generated ' || nullif(attgenerated::text, ''), 'DEFAULT ' || pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN shown ON shown.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'table', relname, '', concat_ws(' ', relkind::text, pg_get_partkeydef(oid), reloptions::text)
    FROM shown JOIN pg_class USING (oid, relname)
"""


async def _definitions(connection: AsyncConnection, schema: str) -> set[tuple[str, ...]]:
    # What is on the search path is written without its schema.
    await connection.execute(text(f"SET LOCAL search_path = {schema}, public"))
    rows = await connection.execute(text(_DEFINITIONS), {"schema": schema})
    return {tuple(row) for row in rows}


async def test_every_definition_is_that_of_the_model(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA model"))
        await connection.execution_options(schema_translate_map={None: "model"})
        await connection.run_sync(metadata.create_all)
        model = await _definitions(connection, "model")
        migrated = await _definitions(connection, "public")
    assert {kind for kind, *_ in model} == {"constraint", "index", "column", "table"}
    assert len(model) > 400
    assert sorted(model - migrated) == []
    assert sorted(migrated - model) == []


def test_the_whole_schema_is_the_committed_one(database_url: str) -> None:
    # Functions and triggers are in no model: this is where they are compared.
    assert dump_schema(database_url) == (ROOT / "store" / "schema.sql").read_text(encoding="utf-8"), HINT


async def test_the_database_knows_the_capabilities_of_the_domain(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT * FROM known_capabilities()"))
    assert [tuple(row) for row in rows] == [
        (each.value, each.measurand.value, each.threshold, each.is_expected) for each in Capability
    ]


async def test_down_and_up_again_leads_to_the_same(engine: AsyncEngine, database_url: str) -> None:
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), "base")
    async with engine.connect() as connection:
        left = await connection.execute(
            text("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
        )
        # Only Alembic's own table is left.
        assert left.scalar_one() == 1
        functions = await connection.execute(
            text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        )
        assert functions.scalar_one() == 0
    await asyncio.to_thread(upgrade, database_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


def test_there_is_one_line_of_migrations() -> None:
    assert len(ScriptDirectory.from_config(alembic_config("postgresql:///")).get_heads()) == 1


async def test_processes_that_migrate_at_once_do_not_collide(engine: AsyncEngine, database_url: str) -> None:
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), "base")
    program = f"from store.migrate import upgrade; upgrade({database_url!r})"
    starts = [asyncio.create_subprocess_exec(sys.executable, "-c", program) for _ in range(3)]
    processes = await asyncio.gather(*starts)
    assert await asyncio.gather(*(process.wait() for process in processes)) == [0, 0, 0]
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_a_migration_gives_way_where_it_would_keep_everybody_waiting(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), _BEFORE_CLOCKS)
    monkeypatch.setattr(database, "MIGRATION", replace(database.MIGRATION, lock=0.05))
    async with engine.connect() as reader:
        await reader.execute(text("SELECT count(*) FROM circuit_capacities"))
        with pytest.raises(DBAPIError) as refused:
            await asyncio.to_thread(upgrade, database_url, tries=1)
        assert was_locked_out(refused.value)
        # Nothing of it holds, and whoever would have waited behind it reads.
        assert (await reader.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == _BEFORE_CLOCKS
        monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.05)
        again = asyncio.create_task(asyncio.to_thread(upgrade, database_url))
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'circuit_capacities'::regclass")
        async with engine.connect() as watcher:
            while not (await watcher.execute(waiting)).scalar_one():
                await watcher.rollback()
        await reader.rollback()
        await again
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_what_is_stored_already_takes_its_one_form(engine: AsyncEngine, database_url: str) -> None:
    site = await make_site(engine, feeds=3)
    source = await add_power_source(engine, site)
    policy = CapacityPolicy(fail_safe_w=5_000)
    for number, sensor_id in enumerate(("Zähler", "Za\u0308hler", "e\u0301", "e\u0301\u200b", "plain")):
        await add_device(engine, site, sensor_id, site.circuit_ids[number % 3])
    for number, sensor_id in enumerate(("Zähler", "Za\u0308hler", "e\u0301")):
        await add_action(
            engine, site, "UPDATE_CIRCUIT_CAPACITY", "AVAILABLE_CHARGING_CAPACITY", "HEARTBEAT_STATUS",
            sensor_id=sensor_id, policy=policy, follows=site.circuit_ids[number],
        )  # fmt: skip
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE depots SET name = 'e\u0301co\u200ble'"))
        await connection.execute(text("UPDATE circuits SET name = 'e\u0301' WHERE position = 0"))
        await connection.execute(text("UPDATE gateways SET name = '\u200b', site_model_name = 'e\u0301'"))
        await connection.execute(text("DELETE FROM outbox"))
        await connection.execute(
            text(
                "UPDATE circuit_capacities SET mode = 'FAIL_SAFE', reason = 'NO_PACKET', deadline = NULL, "
                "capacity_w = 4294967295, basis = 'FAIL_SAFE_RECEIVED', fail_safe_received_w = 4294967295, "
                "fail_safe_observed_at = now() WHERE circuit_id = :id"
            ),
            {"id": site.circuit_ids[0]},
        )
        await connection.execute(
            text(
                "UPDATE circuit_capacities SET mode = 'CONTROLLER', capacity_w = 1.7e308, "
                "fail_safe_received_w = 65535, deadline = now() + interval '1 day', "
                "basis = 'AVAILABLE_CHARGING_CAPACITY' WHERE circuit_id = :id"
            ),
            {"id": site.circuit_ids[1]},
        )
        await connection.execute(
            text(
                "INSERT INTO power_source_readings VALUES (:id, 'TOTAL_POWER_LOAD', 1.7e308, NULL, now(), now(), :id), "
                "(:id, 'SOC', 50, NULL, now(), now(), :id)"
            ),
            {"id": source},
        )
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), _BEFORE_ONE_FORM)
    await asyncio.to_thread(upgrade, database_url)
    async with engine.connect() as connection:

        async def column(query: str) -> list[object]:
            return list((await connection.execute(text(query))).scalars())

        assert await column("SELECT name FROM depots") == ["école"]
        assert await column("SELECT name FROM circuits ORDER BY position") == ["é", "Feed 2", "Feed 3"]
        # What would be blank stays, and what would be another device's id.
        assert await column("SELECT name FROM gateways") == ["\u200b"]
        assert await column("SELECT site_model_name FROM gateways") == ["é"]
        ids = await column("SELECT sensor_id FROM devices ORDER BY id")
        assert ids == ["Zähler", "Za\u0308hler", "é", "e\u0301\u200b", "plain"]
        assert await column("SELECT depot_id FROM outbox") == [site.depot_id]
        assert await column("SELECT measurand FROM power_source_readings") == ["SOC"]
        rows = await connection.execute(
            text(
                "SELECT mode, capacity_w, basis, fail_safe_received_w, deadline <= now() FROM circuit_capacities "
                "ORDER BY array_position(CAST(:ids AS uuid[]), circuit_id)"
            ),
            {"ids": site.circuit_ids},
        )
        assert [tuple(row) for row in rows] == [
            ("FAIL_SAFE", 5_000, "FAIL_SAFE_CONFIGURED", None, None),
            ("CONTROLLER", 1.7e308, "AVAILABLE_CHARGING_CAPACITY", None, True),
            ("AWAITING", None, None, None, False),
        ]
        steps = "SELECT capacity_w FROM capacity_events WHERE circuit_id = ANY (ARRAY(SELECT id FROM circuits))"
        assert await column(steps) == [5_000]


async def test_what_was_stored_before_follows_the_rule_of_clocks(engine: AsyncEngine, database_url: str) -> None:
    site = await make_site(engine)
    for sensor_id in ("old", "new", "Za\u0308hler", "silent"):
        await add_device(engine, site, unicodedata.normalize("NFC", sensor_id), site.circuit_ids[0])
    await add_action(engine, site, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", sensor_id="new")
    policy = CapacityPolicy()
    await add_action(
        engine, site, "UPDATE_CIRCUIT_CAPACITY", "HEARTBEAT_STATUS", sensor_id="new", policy=policy,
        follows=site.circuit_ids[0],
    )  # fmt: skip
    source = await add_power_source(engine, site)
    await asyncio.to_thread(command.downgrade, alembic_config(database_url), _BEFORE_CLOCKS)
    given = {
        "microgrid": site.microgrid_id, "old": site.devices["old"], "source": source, "gateway": site.gateway_id,
        "depot": site.depot_id,
    }  # fmt: skip
    async with engine.begin() as connection:
        for statement in (
            # Handed over before: the old device's status is shown, the new one supplies the capability.
            (
                "INSERT INTO capability_latest (microgrid_id, capability, event_id, status, observed_at, received_at, "
                "provider_event_ref, source_device_id) VALUES (:microgrid, 'PEAK_SHAVING', :microgrid, 'ON', "
                "now() + interval '4 minutes', now(), 'a', :old)"
            ),
            "UPDATE circuit_capacities SET observed_at = now() + interval '4 minutes'",
            (
                "INSERT INTO power_source_readings (power_source_id, measurand, value_number, observed_at, "
                "received_at, device_id) VALUES (:source, 'SOC', 5, now() + interval '4 minutes', now(), :old)"
            ),
            (
                "INSERT INTO packets (gateway_id, depot_id, observed_at, received_at, document, answers) "
                "SELECT :gateway, :depot, now() - n * interval '1 minute', now(), CAST(d AS jsonb), '[]' FROM (VALUES "
                """(1, '{"sensors": [{"sensor_id": "old"}, {"sensor_id": "Za\u0308hler"}]}'), (2, '{"sensors": 5}'), """
                """(3, '{"sensors": [{"sensor_id": "new"}, {"sensor_id": "old"}]}'), (4, '{}')) AS g (n, d)"""
            ),
        ):
            parameters = {name: value for name, value in given.items() if f":{name}" in statement}
            await connection.execute(text(statement), parameters)
    await asyncio.to_thread(upgrade, database_url)
    async with engine.connect() as connection:

        async def column(query: str) -> list[object]:
            return list((await connection.execute(text(query))).scalars())

        assert await column("SELECT tenure FROM capability_tenures") == [1]
        assert await column("SELECT received_at <= now() FROM circuit_capacities") == [True]
        assert await column("SELECT released FROM power_source_readings") == [True]
        seen = "SELECT sensor_id FROM sensor_sightings ORDER BY observed_at DESC, sensor_id"
        assert await column(seen) == ["Zähler", "old", "new"]

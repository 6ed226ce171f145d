"""The migrations and store/tables.py say the same, up and down."""

from __future__ import annotations

import asyncio
import re
import sys

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.migrate import alembic_config, upgrade
from store.tables import metadata


def _is_no_partition(name: str | None, kind: str, _: object) -> bool:
    # The months of the partitioned tables come and go; tests/test_history.py is about them.
    return not (kind == "table" and name is not None and re.search(r"_\d{4}_\d{2}$", name))


def _differences(connection: Connection) -> list[object]:
    # Read from the connection's own view of the database, with types and server defaults.
    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_no_partition})
    return list(compare_metadata(context, metadata))


async def test_the_tables_are_what_the_migrations_make(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_every_named_constraint_is_there(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = set((await connection.execute(text("SELECT conname FROM pg_constraint"))).scalars())
    wanted = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is not None
    }
    assert len(wanted) > 20
    assert wanted - found == set()


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

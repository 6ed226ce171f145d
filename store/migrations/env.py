"""How Alembic connects: through the product's own driver, one process at a time."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from store.base.database import MIGRATION, make_engine
from store.schema import metadata

_MIGRATION_LOCK = 4_610_311


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        # Two processes that start together must not migrate together.
        _limit_locks(connection, 0)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        _limit_locks(connection, MIGRATION.lock)
        context.run_migrations()


def _limit_locks(connection: Connection, seconds: float) -> None:
    # Until the end of the transaction. 0: the other migration is waited for as long as a statement may take.
    connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": f"{seconds * 1000:.0f}"})


async def _connect_and_run() -> None:
    engine = make_engine(context.config.attributes["database_url"], pool_size=1, timeouts=MIGRATION)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(_connect_and_run())

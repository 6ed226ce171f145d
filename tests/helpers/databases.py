"""A database whose commits are not answered."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from tests.helpers.support import until


@asynccontextmanager
async def without_standby(postgres_url: str) -> AsyncGenerator[asyncpg.Connection]:
    """Commits wait for a standby that there is none of; what they commit is there as soon as they wait no longer."""
    server = await asyncpg.connect(postgres_url)
    await server.execute("SET synchronous_commit = local")
    await server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    await server.execute("SELECT pg_reload_conf()")
    try:
        yield server
    finally:
        await server.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await server.execute("SELECT pg_reload_conf()")
        await server.close()


_END_COMMITTING = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def ended_committing(server: asyncpg.Connection) -> None:
    """End who waits for the answer to a COMMIT, as soon as somebody does."""

    async def end() -> bool:
        return bool(await server.fetchval(_END_COMMITTING))

    await until(end)

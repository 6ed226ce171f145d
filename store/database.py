"""Connections and transactions. A transaction always knows who acts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from domain.actor import Actor


def make_engine(database_url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine on ``database_url``, which may be written in PostgreSQL's own form, with its own parameters."""
    if not database_url:
        raise ValueError("DATABASE_URL is not set. `./dev up` sets it for the processes that it starts.")
    address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)

    async def connect() -> asyncpg.Connection:
        # The driver reads the address itself: it knows PostgreSQL's parameters (sslmode, sslrootcert, …).
        return await asyncpg.connect(address)

    return create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, actor: Actor) -> AsyncGenerator[AsyncConnection]:
    """One transaction in which ``actor`` acts; the outbox triggers read the actor's name from it."""
    async with engine.begin() as connection:
        await act_as(connection, actor)
        yield connection


async def act_as(connection: AsyncConnection, actor: Actor) -> None:
    """Say who acts in the transaction that runs."""
    await connection.execute(text("SELECT set_config('manage.actor', :name, true)"), {"name": actor.name})


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A read-only transaction whose statements all see one moment."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            yield connection

"""What several tests do: make depots, look at the whole state, wait for something to become true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.service import RPCError, RPCStatusCode

from domain.base.actor import Actor
from domain.base.problems import Problem
from store.base.database import transaction
from store.provisioning.microgrids import MicrogridRecord, read_microgrid
from store.site.circuits import CircuitRecord, create_circuit, list_circuits
from store.site.depots import NewCircuit, create_depot
from store.site.tables import microgrids

ACTOR = Actor("tester")
T = TypeVar("T")


async def make_depot(engine: AsyncEngine, *names: str, name: str = "Arrow Road") -> UUID:
    """Create a depot with top-level circuits of these names."""
    async with transaction(engine, ACTOR) as connection:
        return await create_depot(
            connection, ACTOR, {"name": name, "timezone": "America/Toronto"}, [NewCircuit(each) for each in names]
        )


async def add_circuit(engine: AsyncEngine, depot_id: UUID, name: str) -> CircuitRecord:
    """Add a top-level circuit to a depot."""
    async with transaction(engine, ACTOR) as connection:
        return await create_circuit(connection, ACTOR, depot_id, {"name": name})


async def circuits_of(engine: AsyncEngine, depot_id: UUID) -> list[CircuitRecord]:
    """Read a depot's circuits in the order of the tree."""
    async with engine.connect() as connection:
        return await list_circuits(connection, depot_id)


async def microgrid_of(engine: AsyncEngine, depot_id: UUID) -> MicrogridRecord:
    """Read a depot's microgrid."""
    async with engine.connect() as connection:
        return await read_microgrid(connection, depot_id=depot_id)


async def active_microgrids(engine: AsyncEngine, depot_id: UUID) -> Sequence[UUID]:
    """Say which active microgrids a depot has: one, or there is a defect."""
    async with engine.connect() as connection:
        query = select(microgrids.c.id).where(microgrids.c.depot_id == depot_id, microgrids.c.retired_at.is_(None))
        return (await connection.execute(query)).scalars().all()


async def assert_follows(engine: AsyncEngine, depot_id: UUID) -> MicrogridRecord:
    """Assert that the grid connections are the top-level circuits, in order and by name; answer the microgrid."""
    tops = [circuit for circuit in await circuits_of(engine, depot_id) if circuit.parent_id is None]
    microgrid = await microgrid_of(engine, depot_id)
    assert [(node.circuit_id, node.name, node.position) for node in microgrid.grid_connections] == [
        (circuit.circuit_id, circuit.name, place) for place, circuit in enumerate(tops)
    ]
    return microgrid


async def follows(engine: AsyncEngine, depot_id: UUID) -> bool:
    """Whether there is a microgrid and it follows the top-level circuits right now."""
    try:
        await assert_follows(engine, depot_id)
    except (AssertionError, Problem):
        return False
    return True


async def synced(engine: AsyncEngine, depot_id: UUID) -> MicrogridRecord:
    """Wait until the depot's microgrid follows its circuits."""
    await until(lambda: follows(engine, depot_id))
    return await microgrid_of(engine, depot_id)


DRIFTED_DEPOTS = text("""
    WITH wanted AS (
        SELECT depot_id, id AS circuit_id, name,
               row_number() OVER (PARTITION BY depot_id ORDER BY position) - 1 AS place
        FROM circuits WHERE parent_id IS NULL
    ), stored AS (
        SELECT m.depot_id, n.circuit_id, n.name, n.position AS place
        FROM microgrids AS m JOIN microgrid_nodes AS n ON n.microgrid_id = m.id WHERE m.retired_at IS NULL
    )
    SELECT DISTINCT coalesce(w.depot_id, s.depot_id) FROM wanted AS w FULL JOIN stored AS s USING (depot_id, circuit_id)
    WHERE (w.name, w.place) IS DISTINCT FROM (s.name, s.place)
""")
"""Depots whose grid connections are not their top-level circuits, over the whole database."""


async def drifted_depots(connection: AsyncConnection) -> list[UUID]:
    """Find every depot out of step."""
    return list((await connection.execute(DRIFTED_DEPOTS)).scalars())


async def until(check: Callable[[], Awaitable[T | None]], *, seconds: float = 180) -> T:
    """Wait until ``check`` answers something that is not None or False; the bound only ends a broken test."""
    async with asyncio.timeout(seconds):
        while True:
            found: Any = await check()
            if found is not None and found is not False:
                return found
            await asyncio.sleep(0.02)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask Temporal something of which it answers only so many questions in a second, until it does."""

    async def answered() -> tuple[T] | None:
        try:
            return (await ask(),)
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
            return None

    (answer,) = await until(answered)
    return answer


async def refuse_microgrid(engine: AsyncEngine, depot_id: UUID) -> None:
    """Let the database refuse a depot's microgrid for good, as it refuses a value that cannot be stored."""
    async with engine.begin() as connection:
        await connection.execute(
            text("""
            CREATE FUNCTION refuse_microgrid() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE numeric_value_out_of_range USING MESSAGE = 'this depot is refused'; END $$
        """)
        )
        await connection.execute(
            text(
                "CREATE TRIGGER refuse_microgrid BEFORE INSERT ON microgrids "
                f"FOR EACH ROW WHEN (NEW.depot_id = '{depot_id}') EXECUTE FUNCTION refuse_microgrid()"
            )
        )


@asynccontextmanager
async def database_away(postgres_url: str, database_url: str) -> AsyncGenerator[None]:
    """No connection to the test's database holds, and none can be made, while the block runs."""
    name = make_url(database_url).database
    server = await asyncpg.connect(postgres_url)
    try:
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        yield
    finally:
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await server.close()

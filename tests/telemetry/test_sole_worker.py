"""Of several processes one does the work, and another takes over when it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.notifications.sole_worker import work_alone
from tests.helpers.support import database_away, until


class Work:
    """Work that one process would do, as long as it may."""

    def __init__(self, engine: AsyncEngine, name: str = "the work") -> None:
        self.begun = 0
        self.at_it = False
        self._fail = asyncio.Event()
        self.task = asyncio.create_task(work_alone(engine, name, self._work))

    async def _work(self) -> None:
        self.begun += 1
        self.at_it = True
        try:
            await self._fail.wait()
            raise ArithmeticError("wrong sum")
        finally:
            self.at_it = False

    def fail(self) -> None:
        self._fail.set()

    async def is_at_it(self) -> bool:
        return self.at_it

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def processes(engine: AsyncEngine, *names: str) -> AsyncGenerator[list[Work]]:
    """As many processes would run; the first is at it when the block begins."""
    made = [Work(engine, names[0])]
    try:
        await until(made[0].is_at_it)
        made += [Work(engine, name) for name in names[1:]]
        yield made
    finally:
        for each in made:
            await each.end()


async def has_tried(engine: AsyncEngine) -> None:
    """Wait until somebody who does not have the lock has tried to get it, and given its connection up again."""

    async def sessions() -> int:
        async with engine.connect() as connection:
            query = text("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
            return (await connection.execute(query)).scalar_one()

    before = await sessions()

    async def are_more() -> bool:
        return await sessions() > before

    await until(are_more)


async def test_one_works_and_another_takes_over(engine: AsyncEngine) -> None:
    async with processes(engine, "the work", "the work") as (one, other):
        await has_tried(engine)
        assert (one.at_it, other.begun) == (True, 0)
        await one.end()
        assert not one.at_it
        await until(other.is_at_it)
        assert (one.begun, other.begun) == (1, 1)


async def test_work_of_another_name_is_done_beside_it(engine: AsyncEngine) -> None:
    async with processes(engine, "the work", "other work") as (one, other):
        await until(other.is_at_it)
        assert one.at_it


async def test_whoever_loses_the_database_goes_on(engine: AsyncEngine, postgres_url: str, database_url: str) -> None:
    async with processes(engine, "the work") as (one,):
        async with database_away(postgres_url, database_url):
            assert one.at_it
        await lock_held(engine)
        assert (one.at_it, one.begun) == (True, 1)


async def lock_held(engine: AsyncEngine) -> None:
    """Wait until somebody holds a lock of this kind again."""

    async def is_held() -> bool:
        async with engine.connect() as connection:
            query = text(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            return (await connection.execute(query)).scalar_one() == 1

    await until(is_held)


async def test_whoever_lost_the_lock_to_another_stops(engine: AsyncEngine) -> None:
    async with processes(engine, "the work") as (one,):
        async with engine.connect() as another:
            # Another process is faster when the connection of the first is lost.
            take = text("SELECT pg_advisory_lock(hashtextextended('the work', 29))")
            taking = asyncio.create_task(another.execute(take))
            await cut_holder(engine)
            await taking

            async def has_stopped() -> bool:
                return not one.at_it

            await until(has_stopped)
        await until(one.is_at_it)
        assert one.begun == 2


async def cut_holder(engine: AsyncEngine) -> None:
    """End the connection that holds the lock."""
    async with engine.connect() as connection:
        query = text(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert (await connection.execute(query)).scalars().all() == [True]


async def test_work_that_fails_ends_with_its_error_and_lets_the_lock_go(engine: AsyncEngine) -> None:
    async with processes(engine, "the work", "the work") as (one, other):
        one.fail()
        with pytest.raises(ArithmeticError, match="wrong sum"):
            await one.task
        await until(other.is_at_it)

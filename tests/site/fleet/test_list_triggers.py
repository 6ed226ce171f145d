"""What triggers do when the list of depots changes reads each changed row once, however the connection plans."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.driver import KeptConnection

DEPOTS = 300
_TELL_PLANS = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_level = notice; SET client_min_messages = notice
"""


class Plans:
    """Tells the plans of what triggers ran of old and new rows, and which functions they called."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver
        self._told: list[str] = []
        driver.add_log_listener(self._hear)

    def _hear(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        self._told.append(str(message))

    async def of(self, statement: str) -> list[str]:
        """Run a statement."""
        self._told.clear()
        await self._driver.execute(statement)
        # What the server told before this answer is here with it.
        await self._driver.fetchval("SELECT 1")
        return list(self._told)


@pytest.fixture
async def driver(engine: AsyncEngine) -> AsyncGenerator[asyncpg.Connection]:
    """A connection as packets have it, in a database with many depots."""
    depots = f"""
        INSERT INTO depots (name, timezone, created_by, updated_by)
        SELECT 'Depot ' || n, 'UTC', 'tester', 'tester' FROM generate_series(1, {DEPOTS}) AS n
    """
    async with engine.begin() as connection:
        await connection.execute(text(depots))
    kept = KeptConnection(engine)
    async with kept.transaction() as driver:
        await driver.execute(_TELL_PLANS)
        yield driver
    await kept.close()


async def test_rows_before_and_after_are_not_compared_each_with_each(driver: asyncpg.Connection) -> None:
    plans = Plans(driver)
    told = await plans.of("UPDATE depot_list SET freshness = 'STALE'")
    comparing = [each for each in told if "old_rows" in each and "SELECT settle_" in each]
    assert len(comparing) == 2
    assert not [each for each in comparing if "Nested Loop" in each]
    ranked = await driver.fetchval("SELECT count(*) FROM depot_ranks WHERE freshness = 'STALE'")
    assert ranked == DEPOTS


@pytest.mark.parametrize(
    ("change", "settled"),
    [
        ("region = 'north'", set[str]()),
        ("freshness = 'FRESH'", {"depot_ranks"}),
        ("freshness = 'STALE'", {"depot_ranks", "depot_alarms"}),
        ("provisioning = 'FAILED'", {"depot_ranks", "depot_alarms"}),
        ("sort_key = sort_key || 'x'", {"depot_ranks"}),
        ("timezone = 'Etc/UTC'", {"depot_ranks"}),
    ],
)
async def test_only_what_counts_is_settled(driver: asyncpg.Connection, change: str, settled: set[str]) -> None:
    told = await Plans(driver).of(f"UPDATE depot_list SET {change}")
    assert {
        name for name in ("depot_ranks", "depot_alarms") if any(f"INSERT INTO {name}" in each for each in told)
    } == settled

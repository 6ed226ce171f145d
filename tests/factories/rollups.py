"""Readings that are in the database without a packet behind them, and their rollups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.history.rollups import RollupCheckReport, RollupWidth
from store.history.rollup_checks import begin_check, check_page
from store.history.rollups import note_touched, roll_up_page
from store.history.tables import rollups
from store.monitoring.tables import device_readings

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
Rollup = dict[str, Any]
Rollups = dict[RollupWidth, dict[tuple[UUID, datetime], Rollup]]


async def roll_up(engine: AsyncEngine, page: timedelta = timedelta(hours=150)) -> int:
    """Do what the workflow does; answer how many buckets changed."""
    changed = 0
    async with engine.begin() as connection:
        await note_touched(connection)
    while True:
        async with engine.begin() as connection:
            rolled = await roll_up_page(connection, page)
        if rolled is None:
            return changed
        changed += rolled.changed


async def stored(engine: AsyncEngine) -> Rollups:
    """All rollups, without what is not in them."""
    found: Rollups = {}
    async with engine.connect() as connection:
        for width, table in rollups.items():
            rows = (await connection.execute(select(table))).mappings()
            found[width] = {
                (row["device_id"], row["begins_at"]): {
                    name: value
                    for name, value in row.items()
                    if value is not None and name not in ("device_id", "begins_at")
                }
                for row in rows
            }
    return found


async def add_readings(engine: AsyncEngine, *readings: dict[str, Any]) -> None:
    """Store readings as they are; those that came without a time of arrival came when they were measured."""
    async with engine.begin() as connection:
        for each in readings:
            await connection.execute(device_readings.insert().values({"received_at": each["observed_at"]} | each))


def at(seconds: float, device_id: UUID, **measured: object) -> dict[str, Any]:
    return {"device_id": device_id, "observed_at": NOON + timedelta(seconds=seconds), **measured}


async def check_rollups(
    engine: AsyncEngine, *, days: int | None = 3, repair: bool = True, page: int = 6
) -> RollupCheckReport:
    """Check the rollups of the last days, page by page."""
    check_id = uuid4()
    async with engine.begin() as connection:
        await begin_check(connection, check_id, "tester", days, repair=repair)
    while True:
        async with engine.begin() as connection:
            report = await check_page(connection, check_id, page)
        if report.finished:
            return report

"""Readings that are in the database without a packet behind them, as many as a test wants."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.site.measurands import MeasurandKey
from store.monitoring.device_readings import column_of


async def fill_readings(
    engine: AsyncEngine, device_id: UUID, measurand: MeasurandKey, *, since: datetime, until: datetime,
    step: timedelta, middle: float, swing: float, late: timedelta = timedelta(0),
) -> None:  # fmt: skip
    """Store a reading each ``step``: a wave around ``middle`` that takes a day, each come so ``late``."""
    async with engine.begin() as connection:
        await _fill(connection, device_id, measurand, since, until, step, middle, swing, late)


async def _fill(
    connection: AsyncConnection, device_id: UUID, measurand: MeasurandKey, since: datetime, until: datetime,
    step: timedelta, middle: float, swing: float, late: timedelta,
) -> None:  # fmt: skip
    column = column_of(measurand)
    await connection.execute(
        text(f"""
            INSERT INTO device_readings (device_id, observed_at, received_at, {column})
            SELECT :device_id, at, at + :late, :middle + :swing * sin(extract(epoch FROM at) * 2 * pi() / 86400)
            FROM generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz) - interval '1 microsecond',
                                 CAST(:step AS interval)) AS at
            ON CONFLICT (device_id, observed_at) DO UPDATE SET {column} = excluded.{column}
        """),
        {"device_id": device_id, "since": since, "until": until, "step": step, "middle": middle, "swing": swing,
         "late": late},
    )  # fmt: skip

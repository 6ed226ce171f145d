"""Packets that are in the database without having come through the ingest."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.monitoring.reading_fills import fill_page

_ASK = text("""
    INSERT INTO reading_fills (gateway_id, device_ids)
    SELECT gateway_id, array_agg(id) FROM devices WHERE gateway_id = :gateway_id GROUP BY gateway_id
    ON CONFLICT (gateway_id) DO UPDATE
    SET device_ids = excluded.device_ids, after_observed_at = NULL, after_packet_id = NULL, finished_at = NULL
""")


async def ask_for_fill(connection: AsyncConnection, gateway_id: UUID) -> None:
    """Have a gateway's packets read for all of its devices."""
    await connection.execute(_ASK, {"gateway_id": gateway_id})


async def fill(engine: AsyncEngine) -> None:
    """Read whatever packets are still to be read."""
    while True:
        async with engine.begin() as connection:
            if await fill_page(connection) is None:
                return

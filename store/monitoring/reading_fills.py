"""Reading stored packets into typed readings, gateway by gateway and page by page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.monitoring.device_readings import DeviceReading, device_readings
from domain.monitoring.packets import InvalidPacket, Packet, in_one_form, parse_packet
from store.base.driver import driver_errors, driver_in
from store.base.off_loop import off_loop
from store.monitoring.device_readings import OLDEST_MONTH, reading_parameters, write_readings_cte

PAGE = 1_000
"""Packets that are read in one transaction."""


@dataclass(frozen=True)
class FilledPage:
    """What one page came to."""

    packets: int
    finished: bool
    """Whether it was its gateway's last."""


@dataclass(frozen=True)
class FillProgress:
    """Gateways whose packets are still to be read."""

    gateways_left: int
    packets_read: int
    """Packets of these that are read already."""


_NEXT = """
    SELECT gateway_id, device_ids, after_observed_at, after_packet_id FROM reading_fills
    WHERE finished_at IS NULL ORDER BY asked_at, gateway_id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_DEVICES = "SELECT sensor_id, id FROM devices WHERE gateway_id = $1 AND id = ANY ($2::uuid[])"
_PACKETS = """
    SELECT id, observed_at, received_at, document::text, scenario_run_id FROM packets
    WHERE gateway_id = $1 AND (observed_at, id) > (
        coalesce($2::timestamptz, '-infinity'), coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid)
    )
    ORDER BY observed_at, id LIMIT $4
"""
_NOTE = """
    UPDATE reading_fills
    SET after_observed_at = coalesce($2::timestamptz, after_observed_at),
        after_packet_id = coalesce($3::uuid, after_packet_id),
        packets_read = packets_read + $4, finished_at = CASE WHEN $5 THEN now() END
    WHERE gateway_id = $1
"""
_PROGRESS = text("""
    SELECT count(*) AS gateways_left, coalesce(sum(packets_read), 0) AS packets_read
    FROM reading_fills WHERE finished_at IS NULL
""")


async def fill_page(connection: AsyncConnection, page: int = PAGE) -> FilledPage | None:
    """Read the next page of the gateway that waits longest; None: no gateway waits, or somebody else has its page.

    What is there already counts, so a page that is read again changes nothing.
    """
    driver = await driver_in(connection)
    with driver_errors():
        fill = await driver.fetchrow(_NEXT)
        if fill is None:
            return None
        gateway_id, device_ids, after, after_id = fill
        devices = {row["sensor_id"]: row["id"] for row in await driver.fetch(_DEVICES, gateway_id, device_ids)}
        found = await driver.fetch(_PACKETS, gateway_id, after, after_id, page) if devices else []
        readings = await off_loop(len(found), _read, found, devices)
        oldest = await driver.fetchval(OLDEST_MONTH)
        # Packets of the oldest month may have been measured in the one before, which is no longer kept.
        readings = [each for each in readings if oldest is not None and each.observed_at >= oldest]
        if readings:
            await driver.execute(write_readings_cte(1), *reading_parameters(readings))
        last = found[-1] if found else None
        finished = len(found) < page
        await driver.execute(_NOTE, gateway_id, last and last["observed_at"], last and last["id"], len(found), finished)
    return FilledPage(len(found), finished)


async def read_fill_progress(connection: AsyncConnection) -> FillProgress:
    """Say how much is still to be read."""
    row = (await connection.execute(_PROGRESS)).one()
    return FillProgress(row.gateways_left, int(row.packets_read))


def _read(rows: Sequence[asyncpg.Record], devices: Mapping[str, UUID]) -> list[DeviceReading]:
    packets: list[tuple[Packet, Mapping[str, UUID], datetime, UUID | None]] = []
    for row in rows:
        packet = parse_packet(in_one_form(json.loads(row["document"])))
        # An earlier version may have stored what is no packet today.
        if not isinstance(packet, InvalidPacket):
            packets.append((packet, devices, row["received_at"], row["scenario_run_id"]))
    return device_readings(packets)

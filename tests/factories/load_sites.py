"""Depots whose load is measured, whose circuits follow controllers, and whose history is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.circuit_capacity import CapacityPolicy
from store.base.database import clock, transaction
from store.site.capacities import follow_capacities
from store.site.tables import capacity_events
from tests.factories.sites import MadeDepot, add_action, add_device, add_power_source, make_site
from tests.factories.stored_packets import ask_for_fill, fill
from tests.helpers.support import ACTOR

_PACKETS = text("""
    INSERT INTO packets (gateway_id, depot_id, observed_at, received_at, document, answers)
    SELECT CAST(:gateway_id AS uuid), CAST(:depot_id AS uuid), at, at, jsonb_build_object(
        'device_id', CAST(:gateway_id AS text), 'timestamp', floor(extract(epoch FROM at) * 1000), 'sensors', (
        SELECT jsonb_agg(jsonb_build_object('sensor_id', 'em-' || feed, 'measurands', jsonb_build_array(
            jsonb_build_object('key', 'VOLTAGE', 'value', 231.4, 'unit', 'V'),
            jsonb_build_object('key', 'TOTAL_POWER_LOAD', 'unit', 'W', 'value', round(CAST(1e5 * feed * (
                1.6 + sin(extract(epoch FROM at) / 2700 + feed) + 0.15 * sin(extract(epoch FROM at) / 130)
            ) AS numeric)))
        ))) FROM generate_series(1, CAST(:feeds AS int)) AS feed
    )), jsonb_build_array()
    FROM generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), CAST(:step AS interval)) AS at
""")


@dataclass
class LoadPageDepot:
    """A site with what a load page shows."""

    site: MadeDepot
    battery_id: UUID


async def measure(
    engine: AsyncEngine, site: MadeDepot, *, feeds: int, span: timedelta, step: timedelta, until: datetime | None = None
) -> None:
    """Store the packets of ``feeds`` meters over ``span``, as they would have come."""
    end = until or datetime.now(UTC)
    async with engine.begin() as connection:
        await connection.execute(
            _PACKETS,
            {
                "gateway_id": str(site.gateway_id),
                "depot_id": str(site.depot_id),
                "feeds": feeds,
                "since": end - span,
                "until": end,
                "step": step,
            },
        )
        await ask_for_fill(connection, site.gateway_id)
    await fill(engine)


async def held(
    engine: AsyncEngine, site: MadeDepot, feed: int, *steps: tuple[timedelta, str, str | None, float]
) -> None:
    """Store what held for a circuit: how long ago it began, the mode, the reason, the capacity in watts."""
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        for ago, mode, reason, capacity_w in steps:
            basis = "AVAILABLE_CHARGING_CAPACITY" if reason is None else "FAIL_SAFE_RECEIVED"
            await connection.execute(
                insert(capacity_events).values(
                    circuit_id=site.circuit_ids[feed],
                    depot_id=site.depot_id,
                    mode=mode,
                    reason=reason,
                    capacity_w=capacity_w,
                    basis=basis,
                    at=now - ago,
                    received_at=now - ago,
                )
            )


async def make_load_site(engine: AsyncEngine, *, feeds: int = 4) -> LoadPageDepot:
    """Make a site with a meter and a controller for each of its circuits, and hours of history."""
    site = await make_site(engine, feeds=feeds)

    def hours(n: float) -> timedelta:
        return timedelta(hours=n)

    for feed in range(1, feeds + 1):
        await add_device(engine, site, f"em-{feed}", site.circuit_ids[feed - 1])
        await add_device(engine, site, f"mgc-{feed}", site.circuit_ids[feed - 1])
        await add_action(
            engine,
            site,
            "UPDATE_CIRCUIT_CAPACITY",
            "HEARTBEAT_STATUS",
            "AVAILABLE_CHARGING_CAPACITY",
            "FAIL_SAFE_CAPACITY",
            sensor_id=f"mgc-{feed}",
            policy=CapacityPolicy(fail_safe_w=100e3),
        )
    await add_action(
        engine, site, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT", sensor_id="mgc-1"
    )
    battery_id = await add_power_source(engine, site, "BATTERY", site.circuit_ids[0])
    await add_power_source(engine, site, "SOLAR")
    await add_device(engine, site, "bess-1", site.circuit_ids[0])
    await add_action(
        engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC", "DEVICE_POWER_STATE", "BESS_OPERATIONAL_MODE",
        sensor_id="bess-1",
    )  # fmt: skip
    async with transaction(engine, ACTOR) as connection:
        await follow_capacities(connection, site.depot_id, await clock(connection))
    await measure(engine, site, feeds=feeds, span=hours(8), step=timedelta(minutes=1))
    fine, lost = "CONTROLLER", "FAIL_SAFE"
    await held(
        engine, site, 0, (hours(7), fine, None, 400e3), (hours(4), lost, "CONNECTION_LOST", 150e3),
        (hours(3), fine, None, 320e3), (hours(0.8), fine, None, 380e3),
    )  # fmt: skip
    if feeds > 1:
        await held(engine, site, 1, (hours(7), fine, None, 600e3), (hours(0.7), lost, "NO_PACKET", 200e3))
    if feeds > 2:
        await held(engine, site, 2, (hours(7), fine, None, 900e3))
    return LoadPageDepot(site, battery_id)


async def read(api: httpx.AsyncClient, depot_id: UUID, **query: str) -> dict[str, Any]:
    answer = await api.get(f"/api/depots/{depot_id}/load", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()

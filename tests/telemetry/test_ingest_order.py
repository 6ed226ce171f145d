"""Two transactions of packet ingest at once: neither waits for the other's depots, and no packet overtakes another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.locks import lock_sites
from store.monitoring.tables import packets
from store.monitoring.telemetry import TakenPacket
from telemetry.ingest import AT_ONCE, DoorMetrics, PacketIngest, open_ingest
from telemetry.intake import ingest_packets, read_body
from tests.factories.sites import MadeDepot, controller_site, milliseconds, packet
from tests.helpers.support import ACTOR, until


def submit(ingest: PacketIngest, site: MadeDepot, moment: int) -> asyncio.Task[bool]:
    """Submit one packet; the task says whether it was taken."""

    async def run() -> bool:
        body = json.dumps(packet(site, moment, LIMIT_PEAK_SHAVING="true")).encode()
        intake = await ingest_packets(ingest, read_body(body, ACTOR, datetime.now(UTC)))
        return isinstance(intake.results[0], TakenPacket)

    return asyncio.create_task(run())


async def queued(ingest: PacketIngest, wanted: int) -> None:
    """Wait until so many packets are submitted and not answered."""

    async def check() -> bool:
        return ingest.waiting == wanted

    await until(check)


async def held_up(engine: AsyncEngine, wanted: int) -> None:
    """Wait until so many transactions wait for the lock of a depot."""

    async def check() -> bool:
        async with engine.connect() as connection:
            query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return (await connection.execute(query)).scalar_one() == wanted

    await until(check)


async def in_order_of_taking(engine: AsyncEngine, site: MadeDepot) -> list[int]:
    async with engine.connect() as connection:
        query = select(packets.c.observed_at).where(packets.c.gateway_id == site.gateway_id).order_by(packets.c.id)
        return [milliseconds(found) for found in (await connection.execute(query)).scalars()]


async def test_a_depot_that_is_held_does_not_hold_up_the_others(engine: AsyncEngine) -> None:
    held, free = await controller_site(engine), await controller_site(engine)
    async with open_ingest(engine) as ingest:
        async with engine.begin() as holding:
            await lock_sites(holding, [held.depot_id])
            first = submit(ingest, held, milliseconds())
            await held_up(engine, 1)
            assert await submit(ingest, free, milliseconds())
            assert not first.done()
        assert await first


async def test_the_packets_of_a_gateway_are_taken_in_the_order_in_which_they_came(engine: AsyncEngine) -> None:
    held, free = await controller_site(engine), await controller_site(engine)
    # Measured later, sent earlier: it is the order of arrival that counts here.
    moments = [milliseconds() - place * 1000 for place in range(5)]
    async with open_ingest(engine) as ingest:
        async with engine.begin() as holding:
            await lock_sites(holding, [held.depot_id])
            sent = [submit(ingest, held, moments[0])]
            await held_up(engine, 1)
            for place, moment in enumerate(moments[1:], start=2):
                sent.append(submit(ingest, held, moment))
                await queued(ingest, place)
            assert await submit(ingest, free, moments[0])
            # The second transaction leaves what is of the first one's gateway.
            await held_up(engine, 1)
        assert await asyncio.gather(*sent) == [True] * len(moments)
    assert await in_order_of_taking(engine, held) == moments


async def test_no_more_transactions_are_open_than_there_are_connections(engine: AsyncEngine) -> None:
    sites = [await controller_site(engine) for _ in range(AT_ONCE + 2)]
    registry = CollectorRegistry()
    async with open_ingest(engine, metrics=DoorMetrics(registry)) as ingest:
        async with engine.begin() as holding:
            await lock_sites(holding, [site.depot_id for site in sites])
            sent: Sequence[asyncio.Task[bool]] = []
            for number, site in enumerate(sites, start=1):
                sent = [*sent, submit(ingest, site, milliseconds())]
                await held_up(engine, min(number, AT_ONCE))
            await queued(ingest, len(sites))
        assert await asyncio.gather(*sent) == [True] * len(sites)
    # The last two waited together and came in one transaction.
    group = "manage_door_group_packets"
    assert registry.get_sample_value(f"{group}_count") == AT_ONCE + 1
    assert registry.get_sample_value(f"{group}_bucket", {"le": "1.0"}) == AT_ONCE
    assert registry.get_sample_value(f"{group}_bucket", {"le": "2.0"}) == AT_ONCE + 1

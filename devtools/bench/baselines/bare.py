"""The baseline of packet ingest: the rows of a group written by the bare driver, with no HTTP and no rules.

    python -m devtools.bench.baselines.bare < PLAN.json > OUTCOME.json

One connection writes group after group, each in a transaction of its own, by five prepared statements: the packets,
the capability events, the latest statuses, the capacities, the typed readings. Triggers write what else there is.
Everything that the product looks up or decides is given. ``same_rows`` compares what both write.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import psutil
import uvloop

from devtools.bench.site import SENSOR
from store.base.driver import new_id

_PACKETS = """
    INSERT INTO packets (id, gateway_id, depot_id, observed_at, received_at, document, answers)
    SELECT id, gateway_id, depot_id, observed_at, $7, document::jsonb, answers::jsonb
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[])
        AS g (id, gateway_id, depot_id, observed_at, document, answers)
"""
_EVENTS = """
    INSERT INTO capability_events (id, microgrid_id, capability, status, observed_at, received_at, provider_event_ref,
                                   source_device_id, effect, recorded_by)
    SELECT id, microgrid_id, capability, status, observed_at, $8, ref, device_id, 'SHOWN', 'bench'
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::uuid[])
        AS g (id, microgrid_id, capability, status, observed_at, ref, device_id)
"""
_LATEST = """
    INSERT INTO capability_latest AS l (microgrid_id, capability, event_id, status, observed_at, received_at,
                                        provider_event_ref, source_device_id, since)
    SELECT microgrid_id, capability, id, status, observed_at, $8, ref, device_id, $9
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::uuid[])
        AS g (id, microgrid_id, capability, status, observed_at, ref, device_id)
    ON CONFLICT (microgrid_id, capability) DO UPDATE
    SET event_id = excluded.event_id, status = excluded.status, observed_at = excluded.observed_at,
        received_at = excluded.received_at, provider_event_ref = excluded.provider_event_ref,
        source_device_id = excluded.source_device_id, since = excluded.since
    WHERE (excluded.observed_at, excluded.provider_event_ref) > (l.observed_at, l.provider_event_ref)
"""
_CAPACITIES = """
    UPDATE circuit_capacities AS c
    SET mode = 'CONTROLLER', deadline = g.deadline, capacity_w = 187500, basis = 'AVAILABLE_CHARGING_CAPACITY',
        observed_at = g.observed_at, received_at = $4, fail_safe_received_w = 40000,
        fail_safe_observed_at = g.observed_at, fail_safe_received_at = $4
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS g (circuit_id, deadline, observed_at)
    WHERE c.circuit_id = g.circuit_id
"""
_READINGS = """
    INSERT INTO device_readings (device_id, observed_at, received_at, limit_peak_shaving, limit_der_export,
                                 available_charging_capacity, heartbeat_status, fail_safe_capacity)
    SELECT device_id, observed_at, $3, true, false, 187500, 'ok', 40000
    FROM unnest($1::uuid[], $2::timestamptz[]) AS g (device_id, observed_at)
    ON CONFLICT (device_id, observed_at) DO NOTHING
"""
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
"""Since when the statuses hold."""
STATEMENTS = (_PACKETS, _EVENTS, _LATEST, _CAPACITIES, _READINGS)


@dataclass(frozen=True)
class BarePlan:
    """What to write."""

    database_url: str
    group: int
    """Packets in a transaction."""
    seconds: float
    warm_up: float
    begin: int
    """The time of the first packets, in milliseconds since the epoch."""
    sites: list[list[str]]
    """The ids of ``DepotIds``, in its order, each with a packet (``%d`` for its time) and its answers."""


@dataclass(frozen=True)
class BareOutcome:
    """What came of it, in the seconds that count."""

    seconds: float
    packets: int
    latencies: list[float]
    """Seconds, of each transaction."""
    next_time: int
    processor_seconds: float
    """What this process and its connection's in PostgreSQL took of the processor in those seconds."""


async def write_group(
    connection: asyncpg.Connection, statements: Sequence[Any], group: Sequence[Any], moment: int
) -> None:
    """Write a group in a transaction, by the prepared ``STATEMENTS``; each packet is measured at ``moment``."""
    packets, events, latest, capacities, readings = statements
    observed = datetime.fromtimestamp(moment / 1000, UTC)
    now = datetime.now(UTC)
    async with connection.transaction():
        await packets.fetch(
            [new_id() for _ in group],
            [gateway for gateway, *_ in group],
            [depot for _, depot, *_ in group],
            [observed] * len(group),
            [document % moment for *_, document, _ in group],
            [answers for *_, answers in group],
            now,
        )
        status: Sequence[list[Any]] = (
            [new_id() for _ in range(2 * len(group))],
            [microgrid for _, _, microgrid, *_ in group for _ in (0, 1)],
            ["PEAK_SHAVING", "DER"] * len(group),
            ["ON", "OFF"] * len(group),
            [observed] * (2 * len(group)),
            [f"packet:{gateway}:{moment}:{SENSOR}" for gateway, *_ in group for _ in (0, 1)],
            [device for _, _, _, device, *_ in group for _ in (0, 1)],
        )
        await events.fetch(*status, now)
        await latest.fetch(*status, now, _SINCE)
        await capacities.fetch(
            [circuit for _, _, _, _, circuit, *_ in group],
            [observed + timedelta(minutes=10)] * len(group),
            [observed] * len(group),
            now,
        )
        await readings.fetch([device for _, _, _, device, *_ in group], [observed] * len(group), now)


async def _run(plan: BarePlan) -> BareOutcome:
    sites: list[Any] = [[*map(UUID, each[:5]), *each[5:]] for each in plan.sites]
    connection = await asyncpg.connect(plan.database_url)
    server = psutil.Process(connection.get_server_pid())

    def processor() -> float:
        times = server.cpu_times()
        return time.process_time() + times.user + times.system

    statements = [await connection.prepare(query) for query in STATEMENTS]
    moment, place, packets, used = plan.begin, 0, 0, 0.0
    latencies: list[float] = []
    started = time.perf_counter()
    counted_from = started + plan.warm_up
    while (began := time.perf_counter()) < counted_from + plan.seconds:
        if not packets:
            used = processor()
        group = [sites[(place + n) % len(sites)] for n in range(plan.group)]
        place += plan.group
        moment += 1
        await write_group(connection, statements, group, moment)
        if began >= counted_from:
            latencies.append(time.perf_counter() - began)
            packets += plan.group
    took = time.perf_counter() - counted_from
    used = processor() - used
    await connection.close()
    return BareOutcome(took, packets, latencies, moment + 1, used)


def main() -> None:
    """Run the plan on standard input."""
    json.dump(asdict(uvloop.run(_run(BarePlan(**json.load(sys.stdin))))), sys.stdout)


if __name__ == "__main__":
    main()

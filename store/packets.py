"""The stored packets, as they came, with what was answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.repeats import Repeat
from store.tables import packets


@dataclass(frozen=True)
class PacketRecord:
    """A packet of a gateway."""

    packet_id: UUID
    gateway_id: UUID
    observed_at: datetime
    received_at: datetime
    document: dict[str, Any]
    """As it was sent, with the keys that the contract does not know."""
    actions: list[dict[str, Any]]
    """What each sensor action answered."""
    repeat: Repeat | None = None
    """What it is beside ``repeat_of``; None: it brought no reading that came before."""
    repeat_of: UUID | None = None
    """The first packet that brought a reading of this one."""


# An earlier packet with readings of this one, and whether all that both have are the same. Whoever sends a packet again
# sends it whole, so a few of the first are enough, and thousands of repetitions cost no more than one.
_REPEATS = text("""
    SELECT k.id, f.id AS first_id, f.same
    FROM unnest(CAST(:ids AS uuid[]), CAST(:stamps AS timestamptz[])) AS k (id, observed_at)
    JOIN packets AS mine ON mine.gateway_id = :gateway_id AND mine.observed_at = k.observed_at AND mine.id = k.id
    CROSS JOIN LATERAL (
        SELECT p.id, bool_and(a.measurand = b.measurand) AS same
        FROM (
            SELECT id, received_at, document FROM packets
            WHERE gateway_id = :gateway_id AND observed_at = k.observed_at
              AND (received_at, id) < (mine.received_at, mine.id)
            ORDER BY observed_at, id LIMIT 3
        ) AS p
        CROSS JOIN LATERAL jsonb_array_elements(p.document -> 'sensors') AS s (sensor)
        CROSS JOIN LATERAL jsonb_array_elements(s.sensor -> 'measurands') AS a (measurand)
        JOIN LATERAL jsonb_array_elements(mine.document -> 'sensors') AS t (sensor)
            ON t.sensor ->> 'sensor_id' = s.sensor ->> 'sensor_id'
        JOIN LATERAL jsonb_array_elements(t.sensor -> 'measurands') AS b (measurand)
            ON b.measurand ->> 'key' = a.measurand ->> 'key'
        GROUP BY p.id, p.received_at ORDER BY p.received_at, p.id LIMIT 1
    ) AS f
""")


async def list_packets(
    connection: AsyncConnection, gateway_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[PacketRecord]:
    """List a gateway's packets, the last measured first by their stamps, beginning before ``before``."""
    query = (
        select(
            packets.c.id,
            packets.c.gateway_id,
            packets.c.observed_at,
            packets.c.received_at,
            packets.c.document,
            packets.c.answers,
        )
        .where(packets.c.gateway_id == gateway_id)
        .order_by(packets.c.observed_at.desc(), packets.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(tuple_(packets.c.observed_at, packets.c.id) < tuple_(*before))
    found = [PacketRecord(*row) for row in await connection.execute(query)]
    given = {
        "gateway_id": gateway_id,
        "ids": [record.packet_id for record in found],
        "stamps": [record.observed_at for record in found],
    }
    repeats = {
        packet_id: {"repeat": Repeat.REPEATED if same else Repeat.CONFLICTING, "repeat_of": first_id}
        for packet_id, first_id, same in await connection.execute(_REPEATS, given)
    }
    return [replace(record, **repeats.get(record.packet_id, {})) for record in found]

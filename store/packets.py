"""The stored packets, as they came, with what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

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


async def list_packets(
    connection: AsyncConnection, gateway_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[PacketRecord]:
    """List a gateway's packets, the last measured first, beginning before ``before``."""
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
    return [PacketRecord(*row) for row in await connection.execute(query)]

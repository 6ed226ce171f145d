"""The stored packets, as they came, with what was answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from domain.monitoring.repeats import Repeat
from store.access.narrowing import within
from store.base.simulated import SimulatedBy, scenario_of
from store.monitoring.tables import packets


@dataclass(frozen=True)
class PacketRecord:
    """A packet of a gateway."""

    packet_id: UUID
    gateway_id: UUID
    observed_at: datetime
    received_at: datetime
    document: str
    """As it was sent, with the keys that the contract does not know: JSON."""
    actions: list[dict[str, Any]]
    """What each sensor action answered."""
    repeat: Repeat | None = None
    """What it is beside ``repeat_of``; None: it brought no reading that came before."""
    repeat_of: UUID | None = None
    """The first packet that brought a reading of this one."""
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""


MOST_TEXT = 1_000_000
"""Characters of documents after which a list ends, however many packets were asked for."""
_AT_ONCE = 10
"""Packets that are read in one go: as many are read in vain, at most."""

# An earlier packet with readings of this one, and whether all that both have are the same. Whoever sends a packet again
# sends it whole, so a few of the first are enough, and thousands of repetitions cost no more than one. The readings of
# both are laid side by side in one grouping: a packet may have tens of thousands, of one unknown key even.
_REPEATS = text("""
    SELECT k.id, f.id AS first_id, f.same
    FROM unnest(CAST(:ids AS uuid[]), CAST(:stamps AS timestamptz[])) AS k (id, observed_at)
    JOIN packets AS mine ON mine.gateway_id = :gateway_id AND mine.observed_at = k.observed_at AND mine.id = k.id
    CROSS JOIN LATERAL (
        SELECT p.id, compared.same
        FROM (
            SELECT id, received_at, document, document = mine.document AS is_copy FROM packets
            WHERE gateway_id = :gateway_id AND observed_at = k.observed_at
              AND (received_at, id) < (mine.received_at, mine.id)
            ORDER BY observed_at, id LIMIT 3
        ) AS p
        CROSS JOIN LATERAL (
            SELECT bool_and(mine = other) AS same FROM (
                SELECT jsonb_agg(measurand ORDER BY measurand) FILTER (WHERE is_mine) AS mine,
                       jsonb_agg(measurand ORDER BY measurand) FILTER (WHERE NOT is_mine) AS other
                FROM (VALUES (true, mine.document), (false, p.document)) AS d (is_mine, document)
                CROSS JOIN LATERAL jsonb_array_elements(d.document -> 'sensors') AS s (sensor)
                CROSS JOIN LATERAL jsonb_array_elements(s.sensor -> 'measurands') AS m (measurand)
                WHERE NOT p.is_copy
                GROUP BY s.sensor ->> 'sensor_id', m.measurand ->> 'key'
            ) AS readings
            WHERE mine IS NOT NULL AND other IS NOT NULL
            UNION ALL
            SELECT true WHERE p.is_copy AND jsonb_path_exists(p.document, '$.sensors[*].measurands[*]')
        ) AS compared
        WHERE compared.same IS NOT NULL
        ORDER BY p.received_at, p.id LIMIT 1
    ) AS f
""")


async def list_packets(
    connection: AsyncConnection,
    scope: DepotScope,
    gateway_id: UUID,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> tuple[list[PacketRecord], bool]:
    """List a gateway's packets of depots within ``scope``, the last measured first by their stamps.

    They begin before ``before``: at most ``limit``, and fewer where they are large (``MOST_TEXT``). Answers also
    whether there are more.
    """
    query = (
        select(
            packets.c.id,
            packets.c.gateway_id,
            packets.c.observed_at,
            packets.c.received_at,
            cast(packets.c.document, Text),
            packets.c.answers,
            packets.c.scenario_run_id,
            scenario_of(packets.c.scenario_run_id),
        )
        .where(packets.c.gateway_id == gateway_id, within(packets.c.depot_id, scope))
        .order_by(packets.c.observed_at.desc(), packets.c.id.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(tuple_(packets.c.observed_at, packets.c.id) < tuple_(*before))
    found: list[PacketRecord] = []
    length, has_more = 0, False
    async with connection.stream(query, execution_options={"yield_per": _AT_ONCE}) as rows:
        async for row in rows:
            has_more = len(found) == limit or length >= MOST_TEXT
            if has_more:
                break
            found.append(PacketRecord(*row[:-2], simulated_by=SimulatedBy.of(*row[-2:])))
            length += len(found[-1].document)
    given = {
        "gateway_id": gateway_id,
        "ids": [record.packet_id for record in found],
        "stamps": [record.observed_at for record in found],
    }
    repeats = {
        packet_id: {"repeat": Repeat.REPEATED if same else Repeat.CONFLICTING, "repeat_of": first_id}
        for packet_id, first_id, same in await connection.execute(_REPEATS, given)
    }
    return [replace(record, **repeats.get(record.packet_id, {})) for record in found], has_more

"""Remediations as packets open, count and close them."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.standing import Standing

CLOSED_BY_ROUTING = "system:routing"
"""Who closed a remediation that was mended: the next packet that went through."""

# A sensor action has one open remediation. What went through, or is stopped by something else now, closes it.
_CLOSE = text("""
    UPDATE remediations AS r SET closed_at = :now, closed_by = :closer
    FROM unnest(CAST(:actions AS uuid[]), CAST(:codes AS text[])) AS g (sensor_action_id, code)
    WHERE r.sensor_action_id = g.sensor_action_id AND r.closed_at IS NULL AND r.code IS DISTINCT FROM g.code
    RETURNING r.depot_id
""")

_OPEN = text("""
    INSERT INTO remediations AS r (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates,
                                   opened_at, last_seen_at, times)
    SELECT depot_id, gateway_id, device_id, sensor_action_id, action, code,
           coalesce(string_to_array(nullif(candidates, ''), ','), '{}')::uuid[], :now, :now, times
    FROM unnest(CAST(:depots AS uuid[]), CAST(:gateways AS uuid[]), CAST(:devices AS uuid[]), CAST(:actions AS uuid[]),
                CAST(:kinds AS text[]), CAST(:codes AS text[]), CAST(:candidates AS text[]), CAST(:times AS bigint[]))
        AS g (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates, times)
    ON CONFLICT (sensor_action_id) WHERE closed_at IS NULL DO UPDATE
    SET last_seen_at = excluded.last_seen_at, times = r.times + excluded.times, candidates = excluded.candidates
""")


async def write_remediations(
    connection: AsyncConnection, standing: Standing, open_before: Collection[UUID]
) -> set[UUID]:
    """Open, count and close what the group of packets came to; answer the depots where that was.

    ``open_before`` names the sensor actions that had an open remediation, so that the usual group writes nothing.
    """
    stopped = standing.stopped
    touched = {found.site.depot_id for found in stopped.values()}
    closing = [action_id for action_id in open_before if action_id in standing.cleared or action_id in stopped]
    if closing:
        closed = await connection.execute(
            _CLOSE,
            {
                "actions": closing,
                # One that went through has no code, which differs from any.
                "codes": [stopped[each].code if each in stopped else None for each in closing],
                "now": standing.now,
                "closer": CLOSED_BY_ROUTING,
            },
        )
        touched |= set(closed.scalars())
    if stopped:
        order = sorted(stopped)
        await connection.execute(
            _OPEN,
            {
                "depots": [stopped[each].site.depot_id for each in order],
                "gateways": [stopped[each].site.gateway_id for each in order],
                "devices": [stopped[each].action.device_id for each in order],
                "actions": order,
                "kinds": [stopped[each].action.kind for each in order],
                "codes": [stopped[each].code for each in order],
                "candidates": [",".join(map(str, stopped[each].candidates)) for each in order],
                "times": [standing.stopped_times[each] for each in order],
                "now": standing.now,
            },
        )
    return touched

"""Remediations as packets open, count and close them."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import asyncpg

from domain.monitoring.batch_state import PacketBatchState

CLOSED_BY_ROUTING = "system:routing"
"""Who closed a remediation that was mended: the next packet that went through."""

# A sensor action has one open remediation. What went through, or is stopped by something else now, closes it.
_CLOSE = """
    UPDATE remediations AS r SET closed_at = $3, closed_by = $4
    FROM unnest($1::uuid[], $2::text[]) AS g (sensor_action_id, code)
    WHERE r.sensor_action_id = g.sensor_action_id AND r.closed_at IS NULL AND r.code IS DISTINCT FROM g.code
    RETURNING r.depot_id
"""

_OPEN = """
    INSERT INTO remediations AS r (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates,
                                   opened_at, last_seen_at, times, scenario_run_id)
    SELECT depot_id, gateway_id, device_id, sensor_action_id, action, code,
           coalesce(string_to_array(nullif(candidates, ''), ','), '{}')::uuid[], $9, $9, times, run_id
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                $10::uuid[])
        AS g (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates, times, run_id)
    ON CONFLICT (sensor_action_id) WHERE closed_at IS NULL DO UPDATE
    SET last_seen_at = excluded.last_seen_at, times = r.times + excluded.times, candidates = excluded.candidates,
        scenario_run_id = excluded.scenario_run_id
"""


async def write_remediations(
    driver: asyncpg.Connection, state: PacketBatchState, open_before: Collection[UUID]
) -> set[UUID]:
    """Open, count and close what the group of packets came to; answer the depots where that was.

    ``open_before`` names the sensor actions that had an open remediation, so that the usual group writes nothing.
    """
    stopped = state.stopped
    touched = {found.context.depot_id for found in stopped.values()}
    closing = [action_id for action_id in open_before if action_id in state.cleared or action_id in stopped]
    if closing:
        closed = await driver.fetch(
            _CLOSE,
            closing,
            # One that went through has no code, which differs from any.
            [stopped[each].code if each in stopped else None for each in closing],
            state.now,
            CLOSED_BY_ROUTING,
        )
        touched |= {row["depot_id"] for row in closed}
    if stopped:
        order = sorted(stopped)
        await driver.fetch(
            _OPEN,
            [stopped[each].context.depot_id for each in order],
            [stopped[each].context.gateway_id for each in order],
            [stopped[each].action.device_id for each in order],
            order,
            [stopped[each].action.kind for each in order],
            [stopped[each].code for each in order],
            [",".join(map(str, stopped[each].candidates)) for each in order],
            [state.stopped_times[each] for each in order],
            state.now,
            [stopped[each].scenario_run_id for each in order],
        )
    return touched

"""Small trends of the last day or of the last hours: of each half hour the value that was measured last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.buckets import bucket_begin
from domain.site.measurands import MEASURANDS, MeasurandKey, ValueKind
from store.monitoring.device_readings import column_of

SPAN = timedelta(hours=24)
SHORT_SPAN = timedelta(hours=6)
"""What a list shows of many."""
_STEP = timedelta(minutes=30)
POINTS = SPAN // _STEP + 1
"""Values of a small trend of a day: the first and the last half hour are parts of one."""

SparkOf = tuple[UUID, MeasurandKey]
"""A device, and a number that it measures."""

# One look into the device's key for each half hour, however often it sends.
_LAST = """
    SELECT d.id AS device_id, '{key}' AS measurand, s.n, r.value
    FROM unnest(CAST(:{column} AS uuid[])) AS d (id)
    CROSS JOIN generate_series(0, {most}) AS s (n)
    CROSS JOIN LATERAL (
        SELECT {column} AS value FROM device_readings
        WHERE device_id = d.id AND observed_at >= CAST(:since AS timestamptz) + s.n * CAST(:step AS interval)
          AND observed_at < CAST(:since AS timestamptz) + (s.n + 1) * CAST(:step AS interval)
          AND {column} IS NOT NULL
        ORDER BY observed_at DESC LIMIT 1
    ) AS r
"""


async def read_sparks(
    connection: AsyncConnection, wanted: Collection[SparkOf], now: datetime, span: timedelta = SPAN
) -> dict[SparkOf, list[float | None]]:
    """Read the values of each in the last ``span``, the earliest first: ``POINTS`` of a day.

    None: nothing was measured in that half hour. What was not measured at all is left out, and so is what is no number.
    """
    devices: dict[MeasurandKey, set[UUID]] = defaultdict(set)
    for device_id, key in wanted:
        if MEASURANDS[key].kind is ValueKind.NUMBER:
            devices[key].add(device_id)
    found: dict[SparkOf, list[float | None]] = {}
    if not devices:
        return found
    points = span // _STEP + 1
    given: dict[str, Any] = {"since": bucket_begin(now - span, _STEP), "step": _STEP}
    given |= {column_of(key): list(ids) for key, ids in devices.items()}
    parts = [_LAST.format(key=key.value, column=column_of(key), most=points - 1) for key in devices]
    for device_id, key, n, value in await connection.execute(text(" UNION ALL ".join(parts)), given):
        found.setdefault((device_id, MeasurandKey(key)), [None] * points)[n] = value
    return found

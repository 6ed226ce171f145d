"""What a depot's meters measured over time: the series of their load, which a chart shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.series import HELD_AT_MOST, MOST_SERIES, Selection, SeriesSubject
from domain.site.measurands import MeasurandKey
from domain.site.routing import PowerSourceKind
from store.history.series import Series, read_series
from store.history.sources import SeriesSource
from store.monitoring.simulated import SimulatedReadings, read_simulated


@dataclass(frozen=True)
class LoadSeries:
    """The measured load of one device, by buckets of equal width.

    A bucket without a reading is left out. Where the device sent nothing for longer than it usually does, or nothing
    that can be used, there is one bucket without values, so that nobody draws a line across.
    """

    device_id: UUID
    device_name: str
    circuit_id: UUID | None
    circuit_name: str | None
    times: list[float]
    """When each bucket begins, in seconds since the Unix epoch."""
    average_w: list[float | None]
    """Weighted by time, as in all series."""
    least_w: list[float | None]
    most_w: list[float | None]
    last_at: datetime
    """When the last of it was measured."""
    last_w: float
    power_source_kind: PowerSourceKind | None = None
    """What it measures is what a power source gives (negative: takes), and no load. None: it is a load."""
    simulated: tuple[SimulatedReadings, ...] = ()
    """What of it scenario runs sent."""


# Days that are rolled up say who measured; of what is newer the readings do.
_METERS = text("""
    SELECT d.id, d.name, d.depot_id, p.name AS depot_name, p.timezone, d.circuit_id, c.name AS circuit_name,
           (SELECT s.kind FROM power_source_readings AS r JOIN power_sources AS s ON s.id = r.power_source_id
            WHERE r.device_id = d.id AND r.measurand = 'TOTAL_POWER_LOAD' AND NOT r.released
            ORDER BY s.id LIMIT 1) AS power_source_kind
    FROM devices AS d JOIN depots AS p ON p.id = d.depot_id LEFT JOIN circuits AS c ON c.id = d.circuit_id
    WHERE d.depot_id = :depot_id AND (
        EXISTS (
            SELECT FROM reading_days
            WHERE device_id = d.id AND begins_at >= date_bin('1 day', CAST(:since AS timestamptz), 'epoch')
              AND begins_at < :until AND total_power_load_readings > 0
        ) OR EXISTS (
            SELECT FROM device_readings
            WHERE device_id = d.id AND observed_at < CAST(:until AS timestamptz) + interval '10 minutes'
              AND observed_at >= greatest(:since, (SELECT complete_at - CAST(:held AS interval) FROM rollup_mark))
              AND total_power_load IS NOT NULL
        )
    )
    ORDER BY d.name, d.id
""")


async def read_load(
    connection: AsyncConnection, depot_id: UUID, since: datetime, until: datetime, bucket: timedelta
) -> list[LoadSeries]:
    """Read what each device of the depot measured from ``since`` on and before ``until``, in buckets of that width.

    ``since`` is where a bucket begins. Gaps are those of ``read_series``, which reads rollups where they say the same.
    """
    given = {"depot_id": depot_id, "since": since, "until": until, "held": HELD_AT_MOST}
    meters = {row.id: row for row in await connection.execute(_METERS, given)}
    sources = [
        SeriesSource(
            Selection(SeriesSubject.DEVICE, row.id, MeasurandKey.TOTAL_POWER_LOAD), row.name, row.depot_id,
            row.depot_name, row.timezone, row.circuit_id, row.id, row.name, 0,
        )
        for row in meters.values()
    ]  # fmt: skip
    found: list[Series] = []
    for some in _some(sources):
        found += await read_series(connection, some, since, until, bucket)
    simulated = await read_simulated(connection, list(meters), since, until)
    made: list[LoadSeries] = []
    for (device_id, row), series in zip(meters.items(), found, strict=True):
        measured = [place for place, count in enumerate(series.counts) if count]
        if not measured or series.last_at is None:
            continue
        # Nothing is known before the first value and after the last: a chart ends there.
        drawn = slice(measured[0], measured[-1] + 1)
        last = series.last[measured[-1]]
        assert isinstance(last, float)
        made.append(
            LoadSeries(
                device_id,
                row.name,
                row.circuit_id,
                row.circuit_name,
                series.times[drawn],
                [None if each is None else round(each, 1) for each in series.mean[drawn]],
                series.least[drawn],
                series.most[drawn],
                series.last_at,
                last,
                None if row.power_source_kind is None else PowerSourceKind(row.power_source_kind),
                tuple(simulated.get(device_id, ())),
            )
        )
    return made


def _some(sources: list[SeriesSource]) -> Iterable[list[SeriesSource]]:
    return (sources[first : first + MOST_SERIES] for first in range(0, len(sources), MOST_SERIES))

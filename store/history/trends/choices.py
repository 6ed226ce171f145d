"""What of a depot can be chosen as a series: circuits, power sources and devices, with what was measured of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.series import SeriesSubject
from domain.site.circuits import path_of
from domain.site.measurands import MEASURANDS, MeasurandKey
from store.monitoring.device_readings import column_of

_LOOKED_THROUGH = 20
"""Readings by which is seen what a device measures."""


@dataclass(frozen=True)
class Choice:
    """Something of a depot, with the measurands of which there are readings."""

    subject: SeriesSubject
    subject_id: UUID
    name: str
    place: str
    """Where it is. Of a circuit: the path of the one above it. Of a device: its circuit's path. Of a power source: its
    kind and its circuit's path.
    """
    measurands: tuple[MeasurandKey, ...] = ()


# A circuit is told by its path: two of one name may stand in different places.
_SUBJECTS = text("""
    WITH RECURSIVE tree AS (
        SELECT id, name, CAST('{}' AS text[]) AS above, ARRAY[name] AS way
        FROM circuits WHERE depot_id = :depot_id AND parent_id IS NULL
        UNION ALL
        SELECT c.id, c.name, t.way, t.way || c.name FROM tree AS t JOIN circuits AS c ON c.parent_id = t.id
    )
    SELECT 0 AS n, 'circuit' AS subject, c.id, c.name, NULL AS kind, c.above AS way,
           ARRAY(SELECT id FROM devices WHERE circuit_id = c.id ORDER BY name, id LIMIT 20) AS devices
    FROM tree AS c
    UNION ALL
    SELECT 1, 'power-source', s.id, s.name, initcap(s.kind), c.way,
           ARRAY(SELECT DISTINCT device_id FROM power_source_readings WHERE power_source_id = s.id)
    FROM power_sources AS s LEFT JOIN tree AS c ON c.id = s.circuit_id WHERE s.depot_id = :depot_id
    UNION ALL
    SELECT 2, 'device', d.id, d.name, NULL, c.way, ARRAY[d.id]
    FROM devices AS d LEFT JOIN tree AS c ON c.id = d.circuit_id WHERE d.depot_id = :depot_id
    ORDER BY n, name, kind, way, id
""")
_SEEN = ", ".join(
    f"CASE WHEN bool_or({column_of(key)} IS NOT NULL OR faults ? '{key}') THEN '{key}' END" for key in MEASURANDS
)
_MEASURED = text(f"""
    SELECT d.id, m.seen FROM unnest(CAST(:device_ids AS uuid[])) AS d (id)
    CROSS JOIN LATERAL (
        SELECT array_remove(ARRAY[{_SEEN}], NULL) AS seen FROM (
            SELECT * FROM device_readings WHERE device_id = d.id ORDER BY observed_at DESC LIMIT {_LOOKED_THROUGH}
        ) AS r
    ) AS m
""")  # noqa: S608 - constants


def _words_of(key: MeasurandKey) -> str:
    return f"{MEASURANDS[key].meaning} {key}".casefold()


async def list_choices(
    connection: AsyncConnection, depot_id: UUID, search: str, limit: int
) -> tuple[list[Choice], bool]:
    """List what can be chosen of a depot and matches each word of ``search``; and whether that is all of it.

    A word is a part of a name, of where the thing is, or of a measurand.
    """
    terms = search.casefold().split()
    found: list[tuple[Choice, list[UUID], list[str]]] = []
    for row in await connection.execute(_SUBJECTS, {"depot_id": depot_id}):
        place = ", ".join(filter(None, (row.kind, path_of(row.way or ()))))
        choice = Choice(SeriesSubject(row.subject), row.id, row.name, place)
        called = f"{row.name} {place} {choice.subject.value.replace('-', ' ')}".casefold()
        others = [term for term in terms if term not in called]
        if all(any(term in _words_of(key) for key in MEASURANDS) for term in others):
            found.append((choice, row.devices, others))
    kept = found[:limit]
    measured = await read_measurands(connection, {each for _, devices, _ in kept for each in devices})
    choices = [_chosen(choice, devices, others, measured) for choice, devices, others in kept]
    return [each for each in choices if each.measurands or not terms], len(found) <= limit


async def read_measurands(
    connection: AsyncConnection, device_ids: Collection[UUID]
) -> dict[UUID, frozenset[MeasurandKey]]:
    """What each device measured lately."""
    found: dict[UUID, frozenset[MeasurandKey]] = defaultdict(frozenset)
    if device_ids:
        for device_id, seen in await connection.execute(_MEASURED, {"device_ids": list(device_ids)}):
            found[device_id] = frozenset(MeasurandKey(key) for key in seen)
    return found


def _chosen(
    choice: Choice, devices: Sequence[UUID], terms: Sequence[str], measured: dict[UUID, frozenset[MeasurandKey]]
) -> Choice:
    seen = {key for device_id in devices for key in measured[device_id]}
    wanted = tuple(key for key in MEASURANDS if key in seen and all(term in _words_of(key) for term in terms))
    return Choice(choice.subject, choice.subject_id, choice.name, choice.place, wanted)

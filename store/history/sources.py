"""What the chosen series are called, where they belong, and which device measures each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from domain.base.problems import Problem
from domain.history.series import SUBJECT_NOT_FOUND, Selection, SeriesSubject
from store.monitoring.device_readings import column_of

_LOOKED_THROUGH = 50
"""Readings by which is seen whether a device measures something."""


@dataclass(frozen=True)
class SeriesSource:
    """What a series is of, and which device measures it."""

    selection: Selection
    name: str
    depot_id: UUID
    depot_name: str
    timezone: str
    circuit_id: UUID | None
    """The circuit itself, or the one that the device or power source is linked to."""
    device_id: UUID | None
    """Whose readings they are; None: no device of the circuit or power source measures it."""
    device_name: str | None
    others: int
    """Further devices of the circuit or power source that measure it too. Their readings are not mixed in."""


_SUBJECTS = text("""
    SELECT k.n, s.name, s.depot_id, p.name AS depot_name, p.timezone, s.circuit_id
    FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[])) WITH ORDINALITY AS k (kind, id, n)
    CROSS JOIN LATERAL (
        SELECT name, depot_id, circuit_id FROM devices WHERE k.kind = 'device' AND id = k.id
        UNION ALL
        SELECT name, depot_id, id FROM circuits WHERE k.kind = 'circuit' AND id = k.id
        UNION ALL
        SELECT name, depot_id, circuit_id FROM power_sources WHERE k.kind = 'power-source' AND id = k.id
    ) AS s
    JOIN depots AS p ON p.id = s.depot_id
    ORDER BY k.n
""")

_OF_DEVICE = "SELECT id, name FROM devices WHERE id = :id{n}"
_OF_CIRCUIT = "SELECT id, name FROM devices WHERE circuit_id = :id{n}"
_OF_POWER_SOURCE = """
    SELECT id, name FROM devices
    WHERE id IN (SELECT device_id FROM power_source_readings WHERE power_source_id = :id{n})
"""
_DEVICES = {
    SeriesSubject.DEVICE: _OF_DEVICE,
    SeriesSubject.CIRCUIT: _OF_CIRCUIT,
    SeriesSubject.POWER_SOURCE: _OF_POWER_SOURCE,
}


async def read_sources(
    connection: AsyncConnection, selections: Sequence[Selection], scope: DepotScope, until: datetime
) -> list[SeriesSource]:
    """Find what was selected, in its order; all of it lies within ``scope``.

    A circuit's or a power source's measurand is that of one device: of those that are linked to it (that update it) and
    measured this lately before ``until``, the first by name.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``, ``CIRCUIT_NOT_FOUND`` or ``POWER_SOURCE_NOT_FOUND``.

    """
    if not selections:
        return []
    given = {"kinds": [each.subject.value for each in selections], "ids": [each.subject_id for each in selections]}
    subjects = {row.n - 1: row for row in await connection.execute(_SUBJECTS, given)}
    for n, each in enumerate(selections):
        if n not in subjects or not scope.holds(subjects[n].depot_id):
            code = SUBJECT_NOT_FOUND[each.subject]
            raise Problem(code, f"There is no {each.subject.value.replace('-', ' ')} {each.subject_id}.", "series")
    measuring = await _read_measuring(connection, selections, until)
    return [_source(each, subjects[n], measuring.get(n, [])) for n, each in enumerate(selections)]


def _source(selection: Selection, subject: Any, devices: Sequence[tuple[UUID, str]]) -> SeriesSource:
    device_id, device_name = devices[0] if devices else (None, None)
    if selection.subject is SeriesSubject.DEVICE:
        device_id, device_name = selection.subject_id, subject.name
    return SeriesSource(
        selection,
        subject.name,
        subject.depot_id,
        subject.depot_name,
        subject.timezone,
        subject.circuit_id,
        device_id,
        device_name,
        max(0, len(devices) - 1),
    )


async def _read_measuring(
    connection: AsyncConnection, selections: Sequence[Selection], until: datetime
) -> dict[int, list[tuple[UUID, str]]]:
    """The devices that measure what is selected of circuits and power sources, by its place in the selections."""
    parts: list[str] = []
    given: dict[str, Any] = {"until": until}
    for n, each in enumerate(selections):
        if each.subject is SeriesSubject.DEVICE:
            continue
        given[f"id{n}"] = each.subject_id
        column, key = column_of(each.measurand), each.measurand.value
        parts.append(f"""
            SELECT {n} AS n, d.id, d.name FROM ({_DEVICES[each.subject].format(n=n)}) AS d
            WHERE EXISTS (
                SELECT FROM (
                    SELECT {column} AS value, faults FROM device_readings
                    WHERE device_id = d.id AND observed_at < :until ORDER BY observed_at DESC LIMIT {_LOOKED_THROUGH}
                ) AS r
                WHERE r.value IS NOT NULL OR r.faults ? '{key}'
            )
        """)  # noqa: S608 - constants
    found: dict[int, list[tuple[UUID, str]]] = {}
    if parts:
        statement = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS found ORDER BY n, name, id"  # noqa: S608
        for n, device_id, name in await connection.execute(text(statement), given):
            found.setdefault(n, []).append((device_id, name))
    return found

"""Alarms of depots: those of one, the depots that are worst, and how many there are in a fleet.

``depot_alarms`` has a row a depot that has any, kept by triggers as things happen. What is shown of a depot is worked
out anew (``alarms_of``), so that a deadline that passed counts although nobody has noticed it yet.
"""

# ruff: noqa: S608 (what is put into the statements are constants)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import DepotScope
from domain.monitoring.alarms import Alarm, AlarmFigures
from store.access.narrowing import given_within, is_within
from store.base.simulated import SimulatedBy

WORST = 10
"""Depots that an overview names."""


@dataclass(frozen=True)
class DepotAlarms:
    """A depot with its alarms, in the order in which they are told."""

    depot_id: UUID
    depot_name: str
    timezone: str
    alarms: tuple[Alarm, ...]
    scenarios: dict[UUID, str]
    """The scenarios of the runs that the alarms name."""

    def simulated_by(self, alarm: Alarm) -> SimulatedBy | None:
        """The scenario run that brought an alarm about, or part of it."""
        run_id = alarm.scenario_run_id
        return SimulatedBy.of(run_id, None if run_id is None else self.scenarios.get(run_id))


_FIGURES = tuple(each.name for each in fields(AlarmFigures))
_RUNS = ", ".join(f"a.{name}" for name in _FIGURES if name.endswith("_run_id"))
_ALARMS = f"""
    SELECT a.depot_id, d.name, d.timezone, {", ".join(f"a.{name}" for name in _FIGURES)},
           (SELECT jsonb_object_agg(r.id, r.scenario) FROM scenario_runs AS r WHERE r.id IN ({_RUNS})) AS scenarios
    FROM alarms_of(ARRAY({{}})) AS a
    CROSS JOIN LATERAL (SELECT name, timezone FROM depots WHERE id = a.depot_id LIMIT 1) AS d
    ORDER BY a.priority, a.since, a.depot_id
"""
_OF_ONE = text(_ALARMS.format("SELECT CAST(:depot_id AS uuid)"))
_OF_MANY = text(_ALARMS.format("SELECT unnest(CAST(:depot_ids AS uuid[]))"))
# Those that have gone stale since the list was refreshed last are few; they are found by the time at which they did.
_WORST = """
    (SELECT depot_id FROM depot_alarms WHERE {within} ORDER BY priority, since, depot_id LIMIT :limit)
    UNION
    (SELECT depot_id FROM fresh_depots WHERE fresh_until < clock_timestamp() AND {within}
     ORDER BY fresh_until LIMIT :limit)
"""


async def _read(connection: AsyncConnection, statement: Any, given: dict[str, Any]) -> list[DepotAlarms]:
    found: list[DepotAlarms] = []
    for row in (await connection.execute(statement, given)).mappings():
        figures = AlarmFigures(**{name: row[name] for name in _FIGURES})
        scenarios = {UUID(run_id): scenario for run_id, scenario in (row["scenarios"] or {}).items()}
        found.append(DepotAlarms(row["depot_id"], row["name"], row["timezone"], figures.alarms, scenarios))
    return found


async def read_alarms(connection: AsyncConnection, depot_id: UUID) -> DepotAlarms | None:
    """Read the alarms of one depot as they are now; None: it needs no attention, or there is no such depot."""
    found = await _read(connection, _OF_ONE, {"depot_id": depot_id})
    return found[0] if found else None


async def list_alarms(connection: AsyncConnection, depot_ids: Iterable[UUID]) -> dict[UUID, DepotAlarms]:
    """Read the alarms of depots as they are now, by their ids; those that need no attention are left out."""
    found = await _read(connection, _OF_MANY, {"depot_ids": list(depot_ids)})
    return {each.depot_id: each for each in found}


async def list_worst(connection: AsyncConnection, scope: DepotScope, limit: int) -> list[DepotAlarms]:
    """List the depots within ``scope`` that need attention most, the worst first."""
    statement = text(_ALARMS.format(_WORST.format(within=is_within("depot_id", scope))))
    return (await _read(connection, statement, {"limit": limit, **given_within(scope)}))[:limit]


@dataclass(frozen=True)
class AlarmCounts:
    """How many depots of a fleet need attention, and of what there is how much."""

    depots: int
    """Depots with any alarm."""
    high: int
    """Depots whose worst alarm has a high priority."""
    silent_depots: int
    silent_controllers: int
    fail_safe_depots: int
    fail_safe_circuits: int
    remediation_depots: int
    open_remediations: int


_COUNTS = """
    SELECT count(*), count(*) FILTER (WHERE priority = 1),
           count(*) FILTER (WHERE silent_controllers > 0), coalesce(sum(silent_controllers), 0),
           count(*) FILTER (WHERE fail_safe_circuits > 0), coalesce(sum(fail_safe_circuits), 0),
           count(*) FILTER (WHERE open_remediations > 0), coalesce(sum(open_remediations), 0)
    FROM depot_alarms WHERE {}
"""


async def count_alarms(connection: AsyncConnection, scope: DepotScope) -> AlarmCounts:
    """Count within ``scope`` which depots need attention, as it was last noted."""
    statement = text(_COUNTS.format(is_within("depot_id", scope)))
    return AlarmCounts(*(await connection.execute(statement, given_within(scope))).one())

"""What the tables of all wings say at a glance: how much waits, how much is wrong, by kinds and never by depot."""

# ruff: noqa: S608 (what is put into the statement are constants)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.jobs import JobState
from domain.monitoring.capabilities import Capability
from domain.monitoring.freshness import DepotFreshness
from store.base.database import snapshot
from store.history.rollups import BACKLOG
from store.monitoring.freshness import IS_FRESH, STATUS_JOINS
from store.monitoring.history import MONTHS_AHEAD
from store.site.fleet.fleet_list import COUNT_ALL


@dataclass(frozen=True)
class Family:
    """Figures of one name."""

    name: str
    help: str
    statement: str
    """Answers with the values of the labels as an array of text, and with the figure."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One figure, at one moment."""

    name: str
    labels: tuple[str, ...]
    value: float


def _by_state(table: str) -> str:
    """Count jobs; a state in which none is has its figure, too."""
    states = ", ".join(f"('{state}')" for state in JobState)
    return f"""
        SELECT ARRAY[states.state], coalesce(found.jobs, 0) FROM (VALUES {states}) AS states (state)
        LEFT JOIN (SELECT state, count(*) AS jobs FROM {table} GROUP BY state) AS found USING (state)
    """


def _by_freshness() -> str:
    """Count the capabilities of active microgrids; one that no device supplies and of which nothing was said is not
    counted.
    """
    usual = ", ".join(f"('{each}', interval '{each.threshold.total_seconds():g} seconds')" for each in Capability)
    words = ", ".join(f"('{each}')" for each in DepotFreshness)
    return f"""
        SELECT ARRAY[capability, freshness], coalesce(found.statuses, 0)
        FROM (VALUES {usual}) AS kinds (capability, threshold) CROSS JOIN (VALUES {words}) AS words (freshness)
        LEFT JOIN (
            SELECT k.capability, CASE WHEN l.status IS NULL THEN '{DepotFreshness.NONE}'
                                      WHEN {IS_FRESH} THEN '{DepotFreshness.FRESH}'
                                      ELSE '{DepotFreshness.STALE}' END AS freshness, count(*) AS statuses
            FROM microgrids AS m CROSS JOIN (VALUES {usual}) AS k (capability, threshold) {STATUS_JOINS}
            WHERE m.retired_at IS NULL AND (o.sensor_action_id IS NOT NULL OR l.status IS NOT NULL)
            GROUP BY 1, 2
        ) AS found USING (capability, freshness)
    """


_OUTBOX_AGE = "SELECT '{}'::text[], extract(epoch FROM clock_timestamp() - min(created_at)) FROM outbox"
_OF_ALARMS = "SELECT '{{}}'::text[], coalesce(sum({}), 0) FROM depot_alarms"

FAMILIES = (
    Family(
        "depots",
        "Depots by provisioning and by the freshness of their capabilities, as fresh as the worst of them",
        f"SELECT ARRAY[provisioning, freshness], sum FROM ({COUNT_ALL.text}) AS counted",
        ("provisioning", "freshness"),
    ),
    Family(
        "capabilities",
        "Capabilities of active microgrids that a device supplies or of which something is known, by how fresh their "
        "status is",
        _by_freshness(),
        ("capability", "freshness"),
    ),
    Family(
        "outbox_rows",
        "Changes that have not been delivered to a sync workflow yet",
        "SELECT '{}'::text[], count(*) FROM outbox",
    ),
    Family("outbox_age_seconds", "How long the oldest of them waits; 0: none does", _OUTBOX_AGE),
    Family("silent_controllers", "Controllers that are silent, as last noted", _OF_ALARMS.format("silent_controllers")),
    Family("fail_safe_circuits", "Circuits in fail-safe, as last noted", _OF_ALARMS.format("fail_safe_circuits")),
    Family(
        "open_remediations",
        "Remediations that are open, by their code",
        "SELECT ARRAY[code], count(*) FROM remediations WHERE closed_at IS NULL GROUP BY code",
        ("code",),
    ),
    Family("backfills", "Backfills by state, dry runs among them", _by_state("backfills"), ("state",)),
    Family("import_jobs", "Imports that are jobs by state", _by_state("imports"), ("state",)),
    Family("scenario_runs", "Scenario runs by state", _by_state("scenario_runs"), ("state",)),
    Family(
        "history_months_ahead",
        "Months after this one that the history has room for",
        f"SELECT '{{}}'::text[], ({MONTHS_AHEAD.text})",
    ),
    Family(
        "reading_fill_gateways_left",
        "Gateways whose packets are to be read into readings",
        "SELECT '{}'::text[], count(*) FROM reading_fills WHERE finished_at IS NULL",
    ),
    Family(
        "rollup_lag_seconds",
        "How long ago everything that had come was rolled up",
        f"SELECT '{{}}'::text[], lag_seconds FROM ({BACKLOG}) AS backlog",
    ),
    Family(
        "rollup_stretches_left",
        "Stretches of a device's time, of six hours at most, to be rolled up",
        f"SELECT '{{}}'::text[], blocks FROM ({BACKLOG}) AS backlog",
    ),
)
"""All of them: gauges, whose names say their unit."""

_READ = text(
    "\nUNION ALL\n".join(
        f"SELECT '{family.name}', labels, coalesce(value, 0)::double precision "
        f"FROM ({family.statement}) AS f (labels, value)"
        for family in FAMILIES
    )
)


async def read_figures(engine: AsyncEngine) -> Sequence[Figure]:
    """Read every figure, by one statement.

    Raises:
        SQLAlchemyError, OSError: the database is away, busy or not migrated.

    """
    async with snapshot(engine) as connection:
        rows = await connection.execute(_READ)
        return [Figure(name, tuple(labels), value) for name, labels, value in rows]

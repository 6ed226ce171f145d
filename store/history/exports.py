"""Exports of a site's history: the statement of each, whose rows PostgreSQL itself writes as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import IO

from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.journal import FORMULA_BEGINNINGS
from domain.access.principals import DepotScope
from domain.base.problems import Problem, ProblemCode
from domain.history.exports import ExportKind, ExportSelection, measurand_header
from domain.site.measurands import MEASURANDS, ValueKind
from store.base.driver import driver_errors, driver_in
from store.monitoring.device_readings import column_of

WITHIN = timedelta(minutes=5)
"""How long the statement of one export may take."""
_MARGIN = timedelta(minutes=10)
"""A clock runs ahead by less, at most."""
_DIALECT = dialect()


class ColumnType(StrEnum):
    """What a column holds, by its name in SQL."""

    TIME = "TIMESTAMP WITH TIME ZONE"
    ID = "UUID"
    TEXT = "VARCHAR"
    NUMBER = "DOUBLE"
    COUNT = "BIGINT"
    BOOLEAN = "BOOLEAN"


@dataclass(frozen=True)
class ExportColumn:
    """One column of a file."""

    header: str
    """With the unit of its numbers: ``capacity [W]``."""
    kind: ColumnType
    expression: str
    free: bool = False
    """A text that people wrote, of which spreadsheets might compute something."""

    def in_csv(self) -> str:
        """The expression of what a CSV file has: times in UTC, marked as such, and no text that is a formula."""
        if self.kind is ColumnType.TIME:
            value = f"""to_char({self.expression}, 'YYYY-MM-DD"T"HH24\\:MI\\:SS.US"Z"')"""
        elif self.free:
            is_formula = f"ltrim({self.expression}, ' ') ^@ ANY (CAST(:formulas AS text[]))"
            value = f"CASE WHEN {is_formula} THEN '''' ELSE '' END || {self.expression}"
        else:
            value = self.expression
        return f'{value} AS "{self.header}"'


_TIME, _ID, _TEXT, _NUMBER = ColumnType.TIME, ColumnType.ID, ColumnType.TEXT, ColumnType.NUMBER
_DEPOT = (ExportColumn("depot_id", _ID, "p.id"), ExportColumn("depot", _TEXT, "p.name", free=True))
_DEVICE = (ExportColumn("device_id", _ID, "d.id"), ExportColumn("device", _TEXT, "d.name", free=True))
_CIRCUIT = (ExportColumn("circuit_id", _ID, "c.id"), ExportColumn("circuit", _TEXT, "c.name", free=True))
_VALUE_TYPES = {
    ValueKind.NUMBER: _NUMBER,
    ValueKind.TEXT: _TEXT,
    ValueKind.BOOLEAN_TEXT: ColumnType.BOOLEAN,
}


@dataclass(frozen=True)
class _Table:
    """One export: its columns, the rest of its statement, and its order."""

    columns: tuple[ExportColumn, ...]
    source: str
    order: str


# `depots` and `devices` are null where they leave nothing out.
_IN_DEPOTS = "(CAST(:depots AS uuid[]) IS NULL OR p.id = ANY (:depots))"


def _simulated_by(table: str) -> tuple[ExportColumn, ...]:
    """The scenario run that sent what a row of a table says; empty: it is no simulated one."""
    run_id = f"{table}.scenario_run_id"
    scenario = f"(SELECT scenario FROM scenario_runs WHERE id = {run_id})"  # noqa: S608 - a constant
    return ExportColumn("scenario_run_id", _ID, run_id), ExportColumn("scenario", _TEXT, scenario, free=True)


def _readings(selection: ExportSelection) -> _Table:
    keys = [key for key in MEASURANDS if not selection.measurands or key in selection.measurands]
    names = ", ".join(f"r.{column_of(key)}" for key in keys)
    listed = ", ".join(f"'{key}'" for key in keys)
    return _Table(
        (
            ExportColumn("observed_at", _TIME, "r.observed_at"),
            ExportColumn("received_at", _TIME, "r.received_at"),
            *_DEPOT, *_DEVICE, *_CIRCUIT,
            *(
                ExportColumn(measurand_header(key), _VALUE_TYPES[MEASURANDS[key].kind], f"r.{column_of(key)}")
                for key in keys
            ),
            ExportColumn("faults", _TEXT, "r.faults::text"),
            *_simulated_by("r"),
        ),
        f"""
            FROM devices AS d JOIN depots AS p ON p.id = d.depot_id LEFT JOIN circuits AS c ON c.id = d.circuit_id
            CROSS JOIN LATERAL (
                SELECT * FROM device_readings
                WHERE device_id = d.id AND observed_at >= :since
                  AND observed_at < CAST(:until AS timestamptz) + CAST(:margin AS interval)
                  AND least(observed_at, received_at) >= :since AND least(observed_at, received_at) < :until
            ) AS r
            WHERE {_IN_DEPOTS} AND (CAST(:devices AS uuid[]) IS NULL OR d.id = ANY (:devices))
              AND (num_nonnulls({names}) > 0 OR r.faults ?| ARRAY[{listed}])
        """,  # noqa: S608 - constants
        "d.id, r.observed_at",
    )  # fmt: skip


_CAPABILITY_HISTORY = _Table(
    (
        ExportColumn("observed_at", _TIME, "e.observed_at"),
        ExportColumn("received_at", _TIME, "e.received_at"),
        *_DEPOT,
        ExportColumn("microgrid_id", _ID, "e.microgrid_id"),
        ExportColumn("capability", _TEXT, "e.capability"),
        ExportColumn("status", _TEXT, "e.status"),
        ExportColumn("effect", _TEXT, "e.effect"),
        ExportColumn("device_id", _ID, "e.source_device_id"),
        ExportColumn("device", _TEXT, "d.name", free=True),
        ExportColumn("provider_event_ref", _TEXT, "e.provider_event_ref", free=True),
        ExportColumn("recorded_by", _TEXT, "e.recorded_by", free=True),
        *_simulated_by("e"),
    ),
    f"""
        FROM capability_events AS e JOIN microgrids AS m ON m.id = e.microgrid_id
        JOIN depots AS p ON p.id = m.depot_id LEFT JOIN devices AS d ON d.id = e.source_device_id
        WHERE {_IN_DEPOTS} AND e.received_at >= :since
          AND least(e.observed_at, e.received_at) >= :since AND least(e.observed_at, e.received_at) < :until
          AND (CAST(:devices AS uuid[]) IS NULL OR e.source_device_id = ANY (:devices))
    """,
    "p.id, e.capability, least(e.observed_at, e.received_at), e.id",
)
_CAPACITY_HISTORY = _Table(
    (
        ExportColumn("at", _TIME, "e.at"),
        ExportColumn("received_at", _TIME, "e.received_at"),
        *_DEPOT,
        ExportColumn("circuit_id", _ID, "e.circuit_id"),
        ExportColumn("circuit", _TEXT, "c.name", free=True),
        ExportColumn("mode", _TEXT, "e.mode"),
        ExportColumn("reason", _TEXT, "e.reason"),
        ExportColumn("capacity [W]", _NUMBER, "e.capacity_w"),
        ExportColumn("basis", _TEXT, "e.basis"),
        *_simulated_by("e"),
    ),
    f"""
        FROM capacity_events AS e JOIN depots AS p ON p.id = e.depot_id LEFT JOIN circuits AS c ON c.id = e.circuit_id
        WHERE {_IN_DEPOTS} AND e.received_at >= CAST(:since AS timestamptz) - CAST(:margin AS interval)
          AND e.at >= :since AND e.at < :until
          AND (CAST(:devices AS uuid[]) IS NULL
               OR e.circuit_id IN (SELECT circuit_id FROM devices WHERE id = ANY (:devices)))
    """,  # noqa: S608 - constants
    "p.id, e.circuit_id, e.at, e.id",
)
_REMEDIATIONS = _Table(
    (
        ExportColumn("opened_at", _TIME, "e.opened_at"),
        ExportColumn("last_seen_at", _TIME, "e.last_seen_at"),
        ExportColumn("closed_at", _TIME, "e.closed_at"),
        ExportColumn("closed_by", _TEXT, "e.closed_by", free=True),
        *_DEPOT,
        ExportColumn("device_id", _ID, "e.device_id"),
        ExportColumn("device", _TEXT, "d.name", free=True),
        ExportColumn("remediation_id", _ID, "e.id"),
        ExportColumn("code", _TEXT, "e.code"),
        ExportColumn("action", _TEXT, "e.action"),
        ExportColumn("times", ColumnType.COUNT, "e.times"),
        *_simulated_by("e"),
    ),
    f"""
        FROM remediations AS e JOIN depots AS p ON p.id = e.depot_id LEFT JOIN devices AS d ON d.id = e.device_id
        WHERE {_IN_DEPOTS} AND e.opened_at < :until
          AND (e.closed_at IS NULL OR e.closed_at >= :since)
          AND (CAST(:devices AS uuid[]) IS NULL OR e.device_id = ANY (:devices))
    """,
    "e.opened_at, e.id",
)


def _table(kind: ExportKind, selection: ExportSelection) -> _Table:
    match kind:
        case ExportKind.READINGS:
            return _readings(selection)
        case ExportKind.CAPABILITY_HISTORY:
            return _CAPABILITY_HISTORY
        case ExportKind.CAPACITY_HISTORY:
            return _CAPACITY_HISTORY
        case ExportKind.REMEDIATIONS:
            return _REMEDIATIONS


def columns_of(kind: ExportKind, selection: ExportSelection) -> tuple[ExportColumn, ...]:
    """The columns of an export's file, in their order."""
    return _table(kind, selection).columns


async def write_csv(
    connection: AsyncConnection, scope: DepotScope, kind: ExportKind, selection: ExportSelection, file: IO[bytes],
    *, most: int, spreadsheet_safe: bool = True,
) -> int:  # fmt: skip
    """Write the rows that are selected within ``scope`` into a file as CSV with a header; answers how many there are.

    ``most`` + 1 are written where there are more than ``most``. ``spreadsheet_safe``: no text is a formula.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``DEVICE_NOT_FOUND``: one that is named does not exist within ``scope``.

    """
    await check_named(connection, scope, selection)
    depots = None if scope.everywhere else list(scope.depot_ids)
    if selection.depot_id is not None:
        depots = [selection.depot_id]
    table = _table(kind, selection)
    statement = f"""
        SELECT {", ".join(column.in_csv() for column in table.columns)} {table.source}
        ORDER BY {table.order} LIMIT :rows
    """
    given = {
        "since": selection.since,
        "until": selection.until,
        "margin": _MARGIN,
        "depots": depots,
        "devices": list(selection.device_ids) or None,
        "formulas": list(FORMULA_BEGINNINGS) if spreadsheet_safe else [],
        "rows": most + 1,
    }
    compiled = text(statement).compile(dialect=_DIALECT)
    numbered = [given[name] for name in compiled.positiontup or ()]
    settings = f"SET LOCAL TimeZone = 'UTC'; SET LOCAL statement_timeout = {WITHIN.total_seconds() * 1000:.0f}"
    driver = await driver_in(connection)
    with driver_errors():
        await driver.execute(settings)
        written = await driver.copy_from_query(str(compiled), *numbered, output=file, format="csv", header=True)
    return int(written.removeprefix("COPY "))


_UNKNOWN = text("""
    SELECT wanted.id FROM unnest(CAST(:device_ids AS uuid[])) AS wanted (id)
    LEFT JOIN devices AS d ON d.id = wanted.id
        AND (CAST(:depots AS uuid[]) IS NULL OR d.depot_id = ANY (CAST(:depots AS uuid[])))
    WHERE d.id IS NULL LIMIT 1
""")
_DEPOT_THERE = text("SELECT true FROM depots WHERE id = :depot_id")


async def check_named(connection: AsyncConnection, scope: DepotScope, selection: ExportSelection) -> None:
    """Make sure that the depot and the devices that are named exist within ``scope``.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``DEVICE_NOT_FOUND``.

    """
    depot_id = selection.depot_id
    if depot_id is not None:
        there = scope.holds(depot_id) and (await connection.execute(_DEPOT_THERE, {"depot_id": depot_id})).first()
        if not there:
            raise Problem(ProblemCode.DEPOT_NOT_FOUND, f"There is no depot {depot_id}.", "depot_id")
    if selection.device_ids:
        depots = None if scope.everywhere else list(scope.depot_ids)
        given = {"device_ids": list(selection.device_ids), "depots": [depot_id] if depot_id is not None else depots}
        unknown = (await connection.execute(_UNKNOWN, given)).scalar()
        if unknown is not None:
            raise Problem(ProblemCode.DEVICE_NOT_FOUND, f"There is no device {unknown} there.", "device_id")

"""The rows of a site as they were at a moment: the present ones, and for those that changed since, what was kept."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.problems import Problem, ProblemCode
from store.base.database import clock

REPLACED = """
    replaced AS MATERIALIZED (
        SELECT DISTINCT ON (source, row_key) source, row_key, content FROM replaced_rows
        WHERE depot_id = :depot_id AND replaced_at > :as_of ORDER BY source, row_key, replaced_at, id
    )
"""
"""The common table expression that ``rows_as_of`` reads: of each row that changed since, what it was first."""


def rows_as_of(table: str, *, made: str = "created_at", of_depot: str = "t.depot_id = :depot_id") -> str:
    """The rows of a table of one depot at the moment ``:as_of``, for the place of a table's name.

    ``made`` is the column that says when a row began; where it is null, the row was always there.
    """
    key = "t.microgrid_id || ' ' || t.capability" if table == "freshness_thresholds" else "t.id::text"
    return f"""(
        SELECT t.* FROM {table} AS t
        WHERE {of_depot} AND coalesce(t.{made} <= :as_of, true)
          AND NOT EXISTS (SELECT FROM replaced AS r WHERE r.source = '{table}' AND r.row_key = {key})
        UNION ALL
        SELECT t.* FROM replaced AS r CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, r.content) AS t
        WHERE r.source = '{table}' AND coalesce(t.{made} <= :as_of, true)
    )"""  # noqa: S608 - constants


_OF_MICROGRID = "t.microgrid_id = :microgrid_id"
NODES = rows_as_of("microgrid_nodes", of_depot=_OF_MICROGRID)
THRESHOLDS = rows_as_of("freshness_thresholds", made="updated_at", of_depot=_OF_MICROGRID)
_KEPT = text("SELECT since FROM replaced_rows_kept")
_MICROGRID = text("""
    SELECT depot_id FROM microgrids
    WHERE id = :microgrid_id AND created_at <= :as_of AND coalesce(retired_at > :as_of, true)
""")


async def check_as_of(connection: AsyncConnection, as_of: datetime, *, structure: bool) -> None:
    """Refuse a moment of which nothing can be told. ``structure``: what is asked for needs the rows of the site.

    Raises:
        Problem: ``AS_OF_OUT_OF_RANGE``.

    """
    now = await clock(connection)
    if as_of > now:
        raise Problem(ProblemCode.AS_OF_OUT_OF_RANGE, "This moment lies in the future.", "as_of")
    if structure:
        since = (await connection.execute(_KEPT)).scalar_one()
        if as_of < since:
            raise Problem(
                ProblemCode.AS_OF_OUT_OF_RANGE,
                f"What a site was is known from {since:%Y-%m-%d %H:%M} UTC on, when this version was installed.",
                "as_of",
            )


async def depot_of_microgrid_as_of(connection: AsyncConnection, microgrid_id: UUID, as_of: datetime) -> UUID:
    """Say of which depot a microgrid was that was active then.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``.

    """
    depot_id = (await connection.execute(_MICROGRID, {"microgrid_id": microgrid_id, "as_of": as_of})).scalar()
    if depot_id is None:
        raise Problem(ProblemCode.MICROGRID_NOT_FOUND, "There was no such microgrid at that moment.")
    return depot_id


_OF_DEPOT = text("""
    SELECT id FROM microgrids
    WHERE depot_id = :depot_id AND created_at <= :as_of AND coalesce(retired_at > :as_of, true)
""")


async def microgrid_of_depot_as_of(connection: AsyncConnection, depot_id: UUID, as_of: datetime) -> UUID:
    """Say which microgrid of a depot was active then.

    Raises:
        Problem: ``AS_OF_OUT_OF_RANGE`` or ``MICROGRID_NOT_FOUND``.

    """
    await check_as_of(connection, as_of, structure=True)
    microgrid_id = (await connection.execute(_OF_DEPOT, {"depot_id": depot_id, "as_of": as_of})).scalar()
    if microgrid_id is None:
        raise Problem(ProblemCode.MICROGRID_NOT_FOUND, "The depot had no microgrid at that moment.")
    return microgrid_id

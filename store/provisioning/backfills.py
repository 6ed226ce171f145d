"""Backfills: set-based work on pages of depots, with an outcome a depot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ScalarSelect, Select, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.jobs import JobState
from domain.provisioning.backfill import (
    BACKFILL,
    BackfillOutcome,
    BackfillRequest,
    OutcomeCounts,
    PageBounds,
    PageRequest,
    PlanRequest,
)
from store.base.jobs.rows import JobRecord, hold_open, newest_first
from store.provisioning.tables import backfill_outcomes, backfill_pages, backfills
from store.site.tables import depots


@dataclass(frozen=True, kw_only=True)
class BackfillRecord(JobRecord):
    """A backfill as it is stored, with what its finished pages add up to."""

    dry_run: bool
    page_size: int
    depots_total: int | None
    counts: OutcomeCounts
    last_page_at: datetime | None


@dataclass(frozen=True)
class OutcomeRecord:
    """What a backfill found for one depot."""

    depot_id: UUID
    depot_name: str
    outcome: BackfillOutcome
    microgrid_id: UUID | None


async def insert_backfill(connection: AsyncConnection, request: BackfillRequest) -> None:
    """Store a new backfill; one that is stored already stays as it is."""
    await connection.execute(
        upsert(backfills)
        .values(
            id=request.backfill_id,
            dry_run=request.dry_run,
            page_size=request.page_size,
            state=JobState.RUNNING,
            requested_by=request.requested_by,
        )
        .on_conflict_do_nothing()
    )


async def begin_backfill(connection: AsyncConnection, request: BackfillRequest) -> int:
    """Count the depots and note the start; the first count stands when this runs again."""
    await insert_backfill(connection, request)
    total = (
        await connection.execute(select(func.count()).select_from(depots).where(depots.c.retired_at.is_(None)))
    ).scalar_one()
    stored = await connection.execute(
        update(backfills)
        .where(backfills.c.id == request.backfill_id)
        .values(
            depots_total=func.coalesce(backfills.c.depots_total, total),
            started_at=func.coalesce(backfills.c.started_at, func.now()),
        )
        .returning(backfills.c.depots_total)
    )
    return stored.scalar_one()


# Every page_size-th depot id, and the very last one: what lies between two of them is a page.
_PLAN = text("""
    SELECT id FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS place, lead(id) OVER (ORDER BY id) IS NULL AS is_last
        FROM (SELECT id FROM depots WHERE CAST(:after AS uuid) IS NULL OR id > :after
              ORDER BY id LIMIT :wanted) AS ahead
    ) AS numbered
    WHERE place % :page_size = 0 OR is_last
    ORDER BY id
""")


async def plan_pages(connection: AsyncConnection, request: PlanRequest) -> list[PageBounds]:
    """Say where the next pages end. An empty answer means that no depot is left."""
    wanted = request.backfill.page_size * request.pages
    ends = await connection.execute(
        _PLAN, {"after": request.after, "wanted": wanted, "page_size": request.backfill.page_size}
    )
    pages: list[PageBounds] = []
    after = request.after
    for upto in ends.scalars():
        pages.append(PageBounds(request.next_page + len(pages), after, upto))
        after = upto
    return pages


# The page's depots are locked in id order before anything is read from them: a circuit change or a sync of
# one of them comes wholly before this page or wholly after it.
_LOCK_PAGE = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM depots WHERE id > :after AND id <= :upto ORDER BY id FOR NO KEY UPDATE
    ) AS locked
""")

FIRST_ID = UUID(int=0)

# One statement, three writes: microgrids for the depots that lack one, their grid connections, the depots'
# provisioning; and the outcome of every depot of the page.
PROVISION_PAGE = text("""
    WITH tops AS (
        SELECT depot_id, id, name, row_number() OVER (PARTITION BY depot_id ORDER BY position) - 1 AS place
        FROM circuits WHERE depot_id > :after AND depot_id <= :upto AND parent_id IS NULL
    ), page AS (
        SELECT d.id, m.id AS microgrid_id, d.provisioning, EXISTS (SELECT 1 FROM tops WHERE depot_id = d.id) AS has_tops
        FROM depots AS d LEFT JOIN microgrids AS m ON m.depot_id = d.id AND m.retired_at IS NULL
        WHERE d.id > :after AND d.id <= :upto AND d.retired_at IS NULL
    ), made AS (
        INSERT INTO microgrids (depot_id, created_by, updated_by)
        SELECT id, :actor, :actor FROM page WHERE microgrid_id IS NULL AND has_tops
        ON CONFLICT (depot_id) WHERE retired_at IS NULL DO NOTHING
        RETURNING id, depot_id
    ), connected AS (
        INSERT INTO microgrid_nodes (microgrid_id, circuit_id, name, position)
        SELECT made.id, tops.id, tops.name, tops.place FROM made JOIN tops USING (depot_id)
    ), marked AS (
        UPDATE depots AS d
        SET provisioning = CASE WHEN page.has_tops THEN 'PROVISIONED' ELSE 'FAILED' END,
            provisioning_code = CASE WHEN page.has_tops THEN NULL ELSE 'NO_TOP_LEVEL_CIRCUITS' END
        FROM page
        WHERE d.id = page.id
          AND d.provisioning <> CASE WHEN page.has_tops THEN 'PROVISIONED' ELSE 'FAILED' END
    ), recorded AS (
        INSERT INTO backfill_outcomes (backfill_id, depot_id, outcome, microgrid_id)
        SELECT :backfill_id, page.id,
               CASE WHEN NOT page.has_tops THEN 'NO_TOP_LEVEL_CIRCUITS'
                    WHEN made.id IS NOT NULL THEN 'CREATED' ELSE 'ALREADY_PROVISIONED' END,
               coalesce(made.id, page.microgrid_id)
        FROM page LEFT JOIN made ON made.depot_id = page.id
        RETURNING outcome
    )
    SELECT outcome, count(*) FROM recorded GROUP BY outcome
""")

_EVALUATE_PAGE = text("""
    WITH recorded AS (
        INSERT INTO backfill_outcomes (backfill_id, depot_id, outcome, microgrid_id)
        SELECT :backfill_id, d.id,
               CASE WHEN NOT EXISTS (SELECT 1 FROM circuits WHERE depot_id = d.id AND parent_id IS NULL)
                    THEN 'NO_TOP_LEVEL_CIRCUITS'
                    WHEN m.id IS NULL THEN 'CREATED' ELSE 'ALREADY_PROVISIONED' END,
               m.id
        FROM depots AS d LEFT JOIN microgrids AS m ON m.depot_id = d.id AND m.retired_at IS NULL
        WHERE d.id > :after AND d.id <= :upto AND d.retired_at IS NULL
        RETURNING outcome
    )
    SELECT outcome, count(*) FROM recorded GROUP BY outcome
""")


async def run_page(connection: AsyncConnection, request: PageRequest) -> OutcomeCounts:
    """Provision one page of depots, or evaluate it in a dry run, in one transaction.

    A page that was finished before answers with the counts of that time and does nothing: the row in
    ``backfill_pages`` is written by the same transaction as the page's work.

    Raises:
        Problem: ``BACKFILL_NOT_FOUND`` or ``BACKFILL_NOT_RUNNING``: nothing is done for a backfill that has ended.

    """
    backfill, bounds = request.backfill, request.bounds
    done = await connection.execute(
        select(
            backfill_pages.c.created, backfill_pages.c.already_provisioned, backfill_pages.c.no_top_level_circuits
        ).where(backfill_pages.c.backfill_id == backfill.backfill_id, backfill_pages.c.page == bounds.page)
    )
    row = done.one_or_none()
    if row is not None:
        return OutcomeCounts(*row)
    await hold_open(connection, backfills, BACKFILL, backfill.backfill_id)
    span = {"after": bounds.after or FIRST_ID, "upto": bounds.upto}
    if backfill.dry_run:
        rows = await connection.execute(_EVALUATE_PAGE, {**span, "backfill_id": backfill.backfill_id})
    else:
        await connection.execute(_LOCK_PAGE, span)
        rows = await connection.execute(
            PROVISION_PAGE, {**span, "backfill_id": backfill.backfill_id, "actor": backfill.requested_by}
        )
    found = {BackfillOutcome(outcome): count for outcome, count in rows}
    counts = OutcomeCounts(
        created=found.get(BackfillOutcome.CREATED, 0),
        already_provisioned=found.get(BackfillOutcome.ALREADY_PROVISIONED, 0),
        no_top_level_circuits=found.get(BackfillOutcome.NO_TOP_LEVEL_CIRCUITS, 0),
    )
    await connection.execute(
        insert(backfill_pages).values(
            backfill_id=backfill.backfill_id,
            page=bounds.page,
            upto=bounds.upto,
            created=counts.created,
            already_provisioned=counts.already_provisioned,
            no_top_level_circuits=counts.no_top_level_circuits,
        )
    )
    return counts


async def count_pages(connection: AsyncConnection, backfill_id: UUID) -> int:
    """Count the pages that are finished."""
    query = select(func.count()).where(backfill_pages.c.backfill_id == backfill_id)
    return (await connection.execute(query)).scalar_one()


def _backfills() -> Select[tuple[object, ...]]:
    sums = (
        select(
            func.coalesce(func.sum(backfill_pages.c.created), 0).label("created"),
            func.coalesce(func.sum(backfill_pages.c.already_provisioned), 0).label("already_provisioned"),
            func.coalesce(func.sum(backfill_pages.c.no_top_level_circuits), 0).label("no_top_level_circuits"),
            func.max(backfill_pages.c.finished_at).label("last_page_at"),
        )
        .where(backfill_pages.c.backfill_id == backfills.c.id)
        .lateral("sums")
    )
    read_at = func.now().label("read_at")
    return select(backfills, sums, read_at).select_from(backfills.join(sums, text("true")))  # pyright: ignore[reportReturnType]


def _record(row: tuple[object, ...], keys: list[str]) -> BackfillRecord:
    values: dict[str, object] = dict(zip(keys, row, strict=True))
    counts = OutcomeCounts(
        *(int(str(values.pop(name))) for name in ("created", "already_provisioned", "no_top_level_circuits"))
    )
    values["job_id"] = values.pop("id")
    values["state"] = JobState(str(values["state"]))
    return BackfillRecord(**values, depot_id=None, counts=counts)  # pyright: ignore[reportArgumentType]


async def read_backfill(connection: AsyncConnection, backfill_id: UUID) -> BackfillRecord:
    """Read one backfill.

    Raises:
        Problem: ``BACKFILL_NOT_FOUND``.

    """
    result = await connection.execute(_backfills().where(backfills.c.id == backfill_id))
    row = result.one_or_none()
    if row is None:
        raise BACKFILL.missing(backfill_id)
    return _record(tuple(row), list(result.keys()))


async def list_backfills(
    connection: AsyncConnection, *, before: UUID | None, limit: int, only_open: bool = False
) -> list[BackfillRecord]:
    """List backfills, the newest first, beginning before the id ``before``; all, or those that have not ended."""
    query = newest_first(_backfills(), backfills, before=before, limit=limit, only_open=only_open)
    result = await connection.execute(query)
    keys = list(result.keys())
    return [_record(tuple(row), keys) for row in result]


async def list_outcomes(
    connection: AsyncConnection,
    backfill_id: UUID,
    *,
    outcome: BackfillOutcome | None,
    after: UUID | None,
    limit: int,
    ended: bool,
) -> list[OutcomeRecord]:
    """List a backfill's outcomes by depot id, beginning after the depot ``after``.

    Pages of depots are worked on at the same time and may finish in any order. Unless the backfill has ``ended``, the
    list ends where the first page is missing: whoever follows it from depot to depot misses none.
    """
    query = (
        select(
            backfill_outcomes.c.depot_id, depots.c.name, backfill_outcomes.c.outcome, backfill_outcomes.c.microgrid_id
        )
        .join(depots, depots.c.id == backfill_outcomes.c.depot_id)
        .where(backfill_outcomes.c.backfill_id == backfill_id)
        .order_by(backfill_outcomes.c.depot_id)
        .limit(limit)
    )
    if outcome is not None:
        query = query.where(backfill_outcomes.c.outcome == outcome)
    if after is not None:
        query = query.where(backfill_outcomes.c.depot_id > after)
    if not ended:
        query = query.where(backfill_outcomes.c.depot_id <= _end_of_whole_pages(backfill_id))
    rows = await connection.execute(query)
    return [OutcomeRecord(depot_id, name, BackfillOutcome(found), grid) for depot_id, name, found, grid in rows]


def _end_of_whole_pages(backfill_id: UUID) -> ScalarSelect[UUID | None]:
    """Where the last page ends before which none is missing; NULL: the first one is."""
    place = func.row_number().over(order_by=backfill_pages.c.page) - 1
    finished = (
        select(backfill_pages.c.page, backfill_pages.c.upto, place.label("place"))
        .where(backfill_pages.c.backfill_id == backfill_id)
        .subquery()
    )
    last = select(finished.c.upto).where(finished.c.page == finished.c.place).order_by(finished.c.page.desc()).limit(1)
    return last.scalar_subquery()

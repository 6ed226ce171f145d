"""Imports as jobs: their rows, the files that were uploaded for them, and their reports."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.base.jobs import JobState
from domain.base.problems import Problem, ProblemCode
from domain.site.fleet import FleetCode, LineKind, Refusal
from domain.site.imports.import_jobs import IMPORT, MAX_OPEN, REPORT_KEPT, ImportRequest
from store.base.jobs.rows import JobRecord, newest_first
from store.site.fleet.fleet_import import refusal_in
from store.site.tables import import_parts, import_refusals, imports

PART_BYTES = 1_048_576
"""Bytes of a file in one row."""
_PIECE = 65_536
"""Bytes that are read into lines before others have their turn."""
# Whoever begins an import waits here, so that they are counted one after another.
_BEGIN_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('imports', 29))")


@dataclass(frozen=True, kw_only=True)
class ImportRecord(JobRecord):
    """An import as it is stored."""

    file_name: str
    size_bytes: int
    sha256: str
    bytes_read: int
    lines: int
    """Lines that were read so far, without blank ones."""
    lines_to_store: int | None
    """Lines that say something new; None until all were read."""
    lines_done: int
    """How many of these are stored or refused."""
    stored: dict[LineKind, int]
    unchanged: int | None
    """Lines that say what was stored already; None until the end."""
    refused: dict[FleetCode, int]
    """The most frequent code first."""
    reported: int
    """Refused lines that the report has."""


async def insert_import(connection: AsyncConnection, request: ImportRequest) -> None:
    """Store a new import without its file; one that is stored already stays as it is."""
    await connection.execute(
        upsert(imports)
        .values(
            id=request.import_id,
            file_name=request.file_name,
            size_bytes=request.size_bytes,
            sha256=request.sha256,
            state=JobState.RUNNING,
            requested_by=request.requested_by,
        )
        .on_conflict_do_nothing()
    )


async def check_room(connection: AsyncConnection) -> None:
    """Make sure that an import that was just stored is not one too many; others wait until the transaction ends.

    Raises:
        Problem: ``TOO_MANY_IMPORTS``.

    """
    await connection.execute(_BEGIN_LOCK)
    query = select(func.count()).select_from(imports).where(imports.c.finished_at.is_(None))
    if (await connection.execute(query)).scalar_one() > MAX_OPEN:
        raise Problem(
            ProblemCode.TOO_MANY_IMPORTS,
            f"{MAX_OPEN} imports have not ended, which is as many as may. Wait for one of them, or cancel one.",
        )


async def insert_file(connection: AsyncConnection, import_id: UUID, content: AsyncIterable[bytes]) -> None:
    """Store the file of an import in parts; no more of it than a part is held."""
    part, waiting = 0, bytearray()

    async def write() -> None:
        values = {"import_id": import_id, "part": part, "content": bytes(waiting[:PART_BYTES])}
        await connection.execute(insert(import_parts).values(**values))

    async for piece in content:
        waiting += piece
        while len(waiting) >= PART_BYTES:
            await write()
            part += 1
            del waiting[:PART_BYTES]
    if waiting:
        await write()


async def read_file(engine: AsyncEngine, import_id: UUID) -> AsyncIterator[bytes]:
    """Read the file of an import piece by piece. No connection is held between two parts.

    Raises:
        Problem: ``IMPORT_INTERRUPTED``: the file is gone.

    """
    query = select(import_parts.c.part, import_parts.c.content).where(import_parts.c.import_id == import_id)
    whole = (await _row_of(engine, select(imports.c.size_bytes).where(imports.c.id == import_id))).size_bytes
    read, part = 0, 0
    while read < whole:
        row = await _row_of(engine, query.where(import_parts.c.part == part))
        for start in range(0, len(row.content), _PIECE):
            piece = row.content[start : start + _PIECE]
            read += len(piece)
            yield piece
        part += 1


async def _row_of(engine: AsyncEngine, query: Select[*tuple[Any, ...]]) -> Any:
    async with engine.connect() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Problem(ProblemCode.IMPORT_INTERRUPTED, "The import's file is not in the database: upload it again.")
    return row


async def remove_file(connection: AsyncConnection, import_id: UUID) -> None:
    """Remove the file of an import that has ended."""
    await connection.execute(delete(import_parts).where(import_parts.c.import_id == import_id))


async def begin_import(connection: AsyncConnection, request: ImportRequest) -> None:
    """Note the start of an import; the first one stands when this runs again.

    Its row may not be there yet, because who asked for it stores it in a transaction that starts the workflow: then
    this waits for the end of that transaction, and stores the row itself where that came to nothing.
    """
    await insert_import(connection, request)
    await connection.execute(
        update(imports)
        .where(imports.c.id == request.import_id)
        .values(started_at=func.coalesce(imports.c.started_at, func.now()))
    )


async def note_read(connection: AsyncConnection, import_id: UUID, *, bytes_read: int, lines: int) -> None:
    """Note how much of the file was read; a second reading of it takes nothing back."""
    await connection.execute(
        update(imports)
        .where(imports.c.id == import_id, imports.c.finished_at.is_(None))
        .values(bytes_read=func.greatest(imports.c.bytes_read, bytes_read), lines=func.greatest(imports.c.lines, lines))
    )


def _imports() -> Select[*tuple[Any, ...]]:
    left_out = {imports.c.stored_upto}
    return select(*(each for each in imports.c if each not in left_out), func.now().label("read_at"))


def _record(row: Any) -> ImportRecord:
    values: dict[str, Any] = row._asdict()
    values["job_id"] = values.pop("id")
    values["state"] = JobState(values["state"])
    values["stored"] = {kind: values["stored"].get(kind, 0) for kind in LineKind}
    counted = sorted(values["refused"].items(), key=lambda each: (-each[1], each[0]))
    values["refused"] = {FleetCode(code): count for code, count in counted}
    return ImportRecord(depot_id=None, **values)


async def read_import(connection: AsyncConnection, import_id: UUID) -> ImportRecord:
    """Read one import.

    Raises:
        Problem: ``IMPORT_NOT_FOUND``.

    """
    row = (await connection.execute(_imports().where(imports.c.id == import_id))).one_or_none()
    if row is None:
        raise IMPORT.missing(import_id)
    return _record(row)


async def list_imports(
    connection: AsyncConnection, *, before: UUID | None, limit: int, only_open: bool = False
) -> list[ImportRecord]:
    """List imports, the newest first, beginning before the id ``before``; all, or those that have not ended."""
    query = newest_first(_imports(), imports, before=before, limit=limit, only_open=only_open)
    return [_record(row) for row in await connection.execute(query)]


async def list_refused(
    connection: AsyncConnection, import_id: UUID, *, code: FleetCode | None = None, after: int = 0, limit: int
) -> list[tuple[int, Refusal]]:
    """List refused lines in the order of the file, of one code or of all, beginning after the line ``after``."""
    columns = [each for each in import_refusals.c if each is not import_refusals.c.import_id]
    query = (
        select(*columns)
        .where(import_refusals.c.import_id == import_id, import_refusals.c.line > after)
        .order_by(import_refusals.c.line)
        .limit(limit)
    )
    if code is not None:
        query = query.where(import_refusals.c.code == code)
    return [(row[0], refusal_in(row)) for row in await connection.execute(query)]


async def forget_reports(connection: AsyncConnection) -> None:
    """Forget the reports of imports that ended long ago; a second time does nothing."""
    old = select(imports.c.id).where(imports.c.finished_at < func.now() - REPORT_KEPT, imports.c.reported > 0)
    ids = (await connection.execute(old)).scalars().all()
    for import_id in ids:
        await connection.execute(delete(import_refusals).where(import_refusals.c.import_id == import_id))
        await connection.execute(update(imports).where(imports.c.id == import_id).values(reported=0))

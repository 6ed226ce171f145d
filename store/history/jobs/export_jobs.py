"""Exports as jobs: their rows and their files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.access.principals import EVERYWHERE, DepotScope
from domain.base.jobs import JobState
from domain.base.problems import GoneMeanwhileError, Problem, ProblemCode
from domain.history.export_jobs import EXPORT, FILE_KEPT, MAX_KEPT, ExportRequest, first_slice
from domain.history.exports import ExportFormat, ExportKind, ExportSelection
from domain.site.measurands import MeasurandKey
from store.base.jobs.rows import ContinuedElsewhereError, JobRecord, newest_first
from store.history.tables import export_parts, exports

PART_BYTES = 1_048_576
"""Bytes of a file in one row."""
# Whoever begins an export waits here, so that those of one person are counted one after another.
_BEGIN_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('exports/' || :actor, 31))")


@dataclass(frozen=True, kw_only=True)
class ExportRecord(JobRecord):
    """An export as it is stored."""

    kind: ExportKind
    file_format: ExportFormat
    selection: ExportSelection
    scope: DepotScope
    """The depots that whoever asked might see then."""
    done_until: datetime | None
    slice_seconds: float | None
    rows_done: int
    size_bytes: int
    expires_at: datetime | None
    """None: there is no file."""

    @property
    def request(self) -> ExportRequest:
        """What its workflow is given."""
        return ExportRequest(self.job_id, self.kind, self.file_format, self.requested_by)

    @property
    def depots(self) -> DepotScope:
        """All depots of which something may be in the file."""
        named = self.selection.depot_id
        return self.scope if named is None else DepotScope.of(named)

    @property
    def has_file(self) -> bool:
        """Whether its file is there to be downloaded."""
        return self.state is JobState.COMPLETED and self.expires_at is not None and self.read_at < self.expires_at


async def insert_export(
    connection: AsyncConnection, request: ExportRequest, selection: ExportSelection, scope: DepotScope
) -> None:
    """Store a new export."""
    await connection.execute(
        insert(exports).values(
            id=request.export_id,
            kind=request.kind,
            file_format=request.file_format,
            since=selection.since,
            until=selection.until,
            depot_id=selection.depot_id,
            device_ids=list(selection.device_ids),
            measurands=list(selection.measurands),
            within=None if scope.everywhere else sorted(scope.depot_ids),
            state=JobState.RUNNING,
            requested_by=request.requested_by,
            slice_seconds=first_slice(request.kind, selection.since, selection.until).total_seconds(),
        )
    )


async def check_room(connection: AsyncConnection, actor: str) -> None:
    """Make sure that an export that was just stored is not one too many of its actor's.

    Raises:
        Problem: ``TOO_MANY_EXPORTS``.

    """
    await connection.execute(_BEGIN_LOCK, {"actor": actor})
    kept = exports.c.finished_at.is_(None) | (exports.c.expires_at > func.now())
    query = select(func.count()).select_from(exports).where(exports.c.requested_by == actor, kept)
    if (await connection.execute(query)).scalar_one() > MAX_KEPT:
        raise Problem(
            ProblemCode.TOO_MANY_EXPORTS,
            f"You have {MAX_KEPT} exports that go on or are kept, which is as many as may be. Delete one of them.",
        )


async def begin_export(connection: AsyncConnection, request: ExportRequest) -> None:
    """Note the start of an export; the first one stands when this runs again.

    Its row may not be there yet, because who asked for it stores it in a transaction that starts the workflow: then
    this waits for the end of that transaction.

    Raises:
        Problem: ``EXPORT_NOT_FOUND``: that transaction came to nothing.

    """
    never = datetime.fromtimestamp(0, UTC)
    made = await connection.execute(
        upsert(exports)
        .values(
            id=request.export_id, kind=request.kind, file_format=request.file_format, since=never, until=never,
            device_ids=[], measurands=[], state=JobState.FAILED, requested_by=request.requested_by,
        )
        .on_conflict_do_update(
            index_elements=[exports.c.id], set_={"started_at": func.coalesce(exports.c.started_at, func.now())}
        )
        .returning(exports.c.slice_seconds)
    )  # fmt: skip
    if made.scalar_one() is None:
        # It was stored here, only to wait by, and goes with this transaction.
        raise EXPORT.missing(request.export_id)


async def lock_slice(connection: AsyncConnection, record: ExportRecord) -> None:
    """Lock an export of which a slice is to be stored.

    Raises:
        Problem: ``EXPORT_NOT_FOUND`` or ``EXPORT_NOT_RUNNING``: nothing is stored for an export that has ended.
        ContinuedElsewhereError: another try of the same step has stored something since the export was read.

    """
    query = (
        select(exports.c.state, exports.c.done_until, exports.c.size_bytes)
        .where(exports.c.id == record.job_id)
        .with_for_update(key_share=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise EXPORT.missing(record.job_id)
    if JobState(row.state).ended:
        raise EXPORT.not_controllable(JobState(row.state))
    if (row.done_until, row.size_bytes) != (record.done_until, record.size_bytes):
        raise ContinuedElsewhereError("another try of this export goes on")


async def append_slice(
    connection: AsyncConnection, record: ExportRecord, file: IO[bytes], *, done_until: datetime, width: timedelta,
    rows: int,
) -> None:  # fmt: skip
    """Store a slice behind the file of an export, from where ``file`` is read, and note how far the export is."""
    size = await _append(connection, record.job_id, record.size_bytes, file)
    await connection.execute(
        update(exports)
        .where(exports.c.id == record.job_id)
        .values(
            done_until=done_until,
            slice_seconds=width.total_seconds(),
            rows_done=record.rows_done + rows,
            size_bytes=size,
        )
    )


async def replace_file(connection: AsyncConnection, export_id: UUID, file: IO[bytes]) -> None:
    """Put another file in the place of an export's."""
    await connection.execute(delete(export_parts).where(export_parts.c.export_id == export_id))
    size = await _append(connection, export_id, 0, file)
    await connection.execute(update(exports).where(exports.c.id == export_id).values(size_bytes=size))


async def _append(connection: AsyncConnection, export_id: UUID, size: int, file: IO[bytes]) -> int:
    while content := await asyncio.to_thread(file.read, PART_BYTES):
        await connection.execute(insert(export_parts).values(export_id=export_id, starts_at=size, content=content))
        size += len(content)
    return size


async def keep_file(connection: AsyncConnection, export_id: UUID) -> None:
    """Note that the file of an export is whole, and until when it is kept; the first time stands."""
    expires = func.coalesce(exports.c.expires_at, func.now() + FILE_KEPT)
    await connection.execute(update(exports).where(exports.c.id == export_id).values(expires_at=expires))


async def remove_file(connection: AsyncConnection, export_id: UUID) -> None:
    """Remove the file of an export."""
    await connection.execute(delete(export_parts).where(export_parts.c.export_id == export_id))
    await connection.execute(update(exports).where(exports.c.id == export_id).values(expires_at=None, size_bytes=0))


async def forget_files(connection: AsyncConnection) -> None:
    """Remove the files of exports that have expired; a second time does nothing."""
    query = select(exports.c.id).where(exports.c.expires_at <= func.now(), exports.c.finished_at.is_not(None))
    for export_id in (await connection.execute(query)).scalars().all():
        await remove_file(connection, export_id)


async def read_file(
    engine: AsyncEngine, export_id: UUID, *, first: int = 0, last: int | None = None
) -> AsyncIterator[bytes]:
    """Read the file of an export from its byte ``first`` to its byte ``last``, part by part.

    No connection is held between two parts.

    Raises:
        GoneMeanwhileError: the file was removed while it was read; without ``last`` it just ends.

    """
    place = first
    parts = select(export_parts.c.starts_at, export_parts.c.content).where(export_parts.c.export_id == export_id)
    while last is None or place <= last:
        query = parts.where(export_parts.c.starts_at <= place).order_by(export_parts.c.starts_at.desc()).limit(1)
        async with engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            break
        end = len(row.content) if last is None else min(len(row.content), last + 1 - row.starts_at)
        piece = row.content[place - row.starts_at : end]
        if not piece:
            break
        yield piece
        place += len(piece)
    if last is not None and place <= last:
        raise GoneMeanwhileError(f"export {export_id}")


async def save_file(engine: AsyncEngine, export_id: UUID, path: Path) -> None:
    """Write the file of an export to the disk."""
    with path.open("wb") as file:
        async for piece in read_file(engine, export_id):
            await asyncio.to_thread(file.write, piece)


def _exports() -> Select[*tuple[Any, ...]]:
    return select(exports, func.now().label("read_at"))


def _record(row: Any) -> ExportRecord:
    values: dict[str, Any] = row._asdict()
    within = values.pop("within")
    depot_id, devices, measurands = (values.pop(name) for name in ("depot_id", "device_ids", "measurands"))
    since, until = values.pop("since"), values.pop("until")
    values |= {
        "job_id": values.pop("id"),
        "kind": ExportKind(values["kind"]),
        "file_format": ExportFormat(values["file_format"]),
        "state": JobState(values["state"]),
    }
    return ExportRecord(
        **values,
        depot_id=depot_id,
        selection=ExportSelection(
            since, until, depot_id, tuple(devices), tuple(MeasurandKey(key) for key in measurands)
        ),
        scope=EVERYWHERE if within is None else DepotScope(everywhere=False, depot_ids=frozenset(within)),
    )


async def read_export(connection: AsyncConnection, export_id: UUID) -> ExportRecord:
    """Read one export.

    Raises:
        Problem: ``EXPORT_NOT_FOUND``.

    """
    row = (await connection.execute(_exports().where(exports.c.id == export_id))).one_or_none()
    if row is None:
        raise EXPORT.missing(export_id)
    return _record(row)


async def list_exports(
    connection: AsyncConnection, *, before: UUID | None, limit: int, only_open: bool = False, of: str | None = None
) -> list[ExportRecord]:
    """List exports, the newest first, beginning before the id ``before``; all, those that have not ended, or those
    ``of`` one actor.
    """
    query = newest_first(_exports(), exports, before=before, limit=limit, only_open=only_open)
    if of is not None:
        query = query.where(exports.c.requested_by == of)
    return [_record(row) for row in await connection.execute(query)]

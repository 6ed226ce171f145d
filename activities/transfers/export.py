"""The steps of an export that is a job."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.base.actor import Actor
from domain.base.jobs import JobState
from domain.base.problems import Problem, ProblemCode
from domain.history.export_jobs import (
    EXPORT,
    MOST_ROWS_OF_JOB,
    SHORTEST,
    ExportEnd,
    ExportRequest,
    ExportStateNote,
    most_rows,
    next_slice,
)
from domain.history.exports import ExportFormat
from reconciliation.exports import close_export
from store.base.database import snapshot, transaction
from store.base.jobs.rows import set_job_state
from store.history.exports import columns_of, write_csv
from store.history.jobs.export_jobs import (
    ExportRecord,
    append_slice,
    begin_export,
    keep_file,
    lock_slice,
    read_export,
    replace_file,
    save_file,
)
from store.history.parquet import write_parquet
from store.history.tables import exports

_AT_ONCE = 2
"""Slices that one worker reads at the same time; each holds a connection and a processor."""


class ExportActivities:
    """Steps of the export's workflow, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._places = asyncio.Semaphore(_AT_ONCE)

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.begin_export, self.export_slice, self.finish_file, self.note_export_state, self.end_export]

    @activity.defn
    async def begin_export(self, request: ExportRequest) -> None:
        """Note the start. Run twice, the first start stands."""
        async with beating(), transaction(self._engine, Actor(request.requested_by)) as connection:
            await begin_export(connection, request)

    @activity.defn
    async def export_slice(self, request: ExportRequest) -> bool:
        """Read the next slice of the window, store it behind the file; answer whether it was the last.

        Slice and cursor are stored in one transaction: run again, it goes on behind the last slice that was stored.
        """
        async with beating(), self._places:
            record = await self._open(request)
            begins = record.done_until or record.selection.since
            if begins >= record.selection.until:
                return True
            with tempfile.TemporaryFile() as file:
                rows, done_until = await self._read_slice(record, begins, file)
                if record.rows_done + rows > MOST_ROWS_OF_JOB:
                    raise Problem(
                        ProblemCode.EXPORT_TOO_LARGE,
                        f"There are more than {MOST_ROWS_OF_JOB:,} rows. Take a shorter window, or fewer devices.",
                    )
                await asyncio.to_thread(_go_to_rows, file, is_first=record.done_until is None)
                async with transaction(self._engine, Actor(request.requested_by)) as connection:
                    await lock_slice(connection, record)
                    width = next_slice(done_until - begins, rows)
                    await append_slice(connection, record, file, done_until=done_until, width=width, rows=rows)
            return done_until >= record.selection.until

    async def _open(self, request: ExportRequest) -> ExportRecord:
        async with self._engine.connect() as connection:
            record = await read_export(connection, request.export_id)
        if record.state.ended:
            raise EXPORT.not_controllable(record.state)
        return record

    async def _read_slice(self, record: ExportRecord, begins: datetime, file: IO[bytes]) -> tuple[int, datetime]:
        """Write as much of the window as one slice may have; answer its rows, and where it ends."""
        most, left = most_rows(record.kind), record.selection.until - begins
        width = min(max(timedelta(seconds=record.slice_seconds or 0), SHORTEST), left)
        while True:
            await asyncio.to_thread(_empty, file)
            part = replace(record.selection, since=begins, until=begins + width)
            async with snapshot(self._engine) as connection:
                rows = await write_csv(
                    connection, record.scope, record.kind, part, file,
                    most=most, spreadsheet_safe=record.file_format is ExportFormat.CSV,
                )  # fmt: skip
            if rows <= most:
                return rows, begins + width
            if width <= SHORTEST:
                raise Problem(ProblemCode.EXPORT_TOO_LARGE, f"A second of it has more than {most:,} rows.")
            width = max(width / 2, SHORTEST)

    @activity.defn
    async def finish_file(self, request: ExportRequest) -> None:
        """Turn the rows into the format that was asked for, and keep the file. Run again, nothing is left to do."""
        async with beating(), self._places:
            record = await self._open(request)
            if record.expires_at is not None:
                return
            actor = Actor(request.requested_by)
            if record.file_format is ExportFormat.CSV:
                async with transaction(self._engine, actor) as connection:
                    await lock_slice(connection, record)
                    await keep_file(connection, record.job_id)
                return
            with tempfile.TemporaryDirectory(prefix="export-") as folder:
                csv, parquet = Path(folder) / "rows.csv", Path(folder) / "rows.parquet"
                await save_file(self._engine, record.job_id, csv)
                await asyncio.to_thread(write_parquet, csv, parquet, columns_of(record.kind, record.selection))
                with await asyncio.to_thread(parquet.open, "rb") as file:
                    async with transaction(self._engine, actor) as connection:
                        await lock_slice(connection, record)
                        await replace_file(connection, record.job_id, file)
                        await keep_file(connection, record.job_id)

    @activity.defn
    async def note_export_state(self, request: ExportStateNote) -> None:
        """Note a pause or its end, for whoever reads the export. Run twice, it says the same."""
        async with transaction(self._engine, Actor(request.request.requested_by)) as connection:
            await set_job_state(connection, exports, request.request.export_id, request.state)

    @activity.defn
    async def end_export(self, request: ExportEnd) -> JobState:
        """Note how the export ended, and answer it. Run twice, the first end stands."""
        actor = Actor(request.request.requested_by)
        async with transaction(self._engine, actor) as connection:
            return await close_export(connection, actor, request.request.export_id, request.state, request.failure)


def _empty(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def _go_to_rows(file: IO[bytes], *, is_first: bool) -> None:
    """Go to where the file is stored from: the header of the first slice alone."""
    file.seek(0)
    if not is_first:
        file.readline()

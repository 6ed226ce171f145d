"""Imports as jobs: a file is uploaded, stored depot by depot whoever watches, and reported on."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.requests import ClientDisconnect
from uuid_utils.compat import uuid7

from api.base.dependencies import ActorDep, EngineDep, ImportLimitDep
from api.base.idempotency import ONCE, Once, OnceDep
from api.base.jobs.service import JobsDep, JobService, control_responses
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.temporal import temporal_calls
from api.base.types import Cursor, ImportId, Limit, decode_cursor, encode_cursor
from api.site.fleet_import import NDJSON, Landed, RefusedLine
from api.site.imports.spooling import spool
from domain.access.journal import spreadsheet_safe
from domain.base.actor import Actor
from domain.base.jobs import JobControl, JobState
from domain.base.problems import Problem, ProblemCode
from domain.site.fleet import MAX_LINE_BYTES, FleetCode, Refusal
from domain.site.imports.import_jobs import (
    IMPORT,
    MAX_FILE_BYTES,
    MAX_REPORTED,
    ImportInput,
    ImportRequest,
    ReportFormat,
    file_label,
)
from reconciliation.imports import IMPORTS
from reconciliation.reconcile import ReconciledRow
from store.base.changes import record_change
from store.site.fleet.import_jobs import (
    ImportRecord,
    check_room,
    insert_file,
    insert_import,
    list_refused,
    read_import,
)
from workflows.launch import start_import

router = APIRouter(prefix="/api/imports", tags=["imports"])

CSV = "text/csv"
_PART = 2_000
"""Refused lines that are read for one piece of a report."""
_EXAMPLE = """\
{"type": "depot", "id": "4b5f…", "name": "Arrow Road", "timezone": "America/Toronto"}
{"type": "circuit", "id": "0d1a…", "depot_id": "4b5f…", "parent_id": null, "name": "Utility feed", "position": 0}
"""


class Import(BaseModel):
    """An import and how far it is. Every line except blank ones is counted once: stored, unchanged or refused."""

    import_id: UUID
    file_name: str = Field(description="What the file was called where it came from.")
    size_bytes: int
    sha256: str = Field(description="Of the file, in hexadecimal digits.")
    state: JobState
    bytes_read: int = Field(description="Bytes of the file that were read so far.")
    lines: int
    lines_to_store: int | None = Field(
        description="Lines that say something new of a depot; null before all lines were read."
    )
    lines_done: int = Field(description="How many of `lines_to_store` are stored or refused.")
    landed: Landed
    unchanged: int | None = Field(description="Lines that say what was stored already; null before the end.")
    refused: int
    refused_by_code: dict[FleetCode, int] = Field(description="The most frequent code first.")
    reported: int = Field(
        description=f"Refused lines that the report has: the first {MAX_REPORTED:,} that were found, until 90 days "
        "after the end."
    )
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: str | None
    state_confirmed: bool = Field(
        description="False: Temporal did not answer, so an import that is shown as going on may have ended."
    )
    workflow_url: str | None = Field(description="The import in Temporal's UI.")

    @staticmethod
    def of(row: ReconciledRow[ImportRecord], jobs: JobService) -> Import:
        """The import as it is stored, held against its workflow."""
        record = row.record
        extended = Extended(
            record,
            import_id=record.job_id,
            landed=Landed(**{f"{kind}s": count for kind, count in record.stored.items()}),
            refused=sum(record.refused.values()),
            refused_by_code=record.refused,
            state_confirmed=row.confirmed,
            workflow_url=jobs.workflow_url(IMPORT, record.job_id),
        )
        return Import.model_validate(extended, from_attributes=True)


class ImportPage(BaseModel):
    """Imports, the newest first."""

    items: list[Import]
    next_cursor: str | None


class RefusedLinePage(BaseModel):
    """Refused lines in the order of the file."""

    items: list[RefusedLine]
    next_cursor: str | None


@dataclass(frozen=True)
class _File:
    """What is the same where a file is sent a second time."""

    file_name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Upload:
    """A file that has come as a whole."""

    file: _File
    content: AsyncIterator[bytes]


@asynccontextmanager
async def uploaded(chunks: AsyncIterable[bytes], file_name: str | None) -> AsyncGenerator[Upload]:
    """Put a file aside until all of it has come; nothing of it is kept after the block.

    Raises:
        Problem: ``INVALID_REQUEST``: the body was cut off. ``BODY_TOO_LARGE``.

    """
    digest, size = hashlib.sha256(), 0

    async def measured() -> AsyncIterator[bytes]:
        nonlocal size
        async for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if size > MAX_FILE_BYTES:
                raise Problem(ProblemCode.BODY_TOO_LARGE, f"A file has at most {MAX_FILE_BYTES:,} bytes here.")
            yield chunk

    async with AsyncExitStack() as stack:
        try:
            content = await stack.enter_async_context(spool(measured()))
        except ClientDisconnect as error:
            raise Problem(ProblemCode.INVALID_REQUEST, "The body was cut off, so nothing is imported.") from error
        yield Upload(_File(file_label(file_name), size, digest.hexdigest()), content)


async def start_upload(upload: Upload, actor: Actor, jobs: JobService, once: Once) -> Import:
    """Keep a file that has come and start its import, or do neither.

    Raises:
        Problem: ``TOO_MANY_IMPORTS``, ``TEMPORAL_UNAVAILABLE``, or those of ``Once.create``.

    """
    request = ImportRequest(uuid7(), **asdict(upload.file), requested_by=actor.name)

    async def make(connection: AsyncConnection) -> Import:
        await insert_import(connection, request)
        await insert_file(connection, request.import_id, upload.content)
        await check_room(connection)
        await record_change(
            connection, actor, IMPORT.event("requested"), subject_id=request.import_id, detail=asdict(upload.file)
        )
        # Inside the transaction: where Temporal is down, nothing was asked. Should the commit fail after a start, the
        # workflow's first step stores the import itself, which then ends for want of its file.
        async with temporal_calls():
            await start_import(jobs.client, jobs.settings.task_queue, ImportInput(request))
        return Import.of(ReconciledRow(await read_import(connection, request.import_id), confirmed=True), jobs)

    return await once.create(jobs.engine, actor, upload.file, Import, make)


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(
        *ONCE, ProblemCode.TOO_MANY_IMPORTS, ProblemCode.BODY_TOO_LARGE, ProblemCode.TEMPORAL_UNAVAILABLE
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": f"One JSON object a line, of at most {MAX_LINE_BYTES} bytes, in any order; "
            f"at most {MAX_FILE_BYTES} bytes in all.",
            "content": {
                NDJSON: {"schema": {"type": "string"}, "example": _EXAMPLE},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def start(
    request: Request,
    actor: ActorDep,
    jobs: JobsDep,
    once: OnceDep,
    places: ImportLimitDep,
    file_name: Annotated[str | None, Query(max_length=4_096, description="What the file is called.")] = None,
) -> Import:
    """Upload a legacy fleet, and start its import. It goes on by itself; read it to watch it.

    What is imported, refused and reported is the same as by `POST /api/depots/import`, whose answer waits for the end.
    A body that is cut off leaves nothing behind.
    """
    async with places.place(), uploaded(request.stream(), file_name) as upload:
        return await start_upload(upload, actor, jobs, once)


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(jobs: JobsDep, cursor: Cursor = None, limit: Limit = 100) -> ImportPage:
    """List imports, the newest first."""
    rows, more = await jobs.list(IMPORTS, cursor, limit)
    return ImportPage(items=[Import.of(row, jobs) for row in rows], next_cursor=more)


@router.get("/{import_id}", responses=problem_responses(ProblemCode.IMPORT_NOT_FOUND))
async def read(import_id: ImportId, jobs: JobsDep) -> Import:
    """Read how far an import is."""
    return Import.of(await jobs.read(IMPORTS, import_id), jobs)


@router.get(
    "/{import_id}/refusals",
    responses=problem_responses(ProblemCode.IMPORT_NOT_FOUND, ProblemCode.INVALID_CURSOR),
)
async def refusals(
    import_id: ImportId,
    engine: EngineDep,
    code: Annotated[FleetCode | None, Query(description="With this code alone.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> RefusedLinePage:
    """List refused lines in the order of the file. While the import goes on, more may come between them."""
    after = decode_cursor(cursor, tuple[Annotated[int, Field(ge=0, lt=2**62)]])
    async with engine.connect() as connection:
        await read_import(connection, import_id)
        found = await list_refused(connection, import_id, code=code, after=after[0] if after else 0, limit=limit + 1)
    more = encode_cursor(found[limit - 1][0]) if len(found) > limit else None
    return RefusedLinePage(items=[_line(*each) for each in found[:limit]], next_cursor=more)


@router.get(
    "/{import_id}/report",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Every refused line that the report has, in the order of the file: as NDJSON one object a "
            "line, as CSV with a header. While the import goes on, it is what there is so far.",
            "content": {NDJSON: {"schema": {"type": "string"}}, CSV: {"schema": {"type": "string"}}},
        },
        **problem_responses(ProblemCode.IMPORT_NOT_FOUND),
    },
)
async def report(
    import_id: ImportId,
    engine: EngineDep,
    answer: Annotated[ReportFormat, Query(alias="format", description="The format of the file.")] = ReportFormat.NDJSON,
) -> StreamingResponse:
    """Download the report of an import."""
    async with engine.connect() as connection:
        await read_import(connection, import_id)
    parts = _parts(engine, import_id)
    return StreamingResponse(
        _as_csv(parts) if answer is ReportFormat.CSV else _as_lines(parts),
        media_type=CSV if answer is ReportFormat.CSV else NDJSON,
        headers={"Content-Disposition": f'attachment; filename="import-{import_id}.{answer}"'},
    )


async def _parts(engine: AsyncEngine, import_id: UUID) -> AsyncIterator[list[RefusedLine]]:
    """The report, some thousand lines at a time; between two of them no connection is held."""
    after = 0
    while True:
        async with engine.connect() as connection:
            found = await list_refused(connection, import_id, after=after, limit=_PART)
        if not found:
            return
        yield [_line(*each) for each in found]
        after = found[-1][0]


async def _as_lines(parts: AsyncIterator[list[RefusedLine]]) -> AsyncIterator[str]:
    async for part in parts:
        yield "".join(f"{line.model_dump_json()}\n" for line in part)


async def _as_csv(parts: AsyncIterator[list[RefusedLine]]) -> AsyncIterator[str]:
    yield _rows([list(RefusedLine.model_fields)])
    async for part in parts:
        yield _rows([_cells(line.model_dump(mode="json")) for line in part])


def _cells(line: dict[str, Any]) -> list[str]:
    return ["" if value is None else spreadsheet_safe(str(value)) for value in line.values()]


def _rows(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _line(number: int, refusal: Refusal) -> RefusedLine:
    return RefusedLine.model_validate({"line": number, "type": refusal.kind, **refusal._asdict()})


_CONTROL = control_responses(IMPORT)


@router.post("/{import_id}/pause", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def pause(import_id: ImportId, actor: ActorDep, jobs: JobsDep) -> Import:
    """Pause an import after the depots that are being stored. What is stored stays."""
    return Import.of(await jobs.control(IMPORTS, import_id, JobControl.PAUSE, actor), jobs)


@router.post("/{import_id}/resume", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def resume(import_id: ImportId, actor: ActorDep, jobs: JobsDep) -> Import:
    """Let a paused import go on."""
    return Import.of(await jobs.control(IMPORTS, import_id, JobControl.RESUME, actor), jobs)


@router.post("/{import_id}/cancel", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def cancel(import_id: ImportId, actor: ActorDep, jobs: JobsDep) -> Import:
    """End an import after the depots that are being stored. What is stored stays."""
    return Import.of(await jobs.control(IMPORTS, import_id, JobControl.CANCEL, actor), jobs)

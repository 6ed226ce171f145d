"""Exports as jobs: asked for, watched, downloaded while their files are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Response, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from api.access.authorization import PermitDep
from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, ScopeDep
from api.base.idempotency import ONCE, OnceDep
from api.base.jobs.service import JobsDep, JobService, control_responses
from api.base.problems import problem_response, problem_responses
from api.base.records import Extended
from api.base.temporal import temporal_calls
from api.base.types import Body, Cursor, ExportId, Limit, Moment
from api.history.exports import MEDIA_TYPES
from domain.access.principals import DepotScope
from domain.base.actor import Actor
from domain.base.jobs import JobControl, JobState
from domain.base.problems import Problem, ProblemCode
from domain.history.export_jobs import EXPORT, ExportInput, ExportRequest, bounded_window
from domain.history.exports import CSV_ALONE, ExportFormat, ExportKind, ExportSelection
from domain.site.measurands import MeasurandKey
from reconciliation.exports import EXPORTS
from reconciliation.reconcile import ReconciledRow
from store.base.changes import record_change
from store.base.database import transaction
from store.history.exports import check_named
from store.history.jobs.export_jobs import (
    ExportRecord,
    check_room,
    insert_export,
    list_exports,
    read_export,
    read_file,
    remove_file,
)
from store.history.parquet import can_write_parquet
from workflows.launch import start_export

router = APIRouter(prefix="/api/exports", tags=["exports"], route_class=StrictRoute)

_MOST_NAMED = 500
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class ExportCreate(Body):
    """What to export, as the routes that answer with the file at once take it."""

    kind: ExportKind
    format: ExportFormat = ExportFormat.CSV
    since: Moment = Field(description="From then on.")
    until: Moment = Field(description="Before then.")
    depot_id: UUID | None = Field(default=None, description="Of this depot alone.")
    device_ids: list[UUID] = Field(default=[], max_length=_MOST_NAMED, description="Of these devices alone.")
    measurands: list[MeasurandKey] = Field(
        default=[], max_length=len(MeasurandKey), description="Columns of readings; all."
    )

    @model_validator(mode="after")
    def _in_order(self) -> ExportCreate:
        if self.since >= self.until:
            raise Problem(ProblemCode.INVALID_REQUEST, "`since` is before `until`.", "since")
        return self


class Export(BaseModel):
    """An export and how far it is."""

    export_id: UUID
    kind: ExportKind
    format: ExportFormat
    since: datetime = Field(description="The first moment that is in it.")
    until: datetime = Field(description="The moment before which it ends.")
    depot_id: UUID | None
    device_ids: list[UUID] = Field(description="Of these devices alone; empty: of all.")
    measurands: list[MeasurandKey] = Field(description="Columns of readings; empty: all.")
    state: JobState
    done_until: datetime | None = Field(description="Up to where the window was read; null: nothing of it yet.")
    rows_done: int = Field(description="Rows that were read so far.")
    size_bytes: int = Field(description="Bytes of the file as far as it is made; 0 once it is no longer kept.")
    expires_at: datetime | None = Field(description="Until when the file is kept; null: there is none to download.")
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: str | None
    state_confirmed: bool = Field(
        description="False: Temporal did not answer, so an export that is shown as going on may have ended."
    )
    workflow_url: str | None = Field(description="The export in Temporal's UI.")

    @staticmethod
    def of(row: ReconciledRow[ExportRecord], jobs: JobService) -> Export:
        """The export as it is stored, held against its workflow."""
        record = row.record
        extended = Extended(
            record,
            export_id=record.job_id,
            format=record.file_format,
            since=record.selection.since,
            until=record.selection.until,
            device_ids=record.selection.device_ids,
            measurands=record.selection.measurands,
            expires_at=record.expires_at if record.has_file else None,
            state_confirmed=row.confirmed,
            workflow_url=jobs.workflow_url(EXPORT, record.job_id),
        )
        return Export.model_validate(extended, from_attributes=True)


class ExportPage(BaseModel):
    """One's exports, the newest first."""

    items: list[Export]
    next_cursor: str | None


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(
        *ONCE,
        ProblemCode.DEPOT_NOT_FOUND,
        ProblemCode.DEVICE_NOT_FOUND,
        ProblemCode.TOO_MANY_EXPORTS,
        ProblemCode.PARQUET_NOT_INSTALLED,
        ProblemCode.TEMPORAL_UNAVAILABLE,
    ),
)
async def start(body: ExportCreate, scope: ScopeDep, actor: ActorDep, jobs: JobsDep, once: OnceDep) -> Export:
    """Have a job make a file that is too large for one answer. It goes on by itself; read it to watch it.

    The window is read in slices, and the rows of one slice come before those of the next. The file is kept for three
    days.
    """
    if body.format is ExportFormat.PARQUET and not can_write_parquet():
        raise Problem(ProblemCode.PARQUET_NOT_INSTALLED, CSV_ALONE, "format")
    request = ExportRequest(uuid7(), body.kind, body.format, actor.name)
    since, until = bounded_window(body.since, body.until)
    selection = ExportSelection(since, until, body.depot_id, tuple(body.device_ids), tuple(body.measurands))

    async def make(connection: AsyncConnection) -> Export:
        await check_named(connection, scope, selection)
        await insert_export(connection, request, selection, scope)
        await check_room(connection, actor.name)
        detail = {"kind": body.kind, "format": body.format, **selection.as_detail()}
        await record_change(
            connection, actor, EXPORT.event("requested"),
            depot_id=body.depot_id, subject_id=request.export_id, detail=detail,
        )  # fmt: skip
        # Inside the transaction: where Temporal is down, nothing was asked.
        async with temporal_calls():
            await start_export(jobs.client, jobs.settings.task_queue, ExportInput(request))
        return Export.of(ReconciledRow(await read_export(connection, request.export_id), confirmed=True), jobs)

    return await once.create(jobs.engine, actor, body, Export, make)


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(jobs: JobsDep, actor: ActorDep, cursor: Cursor = None, limit: Limit = 100) -> ExportPage:
    """List one's own exports, the newest first."""
    rows, more = await jobs.list(EXPORTS, cursor, limit, partial(list_exports, of=actor.name))
    return ExportPage(items=[Export.of(row, jobs) for row in rows], next_cursor=more)


@router.get("/{export_id}", responses=problem_responses(ProblemCode.EXPORT_NOT_FOUND))
async def read(export_id: ExportId, jobs: JobsDep, actor: ActorDep) -> Export:
    """Read how far one of one's exports is."""
    await _check_own(jobs, export_id, actor)
    return Export.of(await jobs.read(EXPORTS, export_id), jobs)


@router.get(
    "/{export_id}/file",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file.",
            "content": {
                MEDIA_TYPES[ExportFormat.CSV]: {"schema": {"type": "string"}},
                MEDIA_TYPES[ExportFormat.PARQUET]: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        206: {"description": "The bytes that `Range` asks for."},
        **problem_responses(
            ProblemCode.EXPORT_NOT_FOUND,
            ProblemCode.EXPORT_NOT_READY,
            ProblemCode.NOT_PERMITTED,
            ProblemCode.RANGE_NOT_SATISFIABLE,
        ),
    },
)
async def download(
    export_id: ExportId,
    jobs: JobsDep,
    actor: ActorDep,
    permit: PermitDep,
    wanted: Annotated[
        str | None, Header(alias="Range", max_length=200, description="One range of bytes, to go on with a download.")
    ] = None,
    only_of: Annotated[
        str | None,
        Header(
            alias="If-Range",
            max_length=200,
            description="The `ETag` of the file that the range is of; of another, the whole file is answered.",
        ),
    ] = None,
) -> Response:
    """Download the file of one of one's exports, by whoever may still see all depots that may be in it."""
    record = await _check_own(jobs, export_id, actor)
    _check_sees(permit.scope, record.depots)
    if not record.has_file:
        raise Problem(ProblemCode.EXPORT_NOT_READY, "There is no file of this export, or not yet.")
    size = record.size_bytes
    name = f"{record.kind}-{record.selection.since:%Y%m%dT%H%M%SZ}-{record.selection.until:%Y%m%dT%H%M%SZ}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{record.file_format}"',
        "Accept-Ranges": "bytes",
        # Not compressed on the way: its length is told, and any part of it can be asked for.
        "Content-Encoding": "identity",
        # What a browser goes on with is this file and no other.
        "ETag": (tag := f'"{export_id}"'),
    }
    # A date, which no answer has told, is of none of its states (RFC 9110, 13.1.5).
    found = _range_in(wanted, size) if only_of in (None, tag) else None
    media_type = MEDIA_TYPES[record.file_format]
    if found is None:
        return _stream(jobs, export_id, 0, size - 1, media_type, headers, 200)
    first, last = found
    if first >= size:
        refusal = problem_response(ProblemCode.RANGE_NOT_SATISFIABLE, f"The file has {size:,} bytes.")
        refusal.headers["Content-Range"] = f"bytes */{size}"
        return refusal
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return _stream(jobs, export_id, first, last, media_type, headers, 206)


def _stream(
    jobs: JobService, export_id: UUID, first: int, last: int, media_type: str, headers: Mapping[str, str], code: int
) -> StreamingResponse:
    length = {"Content-Length": str(last - first + 1)}
    content = read_file(jobs.engine, export_id, first=first, last=last)
    return StreamingResponse(content, code, headers={**headers, **length}, media_type=media_type)


def _range_in(wanted: str | None, size: int) -> tuple[int, int] | None:
    """Read one range of bytes; None: all of the file, as for whatever this does not understand (RFC 9110)."""
    found = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size - 1
    first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    return None if found[2] and int(found[2]) < first else (first, last)


async def _check_own(jobs: JobService, export_id: UUID, actor: Actor) -> ExportRecord:
    """Read an export of one's own; somebody else's does not exist."""
    async with jobs.engine.connect() as connection:
        record = await read_export(connection, export_id)
    if record.requested_by != actor.name:
        raise EXPORT.missing(export_id)
    return record


def _check_sees(scope: DepotScope, depots: DepotScope) -> None:
    if not scope.everywhere and (depots.everywhere or not depots.depot_ids <= scope.depot_ids):
        raise Problem(ProblemCode.NOT_PERMITTED, "You may no longer see all depots that are in this file.")


@router.delete(
    "/{export_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(ProblemCode.EXPORT_NOT_FOUND, ProblemCode.EXPORT_NOT_READY),
)
async def remove(export_id: ExportId, jobs: JobsDep, actor: ActorDep) -> None:
    """Remove the file of one of one's exports before it expires. One that goes on is cancelled instead."""
    await _check_own(jobs, export_id, actor)
    async with transaction(jobs.engine, actor) as connection:
        if not (await read_export(connection, export_id)).has_file:
            raise Problem(ProblemCode.EXPORT_NOT_READY, "There is no file of this export, or not yet.")
        await remove_file(connection, export_id)


_CONTROL: dict[int | str, dict[str, Any]] = control_responses(EXPORT)


async def _control(jobs: JobService, export_id: UUID, control: JobControl, actor: Actor) -> Export:
    await _check_own(jobs, export_id, actor)
    return Export.of(await jobs.control(EXPORTS, export_id, control, actor), jobs)


@router.post("/{export_id}/pause", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def pause(export_id: ExportId, actor: ActorDep, jobs: JobsDep) -> Export:
    """Pause an export after the rows that are being read."""
    return await _control(jobs, export_id, JobControl.PAUSE, actor)


@router.post("/{export_id}/resume", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def resume(export_id: ExportId, actor: ActorDep, jobs: JobsDep) -> Export:
    """Let a paused export go on."""
    return await _control(jobs, export_id, JobControl.RESUME, actor)


@router.post("/{export_id}/cancel", status_code=status.HTTP_202_ACCEPTED, responses=_CONTROL)
async def cancel(export_id: ExportId, actor: ActorDep, jobs: JobsDep) -> Export:
    """End an export after the rows that are being read. Nothing of its file is kept."""
    return await _control(jobs, export_id, JobControl.CANCEL, actor)

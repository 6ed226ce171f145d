"""The import of the legacy fleet: a stream of lines, answered with what was stored and every line that was refused."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from api.base.dependencies import ActorDep, EngineDep, ImportLimitDep, resources_of
from api.base.problems import problem_responses, refuse_other_methods
from api.site.imports.spooling import spool
from domain.base.problems import Problem, ProblemCode
from domain.site.fleet import MAX_LINE_BYTES, FleetCode, LineKind
from store.base.database import FAILURES
from store.site.fleet.fleet_import import FleetImport, ImportSummary, fleet_import

_log = structlog.get_logger("api")

router = APIRouter(prefix="/api/depots", tags=["depots"])

NDJSON = "application/x-ndjson"
_PART = 500
"""Refusals in one piece of the answer."""
_EXAMPLE = """\
{"type": "depot", "id": "4b5f…", "name": "Arrow Road", "timezone": "America/Toronto"}
{"type": "circuit", "id": "0d1a…", "depot_id": "4b5f…", "parent_id": null, "name": "Utility feed", "position": 0}
"""


class Landed(BaseModel):
    """How many lines of each type are stored now that were not before."""

    depots: int
    circuits: int
    gateways: int
    devices: int
    power_sources: int


class ImportCounts(BaseModel):
    """The result of an import. Every line except blank ones is counted once: stored, unchanged or refused."""

    lines: int
    landed: Landed
    unchanged: int = Field(description="Lines that say what was stored already.")
    refused: int
    refused_by_code: dict[FleetCode, int] = Field(description="The most frequent code first.")

    @staticmethod
    def of(summary: ImportSummary) -> ImportCounts:
        """What the store counted."""
        return ImportCounts(
            lines=summary.lines,
            landed=Landed(**{f"{kind}s": count for kind, count in summary.stored.items()}),
            unchanged=summary.unchanged,
            refused=sum(summary.refused.values()),
            refused_by_code=summary.refused,
        )


class RefusedLine(BaseModel):
    """A line that did not come in."""

    line: int = Field(description="The line's number, from 1.")
    code: FleetCode
    reason: str = Field(description="For people.")
    field: str | None = Field(description="The field that is wrong, where one is.")
    type: LineKind | None = Field(description="The line's `type`, where it could be read.")
    id: UUID | None = Field(description="The line's own id, where it could be read.")


class ImportReport(ImportCounts):
    """What an import came to, with every refused line in the order of the file."""

    refusals: list[RefusedLine]


async def _importing(
    request: Request, engine: EngineDep, actor: ActorDep, limit: ImportLimitDep
) -> AsyncGenerator[FleetImport]:
    """An import that has the whole body.

    It ends when the answer was sent: the refusals are read from the import while they are sent. No connection to the
    database is held while the body comes in, however long that takes.
    """
    metrics = resources_of(request.app).metrics
    async with limit.place(), _body(request) as body, fleet_import(engine, actor) as importing:
        with metrics.imports_running.track_inprogress():
            await importing.take(body)
            yield importing


@asynccontextmanager
async def _body(request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
    async with AsyncExitStack() as stack:
        try:
            body = await stack.enter_async_context(spool(request.stream()))
        except ClientDisconnect as error:
            _log.info("fleet import cut off")
            resources_of(request.app).metrics.imports.labels("CUT_OFF").inc()
            raise Problem(ProblemCode.INVALID_REQUEST, "The body was cut off, so nothing was imported.") from error
        yield body


@router.post(
    "/import",
    response_model=ImportReport,
    responses={
        200: {
            "description": "What was stored, and every refused line. As NDJSON, the first line has the counts.",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **problem_responses(
            ProblemCode.IMPORT_INTERRUPTED,
            ProblemCode.TOO_MANY_IMPORTS,
            ProblemCode.BODY_TOO_LARGE,
            ProblemCode.BODY_TOO_SLOW,
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": f"One JSON object a line, of at most {MAX_LINE_BYTES} bytes, in any order.",
            # Generated clients that know no NDJSON send a file.
            "content": {
                NDJSON: {"schema": {"type": "string"}, "example": _EXAMPLE},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def import_fleet(request: Request, importing: Annotated[FleetImport, Depends(_importing)]) -> Response:
    """Take a legacy fleet in: depots, circuits, gateways, devices and power sources, of any size.

    Good lines land, and every other line is in the report. The import adds and never overwrites: the same file again
    changes nothing. It provisions nothing; that is the backfill's work. A body that is cut off leaves nothing behind.
    With `Accept: application/x-ndjson` the report comes line by line, for files with very many refused lines.
    """
    began = time.monotonic()
    try:
        await importing.store()
    except FAILURES as error:
        if not importing.is_storing:
            raise
        _log.error("fleet import interrupted", exc_info=error)
        resources_of(request.app).metrics.imports.labels("INTERRUPTED").inc()
        raise Problem(
            ProblemCode.IMPORT_INTERRUPTED,
            "The import was interrupted while its depots were being stored. Each of them is stored completely or not "
            "at all. Import the same file again to store the rest.",
        ) from error
    counts = ImportCounts.of(importing.summary)
    resources_of(request.app).metrics.imports.labels("STORED").inc()
    _log.info("fleet imported", seconds=round(time.monotonic() - began, 3), **counts.model_dump())
    if NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(_as_lines(counts, importing), media_type=NDJSON)
    return StreamingResponse(_as_document(counts, importing), media_type="application/json")


async def _as_lines(counts: ImportCounts, importing: FleetImport) -> AsyncIterator[str]:
    yield f"{counts.model_dump_json()}\n"
    async for part in _refusals(importing):
        yield "".join(f"{refusal}\n" for refusal in part)


async def _as_document(counts: ImportCounts, importing: FleetImport) -> AsyncIterator[str]:
    separator = f'{counts.model_dump_json().removesuffix("}")},"refusals":['
    async for part in _refusals(importing):
        yield separator + ",".join(part)
        separator = ","
    yield f"{'' if separator == ',' else separator}]}}"


async def _refusals(importing: FleetImport) -> AsyncIterator[list[str]]:
    """The refused lines as JSON, some hundred at a time, so that the report is never held."""
    part: list[str] = []
    async for line, refusal in importing.refusals():
        fields = {"line": line, "type": refusal.kind, **refusal._asdict()}
        part.append(RefusedLine.model_validate(fields).model_dump_json())
        if len(part) == _PART:
            yield part
            part = []
    if part:
        yield part


refuse_other_methods(router, "/import", "POST", "A fleet is imported by POST.", name="not_by_another_method")

"""Imports: upload a fleet's file, watch it being stored, and see every line that was refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import UploadFile

from api.base.dependencies import ActorDep, EngineDep, ImportLimitDep
from api.base.idempotency import UploadOnceDep
from api.base.jobs.service import JobsDep, JobService
from api.base.limits import open_form
from api.base.streams.live import Kind, Topic
from api.base.types import Cursor, ImportId
from api.site.imports import import_jobs as service
from api.ui.base.forms import FieldErrors
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render
from domain.base.jobs import JobControl
from domain.base.problems import Problem, ProblemCode
from domain.site.fleet import FleetCode
from domain.site.imports.import_jobs import MAX_FILE_BYTES
from reconciliation.imports import IMPORTS

router = APIRouter(prefix="/imports", include_in_schema=False)

PAGE = 100
"""Refused lines that are loaded at a time."""
LISTED = 25
"""Imports that are loaded at a time."""
_PIECE = 262_144
_BESIDE_THE_FORM = (ProblemCode.TEMPORAL_UNAVAILABLE, ProblemCode.TOO_MANY_IMPORTS, ProblemCode.BODY_TOO_LARGE)

Filter = Annotated[FleetCode | None, Query(alias="code")]


@router.get("", name="page_imports")
async def show(request: Request, jobs: JobsDep) -> Response:
    """Show the imports, and the form that uploads a file."""
    return render(request, "imports.html", await _list(jobs) | _form(FieldErrors()))


@router.get("/rows", name="import_rows")
async def more(request: Request, jobs: JobsDep, cursor: Cursor = None) -> Response:
    """The list as it is now, or what comes after ``cursor``."""
    return render(request, "imports.html", await _list(jobs, cursor), block="more_rows" if cursor else "runs")


@router.post("", name="import_start")
async def start(
    request: Request, actor: ActorDep, jobs: JobsDep, once: UploadOnceDep, places: ImportLimitDep
) -> Response:
    """Take a file from a browser that runs no script, start its import and lead to it."""
    errors = FieldErrors()
    async with open_form(request, files=1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            errors["file"] = "Choose a file."
        else:
            try:
                async with places.place(), service.uploaded(_pieces(file), file.filename) as upload:
                    made = await service.start_upload(upload, actor, jobs, once)
            except Problem as problem:
                if problem.code not in _BESIDE_THE_FORM:
                    raise
                errors["start"] = problem.detail
            else:
                return RedirectResponse(address_of(request, "page_import", import_id=made.import_id), 303)
    return render(request, "imports.html", await _list(jobs) | _form(errors), status=422)


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(_PIECE):
        yield piece


@router.get("/{import_id}", name="page_import")
async def watch(request: Request, import_id: ImportId, jobs: JobsDep, code: Filter = None) -> Response:
    """Show one import, how far it is, and the lines that were refused."""
    context = await _one(import_id, jobs, code) | await _refusals(import_id, jobs.engine, code)
    return render(request, "import.html", context | {"topics": [Topic(Kind.IMPORT, import_id)], "asked": ""})


@router.get("/{import_id}/progress", name="import_progress")
async def progress(request: Request, import_id: ImportId, jobs: JobsDep, code: Filter = None) -> Response:
    """How far an import is now."""
    context = await _one(import_id, jobs, code) | await _refusals(import_id, jobs.engine, code)
    return render(request, "import.html", context | {"asked": ""}, block="moving")


@router.get("/{import_id}/refusals", name="import_refusals")
async def refusals(
    request: Request, import_id: ImportId, engine: EngineDep, code: Filter = None, cursor: Cursor = None
) -> Response:
    """The next refused lines of the list."""
    context = await _refusals(import_id, engine, code, cursor)
    return render(request, "import.html", context | {"import_id": import_id}, block="more_rows")


@router.post("/{import_id}/{word}", name="import_steer")
async def steer(request: Request, import_id: ImportId, word: JobControl, actor: ActorDep, jobs: JobsDep) -> Response:
    """Pause, resume or cancel an import."""
    await jobs.control(IMPORTS, import_id, word, actor)
    return render(request, "import.html", await _one(import_id, jobs, None) | {"asked": word}, block="progress")


async def _list(jobs: JobService, cursor: str | None = None) -> dict[str, Any]:
    page = await service.list_all(jobs, cursor=cursor, limit=LISTED)
    return {"page": page, "topics": [Topic(Kind.IMPORTS)]}


def _form(errors: FieldErrors) -> dict[str, Any]:
    return {"errors": errors, "most_bytes": MAX_FILE_BYTES}


async def _one(import_id: UUID, jobs: JobService, code: FleetCode | None) -> dict[str, Any]:
    return {"run": await service.read(import_id, jobs), "import_id": import_id, "code": code}


async def _refusals(
    import_id: UUID, engine: AsyncEngine, code: FleetCode | None, cursor: str | None = None
) -> dict[str, Any]:
    page = await service.refusals(import_id, engine, code=code, cursor=cursor, limit=PAGE)
    further = {"cursor": page.next_cursor, "code": code}
    return {"page": page, "code": code, "further": urlencode({name: each for name, each in further.items() if each})}

"""The Backfill monitor: start one, watch it, steer it, and see what it found for each depot.

Below them stands how far the upkeep of readings is, which goes on by itself.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import ActorDep, EngineDep
from api.base.idempotency import FormOnceDep
from api.base.jobs.service import JobsDep, JobService
from api.base.limits import open_form
from api.base.streams.live import Kind, Topic
from api.base.types import BackfillId, Cursor, encode_cursor
from api.history.rollups import read_upkeep
from api.provisioning import backfills as service
from api.ui.base.forms import FieldErrors, read_whole
from api.ui.base.navigation import address_of
from api.ui.base.rendering import is_htmx, render
from domain.base.jobs import JobControl, JobState
from domain.base.problems import Problem, ProblemCode
from domain.provisioning.backfill import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, BackfillOutcome
from reconciliation.backfills import BACKFILLS
from store.base.database import snapshot

router = APIRouter(prefix="/backfills", include_in_schema=False)

PAGE = 100
"""Outcomes that are loaded at a time."""
LISTED = 25
"""Backfills that are loaded at a time."""

Filter = Annotated[BackfillOutcome | None, Query(alias="outcome")]


@router.get("", name="page_backfills")
async def show(request: Request, jobs: JobsDep) -> Response:
    """Show the backfills, and the form that starts one."""
    return render(request, "backfills.html", await _list(jobs) | await _upkeep(jobs.engine) | _form())


@router.get("/readings", name="reading_upkeep")
async def upkeep(request: Request, engine: EngineDep) -> Response:
    """How far the upkeep of readings is now."""
    return render(request, "backfills.html", await _upkeep(engine), block="readings")


@router.get("/rows", name="backfill_rows")
async def more(request: Request, jobs: JobsDep, cursor: Cursor = None) -> Response:
    """The list as it is now, or what comes after ``cursor``."""
    context = await _list(jobs, cursor)
    return render(request, "backfills.html", context, block="more_rows" if cursor else "runs")


@router.post("", name="backfill_start")
async def start(request: Request, actor: ActorDep, jobs: JobsDep, once: FormOnceDep) -> Response:
    """Start a backfill and lead to it."""
    async with open_form(request) as form:
        given, mode = str(form.get("page_size", "")).strip(), str(form.get("mode", ""))
    size = read_whole(given, MAX_PAGE_SIZE)
    errors = FieldErrors()
    if not size:
        errors["page-size"] = f"A whole number from 1 to {MAX_PAGE_SIZE}."
    if mode not in ("dry", "real"):
        errors["mode-dry"] = "Choose whether to change anything."
    if size and not errors:
        try:
            body = service.BackfillCreate(dry_run=mode == "dry", page_size=size)
            made = await service.start(body, actor, jobs, once)
        except Problem as problem:
            if problem.code is not ProblemCode.TEMPORAL_UNAVAILABLE:
                raise
            errors["start"] = problem.detail
        else:
            there = address_of(request, "page_backfill", backfill_id=made.backfill_id)
            return Response(headers={"HX-Redirect": there}) if is_htmx(request) else RedirectResponse(there, 303)
    context = _form(given, mode) | {"errors": errors}
    if not is_htmx(request):
        context |= await _list(jobs) | await _upkeep(jobs.engine)
    return render(request, "backfills.html", context, block="form" if is_htmx(request) else None, status=422)


@router.get("/{backfill_id}", name="page_backfill")
async def watch(
    request: Request,
    backfill_id: BackfillId,
    jobs: JobsDep,
    outcome: Filter = None,
) -> Response:
    """Show one backfill, how far it is, and what it found for each depot."""
    context = await _one(backfill_id, jobs)
    return render(
        request,
        "backfill.html",
        context
        | await _outcomes(backfill_id, jobs.engine, outcome)
        | {"topics": [Topic(Kind.BACKFILL, backfill_id)], "asked": ""},
    )


@router.get("/{backfill_id}/progress", name="backfill_progress")
async def progress(
    request: Request,
    backfill_id: BackfillId,
    jobs: JobsDep,
    outcome: Filter = None,
) -> Response:
    """How far a backfill is now."""
    context = await _one(backfill_id, jobs) | {"outcome": outcome, "asked": ""}
    return render(request, "backfill.html", context, block="moving")


@router.get("/{backfill_id}/outcomes", name="backfill_outcomes")
async def outcomes(
    request: Request,
    backfill_id: BackfillId,
    jobs: JobsDep,
    outcome: Filter = None,
    cursor: Cursor = None,
) -> Response:
    """The next outcomes of the list."""
    # The state is read first: what is there when it has ended is all there will be.
    context = await _one(backfill_id, jobs)
    context |= await _outcomes(backfill_id, jobs.engine, outcome, cursor)
    return render(request, "backfill.html", context, block="more_rows")


@router.post("/{backfill_id}/{word}", name="backfill_steer")
async def steer(
    request: Request,
    backfill_id: BackfillId,
    word: JobControl,
    actor: ActorDep,
    jobs: JobsDep,
) -> Response:
    """Pause, resume or cancel a backfill."""
    await jobs.control(BACKFILLS, backfill_id, word, actor)
    context = await _one(backfill_id, jobs) | {"asked": word, "outcome": None}
    return render(request, "backfill.html", context, block="progress")


async def _list(jobs: JobService, cursor: str | None = None) -> dict[str, Any]:
    page = await service.list_all(jobs, cursor=cursor, limit=LISTED)
    return {"page": page, "topics": [Topic(Kind.BACKFILLS)]}


async def _upkeep(engine: AsyncEngine) -> dict[str, Any]:
    async with snapshot(engine) as connection:
        return {"upkeep": await read_upkeep(connection)}


def _form(page_size: str = str(DEFAULT_PAGE_SIZE), mode: str = "dry") -> dict[str, Any]:
    return {"page_size": page_size, "mode": mode, "max_page_size": MAX_PAGE_SIZE, "errors": FieldErrors()}


async def _one(backfill_id: UUID, jobs: JobService) -> dict[str, Any]:
    backfill = await service.read(backfill_id, jobs)
    rate, left = backfill.rate_per_second, None
    if backfill.state is JobState.RUNNING and rate and backfill.depots_total is not None:
        left = (backfill.depots_total - backfill.depots_done) / rate
    return {"backfill": backfill, "backfill_id": backfill_id, "seconds_left": left}


async def _outcomes(
    backfill_id: UUID, engine: AsyncEngine, outcome: BackfillOutcome | None, cursor: str | None = None
) -> dict[str, Any]:
    page = await service.outcomes(backfill_id, engine, outcome=outcome, cursor=cursor, limit=PAGE)
    if page.items:
        cursor = encode_cursor(page.items[-1].depot_id)
    further = {"cursor": page.next_cursor or cursor, "outcome": outcome}
    query = urlencode({name: value for name, value in further.items() if value})
    return {"page": page, "outcome": outcome, "further": query}

"""The scenarios: choose one, a depot, a seed and a speed; and the runs that there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from api.access.authorization import PermitDep
from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.idempotency import FormOnceDep
from api.base.jobs.service import JobsDep, JobService
from api.base.limits import open_form
from api.base.streams.live import Kind, Topic
from api.base.types import Cursor, Search
from api.simulation import scenario_runs as service
from api.simulation.scenario_starts import RunStart
from api.site import depots
from api.ui.base.depot_choice import find_depot
from api.ui.base.forms import FieldErrors, read_whole
from api.ui.base.navigation import address_of
from api.ui.base.rendering import is_htmx, render
from domain.access.principals import DepotScope
from domain.access.roles import Permission
from domain.base.problems import Problem, ProblemCode
from domain.simulation.scenario_runs import MAX_SEED
from sim_scenarios.runs.library import preset, preset_names

router = APIRouter(prefix="/scenarios", include_in_schema=False)

LISTED = 25
"""Runs that are loaded at a time."""
_OFFERED = 20
"""Depots that a search offers."""
SPEEDS = {"0": "As fast as possible", "0.01": "100 times real time", "0.1": "10 times real time", "1": "Real time"}
_SHOWN_IN_FORM = (
    ProblemCode.SIMULATION_NOT_ALLOWED,
    ProblemCode.SIMULATION_NOT_CONFIRMED,
    ProblemCode.SCENARIO_NOT_CONFIGURED,
    ProblemCode.RUN_IN_PROGRESS,
    ProblemCode.TEMPORAL_UNAVAILABLE,
)
"""Refusals that are shown in the form."""


@router.get("", name="page_scenarios")
async def show(
    request: Request,
    jobs: JobsDep,
    scope: ScopeDep,
    scenario: Search = None,
    depot: Search = None,
) -> Response:
    """Show the scenarios' form and the runs."""
    chosen = scenario if scenario in preset_names() else "quick-look"
    context = await _list(jobs, scope) | _form(scenario=chosen, depot=depot or "")
    return render(request, "scenarios.html", context)


@router.get("/rows", name="scenario_run_rows")
async def more(request: Request, jobs: JobsDep, scope: ScopeDep, cursor: Cursor = None) -> Response:
    """The list as it is now, or what comes after ``cursor``."""
    context = await _list(jobs, scope, cursor)
    return render(request, "scenarios.html", context, block="more_rows" if cursor else "runs")


@router.get("/depots", name="scenario_depots")
async def offer(request: Request, engine: EngineDep, scope: ScopeDep, depot: Search = None) -> Response:
    """Depots whose name holds what was typed."""
    page = await depots.list_all(engine, scope, search=depot, limit=_OFFERED)
    return render(request, "scenarios.html", {"offered": page.items}, block="offers")


@router.get("/about", name="scenario_about")
async def about(request: Request, scenario: Search = None) -> Response:
    """What a scenario is."""
    chosen = scenario if scenario in preset_names() else "quick-look"
    return render(request, "scenarios.html", {"chosen": preset(chosen)}, block="about")


@router.post("", name="scenario_start")
async def start(request: Request, actor: ActorDep, jobs: JobsDep, permit: PermitDep, once: FormOnceDep) -> Response:
    """Start a run and lead to it."""
    async with open_form(request) as form:
        given = {name: str(form.get(name, "")).strip() for name in ("scenario", "depot", "seed", "speed", "confirm")}
    errors = FieldErrors()
    if given["scenario"] not in preset_names():
        errors["scenario"] = "Choose a scenario."
    seed = read_whole(given["seed"], MAX_SEED)
    if seed is None:
        errors["seed"] = "A whole number from 0 up."
    if given["speed"] not in SPEEDS:
        errors["speed"] = "Choose a speed."
    depot = await find_depot(jobs.engine, permit.scope, given["depot"], errors)
    depot_id = None if depot is None else depot.depot_id
    problem: Problem | None = None
    if seed is not None and depot_id is not None and not errors:
        await permit.check(depot_id=depot_id)
        confirmed = given["confirm"] or None
        speed = float(given["speed"])
        asked = RunStart(depot_id, given["scenario"], None, None, seed, speed, confirmed, force=False)
        try:
            run_id = await service.begin(jobs, actor, asked, once)
        except Problem as refused:
            if refused.code not in _SHOWN_IN_FORM:
                raise
            problem = refused
        else:
            there = address_of(request, "page_scenario_run", run_id=run_id)
            return Response(headers={"HX-Redirect": there}) if is_htmx(request) else RedirectResponse(there, 303)
    context = _form(**given) | {"errors": errors, "problem": problem, "depot_id": depot_id}
    if not is_htmx(request):
        context |= await _list(jobs, permit.principal.scope(Permission.VIEW))
    return render(request, "scenarios.html", context, block="form" if is_htmx(request) else None, status=422)


async def _list(jobs: JobService, scope: DepotScope, cursor: str | None = None) -> dict[str, Any]:
    page = await service.list_all(jobs, scope, cursor=cursor, limit=LISTED)
    return {"page": page, "topics": [Topic(Kind.RUNS)]}


def _form(
    *, scenario: str = "quick-look", depot: str = "", seed: str = "1", speed: str = "0", confirm: str = ""
) -> dict[str, Any]:
    presets = [preset(name) for name in preset_names()]
    return {
        "given": {"scenario": scenario, "depot": depot, "seed": seed, "speed": speed, "confirm": confirm},
        "presets": presets,
        "chosen": next((each for each in presets if each.name == scenario), presets[0]),
        "speeds": SPEEDS,
        "errors": FieldErrors(),
        "problem": None,
        "depot_id": None,
        "offered": [],
    }

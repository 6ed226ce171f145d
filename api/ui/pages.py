"""All pages, put into the application."""

from __future__ import annotations

from functools import cache

from fastapi import Depends, FastAPI, params
from starlette.routing import BaseRoute

from api.edge.routes import routes_of
from api.ui.access import grants, journal, sessions, sign_in, tokens
from api.ui.base import assets, depot_head, live, problem_list
from api.ui.base.problem_pages import install_problem_pages
from api.ui.controllers import controller_forms, controllers
from api.ui.history import as_of, exports, trends
from api.ui.monitoring import load, overview
from api.ui.provisioning import backfills, circuits, microgrid, retirement
from api.ui.simulation import scenario_compare, scenario_run, scenarios
from api.ui.site import (
    depot_settings,
    depots,
    device,
    device_dialogs,
    devices,
    gateway_dialogs,
    gateway_secret_dialogs,
    power_source_dialogs,
    remediations,
    sensor_action_dialogs,
)
from api.ui.site.fleet import imports, saved_views

# The saved views come before the routes that would take "views" for a depot's id.
_SITE = (
    saved_views, depots, depot_settings, depot_head, retirement, overview, load, microgrid, circuits, controllers,
    controller_forms, remediations,
)  # fmt: skip
_HISTORY = (trends, as_of, exports)
_JOBS = (imports, backfills, scenarios, scenario_run, scenario_compare)
_CONFIGURATION = (
    devices, gateway_dialogs, gateway_secret_dialogs, power_source_dialogs, device_dialogs, device,
    sensor_action_dialogs,
)  # fmt: skip
_ACCESS = (grants, tokens, journal, sessions, problem_list, sign_in)


def install_pages(app: FastAPI, before: params.Depends) -> None:
    """Add the pages to ``app``, whose API and refusals are there already; ``before`` stands before each."""
    app.router.routes.extend(_routes(before))
    install_problem_pages(app)


@cache
def _routes(before: params.Depends) -> tuple[BaseRoute, ...]:
    shown = (*_SITE, *_HISTORY, *_CONFIGURATION, *_JOBS, *_ACCESS)
    return (
        *routes_of([module.router for module in shown], dependencies=[before, Depends(assets.needs_assets)]),
        *routes_of([live.router, assets.router], dependencies=[before]),
    )

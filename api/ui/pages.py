"""All pages, put into the application."""

from __future__ import annotations

from fastapi import Depends, FastAPI

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


def install_pages(app: FastAPI) -> None:
    """Add the pages to ``app``, whose API and refusals are there already."""
    # The saved views come before the routes that would take "views" for a depot's id.
    site = (
        saved_views, depots, depot_settings, depot_head, retirement, overview, load, microgrid, circuits, controllers,
        controller_forms, remediations,
    )  # fmt: skip
    history = (trends, as_of, exports)
    jobs = (imports, backfills, scenarios, scenario_run, scenario_compare)
    configuration = (
        devices, gateway_dialogs, gateway_secret_dialogs, power_source_dialogs, device_dialogs, device,
        sensor_action_dialogs,
    )  # fmt: skip
    for module in (*site, *history, *configuration, *jobs, grants, tokens, journal, sessions, problem_list, sign_in):
        app.include_router(module.router, dependencies=[Depends(assets.needs_assets)])
    for module in (live, assets):
        app.include_router(module.router)
    install_problem_pages(app)

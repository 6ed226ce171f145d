"""All pages, put into the application."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from api.ui import (
    assets,
    backfills,
    circuits,
    controller_forms,
    controllers,
    depots,
    device,
    device_dialogs,
    devices,
    gateway_dialogs,
    live,
    load,
    microgrid,
    power_source_dialogs,
    problem_list,
    remediations,
    scenario_compare,
    scenario_run,
    scenarios,
    sensor_action_dialogs,
)
from api.ui.problem_pages import install_problem_pages


def install_pages(app: FastAPI) -> None:
    """Add the pages to ``app``, whose API and refusals are there already."""
    site = (depots, load, microgrid, circuits, controllers, controller_forms, remediations)
    jobs = (backfills, scenarios, scenario_run, scenario_compare)
    configuration = (
        devices, gateway_dialogs, power_source_dialogs, device_dialogs, device, sensor_action_dialogs,
    )  # fmt: skip
    for module in (*site, *configuration, *jobs, problem_list):
        app.include_router(module.router, dependencies=[Depends(assets.needs_assets)])
    for module in (live, assets):
        app.include_router(module.router)
    install_problem_pages(app)

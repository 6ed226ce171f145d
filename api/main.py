"""The API process: `uvicorn api.main:create_app --factory`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_offline import FastAPIOffline
from sqlalchemy.ext.asyncio import AsyncEngine

from api import (
    backfills,
    capability_status,
    capacities,
    circuits,
    controller_bindings,
    controller_packets,
    depots,
    devices,
    fleet_import,
    gateways,
    health,
    load,
    microgrids,
    power_sources,
    remediations,
    resolutions,
    scenario_runs,
    scenarios,
    sensor_actions,
    telemetry,
)
from api.document import install_document, operation_id
from api.flags import Flags
from api.guard import Dressed, Guard
from api.imports import Imports
from api.lanes import FastLanes
from api.limits import MAX_IMPORT_BYTES, BodyLimit
from api.located import Located
from api.methods import HeadLikeGet
from api.problems import COMMON, install_problems, problem_schemas
from api.requests import Requests
from api.ui.pages import install_pages
from api.watch import Watch
from runtime.begin import begin
from runtime.kept import kept
from runtime.memory import settle
from runtime.settings import Settings
from runtime.temporal import connect
from store.database import CALLER
from store.pulse import open_database
from telemetry.door import open_door
from telemetry.latest import open_reader

DOCS = "/docs"
DESCRIPTION = """
One trustworthy microgrid for each electric-bus depot: provisioned from the depot's circuits, kept in step
with them, and repaired by Resync. Every refusal is an RFC 9457 problem with a stable `code`.
"""


@asynccontextmanager
async def _resources(app: FastAPI) -> AsyncGenerator[None]:
    settings: Settings = app.state.settings
    async with open_database(
        settings.database_url.get_secret_value(), pool_size=settings.database_pool_size, patience=CALLER
    ) as database:
        app.state.engine, app.state.lookout = database.engine, database.lookout
        async with _working(app, settings, database.engine):
            yield


@asynccontextmanager
async def _working(app: FastAPI, settings: Settings, engine: AsyncEngine) -> AsyncGenerator[None]:
    app.state.client = await connect(lazy=True)
    app.state.watch = Watch()
    app.state.flags = Flags(settings)
    watch = app.state.watch
    try:
        limits = {"max_group": settings.door_max_group, "max_waiting": settings.door_max_waiting}
        async with (
            kept("watch", lambda: watch.run(engine)),
            open_door(engine, **limits) as door,
            open_reader(engine) as reader,
        ):
            app.state.door = door
            app.state.latest = reader
            if app.state.alone:
                settle()
            yield
    finally:
        app.state.flags.close()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application; without ``settings`` from the environment."""
    alone = settings is None
    if settings is None:
        settings = begin()
    app = FastAPIOffline(
        DOCS, None, title="Depot microgrid", version="0.1.0", description=DESCRIPTION, lifespan=_resources,
        generate_unique_id_function=operation_id,
    )  # fmt: skip
    app.state.settings = settings
    app.state.imports = Imports()
    # Whether the process is this application's own, as it is under uvicorn, and may be tuned for it.
    app.state.alone = alone
    install_problems(app)
    install_document(app, {**problem_schemas(), **telemetry.PACKET_SCHEMAS})
    # The import comes before the routes that would take "import" for a depot's id.
    site = (depots, circuits, microgrids, capacities, gateways, devices, power_sources, sensor_actions)
    configuration = (controller_bindings, controller_packets, resolutions)
    monitoring = (telemetry, capability_status, load, remediations)
    jobs = (backfills, scenarios, scenario_runs)
    for module in (fleet_import, *site, *configuration, *monitoring, *jobs):
        app.include_router(module.router, responses=COMMON)
    app.include_router(health.router)
    install_pages(app)
    app.add_middleware(Located)
    # Pages and charts are read over slow lines too. What a lane answers is small, and an event stream stays as it is.
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    app.add_middleware(FastLanes, lanes=(*telemetry.LANES, *capability_status.LANES))
    app.add_middleware(BodyLimit, larger={"/api/depots/import": MAX_IMPORT_BYTES})
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Requests)
    app.add_middleware(Dressed, docs=DOCS)
    app.add_middleware(HeadLikeGet)
    return app

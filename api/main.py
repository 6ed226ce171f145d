"""The API process: `uvicorn api.main:create_app --factory`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from api import backfills, circuits, depots, fleet_import, health, microgrids
from api.access import current_actor
from api.limits import BodyLimit
from api.problems import COMMON, install_problems
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings
from runtime.temporal import connect
from store.database import make_engine

DESCRIPTION = """
One trustworthy microgrid for each electric-bus depot: provisioned from the depot's circuits, kept in step
with them, and repaired by Resync. Every refusal is an RFC 9457 problem with a stable `code`.
"""


@asynccontextmanager
async def _resources(app: FastAPI) -> AsyncGenerator[None]:
    settings: Settings = app.state.settings
    engine = make_engine(settings.database_url, pool_size=settings.database_pool_size)
    app.state.engine = engine
    app.state.client = await connect(lazy=True)
    try:
        yield
    finally:
        await engine.dispose()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application; without ``settings`` from the environment."""
    if settings is None:
        settings = load_settings()
        configure_logs(settings.log_format)
    app = FastAPIOffline(
        title="Depot microgrid", version="0.1.0", description=DESCRIPTION, lifespan=_resources, redoc_url=None
    )
    app.state.settings = settings
    install_problems(app)
    acting = [Depends(current_actor)]
    # The import comes before the routes that would take "import" for a depot's id.
    for module in (fleet_import, depots, circuits, microgrids, backfills):
        app.include_router(module.router, dependencies=acting, responses=COMMON)
    app.include_router(health.router)
    app.add_middleware(BodyLimit, unbounded=frozenset({"/api/depots/import"}))
    return app

"""The API process: `uvicorn api.main:create_app --factory`.

The one place that reads the settings, opens what requests share (`api.base.dependencies.Resources`), and registers what
each subject brings. Its pages are registered in `api.ui.pages`.
"""

from __future__ import annotations

from runtime.memory import collect_less_often, freeze_startup_objects

# Before everything else is imported: what an import makes stays.
collect_less_often()

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol

import structlog
from fastapi import APIRouter, Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.routing import BaseRoute
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api import health
from api.access import api_tokens, back_channel, gateway_secrets, grants, journal, payload_codec, provider, sessions
from api.access.authorization import authorizer
from api.access.certificates import ClientCertificates
from api.base.addresses import Addresses
from api.base.dependencies import Resources, provide
from api.base.flags import Flags
from api.base.kept.acts import open_acts
from api.base.kept.exchange import open_exchange
from api.base.kept.failed_proofs import FailedProofs
from api.base.kept.known_gateways import open_known_gateways
from api.base.kept.sign_in_starts import SignInStarts
from api.base.limits import FORM_ROOM, MAX_IMPORT_BYTES, BodyLimit, export_places, import_places
from api.base.methods import HeadLikeGet
from api.base.metrics import ApiMetrics, DatabaseFigures
from api.base.problems import COMMON, install_problems, problem_schemas
from api.base.streams.live import LiveHub
from api.base.streams.rights import RightsWatch
from api.base.streams.watch import Watch
from api.controllers import controller_bindings, controller_packets
from api.edge.compression import Compression
from api.edge.document import install_document, operation_id
from api.edge.fast_path import FastPathMiddleware, FastRoute
from api.edge.guard import Authenticate, Guard, SecurityHeadersMiddleware
from api.edge.located import Located
from api.edge.requests import Requests
from api.edge.routes import routes_of
from api.edge.temporal_ui import TemporalUi
from api.history import export_jobs, exports, rollups, series
from api.monitoring import capability_status, load, overview, telemetry
from api.provisioning import backfills, microgrids, retirement, set_up
from api.simulation import scenario_runs, scenarios
from api.site import (
    capacities,
    circuits,
    depots,
    devices,
    fleet_import,
    gateways,
    power_sources,
    remediations,
    resolutions,
    saved_views,
    sensor_actions,
)
from api.site.imports import import_jobs
from api.ui.pages import install_pages
from domain.site.imports.import_jobs import MAX_FILE_BYTES
from runtime.begin import begin
from runtime.exposure import exposure_fault, listening_hosts
from runtime.observing import traces
from runtime.observing.metrics import PoolCollector, measuring_lag, registered
from runtime.openid import OpenIdProvider
from runtime.settings import Settings
from runtime.supervision import supervised
from runtime.temporal import connect
from runtime.version import version
from store.base.database import CALLER, pool_limit, pool_use
from store.base.liveness import open_database
from telemetry.ingest import open_ingest
from telemetry.latest import open_reader

_log = structlog.get_logger("process")

DOCS = "/docs"
DESCRIPTION = """
One trustworthy microgrid for each electric-bus depot: provisioned from the depot's circuits, kept in step
with them, and repaired by Resync. Every refusal is an RFC 9457 problem with a stable `code`.
"""


class _Routes(Protocol):
    """A module with a router."""

    router: APIRouter


@dataclass(frozen=True)
class _Subject:
    """What one subject brings to the API."""

    modules: tuple[_Routes, ...]
    """The routes of one module are tried before those of the next, and described in that order."""
    fast_routes: tuple[FastRoute, ...] = ()
    """Which of its routes are taken past the framework."""
    larger_bodies: Mapping[str, int] = field(default_factory=dict[str, int])
    """Paths whose bodies may be larger than others, with their limits in bytes."""
    schemas: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Schemas of the OpenAPI document that no route's model is the source of."""


_SITE = _Subject(
    # The import comes before the routes that would take "import" for a depot's id.
    (
        fleet_import,
        import_jobs,
        depots,
        circuits,
        microgrids,
        retirement,
        capacities,
        gateways,
        gateway_secrets,
        devices,
        power_sources,
        sensor_actions,
        set_up,
        saved_views,
    ),
    larger_bodies={
        "/api/depots/import": MAX_IMPORT_BYTES,
        "/api/imports": MAX_FILE_BYTES,
        "/imports": MAX_FILE_BYTES + FORM_ROOM,
    },
)
_CONTROLLERS = _Subject((controller_bindings, controller_packets, resolutions))
_MONITORING = _Subject(
    (telemetry, capability_status, load, overview, remediations),
    fast_routes=(*telemetry.FAST_ROUTES, *capability_status.FAST_ROUTES),
    schemas=telemetry.PACKET_SCHEMAS,
)
_HISTORY = _Subject((series, exports, export_jobs, rollups))
_BACKFILLS = _Subject((backfills,))
_ACCESS = _Subject((grants, api_tokens, sessions, journal, payload_codec))
_SIMULATION = _Subject((scenarios, scenario_runs))
SUBJECTS = (_SITE, _CONTROLLERS, _MONITORING, _HISTORY, _BACKFILLS, _SIMULATION, _ACCESS)
"""Every subject of the product, in the order of the OpenAPI document."""


_AUTHORIZED = Depends(authorizer(operation_id))
"""What stands before every route."""


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """The routes of the API."""
    modules = [module.router for subject in SUBJECTS for module in subject.modules]
    others = [health.router, back_channel.router, provider.router]
    return (
        *routes_of(modules, dependencies=[_AUTHORIZED], responses=COMMON),
        *routes_of(others, dependencies=[_AUTHORIZED]),
    )


@asynccontextmanager
async def _open_resources(app: FastAPI, settings: Settings, metrics: ApiMetrics) -> AsyncGenerator[Resources]:
    """Keep open, while the block runs, what the requests of ``app`` share."""
    async with open_database(
        settings.database_url.get_secret_value(), pool_size=settings.database_pool_size, timeouts=CALLER
    ) as database:
        engine = database.engine
        client = await connect(settings.keys_of_payloads, lazy=True)
        watch, rights = Watch(), RightsWatch()
        flags = Flags(settings)
        openid = OpenIdProvider(settings)
        try:
            async with (
                AsyncExitStack() as stack,
                supervised("watch", lambda: watch.run(engine)),
                supervised("rights", lambda: rights.run(engine)),
                open_ingest(
                    engine,
                    max_group=settings.door_max_group,
                    max_waiting=settings.door_max_waiting,
                    metrics=metrics.door,
                ) as ingest,
                open_reader(engine) as latest,
                open_known_gateways(engine, rights) as known_gateways,
                open_acts(engine) as acts,
                open_exchange(engine) as exchange,
                measuring_lag(metrics.registry),
            ):
                pool = PoolCollector(partial(pool_use, engine), pool_limit(engine))
                figures = DatabaseFigures(database.health_engine)
                stack.enter_context(registered(metrics.registry, pool, figures))
                yield Resources(
                    settings=settings,
                    engine=engine,
                    health_engine=database.health_engine,
                    client=client,
                    watch=watch,
                    live=LiveHub(engine, watch),
                    ingest=ingest,
                    latest=latest,
                    flags=flags,
                    imports=import_places(),
                    exports=export_places(),
                    addresses=Addresses(app),
                    rights=rights,
                    gateways=known_gateways,
                    failed_proofs=FailedProofs(exchange),
                    sign_in_starts=SignInStarts(exchange),
                    acts=acts,
                    metrics=metrics,
                    figures=figures,
                    provider=openid,
                )
        finally:
            flags.close()
            await openid.close()


def create_app(settings: Settings | None = None, *, authenticate: Authenticate | None = None) -> FastAPI:
    """Make the application; without ``settings`` from the environment.

    ``authenticate`` says who makes a request; without it the callers of this machine are the local administrator.
    """
    # Whether the process is this application's own, as it is under uvicorn, and may be tuned for it.
    alone = settings is None
    given = begin() if settings is None else settings
    if alone and (fault := exposure_fault(given, listening_hosts())) is not None:
        _log.critical("not started", reason=fault)
        sys.exit(2)

    metrics = ApiMetrics()
    if alone:
        traces.begin_traces("manage-api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with _open_resources(app, given, metrics) as resources:
            provide(app, resources)
            if alone:
                freeze_startup_objects()
            yield

    app = FastAPIOffline(
        DOCS, None, title="Depot microgrid", version=version(), description=DESCRIPTION, lifespan=lifespan,
        generate_unique_id_function=operation_id, dependencies=[_AUTHORIZED],
        # A hundred and more operations take seconds to draw: each subject is opened by who wants to read it.
        swagger_ui_parameters={"docExpansion": "none"},
        # Its own would tell queries, and a second time what ours does.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )  # fmt: skip
    install_problems(app)
    app.router.routes.extend(_routes())
    schemas = problem_schemas()
    fast_routes: list[FastRoute] = []
    larger_bodies: dict[str, int] = {}
    for subject in SUBJECTS:
        schemas.update(subject.schemas)
        fast_routes.extend(subject.fast_routes)
        larger_bodies.update(subject.larger_bodies)
    install_document(app, schemas)
    install_pages(app, _AUTHORIZED)
    _add_middleware(app, given, metrics, authenticate, fast_routes, larger_bodies)
    return app


def _add_middleware(
    app: FastAPI,
    given: Settings,
    metrics: ApiMetrics,
    authenticate: Authenticate | None,
    fast_routes: Sequence[FastRoute],
    larger_bodies: dict[str, int],
) -> None:
    """Put around the routes what is around all of them; each is outside of those before it."""
    app.add_middleware(Located)
    # Pages and charts are read over slow lines too. Answers of the fast path are small; an event stream stays as it is.
    app.add_middleware(Compression, numbers=[series.router.prefix])
    app.add_middleware(FastPathMiddleware, fast_routes=fast_routes)
    app.add_middleware(BodyLimit, larger=larger_bodies)
    app.add_middleware(Guard, settings=given, authenticate=authenticate)
    app.add_middleware(Requests, metrics=metrics)
    if (traced := traces.middleware()) is not None:
        app.add_middleware(traced)
    if given.temporal_ui_origin:
        app.add_middleware(TemporalUi, origin=given.temporal_ui_origin)
    https = given.public_url.startswith("https:")
    app.add_middleware(SecurityHeadersMiddleware, docs=DOCS, https=https)
    app.add_middleware(HeadLikeGet)
    if given.proxy_networks:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=[str(each) for each in given.proxy_networks])
    if given.client_certificate_header:
        header, networks = given.client_certificate_header, given.client_certificate_networks
        app.add_middleware(ClientCertificates, header=header, networks=networks)

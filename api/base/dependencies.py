"""What routes are given: who acts, and the resources that the process opened once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base.access import ActorDep, PrincipalDep, ScopeDep
from api.base.addresses import Addresses
from api.base.flags import Flags
from api.base.kept.acts import ActLog
from api.base.kept.failed_proofs import FailedProofs
from api.base.kept.known_gateways import KnownGateways
from api.base.kept.sign_in_starts import SignInStarts
from api.base.limits import Places
from api.base.metrics import ApiMetrics, DatabaseFigures
from api.base.streams.live import LiveHub
from api.base.streams.rights import RightsWatch
from api.base.streams.watch import Watch
from domain.controllers.controller_support import ControllerTables
from runtime.controllers import controller_tables
from runtime.openid import OpenIdProvider
from runtime.settings import Settings
from telemetry.ingest import PacketIngest
from telemetry.latest import LatestReader

__all__ = [
    "ActorDep",
    "ClientDep",
    "EngineDep",
    "ExportLimitDep",
    "FailedProofsDep",
    "FiguresDep",
    "FlagsDep",
    "HealthEngineDep",
    "ImportLimitDep",
    "IngestDep",
    "LatestDep",
    "LiveDep",
    "MetricsDep",
    "PrincipalDep",
    "ProviderDep",
    "Resources",
    "RightsDep",
    "ScopeDep",
    "SettingsDep",
    "TablesDep",
    "WatchDep",
    "provide",
    "resources_of",
]


@dataclass(frozen=True)
class Resources:
    """Everything that an API process opens when it starts and shares among its requests; `api/main.py` opens it."""

    settings: Settings
    engine: AsyncEngine
    health_engine: AsyncEngine
    """Connections that no other work takes: for the process's health and figures."""
    client: Client
    """Temporal's, connected with its first call."""
    watch: Watch
    live: LiveHub
    ingest: PacketIngest
    latest: LatestReader
    flags: Flags
    imports: Places
    exports: Places
    addresses: Addresses
    rights: RightsWatch
    gateways: KnownGateways
    failed_proofs: FailedProofs
    sign_in_starts: SignInStarts
    acts: ActLog
    """Acts that change nothing, for the journal."""
    metrics: ApiMetrics
    figures: DatabaseFigures
    provider: OpenIdProvider
    """Of OpenID Connect. It is asked nothing where none is configured."""


def provide(app: FastAPI, resources: Resources) -> None:
    """Give the requests of ``app`` these resources, which are open."""
    app.state.resources = resources


def resources_of(app: FastAPI) -> Resources:
    """The resources of an application that has started."""
    return app.state.resources


# Coroutines, although they wait for nothing: FastAPI calls anything else in a thread, which costs more than it does.
async def _settings(request: Request) -> Settings:
    return resources_of(request.app).settings


async def _engine(request: Request) -> AsyncEngine:
    return resources_of(request.app).engine


async def _health_engine(request: Request) -> AsyncEngine:
    return resources_of(request.app).health_engine


async def _client(request: Request) -> Client:
    return resources_of(request.app).client


async def _watch(request: Request) -> Watch:
    return resources_of(request.app).watch


async def _live(request: Request) -> LiveHub:
    return resources_of(request.app).live


async def _ingest(request: Request) -> PacketIngest:
    return resources_of(request.app).ingest


async def _metrics(request: Request) -> ApiMetrics:
    return resources_of(request.app).metrics


async def _figures(request: Request) -> DatabaseFigures:
    return resources_of(request.app).figures


async def _latest(request: Request) -> LatestReader:
    return resources_of(request.app).latest


async def _flags(request: Request) -> Flags:
    return resources_of(request.app).flags


async def _imports(request: Request) -> Places:
    return resources_of(request.app).imports


async def _exports(request: Request) -> Places:
    return resources_of(request.app).exports


async def _rights(request: Request) -> RightsWatch:
    return resources_of(request.app).rights


async def _failed_proofs(request: Request) -> FailedProofs:
    return resources_of(request.app).failed_proofs


async def _provider(request: Request) -> OpenIdProvider:
    return resources_of(request.app).provider


SettingsDep = Annotated[Settings, Depends(_settings)]
EngineDep = Annotated[AsyncEngine, Depends(_engine)]
HealthEngineDep = Annotated[AsyncEngine, Depends(_health_engine)]
ClientDep = Annotated[Client, Depends(_client)]
WatchDep = Annotated[Watch, Depends(_watch)]
LiveDep = Annotated[LiveHub, Depends(_live)]
IngestDep = Annotated[PacketIngest, Depends(_ingest)]
MetricsDep = Annotated[ApiMetrics, Depends(_metrics)]
FiguresDep = Annotated[DatabaseFigures, Depends(_figures)]
LatestDep = Annotated[LatestReader, Depends(_latest)]
FlagsDep = Annotated[Flags, Depends(_flags)]
RightsDep = Annotated[RightsWatch, Depends(_rights)]
ProviderDep = Annotated[OpenIdProvider, Depends(_provider)]
ImportLimitDep = Annotated[Places, Depends(_imports)]
ExportLimitDep = Annotated[Places, Depends(_exports)]
FailedProofsDep = Annotated[FailedProofs, Depends(_failed_proofs)]
TablesDep = Annotated[ControllerTables, Depends(controller_tables)]
"""What each controller's revision can say."""

"""Is it alive, can it work, and what do its figures say."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from fastapi import APIRouter, Response, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from api.base.dependencies import ClientDep, EngineDep, FiguresDep, HealthEngineDep, MetricsDep, SettingsDep
from api.base.problems import problem_responses
from api.ui.base.assets import missing_assets
from domain.base.problems import ProblemCode
from runtime.observing.metrics import CONTENT_TYPE, metrics_text
from runtime.version import version
from store.base.database import FAILURES, is_used_up
from store.monitoring.history import months_ahead
from store.provisioning.outbox import OutboxDepth, outbox_depth
from store.schema_version import is_migrated

router = APIRouter(tags=["health"])

_TIMEOUT = timedelta(seconds=3)


class Readiness(StrEnum):
    """What the service can do."""

    READY = "READY"
    DEGRADED = "DEGRADED"
    """Changes and reads work. Temporal is down: syncs wait and backfills cannot start until it is back. Or the
    history has no room for the next month: packets will be refused when it begins. Or the pages lack their files. Or
    the database is busy: requests wait, and some are refused."""
    UNAVAILABLE = "UNAVAILABLE"
    """Without the database, or without a migration that this version needs, nothing works."""


class DependencyState(StrEnum):
    """Whether a dependency answers."""

    OK = "OK"
    BUSY = "BUSY"
    """It answers, but all connections of this process are in use, so requests wait."""
    NOT_MIGRATED = "NOT_MIGRATED"
    """It answers, but migrations that this version needs were not applied."""
    AWAY = "AWAY"


class PagesState(StrEnum):
    """Whether the operator pages have the files that they load."""

    OK = "OK"
    MISSING = "MISSING"
    """They were not fetched: every page answers 503 `PAGES_UNAVAILABLE`, with the command that fetches them."""


class Alive(BaseModel):
    """The process answers."""

    status: str = "OK"
    version: str = Field(description="Of the product, in the form of Semantic Versioning.")
    instance_id: str | None = Field(default=None, description="What `./dev up` calls the API that it started.")


class Ready(BaseModel):
    """What the service can do, and why."""

    status: Readiness
    database: DependencyState
    temporal: DependencyState
    pages: PagesState
    outbox_rows: int | None = Field(description="Changes that have not been delivered to a sync workflow yet.")
    outbox_age_seconds: float | None = Field(description="How long the oldest of them waits.")
    history_months_ahead: int | None = Field(description="Months after this one that the history has room for.")


@router.get("/healthz")
async def healthz(settings: SettingsDep) -> Alive:
    """Answer that the process is alive."""
    return Alive(version=version(), instance_id=settings.instance_id or None)


@router.get(
    "/readyz",
    responses={
        status.HTTP_503_SERVICE_UNAVAILABLE: {
            "model": Ready,
            "description": "The database is down, or was not migrated.",
        }
    },
)
async def readyz(engine: EngineDep, health_engine: HealthEngineDep, client: ClientDep, response: Response) -> Ready:
    """Say what the service can do, with each dependency's state."""
    looked, temporal = await asyncio.gather(_database(health_engine), _temporal(client))
    pages = PagesState.MISSING if missing_assets() else PagesState.OK
    depth = ahead = None
    if isinstance(looked, DependencyState):
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        state, database = Readiness.UNAVAILABLE, looked
    else:
        depth, ahead = looked
        database = DependencyState.BUSY if is_used_up(engine) else DependencyState.OK
        whole = database is temporal is DependencyState.OK and ahead > 0 and pages is PagesState.OK
        state = Readiness.READY if whole else Readiness.DEGRADED
    return Ready(
        status=state,
        database=database,
        temporal=temporal,
        pages=pages,
        outbox_rows=None if depth is None else depth.rows,
        outbox_age_seconds=None if depth is None else _age(depth),
        history_months_ahead=ahead,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}},
        **problem_responses(ProblemCode.SIGN_IN_REQUIRED, ProblemCode.TOKEN_REFUSED, ProblemCode.NOT_PERMITTED),
    },
)
async def metrics(figures: FiguresDep, metrics: MetricsDep) -> Response:
    """Give the figures to Prometheus: of this process, and of the database, which every process tells alike."""
    await figures.read()
    return Response(await asyncio.to_thread(metrics_text, metrics.registry), media_type=CONTENT_TYPE)


def _age(depth: OutboxDepth) -> float:
    return 0.0 if depth.oldest_at is None else max(0.0, (datetime.now(UTC) - depth.oldest_at).total_seconds())


async def _database(engine: AsyncEngine) -> tuple[OutboxDepth, int] | DependencyState:
    try:
        async with asyncio.timeout(_TIMEOUT.total_seconds()), engine.connect() as connection:
            if not await is_migrated(connection):
                return DependencyState.NOT_MIGRATED
            return await outbox_depth(connection), await months_ahead(connection)
    except FAILURES:
        return DependencyState.AWAY


async def _temporal(client: Client) -> DependencyState:
    try:
        # The call's own limit does not count while the connection is being made.
        async with asyncio.timeout(_TIMEOUT.total_seconds()):
            await client.service_client.check_health(timeout=_TIMEOUT)
    except (RPCError, RuntimeError, TimeoutError):
        return DependencyState.AWAY
    return DependencyState.OK

"""Capability status of a microgrid: the canonical way in, the latest with its freshness, the history, live events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import BaseModel, BeforeValidator, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.base.access import current_actor
from api.base.bodies import StrictRoute, once_each
from api.base.dependencies import ActorDep, EngineDep, LatestDep, RightsDep, WatchDep, resources_of
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.streams.rights import PermittedStream
from api.base.streams.watch import EVERY_KIND, Watch
from api.base.types import AsOf, Body, Cursor, Limit, MicrogridId, Moment, decode_cursor, encode_cursor
from api.edge.fast_path import FastRoute
from api.site.simulated import Simulated
from api.site.stamps import Stamped
from domain.base.names import UUID_PATTERN
from domain.base.problems import Problem, ProblemCode
from domain.monitoring.capabilities import (
    Capability,
    CapabilityStatus,
    FoldEffect,
    StatusEvent,
    capability_status,
    check_event_ref,
)
from domain.monitoring.freshness import Freshness
from domain.monitoring.packets import check_timestamp
from store.base.database import snapshot, transaction
from store.base.notifications.notify import ChangeKind
from store.history.statuses_as_of import StatusAsOf, read_statuses_as_of
from store.monitoring.capability_status import EventRecord, LatestRecord, list_events, post_status, set_thresholds
from store.monitoring.statuses.transitions import MOST_UPDATES, StatusTransition, list_transitions
from store.provisioning.microgrids import check_microgrid, read_microgrid
from telemetry.latest import LatestReader

router = APIRouter(prefix="/api/microgrids/{microgrid_id}", tags=["capability status"], route_class=StrictRoute)

MAX_THRESHOLD_SECONDS = 30 * 86_400
Epoch = Annotated[int, Field(ge=0, lt=2**31)]
PING_SECONDS = 15
"""A quiet stream says this often that it lives."""


class StatusUpdate(Body):
    """An update of one capability, by the canonical path."""

    capability: Capability
    value: Any = Field(
        description='true, false, "true", "false", or null where the provider has no value.',
        json_schema_extra={"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}, {"type": "null"}]},
    )
    observed_at: Moment = Field(description="When the provider saw it.")
    provider_event_ref: str = Field(description="The provider's own reference of this update; counts once.")
    source_device_id: UUID | None = Field(default=None, description="The device it comes from, where it is known.")


class StatusEventDocument(Stamped):
    """An accepted update."""

    event_id: UUID
    capability: Capability
    status: CapabilityStatus | None = Field(description="Null: the provider had no value.")
    effect: FoldEffect = Field(description="What it did to the latest status.")
    provider_event_ref: str
    source_device_id: UUID | None
    recorded_by: str
    simulated_by: Simulated

    @staticmethod
    def of(record: EventRecord) -> StatusEventDocument:
        """The update as the store has it."""
        return StatusEventDocument.model_validate(record, from_attributes=True)


class LatestStatus(BaseModel):
    """One capability's latest status, all of it from one record (COR-38.4)."""

    capability: Capability
    status: CapabilityStatus | None = Field(description="Null: no status was received yet.")
    observed_at: datetime | None = Field(description="When the provider saw it, as its stamp says.")
    received_at: datetime | None = Field(description="When it came.")
    effective_at: datetime | None = Field(
        description="When it counts as seen, for order and for age: `observed_at`, or `received_at` where that is "
        "earlier."
    )
    clock_ahead_seconds: float | None = Field(
        description="How far the provider's clock runs ahead, at least; 0 where nothing shows that."
    )
    age_seconds: float | None = Field(description="Since `effective_at`, when this was read.")
    freshness: Freshness | None = Field(
        description="`FRESH` while an enabled device updates it and its age is within `threshold_seconds`."
    )
    stale_at: datetime | None = Field(description="The last moment at which its age lets it be fresh.")
    threshold_seconds: float = Field(description="How old it may be and still count as fresh.")
    since: datetime | None = Field(
        description="Since when it holds: the `effective_at` of the first update that said the same. Repeated updates "
        "and hand-overs do not restart it; updates that come late count where they belong. Where it begins or ends to "
        "be simulated, it starts again."
    )
    event_id: UUID | None
    provider_event_ref: str | None
    source_device_id: UUID | None
    source_device_name: str | None
    owner_device_id: UUID | None = Field(description="The device that updates it now; null: none does.")
    owner_device_name: str | None
    simulated_by: Simulated

    @staticmethod
    def of(record: LatestRecord) -> LatestStatus:
        """The status as the store has it."""
        time, clock_ahead = record.timeliness, record.clock_ahead
        extended = Extended(
            record,
            clock_ahead_seconds=None if clock_ahead is None else clock_ahead.total_seconds(),
            age_seconds=None if time is None else time.age.total_seconds(),
            freshness=None if time is None else time.freshness,
            stale_at=None if time is None else time.stale_at,
            threshold_seconds=record.threshold.total_seconds(),
        )
        return LatestStatus.model_validate(extended, from_attributes=True)


class LatestStatuses(BaseModel):
    """The latest status of every capability."""

    microgrid_id: UUID
    items: list[LatestStatus]


class KnownStatusDocument(Stamped):
    """What is known today of a capability at a moment, by when it was seen."""

    event_id: UUID
    status: CapabilityStatus
    source_device_id: UUID | None
    simulated_by: Simulated


class StatusAsOfDocument(LatestStatus):
    """One capability as it was shown at a moment; its age and freshness are those of that moment."""

    known: KnownStatusDocument | None = Field(
        description="What is known of that moment today: what came later and was seen before counts, too."
    )

    @staticmethod
    def at(found: StatusAsOf) -> StatusAsOfDocument:
        """The status as the store has it."""
        known = None if found.known is None else KnownStatusDocument.model_validate(found.known, from_attributes=True)
        return StatusAsOfDocument(**LatestStatus.of(found.shown).model_dump(), known=known)


class StatusesAsOf(BaseModel):
    """The status of every capability as it was shown at a moment."""

    microgrid_id: UUID
    as_of: datetime
    items: list[StatusAsOfDocument]


class ReportedUpdate(Stamped):
    """One update of a transition, and the device that it came from."""

    device_id: UUID | None = Field(description="Null: no device was named.")
    device_name: str | None = Field(description="Null: no device was named, or it is gone.")
    simulated_by: Simulated


class StatusTransitionDocument(BaseModel):
    """A status that began to hold, and the updates that repeated it."""

    event_id: UUID = Field(description="The update with which it began.")
    status: CapabilityStatus
    since: datetime = Field(description="Since when it held: the `effective_at` of its first update.")
    until: datetime | None = Field(description="When another one began; null: it is the latest.")
    updates: int = Field(description=f"Updates that said so, the first one included; {MOST_UPDATES:,} at most.")
    first: ReportedUpdate
    last: ReportedUpdate = Field(description="The last update that said so.")
    simulated_by: Simulated

    @staticmethod
    def of(record: StatusTransition) -> StatusTransitionDocument:
        """The transition as the store has it."""
        return StatusTransitionDocument.model_validate(record, from_attributes=True)


class StatusTransitionPage(BaseModel):
    """The transitions of a capability, the last first."""

    items: list[StatusTransitionDocument]
    next_cursor: str | None


class StatusHistoryPage(BaseModel):
    """Accepted updates, the last accepted first."""

    items: list[StatusEventDocument]
    next_cursor: str | None


class FreshnessThresholds(Body):
    """How old a status may be and still count as fresh, in seconds; null: the default."""

    thresholds: Annotated[
        dict[Capability, Annotated[float, Field(ge=1, le=MAX_THRESHOLD_SECONDS)] | None], BeforeValidator(once_each)
    ]


@router.post(
    "/capability-status",
    status_code=status.HTTP_201_CREATED,
    responses=problem_responses(*ONCE,
        ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.DEPOT_RETIRED, ProblemCode.DEVICE_NOT_IN_DEPOT,
        ProblemCode.INVALID_CAPABILITY_VALUE,
        ProblemCode.INVALID_EVENT_REF, ProblemCode.TIMESTAMP_IN_FUTURE, ProblemCode.TIMESTAMP_TOO_OLD,
    ),
)  # fmt: skip
async def post(
    microgrid_id: MicrogridId, body: StatusUpdate, actor: ActorDep, engine: EngineDep, once: OnceDep
) -> StatusEventDocument:
    """Accept one update of a capability. It is recorded whatever it does to the latest status (COR-9.8, COR-9.12)."""
    violation = check_timestamp(body.observed_at, datetime.now(UTC))
    if violation is not None:
        raise Problem(ProblemCode(violation.code), violation.reason, "observed_at")
    event = StatusEvent(body.observed_at, check_event_ref(body.provider_event_ref), capability_status(body.value))

    async def make(connection: AsyncConnection) -> StatusEventDocument:
        return StatusEventDocument.of(
            await post_status(connection, actor, microgrid_id, body.capability, event, body.source_device_id)
        )

    return await once.create(engine, actor, body, StatusEventDocument, make)


@router.get(
    "/capability-status",
    response_model=LatestStatuses | StatusesAsOf,
    responses=problem_responses(ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.AS_OF_OUT_OF_RANGE),
)
async def latest(microgrid_id: MicrogridId, reader: LatestDep, engine: EngineDep, as_of: AsOf = None) -> Response:
    """Read the latest status of each capability, with its age and freshness."""
    if as_of is None:
        return _as_json(await _latest(reader, microgrid_id))
    async with snapshot(engine) as connection:
        found = await read_statuses_as_of(connection, microgrid_id, as_of)
    items = [StatusAsOfDocument.at(each) for each in found]
    return _as_json(StatusesAsOf(microgrid_id=microgrid_id, as_of=as_of, items=items))


def _as_json(document: BaseModel) -> Response:
    return Response(document.model_dump_json(), media_type="application/json")


async def _latest_on_fast_path(request: Request, parameters: dict[str, str]) -> Response:
    await current_actor(request)
    return _as_json(await _latest(resources_of(request.app).latest, UUID(parameters["microgrid_id"])))


FAST_ROUTES = (
    FastRoute(
        "GET",
        "get_capability_status",
        "/api/microgrids/{microgrid_id}/capability-status",
        re.compile(f"/api/microgrids/(?P<microgrid_id>{UUID_PATTERN[1:-1]})/capability-status"),
        _latest_on_fast_path,
    ),
)


async def _latest(reader: LatestReader, microgrid_id: UUID) -> LatestStatuses:
    found = await reader.read(microgrid_id)
    return LatestStatuses(microgrid_id=microgrid_id, items=[LatestStatus.of(record) for record in found])


@router.get(
    "/capability-status/history",
    responses=problem_responses(ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.INVALID_CURSOR),
)
async def history(
    microgrid_id: MicrogridId,
    engine: EngineDep,
    capability: Annotated[Capability | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> StatusHistoryPage:
    """List the accepted updates, the last accepted first."""
    before = decode_cursor(cursor, tuple[UUID])
    async with engine.connect() as connection:
        await check_microgrid(connection, microgrid_id)
        found = await list_events(
            connection, microgrid_id, capability=capability, before=before[0] if before else None, limit=limit + 1
        )
    items = found[:limit]
    more = encode_cursor(items[-1].event_id) if len(found) > limit else None
    return StatusHistoryPage(items=[StatusEventDocument.of(record) for record in items], next_cursor=more)


@router.get(
    "/capability-status/transitions",
    responses=problem_responses(ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.INVALID_CURSOR),
)
async def transitions(
    microgrid_id: MicrogridId,
    engine: EngineDep,
    capability: Annotated[Capability, Query()],
    cursor: Cursor = None,
    limit: Limit = 100,
) -> StatusTransitionPage:
    """List when the status of a capability changed, the last change first; updates that repeat it are counted."""
    async with snapshot(engine) as connection:
        await check_microgrid(connection, microgrid_id)
        return await read_transitions(connection, microgrid_id, capability, cursor=cursor, limit=limit)


async def read_transitions(
    connection: AsyncConnection, microgrid_id: UUID, capability: Capability, *, cursor: str | None, limit: int
) -> StatusTransitionPage:
    """Read a page of transitions.

    Raises:
        Problem: ``INVALID_CURSOR``.

    """
    before = decode_cursor(cursor, tuple[Epoch, Moment, Moment, str])
    found = await list_transitions(connection, microgrid_id, capability, before=before, limit=limit + 1)
    items, more = found[:limit], None
    if len(found) > limit:
        epoch, *times, ref = items[-1].key
        more = encode_cursor(epoch, *(each.isoformat() for each in times), ref)
    return StatusTransitionPage(items=[StatusTransitionDocument.of(each) for each in items], next_cursor=more)


@router.patch(
    "/freshness-thresholds", responses=problem_responses(ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.DEPOT_RETIRED)
)
async def set_freshness_thresholds(
    microgrid_id: MicrogridId, body: FreshnessThresholds, actor: ActorDep, engine: EngineDep, reader: LatestDep
) -> LatestStatuses:
    """Set how old a status of this microgrid may be, by capability; what is left out stays."""
    given = {
        capability: None if seconds is None else timedelta(seconds=seconds)
        for capability, seconds in body.thresholds.items()
    }
    async with transaction(engine, actor) as connection:
        await set_thresholds(connection, actor, microgrid_id, given)
    return await _latest(reader, microgrid_id)


@router.get(
    "/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "`capability-status` with the latest statuses, at once and whenever one changes; "
            "`changed` with the kinds of anything else that changed in the depot.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problem_responses(ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.TOO_MANY_STREAMS),
    },
)
async def events(
    request: Request,
    microgrid_id: MicrogridId,
    engine: EngineDep,
    watch: WatchDep,
    reader: LatestDep,
    rights: RightsDep,
) -> EventSourceResponse:
    """Stream changes as they happen, as server-sent events. A stream that was lost begins with what holds now."""
    async with engine.connect() as connection:
        depot_id = (await read_microgrid(connection, microgrid_id=microgrid_id)).depot_id
    return PermittedStream(request, rights, _stream(watch, reader, microgrid_id, depot_id), ping=PING_SECONDS)


async def _stream(
    watch: Watch, reader: LatestReader, microgrid_id: UUID, depot_id: UUID
) -> AsyncGenerator[ServerSentEvent]:
    async with watch.on(depot_id) as watcher:
        kinds = {EVERY_KIND}
        while True:
            if kinds & {EVERY_KIND, ChangeKind.STATUS, ChangeKind.CONFIGURATION}:
                statuses = await _latest(reader, microgrid_id)
                yield ServerSentEvent(statuses.model_dump_json(), event="capability-status")
            others = kinds - {ChangeKind.STATUS}
            if others:
                yield ServerSentEvent(" ".join(sorted(others)), event="changed")
            kinds = await watcher.changed()
            # A burst is one look.
            await asyncio.sleep(0.05)

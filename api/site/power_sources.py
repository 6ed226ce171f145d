"""Power sources: list with their latest readings, add, change, delete."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.access.authorization import PermitDep
from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import conflict_responses, problem_responses
from api.base.records import Extended
from api.base.types import (
    Body,
    Cursor,
    Limit,
    LinkedCircuitId,
    Name,
    OfDepot,
    PowerSourceId,
    cut_page,
    decode_id,
    left_out,
)
from api.base.versions import EditDep, shows_version, tagged
from api.site.deletions import Consent, DeletionDocument, preview_deletion
from api.site.simulated import Simulated
from api.site.stamps import Stamped
from domain.base.problems import ProblemCode
from domain.site.deletions import SubjectKind
from domain.site.measurands import MEASURANDS, MeasurandKey
from domain.site.routing import PowerSourceKind
from store.base.database import snapshot
from store.site.power_sources import (
    PowerSourceRecord,
    ReadingRecord,
    create_power_source,
    delete_power_source,
    list_power_sources,
    read_power_source,
    update_power_source,
)

router = APIRouter(prefix="/api/power-sources", tags=["power sources"], route_class=StrictRoute)


class PowerSourceCreate(Body):
    """A power source to add."""

    depot_id: UUID
    kind: PowerSourceKind
    name: Name
    circuit_id: LinkedCircuitId = None


class PowerSourceChange(Body):
    """What to change of a power source; what is left out stays."""

    kind: PowerSourceKind = Field(default_factory=left_out)
    name: Name = Field(default_factory=left_out)
    circuit_id: LinkedCircuitId = Field(default_factory=left_out)


class Reading(Stamped):
    """The latest value of one measurand."""

    measurand: MeasurandKey
    value: float | str = Field(description="A number in the unit, or one of the measurand's texts.")
    unit: str | None
    device_id: UUID = Field(description="The device that measured it; it may be gone.")
    simulated_by: Simulated

    @staticmethod
    def of(record: ReadingRecord) -> Reading:
        """The reading as the store has it."""
        return Reading.model_validate(Extended(record, unit=MEASURANDS[record.measurand].unit), from_attributes=True)


class PowerSource(BaseModel):
    """A power source with the latest that devices measured of it."""

    power_source_id: UUID
    depot_id: UUID
    kind: PowerSourceKind
    name: str
    circuit_id: LinkedCircuitId
    circuit_name: str | None
    readings: list[Reading] = Field(description="The latest of each measurand that was ever received.")
    version: int = Field(description="Moves with every change; the `ETag`.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @staticmethod
    def of(record: PowerSourceRecord) -> PowerSource:
        """The power source as the store has it."""
        readings = [Reading.of(reading) for reading in record.readings]
        return PowerSource.model_validate(Extended(record, readings=readings), from_attributes=True)


class PowerSourcePage(BaseModel):
    """Power sources by id, which is the order in which they were made."""

    items: list[PowerSource]
    next_cursor: str | None


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep, scope: ScopeDep, depot_id: OfDepot = None, cursor: Cursor = None, limit: Limit = 100
) -> PowerSourcePage:
    """List power sources."""
    after = decode_id(cursor)
    async with snapshot(engine) as connection:
        found = await list_power_sources(connection, scope, depot_id=depot_id, after=after, limit=limit + 1)
    items, more = cut_page(found, limit, lambda record: record.power_source_id)
    return PowerSourcePage(items=[PowerSource.of(record) for record in items], next_cursor=more)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201) | problem_responses(*ONCE,
        ProblemCode.DEPOT_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.CIRCUIT_NOT_IN_DEPOT,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.TOO_MANY_POWER_SOURCES,
    ),
)  # fmt: skip
@tagged
async def create(
    body: PowerSourceCreate, permit: PermitDep, actor: ActorDep, engine: EngineDep, once: OnceDep
) -> PowerSource:
    """Add a power source to a depot."""
    await permit.check(depot_id=body.depot_id)

    async def make(connection: AsyncConnection) -> PowerSource:
        values = body.model_dump(exclude={"depot_id"})
        return PowerSource.of(await create_power_source(connection, actor, body.depot_id, values))

    return await once.create(engine, actor, body, PowerSource, make)


@router.get("/{power_source_id}", responses=shows_version() | problem_responses(ProblemCode.POWER_SOURCE_NOT_FOUND))
@tagged
async def read(power_source_id: PowerSourceId, engine: EngineDep) -> PowerSource:
    """Read one power source with its latest readings."""
    async with snapshot(engine) as connection:
        return PowerSource.of(await read_power_source(connection, power_source_id))


@router.patch(
    "/{power_source_id}",
    responses=shows_version()
    | conflict_responses()
    | problem_responses(
        ProblemCode.POWER_SOURCE_NOT_FOUND,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.INVALID_NAME,
        ProblemCode.CIRCUIT_NOT_IN_DEPOT,
    ),
)
@tagged
async def change(power_source_id: PowerSourceId, body: PowerSourceChange, edit: EditDep) -> PowerSource:
    """Rename a power source, change its kind, or put it on another circuit."""
    return PowerSource.of(await edit.store(update_power_source, power_source_id, body.given(), edit.expected))


@router.get("/{power_source_id}/deletion", responses=problem_responses(ProblemCode.POWER_SOURCE_NOT_FOUND))
async def deletion(power_source_id: PowerSourceId, engine: EngineDep) -> DeletionDocument:
    """Say what deleting the power source would take along now."""
    return DeletionDocument.of(await preview_deletion(engine, SubjectKind.POWER_SOURCE, power_source_id))


@router.delete(
    "/{power_source_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=conflict_responses()
    | problem_responses(ProblemCode.POWER_SOURCE_NOT_FOUND, ProblemCode.DEPOT_RETIRED, ProblemCode.DELETION_CHANGED),
)
async def remove(power_source_id: PowerSourceId, edit: EditDep, consent: Consent = None) -> None:
    """Delete a power source with its latest readings."""
    await edit.store(delete_power_source, power_source_id, edit.expected, consent)

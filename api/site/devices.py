"""Devices: list, add, change, link to a circuit, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.access.authorization import PermitDep
from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep, ScopeDep, TablesDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import conflict_responses, problem_responses
from api.base.types import (
    Body,
    Cursor,
    DeviceId,
    Limit,
    LinkedCircuitId,
    Name,
    OfDepot,
    Search,
    cut_page,
    decode_id,
    left_out,
)
from api.base.versions import EditDep, shows_version, tagged
from api.site.deletions import Consent, DeletionDocument, preview_deletion
from domain.base.names import MAX_CONTROLLER_LENGTH, MAX_ID_LENGTH, clean_sensor_id
from domain.base.problems import Problem, ProblemCode
from domain.controllers.controller_support import ControllerTables
from domain.site.deletions import SubjectKind
from store.site.devices import DeviceRecord, create_device, delete_device, list_devices, read_device, update_device

router = APIRouter(prefix="/api/devices", tags=["devices"], route_class=StrictRoute)


SensorId = Annotated[
    str,
    AfterValidator(clean_sensor_id),
    Field(
        description="The sensor's id within the gateway, exactly as in its packets.",
        json_schema_extra={"minLength": 1, "maxLength": MAX_ID_LENGTH},
    ),
]


Controller = Annotated[
    str | None,
    Field(
        max_length=MAX_CONTROLLER_LENGTH,
        description="The name of the translation table of the controller that the device is, such as `bba-1`; null: it "
        "is none, or not known which. A capability whose measurand the table lacks cannot be bound to the device.",
    ),
]


class DeviceCreate(Body):
    """A device to add, in the depot of its gateway."""

    gateway_id: UUID
    sensor_id: SensorId
    name: Name
    circuit_id: LinkedCircuitId = None
    controller: Controller = None


class DeviceChange(Body):
    """What to change of a device; what is left out stays."""

    gateway_id: UUID = Field(default_factory=left_out, description="Another gateway of the same depot.")
    sensor_id: SensorId = Field(default_factory=left_out)
    name: Name = Field(default_factory=left_out)
    circuit_id: LinkedCircuitId = Field(default_factory=left_out)
    controller: Controller = Field(default_factory=left_out)


class Device(BaseModel):
    """A device: one sensor of a gateway."""

    device_id: UUID
    depot_id: UUID
    gateway_id: UUID
    gateway_name: str
    sensor_id: str
    name: str
    circuit_id: LinkedCircuitId
    circuit_name: str | None
    controller: str | None
    version: int = Field(description="Moves with every change; the `ETag`.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @staticmethod
    def of(record: DeviceRecord) -> Device:
        """The device as the store has it."""
        return Device.model_validate(record, from_attributes=True)


def _check_controller(controller: str | None, tables: ControllerTables) -> None:
    if controller is not None and controller not in tables:
        raise Problem(ProblemCode.UNKNOWN_CONTROLLER, f"Must be one of: {', '.join(tables)}.", "controller")


class DevicePage(BaseModel):
    """Devices by id, which is the order in which they were made."""

    items: list[Device]
    next_cursor: str | None


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep,
    scope: ScopeDep,
    depot_id: OfDepot = None,
    gateway_id: Annotated[UUID | None, Query(description="Of this gateway alone.")] = None,
    search: Search = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> DevicePage:
    """List devices; `search` is a part of the name or of the sensor id."""
    after = decode_id(cursor)
    async with engine.connect() as connection:
        found = await list_devices(
            connection, scope, depot_id=depot_id, gateway_id=gateway_id, search=search, after=after, limit=limit + 1
        )
    items, more = cut_page(found, limit, lambda record: record.device_id)
    return DevicePage(items=[Device.of(record) for record in items], next_cursor=more)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201) | problem_responses(*ONCE,
        ProblemCode.GATEWAY_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.CIRCUIT_NOT_IN_DEPOT,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.SENSOR_ID_TAKEN, ProblemCode.UNKNOWN_CONTROLLER, ProblemCode.TOO_MANY_DEVICES,
    ),
)  # fmt: skip
@tagged
async def create(
    body: DeviceCreate, permit: PermitDep, actor: ActorDep, engine: EngineDep, tables: TablesDep, once: OnceDep
) -> Device:
    """Add a device to a gateway."""
    await permit.check(gateway_id=body.gateway_id)
    _check_controller(body.controller, tables)

    async def make(connection: AsyncConnection) -> Device:
        return Device.of(await create_device(connection, actor, body.model_dump()))

    return await once.create(engine, actor, body, Device, make)


@router.get("/{device_id}", responses=shows_version() | problem_responses(ProblemCode.DEVICE_NOT_FOUND))
@tagged
async def read(device_id: DeviceId, engine: EngineDep) -> Device:
    """Read one device."""
    async with engine.connect() as connection:
        return Device.of(await read_device(connection, device_id))


@router.patch(
    "/{device_id}",
    responses=shows_version() | conflict_responses() | problem_responses(
        ProblemCode.DEVICE_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.CIRCUIT_NOT_IN_DEPOT,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.GATEWAY_NOT_IN_DEPOT, ProblemCode.SENSOR_ID_TAKEN, ProblemCode.UNKNOWN_CONTROLLER,
        ProblemCode.UNSUPPORTED_BY_REVISION,
    ),
)  # fmt: skip
@tagged
async def change(device_id: DeviceId, body: DeviceChange, edit: EditDep, tables: TablesDep) -> Device:
    """Rename a device, link it to another circuit or none, move it to another gateway, or say which controller it is.

    A controller that does not send what the device is bound to supply is refused.
    """
    _check_controller(body.controller, tables)
    return Device.of(await edit.store(update_device, device_id, body.given(), tables, edit.expected))


@router.get("/{device_id}/deletion", responses=problem_responses(ProblemCode.DEVICE_NOT_FOUND))
async def deletion(device_id: DeviceId, engine: EngineDep) -> DeletionDocument:
    """Say what deleting the device would take along now."""
    return DeletionDocument.of(await preview_deletion(engine, SubjectKind.DEVICE, device_id))


@router.delete(
    "/{device_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=conflict_responses()
    | problem_responses(ProblemCode.DEVICE_NOT_FOUND, ProblemCode.DEPOT_RETIRED, ProblemCode.DELETION_CHANGED),
)
async def remove(device_id: DeviceId, edit: EditDep, consent: Consent = None) -> None:
    """Delete a device with its sensor actions. What it reported is kept in the history."""
    await edit.store(delete_device, device_id, edit.expected, consent)

"""Sensor actions: what each may be given, and their configuration on devices (COR-9.3)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, Field, WithJsonSchema
from sqlalchemy.ext.asyncio import AsyncConnection

from api.base.bodies import Document, StrictRoute
from api.base.dependencies import ActorDep, EngineDep, TablesDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import conflict_responses, problem_responses
from api.base.types import DeviceId, SensorActionId
from api.base.versions import EditDep, shows_version, tagged
from api.site.deletions import Consent, DeletionDocument, preview_deletion
from domain.base.problems import ProblemCode
from domain.monitoring.capabilities import Capability
from domain.site.deletions import SubjectKind
from domain.site.measurands import MeasurandKey
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorActionKind, action_schema
from store.site.sensor_actions import (
    SensorActionRecord,
    create_sensor_action,
    delete_sensor_action,
    list_sensor_actions,
    read_sensor_action,
    update_sensor_action,
)

router = APIRouter(prefix="/api", tags=["sensor actions"], route_class=StrictRoute)

ENABLED = {"type": "boolean", "title": "Enabled", "description": "Whether it acts on packets.", "default": True}
"""The schema of `enabled`, which every sensor action has beside its configuration."""


def _create_schema(kind: SensorActionKind) -> dict[str, Any]:
    schema = {key: value for key, value in action_schema(kind).items() if not key.startswith("$")}
    return {**schema, "properties": {**schema["properties"], "enabled": ENABLED}}


def _change_schema() -> dict[str, Any]:
    """Every field of every action. Which of them go together is checked with what the action is."""
    properties: dict[str, Any] = {}
    for kind in SensorActionKind:
        for name, schema in _create_schema(kind)["properties"].items():
            # What is left out stays, so a default would be untrue: a client that fills it in would change it.
            properties[name] = {key: value for key, value in schema.items() if key != "default"}
    keys = [key.value for spec in SENSOR_ACTIONS.values() for key in spec.measurands]
    measurands = {
        "type": "array", "title": "Measurands", "minItems": 1, "uniqueItems": True,
        "items": {"enum": sorted(set(keys))},
    }  # fmt: skip
    action = {"enum": list(SensorActionKind), "description": "As it is: it never changes."}
    version = {
        "type": ["integer", "null"],
        "description": "The version that was read; the change is refused where the action has another by now.",
    }
    return {
        "type": "object",
        "title": "SensorActionChange",
        "description": "What to change of a sensor action; what is left out stays.",
        "properties": {**properties, "action": action, "measurands": measurands, "version": version},
        "additionalProperties": False,
    }


# Plain objects, checked by the domain: it finds everything that is wrong at once, across all fields.
SensorActionCreate = Annotated[
    Document,
    WithJsonSchema({"title": "SensorActionCreate", "oneOf": [_create_schema(kind) for kind in SensorActionKind]}),
]
SensorActionChange = Annotated[Document, WithJsonSchema(_change_schema())]


class SensorActionSchema(BaseModel):
    """What one sensor action may be given."""

    action: SensorActionKind
    title: str
    description: str
    json_schema: dict[str, Any] = Field(description="JSON Schema (draft 2020-12) to draw a form from.")


class SensorActionSchemaList(BaseModel):
    """All sensor actions."""

    items: list[SensorActionSchema]
    next_cursor: str | None = Field(default=None, description="Always null: they are one page.")


class SensorAction(BaseModel):
    """A sensor action of a device."""

    sensor_action_id: UUID
    depot_id: UUID
    device_id: UUID
    action: SensorActionKind
    measurands: list[MeasurandKey]
    heartbeat_threshold_seconds: float | None = Field(description="Null where the action has no such setting.")
    fail_safe_capacity_w: float | None = Field(description="Null where the action has none, or none was given.")
    enabled: bool
    capabilities: list[Capability] = Field(
        description="What it publishes of the depot's microgrid while it is switched on, as its only owner."
    )
    version: int = Field(description="Moves with every change; the `ETag`.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @staticmethod
    def of(record: SensorActionRecord) -> SensorAction:
        """The sensor action as the store has it."""
        return SensorAction.model_validate(record, from_attributes=True)


class SensorActionList(BaseModel):
    """All sensor actions of a device, by their kind."""

    items: list[SensorAction]
    next_cursor: str | None = Field(default=None, description="Always null: a device's actions are one page.")


@router.get("/sensor-action-schemas")
async def schemas() -> SensorActionSchemaList:
    """List the sensor actions and what each may be given."""
    return SensorActionSchemaList(
        items=[
            SensorActionSchema(
                action=spec.kind, title=spec.title, description=spec.description, json_schema=action_schema(spec.kind)
            )
            for spec in SENSOR_ACTIONS.values()
        ]
    )


@router.get("/devices/{device_id}/sensor-actions", responses=problem_responses(ProblemCode.DEVICE_NOT_FOUND))
async def list_all(device_id: DeviceId, engine: EngineDep) -> SensorActionList:
    """List a device's sensor actions."""
    async with engine.connect() as connection:
        found = await list_sensor_actions(connection, device_id)
    return SensorActionList(items=[SensorAction.of(record) for record in found])


@router.post(
    "/devices/{device_id}/sensor-actions",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201) | problem_responses(*ONCE,
        ProblemCode.DEVICE_NOT_FOUND, ProblemCode.INVALID_SENSOR_ACTION, ProblemCode.SENSOR_ACTION_EXISTS,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.CAPABILITY_OWNED,
    ),
)  # fmt: skip
@tagged
async def create(
    device_id: DeviceId, body: SensorActionCreate, actor: ActorDep, engine: EngineDep, tables: TablesDep, once: OnceDep
) -> SensorAction:
    """Configure a sensor action on a device. A refusal names every field that is wrong."""

    async def make(connection: AsyncConnection) -> SensorAction:
        return SensorAction.of(await create_sensor_action(connection, actor, device_id, body, tables))

    return await once.create(engine, actor, body, SensorAction, make)


@router.get(
    "/sensor-actions/{sensor_action_id}",
    responses=shows_version() | problem_responses(ProblemCode.SENSOR_ACTION_NOT_FOUND),
)
@tagged
async def read(sensor_action_id: SensorActionId, engine: EngineDep) -> SensorAction:
    """Read one sensor action."""
    async with engine.connect() as connection:
        return SensorAction.of(await read_sensor_action(connection, sensor_action_id))


@router.patch(
    "/sensor-actions/{sensor_action_id}",
    responses=shows_version() | conflict_responses() | problem_responses(
        ProblemCode.SENSOR_ACTION_NOT_FOUND, ProblemCode.INVALID_SENSOR_ACTION, ProblemCode.VERSION_CONFLICT,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.CAPABILITY_OWNED,
    ),
)  # fmt: skip
@tagged
async def change(
    sensor_action_id: SensorActionId,
    body: SensorActionChange,
    edit: EditDep,
    tables: TablesDep,
) -> SensorAction:
    """Change measurands and settings, or switch the action on or off.

    With `version` or `If-Match`, a change by someone else in between is refused, and `context.current` has the
    present state, `context.changes` who changed which field since, and when.
    """
    return SensorAction.of(await edit.store(update_sensor_action, sensor_action_id, body, tables, edit.expected))


@router.get(
    "/sensor-actions/{sensor_action_id}/deletion", responses=problem_responses(ProblemCode.SENSOR_ACTION_NOT_FOUND)
)
async def deletion(sensor_action_id: SensorActionId, engine: EngineDep) -> DeletionDocument:
    """Say what deleting the sensor action would take along now."""
    return DeletionDocument.of(await preview_deletion(engine, SubjectKind.SENSOR_ACTION, sensor_action_id))


@router.delete(
    "/sensor-actions/{sensor_action_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=conflict_responses()
    | problem_responses(ProblemCode.SENSOR_ACTION_NOT_FOUND, ProblemCode.DEPOT_RETIRED, ProblemCode.DELETION_CHANGED),
)
async def remove(sensor_action_id: SensorActionId, edit: EditDep, consent: Consent = None) -> None:
    """Delete a sensor action. What it published stays."""
    await edit.store(delete_sensor_action, sensor_action_id, edit.expected, consent)

"""Controller bindings: which device supplies which capabilities of a microgrid (COR-39)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, Field, WithJsonSchema
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.access.authorization import PermitDep
from api.base.bodies import Document, StrictRoute
from api.base.dependencies import ActorDep, EngineDep, ScopeDep, TablesDep
from api.base.idempotency import ONCE, Once, OnceDep
from api.base.problems import FieldProblem, conflict_responses, problem_responses
from api.base.records import Extended
from api.base.types import BindingId, Cursor, Limit, OfDepot, cut_page, decode_cursor, decode_id
from api.base.versions import EditDep, shows_version, tagged
from api.site.simulated import Simulated, SimulatedByRun
from api.site.stamps import Stamped
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import also
from domain.base.violations import Violation
from domain.controllers.controller_bindings import BindingEffect, DraftValidation, EffectKind
from domain.controllers.controller_support import ControllerTables
from domain.monitoring.capabilities import Capability, CapabilityStatus
from domain.monitoring.freshness import Freshness
from domain.site.measurands import MeasurandKey
from store.base.database import snapshot
from store.controllers.binding_history import BindingChange, binding_history
from store.controllers.controller_bindings import (
    BindingRecord,
    BoundCapability,
    create_binding,
    delete_binding,
    disable_binding,
    list_bindings,
    read_binding,
    update_binding,
    validate_binding_draft,
)

router = APIRouter(prefix="/api/controller-bindings", tags=["controller bindings"], route_class=StrictRoute)

_FIELDS: dict[str, Any] = {
    "device_id": {
        "type": "string", "format": "uuid",
        "description": "The controller's device: one sensor of a gateway of the depot.",
    },
    "capabilities": {
        "type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(Capability)},
        "description": "What the device supplies, as the only one in the depot.",
    },
    "enabled": {"type": "boolean", "description": "Whether it supplies them; another device may while it does not."},
}  # fmt: skip
_SITE: dict[str, Any] = {
    "microgrid_id": {"type": ["string", "null"], "format": "uuid", "description": "The microgrid, or"},
    "depot_id": {"type": ["string", "null"], "format": "uuid", "description": "the depot whose microgrid it is."},
}
_VERSION = {
    "type": ["integer", "null"],
    "description": "The version that was read; the change is refused where the binding has another by now.",
}


def _schema(title: str, properties: dict[str, Any], *required: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "title": title,
            "type": "object",
            "properties": properties,
            "required": list(required),
            "additionalProperties": False,
        }
    )


# Plain objects, checked by the domain: it finds everything that is wrong at once, across all fields.
BindingCreate = Annotated[
    Document, _schema("ControllerBindingCreate", {**_SITE, **_FIELDS}, "device_id", "capabilities")
]
BindingChangeBody = Annotated[Document, _schema("ControllerBindingChange", {**_SITE, **_FIELDS, "version": _VERSION})]
BindingTrial = Annotated[
    Document,
    _schema(
        "ControllerBindingTrial",
        {
            "binding_id": {"type": ["string", "null"], "format": "uuid", "description": "The binding to be changed."},
            **_SITE,
            **_FIELDS,
            "version": _VERSION,
        },
    ),
]
_ChangeId = Annotated[int, Field(ge=0, le=2**63 - 1)]
Version = Annotated[int | None, Query(description="Only if the binding still has this version.")]


class LastValue(Stamped):
    """The last value that the device sent of a capability's measurand."""

    value: float | str | None = Field(description="As it was sent.")
    status: CapabilityStatus | None = Field(description="What it means; null where it means nothing.")
    simulated_by: Simulated


class SuppliedCapability(BaseModel):
    """A capability that the binding supplies, or would if it were enabled."""

    capability: Capability
    measurand: MeasurandKey
    owned: bool = Field(description="Whether this binding is the one that supplies it now.")
    last_value: LastValue | None
    age_seconds: float | None = Field(description="Of the last value; null where nothing keeps it current.")
    freshness: Freshness | None = Field(description="Null where the binding does not supply it: it is not updating.")
    stale_at: datetime | None = Field(description="The last moment at which the last value is still fresh.")

    @staticmethod
    def of(record: BoundCapability) -> SuppliedCapability:
        """The capability as the store has it."""
        last, age = record.last, record.timeliness
        extended = Extended(
            record,
            last_value=None
            if last is None
            else LastValue(
                value=last.value,
                status=record.status,
                observed_at=last.observed_at,
                received_at=last.received_at,
                simulated_by=last.simulated_by and SimulatedByRun.model_validate(last.simulated_by),
            ),
            age_seconds=None if age is None else age.age.total_seconds(),
            freshness=None if age is None else age.freshness,
            stale_at=None if age is None else age.stale_at,
        )
        return SuppliedCapability.model_validate(extended, from_attributes=True)


class BoundDevice(BaseModel):
    """The controller's device."""

    device_id: UUID
    name: str
    sensor_id: str
    controller: str | None
    gateway_id: UUID
    gateway_name: str


class BindingPacket(Stamped):
    """The last packet that the device was in."""

    simulated_by: Simulated

    packet_id: UUID


class ControllerBinding(BaseModel):
    """A binding: the device's sensor action `UPDATE_MICROGRID_STATE`, seen from the microgrid."""

    binding_id: UUID = Field(description="The id of that sensor action.")
    depot_id: UUID
    depot_name: str
    microgrid_id: UUID | None = Field(description="The depot's microgrid; null: it has none yet.")
    device: BoundDevice
    capabilities: list[SuppliedCapability]
    enabled: bool
    version: int = Field(description="Moves with every change; the `ETag`.")
    last_packet: BindingPacket | None = Field(description="Null: no packet ever had the device.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @staticmethod
    def of(record: BindingRecord) -> ControllerBinding:
        """The binding as the store has it."""
        extended = Extended(
            record,
            device=Extended(record, name=record.device_name),
            capabilities=[SuppliedCapability.of(each) for each in record.capabilities],
        )
        return ControllerBinding.model_validate(extended, from_attributes=True)


class ControllerBindingPage(BaseModel):
    """Bindings by id, which is the order in which they were made."""

    items: list[ControllerBinding]
    next_cursor: str | None


class Effect(BaseModel):
    """What saving does to who supplies a capability."""

    capability: Capability
    effect: EffectKind
    before_device_id: UUID | None
    before_device_name: str | None
    after_device_id: UUID | None
    after_device_name: str | None

    @staticmethod
    def of(effect: BindingEffect) -> Effect:
        """Make the document of an effect."""
        return Effect.model_validate(effect, from_attributes=True)


class Judgement(BaseModel):
    """What a new binding, or a change of one, would do. Nothing was stored."""

    valid: bool
    errors: list[FieldProblem] = Field(description="Everything that is wrong, each with its field and stable code.")
    warnings: list[FieldProblem] = Field(description="What does not stop it, and is worth a look.")
    effects: list[Effect] = Field(description="Of every capability; what is refused has none.")

    @staticmethod
    def of(found: DraftValidation) -> Judgement:
        """Make the document of the result of a validation."""

        def reported(violations: Iterable[Violation]) -> list[FieldProblem]:
            return [FieldProblem.of(each) for each in violations]

        return Judgement(
            valid=found.form is not None,
            errors=reported(found.violations),
            warnings=reported(found.warnings),
            effects=[Effect.of(each) for each in found.effects],
        )


class BindingChangeKind(StrEnum):
    """What was done to a binding."""

    CREATED = "CREATED"
    CHANGED = "CHANGED"
    DELETED = "DELETED"


class FieldChange(BaseModel):
    """One field before and after."""

    field: str
    before: Any
    after: Any


class BindingChangeDocument(BaseModel):
    """Who changed what of a binding, and when."""

    at: datetime
    actor: str
    what: BindingChangeKind
    fields: list[FieldChange]

    @staticmethod
    def of(record: BindingChange) -> BindingChangeDocument:
        """The change as the journal has it."""
        fields = [
            FieldChange(field=name, before=before, after=after) for name, (before, after) in record.fields.items()
        ]
        return BindingChangeDocument(
            at=record.at, actor=record.actor, what=BindingChangeKind(record.what), fields=fields
        )


class BindingChangePage(BaseModel):
    """Changes, the last first."""

    items: list[BindingChangeDocument]
    next_cursor: str | None


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep,
    scope: ScopeDep,
    depot_id: OfDepot = None,
    microgrid_id: Annotated[UUID | None, Query(description="Of this microgrid alone.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ControllerBindingPage:
    """List bindings."""
    after = decode_id(cursor)
    async with snapshot(engine) as connection:
        found = await list_bindings(
            connection, scope, depot_id=depot_id, microgrid_id=microgrid_id, after=after, limit=limit + 1
        )
    items, more = cut_page(found, limit, lambda record: record.binding_id)
    return ControllerBindingPage(items=[ControllerBinding.of(each) for each in items], next_cursor=more)


def _named(body: Mapping[str, Any]) -> dict[str, UUID]:
    """What a body names that belongs to a depot. An invalid id is reported with the other errors."""
    found: dict[str, UUID] = {}
    for name in ("depot_id", "microgrid_id", "device_id"):
        with suppress(ValueError):
            found[name] = UUID(str(body.get(name)))
    return found


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201)
    | problem_responses(*ONCE, ProblemCode.DEPOT_RETIRED, ProblemCode.INVALID_CONTROLLER_BINDING),
)
@tagged
async def create(
    body: BindingCreate, permit: PermitDep, actor: ActorDep, engine: EngineDep, tables: TablesDep, once: OnceDep
) -> ControllerBinding:
    """Bind a device to a microgrid. A refusal names every field that is wrong."""
    await permit.check(**_named(body))
    return await bind(body, actor, engine, tables, once)


async def bind(
    body: Mapping[str, Any], actor: Actor, engine: AsyncEngine, tables: ControllerTables, once: Once
) -> ControllerBinding:
    """Bind a device, where this is permitted."""

    async def make(connection: AsyncConnection) -> ControllerBinding:
        return ControllerBinding.of(await create_binding(connection, actor, body, tables))

    return await once.create(engine, actor, body, ControllerBinding, make)


@router.post("/validate", responses=problem_responses(ProblemCode.BINDING_NOT_FOUND))
async def validate(body: BindingTrial, permit: PermitDep, engine: EngineDep, tables: TablesDep) -> Judgement:
    """Say what a new binding, or with `binding_id` a change of one, would do, and what is wrong with it."""
    given = dict(body)
    binding_id = _binding_id(given.pop("binding_id", None))
    await permit.check(**_named(body), binding_id=binding_id)
    return await validate_draft(given, binding_id, engine, tables)


async def validate_draft(
    draft: Mapping[str, Any], binding_id: UUID | None, engine: AsyncEngine, tables: ControllerTables
) -> Judgement:
    """Say what a new binding, or a change of the one with this id, would do, where this is permitted."""
    async with snapshot(engine) as connection:
        return Judgement.of(await validate_binding_draft(connection, draft, tables, binding_id))


def _binding_id(given: object) -> UUID | None:
    if given is None:
        return None
    try:
        return UUID(str(given))
    except ValueError as error:
        raise Problem(ProblemCode.INVALID_REQUEST, "Must be an id.", "binding_id") from error


# Only an id is a binding's address, so that "validate" is none and other methods of it are refused as such.
@router.get("/{binding_id:uuid}", responses=shows_version() | problem_responses(ProblemCode.BINDING_NOT_FOUND))
@tagged
async def read(binding_id: BindingId, engine: EngineDep) -> ControllerBinding:
    """Read one binding."""
    async with snapshot(engine) as connection:
        return ControllerBinding.of(await read_binding(connection, binding_id))


_CHANGED = (
    shows_version()
    | conflict_responses()
    | problem_responses(
        ProblemCode.BINDING_NOT_FOUND,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.INVALID_CONTROLLER_BINDING,
        ProblemCode.VERSION_CONFLICT,
    )
)


@router.patch("/{binding_id:uuid}", responses=_CHANGED)
@tagged
async def change(binding_id: BindingId, body: BindingChangeBody, edit: EditDep, tables: TablesDep) -> ControllerBinding:
    """Change device, capabilities or enablement. Another device takes over at once what the binding supplies.

    With `version` or `If-Match`, a change by someone else in between is refused: `context.current` has the
    present state, `context.changes` who changed which field since, and when.
    """
    return ControllerBinding.of(await edit.store(update_binding, binding_id, body, tables, edit.expected))


@router.post("/{binding_id:uuid}/enable", responses=_CHANGED)
@tagged
async def enable(binding_id: BindingId, edit: EditDep, tables: TablesDep, version: Version = None) -> ControllerBinding:
    """Let the device supply its capabilities. Refused where another device does."""
    given = {"enabled": True, "version": version}
    return ControllerBinding.of(await edit.store(update_binding, binding_id, given, tables, edit.expected))


@router.post(
    "/{binding_id:uuid}/disable",
    responses=shows_version()
    | conflict_responses()
    | problem_responses(ProblemCode.BINDING_NOT_FOUND, ProblemCode.DEPOT_RETIRED, ProblemCode.VERSION_CONFLICT),
)
@tagged
async def disable(binding_id: BindingId, edit: EditDep, version: Version = None) -> ControllerBinding:
    """Let the device supply nothing. What it supplied stays to be seen, as not updating."""
    return ControllerBinding.of(await edit.store(disable_binding, binding_id, also(edit.expected, version)))


@router.delete(
    "/{binding_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=conflict_responses()
    | problem_responses(ProblemCode.BINDING_NOT_FOUND, ProblemCode.DEPOT_RETIRED, ProblemCode.VERSION_CONFLICT),
)
async def remove(binding_id: BindingId, edit: EditDep, version: Version = None) -> None:
    """Delete a binding, which is the device's sensor action. What it supplied stays in the history."""
    await edit.store(delete_binding, binding_id, also(edit.expected, version))


@router.get(
    "/{binding_id:uuid}/history", responses=problem_responses(ProblemCode.BINDING_NOT_FOUND, ProblemCode.INVALID_CURSOR)
)
async def history(
    binding_id: BindingId, engine: EngineDep, cursor: Cursor = None, limit: Limit = 100
) -> BindingChangePage:
    """List who changed what of a binding, and when, the last first."""
    before = decode_cursor(cursor, tuple[_ChangeId])
    async with snapshot(engine) as connection:
        binding = await read_binding(connection, binding_id)
        found = await binding_history(
            connection,
            binding.depot_id,
            binding_id=binding_id,
            before=None if before is None else before[0],
            limit=limit + 1,
        )
    items, more = cut_page(found, limit, lambda record: record.change_id)
    return BindingChangePage(items=[BindingChangeDocument.of(each) for each in items], next_cursor=more)

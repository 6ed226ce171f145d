"""Gateways: list, add, change, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncConnection

from api.access.authorization import PermitDep
from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import conflict_responses, problem_responses
from api.base.types import Body, Cursor, GatewayId, Limit, Name, OfDepot, cut_page, decode_id, left_out
from api.base.versions import EditDep, shows_version, tagged
from api.site.deletions import Consent, DeletionDocument, preview_deletion
from domain.base.problems import Problem, ProblemCode
from domain.base.strict_json import faults_in
from domain.site.deletions import SubjectKind
from domain.site.routing import MAX_TRANSLATION_LENGTH, fits
from store.base.database import snapshot
from store.site.gateways import (
    GatewayRecord,
    create_gateway,
    delete_gateway,
    list_gateways,
    read_gateway,
    update_gateway,
)
from store.site.site_overview import MOST_UNKNOWN, list_unknown_sensors

router = APIRouter(prefix="/api/gateways", tags=["gateways"], route_class=StrictRoute)


def _storable(value: object) -> object:
    violations = tuple(faults_in(value, "/output_translation", 1))
    if violations:
        raise Problem(
            ProblemCode.INVALID_OUTPUT_TRANSLATION,
            "The output translation holds what cannot be stored; `errors` says where.",
            violations=violations,
        )
    if not fits(value):
        raise Problem(
            ProblemCode.INVALID_OUTPUT_TRANSLATION,
            f"An output translation has at most {MAX_TRANSLATION_LENGTH:,} characters as JSON.",
            "output_translation",
        )
    return value


Model = Annotated[
    Name | None, Field(description="The gateway's model; null for most, and no rule of the product depends on it.")
]
Translation = Annotated[
    dict[str, Any] | None,
    # Before it is copied, which takes the marks of what cannot be stored off.
    BeforeValidator(_storable),
    Field(
        description="The fallback that names the power source if nothing else determines it.",
        examples=[{"power_source_id": "0190a5d0-0000-7000-8000-000000000001"}],
    ),
]


class GatewayCreate(Body):
    """A gateway to add."""

    depot_id: UUID
    name: Name
    site_model_name: Model = None
    output_translation: Translation = None


class GatewayChange(Body):
    """What to change of a gateway; what is left out stays."""

    name: Name = Field(default_factory=left_out)
    site_model_name: Model = Field(default_factory=left_out)
    output_translation: Translation = Field(default_factory=left_out)


class Gateway(BaseModel):
    """A gateway."""

    gateway_id: UUID
    depot_id: UUID
    name: str
    site_model_name: str | None
    output_translation: JsonValue
    version: int = Field(description="Moves with every change; the `ETag`.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @staticmethod
    def of(record: GatewayRecord) -> Gateway:
        """The gateway as the store has it."""
        return Gateway.model_validate(record, from_attributes=True)


class GatewayPage(BaseModel):
    """Gateways by id, which is the order in which they were made."""

    items: list[Gateway]
    next_cursor: str | None


class UnknownSensor(BaseModel):
    """A sensor that packets have and that no device stands for."""

    model_config = ConfigDict(from_attributes=True)

    sensor_id: str
    last_packet_at: datetime = Field(description="The effective time of the last packet that it was in.")


class UnknownSensorList(BaseModel):
    """Sensors that no device stands for, by their ids."""

    items: list[UnknownSensor] = Field(description=f"At most {MOST_UNKNOWN} of a gateway are noted.")
    next_cursor: str | None = Field(default=None, description="Always null: they are one page.")


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep, scope: ScopeDep, depot_id: OfDepot = None, cursor: Cursor = None, limit: Limit = 100
) -> GatewayPage:
    """List gateways."""
    after = decode_id(cursor)
    async with engine.connect() as connection:
        found = await list_gateways(connection, scope, depot_id=depot_id, after=after, limit=limit + 1)
    items, more = cut_page(found, limit, lambda record: record.gateway_id)
    return GatewayPage(items=[Gateway.of(record) for record in items], next_cursor=more)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201) | problem_responses(*ONCE,
        ProblemCode.DEPOT_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.INVALID_OUTPUT_TRANSLATION,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.TOO_MANY_GATEWAYS, ProblemCode.BODY_TOO_LARGE,
    ),
)  # fmt: skip
@tagged
async def create(body: GatewayCreate, permit: PermitDep, actor: ActorDep, engine: EngineDep, once: OnceDep) -> Gateway:
    """Add a gateway to a depot."""
    await permit.check(depot_id=body.depot_id)

    async def make(connection: AsyncConnection) -> Gateway:
        values = body.model_dump(exclude={"depot_id"})
        return Gateway.of(await create_gateway(connection, actor, body.depot_id, values))

    return await once.create(engine, actor, body, Gateway, make)


@router.get("/{gateway_id}", responses=shows_version() | problem_responses(ProblemCode.GATEWAY_NOT_FOUND))
@tagged
async def read(gateway_id: GatewayId, engine: EngineDep) -> Gateway:
    """Read one gateway."""
    async with engine.connect() as connection:
        return Gateway.of(await read_gateway(connection, gateway_id))


@router.patch(
    "/{gateway_id}",
    responses=shows_version() | conflict_responses() | problem_responses(
        ProblemCode.GATEWAY_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.INVALID_OUTPUT_TRANSLATION,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.BODY_TOO_LARGE,
    ),
)  # fmt: skip
@tagged
async def change(gateway_id: GatewayId, body: GatewayChange, edit: EditDep) -> Gateway:
    """Rename a gateway, or change its model or its output translation."""
    return Gateway.of(await edit.store(update_gateway, gateway_id, body.given(), edit.expected))


@router.get("/{gateway_id}/unknown-sensors", responses=problem_responses(ProblemCode.GATEWAY_NOT_FOUND))
async def unknown_sensors(gateway_id: GatewayId, engine: EngineDep) -> UnknownSensorList:
    """List the sensors of the gateway's packets of the last 7 days that no device stands for."""
    async with snapshot(engine) as connection:
        gateway = await read_gateway(connection, gateway_id)
        found = await list_unknown_sensors(connection, gateway.depot_id, MOST_UNKNOWN, gateway_id)
    return UnknownSensorList(items=[UnknownSensor.model_validate(each) for each in found])


@router.get("/{gateway_id}/deletion", responses=problem_responses(ProblemCode.GATEWAY_NOT_FOUND))
async def deletion(gateway_id: GatewayId, engine: EngineDep) -> DeletionDocument:
    """Say what deleting the gateway would take along now."""
    return DeletionDocument.of(await preview_deletion(engine, SubjectKind.GATEWAY, gateway_id))


@router.delete(
    "/{gateway_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=conflict_responses()
    | problem_responses(
        ProblemCode.GATEWAY_NOT_FOUND,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.DELETION_CHANGED,
        ProblemCode.GATEWAY_HAS_DEVICES,
    ),
)
async def remove(
    gateway_id: GatewayId,
    edit: EditDep,
    cascade: Annotated[bool, Query(description="Delete its devices as well.")] = False,
    consent: Consent = None,
) -> None:
    """Delete a gateway. What its devices reported is kept in the history."""
    await edit.store(delete_gateway, gateway_id, cascade=cascade, expected=edit.expected, consent=consent)

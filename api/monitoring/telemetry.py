"""Packet ingest over HTTP, and the packets that were received."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from api.access.senders import RUN_HEADER, sender_of
from api.base.access import current_principal
from api.base.dependencies import EngineDep, IngestDep, PrincipalDep, ScopeDep, resources_of
from api.base.problems import FieldProblem, problem_response, problem_responses
from api.base.types import Cursor, Limit, Moment, decode_cursor, encode_cursor
from api.edge.fast_path import FastRoute
from api.edge.large import large_document
from api.site.simulated import Simulated
from api.site.stamps import Stamped
from domain.base.problems import ProblemCode
from domain.monitoring.packet_schema import packet_schema
from domain.monitoring.repeats import Repeat
from domain.site.action_outcomes import ActionOutcome
from domain.site.measurands import MeasurandKey
from domain.site.routing import RoutingRule
from domain.site.sensor_actions import SensorActionKind
from store.monitoring.packets import PacketRecord, list_packets
from telemetry.answers import PacketStatus, field_errors, items_text, sole_refusal
from telemetry.intake import MAX_PACKETS, ingest_packets, read_in

router = APIRouter(prefix="/api/telemetry", tags=["telemetry"])


class MeasurandAnswerDocument(BaseModel):
    """What a sensor action did with one measurand."""

    measurand: MeasurandKey
    outcome: ActionOutcome
    code: str | None


class ActionAnswerDocument(BaseModel):
    """What one sensor action did with the packet."""

    sensor_id: str
    device_id: UUID
    sensor_action_id: UUID
    action: SensorActionKind
    outcome: ActionOutcome
    code: str | None = Field(description="Why it was not applied.")
    measurands: list[MeasurandAnswerDocument]
    rule: RoutingRule | None = Field(description="How the power source was found.")
    target_id: UUID | None = Field(description="The microgrid, power source or circuit.")


class PacketProblem(BaseModel):
    """Why a packet was refused."""

    code: ProblemCode
    detail: str
    errors: list[FieldProblem]


class PacketAnswer(BaseModel):
    """What became of one packet."""

    index: int = Field(description="The packet's place in the array.")
    status: PacketStatus
    packet_id: UUID | None
    actions: list[ActionAnswerDocument]
    unknown_sensors: list[str] = Field(description="Sensors that no device stands for; kept, acted on by nothing.")
    problem: PacketProblem | None


class PacketAnswers(BaseModel):
    """What became of each packet, in its order."""

    items: list[PacketAnswer]


class StoredPacket(Stamped):
    """A packet as it came, with what was answered."""

    packet_id: UUID
    gateway_id: UUID
    document: dict[str, Any]
    actions: list[ActionAnswerDocument]
    repeat: Repeat | None = Field(
        description="`REPEATED`: it brought readings that came before, as they were. `CONFLICTING`: it brought another "
        "value for one; the first counts. Null: its readings came for the first time."
    )
    repeat_of: UUID | None = Field(description="The packet that brought them first.")
    simulated_by: Simulated


class StoredPacketPage(BaseModel):
    """Packets, the last measured first."""

    items: list[StoredPacket]
    next_cursor: str | None


_TEXT_OF_AN_ITEM = 300
"""Characters of a packet that are about the work of one item of another list."""
_SURROGATES = r"\ud800-\udfff"
_ANYTHING = "#/$defs/anything"


def _in_document(schema: Any) -> Any:
    """The same schema as an OpenAPI document has it, for tools that know less than JSON Schema.

    References are the document's own. Whatever an unknown key holds is any value: a type that holds itself is more than
    most generators can name. Half a surrogate pair cannot be sent as UTF-8, and in a pattern few programs can read it.
    """
    if not isinstance(schema, dict):
        return [_in_document(each) for each in schema] if isinstance(schema, list) else schema
    if schema.get("$ref") == _ANYTHING:
        return {}
    made = {key: _in_document(value) for key, value in schema.items() if key not in ("$schema", "$id", "$defs")}
    if "$ref" in made:
        made["$ref"] = f"#/components/schemas/{_definition(made['$ref'].removeprefix('#/$defs/'))}"
    if "pattern" in made:
        made["pattern"] = made["pattern"].replace(_SURROGATES, "")
    return made


def _definition(name: str) -> str:
    return f"Packet{name.capitalize()}"


_EXAMPLE = {
    "device_id": "0198c3a5-6d52-7c11-9f0e-2a4b8c1d3e5f",
    "timestamp": 1_772_438_100_000,
    "sensors": [
        {"sensor_id": "mgc-1", "measurands": [{"key": "LIMIT_PEAK_SHAVING", "value": "true", "unit": None}]},
        {"sensor_id": "em-1", "measurands": [{"key": "TOTAL_POWER_LOAD", "value": 184_500, "unit": "W"}]},
    ],
}
_SCHEMA = packet_schema()
PACKET_SCHEMAS: dict[str, Any] = {
    "Packet": _in_document(_SCHEMA) | {"examples": [_EXAMPLE]},
    **{
        _definition(name): _in_document(schema)
        for name, schema in _SCHEMA["$defs"].items()
        if f"#/$defs/{name}" != _ANYTHING
    },
}
"""The packet contract as schemas of the OpenAPI document."""
_PACKET = {"$ref": "#/components/schemas/Packet"}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"anyOf": [_PACKET, {"type": "array", "items": _PACKET, "minItems": 1, "maxItems": MAX_PACKETS}]}
        }
    },
}


@router.post(
    "/packets",
    response_model=PacketAnswers,
    openapi_extra={"requestBody": _BODY},
    responses=problem_responses(
        ProblemCode.INVALID_JSON, ProblemCode.INVALID_PACKET, ProblemCode.TIMESTAMP_IN_FUTURE,
        ProblemCode.TIMESTAMP_TOO_OLD, ProblemCode.UNKNOWN_DEVICE, ProblemCode.BODY_TOO_LARGE,
        ProblemCode.FOREIGN_GATEWAY, ProblemCode.TOO_MANY_PACKETS, ProblemCode.RUN_NOT_RUNNING,
        ProblemCode.DEPOT_RETIRED,
    ),
)  # fmt: skip
async def take(request: Request, principal: PrincipalDep, engine: EngineDep, ingest: IngestDep) -> Response:
    """Take one IoT sensor packet, or an array of them.

    An accepted packet is committed when this answers. One bad packet in an array does not stop the others; a bad
    packet that comes alone is the answer's problem. Sending a packet again does no harm.

    A gateway sends packets of itself alone, a program those of the gateways at its depots; nothing is stored of others.
    """
    sender = await sender_of(engine, principal, request.headers.get(RUN_HEADER))
    raw = await request.body()
    body = await read_in(raw, principal.actor, datetime.now(UTC), sender.may_send, sender.scenario_run_id)
    intake = await ingest_packets(ingest, body)
    refused = sole_refusal(intake)
    if refused is not None:
        errors = [FieldProblem.model_validate(error) for error in field_errors(refused.violations)]
        return problem_response(refused.code, refused.detail, errors)
    return Response(items_text(intake), media_type="application/json")


async def _take_on_fast_path(request: Request, _: dict[str, str]) -> Response:
    resources = resources_of(request.app)
    return await take(request, await current_principal(request), resources.engine, resources.ingest)


_SEND = "/api/telemetry/packets"
FAST_ROUTES = (FastRoute("POST", "send_packets", _SEND, re.compile(_SEND), _take_on_fast_path),)


@router.get("/packets", response_model=StoredPacketPage, responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep,
    scope: ScopeDep,
    gateway_id: Annotated[UUID, Query(description="Whose packets.")],
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List a gateway's packets as they came, the last measured first, with what each sensor action answered.

    A page of large packets has fewer than `limit`; as ever, `next_cursor` says whether there are more.
    """
    before = decode_cursor(cursor, tuple[Moment, UUID])
    async with engine.connect() as connection:
        found, has_more = await list_packets(connection, scope, gateway_id, before=before, limit=limit)
    more = encode_cursor(found[-1].observed_at.isoformat(), found[-1].packet_id) if has_more else None
    return await large_document(
        sum(len(record.document) for record in found) // _TEXT_OF_AN_ITEM,
        lambda: StoredPacketPage(items=[_stored(record) for record in found], next_cursor=more),
    )


def _stored(record: PacketRecord) -> StoredPacket:
    return StoredPacket.model_validate({**asdict(record), "document": json.loads(record.document)})

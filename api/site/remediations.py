"""Remediations: what stops updates by a site's configuration, and what to do about it (COR-9.7)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.types import Cursor, Limit, OfDepot, RemediationId, decode_cursor, encode_cursor
from api.site.simulated import SimulatedByRun
from domain.base.problems import ProblemCode
from domain.site.remediations import Mend, RemediationCode, Severity
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorActionKind
from store.base.database import snapshot, transaction
from store.site.remediations import (
    RemediationRecord,
    RemediationState,
    key_of,
    list_remediations,
    resolve_remediation,
)

router = APIRouter(prefix="/api/remediations", tags=["remediations"])


Rank = Annotated[int, Field(ge=1, le=len(Severity))]
"""A severity in the cursor of a list."""


class StateFilter(StrEnum):
    """Which remediations to list."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    ALL = "ALL"


class CandidateDocument(BaseModel):
    """A power source between which it could not be decided."""

    power_source_id: UUID
    name: str | None = Field(description="Null: it is gone.")


class Remediation(BaseModel):
    """What stops a sensor action. A name is null where its subject is gone."""

    remediation_id: UUID
    state: RemediationState
    code: RemediationCode
    what: str = Field(description="What is wrong, for people.")
    to_do: str = Field(description="What mends it, for people.")
    severity: Severity = Field(description="What follows while it stays open: the list has the worst first.")
    mends: list[Mend] = Field(description="What mends it, in the order in which `to_do` says it.")
    mended: bool | None = Field(
        description="Whether the configuration stops it no more: the next packet closes it. Null: it is closed."
    )
    depot_id: UUID
    depot_name: str | None
    gateway_id: UUID
    gateway_name: str | None
    device_id: UUID
    device_name: str | None
    circuit_id: UUID | None = Field(description="The device's linked circuit.")
    sensor_action_id: UUID
    action: SensorActionKind
    action_title: str
    candidates: list[CandidateDocument]
    since: datetime = Field(description="When it was opened.")
    last_seen_at: datetime = Field(description="When a packet was last stopped by it.")
    times: int = Field(description="How many packets it stopped.")
    closed_at: datetime | None
    closed_by: str | None
    simulated_by: Annotated[
        SimulatedByRun | None,
        Field(description="The scenario run that sent the last packet that was stopped. Null: no simulated one."),
    ]

    @staticmethod
    def of(record: RemediationRecord) -> Remediation:
        """The remediation as the store has it, in words."""
        extended = Extended(
            record,
            state=RemediationState.OPEN if record.closed_at is None else RemediationState.CLOSED,
            what=record.code.what,
            to_do=record.code.to_do,
            mends=record.code.mends,
            action_title=SENSOR_ACTIONS[record.action].title,
            since=record.opened_at,
        )
        return Remediation.model_validate(extended, from_attributes=True)


class RemediationPage(BaseModel):
    """Remediations: the open ones by severity, the worst first; of one severity, and else, those opened last first."""

    items: list[Remediation]
    next_cursor: str | None


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep,
    scope: ScopeDep,
    depot_id: OfDepot = None,
    state: Annotated[StateFilter, Query()] = StateFilter.OPEN,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> RemediationPage:
    """List remediations: the open ones, the worst first, unless asked otherwise."""
    after = decode_cursor(cursor, tuple[Rank, UUID])
    wanted = None if state is StateFilter.ALL else RemediationState(state)
    async with snapshot(engine) as connection:
        found = await list_remediations(
            connection, scope, depot_id=depot_id, state=wanted, after=after, limit=limit + 1
        )
    items = found[:limit]
    more = encode_cursor(*key_of(items[-1])) if len(found) > limit else None
    return RemediationPage(items=[Remediation.of(record) for record in items], next_cursor=more)


@router.post(
    "/{remediation_id}/resolve",
    responses=problem_responses(ProblemCode.REMEDIATION_NOT_FOUND, ProblemCode.DEPOT_RETIRED),
)
async def resolve(remediation_id: RemediationId, actor: ActorDep, engine: EngineDep) -> Remediation:
    """Close a remediation by hand. One that is closed stays as it is; the next packet that is stopped opens another."""
    async with transaction(engine, actor) as connection:
        return Remediation.of(await resolve_remediation(connection, actor, remediation_id))

"""What a device really sends, and what its sensor actions write to today."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.base.dependencies import EngineDep
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.types import DeviceId
from api.site.simulated import Simulated
from api.site.stamps import Stamped
from domain.base.problems import ProblemCode
from domain.site.measurands import ReadingCode
from domain.site.remediations import RemediationCode
from domain.site.resolution import Resolved
from domain.site.routing import RoutingRule
from domain.site.sensor_actions import ActionTarget, SensorActionKind
from store.base.database import snapshot
from store.monitoring.device_reports import ReportedValue, read_reports
from store.site.devices import read_device
from store.site.resolutions import ResolutionRecord, read_resolutions

router = APIRouter(prefix="/api/devices", tags=["devices"])


class ResolutionState(StrEnum):
    """Whether a sensor action has something to write to."""

    RESOLVED = "RESOLVED"
    REMEDIATION = "REMEDIATION"
    """The site's configuration stops it."""
    OFF = "OFF"
    """It is switched off."""


class ResolutionCandidate(BaseModel):
    """A power source between which it cannot be decided."""

    power_source_id: UUID
    name: str


class Remedy(BaseModel):
    """What stops a sensor action, and what mends it."""

    code: RemediationCode
    what: str
    to_do: str
    candidates: list[ResolutionCandidate]


class Resolution(BaseModel):
    """What one sensor action writes to today: what it would do with the next packet."""

    sensor_action_id: UUID
    action: SensorActionKind
    state: ResolutionState
    target: ActionTarget = Field(description="What kind of thing the action writes to.")
    target_id: UUID | None
    target_name: str | None = Field(description="Of a microgrid, its depot's.")
    rule: RoutingRule | None = Field(description="How the power source was found.")
    remediation: Remedy | None

    @staticmethod
    def of(record: ResolutionRecord) -> Resolution:
        """The resolution as the store has it."""
        found = record.found
        remedy = None
        if found is None:
            state = ResolutionState.OFF
        elif isinstance(found, Resolved):
            state = ResolutionState.RESOLVED
        else:
            state = ResolutionState.REMEDIATION
            candidates = [ResolutionCandidate(power_source_id=each, name=name) for each, name in record.candidates]
            remedy = Remedy(code=found.code, what=found.code.what, to_do=found.code.to_do, candidates=candidates)
        extended = Extended(
            record,
            state=state,
            target_id=found.target_id if isinstance(found, Resolved) else None,
            rule=found.rule if isinstance(found, Resolved) else None,
            remediation=remedy,
        )
        return Resolution.model_validate(extended, from_attributes=True)


class ResolutionList(BaseModel):
    """The resolutions of all sensor actions of a device, by their kind."""

    items: list[Resolution]
    next_cursor: str | None = Field(default=None, description="Always null: a device's actions are one page.")


class Reported(Stamped):
    """The last value of a measurand that a device sent, as it was sent."""

    key: str
    value: float | str | None
    unit: str | None
    standard: bool = Field(description="Whether the packet contract knows the key; no action takes another.")
    unreadable: ReadingCode | None = Field(description="Why the value cannot be used.")
    simulated_by: Simulated

    @staticmethod
    def of(value: ReportedValue) -> Reported:
        """The value as the store has it."""
        unreadable = value.unreadable
        extended = Extended(
            value,
            standard=value.standard is not None,
            unreadable=None if unreadable is None else unreadable.code,
        )
        return Reported.model_validate(extended, from_attributes=True)


class ReportedList(BaseModel):
    """What a device sent in the last packets of its gateway, the standard measurands first."""

    items: list[Reported]
    next_cursor: str | None = Field(default=None, description="Always null: they are one page.")


@router.get("/{device_id}/resolution", responses=problem_responses(ProblemCode.DEVICE_NOT_FOUND))
async def list_resolutions(device_id: DeviceId, engine: EngineDep) -> ResolutionList:
    """Say what each sensor action writes to under today's configuration, by which rule, or what stops it."""
    async with snapshot(engine) as connection:
        found = await read_resolutions(connection, device_id)
    return ResolutionList(items=[Resolution.of(record) for record in found])


@router.get("/{device_id}/measurands", responses=problem_responses(ProblemCode.DEVICE_NOT_FOUND))
async def list_reported(device_id: DeviceId, engine: EngineDep) -> ReportedList:
    """List what the device really sends, from the last packets of its gateway."""
    async with snapshot(engine) as connection:
        await read_device(connection, device_id)
        report = (await read_reports(connection, (device_id,))).get(device_id)
    return ReportedList(items=[] if report is None else [Reported.of(each) for each in report.values.values()])

"""The overview of a fleet: what needs attention, how much of it there is, and the load beside the capacity."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.base.dependencies import EngineDep, ScopeDep
from api.base.problems import problem_responses
from api.base.types import DepotId
from api.site.simulated import Simulated, SimulatedByRun
from domain.base.problems import ProblemCode
from domain.monitoring.alarms import MENDED_AT, AlarmKind, MendedAt, rank
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from store.base.database import snapshot
from store.site.depots import read_depot
from store.site.fleet.fleet_alarms import WORST, DepotAlarms, count_alarms, list_worst, read_alarms
from store.site.fleet.fleet_list import count_fleet
from store.site.fleet.fleet_load import read_fleet_load

router = APIRouter(prefix="/api", tags=["overview"])


class Alarm(BaseModel):
    """Something of a depot that needs attention."""

    kind: AlarmKind = Field(description="What is wrong.")
    priority: int = Field(description="How soon somebody should do something: 1 high, 2 medium, 3 low.")
    since: datetime = Field(
        description="Since when; of several things, when the first of them began. Of a silence, the last packet."
    )
    count: int = Field(description="How many: controllers, circuits, remediations. 1 of what a depot has once.")
    mended_at: MendedAt
    simulated_by: Simulated


class DepotInAlarm(BaseModel):
    """A depot that needs attention."""

    depot_id: UUID
    depot_name: str
    timezone: str
    priority: int = Field(description="The highest priority of its alarms, the lowest number: 1 high, 2 medium, 3 low.")
    since: datetime = Field(description="Since when it has an alarm of that priority.")
    alarms: list[Alarm] = Field(description="All its alarms, those of the highest priority first.")

    def since_of(self, kind: AlarmKind) -> datetime | None:
        """Since when it has an alarm of a kind; None: it has none."""
        return next((each.since for each in self.alarms if each.kind == kind), None)

    @staticmethod
    def of(found: DepotAlarms) -> DepotInAlarm:
        """The depot as the store has it."""
        ranked = rank(found.alarms)
        assert ranked is not None
        return DepotInAlarm(
            depot_id=found.depot_id,
            depot_name=found.depot_name,
            timezone=found.timezone,
            priority=ranked[0],
            since=ranked[1],
            alarms=alarms_of(found),
        )


class DepotAlarmList(BaseModel):
    """What of a depot needs attention, the highest priority first."""

    items: list[Alarm]


class Overview(BaseModel):
    """A fleet at a glance: the depots that may be seen."""

    depots: int = Field(description="All depots.")
    in_alarm: int = Field(description="Depots that need attention.")
    high_priority: int = Field(description="Depots with an alarm of high priority.")
    stale: int = Field(description="Depots whose freshness is `STALE`.")
    failed: int = Field(description="Depots whose provisioning failed.")
    silent_depots: int = Field(description="Depots with a silent controller.")
    silent_controllers: int = Field(description="Silent controllers.")
    fail_safe_depots: int = Field(description="Depots with a circuit in fail-safe.")
    fail_safe_circuits: int = Field(description="Circuits in fail-safe.")
    remediation_depots: int = Field(description="Depots with an open remediation.")
    open_remediations: int = Field(description="Open remediations.")
    worst: list[DepotInAlarm] = Field(description="The ten depots that need attention most, the worst first.")


class OverviewLoad(BaseModel):
    """What depots draw, beside what their top-level circuits may draw: those that measured it lately."""

    model_config = ConfigDict(from_attributes=True)

    depots: int = Field(description="Depots whose load was measured within the last 15 minutes.")
    load_w: float = Field(description="The last load of each, summed, in watts.")
    capacity_w: float | None = Field(
        description="What holds for the capacity of their top-level circuits, summed, in watts. Null: none is known."
    )
    simulated_depots: int = Field(description="The depots among them of which any of this is simulated.")


def alarms_of(found: DepotAlarms) -> list[Alarm]:
    """The alarms of a depot, as the API tells them."""
    return [
        Alarm(
            kind=each.kind,
            priority=each.kind.priority,
            since=each.since,
            count=each.count,
            mended_at=MENDED_AT[each.kind],
            simulated_by=None if mark is None else SimulatedByRun.model_validate(mark),
        )
        for each in found.alarms
        for mark in (found.simulated_by(each),)
    ]


@router.get("/overview")
async def read(engine: EngineDep, scope: ScopeDep) -> Overview:
    """Read how many depots need attention, for what, and which ones most."""
    async with snapshot(engine) as connection:
        fleet = await count_fleet(connection, scope=scope)
        counts = await count_alarms(connection, scope)
        worst = await list_worst(connection, scope, WORST)
    return Overview(
        depots=sum(fleet.depots.values()),
        in_alarm=counts.depots,
        high_priority=counts.high,
        stale=fleet.by_freshness()[DepotFreshness.STALE],
        failed=fleet.by_provisioning()[ProvisioningState.FAILED],
        silent_depots=counts.silent_depots,
        silent_controllers=counts.silent_controllers,
        fail_safe_depots=counts.fail_safe_depots,
        fail_safe_circuits=counts.fail_safe_circuits,
        remediation_depots=counts.remediation_depots,
        open_remediations=counts.open_remediations,
        worst=[DepotInAlarm.of(each) for each in worst],
    )


@router.get("/overview/load")
async def read_load(engine: EngineDep, scope: ScopeDep) -> OverviewLoad:
    """Read what all depots draw together, beside what they may draw."""
    async with snapshot(engine) as connection:
        return OverviewLoad.model_validate(await read_fleet_load(connection, scope))


@router.get("/depots/{depot_id}/alarms", responses=problem_responses(ProblemCode.DEPOT_NOT_FOUND))
async def list_of_depot(depot_id: DepotId, engine: EngineDep) -> DepotAlarmList:
    """List what of a depot needs attention."""
    async with snapshot(engine) as connection:
        await read_depot(connection, depot_id)
        found = await read_alarms(connection, depot_id)
    return DepotAlarmList(items=[] if found is None else alarms_of(found))

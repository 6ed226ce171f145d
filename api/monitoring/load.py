"""The load of a depot over time, beside what its circuits may draw: the data of a chart."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.base.dependencies import EngineDep
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.types import DepotId, Moment
from api.site.simulated import Simulated, SimulatedPeriod, SimulatedPeriods
from domain.base.problems import Problem, ProblemCode
from domain.history.buckets import bucket_begin, bucket_for
from domain.site.capacity_messages import BASIS_MESSAGES, REASON_MESSAGES
from domain.site.circuit_capacity import CapacityBasis, CapacityMode, FailSafeReason
from domain.site.routing import PowerSourceKind
from store.base.database import clock, snapshot
from store.history.load import read_load
from store.monitoring.load import CapacityPeriod, CapacitySeries, read_capacity_periods
from store.site.depots import read_depot

router = APIRouter(prefix="/api/depots", tags=["load"])

DEFAULT_SPAN = timedelta(hours=6)
LONGEST_SPAN = timedelta(days=31)


class Load(BaseModel):
    """The load that one device measured, in buckets of equal width. The four lists belong together by place."""

    device_id: UUID
    device_name: str
    circuit_id: UUID | None = Field(description="The device's linked circuit.")
    circuit_name: str | None
    power_source_kind: PowerSourceKind | None = Field(
        description="The kind of the power source whose load the device updates: what is measured is what that source "
        "gives, negative where it takes. Null: it is a load, negative where it feeds back."
    )
    times: list[float] = Field(
        description="When each bucket begins, in seconds since the Unix epoch. Buckets without a reading are left out, "
        "but for one with nulls in each gap: where the device sent nothing for longer than it usually does, or nothing "
        "that can be used."
    )
    avg_w: list[float | None] = Field(
        description="The mean of `TOTAL_POWER_LOAD` in the bucket, in watts, weighted by time: a reading counts until "
        "the next one, for 15 minutes at most. Null: a gap, of which nothing is known."
    )
    min_w: list[float | None] = Field(description="Watts; null in a gap.")
    max_w: list[float | None] = Field(description="Watts; null in a gap.")
    last_at: datetime = Field(description="When the last of it was measured.")
    last_w: float = Field(description="What was measured then, in watts.")
    simulated: SimulatedPeriods


class CapacityHeld(BaseModel):
    """What held for a circuit's capacity for a time."""

    since: datetime
    until: datetime = Field(description="The end of it, or of what was asked for.")
    mode: CapacityMode
    reason: FailSafeReason | None = Field(description="Why the fail-safe held; null in other modes.")
    message: str | None = Field(description="The reason in words.")
    capacity_w: float | None = Field(description="Watts; null where the circuit's own rating held.")
    basis: CapacityBasis | None = Field(description="Where `capacity_w` came from.")
    simulated_by: Simulated

    @staticmethod
    def of(period: CapacityPeriod) -> CapacityHeld:
        """The period as the store has it, in words."""
        message = None
        if period.reason is not None and period.basis is not None:
            message = f"{REASON_MESSAGES[period.reason]} {BASIS_MESSAGES[period.basis]}"
        return CapacityHeld.model_validate(Extended(period, message=message), from_attributes=True)


class CircuitCapacities(BaseModel):
    """What held for the capacity of one circuit, in order of time."""

    circuit_id: UUID
    circuit_name: str
    rated_power_w: float | None = Field(description="Watts.")
    periods: list[CapacityHeld] = Field(description="Where there is none, the circuit followed no controller.")

    @staticmethod
    def of(series: CapacitySeries) -> CircuitCapacities:
        """The periods as the store has them, in words."""
        return CircuitCapacities(
            circuit_id=series.circuit_id,
            circuit_name=series.circuit_name,
            rated_power_w=series.rated_power_w,
            periods=[CapacityHeld.of(period) for period in series.periods],
        )


class DepotLoad(BaseModel):
    """The load of a depot over time, and the capacity of its circuits."""

    depot_id: UUID
    since: datetime
    until: datetime
    bucket_seconds: float = Field(description="How wide a bucket is.")
    series: list[Load] = Field(description="Each device that sent `TOTAL_POWER_LOAD`, by name.")
    capacities: list[CircuitCapacities] = Field(description="Each circuit that followed a controller.")


@router.get("/{depot_id}/load", responses=problem_responses(ProblemCode.DEPOT_NOT_FOUND, ProblemCode.INVALID_REQUEST))
async def read(
    depot_id: DepotId,
    engine: EngineDep,
    since: Annotated[Moment | None, Query(description="From then on; 6 hours before `until`.")] = None,
    until: Annotated[Moment | None, Query(description="Before then; now.")] = None,
) -> DepotLoad:
    """Read the measured load of a depot over at most 31 days, and what held for the capacity of its circuits."""
    async with snapshot(engine) as connection:
        await read_depot(connection, depot_id)
        start, end = _span(since, until or await clock(connection))
        return await _read(connection, depot_id, start, end)


def _span(since: datetime | None, until: datetime) -> tuple[datetime, datetime]:
    start = until - DEFAULT_SPAN if since is None else since
    if not timedelta() < until - start <= LONGEST_SPAN:
        raise Problem(ProblemCode.INVALID_REQUEST, "`since` is before `until`, by at most 31 days.", "since")
    return start, until


async def _read(connection: AsyncConnection, depot_id: UUID, since: datetime, until: datetime) -> DepotLoad:
    bucket = bucket_for(until - since)
    return DepotLoad(
        depot_id=depot_id,
        since=since,
        until=until,
        bucket_seconds=bucket.total_seconds(),
        series=[
            Load(
                device_id=each.device_id,
                device_name=each.device_name,
                circuit_id=each.circuit_id,
                circuit_name=each.circuit_name,
                power_source_kind=each.power_source_kind,
                times=each.times,
                avg_w=each.average_w,
                min_w=each.least_w,
                max_w=each.most_w,
                last_at=each.last_at,
                last_w=each.last_w,
                simulated=[SimulatedPeriod.model_validate(period) for period in each.simulated],
            )
            for each in await read_load(connection, depot_id, bucket_begin(since, bucket), until, bucket)
        ],
        capacities=[
            CircuitCapacities.of(each) for each in await read_capacity_periods(connection, depot_id, since, until)
        ],
    )

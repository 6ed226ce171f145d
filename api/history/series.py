"""Series of measurands over time, with what held beside them: the data of the trends page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.base.access import ScopeDep
from api.base.dependencies import EngineDep
from api.base.problems import problem_responses
from api.base.types import Moment
from api.monitoring.load import CircuitCapacities
from api.site.simulated import SimulatedByRun, SimulatedPeriod, SimulatedPeriods
from domain.base.problems import Problem, ProblemCode
from domain.history.buckets import LONGEST_SPAN, bucket_begin, bucket_for
from domain.history.series import MOST_SERIES, SeriesSubject, parse_selections
from domain.monitoring.capabilities import Capability, CapabilityStatus
from domain.site.measurands import MEASURANDS, MeasurandKey, ReadingCode, ValueKind
from store.base.database import clock, plan_once, snapshot
from store.history.bands import CapabilityPeriods, read_capability_periods
from store.history.series import Series, depots_in, read_series
from store.history.sources import SeriesSource, read_sources
from store.monitoring.load import read_capacity_periods
from store.monitoring.simulated import SimulatedReadings, read_simulated

router = APIRouter(prefix="/api/series", tags=["series"])

DEFAULT_SPAN = timedelta(hours=24)


class SeriesFaults(BaseModel):
    """Readings without a value that can be used, by bucket. The three lists belong together by place."""

    times: list[float] = Field(description="When the bucket begins, in seconds since the Unix epoch.")
    codes: list[ReadingCode] = Field(description="Why the value cannot be used.")
    counts: list[int] = Field(description="How many such readings.")


class SeriesDocument(BaseModel):
    """One measurand over time, in buckets of equal width. The lists from `times` to `delayed` belong together."""

    series: str = Field(description="What was asked for: subject, id and measurand.")
    subject: SeriesSubject = Field(description="Of what the measurand is shown.")
    subject_id: UUID = Field(description="The id of the device, circuit or power source.")
    name: str = Field(description="The name of the device, circuit or power source.")
    depot_id: UUID
    depot_name: str
    timezone: str = Field(description="The depot's time zone, a name of the IANA database.")
    circuit_id: UUID | None = Field(description="The circuit, or the one that the subject is linked to.")
    device_id: UUID | None = Field(
        description="Whose readings these are. Of a circuit the first of its linked devices, by name, that measured "
        "this lately; of a power source the first of those that update it. Null: no device does."
    )
    device_name: str | None
    other_devices: int = Field(description="Further devices of the subject that measure it. They are not mixed in.")
    measurand: MeasurandKey
    meaning: str = Field(description="What the measurand is.")
    kind: ValueKind = Field(description="Of texts and booleans there is no `min`, `mean` and `max`.")
    unit: str | None = Field(description="Of all its values; null: the quantity has none.")
    times: list[float] = Field(
        description="When each bucket begins, in seconds since the Unix epoch. Buckets without a reading are left out, "
        "but for one with nulls in each gap: where the device sent nothing for longer than it usually does."
    )
    min: list[float | None] = Field(description="Null without a number: in a gap, where it was faulty, of texts.")
    mean: list[float | None] = Field(
        description="Weighted by time: a reading counts until the next one, for 15 minutes at most. Null as `min`."
    )
    max: list[float | None] = Field(description="Null as `min`.")
    last: list[float | str | None] = Field(
        description="The last value of the bucket; of texts and booleans the only one. Null: there is none."
    )
    counts: list[int] = Field(description="Readings with a value.")
    delayed: list[int] = Field(description="Those of them that came more than 5 minutes after they were measured.")
    faults: SeriesFaults = Field(description="Readings without a value that can be used.")
    last_at: datetime | None = Field(description="When the last value was measured; null: none was.")
    simulated: SimulatedPeriods

    @staticmethod
    def of(series: Series, simulated: Sequence[SimulatedReadings]) -> SeriesDocument:
        """The series as the store has it, with what the contract says of its measurand."""
        source, selection = series.source, series.source.selection
        spec = MEASURANDS[selection.measurand]
        return SeriesDocument(
            series=str(selection),
            subject=selection.subject,
            subject_id=selection.subject_id,
            name=source.name,
            depot_id=source.depot_id,
            depot_name=source.depot_name,
            timezone=source.timezone,
            circuit_id=source.circuit_id,
            device_id=source.device_id,
            device_name=source.device_name,
            other_devices=source.others,
            measurand=selection.measurand,
            meaning=spec.meaning,
            kind=spec.kind,
            unit=spec.unit,
            times=series.times,
            min=series.least,
            mean=series.mean,
            max=series.most,
            last=series.last,
            counts=series.counts,
            delayed=series.delayed,
            faults=SeriesFaults(
                times=[time for time, _, _ in series.faults],
                codes=[code for _, code, _ in series.faults],
                counts=[count for _, _, count in series.faults],
            ),
            last_at=series.last_at,
            simulated=[SimulatedPeriod.model_validate(each) for each in simulated],
        )


class CapabilityBand(BaseModel):
    """When a capability was ON and OFF. The three lists belong together by place; between them it is not known."""

    depot_id: UUID
    depot_name: str
    capability: Capability
    statuses: list[CapabilityStatus] = Field(description="What was known of it.")
    since: list[datetime] = Field(description="From when on.")
    until: list[datetime] = Field(description="When another status came or this one became stale, or the end.")
    simulated_by: list[SimulatedByRun | None] = Field(description="The scenario run that sent it; null: none.")


class SeriesAnswer(BaseModel):
    """Series on one axis of time, and what held beside them."""

    since: datetime
    until: datetime
    bucket_seconds: float = Field(description="How wide a bucket is; buckets begin at whole multiples of it.")
    series: list[SeriesDocument] = Field(description="In the order asked for, each once.")
    capabilities: list[CapabilityBand] = Field(description="Of the depots of the series; those that were known.")
    capabilities_complete: bool = Field(description="False: they changed so often that the later periods are left out.")
    circuits: list[CircuitCapacities] = Field(
        description="What held for the capacity of the series' circuits that followed a controller."
    )


@router.get(
    "",
    responses=problem_responses(
        ProblemCode.DEVICE_NOT_FOUND,
        ProblemCode.CIRCUIT_NOT_FOUND,
        ProblemCode.POWER_SOURCE_NOT_FOUND,
        ProblemCode.TOO_MANY_SERIES,
        ProblemCode.INVALID_REQUEST,
    ),
)
async def read(
    engine: EngineDep,
    scope: ScopeDep,
    series: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=100,
            description=f"`device`, `circuit` or `power-source`, its id, and a measurand, with colons between them. "
            f"At most {MOST_SERIES}.",
            examples=[["device:0198d1c0-0000-7000-8000-000000000001:SOC"]],
        ),
    ],
    since: Annotated[Moment | None, Query(description="From then on; 24 hours before `until`.")] = None,
    until: Annotated[Moment | None, Query(description="Before then; now.")] = None,
) -> SeriesAnswer:
    """Read up to eight series over at most 367 days, and what held for capabilities and capacities meanwhile."""
    selections = parse_selections(series)
    async with snapshot(engine) as connection:
        start, end = _window(since, until or await clock(connection))
        sources = await read_sources(connection, selections, scope, end)
        return await _read(connection, sources, start, end)


def _window(since: datetime | None, until: datetime) -> tuple[datetime, datetime]:
    start = until - DEFAULT_SPAN if since is None else since
    if not timedelta() < until - start <= LONGEST_SPAN:
        raise Problem(ProblemCode.INVALID_REQUEST, "`since` is before `until`, by at most 367 days.", "since")
    return start, until


async def _read(
    connection: AsyncConnection, sources: Sequence[SeriesSource], since: datetime, until: datetime
) -> SeriesAnswer:
    width = bucket_for(until - since)
    depots = depots_in(sources)
    chosen = {each.circuit_id for each in sources}
    devices = {each.device_id for each in sources if each.device_id is not None}
    found = await read_series(connection, sources, bucket_begin(since, width), until, width)
    await plan_once(connection)
    periods, complete = await read_capability_periods(connection, depots, since, until)
    capacities = [
        CircuitCapacities.of(each)
        for depot_id in depots
        for each in await read_capacity_periods(connection, depot_id, since, until)
        if each.circuit_id in chosen
    ]
    simulated = await read_simulated(connection, devices, bucket_begin(since, width), until)
    return SeriesAnswer(
        since=since,
        until=until,
        bucket_seconds=width.total_seconds(),
        series=[
            SeriesDocument.of(each, () if each.source.device_id is None else simulated.get(each.source.device_id, ()))
            for each in found
        ],
        capabilities=_bands(periods, depots),
        capabilities_complete=complete,
        circuits=capacities,
    )


def _bands(periods: Sequence[CapabilityPeriods], depots: dict[UUID, str]) -> list[CapabilityBand]:
    held = {(each.depot_id, each.capability): each for each in periods}
    return [
        CapabilityBand(
            depot_id=depot_id,
            depot_name=name,
            capability=capability,
            statuses=each.statuses,
            since=each.since,
            until=each.until,
            simulated_by=[run and SimulatedByRun.model_validate(run) for run in each.simulated_by],
        )
        for depot_id, name in depots.items()
        for capability in Capability
        if (each := held.get((depot_id, capability)))
    ]

"""How far the upkeep of readings is: packets that are read, readings that are rolled up, rollups that are checked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, ClientDep, EngineDep, SettingsDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import problem_responses
from api.base.temporal import temporal_calls
from api.base.types import Body
from domain.base.problems import ProblemCode
from domain.history.rollups import RollupCheckRequest
from store.base.changes import record_change
from store.base.database import snapshot
from store.history.rollup_checks import RollupCheck, begin_check, read_check, read_last_check
from store.history.rollups import read_backlog
from store.monitoring.reading_fills import read_fill_progress
from workflows.launch import start_rollup_check

router = APIRouter(prefix="/api/rollups", tags=["series"], route_class=StrictRoute)

MOST_DAYS = 36_600


class ReadingFill(BaseModel):
    """Reading packets that came before their device, or before there were readings."""

    gateways_left: int = Field(description="Gateways whose packets are still to be read.")
    packets_read: int = Field(description="Packets of these that are read already.")


class RollupCheckDocument(BaseModel):
    """Rollups that were held against the readings and events that they are made from, and how far that is."""

    check_id: UUID
    requested_by: str
    requested_at: datetime
    since: datetime | None = Field(description="The first day, in UTC; null: nothing was rolled up yet.")
    until: datetime | None = Field(description="The day after the last.")
    repair: bool = Field(description="Whether what differs is made right, or only counted.")
    compared: int = Field(description="Days of devices and of microgrids that were compared.")
    differences: int = Field(description="Buckets that were not what the readings and events say.")
    finished_at: datetime | None

    @staticmethod
    def of(record: RollupCheck) -> RollupCheckDocument:
        """The check as it is stored."""
        return RollupCheckDocument.model_validate(record, from_attributes=True)


class ReadingUpkeep(BaseModel):
    """How far the upkeep of readings is."""

    fill: ReadingFill = Field(description="Packets from before there were readings, or before their device.")
    stretches_left: int = Field(
        description="Stretches of a device's or a microgrid's time, of six hours at most, to be rolled up."
    )
    complete_at: datetime | None = Field(
        description="Everything that came before is rolled up. Null: the readings that were there before there were "
        "rollups are not rolled up yet."
    )
    lag_seconds: float | None = Field(description="How long ago that is.")
    last_check: RollupCheckDocument | None = Field(description="The check that was asked for last; null: none was.")


class RollupCheckCreate(Body):
    """Which rollups to hold against their readings."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = Field(
        default=None, description="The last whole days, in UTC; null: all of which readings are kept."
    )
    repair: bool = Field(default=True, description="Make right what differs; otherwise only count it.")


async def read_upkeep(connection: AsyncConnection) -> ReadingUpkeep:
    """Read how far the upkeep of readings is."""
    fill, backlog, check = (
        await read_fill_progress(connection),
        await read_backlog(connection),
        await read_last_check(connection),
    )
    return ReadingUpkeep(
        fill=ReadingFill.model_validate(fill, from_attributes=True),
        stretches_left=backlog.blocks,
        complete_at=backlog.complete_at,
        lag_seconds=None if backlog.complete_at is None else backlog.lag_seconds,
        last_check=None if check is None else RollupCheckDocument.of(check),
    )


@router.get("")
async def get_reading_upkeep(engine: EngineDep) -> ReadingUpkeep:
    """Say how far packets are read into readings, readings are rolled up, and rollups are checked."""
    async with snapshot(engine) as connection:
        return await read_upkeep(connection)


@router.post(
    "/check", status_code=status.HTTP_202_ACCEPTED, responses=problem_responses(*ONCE, ProblemCode.TEMPORAL_UNAVAILABLE)
)
async def check_rollups(
    body: RollupCheckCreate, actor: ActorDep, engine: EngineDep, client: ClientDep, settings: SettingsDep, once: OnceDep
) -> RollupCheckDocument:
    """Hold rollups against their readings, and make right what differs. It goes on by itself; read to watch it."""
    request = RollupCheckRequest(body.days, body.repair, uuid7(), actor.name)

    async def make(connection: AsyncConnection) -> RollupCheckDocument:
        assert request.check_id is not None
        await begin_check(connection, request.check_id, actor.name, body.days, repair=body.repair)
        await record_change(
            connection, actor, "ROLLUP_CHECK_REQUESTED", subject_id=request.check_id,
            detail={"days": body.days, "repair": body.repair},
        )  # fmt: skip
        # Inside the transaction: where Temporal is down, nothing was asked.
        async with temporal_calls():
            await start_rollup_check(client, settings.task_queue, request)
        return RollupCheckDocument.of(await read_check(connection, request.check_id))

    return await once.create(engine, actor, body, RollupCheckDocument, make)

"""What holds for the capacity of a circuit, why, and what held before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import EngineDep
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.types import AsOf, CircuitId, Cursor, Limit, Moment, decode_cursor, encode_cursor
from api.site.simulated import Simulated, SimulatedByRun
from domain.base.problems import ProblemCode
from domain.site.capacity_messages import FAIL_SAFE_ENDS, capacity_message
from domain.site.circuit_capacity import CapacityBasis, CapacityMode, FailSafeReason
from store.base.database import clock, snapshot
from store.history.capacities_as_of import CapacityAsOf, read_capacity_as_of
from store.site.capacities import CapacityEvent, CircuitCapacity, capacity_held_before, capacity_history, read_capacity

router = APIRouter(prefix="/api/circuits", tags=["circuits"])

Held = Annotated[float | None, Field(description="Watts; null where the circuit's own rating holds.")]
Reason = Annotated[FailSafeReason | None, Field(description="Why the fail-safe holds; null in other modes.")]
Basis = Annotated[CapacityBasis | None, Field(description="Where `capacity_w` comes from.")]


class Capacity(BaseModel):
    """The capacity of a circuit as it holds at this moment."""

    mode: CapacityMode | None = Field(description="Who decides; null: the circuit follows no controller.")
    since: datetime | None = Field(description="When mode or reason last changed.")
    reason: Reason
    capacity_w: Held
    basis: Basis
    deadline: datetime | None = Field(description="Without a packet until then, the fail-safe holds.")
    heartbeat_threshold_seconds: float | None = Field(
        description="How long after a packet the fail-safe takes over; null: the circuit follows no controller."
    )
    observed_at: datetime | None = Field(description="When the last packet that was heeded was measured.")
    device_id: UUID | None = Field(description="The device whose sensor action the circuit follows.")
    message: str = Field(description="Why, for people.")
    ends_with: str | None = Field(description="What ends the fail-safe, for people; null in other modes.")
    simulated_by: Simulated

    @staticmethod
    def of(capacity: CircuitCapacity) -> Capacity:
        """The capacity as the store has it."""
        state = capacity.state
        return Capacity(
            mode=None if state is None else state.mode,
            since=None if state is None else state.since,
            reason=None if state is None else state.reason,
            capacity_w=None if state is None else state.capacity_w,
            basis=None if state is None else state.basis,
            deadline=None if state is None else state.deadline,
            heartbeat_threshold_seconds=None
            if capacity.heartbeat_threshold is None
            else capacity.heartbeat_threshold.total_seconds(),
            observed_at=None if state is None else state.observed_at,
            device_id=capacity.device_id,
            message=capacity_message(state),
            ends_with=FAIL_SAFE_ENDS if state is not None and state.mode is CapacityMode.FAIL_SAFE else None,
            simulated_by=None
            if capacity.simulated_by is None
            else SimulatedByRun.model_validate(capacity.simulated_by),
        )


class CircuitCapacityDocument(Capacity):
    """The capacity of one circuit, with the rating that holds where nothing else does."""

    circuit_id: UUID
    depot_id: UUID
    rated_power_w: float | None = Field(description="Watts. Holds where `capacity_w` is null.")
    sensor_action_id: UUID | None = Field(description="The sensor action that the circuit follows.")


class CapacityChange(BaseModel):
    """What held from `at` on."""

    event_id: UUID
    at: datetime
    received_at: datetime = Field(description="When the product took it, which may be later than `at`.")
    mode: CapacityMode | Literal["RELEASED"] = Field(description="`RELEASED`: the rating holds again.")
    reason: Reason
    capacity_w: Held
    basis: Basis
    simulated_by: Simulated

    @staticmethod
    def of(event: CapacityEvent) -> CapacityChange:
        """The step as the store has it."""
        return CapacityChange.model_validate(event, from_attributes=True)


class CapacityHistory(BaseModel):
    """What began to hold, in order of time."""

    held_before: CapacityChange | None = Field(
        description="What held when `since` came; null on later pages, without `since`, and where nothing did."
    )
    items: list[CapacityChange]
    next_cursor: str | None


class CapacityAsOfDocument(BaseModel):
    """The capacity of one circuit as it was shown at a moment."""

    as_of: datetime
    circuit_id: UUID
    depot_id: UUID
    rated_power_w: float | None = Field(description="Watts, as it was then. Holds where no capacity does.")
    shown: CapacityChange | None = Field(description="What was shown; null: the circuit followed no controller.")
    known: CapacityChange | None = Field(
        description="What is known of that moment today: what came later and held from before counts, too."
    )

    @staticmethod
    def at(found: CapacityAsOf, as_of: datetime) -> CapacityAsOfDocument:
        """The capacity as the store has it."""
        return CapacityAsOfDocument.model_validate(Extended(found, as_of=as_of), from_attributes=True)


@router.get(
    "/{circuit_id}/capacity",
    responses=problem_responses(ProblemCode.CIRCUIT_NOT_FOUND, ProblemCode.AS_OF_OUT_OF_RANGE),
)
async def read(
    circuit_id: CircuitId, engine: EngineDep, as_of: AsOf = None
) -> CircuitCapacityDocument | CapacityAsOfDocument:
    """Read what holds for a circuit's capacity at this moment, and why."""
    if as_of is not None:
        async with snapshot(engine) as connection:
            return CapacityAsOfDocument.at(await read_capacity_as_of(connection, circuit_id, as_of), as_of)
    return await read_now(circuit_id, engine)


async def read_now(circuit_id: UUID, engine: AsyncEngine) -> CircuitCapacityDocument:
    """Read what holds for a circuit's capacity at this moment, and why.

    Raises:
        Problem: ``CIRCUIT_NOT_FOUND``.

    """
    async with engine.connect() as connection:
        capacity = await read_capacity(connection, circuit_id, await clock(connection))
    return CircuitCapacityDocument(
        circuit_id=capacity.circuit_id,
        depot_id=capacity.depot_id,
        rated_power_w=capacity.rated_power_w,
        sensor_action_id=capacity.sensor_action_id,
        **Capacity.of(capacity).model_dump(),
    )


@router.get(
    "/{circuit_id}/capacity/history",
    responses=problem_responses(ProblemCode.CIRCUIT_NOT_FOUND, ProblemCode.INVALID_CURSOR),
)
async def history(
    circuit_id: CircuitId,
    engine: EngineDep,
    since: Annotated[Moment | None, Query(description="From then on.")] = None,
    until: Annotated[Moment | None, Query(description="Before then.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> CapacityHistory:
    """List what began to hold for a circuit's capacity, the earliest first."""
    after = decode_cursor(cursor, tuple[Moment, UUID])
    async with snapshot(engine) as connection:
        await read_capacity(connection, circuit_id, await clock(connection))
        found = await capacity_history(connection, circuit_id, since, until, after=after, limit=limit + 1)
        before = None
        if since is not None and after is None:
            before = await capacity_held_before(connection, circuit_id, since)
    items = found[:limit]
    more = encode_cursor(items[-1].at.isoformat(), items[-1].event_id) if len(found) > limit else None
    return CapacityHistory(
        held_before=None if before is None else CapacityChange.of(before),
        items=[CapacityChange.of(event) for event in items],
        next_cursor=more,
    )

"""The live test of a controller binding: wait for the next packet of its device, and say what it updates."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import EngineDep, WatchDep
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.streams.watch import EVERY_KIND, Watcher
from api.base.types import BindingId, Moment
from api.monitoring.telemetry import ActionAnswerDocument
from api.site.resolutions import Reported
from api.site.simulated import Simulated
from api.site.stamps import Stamped
from domain.base.problems import ProblemCode
from store.base.database import clock, snapshot
from store.base.notifications.notify import ChangeKind
from store.controllers.controller_bindings import BindingRecord, read_binding
from store.controllers.packet_arrivals import Arrivals, PacketArrival, read_arrivals

router = APIRouter(prefix="/api/controller-bindings", tags=["controller bindings"])

MAX_WAIT_SECONDS = 10
"""Longer waits are several requests with the same ``after``: none is lost between them."""


class ArrivedPacket(Stamped):
    """A packet that the bound device was in."""

    packet_id: UUID
    measurands: list[Reported] = Field(description="What the device sent, in the order of the packet.")
    actions: list[ActionAnswerDocument] = Field(description="What the device's sensor actions did with it.")
    if_enabled: ActionAnswerDocument | None = Field(
        description="What the binding would have done, under today's configuration, where it was switched off or not "
        "there yet. Null: it acted, as `actions` says."
    )
    simulated_by: Simulated

    @staticmethod
    def of(record: PacketArrival) -> ArrivedPacket:
        """The packet as the store has it."""
        would = record.if_enabled
        extended = Extended(
            record,
            measurands=[Reported.of(each) for each in record.values],
            actions=[ActionAnswerDocument.model_validate(each) for each in record.answers],
            if_enabled=None if would is None else ActionAnswerDocument.model_validate(would.document()),
        )
        return ArrivedPacket.model_validate(extended, from_attributes=True)


class NextPacket(BaseModel):
    """The first packet of a bound device that was received after a moment, or what came instead."""

    binding_id: UUID
    device_id: UUID
    enabled: bool = Field(description="Whether the binding is switched on now.")
    after: datetime = Field(description="Ask again with it to go on waiting.")
    packet: ArrivedPacket | None = Field(description="Null: none came so far, or none within an hour.")
    packets_without_device: int = Field(description="Packets of the gateway meanwhile that did not have the device.")
    sensors_seen: list[str] = Field(description="The sensors in the first 500 of those: the device's may be misspelt.")

    @staticmethod
    def of(binding: BindingRecord, after: datetime, found: Arrivals) -> NextPacket:
        """What was found."""
        return NextPacket(
            binding_id=binding.binding_id,
            device_id=binding.device_id,
            enabled=binding.enabled,
            after=after,
            packet=None if found.packet is None else ArrivedPacket.of(found.packet),
            packets_without_device=found.without,
            sensors_seen=list(found.sensors),
        )


@router.get(
    "/{binding_id:uuid}/next-packet",
    responses=problem_responses(ProblemCode.BINDING_NOT_FOUND, ProblemCode.INVALID_REQUEST),
)
async def next_packet(
    binding_id: BindingId,
    engine: EngineDep,
    watch: WatchDep,
    after: Annotated[Moment | None, Query(description="Received after this moment; now.")] = None,
    wait_seconds: Annotated[
        float, Query(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False, description="How long to wait for it.")
    ] = 0,
) -> NextPacket:
    """Say what the next packet of the bound device brings, and what it updates. It works for a disabled binding, too.

    The first packet after a moment stays the same, so to ask again with the same `after` misses none.
    """
    async with engine.connect() as connection:
        depot_id = (await read_binding(connection, binding_id)).depot_id
        moment = after or await clock(connection)
    until = asyncio.get_running_loop().time() + wait_seconds
    # Watched before the first look, so that nothing comes between the two.
    async with watch.on(depot_id) as watcher:
        while True:
            found = await _look(engine, binding_id, moment)
            if found.packet is not None or not await _packet_came(watcher, until):
                return found


async def _look(engine: AsyncEngine, binding_id: UUID, after: datetime) -> NextPacket:
    async with snapshot(engine) as connection:
        binding = await read_binding(connection, binding_id)
        return NextPacket.of(binding, after, await read_arrivals(connection, binding, after))


async def _packet_came(watcher: Watcher, until: float) -> bool:
    """Wait until a packet of the depot came; False where the time is over first."""
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            async with asyncio.timeout(left):
                kinds = await watcher.changed()
        except TimeoutError:
            return False
        if kinds & {EVERY_KIND, ChangeKind.PACKET}:
            return True
    return False

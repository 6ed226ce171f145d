"""The steps of a backfill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.base.actor import Actor
from domain.base.jobs import JobState
from domain.provisioning.backfill import (
    BackfillRequest,
    EndRequest,
    FirstPages,
    OutcomeCounts,
    PageBounds,
    PageRequest,
    PlanRequest,
    StateRequest,
)
from reconciliation.backfills import close_backfill
from store.base.database import transaction
from store.base.jobs.rows import set_job_state
from store.provisioning.backfills import begin_backfill, plan_pages, run_page
from store.provisioning.tables import backfills


class BackfillActivities:
    """Steps of the backfill workflow, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.prepare, self.begin, self.plan, self.run_page, self.note_state, self.end]

    @activity.defn
    async def prepare(self, request: PlanRequest) -> FirstPages:
        """Count the depots and say where the first pages end. Run twice, the first count stands."""
        async with transaction(self._engine, Actor(request.backfill.requested_by)) as connection:
            total = await begin_backfill(connection, request.backfill)
            return FirstPages(total, await plan_pages(connection, request))

    @activity.defn
    async def begin(self, request: BackfillRequest) -> int:
        """Count the depots. Run twice, the first count stands."""
        async with beating(), transaction(self._engine, Actor(request.requested_by)) as connection:
            return await begin_backfill(connection, request)

    @activity.defn
    async def plan(self, request: PlanRequest) -> list[PageBounds]:
        """Say where the next pages end. It only reads."""
        async with beating(), transaction(self._engine, Actor(request.backfill.requested_by)) as connection:
            return await plan_pages(connection, request)

    @activity.defn
    async def run_page(self, request: PageRequest) -> OutcomeCounts:
        """Provision one page in one transaction. Run twice, the second run answers what the first one did."""
        async with beating(), transaction(self._engine, Actor(request.backfill.requested_by)) as connection:
            return await run_page(connection, request)

    @activity.defn
    async def note_state(self, request: StateRequest) -> None:
        """Note a pause or its end, for whoever reads the backfill. Run twice, it says the same."""
        async with transaction(self._engine, Actor(request.backfill.requested_by)) as connection:
            await set_job_state(connection, backfills, request.backfill.backfill_id, request.state)

    @activity.defn
    async def end(self, request: EndRequest) -> JobState:
        """Note how the backfill ended, and answer it. Run twice, the first end stands."""
        actor = Actor(request.backfill.requested_by)
        async with transaction(self._engine, actor) as connection:
            return await close_backfill(
                connection,
                actor,
                request.backfill.backfill_id,
                request.state,
                request.failure,
                pages=request.pages,
            )
